//! The language model against transformers' `Qwen3ForCausalLM`, on random tiny weights
//! (`src/xtask/reference/lm.py`): stored as bf16, counted in f32; heads × dim is not the width.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::single_range_in_vec_init,
    reason = "rows of the head are a list of ranges"
)]

#[path = "support/closeness.rs"]
mod closeness;
#[path = "support/placement.rs"]
mod placement;

use std::{collections::HashMap, path::PathBuf};

use acestep_engine::{
    diffusion::noise::Purpose,
    models::qwen3::{CausalLm, Chunk, Config},
    nn::{Backend, KvCache, WeightFile, Weights},
    observer::Silent,
    planner::{
        constraint::{Constraint, Next, TokenSet},
        decode::{Script, Writer, write},
        sampler::{Sampler, Sampling},
        scoring::{Read, likelier},
    },
};
use candle_core::{DType, Tensor};
use closeness::assert_close;
use placement::place;
use serde::Deserialize;

/// Of the largest reference value.
const TOLERANCE: f64 = 1e-4;
const BACKENDS: [Backend; 2] = [Backend::Standard, Backend::Fused];
const VOCABULARY: usize = 1203;

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lm")
}

fn folder() -> PathBuf {
    fixtures().join("acestep-5Hz-lm-tiny")
}

fn config() -> Config {
    serde_json::from_slice(&std::fs::read(folder().join("config.json")).unwrap()).unwrap()
}

fn tensors() -> HashMap<String, Tensor> {
    candle_core::safetensors::load(folder().join("model.safetensors"), place()).unwrap()
}

fn weights(tensors: HashMap<String, Tensor>) -> Weights {
    let bytes = safetensors::serialize(tensors, None).unwrap();
    let file = WeightFile::from_vec(bytes).unwrap();
    Weights::new(vec![file], DType::F32, place()).unwrap()
}

fn model(backend: Backend) -> CausalLm {
    CausalLm::load(&config(), backend, &weights(tensors())).unwrap()
}

struct Reference(HashMap<String, Tensor>);

impl Reference {
    fn load() -> Self {
        let path = fixtures().join("reference.safetensors");
        Self(candle_core::safetensors::load(path, place()).unwrap())
    }

    fn get(&self, name: &str) -> &Tensor {
        &self.0[name]
    }

    fn ids(&self, name: &str) -> Vec<u32> {
        placement::ids(self.get(name)).to_vec1().unwrap()
    }

    fn prompts(&self) -> Vec<Vec<u32>> {
        (0..4).map(|i| self.ids(&format!("ids.{i}"))).collect()
    }
}

/// Extends each sequence by its ids; logits of the last token of each, `[n, v]`.
fn step(lm: &CausalLm, caches: &mut [KvCache], ids: &[Vec<u32>]) -> Tensor {
    let mut chunks: Vec<Chunk<'_>> = caches
        .iter_mut()
        .zip(ids)
        .map(|(cache, ids)| Chunk { ids, cache })
        .collect();
    let hidden = lm.extend_last(&mut chunks).unwrap();
    lm.logits(&hidden, &[0..VOCABULARY]).unwrap()
}

fn caches(lm: &CausalLm, count: usize) -> Vec<KvCache> {
    (0..count).map(|_| lm.cache(1).unwrap()).collect()
}

/// Demands the same bits. A card's library chooses a product by how many rows it has, so there it is the same within
/// the tolerance.
#[track_caller]
fn assert_same(what: &str, got: &Tensor, want: &Tensor) {
    if got.device().is_cpu() {
        assert_eq!(bits(got), bits(want), "{what}");
    } else {
        assert_close(what, got, want, TOLERANCE);
    }
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
    values.into_iter().map(f32::to_bits).collect()
}

#[test]
fn prompts_of_unequal_length_in_one_batch() {
    let reference = Reference::load();
    let prompts = reference.prompts();
    for backend in BACKENDS {
        let lm = model(backend);
        let logits = step(&lm, &mut caches(&lm, 4), &prompts);
        for (i, prompt) in prompts.iter().enumerate() {
            let what = format!("{} tokens, {backend:?}", prompt.len());
            let want = reference.get(&format!("logits.{i}"));
            assert_close(&what, &logits.narrow(0, i, 1).unwrap(), want, TOLERANCE);
        }
    }
}

