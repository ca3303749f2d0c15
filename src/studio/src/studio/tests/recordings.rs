//! Uploads, and jobs that work on recordings.

use acestep_domain::library::{RecordingKind, UPLOAD_KEPT_DAYS, Upload};
use acestep_engine::audio::encode::encode;
use jiff::{SignedDuration, Timestamp};

use super::*;

/// A wav file of `secs` seconds.
pub(super) fn wav(secs: f64, scale: f32) -> Vec<u8> {
    let wave = (0..(secs * 8000.0) as usize).map(|i| scale * (i as f32 * 0.3).sin());
    let audio = Audio {
        channels: vec![wave.collect()],
        sample_rate_hz: 8000,
    };
    encode(&audio, acestep_domain::generation::AudioFormat::Wav).unwrap()
}

impl Fixture {
    pub(super) fn send(&self, name: &str, bytes: &[u8]) -> Result<Upload> {
        let mut incoming = self.studio.receive(name)?;
        for part in bytes.chunks(1000) {
            incoming.write(part)?;
        }
        incoming.finish()
    }

    pub(super) fn upload_files(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("uploads")).map_or(0, Iterator::count)
    }
}

fn cover(source: &str) -> Value {
    with(with(song(), "task_type", "cover"), "src_audio", source)
}

#[test]
fn an_upload_is_looked_at_and_kept_under_an_id() {
    let fixture = ready();
    let upload = fixture.send("../née.wav", &wav(3.0, 0.5)).unwrap();
    assert_eq!(upload.name, "née.wav");
    assert_eq!(
        (upload.duration_secs, upload.sample_rate_hz, upload.channels),
        (3.0, 8000, 1)
    );
    assert_eq!(upload.media_type, "audio/wav");
    assert_eq!(upload.peaks.len(), 256);
    assert!(upload.peaks.iter().all(|peak| (0.4..=0.51).contains(peak)));
    assert_eq!(fixture.studio.upload(&upload.id).unwrap(), upload);
    assert_eq!(
        fixture.studio.uploads().unwrap().uploads,
        vec![upload.clone()]
    );
    assert_eq!(
        std::fs::read(fixture.studio.upload_file(&upload.id).unwrap()).unwrap(),
        wav(3.0, 0.5)
    );
    fixture.studio.delete_upload(&upload.id).unwrap();
    assert_eq!(fixture.upload_files(), 0);
    let gone = told(fixture.studio.upload(&upload.id).unwrap_err());
    assert_eq!(gone.code, "not_found");
}

#[test]
fn what_is_no_sound_leaves_nothing_behind() {
    let fixture = ready();
    for (bytes, part) in [
        (Vec::new(), "empty"),
        (b"<html>".to_vec(), "no audio file"),
        (wav(1.0, 0.0), "silent"),
        (wav(601.0, 0.5), "10:01"),
    ] {
        let error = told(fixture.send("x.wav", &bytes).unwrap_err());
        assert_eq!(
            (error.code.as_str(), error.field.as_deref()),
            ("invalid_audio", Some("file"))
        );
        assert!(error.message.contains(part), "{error}");
        assert!(!error.message.contains("uploads"), "{error}");
        assert!(!error.hint.is_empty());
    }
    // One that is given up half way is removed as well.
    let mut given_up = fixture.studio.receive("x.wav").unwrap();
    given_up.write(&[1; 100]).unwrap();
    drop(given_up);
    assert_eq!(fixture.upload_files(), 0);
}

#[test]
fn a_job_works_on_uploads_and_songs_and_the_song_says_so() {
    let fixture = ready();
    let upload = fixture.send("a.wav", &wav(3.0, 0.5)).unwrap();
    let old = fixture.run(&song()).song_ids.remove(0);
    let asked = with(
        cover(&upload.id),
        "reference_audio",
        json!([old, upload.id]),
    );
    let job = fixture.run(&asked);
    assert_eq!(job.state, JobState::Done, "{:?}", job.error);
    assert!(codes(&job.notes).contains(&"duration_by_source"));
    assert_eq!(job.params.duration_secs, Some(3.0));
    let request = fixture.script.lock().unwrap().requests.pop().unwrap();
    assert_eq!(request.source.unwrap().frames(), 24_000);
    let lengths: Vec<usize> = request.references.iter().map(Audio::frames).collect();
    assert_eq!(lengths, [4_000, 24_000]);
    let made = fixture.studio.song(&job.song_ids[0]).unwrap();
    let from: Vec<(&str, &str, RecordingKind)> = made
        .made_from
        .iter()
        .map(|from| (from.field.as_str(), from.name.as_str(), from.kind))
        .collect();
    assert_eq!(
        from,
        [
            ("src_audio", "a.wav", RecordingKind::Upload),
            ("reference_audio", "warm lofi piano", RecordingKind::Song),
            ("reference_audio", "a.wav", RecordingKind::Upload),
        ]
    );
    // A song is a source like any other.
    let again = fixture.run(&cover(&made.id));
    assert_eq!(again.params.duration_secs, Some(0.5));
    // What has no part in the task need not be there.
    let text = fixture.run(&with(song(), "src_audio", "gone"));
    assert_eq!(text.state, JobState::Done);
    assert!(codes(&text.notes).contains(&"src_audio_ignored"));
}

