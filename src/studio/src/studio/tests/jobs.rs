//! The queue, cancelling, failures, what is refused.

use acestep_domain::service::ServiceState;

use super::*;

#[test]
fn a_job_becomes_songs_with_its_seeds() {
    let fixture = ready();
    let params = with(with(song(), "batch_size", 3), "seed", json!([11, 12]));
    let job = fixture.studio.submit(&params).unwrap();
    assert_eq!(job.seeds[..2], [11, 12]);
    assert_eq!(job.seeds.len(), 3);
    let done = fixture.end_of(&job.id);
    assert_eq!(done.state, JobState::Done);
    assert_eq!(done.seeds, job.seeds);
    assert_eq!(done.error, None);
    assert_eq!(codes(&done.notes), ["lyrics_cut"]);
    let songs: Vec<_> = done
        .song_ids
        .iter()
        .map(|id| fixture.studio.song(id).unwrap())
        .collect();
    let seeds: Vec<u32> = songs.iter().map(|song| song.seed).collect();
    assert_eq!(seeds, job.seeds);
    assert_eq!(songs[2].item, 2);
    assert_eq!(songs[2].params.seeds, [job.seeds[2]]);
    let request = fixture.script.lock().unwrap().requests.remove(0);
    assert_eq!(request.seeds, job.seeds);
    assert_eq!(request.params.duration_secs, Some(10.0));
}

#[test]
fn jobs_run_in_order_and_know_their_place() {
    let fixture = ready();
    let keeper = fixture.hold();
    let caption = |name: &str| with(song(), "caption", name);
    let running = fixture.studio.submit(&caption("one")).unwrap();
    keeper.wait();
    let second = fixture.studio.submit(&caption("two")).unwrap();
    let third = fixture.studio.submit(&caption("three")).unwrap();
    let place = |job: &Job| {
        let job = fixture.studio.job(&job.id).unwrap();
        (job.state, job.queue_position)
    };
    assert_eq!(place(&running), (JobState::Running, None));
    assert_eq!(place(&second), (JobState::Queued, Some(1)));
    assert_eq!(place(&third), (JobState::Queued, Some(2)));
    assert_eq!(fixture.studio.status().queue_length, 2);
    let listed = listed(&fixture, 2);
    assert_eq!(listed[..2], [third.id.clone(), second.id.clone()]);

    // A full queue refuses and leaves no trace.
    let refused = told(fixture.studio.submit(&caption("four")).unwrap_err());
    assert_eq!(refused.code, "busy");
    assert_eq!(fixture.studio.jobs(10).unwrap().len(), 3);

    fixture.studio.cancel(&second.id).unwrap();
    assert_eq!(place(&second), (JobState::Cancelled, None));
    assert_eq!(place(&third), (JobState::Queued, Some(1)));
    keeper.open();
    fixture.end_of(&third.id);
    let captions: Vec<String> = fixture
        .script
        .lock()
        .unwrap()
        .requests
        .iter()
        .map(|request| request.params.caption.clone())
        .collect();
    assert_eq!(captions, ["one", "three"]);
}

fn listed(fixture: &Fixture, limit: usize) -> Vec<String> {
    let jobs = fixture.studio.jobs(limit).unwrap();
    jobs.into_iter().map(|job| job.id).collect()
}

#[test]
fn what_is_still_to_be_seen_is_listed_however_much_came_after_it() {
    let fixture = ready();
    let studio = &fixture.studio;
    let failing = || {
        fixture.play([Act::Fail(EngineError::Silent {
            rms: 0.0,
            peak: 0.0,
        })]);
        fixture.run(&song())
    };
    let failed = failing();
    let seen = failing();
    studio.dismiss(&seen.id).unwrap();
    let keeper = fixture.hold();
    let cancelled = studio.submit(&song()).unwrap();
    keeper.wait();
    studio.cancel(&cancelled.id).unwrap();
    keeper.open();
    fixture.end_of(&cancelled.id);
    let done = fixture.run(&song());
    let keeper = fixture.hold();
    let running = studio.submit(&song()).unwrap();
    keeper.wait();
    let removed = studio.submit(&song()).unwrap();
    studio.cancel(&removed.id).unwrap();
    let waiting = studio.submit(&song()).unwrap();
    let newest = studio.submit(&song()).unwrap();
    assert_eq!(
        listed(&fixture, 1),
        [&newest, &waiting, &running, &cancelled, &failed].map(|job| job.id.clone())
    );
    let all = listed(&fixture, 99);
    assert_eq!(all.len(), 8);
    for id in [&seen.id, &done.id, &removed.id] {
        assert!(all.contains(id));
    }
    keeper.open();
    fixture.end_of(&newest.id);
}

