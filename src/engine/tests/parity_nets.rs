//! Every network against diffusers and transformers, on random tiny weights in float32
//! (`src/xtask/reference/nets.py`, `pipeline.py`). Heads × dim, hidden size and encoder width all
//! differ, lengths are odd and unequal, and sequences are longer than the window.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/closeness.rs"]
mod closeness;
#[path = "support/placement.rs"]
mod placement;

use std::{collections::HashMap, path::PathBuf};

use acestep_engine::{
    checkpoint::{Checkpoint, Module, Part},
    models::{
        AudioDetokenizer, AudioTokenizer, ConditionEncoder, Dit, Qwen3, dit,
        lyric_encoder::LyricEncoder, timbre_encoder::TimbreEncoder,
    },
    nn::{Backend, WeightFile, Weights},
};
use candle_core::{DType, Tensor};
use closeness::assert_close;
use placement::{place, placement};

/// Of the largest reference value.
const TOLERANCE: f64 = 1e-4;
const BACKENDS: [Backend; 2] = [Backend::Standard, Backend::Fused];

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

struct Reference(HashMap<String, Tensor>);

impl Reference {
    fn load(name: &str) -> Self {
        let path = fixtures().join(format!("{name}.safetensors"));
        Self(candle_core::safetensors::load(path, place()).unwrap())
    }

    fn get(&self, name: &str) -> &Tensor {
        self.0
            .get(name)
            .unwrap_or_else(|| panic!("the fixture has no {name}"))
    }

    /// Token ids or codes, u32.
    fn ids(&self, name: &str) -> Tensor {
        placement::ids(self.get(name)).to_device(place()).unwrap()
    }
}

fn tiny() -> Checkpoint {
    Checkpoint::open(&fixtures().join("pipeline/checkpoint"), "acestep-v15-tiny").unwrap()
}

fn part(module: Module) -> (Checkpoint, Part) {
    let checkpoint = tiny();
    let part = checkpoint.part(module, placement()).unwrap();
    (checkpoint, part)
}

#[test]
fn text_encoder() {
    let (checkpoint, part) = part(Module::TextEncoder);
    let reference = Reference::load("nets/qwen3");
    for backend in BACKENDS {
        let net = part
            .load(|w| Qwen3::load(&checkpoint.text_encoder, backend, w))
            .unwrap();
        for row in 0..2 {
            let ids = reference.ids(&format!("ids.{row}"));
            let embedded = net.embed(&ids).unwrap();
            assert_close(
                "embedding",
                &embedded,
                reference.get(&format!("embedded.{row}")),
                TOLERANCE,
            );
            let output = net.forward(&ids).unwrap();
            let want = reference.get(&format!("output.{row}"));
            assert_close(
                &format!("text encoder {row} {backend:?}"),
                &output,
                want,
                TOLERANCE,
            );
        }
    }
    assert_eq!(part.unused(), Vec::<String>::new());
}

#[test]
fn text_encoder_with_the_prefix_of_language_models() {
    let file = fixtures().join("pipeline/checkpoint/Qwen3-Embedding-0.6B/model.safetensors");
    let tensors = candle_core::safetensors::load(file, place()).unwrap();
    let prefixed: HashMap<String, Tensor> = tensors
        .into_iter()
        .map(|(name, tensor)| (format!("model.{name}"), tensor))
        .collect();
    let bytes = safetensors::serialize(prefixed, None).unwrap();
    let w = Weights::new(
        vec![WeightFile::from_vec(bytes).unwrap()],
        DType::F32,
        place(),
    )
    .unwrap();
    let net = Qwen3::load(&tiny().text_encoder, Backend::Fused, &w).unwrap();
    let reference = Reference::load("nets/qwen3");
    let output = net.forward(&reference.ids("ids.0")).unwrap();
    assert_close(
        "prefixed text encoder",
        &output,
        reference.get("output.0"),
        TOLERANCE,
    );
}

#[test]
fn condition_encoder_and_its_parts() {
    let (checkpoint, part) = part(Module::Dit);
    let cfg = &checkpoint.dit;
    let reference = Reference::load("nets/condition");
    for backend in BACKENDS {
        let lyric_encoder = part
            .load(|w| LyricEncoder::load(cfg, backend, &w.pp("encoder.lyric_encoder")))
            .unwrap();
        let net = part
            .load(|w| ConditionEncoder::load(cfg, backend, w))
            .unwrap();
        for row in 0..2 {
            let lyrics = reference.get(&format!("lyrics.{row}"));
            let text = reference.get(&format!("text.{row}"));
            let references = reference.get(&format!("references.{row}"));
            let encoded = lyric_encoder.forward(lyrics).unwrap();
            let want = reference.get(&format!("lyric_output.{row}"));
            assert_close(
                &format!("lyric encoder {row} {backend:?}"),
                &encoded,
                want,
                TOLERANCE,
            );
            let timbre = net.timbre(references).unwrap();
            let want = reference.get(&format!("timbre_output.{row}"));
            assert_close(
                &format!("timbre encoder {row} {backend:?}"),
                &timbre,
                want,
                TOLERANCE,
            );
            let packed = net.forward(text, lyrics, references).unwrap();
            let want = reference.get(&format!("packed.{row}"));
            assert_close(
                &format!("condition {row} {backend:?}"),
                &packed,
                want,
                TOLERANCE,
            );
        }
    }
}

