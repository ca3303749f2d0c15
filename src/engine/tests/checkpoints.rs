//! Checkpoints as users have them: whole, sharded, in other precisions, and damaged in every way
//! that downloads are.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/closeness.rs"]
mod closeness;
#[path = "support/damages.rs"]
mod damages;

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use acestep_domain::{capabilities::DeviceKind, task::Family};
use acestep_engine::{
    checkpoint::{Checkpoint, Module, has_files, inspect, list_lms, list_models},
    demo, device,
    error::{Error, Result},
    models::{AudioDetokenizer, AudioTokenizer, ConditionEncoder, Dit, Qwen3, oobleck::Oobleck},
    nn::Backend,
};
use candle_core::{DType, Device, Tensor};
use closeness::{Closeness, assert_close};
use damages::{CONFIG, DAMAGES, TINY, WEIGHTS, change_config, change_tensors};

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// A copy of the tiny checkpoint that a test may damage.
fn copy() -> tempfile::TempDir {
    fn tree(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.path().is_dir() {
                tree(&entry.path(), &target);
            } else {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }
    let dir = tempfile::tempdir().unwrap();
    tree(&fixtures().join("pipeline/checkpoint"), dir.path());
    dir
}

/// Opens a checkpoint and loads everything in it; gives the tensors nobody took.
fn load_all(root: &Path) -> Result<Vec<String>> {
    load_networks(&Checkpoint::open(root, TINY)?)
}

fn load_networks(checkpoint: &Checkpoint) -> Result<Vec<String>> {
    let placement = device::open(DeviceKind::Cpu, DType::F32)?;
    let backend = Backend::Fused;
    let cfg = &checkpoint.dit;
    let dit = checkpoint.part(Module::Dit, &placement)?;
    dit.load(|w| Dit::load(cfg, backend, &w.pp("decoder")))?;
    dit.load(|w| ConditionEncoder::load(cfg, backend, w))?;
    dit.load(|w| AudioTokenizer::load(cfg, backend, &w.pp("tokenizer")))?;
    dit.load(|w| AudioDetokenizer::load(cfg, backend, &w.pp("detokenizer")))?;
    let text = checkpoint.part(Module::TextEncoder, &placement)?;
    text.load(|w| Qwen3::load(&checkpoint.text_encoder, backend, w))?;
    let vae = checkpoint.part(Module::Vae, &placement)?;
    vae.load(|w| Oobleck::load(&checkpoint.vae, w))?;
    checkpoint.silence_latent(&Device::Cpu)?;
    checkpoint.tokenizer()?;
    Ok([dit.unused(), text.unused(), vae.unused()].concat())
}

fn tensors(root: &Path) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(root.join(WEIGHTS), &Device::Cpu).unwrap()
}

/// First velocity of the fixture, computed from the checkpoint in `root`.
fn velocity(root: &Path) -> (Tensor, Tensor) {
    let reference =
        candle_core::safetensors::load(fixtures().join("nets/dit.safetensors"), &Device::Cpu)
            .unwrap();
    let checkpoint = Checkpoint::open(root, TINY).unwrap();
    let part = checkpoint
        .part(
            Module::Dit,
            &device::open(DeviceKind::Cpu, DType::F32).unwrap(),
        )
        .unwrap();
    let net = part
        .load(|w| Dit::load(&checkpoint.dit, Backend::Fused, &w.pp("decoder")))
        .unwrap();
    let times = net.prepare_times(&[1.0]).unwrap();
    let context = net.prepare_context(&reference["context.0"]).unwrap();
    let condition = net.prepare_condition(&reference["condition.0"]).unwrap();
    let velocity = net
        .forward(&reference["hidden.0"], 0, &times, &context, &condition)
        .unwrap();
    (velocity, reference["output.0"].clone())
}

#[test]
fn a_whole_checkpoint_loads_and_every_tensor_is_used() {
    let root = copy();
    assert_eq!(load_all(root.path()).unwrap(), Vec::<String>::new());
    let checkpoint = Checkpoint::open(root.path(), TINY).unwrap();
    assert_eq!(checkpoint.family(), Family::Turbo);
    assert!(!checkpoint.is_built_in());
    let silence = checkpoint.silence_latent(&Device::Cpu).unwrap();
    assert_eq!(silence.dims(), [1, 1000, 8]);
}

