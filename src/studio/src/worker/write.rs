//! Making words and codes: texts written anew, samples, songs described. Texts and samples may go on to songs.

use acestep_domain::{
    GenerationParams, Note, SongPlan, audio_codes,
    job::{Job, JobKind},
};
use acestep_engine::observer::Observer;

use super::{guarded, observe::JobObserver};
use crate::{
    backend::{Backend, WriteRequest},
    error::{Error, Result},
    jobs,
    pace::{Amount, Measured},
    queue::Ticket,
    seeds,
    studio::{Asked, Runs, Shared},
};

/// Does a job that makes no songs itself; answers what is worth saying.
pub(super) fn text(
    shared: &Shared,
    backend: &mut dyn Backend,
    job: &Job,
    ticket: &Ticket,
) -> Result<Vec<Note>> {
    shared.service.loadout()?.require_lm(job.kind)?;
    let mut rates = shared.service.rates();
    let amount = Amount::of_text();
    let observer = JobObserver::new(shared, &job.id, &ticket.cancel, (rates, amount));
    observer.check()?;
    let mut params = job.params.clone();
    let mut source = None;
    let mut heard = Vec::new();
    if let Some(id) = &job.source_song_id {
        let recording = shared.recording(id, "song_id")?;
        // What the language model wrote for a song need not be heard again.
        if recording.audio_codes.is_empty() {
            let decoded = recording.read()?;
            heard = decoded.notes;
            source = Some(decoded.audio);
        } else {
            params.audio_codes = recording.audio_codes;
        }
    }
    let (max_duration_secs, _) = shared.service.bounds().limits();
    let request = WriteRequest {
        kind: job.kind,
        params: &params,
        seed: params.plan_seed(&job.seeds),
        max_duration_secs: max_duration_secs as u32,
        source,
    };
    let started = std::time::Instant::now();
    let report = guarded("writing", || backend.write(&request, &observer))??;
    if report.audio_codes.is_empty() {
        let measured = Measured {
            plan_secs: started.elapsed().as_secs_f64(),
            ..Measured::default()
        };
        rates.learn(amount, measured);
        shared.learnt(rates);
    } else {
        let codes = audio_codes::to_text(&report.audio_codes);
        shared
            .store
            .write(|db| jobs::set_audio_codes(db, &job.id, &codes))?;
    }
    let mut notes = [heard, report.notes].concat();
    if job.then_generate
        && job.kind.may_go_on()
        && let Some(plan) = &report.plan
    {
        match go_on(shared, job, plan, ticket) {
            Ok(_) | Err(Error::NoneFollows) => {}
            // What was written is not lost.
            Err(error) => {
                let told = acestep_domain::UserError::from(error);
                notes.push(Note::general(
                    "not_generated",
                    format!(
                        "The song was written but not made: {} {}",
                        told.message, told.hint
                    ),
                ));
            }
        }
    }
    Ok(notes)
}

/// Queues the songs of a plan.
fn go_on(shared: &Shared, job: &Job, plan: &SongPlan, ticket: &Ticket) -> Result<Job> {
    let params = written(job.kind, &job.params, plan);
    let loadout = shared.service.loadout()?;
    let clamped = shared.settle_within(&loadout, JobKind::Generate, params, ticket.fit)?;
    let seeds = seeds::settle(&job.params.seeds, clamped.params.batch_size)?;
    shared.queue_job(Asked {
        kind: JobKind::Generate,
        params: clamped.params,
        seeds,
        notes: clamped.notes,
        source_song_id: None,
        then_generate: false,
        fit: ticket.fit,
        repeat: Runs::LeftOf(job, &ticket.cancel),
    })
}

/// The request for the song that was written: the plan is what the user sees and may edit, so nothing
/// of it is planned a second time.
fn written(kind: JobKind, asked: &GenerationParams, plan: &SongPlan) -> GenerationParams {
    let mut params = GenerationParams {
        use_cot_metas: false,
        ..asked.clone()
    };
    // What is formatted was the user's before: words that were not written anew stay, and so do codes.
    if kind == JobKind::Sample {
        params.audio_codes.clear();
    }
    if kind == JobKind::Sample || !plan.lyrics.is_empty() {
        params.lyrics.clone_from(&plan.lyrics);
    }
    plan.fill_numbers(&mut params);
    plan.fill_language(&mut params);
    plan.fill_caption(&mut params);
    params
}