#[test]
fn timbre_encoder_without_special_token() {
    let folder = fixtures().join("nets/timbre_2b");
    let config = std::fs::read(folder.join("config.json")).unwrap();
    let cfg: dit::Config = serde_json::from_slice(&config).unwrap();
    assert!(!cfg.timbre_has_special_token());
    let file = WeightFile::open(&folder.join("model.safetensors")).unwrap();
    let w = Weights::new(vec![file], DType::F32, place()).unwrap();
    let net = TimbreEncoder::load(&cfg, Backend::Fused, &w.pp("encoder.timbre_encoder")).unwrap();
    let reference = Reference::load("nets/timbre_2b");
    let output = net
        .forward(reference.get("references"))
        .unwrap()
        .unsqueeze(0)
        .unwrap();
    assert_close(
        "timbre encoder, 2B",
        &output,
        reference.get("output"),
        TOLERANCE,
    );
    assert_eq!(w.unused(), Vec::<String>::new());
}

#[test]
fn decoder() {
    let (checkpoint, part) = part(Module::Dit);
    let reference = Reference::load("nets/dit");
    for backend in BACKENDS {
        let net = part
            .load(|w| Dit::load(&checkpoint.dit, backend, &w.pp("decoder")))
            .unwrap();
        // The third is the unguided branch: one null vector here, nineteen in the reference.
        for row in 0..3 {
            let time = reference
                .get(&format!("time.{row}"))
                .to_vec1::<f32>()
                .unwrap()[0];
            let times = net.prepare_times(&[0.5, f64::from(time)]).unwrap();
            let context = net
                .prepare_context(reference.get(&format!("context.{row}")))
                .unwrap();
            let condition = net
                .prepare_condition(reference.get(&format!("condition.{row}")))
                .unwrap();
            let hidden = reference.get(&format!("hidden.{row}"));
            let velocity = net
                .forward(hidden, 1, &times, &context, &condition)
                .unwrap();
            let want = reference.get(&format!("output.{row}"));
            assert_close(
                &format!("velocity {row} {backend:?}"),
                &velocity,
                want,
                TOLERANCE,
            );
        }
    }
}

#[test]
fn a_batch_of_equal_lengths_is_its_items() {
    let (checkpoint, part) = part(Module::Dit);
    let net = part
        .load(|w| Dit::load(&checkpoint.dit, Backend::Fused, &w.pp("decoder")))
        .unwrap();
    let reference = Reference::load("nets/dit");
    let twice = |name: &str| {
        let one = reference.get(name);
        Tensor::cat(&[&(one * 0.5).unwrap(), one], 0).unwrap()
    };
    let times = net.prepare_times(&[1.0]).unwrap();
    let context = net.prepare_context(&twice("context.0")).unwrap();
    let condition = net.prepare_condition(&twice("condition.0")).unwrap();
    let velocity = net
        .forward(&twice("hidden.0"), 0, &times, &context, &condition)
        .unwrap();
    let second = velocity.narrow(0, 1, 1).unwrap();
    assert_close(
        "second item of a batch",
        &second,
        reference.get("output.0"),
        TOLERANCE,
    );
}

#[test]
fn audio_tokens() {
    let (checkpoint, part) = part(Module::Dit);
    let cfg = &checkpoint.dit;
    let reference = Reference::load("nets/audio_tokens");
    for backend in BACKENDS {
        let tokenizer = part
            .load(|w| AudioTokenizer::load(cfg, backend, &w.pp("tokenizer")))
            .unwrap();
        let detokenizer = part
            .load(|w| AudioDetokenizer::load(cfg, backend, &w.pp("detokenizer")))
            .unwrap();

        let tokens = tokenizer
            .tokenize(reference.get("latents"), reference.get("silence"))
            .unwrap();
        let codes = tokens
            .codes
            .flatten_all()
            .unwrap()
            .to_vec1::<u32>()
            .unwrap();
        let want = reference
            .ids("codes")
            .flatten_all()
            .unwrap()
            .to_vec1::<u32>()
            .unwrap();
        let margins = reference
            .get("margin")
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap();
        assert_eq!(codes.len(), 13, "63 frames are 13 groups of five");
        for ((code, want), margin) in codes.iter().zip(&want).zip(&margins) {
            // Nearer to a border than this, rounding decides.
            assert!(
                code == want || *margin < 1e-4,
                "{code} instead of {want}, margin {margin}"
            );
        }
        assert_close(
            "quantised",
            &tokens.vectors,
            reference.get("quantized"),
            TOLERANCE,
        );
        let decoded = detokenizer.forward(&tokens.vectors).unwrap();
        assert_close("detokenized", &decoded, reference.get("decoded"), TOLERANCE);

        let some = reference
            .ids("some_codes")
            .flatten_all()
            .unwrap()
            .to_vec1::<u32>()
            .unwrap();
        let vectors = tokenizer.quantizer().vectors(&some).unwrap();
        assert_close(
            "vectors of codes",
            &vectors,
            reference.get("some_vectors"),
            TOLERANCE,
        );
        let decoded = detokenizer.forward(&vectors).unwrap();
        assert_close(
            "detokenized codes",
            &decoded,
            reference.get("some_decoded"),
            TOLERANCE,
        );
    }
}

