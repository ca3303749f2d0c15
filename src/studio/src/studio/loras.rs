//! Adapters: what the folder holds, and which of it acts on the next song.
//!
//! A job keeps the adapters and scales that it was asked with. Here they are chosen, and checked by
//! the headers of their files; the engine reads them when a job first needs them.

use acestep_domain::{
    Note, UserError,
    lora::{DEFAULT_SCALE, LoraList, LoraUse},
};
use acestep_engine::{
    checkpoint::{
        Checkpoint,
        lora::{Lora, list_loras},
    },
    error::Error as EngineError,
};

use super::{Shared, Studio};
use crate::error::{Error, Result};

impl Studio {
    /// The adapters of the folder, with what does not fit the loaded model.
    pub fn loras(&self) -> LoraList {
        self.shared().list_loras(Vec::new())
    }

    /// Takes an adapter into use at `scale` (1 when nobody says) from the next job on; one that is
    /// in use gets the new scale.
    ///
    /// # Errors
    /// No model is loaded, there is no such adapter, or it cannot be used with the model.
    pub fn load_lora(&self, name: &str, scale: Option<f64>) -> Result<LoraList> {
        let shared = self.shared();
        shared.service.admit_to("adapters cannot be chosen")?;
        let base = shared.base(&shared.service.model()?.name)?;
        let open = || -> acestep_engine::error::Result<(LoraUse, Vec<Note>)> {
            let lora = Lora::open(&shared.lora_dir, name)?;
            let notes = lora.check(&base.layers()?)?;
            let mut used = LoraUse::new(lora.name(), scale.unwrap_or(DEFAULT_SCALE));
            used.hash = Some(lora.hash()?);
            Ok((used, notes))
        };
        let (mut used, mut notes) = open().map_err(named)?;
        used.clamp("scale", &mut notes);
        shared.service.change_loras(|loras| {
            match loras.iter_mut().find(|lora| lora.name == used.name) {
                Some(lora) => *lora = used,
                None => loras.push(used),
            }
        });
        shared.touch();
        Ok(shared.list_loras(notes))
    }

    /// Gives an adapter up, from the next job on.
    ///
    /// # Errors
    /// It is not in use.
    pub fn unload_lora(&self, name: &str) -> Result<LoraList> {
        let shared = self.shared();
        shared.service.admit_to("adapters cannot be chosen")?;
        let was_there = shared.service.change_loras(|loras| {
            let before = loras.len();
            loras.retain(|lora| lora.name != name);
            loras.len() < before
        });
        if !was_there {
            return Err(not_loaded(name));
        }
        shared.touch();
        Ok(shared.list_loras(Vec::new()))
    }

    /// Changes how much of an adapter acts, from the next job on; 0 is off.
    ///
    /// # Errors
    /// It is not in use.
    pub fn set_lora_scale(&self, name: &str, scale: f64) -> Result<LoraList> {
        let shared = self.shared();
        shared.service.admit_to("adapters cannot be chosen")?;
        let mut notes = Vec::new();
        let found = shared.service.change_loras(|loras| {
            let lora = loras.iter_mut().find(|lora| lora.name == name)?;
            lora.scale = scale;
            lora.clamp("scale", &mut notes);
            Some(())
        });
        found.ok_or_else(|| not_loaded(name))?;
        shared.touch();
        Ok(shared.list_loras(notes))
    }
}

impl Shared {
    /// Refuses adapters of a request that cannot be used with the main model of that name.
    pub(crate) fn check_loras(&self, model: &str, asked: Option<&[LoraUse]>) -> Result<Vec<Note>> {
        let asked = asked.unwrap_or_default();
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        self.service.admit_to("adapters cannot be chosen")?;
        let layers = self.base(model)?.layers()?;
        let mut notes = Vec::new();
        for used in asked {
            notes.extend(Lora::open(&self.lora_dir, &used.name)?.check(&layers)?);
        }
        Ok(notes)
    }

    /// Gives up the adapters that do not fit `model`, which was just loaded.
    pub(crate) fn refit_loras(&self, model: &str) -> Vec<Note> {
        let mut notes = Vec::new();
        for used in self.service.loras() {
            let Err(error) = self.check_loras(model, Some(std::slice::from_ref(&used))) else {
                continue;
            };
            let told = UserError::from(error);
            notes.push(Note::new(
                "lora_dropped",
                "loras",
                format!("LoRA: {} It is no longer used.", told.message),
            ));
            self.service
                .change_loras(|loras| loras.retain(|lora| lora.name != used.name));
        }
        notes
    }

    /// The files of the main model of that name.
    fn base(&self, model: &str) -> Result<Checkpoint> {
        Ok(Checkpoint::open(&self.checkpoints_dir, model)?)
    }

    fn list_loras(&self, notes: Vec<Note>) -> LoraList {
        let model = self.service.model().ok();
        let base = model.and_then(|model| self.base(&model.name).ok());
        let mut loras = list_loras(&self.lora_dir, base.as_ref());
        for used in self.service.loras() {
            if let Some(entry) = loras.iter_mut().find(|entry| entry.name == used.name) {
                entry.loaded = true;
                entry.scale = Some(used.scale);
                entry.hash = used.hash;
            }
        }
        LoraList { loras, notes }
    }
}

fn not_loaded(name: &str) -> Error {
    let shown: String = name.chars().take(80).collect();
    UserError {
        field: Some("name".to_owned()),
        ..UserError::new(
            "not_found",
            format!("No adapter {shown:?} is loaded."),
            "Load it first; GET /api/v1/loras lists what there is.",
        )
    }
    .into()
}

/// Here the name alone was asked for.
fn named(error: EngineError) -> Error {
    let mut told = UserError::from(Error::from(error));
    if told.field.as_deref() == Some("loras") {
        told.field = Some("name".to_owned());
    }
    told.into()
}
