//! How long units of work take on a machine, before one was measured: operations and bytes of the
//! networks, from configs alone, against what the machine can do of them.
//!
//! A first estimate, good to a factor of two; the studio replaces it by what runs took. For a
//! processor only: of a card's rates nothing is known before it has worked.

use acestep_domain::{capabilities::DeviceKind, task::Family};
use serde::{Deserialize, Serialize};

use super::plan::Models;
use crate::{
    kernels::rates::matmul_f32,
    memory::probe::memory_gb_per_sec,
    models::{
        condition_encoder::ConditionEncoder,
        dit::Dit,
        oobleck::{decoder_operations, encoder_operations},
        qwen3::{CausalLm, Qwen3},
    },
};

/// Shares of the rates that the networks reach (`docs/performance.md`).
const OF_MATMUL: f64 = 0.8;
const OF_CONVOLUTION: f64 = 0.7;
const OF_MEMORY: f64 = 0.7;

/// Tokens of a usual plan, of a usual prompt, and of usual words to the encoders.
const PLAN_TOKENS: f64 = 80.0;
const PROMPT_TOKENS: f64 = 500.0;
const WORDS: f64 = 400.0;

/// Seconds of a song that a step is counted on: attention grows with it.
const SONG_SECS: f64 = 120.0;

/// What a machine can do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Operations a second of an f32 product of matrices.
    pub flops: f64,
    /// Bytes of main memory a second.
    pub bytes_per_sec: f64,
}

impl Machine {
    /// Measures this one; takes a few tenths of a second. `None` where there is no memory for it.
    pub fn measure() -> Option<Self> {
        Some(Self {
            flops: matmul_f32(256, 1024, 1024).ok()?,
            bytes_per_sec: memory_gb_per_sec()? * 1e9,
        })
    }
}

/// Seconds of units of work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct UnitSecs {
    /// A plan of the language model.
    pub plan: f64,
    /// A code, of all songs together.
    pub code: f64,
    /// Words to conditions.
    pub prepare: f64,
    /// A second of a recording that is encoded.
    pub encode: f64,
    /// A diffusion step of a second of a song.
    pub step: f64,
    /// A second of a song decoded.
    pub decode: f64,
}

impl UnitSecs {
    /// Of `models` on `machine`; `None` where the networks run on a card.
    pub fn of(models: &Models, device: DeviceKind, machine: Machine) -> Option<Self> {
        if device != DeviceKind::Cpu || machine.flops <= 0.0 || machine.bytes_per_sec <= 0.0 {
            return None;
        }
        let multiply = |operations: f64| operations / (machine.flops * OF_MATMUL);
        let convolve = |operations: f64| operations / (machine.flops * OF_CONVOLUTION);
        let (cfg, vae) = (&models.dit, &models.vae);
        let frame_rate = f64::from(vae.sampling_rate) / vae.hop() as f64;
        let frames = SONG_SECS * frame_rate;

        // Guidance takes every step twice, and is on unless it is switched off.
        let guided = if models.family == Family::Base {
            2.0
        } else {
            1.0
        };
        let whole = frames.ceil() as usize;
        let step = Dit::operations(cfg, whole);

        let text = &models.text_encoder;
        let table = (text.vocab_size * text.hidden_size) as u64;
        let encoders = Qwen3::parameters(text) - table + ConditionEncoder::parameters(cfg);
        let prepare = 2.0 * encoders as f64 * (WORDS + cfg.timbre_fix_frame as f64 / 2.0);

        let (mut plan, mut code) = (0.0, 0.0);
        if let Some(lm) = &models.lm {
            let parameters = CausalLm::parameters(&lm.config) as f64;
            let bytes = models.lm_bytes(device).unwrap_or_default() as f64;
            let token = bytes / (machine.bytes_per_sec * OF_MEMORY);
            plan = token * PLAN_TOKENS + multiply(2.0 * parameters * PROMPT_TOKENS);
            code = token;
        }
        Some(Self {
            plan,
            code,
            prepare: multiply(prepare),
            encode: convolve(encoder_operations(vae, whole)) / SONG_SECS,
            step: guided * multiply(step) / SONG_SECS,
            decode: convolve(decoder_operations(vae, whole)) / SONG_SECS,
        })
    }
}

#[cfg(test)]
mod tests {
    use acestep_domain::tier::LmSize;

    use super::*;

    const MACHINE: Machine = Machine {
        flops: 1e11,
        bytes_per_sec: 1e10,
    };

    fn of(name: &str, lm: LmSize) -> UnitSecs {
        let models = Models::released(name).with_released_lm(lm);
        UnitSecs::of(&models, DeviceKind::Cpu, MACHINE).unwrap()
    }

    #[test]
    fn larger_networks_take_longer_and_a_quicker_machine_less() {
        let (small, large) = (
            of("acestep-v15-turbo", LmSize::Small),
            of("acestep-v15-xl-turbo", LmSize::Large),
        );
        assert!(large.step > 2.0 * small.step && large.code > 4.0 * small.code);
        assert_eq!(large.decode.to_bits(), small.decode.to_bits());
        // 25 frames a second, 2 to a token, 2 operations for each of the 1.41e9 weights that every
        // token meets, and attention.
        let least = 12.5 * 2.0 * 1.41e9 / (1e11 * OF_MATMUL);
        assert!((least..1.6 * least).contains(&small.step), "{small:?}");
        assert!(small.encode > 0.0 && small.decode > 0.0 && small.prepare > 0.0);
        let models = Models::released("acestep-v15-turbo");
        let quicker = Machine {
            flops: 2e11,
            ..MACHINE
        };
        let quick = UnitSecs::of(&models, DeviceKind::Cpu, quicker).unwrap();
        assert!((quick.step * 2.0 - small.step).abs() < 1e-9);
        assert_eq!(quick.code, 0.0, "there is no language model");
        assert_eq!(UnitSecs::of(&models, DeviceKind::Cuda, MACHINE), None);
    }

    #[test]
    fn this_machine_can_be_measured() {
        let machine = Machine::measure().unwrap();
        assert!(machine.flops > 1e6 && machine.bytes_per_sec > 1e6);
    }
}