#[test]
fn a_run_that_is_cancelled_while_its_last_song_is_saved_keeps_it_and_nothing_follows() {
    let fixture = ready();
    let asked = with(with(song(), "lyrics", "[Verse]\nla la"), "auto_lrc", true);
    let keeper = fixture.hold_at_end();
    let job = fixture.studio.submit(&with(asked, "repeat", 9)).unwrap();
    keeper.wait();
    fixture.studio.cancel(&job.id).unwrap();
    keeper.open();
    let ended = fixture.end_of(&job.id);
    assert_eq!((ended.song_ids.len(), ended.next_job_id), (1, None));
    assert_eq!(codes(&ended.notes), ["lyrics_cut"]);
    assert_eq!(fixture.run(&song()).state, JobState::Done);
    assert_eq!(
        listed(&fixture, 99).len(),
        2,
        "no run and no timing of the lyrics"
    );
}

#[test]
fn what_a_running_job_has_queued_to_go_on_is_cancelled_with_it() {
    let fixture = ready();
    let keeper = fixture.hold();
    let job = fixture.studio.submit(&with(song(), "repeat", 9)).unwrap();
    keeper.wait();
    let next = repeat::follow_up(&fixture, &job).unwrap();
    assert_eq!(next.state, JobState::Queued);
    fixture.studio.cancel(&job.id).unwrap();
    let next = fixture.studio.job(&next.id).unwrap();
    assert_eq!((next.state, next.begun), (JobState::Cancelled, false));
    keeper.open();
    assert_eq!(fixture.end_of(&job.id).state, JobState::Cancelled);
    assert_eq!(fixture.script.lock().unwrap().requests.len(), 1);
}

#[test]
fn a_running_job_stops_at_its_next_step_and_keeps_finished_songs() {
    let fixture = ready();
    let keeper = fixture.hold();
    let job = fixture.studio.submit(&song()).unwrap();
    keeper.wait();
    let asked = fixture.studio.cancel(&job.id).unwrap();
    assert_eq!(asked.state, JobState::Running);
    keeper.open();
    let cancelled = fixture.end_of(&job.id);
    assert_eq!(cancelled.state, JobState::Cancelled);
    assert_eq!((cancelled.error, cancelled.progress), (None, None));
    assert!(cancelled.song_ids.is_empty());
    let again = fixture.studio.cancel(&job.id).unwrap();
    assert_eq!(again.state, JobState::Cancelled);

    let (gate, keeper) = gate();
    fixture.play([Act::WaitAfterOne(gate)]);
    let job = fixture
        .studio
        .submit(&with(song(), "batch_size", 2))
        .unwrap();
    keeper.wait();
    fixture.studio.cancel(&job.id).unwrap();
    keeper.open();
    let cancelled = fixture.end_of(&job.id);
    assert_eq!(cancelled.state, JobState::Cancelled);
    assert_eq!(cancelled.song_ids.len(), 1);
}

#[test]
fn a_job_that_is_done_stays_done_when_it_is_cancelled_too_late() {
    let fixture = ready();
    let job = fixture.studio.submit(&song()).unwrap();
    let done = fixture.end_of(&job.id);
    assert_eq!(done.state, JobState::Done);
    assert_eq!(fixture.studio.cancel(&job.id).unwrap(), done);
}

#[test]
fn progress_of_a_running_job_is_listed() {
    let fixture = ready();
    let keeper = fixture.hold();
    let job = fixture.studio.submit(&song()).unwrap();
    keeper.wait();
    let progress = fixture.studio.job(&job.id).unwrap().progress.unwrap();
    assert_eq!(
        (progress.stage, progress.done, progress.total),
        (Stage::Diffusion, 1, STEPS)
    );
    assert!(progress.fraction > 0.0 && progress.fraction < 1.0);
    keeper.open();
    fixture.end_of(&job.id);
}

#[test]
fn too_little_memory_fails_the_job_and_names_what_to_lower() {
    let fixture = ready();
    fixture.play([Act::Fail(EngineError::OutOfMemory {
        stage: Stage::Diffusion,
        needed: None,
        free: None,
    })]);
    let failed = fixture.run(&with(song(), "batch_size", 2));
    assert_eq!(failed.state, JobState::Failed);
    let error = failed.error.unwrap();
    assert_eq!(error.code, "out_of_memory");
    assert_eq!(error.field.as_deref(), Some("batch_size"));
    assert!(error.hint.contains("takes (now 2)"), "{error}");
    assert!(error.message.contains("diffusion"), "{error}");
    assert_eq!(fixture.run(&song()).state, JobState::Done);
}

#[test]
fn a_panic_fails_the_job_and_the_next_one_runs_on_a_rebuilt_engine() {
    let fixture = ready();
    fixture.play([Act::Panic("shape mismatch")]);
    let failed = fixture.run(&song());
    assert_eq!(failed.state, JobState::Failed);
    let error = failed.error.unwrap();
    assert_eq!(error.code, "internal");
    assert!(error.message.contains("shape mismatch"), "{error}");
    // Queued while the engine is rebuilt or after it.
    let mut watch = fixture.studio.watch();
    wait_for(async {
        while fixture.studio.status().state != ServiceState::Ready
            || fixture.script.lock().unwrap().loaded.len() < 2
        {
            watch.changed().await.unwrap();
        }
    });
    assert_eq!(fixture.run(&song()).state, JobState::Done);
    assert_eq!(fixture.script.lock().unwrap().loaded, [TURBO, TURBO]);
}

