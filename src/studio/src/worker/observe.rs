//! What the engine tells while it works: progress becomes events, the user's wish to stop becomes
//! `cancelled`.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use acestep_domain::{
    SongPlan,
    event::{EventKind, Progress, Stage, Writing as Written},
};
use acestep_engine::observer::{Observer, Writing};
use tracing::warn;

use crate::{
    jobs,
    pace::{Amount, Pace, Rates},
    queue::CancelFlag,
    studio::Shared,
};

/// A reader follows a text that grows this often.
const BETWEEN_TEXTS: Duration = Duration::from_millis(100);

/// Of a load.
pub(super) struct LoadObserver<'a> {
    pub(super) shared: &'a Shared,
    pub(super) cancel: &'a CancelFlag,
}

impl Observer for LoadObserver<'_> {
    fn progress(&self, _: Stage, _: usize, done: usize, total: usize) {
        self.shared.service.progress(done, total);
        self.shared.touch();
    }

    fn cancelled(&self) -> bool {
        self.cancel.is_raised()
    }
}

/// Stage, song and per mille of the job, as told last.
type Told = (Stage, usize, u32);

/// Of one job.
pub(super) struct JobObserver<'a> {
    shared: &'a Shared,
    job_id: &'a str,
    cancel: &'a CancelFlag,
    started: Instant,
    course: Mutex<Course>,
    storage_failed: AtomicBool,
}

/// The course so far, and what was told last.
struct Course {
    pace: Pace,
    told: Option<Told>,
    text: Option<(&'static str, Instant)>,
}

impl<'a> JobObserver<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        job_id: &'a str,
        cancel: &'a CancelFlag,
        (rates, amount): (Rates, Amount),
    ) -> Self {
        Self {
            shared,
            job_id,
            cancel,
            started: Instant::now(),
            course: Mutex::new(Course {
                pace: Pace::new(rates, amount),
                told: None,
                text: None,
            }),
            storage_failed: AtomicBool::new(false),
        }
    }

    /// Goes on with what is known now of the work that is left.
    pub(super) fn goes_on(&self, amount: Amount) {
        self.course().pace.replan(amount);
    }

    fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn elapsed_secs(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    fn tell(&self, progress: Progress) {
        let told = self
            .shared
            .events
            .record(self.job_id, |_| Ok(vec![EventKind::Progress(progress)]));
        // Progress is worth no failed job; the song's own row will tell if the disk is full.
        if let Err(error) = told
            && !self.storage_failed.swap(true, Ordering::Relaxed)
        {
            warn!(
                error = &error as &dyn std::error::Error,
                "progress of job {} could not be recorded", self.job_id
            );
        }
    }
}

impl Observer for JobObserver<'_> {
    fn progress(&self, stage: Stage, item: usize, done: usize, total: usize) {
        // The language model's is told with what it writes.
        if stage == Stage::LanguageModel {
            return;
        }
        let mut course = self.course();
        let progress = course
            .pace
            .progress(stage, item, (done, total), self.elapsed_secs());
        // A stage of many units tells what can be seen, and always its end.
        let visible = (stage, item, (progress.fraction * 1000.0) as u32);
        if course.told == Some(visible) && done < total {
            return;
        }
        course.told = Some(visible);
        self.tell(progress);
    }

    fn writing(&self, writing: &Writing<'_>) {
        let mut course = self.course();
        let now = Instant::now();
        let fresh = course.text.is_some_and(|(field, then)| {
            field == writing.field && now.duration_since(then) < BETWEEN_TEXTS
        });
        let ends = writing.total == Some(writing.tokens);
        if fresh && !ends {
            return;
        }
        course.text = Some((writing.field, now));
        let mut progress = course
            .pace
            .writing((writing.tokens, writing.total), self.elapsed_secs());
        progress.writing = Some(Written {
            field: writing.field.to_owned(),
            text: writing.text.to_owned(),
            tokens: writing.tokens,
            tokens_per_sec: writing.tokens_per_sec as f32,
        });
        self.tell(progress);
    }

    fn planned(&self, plan: &SongPlan) {
        let kept = self.shared.events.record(self.job_id, |db| {
            jobs::set_plan(db, self.job_id, plan)?;
            Ok(vec![EventKind::Plan { plan: plan.clone() }])
        });
        if let Err(error) = kept {
            warn!(
                error = &error as &dyn std::error::Error,
                "the plan of job {} could not be recorded", self.job_id
            );
        }
    }

    fn cancelled(&self) -> bool {
        self.cancel.is_raised()
    }
}
