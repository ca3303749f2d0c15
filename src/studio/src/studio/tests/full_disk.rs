//! A library that cannot be written for a while, as on a full disk: jobs end all the same.

use super::*;

impl Fixture {
    /// The database refuses to be written, or takes writes again.
    fn refuse_writes(&self, refused: bool) {
        let store = &self.studio.shared().store;
        let set = |db: &rusqlite::Connection| Ok(db.pragma_update(None, "query_only", refused)?);
        store.read(set).unwrap();
    }

    /// What the database itself holds.
    fn recorded(&self, id: &str) -> Job {
        let store = &self.studio.shared().store;
        store.read(|db| crate::jobs::find(db, id)).unwrap()
    }
}

/// A job whose song and end could not be written.
fn failed() -> (Fixture, Job) {
    let fixture = ready();
    let keeper = fixture.hold();
    let job = fixture.studio.submit(&song()).unwrap();
    keeper.wait();
    fixture.refuse_writes(true);
    keeper.open();
    let job = fixture.end_of(&job.id);
    (fixture, job)
}

#[test]
fn a_job_whose_end_cannot_be_recorded_is_failed_at_once_and_can_be_cancelled() {
    let (fixture, job) = failed();
    assert_eq!(job.state, JobState::Failed);
    assert_eq!(job.error.as_ref().unwrap().code, "storage");
    assert_eq!(job.progress, None);
    assert_eq!(fixture.recorded(&job.id).state, JobState::Running);
    assert_eq!(fixture.studio.jobs(9).unwrap()[0].state, JobState::Failed);
    assert_eq!(
        fixture.studio.cancel(&job.id).unwrap().state,
        JobState::Failed
    );
    // Whoever comes later is told the same, and nothing more is awaited.
    let events = follow(&fixture.studio, &job.id, 0);
    assert_eq!(states(&events).last(), Some(&JobState::Failed));
    assert_eq!(events.last().unwrap().seq, job.last_seq);
    let refused = fixture.studio.dismiss(&job.id).unwrap_err();
    assert_eq!(told(refused).code, "storage");
}

#[test]
fn the_end_is_recorded_as_soon_as_the_database_can_be_written() {
    let (fixture, job) = failed();
    fixture.refuse_writes(false);
    fixture.studio.status();
    let recorded = fixture.recorded(&job.id);
    assert_eq!(recorded.state, JobState::Failed);
    assert_eq!(recorded.error, job.error);
    assert_eq!(recorded.last_seq, job.last_seq);
    assert_eq!(fixture.studio.job(&job.id).unwrap(), recorded);
    assert!(fixture.studio.dismiss(&job.id).unwrap().dismissed);

    // The next write does as well.
    let (fixture, job) = failed();
    fixture.refuse_writes(false);
    assert_eq!(fixture.run(&song()).state, JobState::Done);
    assert_eq!(fixture.recorded(&job.id).state, JobState::Failed);
}

#[test]
fn an_upload_that_cannot_be_recorded_leaves_no_file() {
    let fixture = ready();
    fixture.refuse_writes(true);
    let sound = super::recordings::wav(1.0, 0.5);
    let refused = told(fixture.send("a.wav", &sound).unwrap_err());
    assert_eq!(refused.code, "storage");
    assert_eq!(fixture.upload_files(), 0);
    fixture.refuse_writes(false);
    fixture.send("a.wav", &sound).unwrap();
    assert_eq!(fixture.upload_files(), 1);
}

#[test]
fn a_waiting_job_is_cancelled_on_a_full_disk() {
    let fixture = ready();
    let keeper = fixture.hold();
    fixture.studio.submit(&song()).unwrap();
    keeper.wait();
    let waiting = fixture.studio.submit(&song()).unwrap();
    fixture.refuse_writes(true);
    let cancelled = fixture.studio.cancel(&waiting.id).unwrap();
    assert_eq!(cancelled.state, JobState::Cancelled);
    assert_eq!(cancelled.queue_position, None);
    fixture.refuse_writes(false);
    keeper.open();
}
