//! The real backend: `acestep_engine::engine::Engine` on checkpoints of one folder.

use std::path::{Path, PathBuf};

use acestep_domain::{
    service::{LoadedModel, Resolved},
    task::TaskType,
};
use acestep_engine::{
    checkpoint::{Checkpoint, list_lms, list_models},
    engine::{Engine, LoadOptions, Request, RunReport, Take},
    error::{Error, Result},
    observer::Observer,
};

use super::{Backend, Found, Loaded};

/// What this version can do with every family.
const TASKS: [TaskType; 1] = [TaskType::Text2music];

/// The engine and where its checkpoints lie.
pub(crate) struct EngineBackend {
    checkpoints_dir: PathBuf,
    engine: Option<Engine>,
}

impl EngineBackend {
    pub(crate) fn new(checkpoints_dir: PathBuf) -> Self {
        Self {
            checkpoints_dir,
            engine: None,
        }
    }

    fn open(&self, wanted: &Resolved) -> Result<Checkpoint> {
        Checkpoint::open(&self.checkpoints_dir, &wanted.config_path)
    }
}

impl Backend for EngineBackend {
    fn check(&self, wanted: &Resolved) -> Result<()> {
        self.open(wanted).map(drop)
    }

    fn load(&mut self, wanted: &Resolved, observer: &dyn Observer) -> Result<Loaded> {
        let options = LoadOptions {
            device: wanted.device,
            fused_attention: wanted.use_flash_attention,
            compile: wanted.compile,
            quantization: wanted.quantization,
        };
        let engine = Engine::load(&self.open(wanted)?, &options, observer)?;
        let info = engine.info().clone();
        self.engine = Some(engine);
        Ok(Loaded {
            model: LoadedModel {
                name: info.name,
                family: info.family,
                tasks: TASKS.to_vec(),
                built_in: info.built_in,
                sample_rate_hz: info.sample_rate_hz,
                channels: info.channels,
                parameters: info.parameters,
                weights_bytes: info.weights_bytes,
                dtype: info.dtype,
                attention: info.attention,
            },
            notes: info.notes,
        })
    }

    fn unload(&mut self) {
        self.engine = None;
    }

    fn generate(
        &mut self,
        request: &Request,
        observer: &dyn Observer,
        sink: &mut dyn FnMut(Take) -> Result<()>,
    ) -> Result<RunReport> {
        let engine = self.engine.as_mut().ok_or_else(|| Error::Unsupported {
            what: "generating".to_owned(),
            because: "no model is loaded".to_owned(),
        })?;
        engine.generate(request, observer, sink)
    }
}

/// What is installed in `checkpoints_dir`, and inside the binary.
pub(crate) fn scan(checkpoints_dir: &Path) -> Found {
    Found {
        models: list_models(checkpoints_dir),
        lms: list_lms(checkpoints_dir),
    }
}
