//! Recordings that a request names: on the command line, files.

use std::path::Path;

use acestep_domain::{GenerationParams, Note, capabilities::DeviceKind};
use acestep_engine::{
    audio::{
        Audio,
        decode::{self, Limit},
    },
    memory::plan::{Brought, lora_bytes},
};

use super::Failure;

/// Them, read.
#[derive(Debug, Default)]
pub(super) struct Recordings {
    pub(super) source: Option<Audio>,
    pub(super) references: Vec<Audio>,
}

impl Recordings {
    /// Reads what `params` name and the task has use for.
    pub(super) fn read(params: &GenerationParams, notes: &mut Vec<Note>) -> Result<Self, Failure> {
        let mut read = |path: &str, field: &str| read(path, field, notes);
        let source = params
            .src_audio
            .as_deref()
            .filter(|_| params.works_on_source())
            .map(|path| read(path, "src_audio"))
            .transpose()?;
        let references = params.reference_audio.iter();
        Ok(Self {
            source,
            references: references
                .map(|path| read(path, "reference_audio"))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Length of the source, when the task works on one.
    pub(super) fn source_secs(&self) -> Option<f64> {
        self.source.as_ref().map(Audio::duration_secs)
    }

    /// What a run on `device` by `params` brings along: them, and the adapters of `lora_dir`.
    pub(super) fn brought(
        &self,
        params: &GenerationParams,
        lora_dir: &Path,
        device: DeviceKind,
    ) -> Brought {
        let uses = params.loras.as_deref().unwrap_or_default();
        Brought {
            source_secs: self.source_secs().unwrap_or_default(),
            reference_secs: self.references.iter().map(Audio::duration_secs).sum(),
            lora_bytes: lora_bytes(lora_dir, uses, device),
        }
    }
}

fn read(path: &str, field: &str, notes: &mut Vec<Note>) -> Result<Audio, Failure> {
    let decoded = decode::from_path(Path::new(path), Limit::song())
        .map_err(|error| Failure::from(error).about(field))?;
    notes.extend(decoded.notes.into_iter().map(|note| Note {
        field: Some(field.to_owned()),
        message: format!("{path}: {}", note.message),
        ..note
    }));
    Ok(decoded.audio)
}

/// Names of files without their folders: a song may be given away, and where its maker keeps his
/// files is nobody's business.
pub(super) fn without_folders(params: &mut GenerationParams) {
    let name = |path: &str| {
        let name = Path::new(path).file_name();
        name.map_or_else(
            || path.to_owned(),
            |name| name.to_string_lossy().into_owned(),
        )
    };
    params.src_audio = params.src_audio.as_deref().map(name);
    params.reference_audio = params
        .reference_audio
        .iter()
        .map(|path| name(path))
        .collect();
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use acestep_domain::lora::LoraUse;
    use candle_core::{DType, Device, Tensor, safetensors};

    use super::*;

    #[test]
    fn what_a_run_brings_along_is_all_of_it() {
        let secs = |secs: usize| Audio {
            channels: vec![vec![0.1; secs * 100]],
            sample_rate_hz: 100,
        };
        let recordings = Recordings {
            source: Some(secs(3)),
            references: vec![secs(2), secs(5)],
        };
        let folder = tempfile::tempdir().unwrap();
        let tape = folder.path().join("tape");
        std::fs::create_dir(&tape).unwrap();
        let part = |shape: (usize, usize)| Tensor::ones(shape, DType::F32, &Device::Cpu).unwrap();
        let module = "base_model.model.layers.0.self_attn.q_proj";
        let tensors = HashMap::from([
            (format!("{module}.lora_A.weight"), part((2, 8))),
            (format!("{module}.lora_B.weight"), part((8, 2))),
        ]);
        safetensors::save(&tensors, tape.join("adapter_model.safetensors")).unwrap();
        let config = r#"{"peft_type": "LORA", "r": 2, "lora_alpha": 8}"#;
        std::fs::write(tape.join("adapter_config.json"), config).unwrap();
        let params = GenerationParams {
            loras: Some(vec![LoraUse::new("tape", 0.5)]),
            ..GenerationParams::default()
        };
        let brought = recordings.brought(&params, folder.path(), DeviceKind::Cpu);
        assert_eq!((brought.source_secs, brought.reference_secs), (3.0, 7.0));
        assert_eq!(brought.lora_bytes, 32 * 4);
        let nothing = Recordings::default().brought(
            &GenerationParams::default(),
            folder.path(),
            DeviceKind::Cpu,
        );
        assert_eq!(nothing, Brought::default());
    }
}
