//! What a stopped or killed program leaves, and what the next one makes of it.

use super::*;
use crate::{paths::Paths, song_file};

/// The folder as a killed program would leave it: copied while it is in use.
fn as_killed(folder: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_file() {
            std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    copy
}

#[test]
fn jobs_of_a_killed_program_are_interrupted_and_run_again_with_their_seeds() {
    let fixture = ready();
    let done = fixture.run(&song());
    let keeper = fixture.hold();
    let running = fixture
        .studio
        .submit(&with(song(), "batch_size", 2))
        .unwrap();
    keeper.wait();
    let queued = fixture.studio.submit(&song()).unwrap();
    let seen = fixture.studio.job(&running.id).unwrap().last_seq;
    let folder = as_killed(fixture.folder.path());
    keeper.open();

    let (studio, script) = open(folder.path()).unwrap();
    assert_eq!(studio.job(&done.id).unwrap().state, JobState::Done);
    for id in [&running.id, &queued.id] {
        let job = studio.job(id).unwrap();
        assert_eq!(job.state, JobState::Interrupted);
        assert_eq!((job.queue_position, job.progress), (None, None));
    }
    let begun = |id: &str| studio.job(id).unwrap().begun;
    assert!(
        begun(&running.id) && !begun(&queued.id),
        "only one lost work"
    );
    let missed = studio.events(&running.id, seen).unwrap().backlog;
    assert_eq!(states(&missed), [JobState::Interrupted]);
    assert!(missed[0].seq > seen);

    assert_eq!(
        told(studio.rerun(&running.id).unwrap_err()).code,
        "not_ready"
    );
    load(&studio, TURBO).unwrap();
    let again = studio.rerun(&running.id).unwrap();
    assert_eq!(again.seeds, running.seeds);
    assert_eq!(again.params, running.params);
    assert_eq!(
        states(&follow(&studio, &again.id, 0)).last(),
        Some(&JobState::Done)
    );
    assert_eq!(script.lock().unwrap().requests[0].seeds, running.seeds);
}

#[test]
fn a_kill_between_encoding_and_renaming_leaves_neither_row_nor_half_a_file() {
    let fixture = ready();
    let job = fixture.run(&song());
    let whole = fixture.file_names();
    let folder = as_killed(fixture.folder.path());
    let paths = Paths::new(folder.path().to_owned());
    let mut half = fixture.studio.song(&job.song_ids[0]).unwrap();
    half.id = "0197a8c2-31f0-7abc-8def-0123456789ab".to_owned();
    let staged = song_file::stage(&paths, &mut half, &take(0, 1).audio).unwrap();
    assert!(half.size_bytes > 0);
    std::mem::forget(staged);
    assert_eq!(file_names(folder.path()).len(), whole.len() + 2);

    let (studio, _) = open(folder.path()).unwrap();
    assert_eq!(file_names(folder.path()), whole);
    let songs = studio.songs(&crate::SongFilter::default()).unwrap().songs;
    let ids: Vec<&str> = songs.iter().map(|song| song.id.as_str()).collect();
    assert_eq!(ids, [&job.song_ids[0]]);
}

#[test]
fn a_song_that_is_not_published_is_removed() {
    let fixture = ready();
    let job = fixture.run(&song());
    let before = fixture.file_names();
    let paths = Paths::new(fixture.folder.path().to_owned());
    let mut other = fixture.studio.song(&job.song_ids[0]).unwrap();
    other.id = "other".to_owned();
    drop(song_file::stage(&paths, &mut other, &take(0, 1).audio).unwrap());
    assert_eq!(fixture.file_names(), before);
}

#[test]
fn a_stopped_studio_interrupts_what_runs_and_what_waits() {
    let fixture = ready();
    let keeper = fixture.hold();
    let running = fixture.studio.submit(&song()).unwrap();
    keeper.wait();
    let waiting = fixture.studio.submit(&song()).unwrap();
    let (studio, id) = (fixture.studio.clone(), running.id.clone());
    let mut end = studio.events(&id, u64::MAX).unwrap().live;
    let stopping = std::thread::spawn(move || studio.shutdown());
    // The waiting job is interrupted first, so the running one has been asked to stop by then.
    follow(&fixture.studio, &waiting.id, 0);
    keeper.open();
    stopping.join().unwrap();
    assert!(is_end(&end.blocking_recv().unwrap()));
    for id in [&running.id, &waiting.id] {
        assert_eq!(fixture.studio.job(id).unwrap().state, JobState::Interrupted);
    }
    assert_eq!(
        told(fixture.studio.initialize(asking_for(TURBO)).unwrap_err()).code,
        "not_ready"
    );
}

#[test]
fn one_studio_at_a_time_uses_a_folder() {
    let fixture = ready();
    let error = told(open(fixture.folder.path()).map(drop).unwrap_err());
    assert_eq!(error.code, "storage");
    assert!(error.message.contains("Another studio"), "{error}");
    let Fixture { studio, folder, .. } = fixture;
    drop(studio);
    open(folder.path()).unwrap();
}

#[test]
fn a_damaged_library_is_told_as_such() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("library.sqlite"), [7; 8192]).unwrap();
    let error = told(open(folder.path()).map(drop).unwrap_err());
    assert_eq!(error.code, "storage");
    assert!(error.message.contains("damaged"), "{error}");
}

#[test]
fn songs_the_library_does_not_know_are_taken_in_and_renamed_ones_found_again() {
    let fixture = ready_with_lm();
    let made = fixture.run(&with(song(), "seed", 9));
    let id = made.song_ids[0].clone();
    let before = fixture.studio.song(&id).unwrap();
    let killed = as_killed(fixture.folder.path());
    // As if the program had died after naming the song and before recording it.
    for name in ["library.sqlite", "library.sqlite-wal", "library.sqlite-shm"] {
        std::fs::remove_file(killed.path().join(name)).ok();
    }
    std::fs::write(killed.path().join("notes.json"), "{}").unwrap();
    std::fs::write(killed.path().join("notes.wav"), "mine").unwrap();
    let (studio, _script) = open(killed.path()).unwrap();
    let found = studio.song(&id).unwrap();
    assert_eq!(
        (&found.params, &found.plan, &found.title, found.seed),
        (&before.params, &before.plan, &before.title, 9)
    );
    assert_eq!(
        (found.peaks.len(), found.size_bytes),
        (256, before.size_bytes)
    );
    assert_eq!(
        studio
            .songs(&crate::SongFilter::default())
            .unwrap()
            .songs
            .len(),
        1
    );
    let file = studio.song_file(&id).unwrap();
    drop(studio);

    let renamed = file.with_file_name("Evening.wav");
    std::fs::rename(&file, &renamed).unwrap();
    std::fs::rename(file.with_extension("json"), renamed.with_extension("json")).unwrap();
    let (studio, _script) = open(killed.path()).unwrap();
    assert_eq!(studio.song_file(&id).unwrap(), renamed);
    assert_eq!(
        studio
            .songs(&crate::SongFilter::default())
            .unwrap()
            .songs
            .len(),
        1
    );
}
