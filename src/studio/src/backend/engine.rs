//! The real backend: `acestep_engine::engine::Engine` on checkpoints of one folder.

use std::path::{Path, PathBuf};

use acestep_domain::{
    Note,
    capabilities::DeviceKind,
    lora::LoraUse,
    service::{LoadedLm, LoadedModel, Resolved},
};
use acestep_engine::{
    checkpoint::{Checkpoint, LmCheckpoint, built_in_lm, list_lms, list_models},
    engine::{
        AlignRequest, Aligned, Engine, LoadOptions, Request, RunReport, ScoreSong, Scored, Take,
        Thinking, Thought, WriteReport, WriteRequest,
    },
    error::{Error, Result},
    memory::{
        plan::{Models, settle},
        probe::free,
    },
    observer::Observer,
};

use crate::download::downloadable;

use super::{Backend, Found, Loaded, LoadedLanguageModel, Memory, Survey, UsedLoras};

/// The engine and where its checkpoints and adapters lie.
pub(crate) struct EngineBackend {
    checkpoints_dir: PathBuf,
    lora_dir: PathBuf,
    engine: Option<Engine>,
    /// What is loaded, and the adapters beside it.
    wanted: Option<Resolved>,
    loras: Vec<LoraUse>,
}

impl EngineBackend {
    pub(crate) fn new(checkpoints_dir: PathBuf, lora_dir: PathBuf) -> Self {
        Self {
            checkpoints_dir,
            lora_dir,
            engine: None,
            wanted: None,
            loras: Vec::new(),
        }
    }

    /// Loads again what is loaded, in f32.
    fn widen(&mut self, observer: &dyn Observer) -> Result<Note> {
        let wanted = Resolved {
            full_precision: true,
            ..self.wanted.clone().unwrap_or_default()
        };
        let loras = std::mem::take(&mut self.loras);
        self.engine = None;
        self.load(&wanted, observer)?;
        self.load_lm(&wanted, observer)?;
        self.use_loras(&loras, observer)?;
        Ok(Note::general(
            "made_in_full_precision",
            "Precision: in half precision the values of this song left their range, so the model was loaded again in f32 and stays so.",
        ))
    }

    fn open(&self, wanted: &Resolved) -> Result<Checkpoint> {
        Checkpoint::open(&self.checkpoints_dir, &wanted.config_path)
    }

    fn open_lm(&self, wanted: &Resolved) -> Result<Option<LmCheckpoint>> {
        open_lm(&self.checkpoints_dir, wanted)
    }

    fn models(&self, wanted: &Resolved) -> Result<Models> {
        models(&self.checkpoints_dir, wanted)
    }

    fn engine(&mut self) -> Result<&mut Engine> {
        self.engine.as_mut().ok_or_else(|| Error::Unsupported {
            what: "generating".to_owned(),
            because: "no model is loaded".to_owned(),
        })
    }
}

impl Backend for EngineBackend {
    fn check(&self, wanted: &Resolved) -> Result<()> {
        self.open(wanted).map(drop)
    }

    fn check_lm(&self, wanted: &Resolved) -> Result<()> {
        self.open_lm(wanted).map(drop)
    }

    fn load(&mut self, wanted: &Resolved, observer: &dyn Observer) -> Result<Loaded> {
        let options = options(wanted, &self.models(wanted)?);
        let engine = Engine::load(&self.open(wanted)?, &options, observer)?;
        let info = engine.info().clone();
        let audio_codes = engine.has_audio_codes();
        let times_lyrics = engine.can_time_lyrics();
        self.engine = Some(engine);
        self.wanted = Some(wanted.clone());
        self.loras.clear();
        Ok(Loaded {
            model: LoadedModel {
                name: info.name,
                family: info.family,
                tasks: info.family.tasks().to_vec(),
                built_in: info.built_in,
                sample_rate_hz: info.sample_rate_hz,
                channels: info.channels,
                parameters: info.parameters,
                weights_bytes: info.resident_bytes,
                dtype: info.dtype,
                attention: info.attention,
                audio_codes,
                times_lyrics,
            },
            notes: info.notes,
        })
    }

    fn load_lm(
        &mut self,
        wanted: &Resolved,
        observer: &dyn Observer,
    ) -> Result<Option<LoadedLanguageModel>> {
        self.engine()?.unload_lm();
        let Some(source) = self.open_lm(wanted)? else {
            return Ok(None);
        };
        let options = options(wanted, &self.models(wanted)?);
        let engine = self.engine()?;
        let info = engine.load_lm(&source, &options, observer)?.clone();
        Ok(Some(LoadedLanguageModel {
            lm: LoadedLm {
                name: info.name,
                built_in: info.built_in,
                parameters: info.parameters,
                weights_bytes: info.resident_bytes,
                dtype: info.dtype,
                context_tokens: info.context_tokens,
                has_codes: info.has_codes && engine.has_audio_codes(),
            },
            notes: info.notes,
        }))
    }

