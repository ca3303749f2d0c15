//! The adapters beside the DiT: read when a run first needs them, kept for the next one.

use std::path::Path;

use acestep_domain::{lora::LoraUse, note::Note};

use crate::{
    checkpoint::lora::{LayerDelta, Layers, Lora, Stamp},
    device::Placement,
    error::{Error, Result},
    nn::{SidePath, SidePaths},
    observer::Observer,
};

/// Those of the last run.
#[derive(Default)]
pub(crate) struct Loras(Vec<Loaded>);

struct Loaded {
    used: LoraUse,
    stamp: Stamp,
    deltas: Vec<LayerDelta>,
    notes: Vec<Note>,
}

impl Loras {
    /// Brings the adapters of `uses`, which lie in `dir`, in place of those that are there. One
    /// that is there already, and whose file is the same, is not read again. When one cannot be
    /// had, all stays as it was.
    ///
    /// # Errors
    /// See [`Lora::open`] and [`Lora::load`]; cancelled.
    pub(crate) fn bring(
        &mut self,
        uses: &[LoraUse],
        dir: &Path,
        layers: impl FnOnce() -> Result<Layers>,
        placement: &Placement,
        observer: &dyn Observer,
    ) -> Result<Vec<Note>> {
        let mut notes = Vec::new();
        let mut brought = Vec::with_capacity(uses.len());
        if !uses.is_empty() {
            let layers = layers()?;
            for wanted in uses {
                observer.check()?;
                let lora = Lora::open(dir, &wanted.name)?;
                let there = self.0.iter().find(|loaded| loaded.stamp == *lora.stamp());
                let (deltas, hash, about) = match there {
                    Some(there) => (
                        there.deltas.clone(),
                        there.used.hash.clone(),
                        there.notes.clone(),
                    ),
                    None => (
                        lora.load(&layers, placement)?,
                        Some(lora.hash()?),
                        lora.check(&layers)?,
                    ),
                };
                notes.extend(about.iter().cloned());
                notes.extend(changed(wanted, hash.as_deref()));
                brought.push(Loaded {
                    used: LoraUse {
                        name: wanted.name.clone(),
                        scale: wanted.scale,
                        hash,
                    },
                    stamp: lora.stamp().clone(),
                    deltas,
                    notes: about,
                });
            }
        }
        self.0 = brought;
        Ok(notes)
    }

    /// What they add to each layer.
    pub(crate) fn side_paths(&self) -> SidePaths {
        SidePaths::new(self.0.iter().flat_map(|loaded| {
            loaded.deltas.iter().map(|delta| {
                let path = SidePath {
                    delta: delta.delta.clone(),
                    scale: delta.scale * loaded.used.scale,
                };
                (delta.layer.clone(), path)
            })
        }))
    }

    /// Those that act, with the hashes of their files.
    pub(crate) fn acting(&self) -> Vec<LoraUse> {
        self.0
            .iter()
            .filter(|loaded| loaded.used.scale != 0.0)
            .map(|loaded| loaded.used.clone())
            .collect()
    }

    /// Refuses a run that names others than those that were brought.
    ///
    /// # Errors
    /// The name, in words.
    pub(crate) fn require(&self, asked: Option<&[LoraUse]>) -> Result<()> {
        let is_there = |lora: &LoraUse| {
            self.0
                .iter()
                .any(|loaded| loaded.used.name == lora.name && loaded.used.scale == lora.scale)
        };
        match asked.into_iter().flatten().find(|lora| !is_there(lora)) {
            None => Ok(()),
            Some(missing) => Err(Error::Lora {
                name: missing.name.clone(),
                reason: format!("it is not loaded at scale {}", missing.scale),
            }),
        }
    }
}

/// Tells when the file is no longer the one that the request was made with.
fn changed(wanted: &LoraUse, hash: Option<&str>) -> Option<Note> {
    let then = wanted.hash.as_deref()?;
    (Some(then) != hash).then(|| {
        Note::new(
            "lora_changed",
            "loras",
            format!(
                "LoRA {}: its file is not the one that the request was made with, so the song may differ.",
                wanted.name
            ),
        )
    })
}
