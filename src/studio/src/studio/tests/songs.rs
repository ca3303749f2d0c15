//! The library: what is on the disk, what is listed.

use acestep_domain::{GenerationParams, generation::read::params_from_json, library::Song};
use acestep_engine::audio::{
    decode::{self, Limit},
    tags,
};

use super::*;
use crate::SongFilter;

fn titles(studio: &Studio, filter: &SongFilter) -> Vec<String> {
    let songs = studio.songs(filter).unwrap().songs;
    songs.into_iter().map(|song| song.title).collect()
}

fn named(fixture: &Fixture, caption: &str) -> Song {
    let job = fixture.run(&with(song(), "caption", caption));
    fixture.studio.song(&job.song_ids[0]).unwrap()
}

#[test]
fn a_song_is_a_whole_file_with_its_parameters_inside_and_beside_it() {
    let fixture = ready();
    for format in ["wav", "wav24", "wav32", "flac", "mp3"] {
        let job = fixture.run(&with(with(song(), "audio_format", format), "bpm", 92));
        let song = fixture.studio.song(&job.song_ids[0]).unwrap();
        let path = fixture.studio.song_file(&song.id).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(song.size_bytes, bytes.len() as u64, "{format}");
        let audio = decode::from_bytes(bytes, Limit::none()).unwrap().audio;
        assert!((audio.duration_secs() - 0.5).abs() < 0.01, "{format}");
        assert_eq!(song.duration_secs, 0.5);
        assert_eq!((song.peaks.len(), song.channels), (256, 2));
        assert!(song.peaks.iter().all(|peak| (0.5..=1.0).contains(peak)));
        assert_eq!(song.provenance.device, "cpu");
        assert_eq!(song.provenance.app_version, "1.2.3");

        let inside = tags::read(&path, song.params.audio_format).unwrap();
        assert_eq!(inside.title.as_deref(), Some("warm lofi piano"));
        let inside: Value = serde_json::from_str(&inside.params_json.unwrap()).unwrap();
        let beside: Value =
            serde_json::from_slice(&std::fs::read(path.with_extension("json")).unwrap()).unwrap();
        assert_eq!(inside, beside, "{format}");
        assert_eq!(beside["studio"]["model"], TURBO);
        assert_eq!(beside["studio"]["song_id"], song.id);
        // What is saved can be loaded again and says the same.
        let read = params_from_json(&beside, GenerationParams::default()).unwrap();
        assert_eq!((read.errors, read.notes), (vec![], vec![]), "{format}");
        assert_eq!(read.params, song.params);
        assert_eq!(read.params.seeds, [song.seed]);
    }
    let names = fixture.file_names();
    assert_eq!(names.len(), 10);
    assert!(
        names
            .iter()
            .all(|name| name.starts_with("warm-lofi-piano-"))
    );
}

#[test]
fn newest_first_by_words_marks_jobs_and_pages() {
    let fixture = ready();
    let first = named(&fixture, "Warm piano");
    named(&fixture, "drum and bass");
    named(&fixture, "solo piano in the rain");
    let all = SongFilter::default();
    assert_eq!(
        titles(&fixture.studio, &all),
        ["solo piano in the rain", "drum and bass", "Warm piano"]
    );
    let page = SongFilter {
        limit: 1,
        offset: 1,
        ..all.clone()
    };
    assert_eq!(titles(&fixture.studio, &page), ["drum and bass"]);
    let query = |text: &str| SongFilter {
        query: Some(text.to_owned()),
        ..SongFilter::default()
    };
    assert_eq!(
        titles(&fixture.studio, &query("PIANO rain")),
        ["solo piano in the rain"]
    );
    assert_eq!(titles(&fixture.studio, &query("%")), [""; 0]);
    let of_job = SongFilter {
        job_id: Some(first.job_id.clone()),
        ..all.clone()
    };
    assert_eq!(titles(&fixture.studio, &of_job), ["Warm piano"]);
    fixture
        .studio
        .update_song(&first.id, None, Some(true))
        .unwrap();
    let marked = SongFilter {
        favourite: Some(true),
        ..all
    };
    assert_eq!(titles(&fixture.studio, &marked), ["Warm piano"]);
}

#[test]
fn a_song_is_renamed_marked_and_deleted() {
    let fixture = ready();
    let song = named(&fixture, "");
    assert_eq!(song.title, "Untitled");
    let path = fixture.studio.song_file(&song.id).unwrap();
    let mut watch = fixture.studio.watch();
    watch.mark_unchanged();
    let renamed = fixture
        .studio
        .update_song(&song.id, Some("  Rain \n\0 song ".to_owned()), Some(true))
        .unwrap();
    assert!(watch.has_changed().unwrap());
    assert_eq!(
        (renamed.title.as_str(), renamed.favourite),
        ("Rain song", true)
    );
    assert_eq!(fixture.studio.song(&song.id).unwrap(), renamed);
    assert_eq!(fixture.studio.song_file(&song.id).unwrap(), path);
    for bad in [String::new(), "x".repeat(201)] {
        let error = fixture.studio.update_song(&song.id, Some(bad), None);
        assert_eq!(told(error.unwrap_err()).field.as_deref(), Some("title"));
    }
    fixture.studio.delete_song(&song.id).unwrap();
    assert_eq!(fixture.file_names(), [""; 0]);
    assert_eq!(
        told(fixture.studio.song(&song.id).unwrap_err()).code,
        "not_found"
    );
    assert_eq!(titles(&fixture.studio, &SongFilter::default()), [""; 0]);
    let job = fixture.studio.job(&song.job_id).unwrap();
    assert_eq!(job.song_ids, [""; 0]);
}

#[test]
fn a_song_whose_file_is_gone_is_not_listed_until_it_is_back() {
    let fixture = ready();
    let song = named(&fixture, "one");
    named(&fixture, "two");
    let path = fixture.studio.song_file(&song.id).unwrap();
    let away = path.with_extension("away");
    std::fs::rename(&path, &away).unwrap();
    assert_eq!(titles(&fixture.studio, &SongFilter::default()), ["two"]);
    for error in [
        fixture.studio.song(&song.id).map(drop),
        fixture.studio.song_file(&song.id).map(drop),
    ] {
        let error = told(error.unwrap_err());
        assert_eq!(error.code, "not_found");
        assert!(error.message.contains("no longer"), "{error}");
    }
    std::fs::rename(&away, &path).unwrap();
    assert_eq!(
        titles(&fixture.studio, &SongFilter::default()),
        ["two", "one"]
    );
    std::fs::remove_file(&path).unwrap();
    fixture.studio.delete_song(&song.id).unwrap();
}

#[test]
fn the_form_is_kept() {
    let fixture = ready();
    assert_eq!(fixture.studio.draft().unwrap(), None);
    for form in [
        json!({ "caption": "a" }),
        json!({ "caption": "b", "bpm": 90 }),
    ] {
        fixture.studio.save_draft(&form).unwrap();
        assert_eq!(fixture.studio.draft().unwrap(), Some(form));
    }
}