#[test]
fn every_tensor_of_a_dit_folder_is_taken() {
    let (checkpoint, part) = part(Module::Dit);
    let cfg = &checkpoint.dit;
    part.load(|w| Dit::load(cfg, Backend::Fused, &w.pp("decoder")))
        .unwrap();
    part.load(|w| ConditionEncoder::load(cfg, Backend::Fused, w))
        .unwrap();
    assert!(
        part.unused()
            .iter()
            .all(|name| name.starts_with("tokenizer.") || name.starts_with("detokenizer."))
    );
    assert!(!part.unused().is_empty());
    part.load(|w| AudioTokenizer::load(cfg, Backend::Fused, &w.pp("tokenizer")))
        .unwrap();
    part.load(|w| AudioDetokenizer::load(cfg, Backend::Fused, &w.pp("detokenizer")))
        .unwrap();
    assert_eq!(part.unused(), Vec::<String>::new());
    let loaded = Dit::parameters(cfg)
        + ConditionEncoder::parameters(cfg)
        + AudioTokenizer::parameters(cfg)
        + AudioDetokenizer::parameters(cfg);
    let report = acestep_engine::checkpoint::inspect(
        &fixtures().join("pipeline/checkpoint/acestep-v15-tiny"),
    );
    assert_eq!(report.models[0].parameters, loaded);
}

/// The bundled model, bf16 weights read as f32, from token ids to latents in eight Euler steps.
#[test]
fn the_bundled_model_follows_the_reference() {
    let checkpoint = Checkpoint::demo().unwrap();
    let reference = Reference::load("pipeline/demo");
    let cfg = &checkpoint.dit;
    let backend = Backend::Fused;
    let silence = checkpoint.silence_latent(place()).unwrap();

    let text = checkpoint.part(Module::TextEncoder, placement()).unwrap();
    let text_encoder = text
        .load(|w| Qwen3::load(&checkpoint.text_encoder, backend, w))
        .unwrap();
    let ids = |name: &str| reference.ids(name).unsqueeze(0).unwrap();
    let caption = text_encoder.forward(&ids("text_ids.0")).unwrap();
    let lyrics = text_encoder.embed(&ids("lyric_ids.0")).unwrap();

    let part = checkpoint.part(Module::Dit, placement()).unwrap();
    let encoder = part
        .load(|w| ConditionEncoder::load(cfg, backend, w))
        .unwrap();
    let no_reference = silence.narrow(1, 0, cfg.timbre_fix_frame).unwrap();
    let packed = encoder.forward(&caption, &lyrics, &no_reference).unwrap();
    assert_close(
        "condition of the bundled model",
        &packed,
        reference.get("condition.0"),
        TOLERANCE,
    );

    let net = part
        .load(|w| Dit::load(cfg, backend, &w.pp("decoder")))
        .unwrap();
    let noise = reference.get("noise");
    let frames = noise.dim(1).unwrap();
    let source = silence.narrow(1, 0, frames).unwrap();
    let context_latents = Tensor::cat(&[&source, &source.ones_like().unwrap()], 2).unwrap();
    let context = net.prepare_context(&context_latents).unwrap();
    let condition = net.prepare_condition(&packed).unwrap();
    let schedule: Vec<f64> = (0..=8)
        .map(|i| 1. - f64::from(i) / 8.)
        .map(|t| 3. * t / (1. + 2. * t))
        .collect();
    let times = net.prepare_times(&schedule[..8]).unwrap();
    let mut x = noise.clone();
    for step in 0..8 {
        let v = net.forward(&x, step, &times, &context, &condition).unwrap();
        x = (&x - (v * (schedule[step] - schedule[step + 1])).unwrap()).unwrap();
    }
    assert_close(
        "latents of the bundled model",
        &x,
        reference.get("latents"),
        1e-3,
    );
}
