//! The log of a job as clients follow it.

use super::*;

fn seqs(events: &[JobEvent]) -> Vec<u64> {
    events.iter().map(|event| event.seq).collect()
}

#[test]
fn two_listeners_hear_the_same_numbers_without_gap_or_repetition() {
    let fixture = ready();
    let keeper = fixture.hold();
    let job = fixture
        .studio
        .submit(&with(song(), "thinking", true))
        .unwrap();
    keeper.wait();
    let listen = |after| {
        let studio = fixture.studio.clone();
        let id = job.id.clone();
        std::thread::spawn(move || follow(&studio, &id, after))
    };
    let (first, second) = (listen(0), listen(0));
    // Both have subscribed before the job goes on or read what it left; either way they agree.
    keeper.open();
    let (first, second) = (first.join().unwrap(), second.join().unwrap());
    let last = fixture.studio.job(&job.id).unwrap().last_seq;
    for events in [&first, &second] {
        assert_eq!(
            states(events),
            [JobState::Queued, JobState::Running, JobState::Done]
        );
        let seqs = seqs(events);
        assert!(seqs.is_sorted_by(|a, b| a < b), "{seqs:?}");
        assert_eq!((seqs[0], *seqs.last().unwrap()), (1, last));
    }
    let notable = |events: &[JobEvent]| -> Vec<JobEvent> {
        events
            .iter()
            .filter(|event| !matches!(event.kind, EventKind::Progress(_)))
            .cloned()
            .collect()
    };
    assert_eq!(notable(&first), notable(&second));
    let kinds: Vec<&str> = first
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::Note { note } => Some(note.code.as_str()),
            EventKind::Song { .. } => Some("song"),
            _ => None,
        })
        .collect();
    assert_eq!(kinds, ["thinking_without_lm", "song", "lyrics_cut"]);
}

#[test]
fn live_events_follow_the_backlog_number_by_number() {
    let fixture = ready();
    let keeper = fixture.hold();
    let job = fixture.studio.submit(&song()).unwrap();
    keeper.wait();
    let mut subscription = fixture.studio.events(&job.id, 0).unwrap();
    let mut last = subscription.backlog.last().unwrap().seq;
    assert_eq!(last, fixture.studio.job(&job.id).unwrap().last_seq);
    keeper.open();
    let mut fractions = Vec::new();
    loop {
        let event = subscription.live.blocking_recv().unwrap();
        assert_eq!(event.seq, last + 1);
        last = event.seq;
        if let EventKind::Progress(progress) = &event.kind {
            fractions.push(progress.fraction);
        }
        if is_end(&event) {
            break;
        }
    }
    assert!(fractions.is_sorted(), "{fractions:?}");
    assert!((fractions.last().unwrap() - 1.0).abs() < 1e-6);
    // The stream ends with the job.
    assert!(subscription.live.blocking_recv().is_err());
}

#[test]
fn a_client_resumes_after_the_last_number_it_saw() {
    let fixture = ready();
    let job = fixture.run(&song());
    let all = follow(&fixture.studio, &job.id, 0);
    let middle = all[all.len() / 2].seq;
    let rest = fixture.studio.events(&job.id, middle).unwrap().backlog;
    let expected: Vec<JobEvent> = all
        .iter()
        .filter(|event| event.seq > middle)
        .cloned()
        .collect();
    assert_eq!(rest, expected);
    for after in [job.last_seq, u64::MAX] {
        let mut nothing = fixture.studio.events(&job.id, after).unwrap();
        assert_eq!(nothing.backlog, []);
        assert!(nothing.live.blocking_recv().is_err(), "the job is over");
    }
}

#[test]
fn of_progress_only_the_last_is_kept() {
    let fixture = ready();
    let keeper = fixture.hold();
    let job = fixture.studio.submit(&song()).unwrap();
    keeper.wait();
    let kept: Vec<_> = fixture
        .studio
        .events(&job.id, 0)
        .unwrap()
        .backlog
        .into_iter()
        .filter_map(|event| match event.kind {
            EventKind::Progress(progress) => Some((progress.stage, progress.done)),
            _ => None,
        })
        .collect();
    assert_eq!(kept, [(Stage::Diffusion, 1)]);
    keeper.open();
    fixture.end_of(&job.id);
}

#[test]
fn the_error_of_a_failed_job_comes_before_its_end() {
    let fixture = ready();
    fixture.play([Act::Panic("oh")]);
    let job = fixture.studio.submit(&song()).unwrap();
    let events = follow(&fixture.studio, &job.id, 0);
    let [.., error, end] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert!(matches!(&error.kind, EventKind::Error { error } if error.code == "internal"));
    assert!(is_end(end));
}
