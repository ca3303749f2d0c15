//! A task of the official program: one job, or one of the language model and the songs that follow it.

use acestep_domain::{
    UserError,
    event::Progress,
    job::{Job, JobKind, JobState},
};
use acestep_studio::Studio;
use tokio::sync::broadcast::error::RecvError;

use crate::api::error::Result;

/// Share of a task that the language model's part of it counts for.
const WORDS: f32 = 0.1;

/// How a task stands.
#[derive(Debug)]
pub(super) struct Task {
    /// The job that was asked for.
    pub(super) asked: Job,
    /// The songs that followed it.
    followed: Option<Job>,
}

/// How a task stands, in the numbers of the official program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    /// It waits or runs.
    Underway,
    /// All is there.
    Succeeded,
    /// It came to nothing.
    Failed,
}

impl Task {
    /// The task of that id.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn find(studio: &Studio, id: &str) -> Result<Self> {
        let asked = studio.job(id)?;
        let next = asked
            .next_job_id
            .as_deref()
            .filter(|_| asked.then_generate && asked.kind.may_go_on());
        let followed = next.map(|next| studio.job(next)).transpose()?;
        Ok(Self { asked, followed })
    }

    /// The task once it is over.
    ///
    /// # Errors
    /// When there is none of that id.
    pub(super) async fn ended(studio: &Studio, id: &str) -> Result<Self> {
        loop {
            let task = Self::find(studio, id)?;
            if task.status() != Status::Underway {
                return Ok(task);
            }
            let mut live = studio.events(&task.now().id, u64::MAX)?.live;
            // It closes behind the final state; one that ended meanwhile is closed already.
            while !matches!(live.recv().await, Err(RecvError::Closed)) {}
        }
    }

    /// The job that it is about now.
    pub(super) fn now(&self) -> &Job {
        self.followed.as_ref().unwrap_or(&self.asked)
    }

    /// The songs are still to follow.
    fn waits_for_songs(&self) -> bool {
        self.asked.then_generate && self.followed.is_none()
    }

    pub(super) fn status(&self) -> Status {
        match self.now().state {
            JobState::Queued | JobState::Running => Status::Underway,
            JobState::Done if self.waits_for_songs() => Status::Failed,
            JobState::Done => Status::Succeeded,
            JobState::Failed | JobState::Cancelled | JobState::Interrupted => Status::Failed,
        }
    }

    /// Why it came to nothing.
    pub(super) fn why(&self) -> Option<UserError> {
        if self.status() != Status::Failed {
            return None;
        }
        let job = self.now();
        if let Some(error) = &job.error {
            return Some(error.clone());
        }
        let (code, message, hint) = match job.state {
            JobState::Cancelled => (
                "cancelled",
                "The job was cancelled.".to_owned(),
                "Send it again to have it made.",
            ),
            JobState::Interrupted => (
                "interrupted",
                "The program ended before the job did.".to_owned(),
                "Send it again.",
            ),
            _ => {
                let notes = job.notes.iter();
                let mut said = notes.filter(|note| note.code == "not_generated");
                // The note says what to do as well.
                let told = said.next().map(|note| (note.message.clone(), ""));
                let unknown = || {
                    (
                        "The song was written but not made.".to_owned(),
                        "Send it again.",
                    )
                };
                let (message, hint) = told.unwrap_or_else(unknown);
                ("not_generated", message, hint)
            }
        };
        Some(UserError::new(code, message, hint))
    }

    /// Share that is done, 0 to 1.
    pub(super) fn fraction(&self) -> f32 {
        let of_job = |job: &Job| match (job.state, &job.progress) {
            (JobState::Done, _) => 1.0,
            (_, Some(progress)) => progress.fraction,
            (_, None) => 0.0,
        };
        match &self.followed {
            Some(songs) => WORDS + (1.0 - WORDS) * of_job(songs),
            None if self.asked.then_generate => WORDS * of_job(&self.asked),
            None => of_job(&self.asked),
        }
    }

    /// In one word where it is.
    pub(super) fn stage(&self) -> &'static str {
        let job = self.now();
        match (self.status(), &job.progress) {
            (Status::Succeeded, _) => "succeeded",
            (Status::Failed, _) if job.state == JobState::Done => "failed",
            (Status::Underway, Some(progress)) => progress.stage.as_str(),
            (Status::Failed, _) | (Status::Underway, None) => job.state.as_str(),
        }
    }

    /// In a sentence how it stands.
    pub(super) fn told(&self) -> String {
        let job = self.now();
        if let Some(why) = self.why() {
            return why.to_string().trim_end().to_owned();
        }
        match (job.state, &job.progress) {
            (JobState::Queued, _) => match job.queue_position {
                Some(place) => format!("Waiting, place {place} in the queue."),
                None => "Waiting.".to_owned(),
            },
            (JobState::Running, Some(progress)) => running(progress),
            (JobState::Running, None) => "Starting.".to_owned(),
            _ if job.kind == JobKind::Generate => match job.song_ids.len() {
                1 => "1 song is done.".to_owned(),
                songs => format!("{songs} songs are done."),
            },
            _ => "Done.".to_owned(),
        }
    }
}

fn running(progress: &Progress) -> String {
    let stage = progress.stage.as_str().replace('_', " ");
    let percent = progress.fraction * 100.0;
    let mut text = format!(
        "{stage} {}/{}, {percent:.0} %",
        progress.done, progress.total
    );
    if let Some(secs) = progress.eta_secs {
        text.push_str(&format!(", about {secs:.0} s left"));
    }
    text
}

impl Status {
    /// Its number on the wire.
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Underway => 0,
            Self::Succeeded => 1,
            Self::Failed => 2,
        }
    }
}
