//! Making songs: what the language model is asked for first, then the run, each take saved as it comes.

use std::time::Instant;

use acestep_domain::{
    GenerationParams, Note, UserError, audio_codes,
    capabilities::DeviceKind,
    event::{EventKind, Stage},
    job::{Job, JobKind},
    library::{MadeFrom, MemoryReport, Provenance, Report, Song},
    lora::LoraUse,
    memory::MemoryPlan,
    service::Resolved,
    title::title_from_caption,
};
use acestep_engine::{
    audio::encode,
    error::Error as EngineError,
    memory::{plan::admit, probe},
    observer::Observer,
    pipeline::vae_tiles::TileOptions,
};

use super::{guarded, load, observe::JobObserver};
use crate::{
    backend::{Backend, Request, RunReport, Take, Thinking, Thought},
    error::{Error, Result},
    jobs, library,
    loadout::Loadout,
    pace::{Measured, steps_of},
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
    let heard_secs = shared.heard_secs(&job.params);
    let before = shared.made_before(job)?;
    let wanted = match &before {
        None => job.params.clone(),
        Some(song) => shared.settle(&loadout, job.kind, song.recipe())?.params,
    };
    let asked = loadout.amount(&wanted).hearing(heard_secs);
    let observer = JobObserver::new(shared, &job.id, cancel, (rates, asked));
    observer.check()?;
    let mut recordings = shared.recordings(&job.params)?;
    let (max_duration_secs, bounded) = shared.longest_planned(&loadout, &wanted);
    let thinking = Thinking {
        params: &wanted,
        seeds: &job.seeds,
        max_duration_secs,
    };
    let card = runs_on_card(shared).then(probe::CardWatch::start);
    let thought = guarded("generating", || backend.think(thinking, &observer))??;
    // A planned length changes what is left to do.
    let amount = loadout.amount(&thought.params).hearing(heard_secs);
    if thought.plan.is_some() || !thought.codes.is_empty() {
        observer.goes_on(amount);
    }
    // So it does for the memory: a length that was left open is known now.
    let plan = plan.and_then(|_| planned(shared, &loadout, &thought.params));
    plan.as_ref().map_or(Ok(()), admit)?;
    let mut notes = std::mem::take(&mut recordings.notes);
    notes.extend(bounded);
    notes.extend(thought.notes.iter().cloned());
    let mut run = Run {
        shared,
        job,
        observer: &observer,
        request: Request {
            params: thought.params.clone(),
            seeds: job.seeds.clone(),
            codes: thought.codes.clone(),
            source: recordings.source.take(),
            references: std::mem::take(&mut recordings.references),
            ..Request::default()
        },
        thought: &thought,
        made_from: &recordings.made_from,
        before: before.as_ref(),
        measured: Measured {
            plan_secs: f64::from(thought.plan_secs),
            codes_secs: f64::from(thought.codes_secs),
            ..Measured::default()
        },
        takes: 0,
        card: card.as_ref(),
    };
    let report = match run.make(backend, plan.as_ref()) {
        Err(Error::Engine(lost @ EngineError::NotFinite { .. })) if run.takes == 0 => {
            let plan = widen(shared, backend, &thought.params, lost, cancel)?;
            // What was learnt of half precision is no measure of f32.
            rates = shared.service.rates();
            let report = run.make(backend, plan.as_ref())?;
            notes.push(Note::general(
                "made_in_full_precision",
                "Precision: in half precision the values of this song left their range, so the model was loaded again in f32 and stays so.",
            ));
            report
        }
        made => made?,
    };
    rates.learn(amount, run.measured);
    shared.learnt(rates);
    notes.extend(report.notes);
    for song_id in shared.store.read(|db| jobs::song_ids(db, &job.id))? {
        // Who stops a run wants nothing more of it.
        if !cancel.is_raised() {
            shared.ask_about(&song_id, &job.params, &mut notes);
        }
    }
    Ok(notes)
}

/// Whether the networks run on an NVIDIA card.
fn runs_on_card(shared: &Shared) -> bool {
    let memory = shared.service.memory();
    memory.is_some_and(|memory| memory.options.device == DeviceKind::Cuda)
}

/// The memory plan of songs by `params`, settled.
fn planned(shared: &Shared, loadout: &Loadout, params: &GenerationParams) -> Option<MemoryPlan> {
    let plan = shared.plan(loadout, JobKind::Generate, params, None)?;
    Some(plan.memory)
}