#[test]
fn every_position_and_token_by_token_and_in_runs() {
    let reference = Reference::load();
    let ids = reference.ids("ids.2");
    let every = reference.get("every");
    for backend in BACKENDS {
        let lm = model(backend);
        let mut cache = lm.cache(1).unwrap();
        let hidden = lm
            .extend(&mut [Chunk {
                ids: &ids,
                cache: &mut cache,
            }])
            .unwrap();
        let logits = lm.logits(&hidden[0], &[0..VOCABULARY]).unwrap();
        assert_close("every position", &logits, every, TOLERANCE);
        // A prefix, single tokens, and a run in the middle.
        let mut own = caches(&lm, 1);
        let mut done = 0;
        for count in [3, 1, 1, 5, 1, 4, 1, 1] {
            let chunk = ids[done..done + count].to_vec();
            let logits = step(&lm, &mut own, &[chunk]);
            done += count;
            let want = every.narrow(0, done - 1, 1).unwrap();
            assert_close(&format!("after {done}"), &logits, &want, TOLERANCE);
        }
        assert_eq!(done, ids.len());
    }
}

/// 300 tokens and a step each, which also takes the cache over the end of its first block.
#[test]
fn a_step_after_a_long_prompt_is_the_whole_prompt() {
    let reference = Reference::load();
    let ids = reference.ids("ids.3");
    let lm = model(Backend::Fused);
    let mut own = caches(&lm, 1);
    let (first, rest) = ids.split_at(250);
    step(&lm, &mut own, &[first.to_vec()]);
    let mut logits = None;
    for id in rest {
        logits = Some(step(&lm, &mut own, &[vec![*id]]));
    }
    assert_eq!(own[0].len(), 300);
    let want = reference.get("logits.3");
    assert_close("250 and 50 steps", &logits.unwrap(), want, TOLERANCE);
}

#[test]
fn a_sequence_has_the_same_bits_alone_and_anywhere_in_a_batch() {
    let lm = model(Backend::Fused);
    let prompts = Reference::load().prompts();
    let continuations = [vec![5u32], vec![17, 900, 33], vec![1202], vec![0, 7]];
    let alone: Vec<Tensor> = (0..4)
        .map(|i| {
            let mut own = caches(&lm, 1);
            step(&lm, &mut own, &prompts[i..=i]);
            step(&lm, &mut own, &continuations[i..=i]);
            step(&lm, &mut own, &[vec![42]])
        })
        .collect();
    for order in [[0, 1, 2, 3], [3, 1, 0, 2], [2, 3, 1, 0]] {
        let pick = |all: &[Vec<u32>]| order.map(|i| all[i].clone()).to_vec();
        let mut own = caches(&lm, 4);
        step(&lm, &mut own, &pick(&prompts));
        step(&lm, &mut own, &pick(&continuations));
        let last = step(&lm, &mut own, &vec![vec![42]; 4]);
        for (row, i) in order.into_iter().enumerate() {
            let what = format!("{order:?}");
            assert_same(&what, &last.narrow(0, row, 1).unwrap(), &alone[i]);
        }
    }
}

#[test]
fn some_rows_of_the_head_are_those_of_the_whole() {
    let lm = model(Backend::Fused);
    let mut cache = lm.cache(1).unwrap();
    let hidden = lm
        .extend_last(&mut [Chunk {
            ids: &[3, 1, 4],
            cache: &mut cache,
        }])
        .unwrap();
    let whole = lm.logits(&hidden, &[0..VOCABULARY]).unwrap();
    let some = lm.logits(&hidden, &[7..8, 100..1203, 0..3]).unwrap();
    let parts: Vec<Tensor> = [(7, 1), (100, 1103), (0, 3)]
        .into_iter()
        .map(|(first, count)| whole.narrow(1, first, count).unwrap())
        .collect();
    assert_same("some rows", &some, &Tensor::cat(&parts, 1).unwrap());
}

#[test]
fn a_fork_continues_apart_from_its_origin() {
    let lm = model(Backend::Fused);
    let prompt = Reference::load().ids("ids.2");
    let mut own = caches(&lm, 1);
    step(&lm, &mut own, std::slice::from_ref(&prompt));
    let mut both = vec![own[0].fork().unwrap(), own.remove(0)];
    let forked = step(&lm, &mut both, &[vec![1], vec![2]]);
    for (row, id) in [1u32, 2].into_iter().enumerate() {
        let mut fresh = caches(&lm, 1);
        step(&lm, &mut fresh, std::slice::from_ref(&prompt));
        let want = step(&lm, &mut fresh, &[vec![id]]);
        assert_same("fork", &forked.narrow(0, row, 1).unwrap(), &want);
    }
}

