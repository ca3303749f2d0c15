//! What a run is made of before it begins: parameters inside the limits, seeds, format, given noise.

use std::path::Path;

use acestep_domain::{
    GenerationParams, Note, UserError,
    defaults::defaults,
    generation::{
        AudioFormat,
        clamp::{Bounds, clamp_with_source, minutes},
        inputs,
        read::params_from_json,
    },
};
use acestep_engine::engine::EngineInfo;
use candle_core::{DType, Tensor};
use serde_json::Value;

use super::{Failure, GenerateArgs, read_tensor};

/// Reads the parameters over the defaults; refuses a task that is impossible or lacks something,
/// before a file is read for it.
pub(super) fn read_params(
    asked: &Value,
    bounds: Bounds,
    notes: &mut Vec<Note>,
) -> Result<GenerationParams, Failure> {
    let base = defaults(bounds.family, bounds.tier);
    let (params, more) = params_from_json(asked, base)?.strict()?;
    inputs::check(&params, bounds.family)?;
    notes.extend(more);
    if asked.get("thinking") == Some(&Value::Bool(true)) {
        notes.extend(inputs::idle_thinking(&params));
    }
    Ok(params)
}

/// Brings parameters inside the limits. The source decides the length; given noise decides batch and
/// length by itself.
pub(super) fn settle_params(
    mut params: GenerationParams,
    asked: &Value,
    bounds: Bounds,
    (noise, source_secs): (Option<&Noise>, Option<f64>),
    notes: &mut Vec<Note>,
) -> Result<GenerationParams, Failure> {
    let Some(noise) = noise else {
        let clamped = clamp_with_source(params, bounds, source_secs)?;
        notes.extend(clamped.notes);
        return Ok(clamped.params);
    };
    if asked.get("batch_size").is_none_or(Value::is_null) {
        params.batch_size = noise.songs;
    }
    if params.batch_size != noise.songs {
        return Err(Failure::input(UserError::invalid(
            "noise",
            format!(
                "The noise is for {} takes, and batch_size is {}.",
                noise.songs, params.batch_size
            ),
            "Leave batch_size out, or give noise of that many takes.",
        )));
    }
    let (duration_secs, batch_size) = (params.duration_secs, params.batch_size);
    // Of the limits only length and batch are the noise's to say.
    let inside = GenerationParams {
        duration_secs: if params.works_on_source() {
            duration_secs
        } else {
            Some(bounds.limits().0)
        },
        batch_size: 1,
        seeds: Vec::new(),
        ..params.clone()
    };
    let clamped = clamp_with_source(inside, bounds, source_secs)?;
    notes.extend(clamped.notes);
    let mut seeds = params.seeds;
    seeds.truncate(batch_size);
    Ok(GenerationParams {
        duration_secs: if clamped.params.works_on_source() {
            clamped.params.duration_secs
        } else {
            duration_secs
        },
        batch_size,
        seeds,
        ..clamped.params
    })
}

/// One seed a take; those not given come from the operating system.
pub(super) fn settle_seeds(params: &GenerationParams) -> Result<Vec<u32>, Failure> {
    let mut seeds = params.seeds.clone();
    while seeds.len() < params.batch_size {
        let seed = getrandom::u32().map_err(|error| {
            Failure::run(UserError::new(
                "internal",
                format!("The operating system gave no random numbers for the seeds: {error}."),
                "Give a fixed seed for every take.",
            ))
        })?;
        seeds.push(seed);
    }
    Ok(seeds)
}

/// The extension decides the kind of file, the parameters its depth; given noise asks for floats.
pub(super) fn settle_format(
    args: &GenerateArgs,
    asked: &Value,
    by_extension: Option<AudioFormat>,
    params: &mut GenerationParams,
    notes: &mut Vec<Note>,
) {
    let said = ["audio_format", "format"]
        .iter()
        .any(|key| asked.get(key).is_some());
    let wanted = params.audio_format;
    let mut format = match by_extension {
        None => wanted,
        Some(kind) if kind.extension() == wanted.extension() => wanted,
        Some(kind) => {
            if said {
                notes.push(Note::new(
                    "audio_format_by_extension",
                    "audio_format",
                    format!(
                        "Format: asked {}, using {}, as the name of the output says.",
                        wanted.as_str(),
                        kind.as_str()
                    ),
                ));
            }
            kind
        }
    };
    if args.noise.is_some() {
        if by_extension.is_none() && !said {
            format = AudioFormat::Wav;
        }
        if format.extension() == "wav" {
            format = AudioFormat::Wav32;
        } else {
            notes.push(Note::new(
                "noise_output_not_float",
                "noise",
                format!(
                    "Noise: {} cannot hold the exact samples; use .wav for 32-bit float.",
                    format.as_str()
                ),
            ));
        }
    }
    params.audio_format = format;
}

/// The state at the first timestep.
#[derive(Debug)]
pub(super) struct Noise {
    pub(super) state: Tensor,
    songs: usize,
    frames: usize,
    width: usize,
}

pub(super) fn read_noise(path: &Path) -> Result<Noise, Failure> {
    let state = read_tensor(path, "noise")?;
    let wrong = |reason: String| {
        Failure::input(UserError::invalid(
            "noise",
            format!("{}: {reason}.", path.display()),
            "Give one float32 tensor `noise` [b, t, c].",
        ))
    };
    if state.dtype() != DType::F32 {
        return Err(wrong(format!(
            "`noise` is {}, and float32 is needed",
            state.dtype().as_str()
        )));
    }
    match state.dims() {
        &[songs, frames, width] if songs > 0 && frames > 0 && width > 0 => Ok(Noise {
            state,
            songs,
            frames,
            width,
        }),
        dims => Err(wrong(format!(
            "the shape of `noise` is {dims:?}, and three dimensions are needed"
        ))),
    }
}