/// Loads the models again in f32, since in half precision songs by `params` were `lost`, and plans them so. Where
/// f32 is no help, or there is no memory for it, what was lost is told.
fn widen(
    shared: &Shared,
    backend: &mut dyn Backend,
    params: &GenerationParams,
    lost: EngineError,
    cancel: &CancelFlag,
) -> Result<Option<MemoryPlan>> {
    let half = shared.service.in_force();
    let wide = half.as_ref().and_then(Resolved::in_full_precision);
    let (Some(half), Some(wide)) = (half, wide) else {
        return Err(lost.into());
    };
    let ahead = Loadout {
        // What is wrong with the checkpoints is told by their load.
        memory: (shared.survey)(&wide).ok().flatten(),
        ..shared.service.loadout()?
    };
    if planned(shared, &ahead, params).is_some_and(|plan| !plan.fits) {
        return Err(lost.into());
    }
    match load::widen(shared, backend, (&half, &wide), cancel) {
        Ok(true) => {}
        Ok(false) => return Err(lost.into()),
        Err(error) if error.is_cancelled() => return Err(error),
        Err(error) => {
            let told = UserError::from(error);
            return Err(UserError {
                message: format!(
                    "In half precision the values of this song left their range, and the model could not be loaded in f32: {}",
                    told.message
                ),
                ..told
            }
            .into());
        }
    }
    let plan = planned(shared, &shared.service.loadout()?, params);
    plan.as_ref().map_or(Ok(()), admit)?;
    Ok(plan)
}

/// A run: what it is made of, and what has come of it.
struct Run<'a> {
    shared: &'a Shared,
    job: &'a Job,
    observer: &'a JobObserver<'a>,
    request: Request,
    thought: &'a Thought,
    made_from: &'a [MadeFrom],
    /// The song that is made once more.
    before: Option<&'a Song>,
    measured: Measured,
    /// Takes that the engine has handed out.
    takes: usize,
    /// Looks at what is held of the card, where there is one.
    card: Option<&'a probe::CardWatch>,
}

impl Run<'_> {
    /// Makes the songs with what is loaded now, each saved as it comes. The report has the notes of all of it.
    fn make(&mut self, backend: &mut dyn Backend, plan: Option<&MemoryPlan>) -> Result<RunReport> {
        self.request.tiles = plan.map_or_else(TileOptions::default, TileOptions::from);
        let uses = self.request.params.loras.as_deref().unwrap_or_default();
        let used = guarded("generating", || backend.use_loras(uses, self.observer))??;
        let mut notes = used.notes;
        notes.extend(plan.into_iter().flat_map(|plan| plan.notes.iter().cloned()));
        // The engine's sink speaks the engine's errors; the studio's own waits here.
        let mut save_error = None;
        let mut sink = |take: Take| -> acestep_engine::error::Result<()> {
            self.takes += 1;
            self.measured.decode_secs += f64::from(take.report.decode_secs);
            let item = take.item;
            let saving = Instant::now();
            self.observer.progress(Stage::Save, item, 0, 1);
            let note = encode::note(&take.audio, self.job.params.audio_format);
            let finished = Finished {
                take: &take,
                thought: self.thought,
                made_from: self.made_from,
                loras: &used.loras,
                plan,
                before: self.before,
                card: self.card,
            };
            let saved = save(self.shared, self.job, finished, note.as_ref());
            notes.extend(note.filter(|_| item == 0));
            self.measured.save_secs += saving.elapsed().as_secs_f64();
            match saved {
                Ok(()) => {
                    self.observer.progress(Stage::Save, item, 1, 1);
                    Ok(())
                }
                Err(error) => {
                    save_error = Some(error);
                    Err(EngineError::Cancelled)
                }
            }
        };
        let outcome = guarded("generating", || {
            backend.generate(&self.request, self.observer, &mut sink)
        });
        if let Some(error) = save_error {
            return Err(error);
        }
        let report = outcome??;
        self.measured.prepare_secs = f64::from(report.prepare_secs);
        self.measured.diffusion_secs = f64::from(report.diffusion_secs);
        notes.extend(report.notes);
        Ok(RunReport { notes, ..report })
    }
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
    card: Option<&'a probe::CardWatch>,
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
        card,
    } = finished;
    let model = shared.service.model()?;
    let device = shared
        .service
        .in_force()
        .map(|resolved| resolved.device.as_str().to_owned())
        .unwrap_or_default();
    let params = job
        .params
        .of_song(take.seed, &job.seeds, thought.plan.is_some());
    let codes = thought.codes.get(take.item);
    let wrote = thought.plan.is_some() || codes.is_some();
    let mut song = Song {
        id: uuid::Uuid::now_v7().to_string(),
        job_id: job.id.clone(),
        item: take.item,
        title: title_from_caption(if params.caption.trim().is_empty() {
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
            measured_device_bytes: card.and_then(probe::CardWatch::most),
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