#[test]
fn both_prefixes_and_both_kinds_of_head() {
    let reference = Reference::load();
    let prompts = reference.prompts();
    let want = reference.get("logits.2");
    let run = |cfg: &Config, tensors: HashMap<String, Tensor>| {
        let w = weights(tensors);
        let lm = CausalLm::load(cfg, Backend::Fused, &w).unwrap();
        assert_eq!(w.unused(), Vec::<String>::new());
        step(&lm, &mut caches(&lm, 1), &prompts[2..3])
    };
    let bare: HashMap<String, Tensor> = tensors()
        .into_iter()
        .map(|(name, tensor)| (name.strip_prefix("model.").unwrap().to_owned(), tensor))
        .collect();
    assert_close("without prefix", &run(&config(), bare), want, TOLERANCE);

    // A head of its own, whose rows are the embeddings in reverse.
    let mut cfg = config();
    cfg.tie_word_embeddings = false;
    let mut own = tensors();
    let reversed: Vec<u32> = (0..VOCABULARY as u32).rev().collect();
    let reversed = Tensor::from_vec(reversed, VOCABULARY, place()).unwrap();
    let head = own["model.embed_tokens.weight"]
        .index_select(&reversed, 0)
        .unwrap();
    let missing = CausalLm::load(&cfg, Backend::Fused, &weights(own.clone())).unwrap_err();
    assert!(missing.to_string().contains("lm_head.weight"), "{missing}");
    own.insert("lm_head.weight".to_owned(), head);
    let logits = run(&cfg, own).index_select(&reversed, 1).unwrap();
    assert_close("a head of its own", &logits, want, TOLERANCE);
}

#[test]
fn no_token_is_refused() {
    let lm = model(Backend::Fused);
    let mut cache = lm.cache(1).unwrap();
    let refused = lm.extend(&mut [Chunk {
        ids: &[],
        cache: &mut cache,
    }]);
    assert!(refused.is_err());
}

/// Anything may follow, and the best does.
struct Anything(TokenSet);

impl Constraint for Anything {
    fn next(&mut self) -> Next<'_> {
        Next::Choice {
            allowed: &self.0,
            greedy: true,
        }
    }

    fn advance(&mut self, _: u32) -> acestep_engine::error::Result<()> {
        Ok(())
    }

    fn field(&self) -> &'static str {
        "anything"
    }
}

#[test]
fn guidance_steers_as_the_reference_does() {
    let reference = Reference::load();
    let prompts = reference.prompts();
    let want = reference.ids("guided");
    let mut all = TokenSet::new(VOCABULARY);
    all.extend(0..VOCABULARY as u32);
    for backend in BACKENDS {
        let written = write(
            &model(backend),
            &Script {
                prompt: &prompts[2],
                guidance: Some((&prompts[1], 2.0)),
                budget: want.len(),
                log: None,
            },
            vec![Writer {
                constraint: Box::new(Anything(all.clone())),
                sampler: Sampler::new(Sampling::default(), 1, Purpose::Codes),
            }],
            &Silent,
            &mut |_| (),
        )
        .unwrap();
        assert_eq!(written[0].ids, want, "{backend:?}");
        assert!(written[0].cut);
    }
}

#[derive(Deserialize)]
struct Told {
    scale: f64,
    answers: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    log_prob: f64,
    recall: f64,
    likelier: f64,
}

#[test]
fn answers_are_judged_as_the_reference_judges_them() {
    let told: Told =
        serde_json::from_slice(&std::fs::read(fixtures().join("scores.json")).unwrap()).unwrap();
    let path = fixtures().join("scores.safetensors");
    let reference = Reference(candle_core::safetensors::load(path, place()).unwrap());
    for backend in BACKENDS {
        let lm = model(backend);
        let mut song = Read::new(&lm, &reference.ids("song"), 35).unwrap();
        // Room is no limit.
        let mut none = Read::new(&lm, &reference.ids("none"), 0).unwrap();
        // Each answer stands by itself, whatever was judged before it.
        for round in 0..2 {
            for (index, wanted) in told.answers.iter().enumerate() {
                let answer = reference.ids(&format!("answer.{index}"));
                let (for_song, for_none) =
                    (song.judge(&answer).unwrap(), none.judge(&answer).unwrap());
                let found = [
                    (for_song.mean_log_prob, wanted.log_prob),
                    (for_song.recall, wanted.recall),
                    (likelier(for_song, for_none, told.scale), wanted.likelier),
                ];
                for (found, wanted) in found {
                    let far = (found - wanted).abs();
                    assert!(far < 1e-4, "{backend:?} {round} {index}: {found} {wanted}");
                }
            }
        }
        assert!(song.judge(&[]).is_err());
        assert!(song.judge(&[VOCABULARY as u32]).is_err());
    }
}
