//! Runs made again: one that did not finish, and a song once more.

use acestep_domain::{
    Note,
    generation::clamp::Clamped,
    job::{Job, JobKind, JobState},
    library::Song,
};

use super::{Asked, Runs, Shared, Studio};
use crate::{
    error::{Error, Result},
    jobs, seeds,
};

impl Studio {
    /// Queues a job again that did not finish, as a new job with the same seeds.
    ///
    /// # Errors
    /// When it is still under way, has finished, or cannot run on what is loaded.
    pub fn rerun(&self, job_id: &str) -> Result<Job> {
        let shared = self.shared();
        let old = shared.job(job_id)?;
        match old.state {
            JobState::Failed | JobState::Cancelled | JobState::Interrupted => {}
            JobState::Queued | JobState::Running => {
                return Err(Error::Conflict {
                    what: format!("The job is {}.", old.state.as_str()),
                    hint: "Wait for it, or cancel it first.",
                });
            }
            JobState::Done => {
                return Err(Error::Conflict {
                    what: "The job is done; its songs are in the library.".to_owned(),
                    hint: "Restore a song's parameters to make it again.",
                });
            }
        }
        let loadout = shared.service.loadout()?;
        let clamped = shared.settle(&loadout, old.kind, old.params)?;
        shared.check_loras(&loadout.model, clamped.params.loras.as_deref())?;
        let mut notes = old.notes;
        for note in clamped.notes {
            let is_same = |own: &Note| (&own.code, &own.message) == (&note.code, &note.message);
            if !notes.iter().any(is_same) {
                notes.push(note);
            }
        }
        let seeds = seeds::settle(&old.seeds, clamped.params.batch_size)?;
        let again = shared.queue_job(Asked {
            kind: old.kind,
            params: clamped.params,
            seeds,
            notes,
            source_song_id: old.source_song_id,
            then_generate: old.then_generate,
            fit: false,
            repeat: Runs::Asked(old.repeat),
        })?;
        // The new one is what there is to see now.
        shared.store.write(|db| jobs::dismiss(db, job_id))?;
        shared.touch();
        Ok(again)
    }

    /// Queues a run that makes a song's sound once more. It asks what the song was asked with, and the song
    /// it makes keeps that, title and all; what the language model wrote then is not written again.
    ///
    /// # Errors
    /// When there is no such song, its file is gone, or it cannot be made with what is loaded.
    pub fn recreate(&self, song_id: &str) -> Result<Job> {
        let shared = self.shared();
        let song = shared.library.present(song_id)?.song;
        let loadout = shared.service.loadout()?;
        let Clamped { params, notes } =
            shared.settle(&loadout, JobKind::Generate, song.recipe())?;
        shared.check_loras(&loadout.model, params.loras.as_deref())?;
        let mut asked = song.params;
        asked.batch_size = 1;
        asked.loras = params.loras;
        shared.queue_job(Asked {
            kind: JobKind::Generate,
            params: asked,
            seeds: vec![song.seed],
            notes,
            source_song_id: Some(song.id),
            then_generate: false,
            fit: false,
            repeat: Runs::Asked(0),
        })
    }

    /// Puts away how a job ended; it stays listed and can be run again.
    ///
    /// # Errors
    /// When there is none of that id, or it is still under way.
    pub fn dismiss(&self, job_id: &str) -> Result<Job> {
        let shared = self.shared();
        shared.store.catch_up()?;
        shared.store.write(|db| jobs::dismiss(db, job_id))?;
        shared.touch();
        shared.job(job_id)
    }
}

impl Shared {
    /// The song that `job` makes once more, if it does.
    pub(crate) fn made_before(&self, job: &Job) -> Result<Option<Song>> {
        let id = job.source_song_id.as_deref();
        let id = id.filter(|_| job.kind == JobKind::Generate);
        id.map(|id| Ok(self.library.present(id)?.song)).transpose()
    }
}
