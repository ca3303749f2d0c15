//! Runs made again, and what is seen of those that ended without their songs.

use acestep_domain::library::Song;

use super::*;
use crate::SongFilter;

#[test]
fn one_that_is_asked_to_stop_says_so_until_it_has_and_stays_in_view_until_it_is_put_away() {
    let fixture = ready();
    let studio = &fixture.studio;
    let keeper = fixture.hold();
    let job = studio.submit(&song()).unwrap();
    keeper.wait();
    assert!(!studio.job(&job.id).unwrap().cancelling);
    let early = told(studio.dismiss(&job.id).unwrap_err());
    assert_eq!(early.code, "conflict");

    let mut watch = studio.watch();
    watch.mark_unchanged();
    let asked = studio.cancel(&job.id).unwrap();
    assert!(
        watch.has_changed().unwrap(),
        "every page hears of it at once"
    );
    assert_eq!(asked.state, JobState::Running);
    assert!(asked.cancelling && asked.begun);
    keeper.open();
    let ended = fixture.end_of(&job.id);
    assert_eq!(ended.state, JobState::Cancelled);
    assert!(ended.begun && !ended.cancelling && !ended.dismissed);
    assert!(studio.dismiss(&job.id).unwrap().dismissed);
    assert!(studio.jobs(9).unwrap()[0].dismissed);

    let again = studio.rerun(&job.id).unwrap();
    assert_eq!(again.seeds, job.seeds);
    assert!(!again.dismissed);
}

#[test]
fn what_is_queued_again_is_put_away_and_what_never_ran_is_told_apart() {
    let fixture = ready();
    let studio = &fixture.studio;
    fixture.play([Act::Panic("the script said so")]);
    let failed = fixture.run(&song());
    assert!(failed.begun && !failed.dismissed);
    let keeper = fixture.hold();
    let again = studio.rerun(&failed.id).unwrap();
    assert!(studio.job(&failed.id).unwrap().dismissed);
    keeper.wait();
    let waiting = studio.submit(&song()).unwrap();
    let removed = studio.cancel(&waiting.id).unwrap();
    assert_eq!((removed.state, removed.begun), (JobState::Cancelled, false));
    keeper.open();
    fixture.end_of(&again.id);
}

#[test]
fn a_waiting_job_takes_another_place() {
    let fixture = ready();
    let studio = &fixture.studio;
    let keeper = fixture.hold();
    let running = studio.submit(&song()).unwrap();
    keeper.wait();
    let one = studio.submit(&with(song(), "caption", "one")).unwrap();
    let two = studio.submit(&with(song(), "caption", "two")).unwrap();
    let moved = studio.move_job(&two.id, 1).unwrap();
    assert_eq!(moved.queue_position, Some(1));
    assert_eq!(studio.job(&one.id).unwrap().queue_position, Some(2));
    // Beyond the end is the end.
    studio.move_job(&two.id, 9).unwrap();
    assert_eq!(studio.job(&two.id).unwrap().queue_position, Some(2));
    studio.move_job(&two.id, 1).unwrap();
    let busy = told(studio.move_job(&running.id, 1).unwrap_err());
    assert_eq!(busy.code, "conflict");
    let nobody = told(studio.move_job("nobody", 1).unwrap_err());
    assert_eq!(nobody.code, "not_found");
    keeper.open();
    fixture.end_of(&one.id);
    let made: Vec<String> = fixture
        .script
        .lock()
        .unwrap()
        .requests
        .iter()
        .map(|request| request.params.caption.clone())
        .collect();
    assert_eq!(made[1..], ["two", "one"]);
}

#[test]
fn a_song_made_once_more_keeps_what_was_asked_and_what_was_written_for_it() {
    let fixture = ready_with_lm();
    let studio = &fixture.studio;
    let asked = json!({ "caption": "", "batch_size": 2, "seed": [5, 6], "audio_format": "wav" });
    let job = fixture.run(&asked);
    let first = studio.song(&job.song_ids[1]).unwrap();
    assert!(first.plan.is_some() && !first.audio_codes.is_empty());
    let renamed = studio
        .update_song(&first.id, Some("Mine".to_owned()), None)
        .unwrap();

    let keeper = fixture.hold();
    let again = studio.recreate(&first.id).unwrap();
    assert_eq!(
        (again.seeds.as_slice(), again.params.batch_size),
        (&[6][..], 1)
    );
    keeper.wait();
    let needed = told(studio.delete_song(&first.id).unwrap_err());
    assert_eq!(needed.code, "conflict");
    keeper.open();
    let again = fixture.end_of(&again.id);
    assert_eq!(again.state, JobState::Done, "{:?}", again.error);
    let second = studio.song(&again.song_ids[0]).unwrap();
    let kept = |song: &Song| {
        (
            song.title.clone(),
            song.params.clone(),
            song.plan.clone(),
            song.audio_codes.clone(),
            song.seed,
            song.provenance.clone(),
        )
    };
    assert_eq!(kept(&second), kept(&renamed));

    let requests = fixture.script.lock().unwrap().requests.clone();
    let [then, now] = requests.as_slice() else {
        panic!("two runs");
    };
    assert_eq!(now.seeds, [6]);
    assert_eq!(now.params.bpm, then.params.bpm);
    assert_eq!(now.params.audio_codes, first.audio_codes);
    assert!(!now.params.lm_plans() && !now.params.lm_writes_codes());
    let none = told(studio.recreate("nobody").unwrap_err());
    assert_eq!(none.code, "not_found");
}

#[test]
fn a_song_made_once_more_without_the_model_that_planned_it_has_its_length() {
    let fixture = ready_with_lm();
    let studio = &fixture.studio;
    let asked = json!({
        "caption": "rain", "thinking": false, "batch_size": 1, "audio_format": "wav"
    });
    let job = fixture.run(&asked);
    assert_eq!(job.params.duration_secs, None);
    let off = ServiceConfig {
        init_llm: Some(false),
        ..asking_for(TURBO)
    };
    wait_for(studio.initialize_and_wait(off)).unwrap();
    let again = studio.recreate(&job.song_ids[0]).unwrap();
    let again = fixture.end_of(&again.id);
    assert_eq!(
        (again.state, again.params.duration_secs),
        (JobState::Done, None)
    );
    assert_eq!(codes(&again.notes), ["lyrics_cut"]);
    let request = fixture.script.lock().unwrap().requests.pop().unwrap();
    assert_eq!(request.params.duration_secs, Some(20.0));
}

#[test]
fn a_search_finds_a_song_by_its_seed_and_by_its_words() {
    let fixture = ready();
    fixture.run(&with(
        with(song(), "seed", 24_161_479),
        "lyrics",
        "[Verse]\nover the harbour",
    ));
    fixture.run(&with(song(), "seed", 7));
    let found = |query: &str| {
        let filter = SongFilter {
            query: Some(query.to_owned()),
            ..SongFilter::default()
        };
        fixture.studio.songs(&filter).unwrap().songs.len()
    };
    for (query, songs) in [
        ("24161479", 1),
        ("harbour piano", 1),
        ("lofi", 2),
        ("999", 0),
    ] {
        assert_eq!(found(query), songs, "{query}");
    }
}