#[test]
fn a_sharded_checkpoint_is_the_same_checkpoint() {
    let root = copy();
    let mut shards = [HashMap::new(), HashMap::new(), HashMap::new()];
    let mut map = serde_json::Map::new();
    for (i, (name, tensor)) in tensors(root.path()).into_iter().enumerate() {
        map.insert(
            name.clone(),
            format!("model-0000{}-of-00003.safetensors", i % 3 + 1).into(),
        );
        shards[i % 3].insert(name, tensor);
    }
    let folder = root.path().join(TINY);
    fs::remove_file(root.path().join(WEIGHTS)).unwrap();
    for (i, shard) in shards.iter().enumerate() {
        let file = folder.join(format!("model-0000{}-of-00003.safetensors", i + 1));
        candle_core::safetensors::save(shard, file).unwrap();
    }
    let index = serde_json::json!({"metadata": {}, "weight_map": map});
    fs::write(
        folder.join("model.safetensors.index.json"),
        index.to_string(),
    )
    .unwrap();
    assert_eq!(load_all(root.path()).unwrap(), Vec::<String>::new());
    let (got, want) = velocity(root.path());
    assert_close("sharded", &got, &want, 1e-4);

    fs::remove_file(folder.join("model-00002-of-00003.safetensors")).unwrap();
    let error = load_all(root.path()).unwrap_err().to_string();
    assert!(
        error.contains("index.json") && error.contains("model-00002-of-00003.safetensors"),
        "{error}"
    );
}

#[test]
fn half_precision_checkpoints_load() {
    for (dtype, cosine) in [(DType::BF16, 0.9995), (DType::F16, 0.99999)] {
        let root = copy();
        let halved: HashMap<String, Tensor> = tensors(root.path())
            .into_iter()
            .map(|(name, tensor)| (name, tensor.to_dtype(dtype).unwrap()))
            .collect();
        candle_core::safetensors::save(&halved, root.path().join(WEIGHTS)).unwrap();
        assert_eq!(load_all(root.path()).unwrap(), Vec::<String>::new());
        let (got, want) = velocity(root.path());
        assert!(Closeness::of(&got, &want).cosine > cosine, "{dtype:?}");
    }
}

#[test]
fn weights_under_the_name_of_diffusers_load() {
    let root = copy();
    let folder = root.path().join(TINY);
    fs::rename(
        root.path().join(WEIGHTS),
        folder.join("diffusion_pytorch_model.safetensors"),
    )
    .unwrap();
    assert_eq!(load_all(root.path()).unwrap(), Vec::<String>::new());
}

#[test]
fn the_bundled_model_loads_like_any_other() {
    let checkpoint = Checkpoint::demo().unwrap();
    assert!(checkpoint.is_built_in());
    assert_eq!(load_networks(&checkpoint).unwrap(), Vec::<String>::new());
    let by_name = Checkpoint::open(Path::new("/nowhere"), demo::NAME).unwrap();
    assert!(by_name.is_built_in());
}

#[test]
fn a_tensor_that_no_network_knows_is_reported() {
    let root = copy();
    let mut all = tensors(root.path());
    all.insert(
        "decoder.layers.9.extra".into(),
        Tensor::new(&[1f32], &Device::Cpu).unwrap(),
    );
    candle_core::safetensors::save(&all, root.path().join(WEIGHTS)).unwrap();
    assert_eq!(load_all(root.path()).unwrap(), ["decoder.layers.9.extra"]);
    let report = inspect(&root.path().join(TINY));
    assert!(report.models[0].notes[0].contains("decoder.layers.9.extra"));
    assert_eq!(report.models[0].problems, Vec::<String>::new());
    // A surplus tensor is no reason to refuse the model.
    let listed = list_models(root.path());
    assert_eq!(listed[0].problem, None);
}

#[test]
fn every_damage_is_one_sentence_with_file_and_reason() {
    for (file, damage, named, words) in DAMAGES {
        let root = copy();
        damage(&root.path().join(file));
        let error = load_all(root.path())
            .expect_err(&format!("damage to {file} ({words:?}) must be noticed"));
        let Error::Checkpoint { path, reason } = &error else {
            panic!("{file}: {error} is not about the checkpoint");
        };
        assert_eq!(path, &root.path().join(named), "{reason}");
        for word in *words {
            assert!(reason.contains(word), "{reason:?} does not say {word:?}");
        }
        assert!(
            !reason.contains('\n') && !reason.ends_with('.'),
            "{reason:?} is not one sentence"
        );
    }
}

