//! Jobs as kept in the database. Every change of state passes through [`advance`].

use std::collections::BTreeMap;

use acestep_domain::{
    GenerationParams, Note, SongPlan, UserError,
    event::{EventKind, JobEvent, Progress},
    job::{Job, JobKind, JobState},
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Serialize, de::DeserializeOwned};

use crate::error::{Error, Result};

const COLUMNS: &str = "id, state, created_at, params, seeds, notes, error, last_seq, kind, plan, audio_codes, source_song_id, then_generate, next_job_id, repeat, dismissed";

/// A job to be stored.
#[derive(Debug)]
pub(crate) struct NewJob<'a> {
    pub(crate) id: &'a str,
    pub(crate) kind: JobKind,
    pub(crate) source_song_id: Option<&'a str>,
    pub(crate) then_generate: bool,
    pub(crate) repeat: u32,
    pub(crate) created_at: &'a str,
    pub(crate) params: &'a GenerationParams,
    pub(crate) seeds: &'a [u32],
    pub(crate) notes: &'a [Note],
}

pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String> {
    Ok(serde_json::to_string(value)?)
}

pub(crate) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T> {
    Ok(serde_json::from_str(text)?)
}

/// Whether a waiting or running job names the recording `id`.
pub(crate) fn need(db: &Connection, id: &str) -> Result<bool> {
    Ok(db
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM jobs WHERE state IN ('queued', 'running')
             AND (instr(params, ?1) > 0 OR source_song_id = ?1))",
        )?
        .query_row([id], |row| row.get(0))?)
}

/// Refuses to remove the recording `id`, called `name`, while a job names it.
pub(crate) fn refuse_if_needed(db: &Connection, id: &str, name: &str) -> Result<()> {
    if need(db, id)? {
        return Err(Error::Conflict {
            what: format!("A job needs {name}."),
            hint: "Wait for it, or cancel it first.",
        });
    }
    Ok(())
}

/// Stores a job as queued.
pub(crate) fn insert(db: &Connection, job: &NewJob<'_>) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO jobs
             (id, state, created_at, params, seeds, notes, kind, source_song_id, then_generate,
              repeat)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?
    .execute(params![
        job.id,
        JobState::Queued.as_str(),
        job.created_at,
        to_json(job.params)?,
        to_json(&job.seeds)?,
        to_json(&job.notes)?,
        job.kind.as_str(),
        job.source_song_id,
        job.then_generate,
        job.repeat,
    ])?;
    Ok(())
}

