//! Making songs: what the language model is asked for first, then the run, each take saved as it comes.

use std::time::Instant;

use acestep_domain::{
    Note, audio_codes,
    event::{EventKind, Stage},
    job::Job,
    library::{MadeFrom, MemoryReport, Provenance, Report, Song},
    lora::LoraUse,
    memory::MemoryPlan,
    service::Resolved,
};
use acestep_engine::{
    audio::encode,
    error::Error as EngineError,
    memory::{plan::admit, probe},
    observer::Observer,
    pipeline::vae_tiles::TileOptions,
};

use super::{guarded, observe::JobObserver};
use crate::{
    backend::{Backend, Request, RunReport, Take, Thinking, Thought},
    error::Result,
    jobs, library,
    pace::{Amount, Measured, steps_of},
    queue::CancelFlag,
    song_file::{self, PEAKS},
    studio::Shared,
};

/// Makes the songs of `job`; answers what is worth saying.
pub(super) fn songs(
    shared: &Shared,
    backend: &mut dyn Backend,
    job: &Job,
    plan: Option<&MemoryPlan>,
    cancel: &CancelFlag,
) -> Result<Vec<Note>> {
    let mut rates = shared.service.rates();
    let loadout = shared.service.loadout()?;
    let lm_has_codes = loadout.lm_has_codes;
    let heard_secs = shared.heard_secs(&job.params);
    let before = shared.made_before(job)?;
    let wanted = match &before {
        None => job.params.clone(),
        Some(song) => shared.settle(&loadout, job.kind, song.recipe())?.params,
    };
    let asked = Amount::beside(&wanted, lm_has_codes).hearing(heard_secs);
    let observer = JobObserver::new(shared, &job.id, cancel, (rates, asked));
    observer.check()?;
    let mut recordings = shared.recordings(&job.params)?;
    let (max_duration_secs, _) = loadout.bounds.limits();
    let thinking = Thinking {
        params: &wanted,
        seeds: &job.seeds,
        max_duration_secs: max_duration_secs as u32,
    };
    let thought = guarded("generating", || backend.think(thinking, &observer))??;
    // A planned length changes what is left to do.
    let amount = Amount::beside(&thought.params, lm_has_codes).hearing(heard_secs);
    if thought.plan.is_some() || !thought.codes.is_empty() {
        observer.goes_on(amount);
    }
    // So it does for the memory: a length that was left open is known now.
    let plan = plan.and_then(|_| shared.plan(&loadout, job.kind, &thought.params, None));
    let plan = plan.map(|plan| plan.memory);
    let plan = plan.as_ref();
    plan.map_or(Ok(()), admit)?;
    let mut measured = Measured {
        plan_secs: f64::from(thought.plan_secs),
        codes_secs: f64::from(thought.codes_secs),
        ..Measured::default()
    };
    let request = Request {
        params: thought.params.clone(),
        seeds: job.seeds.clone(),
        codes: thought.codes.clone(),
        noise: None,
        keep_latents: false,
        raw_level: false,
        tiles: plan.map_or_else(TileOptions::default, TileOptions::from),
        source: recordings.source.take(),
        references: std::mem::take(&mut recordings.references),
    };
    let uses = request.params.loras.as_deref().unwrap_or_default();
    let used = guarded("generating", || backend.use_loras(uses, &observer))??;
    let mut notes = [recordings.notes, thought.notes.clone(), used.notes].concat();
    notes.extend(plan.into_iter().flat_map(|plan| plan.notes.iter().cloned()));
    let made_from = recordings.made_from;
    // The engine's sink speaks the engine's errors; the studio's own waits here.
    let mut save_error = None;
    let mut sink = |take: Take| -> acestep_engine::error::Result<()> {
        measured.decode_secs += f64::from(take.report.decode_secs);
        let item = take.item;
        let saving = Instant::now();
        observer.progress(Stage::Save, item, 0, 1);
        let note = encode::note(&take.audio, job.params.audio_format);
        let finished = Finished {
            take: &take,
            thought: &thought,
            made_from: &made_from,
            loras: &used.loras,
            plan,
            before: before.as_ref(),
        };
        let saved = save(shared, job, finished, note.as_ref());
        notes.extend(note.filter(|_| item == 0));
        measured.save_secs += saving.elapsed().as_secs_f64();
        match saved {
            Ok(()) => {
                observer.progress(Stage::Save, item, 1, 1);
                Ok(())
            }
            Err(error) => {
                save_error = Some(error);
                Err(EngineError::Cancelled)
            }
        }
    };
    let outcome = guarded("generating", || {
        backend.generate(&request, &observer, &mut sink)
    });
    if let Some(error) = save_error {
        return Err(error);
    }
    let report: RunReport = outcome??;
    measured.prepare_secs = f64::from(report.prepare_secs);
    measured.diffusion_secs = f64::from(report.diffusion_secs);
    rates.learn(amount, measured);
    shared.learnt(rates);
    notes.extend(report.notes);
    for song_id in shared.store.read(|db| jobs::song_ids(db, &job.id))? {
        shared.ask_about(&song_id, &job.params, &mut notes);
    }
    Ok(notes)
}