impl Noise {
    /// Refuses noise of another width; its frames settle the length.
    pub(super) fn check_against(
        &self,
        info: &EngineInfo,
        params: &mut GenerationParams,
        bounds: Bounds,
        notes: &mut Vec<Note>,
    ) -> Result<(), Failure> {
        if self.width != info.latent_channels {
            return Err(Failure::input(UserError::invalid(
                "noise",
                format!(
                    "The noise has {} channels, and {} has latents of {}.",
                    self.width, info.name, info.latent_channels
                ),
                format!("Give noise of the shape [b, t, {}].", info.latent_channels),
            )));
        }
        let length_secs = self.frames as f64 / info.latent_rate_hz;
        let asked = params.duration_secs;
        if let Some(asked) = asked
            && (asked - length_secs).abs() * info.latent_rate_hz > 1.0
        {
            notes.push(Note::new(
                "duration_by_noise",
                "duration",
                format!(
                    "Length: asked {asked} s; the noise has {} frames, so the song has {length_secs:.2} s. The prompt still names {asked} s.",
                    self.frames
                ),
            ));
        }
        let (max_secs, max_batch) = bounds.limits();
        if length_secs > max_secs || self.songs > max_batch {
            notes.push(Note::new(
                "limits_by_noise",
                "noise",
                format!(
                    "Noise: {} takes of {}, more than this machine's limits ({max_batch} of {}); given noise is run as it is.",
                    self.songs,
                    minutes(length_secs),
                    minutes(max_secs)
                ),
            ));
        }
        params.duration_secs = asked.or(Some(length_secs));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use acestep_domain::{task::Family, tier::GpuTier};

    use candle_core::Device;
    use serde_json::json;

    use super::*;

    const BOUNDS: Bounds = Bounds {
        tier: GpuTier::Tier1,
        lm_loaded: false,
        family: Family::Turbo,
        unlimited: false,
    };

    fn noise(songs: usize, frames: usize) -> Noise {
        Noise {
            state: Tensor::zeros((songs, frames, 4), DType::F32, &Device::Cpu).unwrap(),
            songs,
            frames,
            width: 4,
        }
    }

    fn settled(
        asked: &Value,
        bounds: Bounds,
        noise: Option<&Noise>,
        notes: &mut Vec<Note>,
    ) -> Result<GenerationParams, Failure> {
        let params = read_params(asked, bounds, notes)?;
        settle_params(params, asked, bounds, (noise, None), notes)
    }

    fn info() -> EngineInfo {
        EngineInfo {
            name: "m".into(),
            family: Family::Turbo,
            built_in: false,
            sample_rate_hz: 48_000,
            channels: 2,
            latent_channels: 4,
            latent_rate_hz: 25.0,
            parameters: 1,
            weights_bytes: 1,
            resident_bytes: 1,
            dtype: "f32".into(),
            attention: "fused".into(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn given_noise_decides_batch_and_length() {
        let mut notes = Vec::new();
        let given = noise(2, 50);
        let asked = json!({ "caption": "x", "seed": "1,2,3" });
        let mut params = settled(&asked, BOUNDS, Some(&given), &mut notes).unwrap();
        assert_eq!(
            (params.batch_size, params.seeds.as_slice()),
            (2, &[1, 2][..])
        );
        given
            .check_against(&info(), &mut params, BOUNDS, &mut notes)
            .unwrap();
        assert_eq!(params.duration_secs, Some(2.0));
        assert_eq!(notes.last().unwrap().code, "limits_by_noise");
    }

    #[test]
    fn noise_that_contradicts_is_told_or_refused() {
        let mut notes = Vec::new();
        let given = noise(1, 50);
        let asked = json!({ "caption": "x", "duration": 30 });
        let mut params = settled(&asked, BOUNDS, Some(&given), &mut notes).unwrap();
        given
            .check_against(&info(), &mut params, BOUNDS, &mut notes)
            .unwrap();
        assert_eq!(notes[0].code, "duration_by_noise");
        assert_eq!(params.duration_secs, Some(30.0));

        let asked = json!({ "caption": "x", "batch_size": 3 });
        let failure = settled(&asked, BOUNDS, Some(&given), &mut notes).unwrap_err();
        assert_eq!(failure.error.field.as_deref(), Some("noise"));

        let narrow = EngineInfo {
            latent_channels: 64,
            ..info()
        };
        let refused = given.check_against(&narrow, &mut params, BOUNDS, &mut notes);
        assert!(refused.unwrap_err().error.message.contains("64"));
    }

    #[test]
    fn without_noise_the_limits_of_the_tier_hold() {
        let mut notes = Vec::new();
        let asked = json!({ "caption": "x", "duration": 400, "batch_size": 2 });
        let params = settled(&asked, BOUNDS, None, &mut notes).unwrap();
        assert_eq!((params.duration_secs, params.batch_size), (Some(180.0), 1));
        let lifted = Bounds {
            unlimited: true,
            ..BOUNDS
        };
        let params = settled(&asked, lifted, None, &mut notes).unwrap();
        assert_eq!((params.duration_secs, params.batch_size), (Some(400.0), 2));
    }
}
