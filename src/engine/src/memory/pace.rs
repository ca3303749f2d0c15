//! How long units of work take on a machine, before one was measured: operations and bytes of the
//! networks, from configs alone, against what the machine can do of them.
//!
//! A first estimate, good to a factor of two; the studio replaces it by what runs took. For a
//! processor only: of a card's rates nothing is known before it has worked.

use acestep_domain::{capabilities::DeviceKind, task::Family};
use serde::{Deserialize, Serialize};

use super::plan::Models;
use crate::{
    engine::LoadOptions,
    kernels::rates::{convolution, matmul_f32, quantized},
    memory::probe::memory_gb_per_sec,
    models::{
        condition_encoder::ConditionEncoder,
        dit::Dit,
        oobleck::{decoder_operations, encoder_operations},
        qwen3::{CausalLm, Qwen3},
    },
};

/// Shares of the rates that the networks reach (`docs/performance.md`).
const OF_PRODUCT: f64 = 0.8;
const OF_CONVOLUTION: f64 = 0.65;
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
    pub product: f64,
    /// Of a product with a quantised matrix.
    pub quantized: f64,
    /// Of a convolution.
    pub convolution: f64,
    /// Bytes of main memory a second.
    pub bytes_per_sec: f64,
}

impl Machine {
    /// Measures this one; takes a few tenths of a second. `None` where there is no memory for it.
    pub fn measure() -> Option<Self> {
        Some(Self {
            product: matmul_f32(256, 1024, 1024).ok()?,
            quantized: quantized(256, 1024, 1024).ok()?,
            convolution: convolution(128, 4096).ok()?,
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
    /// Of `models` loaded by `options` on `machine`; `None` where the networks run on a card.
    pub fn of(models: &Models, options: &LoadOptions, machine: Machine) -> Option<Self> {
        let rates = [
            machine.product,
            machine.quantized,
            machine.convolution,
            machine.bytes_per_sec,
        ];
        if options.device != DeviceKind::Cpu || rates.iter().any(|rate| *rate <= 0.0) {
            return None;
        }
        let bytes = models.bytes(options);
        // Of one file or format, so what holds for the largest network holds for all.
        let in_blocks = bytes.dit < 2 * Dit::parameters(&models.dit);
        let product = if in_blocks {
            machine.quantized
        } else {
            machine.product
        };
        let multiply = |operations: f64| operations / (product * OF_PRODUCT);
        let convolve = |operations: f64| operations / (machine.convolution * OF_CONVOLUTION);
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
            let token = bytes.lm.unwrap_or_default() as f64 / (machine.bytes_per_sec * OF_MEMORY);
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
    use acestep_domain::{service::Quantization, tier::LmSize};

    use super::*;

    const MACHINE: Machine = Machine {
        product: 1e11,
        quantized: 2e11,
        convolution: 1e11,
        bytes_per_sec: 1e10,
    };

    fn of(name: &str, lm: LmSize) -> UnitSecs {
        let models = Models::released(name).with_released_lm(lm);
        UnitSecs::of(&models, &LoadOptions::default(), MACHINE).unwrap()
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
        let least = 12.5 * 2.0 * 1.41e9 / (1e11 * OF_PRODUCT);
        assert!((least..1.6 * least).contains(&small.step), "{small:?}");
        assert!(small.encode > 0.0 && small.decode > 0.0 && small.prepare > 0.0);
        let models = Models::released("acestep-v15-turbo");
        let quicker = Machine {
            product: 2e11,
            ..MACHINE
        };
        let exact = LoadOptions::default();
        let quick = UnitSecs::of(&models, &exact, quicker).unwrap();
        assert!((quick.step * 2.0 - small.step).abs() < 1e-9);
        assert_eq!(quick.code, 0.0, "there is no language model");
        let on_card = LoadOptions {
            device: DeviceKind::Cuda,
            ..exact
        };
        assert_eq!(UnitSecs::of(&models, &on_card, MACHINE), None);
    }

    #[test]
    fn quantised_weights_have_the_rates_of_their_own_kernels() {
        let models = Models::released("acestep-v15-turbo").with_released_lm(LmSize::Small);
        let of = |quantization| {
            let options = LoadOptions {
                quantization,
                ..LoadOptions::default()
            };
            UnitSecs::of(&models, &options, MACHINE).unwrap()
        };
        let (exact, int8) = (of(Quantization::None), of(Quantization::Int8));
        assert!((int8.step * 2.0 - exact.step).abs() < 1e-9, "{int8:?}");
        assert_eq!(int8.decode.to_bits(), exact.decode.to_bits());
        // A token reads every weight: 34 bytes for 32 of them instead of 4 for one.
        let shares = exact.code / int8.code;
        assert!((3.0..3.8).contains(&shares), "{shares}");
    }

    #[test]
    fn this_machine_can_be_measured() {
        let machine = Machine::measure().unwrap();
        assert!(machine.product > 1e6 && machine.bytes_per_sec > 1e6);
        assert!(machine.quantized > 1e6 && machine.convolution > 1e6);
    }
}
