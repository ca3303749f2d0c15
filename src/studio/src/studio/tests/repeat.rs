//! Runs that follow a run by themselves.

use super::*;
use crate::queue::{CancelFlag, Ticket};

/// What the worker queues at the end of `done`.
pub(super) fn follow_up(fixture: &Fixture, done: &Job) -> Option<Job> {
    let ticket = Ticket {
        job_id: done.id.clone(),
        model: TURBO.to_owned(),
        fit: false,
        cancel: CancelFlag::default(),
        span: tracing::Span::none(),
    };
    let shared = fixture.studio.shared();
    shared.follow_up(done, &done.params, &ticket).unwrap()
}

fn keeps_going(repeat: u32) -> Value {
    with(with(song(), "seed", 11), "repeat", repeat)
}

/// The jobs from `first` on, each followed to its end.
fn chain(fixture: &Fixture, first: &str) -> Vec<Job> {
    let mut jobs = vec![fixture.end_of(first)];
    while let Some(next) = jobs.last().and_then(|job| job.next_job_id.clone()) {
        jobs.push(fixture.end_of(&next));
    }
    jobs
}

#[test]
fn runs_follow_with_the_same_settings_and_new_seeds_until_none_is_left() {
    let fixture = ready();
    let first = fixture.studio.submit(&keeps_going(2)).unwrap();
    assert_eq!(first.repeat, 2);
    let jobs = chain(&fixture, &first.id);
    assert_eq!(jobs.len(), 3);
    assert_eq!(jobs[0].seeds, [11]);
    assert!(jobs[1].seeds != jobs[0].seeds && jobs[2].seeds != jobs[1].seeds);
    for job in &jobs {
        assert_eq!(job.state, JobState::Done);
        assert_eq!(job.params.caption, jobs[0].params.caption);
        assert_eq!(job.song_ids.len(), 1);
    }
    let songs = fixture.studio.songs(&crate::SongFilter::default()).unwrap();
    assert_eq!(songs.songs.len(), 3, "every run is an entry of its own");
}

#[test]
fn what_waits_comes_before_the_next_of_them_and_none_is_queued_ahead() {
    let fixture = ready();
    let keeper = fixture.hold();
    let first = fixture.studio.submit(&keeps_going(1)).unwrap();
    keeper.wait();
    assert_eq!(fixture.studio.jobs(10).unwrap().len(), 1);
    let other = fixture.studio.submit(&song()).unwrap();
    keeper.open();
    chain(&fixture, &first.id);
    let order: Vec<String> = fixture
        .studio
        .jobs(10)
        .unwrap()
        .into_iter()
        .rev()
        .map(|job| job.id)
        .collect();
    assert_eq!(order[..2], [first.id.clone(), other.id.clone()]);
    assert_eq!(order.len(), 3);
    let captions = fixture.script.lock().unwrap().requests.len();
    assert_eq!(captions, 3);
}

#[test]
fn one_stop_ends_it_and_so_do_a_cancelled_and_a_failed_run() {
    let fixture = ready();
    let keeper = fixture.hold();
    let first = fixture.studio.submit(&keeps_going(9)).unwrap();
    keeper.wait();
    let stopped = fixture.studio.set_repeat(&first.id, 0).unwrap();
    assert_eq!(stopped.repeat, 0);
    keeper.open();
    let done = fixture.end_of(&first.id);
    assert_eq!((done.state, done.next_job_id), (JobState::Done, None));
    let over = told(fixture.studio.set_repeat(&first.id, 3).unwrap_err());
    assert_eq!(
        (over.code.as_str(), over.hint.as_str()),
        ("conflict", "Start a new run.")
    );

    let keeper = fixture.hold();
    let second = fixture.studio.submit(&keeps_going(9)).unwrap();
    keeper.wait();
    fixture.studio.cancel(&second.id).unwrap();
    keeper.open();
    let cancelled = fixture.end_of(&second.id);
    assert_eq!(
        (cancelled.state, cancelled.next_job_id),
        (JobState::Cancelled, None)
    );

    fixture.play([Act::Panic("the script said so")]);
    let third = fixture.studio.submit(&keeps_going(9)).unwrap();
    let failed = fixture.end_of(&third.id);
    assert_eq!((failed.state, failed.next_job_id), (JobState::Failed, None));
}

