//! The real backend: `acestep_engine::engine::Engine` on checkpoints of one folder.

use std::path::{Path, PathBuf};

use acestep_domain::{
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
}

impl EngineBackend {
    pub(crate) fn new(checkpoints_dir: PathBuf, lora_dir: PathBuf) -> Self {
        Self {
            checkpoints_dir,
            lora_dir,
            engine: None,
        }
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
        Ok(UsedLoras {
            loras: engine.loras(),
            notes,
        })
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
        self.engine()?.generate(request, observer, sink)
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