#[test]
fn jobs_wait_when_the_engine_cannot_be_rebuilt_and_run_once_it_is() {
    let fixture = ready();
    let keeper = fixture.hold();
    fixture.play([Act::Panic("a defect")]);
    let first = fixture.studio.submit(&song()).unwrap();
    keeper.wait();
    let panicking = fixture.studio.submit(&song()).unwrap();
    let waiting = fixture.studio.submit(&song()).unwrap();
    fixture
        .script
        .lock()
        .unwrap()
        .loads
        .push_back(Act::Panic("another defect"));
    let mut watch = fixture.studio.watch();
    keeper.open();
    fixture.end_of(&first.id);
    assert_eq!(fixture.end_of(&panicking.id).state, JobState::Failed);
    wait_for(async {
        while fixture.studio.status().state != ServiceState::Failed {
            watch.changed().await.unwrap();
        }
    });
    let status = fixture.studio.status();
    assert!(status.error.unwrap().message.contains("another defect"));
    assert_eq!(
        fixture.studio.job(&waiting.id).unwrap().state,
        JobState::Queued
    );
    load(&fixture.studio, TURBO).unwrap();
    assert_eq!(fixture.end_of(&waiting.id).state, JobState::Done);
}

#[test]
fn a_song_that_cannot_be_written_fails_the_job() {
    let fixture = ready();
    let keeper = fixture.hold();
    let job = fixture.studio.submit(&song()).unwrap();
    keeper.wait();
    // The folder goes away under the studio; the library's file is open and goes with it.
    let elsewhere = tempfile::tempdir().unwrap();
    let moved = elsewhere.path().join("moved");
    std::fs::rename(fixture.folder.path(), &moved).unwrap();
    keeper.open();
    let failed = fixture.end_of(&job.id);
    assert_eq!(failed.state, JobState::Failed);
    assert_eq!(failed.error.unwrap().code, "storage");
    assert!(failed.song_ids.is_empty());
}

#[test]
fn what_this_version_cannot_do_is_refused_with_what_it_can() {
    let fixture = fixture();
    load(&fixture.studio, BASE).unwrap();
    let cases = [
        ("audio_codes", json!("<|audio_code_1|>"), "unsupported"),
        ("duration", json!("NaN"), "invalid_value"),
        ("bpm", json!("fast"), "invalid_value"),
    ];
    for (key, value, code) in cases {
        let error = told(
            fixture
                .studio
                .submit(&with(song(), key, value))
                .unwrap_err(),
        );
        assert_eq!(
            (error.code.as_str(), error.field.as_deref()),
            (code, Some(key))
        );
    }
    let error = told(fixture.studio.submit(&json!([1])).unwrap_err());
    assert_eq!(error.code, "invalid_json");
    assert_eq!(fixture.studio.jobs(10).unwrap(), []);
    for missing in [
        fixture.studio.job("nope").map(drop),
        fixture.studio.cancel("nope").map(drop),
        fixture.studio.rerun("nope").map(drop),
        fixture.studio.events("nope", 0).map(drop),
        fixture.studio.song("nope").map(drop),
        fixture.studio.song_file("nope").map(drop),
        fixture
            .studio
            .update_song("nope", None, Some(true))
            .map(drop),
        fixture.studio.delete_song("nope"),
    ] {
        assert_eq!(told(missing.unwrap_err()).code, "not_found");
    }
}

#[test]
fn limits_and_ignored_wishes_are_notes() {
    let fixture = ready();
    let asked = json!({ "caption": "x", "duration": 500, "batch_size": 9, "thinking": true });
    let job = fixture.studio.submit(&asked).unwrap();
    assert_eq!(
        codes(&job.notes),
        [
            "thinking_without_lm",
            "duration_clamped",
            "batch_size_clamped"
        ]
    );
    assert_eq!(
        (job.params.duration_secs, job.seeds.len()),
        (Some(360.0), 4)
    );
    fixture.end_of(&job.id);
    let idle = with(with(song(), "then_generate", true), "song_id", "x");
    let job = fixture.studio.submit(&idle).unwrap();
    assert_eq!(
        codes(&job.notes),
        ["then_generate_unused", "song_id_unused"]
    );
    assert_eq!((job.then_generate, job.source_song_id), (false, None));
    // On by default is no wish.
    assert_eq!(
        codes(&fixture.studio.submit(&song()).unwrap().notes),
        [""; 0]
    );
}

#[test]
fn a_failed_job_runs_again_with_its_seeds_and_a_finished_one_does_not() {
    let fixture = ready();
    fixture.play([Act::Fail(EngineError::Silent {
        rms: 0.0,
        peak: 0.0,
    })]);
    let failed = fixture.run(&with(song(), "batch_size", 2));
    assert_eq!(failed.error.as_ref().unwrap().code, "silent");
    let again = fixture.studio.rerun(&failed.id).unwrap();
    assert_ne!(again.id, failed.id);
    assert_eq!(again.seeds, failed.seeds);
    let done = fixture.end_of(&again.id);
    assert_eq!(done.state, JobState::Done);
    assert_eq!(
        told(fixture.studio.rerun(&done.id).unwrap_err()).code,
        "conflict"
    );
}