/// The job's state.
pub(crate) fn state(db: &Connection, id: &str) -> Result<JobState> {
    let name: Option<String> = db
        .prepare_cached("SELECT state FROM jobs WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    JobState::from_name(&name.ok_or_else(|| Error::no_job(id))?).ok_or_else(|| Error::no_job(id))
}

/// Moves the job on, if its state allows it.
pub(crate) fn advance(db: &Connection, id: &str, next: JobState) -> Result<()> {
    let now = state(db, id)?;
    if !now.allows(next) {
        return Err(no_move(now, next));
    }
    db.prepare_cached("UPDATE jobs SET state = ?2 WHERE id = ?1")?
        .execute([id, next.as_str()])?;
    Ok(())
}

/// A state does not follow on another.
pub(crate) fn no_move(now: JobState, next: JobState) -> Error {
    Error::Conflict {
        what: format!(
            "The job is {} and cannot become {}.",
            now.as_str(),
            next.as_str()
        ),
        hint: "Start a new job.",
    }
}

/// Keeps why the job failed.
pub(crate) fn set_error(db: &Connection, id: &str, error: &UserError) -> Result<()> {
    db.prepare_cached("UPDATE jobs SET error = ?2 WHERE id = ?1")?
        .execute([id, &to_json(error)?])?;
    Ok(())
}

/// Keeps what the language model wrote.
pub(crate) fn set_plan(db: &Connection, id: &str, plan: &SongPlan) -> Result<()> {
    db.prepare_cached("UPDATE jobs SET plan = ?2 WHERE id = ?1")?
        .execute([id, &to_json(plan)?])?;
    Ok(())
}

/// Keeps the codes that were heard.
pub(crate) fn set_audio_codes(db: &Connection, id: &str, codes: &str) -> Result<()> {
    db.prepare_cached("UPDATE jobs SET audio_codes = ?2 WHERE id = ?1")?
        .execute([id, codes])?;
    Ok(())
}

/// How the job ended was seen; refused while it has not.
pub(crate) fn dismiss(db: &Connection, id: &str) -> Result<()> {
    let now = state(db, id)?;
    if !now.is_final() {
        return Err(Error::Conflict {
            what: format!("The job is {}.", now.as_str()),
            hint: "Wait for it, or cancel it first.",
        });
    }
    db.prepare_cached("UPDATE jobs SET dismissed = 1 WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

/// Names the job that goes on with this one's result.
pub(crate) fn set_next(db: &Connection, id: &str, next: &str) -> Result<()> {
    db.prepare_cached("UPDATE jobs SET next_job_id = ?2 WHERE id = ?1")?
        .execute([id, next])?;
    Ok(())
}

/// The job itself, or the last of those that followed it.
pub(crate) fn last_of(db: &Connection, id: &str) -> Result<String> {
    let mut last = id.to_owned();
    loop {
        let next: Option<Option<String>> = db
            .prepare_cached("SELECT next_job_id FROM jobs WHERE id = ?1")?
            .query_row([&last], |row| row.get(0))
            .optional()?;
        match next.ok_or_else(|| Error::no_job(&last))? {
            Some(next) => last = next,
            None => return Ok(last),
        }
    }
}

/// Changes how many runs follow the job; refused when it is over.
pub(crate) fn set_repeat(db: &Connection, id: &str, repeat: u32) -> Result<()> {
    let now = state(db, id)?;
    if now.is_final() {
        return Err(Error::Conflict {
            what: format!(
                "The job is {} already, and no run follows it.",
                now.as_str()
            ),
            hint: "Start a new run.",
        });
    }
    if repeat > 0 {
        end_repeats(db)?;
    }
    db.prepare_cached("UPDATE jobs SET repeat = ?2 WHERE id = ?1")?
        .execute(params![id, repeat])?;
    Ok(())
}

/// No run follows any job: one keeps going at a time, so that one stop ends it.
pub(crate) fn end_repeats(db: &Connection) -> Result<()> {
    db.prepare_cached("UPDATE jobs SET repeat = 0 WHERE state IN ('queued', 'running')")?
        .execute([])?;
    Ok(())
}

/// How many runs follow the job.
pub(crate) fn repeat(db: &Connection, id: &str) -> Result<u32> {
    let repeat = db
        .prepare_cached("SELECT repeat FROM jobs WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    repeat.ok_or_else(|| Error::no_job(id))
}

/// Replaces what is settled anew when the job's turn comes.
pub(crate) fn set_settled(
    db: &Connection,
    id: &str,
    params: &GenerationParams,
    seeds: &[u32],
    notes: &[Note],
) -> Result<()> {
    db.prepare_cached("UPDATE jobs SET params = ?2, seeds = ?3, notes = ?4 WHERE id = ?1")?
        .execute([id, &to_json(params)?, &to_json(&seeds)?, &to_json(&notes)?])?;
    Ok(())
}

/// Adds what a run told at its end.
pub(crate) fn add_notes(db: &Connection, id: &str, notes: &[Note]) -> Result<()> {
    if notes.is_empty() {
        return Ok(());
    }
    let mut all = find(db, id)?.notes;
    all.extend_from_slice(notes);
    db.prepare_cached("UPDATE jobs SET notes = ?2 WHERE id = ?1")?
        .execute([id, &to_json(&all)?])?;
    Ok(())
}

/// Appends to the job's log and gives the events their numbers. Of progress only the last is kept.
pub(crate) fn log(db: &Connection, id: &str, kinds: Vec<EventKind>) -> Result<Vec<JobEvent>> {
    // SQLite's integers are signed; a log never gets near their end.
    let last: i64 = db
        .prepare_cached("SELECT last_seq FROM jobs WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?
        .ok_or_else(|| Error::no_job(id))?;
    let mut seq = last as u64;
    let mut events = Vec::with_capacity(kinds.len());
    for kind in kinds {
        seq += 1;
        let is_progress = matches!(kind, EventKind::Progress(_));
        if is_progress {
            db.prepare_cached("DELETE FROM events WHERE job_id = ?1 AND is_progress = 1")?
                .execute([id])?;
        }
        db.prepare_cached(
            "INSERT INTO events (job_id, seq, is_progress, body) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![id, seq as i64, is_progress, to_json(&kind)?])?;
        events.push(JobEvent { seq, kind });
    }
    db.prepare_cached("UPDATE jobs SET last_seq = ?2 WHERE id = ?1")?
        .execute(params![id, seq as i64])?;
    Ok(events)
}

/// The kept log after `after`, in order.
pub(crate) fn log_after(db: &Connection, id: &str, after: u64) -> Result<Vec<JobEvent>> {
    // A number above SQLite's integers is after everything.
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let mut statement = db.prepare_cached(
        "SELECT seq, body FROM events WHERE job_id = ?1 AND seq > ?2 ORDER BY seq",
    )?;
    let mut rows = statement.query(params![id, after])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(JobEvent {
            seq: row.get::<_, i64>(0)? as u64,
            kind: from_json(&row.get::<_, String>(1)?)?,
        });
    }
    Ok(events)
}

/// The job as listed; its place in the queue is the caller's to add.
pub(crate) fn find(db: &Connection, id: &str) -> Result<Job> {
    let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM jobs WHERE id = ?1"))?;
    let mut rows = statement.query([id])?;
    let row = rows.next()?.ok_or_else(|| Error::no_job(id))?;
    read(db, row)
}

/// The newest `limit` jobs, and of the older ones those that are still to be seen: what is not over, and what
/// ended without its songs and was not put away. What was taken out of the queue was meant so. Newest first.
pub(crate) fn newest(db: &Connection, limit: usize) -> Result<Vec<Job>> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM jobs
         WHERE rowid IN (SELECT rowid FROM jobs ORDER BY rowid DESC LIMIT ?1)
             OR (state <> 'done' AND dismissed = 0 AND (state <> 'cancelled'
                 OR EXISTS (SELECT 1 FROM events WHERE job_id = jobs.id AND body = ?2)))
         ORDER BY rowid DESC"
    ))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![limit, begins()?])?;
    let mut jobs = Vec::new();
    while let Some(row) = rows.next()? {
        jobs.push(read(db, row)?);
    }
    Ok(jobs)
}

/// How many jobs are in each state, by its name.
pub(crate) fn count(db: &Connection) -> Result<BTreeMap<&'static str, usize>> {
    let mut statement = db.prepare_cached("SELECT state, COUNT(*) FROM jobs GROUP BY state")?;
    let mut rows = statement.query([])?;
    let mut counts = BTreeMap::new();
    while let Some(row) = rows.next()? {
        if let Some(state) = JobState::from_name(&row.get::<_, String>(0)?) {
            let jobs: i64 = row.get(1)?;
            counts.insert(state.as_str(), usize::try_from(jobs).unwrap_or(0));
        }
    }
    Ok(counts)
}