#[test]
fn inspect_finds_every_damage_without_failing() {
    for (file, damage, _, words) in DAMAGES {
        let root = copy();
        damage(&root.path().join(file));
        let report = inspect(root.path());
        let text = report.to_string();
        let problems = report.problems.len()
            + report
                .models
                .iter()
                .map(|model| model.problems.len())
                .sum::<usize>();
        // Whether two folders fit each other is a matter of opening, not of inspecting each.
        if words.contains(&"text_hidden_dim") || words.contains(&"audio_acoustic_hidden_dim") {
            continue;
        }
        assert!(
            problems > 0,
            "damage to {file} ({words:?}) is not in the report:\n{text}"
        );
        serde_json::to_string(&report).unwrap();
    }
}

#[test]
fn a_folder_that_lacks_a_file_or_is_cut_off_is_seen_at_a_glance() {
    let root = copy();
    let whole = |beside: &[&str]| has_files(root.path(), TINY, beside);
    assert!(whole(&["silence_latent.pt"]));
    assert!(!whole(&["tokenizer.json"]));
    let weights = root.path().join(TINY).join("model.safetensors");
    let length = fs::metadata(&weights).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(&weights).unwrap();
    file.set_len(length - 1).unwrap();
    assert!(!whole(&[]));
    assert!(!has_files(root.path(), "acestep-v15-nowhere", &[]));
}

#[test]
fn inspect_describes_what_is_there() {
    let root = copy();
    let report = inspect(root.path());
    assert_eq!(report.problems, Vec::<String>::new());
    let names: Vec<_> = report
        .models
        .iter()
        .map(|model| model.name.as_str())
        .collect();
    assert_eq!(names, ["Qwen3-Embedding-0.6B", TINY, "vae"]);
    for model in &report.models {
        assert_eq!(model.problems, Vec::<String>::new(), "{}", model.name);
        assert_eq!(model.dtype, "F32");
        assert!(model.bytes > 4 * model.parameters && model.parameters > 10_000);
    }
    let text = report.to_string();
    assert!(
        text.contains("DiT, turbo")
            && text.contains("autoencoder")
            && text.contains("text encoder"),
        "{text}"
    );

    let one = inspect(&root.path().join("vae"));
    assert_eq!(one.models.len(), 1);
    assert_eq!(one.models[0].name, "vae");

    assert!(inspect(Path::new("/nowhere")).problems[0].contains("no such folder"));
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(inspect(empty.path()).problems.len(), 3);
    assert!(!inspect(&root.path().join(CONFIG)).problems.is_empty());
}

#[test]
fn inspect_tells_of_a_gguf_file_that_cannot_be_read() {
    let root = copy();
    fs::write(root.path().join("something.gguf"), b"GGUF and then nothing").unwrap();
    let report = inspect(root.path());
    let damaged = report
        .models
        .iter()
        .find(|model| model.name == "something.gguf")
        .unwrap();
    assert_eq!(damaged.problems.len(), 1, "{damaged:?}");
}

#[test]
fn inspect_lists_all_that_is_missing_not_the_first() {
    let root = copy();
    change_tensors(&root.path().join(WEIGHTS), |all| {
        all.retain(|name, _| !name.contains("lyric_encoder"));
    });
    let problems = &inspect(root.path()).models[1].problems;
    assert!(
        problems[0].contains("encoder.lyric_encoder") && problems[0].contains("missing"),
        "{problems:?}"
    );
    assert!(
        problems
            .last()
            .unwrap()
            .contains("more tensors are missing"),
        "{problems:?}"
    );
}

#[test]
fn a_tokenizer_that_is_none_is_told_before_it_is_needed() {
    for text in ["{}", "no JSON"] {
        let root = copy();
        std::fs::write(
            root.path().join("Qwen3-Embedding-0.6B/tokenizer.json"),
            text,
        )
        .unwrap();
        let problems = &inspect(root.path()).models[0].problems;
        assert!(
            problems.len() == 1 && problems[0].starts_with("tokenizer.json: "),
            "{text}: {problems:?}"
        );
    }
}