#[test]
fn a_stop_that_comes_a_moment_late_stops_the_run_that_followed() {
    let fixture = ready();
    let keeper = fixture.hold();
    let first = fixture.studio.submit(&keeps_going(9)).unwrap();
    keeper.wait();
    let second_keeper = fixture.hold();
    keeper.open();
    fixture.end_of(&first.id);
    second_keeper.wait();
    let stopped = fixture.studio.set_repeat(&first.id, 0).unwrap();
    assert_ne!(stopped.id, first.id);
    second_keeper.open();
    let second = fixture.end_of(&stopped.id);
    assert_eq!((second.state, second.next_job_id), (JobState::Done, None));
}

#[test]
fn a_stop_between_the_next_run_and_the_end_of_this_one_stops_the_next() {
    let fixture = ready();
    let keeper = fixture.hold();
    let first = fixture.studio.submit(&keeps_going(9)).unwrap();
    keeper.wait();
    let next = follow_up(&fixture, &first).unwrap();
    let running = fixture.studio.job(&first.id).unwrap();
    assert_eq!(
        (running.state, running.repeat, next.repeat),
        (JobState::Running, 9, 8),
        "until it ends there is no other word on the page than Stop"
    );
    let stopped = fixture.studio.set_repeat(&first.id, 0).unwrap();
    assert_eq!((stopped.id, stopped.repeat), (next.id, 0));
    fixture.studio.cancel(&first.id).unwrap();
    keeper.open();
    fixture.end_of(&first.id);
}

#[test]
fn one_keeps_going_at_a_time() {
    let fixture = ready();
    let keeper = fixture.hold();
    let first = fixture.studio.submit(&keeps_going(9)).unwrap();
    keeper.wait();
    let other = with(keeps_going(1), "caption", "another song");
    let second = fixture.studio.submit(&other).unwrap();
    keeper.open();
    assert_eq!(fixture.end_of(&first.id).next_job_id, None);
    let jobs = chain(&fixture, &second.id);
    assert_eq!(jobs.len(), 2);
    assert_eq!(jobs[1].params.caption, "another song");
}

#[test]
fn a_running_job_can_be_told_to_keep_going() {
    let fixture = ready();
    let keeper = fixture.hold();
    let first = fixture.studio.submit(&song()).unwrap();
    keeper.wait();
    fixture.studio.set_repeat(&first.id, 1).unwrap();
    keeper.open();
    assert_eq!(chain(&fixture, &first.id).len(), 2);
}

#[test]
fn a_number_of_runs_is_a_number_of_runs() {
    let fixture = ready();
    for wrong in [
        json!(-1),
        json!(1.5),
        json!("many"),
        json!(100),
        json!(true),
    ] {
        let refused = told(
            fixture
                .studio
                .submit(&with(song(), "repeat", wrong.clone()))
                .unwrap_err(),
        );
        assert_eq!(
            (refused.code.as_str(), refused.field.as_deref()),
            ("invalid_value", Some("repeat")),
            "{wrong}"
        );
    }
    for kind in ["encode", "understand", "score"] {
        let keeps = with(with(song(), "kind", kind), "repeat", 1);
        for goes_on in [false, true] {
            let request = with(keeps.clone(), "then_generate", goes_on);
            let refused = told(fixture.studio.submit(&request).unwrap_err());
            assert_eq!(refused.field.as_deref(), Some("repeat"), "{request}");
        }
    }
}

#[test]
fn what_is_clamped_for_one_run_is_asked_for_again_by_the_next() {
    let fixture = ready();
    let studio = &fixture.studio;
    let keeper = fixture.hold();
    let asked = with(keeps_going(2), "batch_size", 4);
    let first = studio.submit(&asked).unwrap();
    keeper.wait();
    // With a language model the card has room for two.
    studio.initialize(with_lm(LM)).unwrap();
    let second_keeper = fixture.hold();
    keeper.open();
    fixture.end_of(&first.id);
    second_keeper.wait();
    studio
        .initialize(ServiceConfig {
            init_llm: Some(false),
            ..asking_for(TURBO)
        })
        .unwrap();
    second_keeper.open();
    let jobs = chain(&fixture, &first.id);
    let takes: Vec<_> = jobs
        .iter()
        .map(|job| (job.params.batch_size, job.seeds.len(), job.song_ids.len()))
        .collect();
    assert_eq!(takes, [(4, 4, 4), (2, 2, 2), (4, 4, 4)]);
    let clamps: Vec<_> = jobs
        .iter()
        .map(|job| {
            let mut told = codes(&job.notes);
            told.retain(|code| *code != "lyrics_cut");
            told
        })
        .collect();
    assert_eq!(clamps, [vec![], vec!["batch_size_clamped"], vec![]]);
}