/// Ids of the jobs that a stopped program left behind, oldest first.
pub(crate) fn unfinished(db: &Connection) -> Result<Vec<String>> {
    let mut statement = db.prepare_cached(
        "SELECT id FROM jobs WHERE state IN ('queued', 'running') ORDER BY rowid",
    )?;
    let ids = statement.query_map([], |row| row.get(0))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

/// Songs that the job has made, by place in the batch.
pub(crate) fn song_ids(db: &Connection, id: &str) -> Result<Vec<String>> {
    Ok(db
        .prepare_cached("SELECT id FROM songs WHERE job_id = ?1 ORDER BY item")?
        .query_map([id], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?)
}

fn read(db: &Connection, row: &Row<'_>) -> Result<Job> {
    let text = |index: usize| row.get::<_, String>(index);
    let id = text(0)?;
    let state = JobState::from_name(&text(1)?).ok_or_else(|| Error::no_job(&id))?;
    Ok(Job {
        state,
        created_at: text(2)?,
        queue_position: None,
        expected_secs: None,
        cancelling: false,
        begun: state == JobState::Running || has_begun(db, &id)?,
        dismissed: row.get(15)?,
        params: from_json(&text(3)?)?,
        seeds: from_json(&text(4)?)?,
        notes: from_json(&text(5)?)?,
        progress: if state == JobState::Running {
            last_progress(db, &id)?
        } else {
            None
        },
        song_ids: song_ids(db, &id)?,
        error: row
            .get::<_, Option<String>>(6)?
            .map(|text| from_json(&text))
            .transpose()?,
        last_seq: row.get::<_, i64>(7)? as u64,
        kind: JobKind::from_name(&text(8)?).unwrap_or_default(),
        plan: row
            .get::<_, Option<String>>(9)?
            .map(|text| from_json(&text))
            .transpose()?,
        audio_codes: text(10)?,
        source_song_id: row.get(11)?,
        then_generate: row.get(12)?,
        next_job_id: row.get(13)?,
        repeat: row.get(14)?,
        id,
    })
}

/// Whether the job ever ran, by its log.
fn has_begun(db: &Connection, id: &str) -> Result<bool> {
    Ok(db
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM events WHERE job_id = ?1 AND body = ?2)")?
        .query_row([id, begins()?.as_str()], |row| row.get(0))?)
}

/// The event of a job whose turn has come, as it stands in its log.
fn begins() -> Result<String> {
    to_json(&EventKind::State {
        state: JobState::Running,
    })
}

fn last_progress(db: &Connection, id: &str) -> Result<Option<Progress>> {
    let body: Option<String> = db
        .prepare_cached("SELECT body FROM events WHERE job_id = ?1 AND is_progress = 1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    Ok(match body.map(|text| from_json(&text)).transpose()? {
        Some(EventKind::Progress(progress)) => Some(progress),
        _ => None,
    })
}