#[test]
fn a_config_of_another_computation_is_told() {
    for (key, value) in [
        ("hidden_act", serde_json::json!("gelu")),
        ("sliding_window", serde_json::json!(0)),
    ] {
        let root = copy();
        change_config(&root.path().join(CONFIG), |config| {
            drop(config.insert(key.into(), value.clone()));
        });
        let problems = &inspect(root.path()).models[1].problems;
        assert!(problems[0].contains(key), "{problems:?}");
        assert!(load_all(root.path()).is_err(), "{key}");
    }
}

#[test]
fn absurd_configs_are_told_not_carried_out() {
    for key in [
        "num_hidden_layers",
        "patch_size",
        "pool_window_size",
        "text_hidden_dim",
        "timbre_hidden_dim",
        "sliding_window",
    ] {
        let root = copy();
        change_config(&root.path().join(CONFIG), |config| {
            drop(config.insert(key.into(), u64::MAX.into()));
        });
        let model = &inspect(root.path()).models[1];
        // A window wider than any song is a way to say that there is none.
        assert_eq!(
            model.problems.is_empty(),
            key == "sliding_window",
            "{key}: {model}"
        );
    }
}

#[test]
fn a_broken_gguf_file_is_called_by_its_name() {
    let root = copy();
    fs::write(root.path().join("acestep-v15-base-Q8_0.gguf"), "GGUF").unwrap();
    for name in ["acestep-v15-base-Q8_0.gguf", "acestep-v15-base-Q8_0"] {
        let refused = Checkpoint::open(root.path(), name).unwrap_err().to_string();
        assert!(refused.contains("acestep-v15-base-Q8_0.gguf"), "{refused}");
        assert!(refused.contains("truncated"), "{refused}");
    }
}

#[test]
fn models_are_listed_with_what_is_wrong() {
    let root = copy();
    fs::create_dir(root.path().join("acestep-v15-base")).unwrap();
    fs::create_dir(root.path().join("acestep-5Hz-lm-0.6B")).unwrap();
    fs::write(
        root.path().join("acestep-5Hz-lm-0.6B/model.safetensors"),
        [0; 100],
    )
    .unwrap();
    let models = list_models(root.path());
    let names: Vec<_> = models.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(names, ["acestep-v15-base", TINY, demo::NAME]);
    assert_eq!(models[0].family, Family::Base);
    assert!(models[0].problem.as_ref().unwrap().contains("config.json"));
    assert_eq!(models[1].problem, None);
    assert_eq!(models[1].size_bytes, 948_984);
    assert!(models[2].built_in && models[2].problem.is_none());
    assert_eq!(
        list_lms(root.path()),
        [("acestep-5Hz-lm-0.6B".to_owned(), 100)]
    );
    // The file beside a DiT without autoencoder is whole, but cannot sound.
    fs::remove_dir_all(root.path().join("vae")).unwrap();
    assert!(
        list_models(root.path())[1]
            .problem
            .as_ref()
            .unwrap()
            .contains("vae")
    );
}

#[test]
fn a_config_path_is_a_name_not_a_way_out() {
    let root = copy();
    for name in ["", "..", "../x", "/etc", "a/b", "a\\b", ".hidden", "C:x"] {
        let error = Checkpoint::open(root.path(), name).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Invalid {
                    field: "config_path",
                    ..
                }
            ),
            "{name}: {error}"
        );
    }
    let error = Checkpoint::open(root.path(), "acestep-v15-turbo")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("acestep-v15-turbo") && error.contains(TINY),
        "{error}"
    );
    let error = Checkpoint::open(&root.path().join("nowhere"), TINY)
        .unwrap_err()
        .to_string();
    assert!(error.contains("nowhere"), "{error}");
}

#[test]
fn a_base_checkpoint_is_known_by_its_config_first() {
    let root = copy();
    let family = |value: Option<bool>, version: Option<&str>| {
        change_config(&root.path().join(CONFIG), |config| {
            config.remove("is_turbo");
            config.remove("model_version");
            if let Some(value) = value {
                config.insert("is_turbo".into(), value.into());
            }
            if let Some(version) = version {
                config.insert("model_version".into(), version.into());
            }
        });
        Checkpoint::open(root.path(), TINY).unwrap().family()
    };
    assert_eq!(family(Some(false), Some("turbo")), Family::Base);
    assert_eq!(family(Some(true), None), Family::Turbo);
    assert_eq!(family(None, Some("sft")), Family::Base);
    // With neither key the folder's name decides.
    assert_eq!(family(None, None), Family::Turbo);
}