/// A take, and what it came from.
#[derive(Clone, Copy)]
struct Finished<'a> {
    take: &'a Take,
    thought: &'a Thought,
    made_from: &'a [MadeFrom],
    loras: &'a [LoraUse],
    plan: Option<&'a MemoryPlan>,
    /// The song that this one is once more.
    before: Option<&'a Song>,
}

/// Writes a song and records it.
fn save(shared: &Shared, job: &Job, finished: Finished<'_>, note: Option<&Note>) -> Result<()> {
    let Finished {
        take,
        thought,
        made_from,
        loras,
        plan,
        before,
    } = finished;
    let model = shared.service.model()?;
    let device = shared
        .service
        .in_force()
        .map(|resolved| device_name(&resolved))
        .unwrap_or_default();
    let mut params = job.params.clone();
    params.seeds = vec![take.seed];
    let codes = thought.codes.get(take.item);
    let wrote = thought.plan.is_some() || codes.is_some();
    let mut song = Song {
        id: uuid::Uuid::now_v7().to_string(),
        job_id: job.id.clone(),
        item: take.item,
        title: crate::paths::title_from_caption(if params.caption.trim().is_empty() {
            &thought.params.caption
        } else {
            &params.caption
        }),
        created_at: jiff::Timestamp::now().to_string(),
        duration_secs: take.audio.duration_secs(),
        sample_rate_hz: take.audio.sample_rate_hz,
        channels: take.audio.channels.len() as u16,
        audio_format: params.audio_format.as_str().to_owned(),
        size_bytes: 0,
        seed: take.seed,
        provenance: Provenance {
            app_version: shared.version.clone(),
            model: model.name,
            lm: shared.service.lm().filter(|_| wrote).map(|lm| lm.name),
            loras: loras.to_vec(),
            device,
            quantization: model.dtype,
            steps: steps_of(&params),
        },
        plan: thought.plan.clone(),
        audio_codes: codes
            .map(|codes| audio_codes::to_text(codes))
            .unwrap_or_default(),
        made_from: made_from.to_vec(),
        lyric_lines: Vec::new(),
        scores: None,
        report: Report {
            language_model_secs: thought.plan_secs + thought.codes_secs,
            ..take.report
        },
        notes: job
            .notes
            .iter()
            .chain(&thought.notes)
            .chain(note)
            .cloned()
            .collect(),
        memory: plan.map(|plan| MemoryReport {
            planned_bytes: plan.expected_peak_bytes,
            measured_host_bytes: probe::peak_bytes(),
        }),
        peaks: take.audio.peaks(PEAKS),
        favourite: false,
        params,
    };
    if let Some(before) = before {
        // What was asked and what was written for it are that song's; only the sound was made anew.
        song.title.clone_from(&before.title);
        song.params.clone_from(&before.params);
        song.plan.clone_from(&before.plan);
        song.audio_codes.clone_from(&before.audio_codes);
        song.provenance.lm.clone_from(&before.provenance.lm);
    }
    let staged = song_file::stage(&shared.paths, &mut song, &take.audio)?;
    let file_name = staged.publish(&shared.paths, &song)?;
    shared.events.record(&job.id, |db| {
        library::insert(db, &song, &file_name)?;
        Ok(vec![EventKind::Song {
            song_id: song.id.clone(),
            item: song.item,
        }])
    })
}

fn device_name(resolved: &Resolved) -> String {
    serde_json::to_value(resolved.device)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}