#[test]
fn what_a_job_cannot_find_or_use_is_refused_by_its_key() {
    let fixture = ready();
    let upload = fixture.send("a.wav", &wav(3.0, 0.5)).unwrap();
    let long = fixture.send("long.wav", &wav(400.0, 0.5)).unwrap();
    let repaint = |start: f64, end: f64| {
        let params = with(cover(&upload.id), "task_type", "repaint");
        with(
            with(params, "repainting_start", start),
            "repainting_end",
            end,
        )
    };
    for (params, code, field) in [
        (cover("nope"), "not_found", "src_audio"),
        (cover("/etc/passwd"), "not_found", "src_audio"),
        (
            with(song(), "reference_audio", "nope"),
            "not_found",
            "reference_audio",
        ),
        (
            with(song(), "task_type", "cover"),
            "invalid_value",
            "src_audio",
        ),
        (
            with(cover(&upload.id), "task_type", "extract"),
            "unsupported",
            "task_type",
        ),
        (cover(&long.id), "invalid_value", "src_audio"),
        (repaint(2.0, 1.0), "invalid_value", "repainting_end"),
        (repaint(9.0, 12.0), "invalid_value", "repainting_start"),
        (repaint(3.0, 900.0), "invalid_value", "repainting_end"),
    ] {
        let error = told(fixture.studio.submit(&params).unwrap_err());
        assert_eq!(
            (error.code.as_str(), error.field.as_deref()),
            (code, Some(field)),
            "{error}"
        );
        assert_eq!(told(fixture.studio.plan(&params).unwrap_err()), error);
    }
    load(&fixture.studio, BASE).unwrap();
    let extract = with(cover(&upload.id), "task_type", "extract");
    let error = told(fixture.studio.submit(&extract).unwrap_err());
    assert_eq!(error.field.as_deref(), Some("track_name"));
    let named = fixture.run(&with(extract, "track_name", "Vocals"));
    assert_eq!(named.params.track_name.as_deref(), Some("vocals"));
    assert_eq!(named.state, JobState::Done);
}

#[test]
fn codes_are_taken_from_an_upload() {
    let fixture = ready();
    let upload = fixture.send("a.wav", &wav(1.0, 0.5)).unwrap();
    for key in ["song_id", "src_audio"] {
        let job = fixture.run(&json!({ "kind": "encode", (key): upload.id }));
        assert_eq!(job.state, JobState::Done, "{:?}", job.error);
        assert_eq!(job.audio_codes, "<|audio_code_7|>");
        assert_eq!(job.source_song_id.as_deref(), Some(upload.id.as_str()));
    }
}

#[test]
fn old_uploads_are_removed_unless_a_job_needs_them() {
    let fixture = ready();
    let needed = fixture.send("needed.wav", &wav(1.0, 0.5)).unwrap();
    let idle = fixture.send("idle.wav", &wav(1.0, 0.5)).unwrap();
    let keeper = fixture.hold();
    let job = fixture.studio.submit(&cover(&needed.id)).unwrap();
    keeper.wait();
    let later = |days: u32| {
        let after = SignedDuration::from_hours(24 * i64::from(days) + 1);
        Timestamp::now().checked_add(after).unwrap()
    };
    let uploads = &fixture.studio.shared().uploads;
    uploads.expire(later(UPLOAD_KEPT_DAYS - 1)).unwrap();
    assert!(fixture.studio.upload(&idle.id).is_ok());
    uploads.expire(later(UPLOAD_KEPT_DAYS)).unwrap();
    assert!(fixture.studio.upload(&idle.id).is_err());
    let kept = told(fixture.studio.delete_upload(&needed.id).unwrap_err());
    assert_eq!(kept.code, "conflict");
    keeper.open();
    assert_eq!(fixture.end_of(&job.id).state, JobState::Done);
    uploads.expire(later(UPLOAD_KEPT_DAYS)).unwrap();
    assert_eq!(fixture.upload_files(), 0);
    // The song still says what it was made from; making it again tells what is missing.
    let song = fixture.studio.songs(&crate::SongFilter::default()).unwrap();
    assert_eq!(song.songs[0].made_from[0].name, "needed.wav");
    let gone = told(fixture.studio.submit(&cover(&needed.id)).unwrap_err());
    assert_eq!(gone.code, "not_found");
}