    fn survey(&self) -> Survey {
        let checkpoints_dir = self.checkpoints_dir.clone();
        Box::new(move |wanted| {
            let models = models(&checkpoints_dir, wanted)?;
            Ok(Some(Memory {
                options: options(wanted, &models),
                models,
                free,
            }))
        })
    }

    fn unload(&mut self) {
        self.engine = None;
    }

    fn use_loras(&mut self, uses: &[LoraUse], observer: &dyn Observer) -> Result<UsedLoras> {
        let dir = self.lora_dir.clone();
        let engine = self.engine()?;
        let notes = engine.use_loras(uses, &dir, observer)?;
        let loras = engine.loras();
        self.loras = uses.to_vec();
        Ok(UsedLoras { loras, notes })
    }

    fn align(&mut self, request: &AlignRequest<'_>, observer: &dyn Observer) -> Result<Aligned> {
        self.engine()?.align(request, observer)
    }

    fn score(&mut self, request: &ScoreSong<'_>, observer: &dyn Observer) -> Result<Scored> {
        self.engine()?.score(request, observer)
    }

    fn generate(
        &mut self,
        request: &Request,
        observer: &dyn Observer,
        sink: &mut dyn FnMut(Take) -> Result<()>,
    ) -> Result<RunReport> {
        let mut begun = false;
        let outcome = self.engine()?.generate(request, observer, &mut |take| {
            begun = true;
            sink(take)
        });
        match outcome {
            Err(error) if !begun && helps(&error, self.wanted.as_ref()) => {
                let note = self.widen(observer)?;
                let mut report = self.engine()?.generate(request, observer, sink)?;
                report.notes.push(note);
                Ok(report)
            }
            outcome => outcome,
        }
    }

    fn think(&mut self, thinking: Thinking<'_>, observer: &dyn Observer) -> Result<Thought> {
        self.engine()?.think(thinking, observer)
    }

    fn write(
        &mut self,
        request: &WriteRequest<'_>,
        observer: &dyn Observer,
    ) -> Result<WriteReport> {
        self.engine()?.write(request, observer)
    }
}

fn open_lm(checkpoints_dir: &Path, wanted: &Resolved) -> Result<Option<LmCheckpoint>> {
    let open = |name| LmCheckpoint::open(checkpoints_dir, name);
    wanted.lm().map(open).transpose()
}

/// The networks that `wanted` loads, all of which must be there.
fn models(checkpoints_dir: &Path, wanted: &Resolved) -> Result<Models> {
    let main = Models::of(&Checkpoint::open(checkpoints_dir, &wanted.config_path)?);
    Ok(match open_lm(checkpoints_dir, wanted)? {
        Some(lm) => main.with_lm_of(&lm),
        None => main,
    })
}

/// Whether another try in f32 can help: what is loaded runs in half precision and left its range.
fn helps(error: &Error, wanted: Option<&Resolved>) -> bool {
    let half =
        wanted.is_some_and(|wanted| wanted.device != DeviceKind::Cpu && !wanted.full_precision);
    half && matches!(error, Error::NotFinite { .. })
}

/// As asked; on a card, what fits stays there.
fn options(wanted: &Resolved, models: &Models) -> LoadOptions {
    settle(LoadOptions::from(wanted), models, free(wanted.device))
}

/// What is installed in `checkpoints_dir`, and inside the binary.
pub(crate) fn scan(checkpoints_dir: &Path) -> Found {
    Found {
        models: list_models(checkpoints_dir),
        lms: list_lms(checkpoints_dir),
        built_in_lm: built_in_lm(checkpoints_dir),
        downloadable: downloadable(checkpoints_dir),
    }
}

#[cfg(test)]
mod tests {
    use acestep_domain::{capabilities::DeviceKind, service::Resolved};
    use acestep_engine::error::{Error, Stage};

    use super::helps;

    #[test]
    fn values_out_of_range_are_tried_again_once_where_precision_was_half() {
        let on = |device, full_precision| Resolved {
            device,
            full_precision,
            ..Resolved::default()
        };
        let lost = Error::NotFinite {
            stage: Stage::Diffusion,
            module: "dit",
        };
        assert!(helps(&lost, Some(&on(DeviceKind::Cuda, false))));
        assert!(!helps(&lost, Some(&on(DeviceKind::Cuda, true))));
        assert!(!helps(&lost, Some(&on(DeviceKind::Cpu, false))));
        assert!(!helps(&lost, None));
        assert!(!helps(
            &Error::Cancelled,
            Some(&on(DeviceKind::Cuda, false))
        ));
    }
}