#[test]
fn a_song_that_a_job_needs_is_not_deleted() {
    let fixture = ready();
    let old = fixture.run(&song()).song_ids.remove(0);
    let keeper = fixture.hold();
    let job = fixture.studio.submit(&cover(&old)).unwrap();
    keeper.wait();
    let kept = told(fixture.studio.delete_song(&old).unwrap_err());
    assert_eq!(kept.code, "conflict");
    assert!(kept.message.contains("warm lofi piano"), "{kept}");
    keeper.open();
    assert_eq!(fixture.end_of(&job.id).state, JobState::Done);
    fixture.studio.delete_song(&old).unwrap();
}

#[test]
fn a_recording_that_is_deleted_before_its_job_is_queued_is_unknown_to_it() {
    let fixture = ready_with_lm();
    let studio = &fixture.studio;
    let plain = with(song(), "thinking", false);
    let of = |field: &str, id: &str| match field {
        "src_audio" => cover(id),
        "song_id" => json!({ "kind": "understand", "song_id": id }),
        field => with(plain.clone(), field, id),
    };
    for field in ["src_audio", "reference_audio", "song_id"] {
        let upload = fixture.send("a.wav", &wav(1.0, 0.5)).unwrap();
        let made = fixture.run(&plain).song_ids.remove(0);
        let shared = studio.shared();
        let loadout = shared.service.loadout().unwrap();
        for id in [&upload.id, &made] {
            let asked = studio.read(&loadout, &of(field, id)).unwrap();
            if *id == made {
                studio.delete_song(id).unwrap();
            } else {
                studio.delete_upload(id).unwrap();
            }
            let raced = told(shared.queue_job(asked).unwrap_err());
            assert_eq!(raced, told(studio.submit(&of(field, id)).unwrap_err()));
            assert_eq!(raced.field.as_deref(), Some(field));
        }
    }
    let jobs = studio.jobs(99).unwrap();
    assert!(jobs.iter().all(|job| job.state == JobState::Done));
}

#[test]
fn what_has_lost_its_file_can_be_deleted_and_what_keeps_it_stays_listed() {
    let fixture = ready();
    let studio = &fixture.studio;
    let upload = fixture.send("a.wav", &wav(1.0, 0.5)).unwrap();
    std::fs::remove_file(studio.upload_file(&upload.id).unwrap()).unwrap();
    studio.delete_upload(&upload.id).unwrap();
    assert_eq!(studio.uploads().unwrap().uploads, []);
    let gone = told(studio.delete_upload(&upload.id).unwrap_err());
    assert_eq!(gone.code, "not_found");

    // A folder in its place cannot be removed as a file.
    let made = fixture.run(&song()).song_ids.remove(0);
    let path = studio.song_file(&made).unwrap();
    let away = path.with_extension("away");
    std::fs::rename(&path, &away).unwrap();
    std::fs::create_dir(&path).unwrap();
    let refused = told(studio.delete_song(&made).unwrap_err());
    assert_eq!(refused.code, "storage");
    std::fs::remove_dir(&path).unwrap();
    std::fs::rename(&away, &path).unwrap();
    assert_eq!(studio.song(&made).unwrap().id, made);
    studio.delete_song(&made).unwrap();
}

#[test]
fn uploads_outlive_the_program_and_strays_do_not() {
    let fixture = ready();
    let upload = fixture.send("a.wav", &wav(1.0, 0.5)).unwrap();
    let Fixture {
        studio,
        script: _script,
        folder,
    } = fixture;
    studio.shutdown();
    drop(studio);
    std::fs::write(folder.path().join("uploads/.acestep-part-x"), "half").unwrap();
    let (studio, _) = open(folder.path()).unwrap();
    assert_eq!(studio.upload(&upload.id).unwrap(), upload);
    assert_eq!(
        std::fs::read_dir(folder.path().join("uploads"))
            .unwrap()
            .count(),
        1
    );
}
