//! Adapters against PEFT and LyCORIS (`src/xtask/reference/lora.py`): the side path beside the weights
//! gives what the reference gives on weights that have the change merged in. And files as users have
//! them: for another model, damaged, of a method that is not known.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/closeness.rs"]
mod closeness;

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use acestep_domain::{
    GenerationParams,
    capabilities::DeviceKind,
    lora::{LoraKind, LoraUse},
};
use acestep_engine::{
    checkpoint::{
        Checkpoint, Module, inspect,
        lora::{Layers, Lora, list_loras},
    },
    device::{self, Placement},
    engine::{Engine, LoadOptions, Request},
    error::Error,
    kernels::quantized::Format,
    models::Dit,
    nn::{Backend, Formats, SidePath, SidePaths, WeightFile, Weights},
    observer::Silent,
};
use candle_core::{DType, Device, Tensor};
use closeness::{Closeness, assert_close};

/// Of the largest reference value.
const TOLERANCE: f64 = 1e-4;

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn loras() -> PathBuf {
    fixtures().join("lora")
}

fn cpu() -> Placement {
    device::open(DeviceKind::Cpu, DType::F32).unwrap()
}

fn tiny() -> Checkpoint {
    Checkpoint::open(&fixtures().join("pipeline/checkpoint"), "acestep-v15-tiny").unwrap()
}

fn reference() -> HashMap<String, Tensor> {
    candle_core::safetensors::load(fixtures().join("lora.safetensors"), &Device::Cpu).unwrap()
}

fn side_paths(layers: &Layers, uses: &[(&str, f64)]) -> SidePaths {
    SidePaths::new(uses.iter().flat_map(|(name, scale)| {
        let lora = Lora::open(&loras(), name).unwrap();
        assert_eq!(lora.check(layers).unwrap(), [], "{name}");
        let deltas = lora.load(layers, &cpu()).unwrap();
        deltas.into_iter().map(move |delta| {
            let path = SidePath {
                delta: delta.delta,
                scale: delta.scale * scale,
            };
            (delta.layer, path)
        })
    }))
}

fn velocity(dit: &Dit, reference: &HashMap<String, Tensor>, condition: &str) -> Tensor {
    let time = reference["time"].to_vec1::<f32>().unwrap()[0];
    let times = dit.prepare_times(&[f64::from(time)]).unwrap();
    let context = dit.prepare_context(&reference["context"]).unwrap();
    let condition = dit.prepare_condition(&reference[condition]).unwrap();
    dit.forward(&reference["hidden"], 0, &times, &context, &condition)
        .unwrap()
}

#[test]
fn every_layout_gives_what_merged_weights_give() {
    let checkpoint = tiny();
    let layers = checkpoint.layers().unwrap();
    let part = checkpoint.part(Module::Dit, &cpu()).unwrap();
    let reference = reference();
    for backend in [Backend::Standard, Backend::Fused] {
        let dit = part
            .load(|w| Dit::load(&checkpoint.dit, backend, &w.pp("decoder")))
            .unwrap();
        for (case, uses) in [
            ("none", &[][..]),
            ("peft", &[("peft", 1.0)]),
            ("peft.half", &[("peft", 0.5)]),
            ("peft.null", &[("peft", 1.0)]),
            ("stable", &[("stable", 1.0)]),
            ("peft-lokr", &[("peft-lokr", 1.0)]),
            ("diffusers", &[("diffusers", 1.0)]),
            ("comfyui", &[("comfyui", 1.0)]),
            ("kohya", &[("kohya.safetensors", 1.0)]),
            ("lokr", &[("lokr", 1.0)]),
            ("peft+lokr", &[("peft", 0.6), ("lokr", 0.3)]),
        ] {
            let adapted = dit.with_side_paths(&side_paths(&layers, uses));
            let condition = if case == "peft.null" {
                "null"
            } else {
                "condition"
            };
            let got = velocity(&adapted, &reference, condition);
            let want = &reference[&format!("output.{case}")];
            assert_close(&format!("{case} {backend:?}"), &got, want, TOLERANCE);
        }
    }
}

#[test]
fn adapters_stand_beside_quantised_weights() {
    let checkpoint = tiny();
    let layers = checkpoint.layers().unwrap();
    let reference = reference();
    let path = fixtures().join("pipeline/checkpoint/acestep-v15-tiny/model.safetensors");
    let file = WeightFile::open(&path).unwrap();
    let formats = Formats {
        layers: Some(Format::Q8_0),
        table: None,
    };
    let w = Weights::new(vec![file], DType::F32, &Device::Cpu)
        .unwrap()
        .with_formats(formats);
    let dit = Dit::load(&checkpoint.dit, Backend::Fused, &w.pp("decoder")).unwrap();
    assert!(w.held().packed[&Format::Q8_0] > 0);
    let plain = velocity(&dit, &reference, "condition");
    for case in ["peft", "lokr"] {
        let adapted = dit.with_side_paths(&side_paths(&layers, &[(case, 1.0)]));
        let got = velocity(&adapted, &reference, "condition");
        let want = &reference[&format!("output.{case}")];
        let near = Closeness::of(&got, want);
        // What 8 bits cost the tiny network without an adapter, and not much more.
        let cost = Closeness::of(&plain, &reference["output.none"]);
        assert!(cost.max_rel > 1e-4, "nothing was quantised: {cost:?}");
        assert!(near.max_rel < 4.0 * cost.max_rel, "{near:?} over {cost:?}");
        assert!(near.cosine > 0.999, "{near:?}");
    }
}

fn samples(engine: &mut Engine, loras: Option<Vec<LoraUse>>) -> Vec<Vec<f32>> {
    let params = GenerationParams {
        caption: "lofi".to_owned(),
        duration_secs: Some(2.0),
        inference_steps: 2,
        loras,
        ..GenerationParams::default()
    };
    let request = Request {
        params,
        seeds: vec![3],
        codes: Vec::new(),
        noise: None,
        keep_latents: false,
        raw_level: true,
        ..Request::default()
    };
    let mut songs = Vec::new();
    engine
        .generate(&request, &Silent, &mut |take| {
            songs.push(take.audio.channels);
            Ok(())
        })
        .unwrap();
    songs.pop().unwrap()
}

#[test]
fn scale_zero_is_bit_equal_to_none_and_a_change_reads_no_weight_again() {
    let mut engine = Engine::load(&tiny(), &LoadOptions::default(), &Silent).unwrap();
    let plain = samples(&mut engine, None);
    let mut with = |uses: &[LoraUse]| {
        engine.use_loras(uses, &loras(), &Silent).unwrap();
        (samples(&mut engine, Some(uses.to_vec())), engine.loras())
    };
    let (half, told) = with(&[LoraUse::new("peft", 0.5)]);
    assert_ne!(half, plain);
    assert_eq!((told[0].name.as_str(), told[0].scale), ("peft", 0.5));
    let hash = told[0].hash.clone().unwrap();
    assert_eq!(hash.len(), 64);

    let (off, told) = with(&[LoraUse::new("peft", 0.0), LoraUse::new("lokr", 0.0)]);
    assert_eq!(off, plain);
    assert_eq!(told, []);

    let (whole, _) = with(&[LoraUse::new("peft", 1.0)]);
    assert_ne!(whole, half);
    let (again, _) = with(&[LoraUse::new("peft", 0.5)]);
    assert_eq!(again, half);
    assert_eq!(with(&[]).0, plain);

    // A run that names what is not there is refused instead of being made without it.
    let request = Request {
        params: GenerationParams {
            loras: Some(vec![LoraUse::new("peft", 0.7)]),
            duration_secs: Some(1.0),
            ..GenerationParams::default()
        },
        seeds: vec![1],
        codes: Vec::new(),
        noise: None,
        keep_latents: false,
        raw_level: true,
        ..Request::default()
    };
    let refused = engine.generate(&request, &Silent, &mut |_| Ok(()));
    assert!(matches!(refused, Err(Error::Lora { .. })));
}

#[test]
fn a_file_that_changed_is_read_again_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    fs::copy(loras().join("kohya.safetensors"), &path).unwrap();
    let mut engine = Engine::load(&tiny(), &LoadOptions::default(), &Silent).unwrap();
    let uses = [LoraUse::new("a", 1.0)];
    assert_eq!(engine.use_loras(&uses, folder.path(), &Silent).unwrap(), []);
    let before = samples(&mut engine, None);
    let uses = engine.loras();
    fs::copy(loras().join("comfyui.safetensors"), &path).unwrap();
    let notes = engine.use_loras(&uses, folder.path(), &Silent).unwrap();
    assert_eq!(notes[0].code, "lora_changed");
    assert_ne!(samples(&mut engine, None), before);

    // The config counts as well as the weights.
    let one = folder.path().join("one");
    fs::create_dir(&one).unwrap();
    for file in ["adapter_model.safetensors", "adapter_config.json"] {
        fs::copy(loras().join("peft-lokr").join(file), one.join(file)).unwrap();
    }
    let uses = [LoraUse::new("one", 1.0)];
    engine.use_loras(&uses, folder.path(), &Silent).unwrap();
    let before = samples(&mut engine, None);
    let config = one.join("adapter_config.json");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replace("\"alpha\": 3", "\"alpha\": 30")).unwrap();
    engine.use_loras(&uses, folder.path(), &Silent).unwrap();
    assert_ne!(samples(&mut engine, None), before);
}

/// Writes an adapter of the tiny model's first query projection, changed by `change`.
fn write(path: &Path, change: impl FnOnce(&mut HashMap<String, Tensor>)) {
    let ones = |shape: (usize, usize)| Tensor::ones(shape, DType::F32, &Device::Cpu).unwrap();
    let module = "base_model.model.layers.0.self_attn.q_proj";
    let mut tensors = HashMap::from([
        (format!("{module}.lora_A.weight"), ones((2, 48))),
        (format!("{module}.lora_B.weight"), ones((32, 2))),
    ]);
    change(&mut tensors);
    candle_core::safetensors::save(&tensors, path).unwrap();
}

/// What is done to an adapter.
type Change = Box<dyn FnOnce(&mut HashMap<String, Tensor>)>;

fn reason(error: Error) -> String {
    match error {
        Error::Lora { reason, .. } => reason,
        other => panic!("{other}"),
    }
}

#[test]
fn what_cannot_be_used_is_refused_by_name_before_it_is_read() {
    const A: &str = "base_model.model.layers.0.self_attn.q_proj.lora_A.weight";
    const B: &str = "base_model.model.layers.0.self_attn.q_proj.lora_B.weight";
    let tensor =
        |shape: (usize, usize), value: f32| Tensor::full(value, shape, &Device::Cpu).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let layers = tiny().layers().unwrap();
    let cases: Vec<(Change, &[&str])> = vec![
        (
            Box::new(move |t| {
                t.insert(A.into(), tensor((2, 64), 1.0));
            }),
            &[
                "layers.0.self_attn.q_proj",
                "[32, 48]",
                "[32, 64]",
                "acestep-v15-tiny",
            ],
        ),
        (
            Box::new(|t| {
                t.remove(B);
            }),
            &["lora_A but no lora_B"],
        ),
        (
            Box::new(move |t| {
                t.insert(B.into(), tensor((32, 3), 1.0));
            }),
            &["rank 3", "rank 2"],
        ),
        (
            Box::new(move |t| {
                t.insert(B.into(), tensor((32, 2), f32::NAN));
            }),
            &["not finite", B],
        ),
        (
            Box::new(move |t| {
                t.insert("x.dora_scale".into(), tensor((1, 1), 1.0));
            }),
            &["DoRA", "x.dora_scale"],
        ),
        (
            Box::new(move |t| {
                t.clear();
                t.insert("unet.conv.lora_A.weight".into(), tensor((1, 1), 1.0));
                t.insert("unet.conv.lora_B.weight".into(), tensor((1, 1), 1.0));
            }),
            &[
                "none of its modules is a layer of acestep-v15-tiny",
                "unet.conv",
            ],
        ),
        (
            Box::new(move |t| {
                t.clear();
                t.insert("decoder.weight".into(), tensor((1, 1), 1.0));
            }),
            &["no tensor of an adapter", "decoder.weight"],
        ),
        (
            Box::new(move |t| {
                t.insert(
                    "lora_unet_layers_0_self_attn_q_proj.lora_down.weight".into(),
                    tensor((2, 48), 1.0),
                );
                t.insert(
                    "lora_unet_layers_0_self_attn_q_proj.lora_up.weight".into(),
                    tensor((32, 2), 1.0),
                );
            }),
            &["changes layers.0.self_attn.q_proj twice"],
        ),
    ];
    for (change, told) in cases {
        write(&path, change);
        let refused = Lora::open(folder.path(), "a")
            .and_then(|lora| lora.load(&layers, &cpu()).map(drop))
            .unwrap_err();
        let reason = reason(refused);
        for words in told {
            assert!(reason.contains(words), "{reason} lacks {words}");
        }
    }
    // The sound one is taken, with a note about what is left over.
    write(&path, |t| {
        t.insert("text.q_proj.lora_A.weight".into(), t[A].clone());
        t.insert("text.q_proj.lora_B.weight".into(), t[B].clone());
    });
    let lora = Lora::open(folder.path(), "a").unwrap();
    let notes = lora.check(&layers).unwrap();
    assert_eq!(notes[0].code, "lora_keys_unused");
    assert!(notes[0].message.contains("text.q_proj"), "{notes:?}");
    assert_eq!(lora.load(&layers, &cpu()).unwrap().len(), 1);
    assert!(matches!(
        Lora::open(folder.path(), "b"),
        Err(Error::NoLora { there, .. }) if there == ["a"]
    ));
}

#[test]
fn damaged_files_are_called_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read(loras().join("peft/adapter_model.safetensors")).unwrap();
    let config = fs::read(loras().join("peft/adapter_config.json")).unwrap();
    let weights = "adapter_model.safetensors";
    for (weights_name, bytes, config, told) in [
        (weights, &whole[..whole.len() / 2], &config[..], "truncated"),
        (weights, &b""[..], &config, "empty"),
        (
            weights,
            b"version https://git-lfs.github.com/spec/v1\n",
            &config,
            "Git LFS",
        ),
        (weights, &whole, b"{", "adapter_config.json"),
        (weights, &whole, br#"{"use_dora": true}"#, "DoRA"),
        ("adapter_model.bin", &whole, &config, "pickle"),
        (
            "notes.txt",
            b"x",
            &config,
            "adapter_model.safetensors is missing",
        ),
    ] {
        let one = folder.path().join("one");
        fs::create_dir_all(&one).unwrap();
        fs::write(one.join(weights_name), bytes).unwrap();
        fs::write(one.join("adapter_config.json"), config).unwrap();
        let reason = reason(Lora::open(folder.path(), "one").err().unwrap());
        assert!(reason.contains(told), "{reason} lacks {told}");
        let listed = list_loras(folder.path(), None);
        assert_eq!(listed[0].problem.as_deref(), Some(reason.as_str()));
        fs::remove_dir_all(&one).unwrap();
    }
    // Every byte of the header may be wrong without a panic.
    for place in (0..2000).step_by(7) {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x15;
        fs::write(folder.path().join("x.safetensors"), bytes).unwrap();
        if let Ok(lora) = Lora::open(folder.path(), "x") {
            lora.load(&tiny().layers().unwrap(), &cpu()).ok();
        }
    }
}

#[test]
fn the_folder_is_listed_with_what_does_not_fit_the_loaded_model() {
    let checkpoint = tiny();
    let listed = list_loras(&loras(), Some(&checkpoint));
    let kinds: Vec<_> = listed
        .iter()
        .map(|lora| (lora.name.as_str(), lora.kind, lora.rank))
        .collect();
    assert_eq!(
        kinds,
        [
            ("comfyui", Some(LoraKind::Comfyui), Some(3)),
            ("diffusers", Some(LoraKind::Diffusers), Some(2)),
            ("kohya", Some(LoraKind::Kohya), Some(3)),
            ("lokr", Some(LoraKind::Lokr), Some(3)),
            ("peft", Some(LoraKind::Peft), Some(4)),
            ("peft-lokr", Some(LoraKind::Lokr), Some(2)),
            ("stable", Some(LoraKind::Peft), Some(4)),
        ]
    );
    for lora in &listed {
        assert_eq!(lora.problem, None, "{lora:?}");
    }
    assert_eq!(listed[4].base.as_deref(), Some("width 48"));

    #[cfg(feature = "demo-model")]
    {
        let listed = list_loras(&loras(), Some(&Checkpoint::demo().unwrap()));
        let problem = listed[4].problem.clone().unwrap();
        assert!(problem.contains("acestep-v15-demo"), "{problem}");
    }
    // A single one may be named itself, folder or file.
    for one in ["peft", "kohya.safetensors", "stable"] {
        assert_eq!(list_loras(&loras().join(one), None).len(), 1, "{one}");
    }
}

#[test]
fn inspect_says_what_an_adapter_is() {
    let told = inspect(&loras().join("peft"));
    assert_eq!((told.models.len(), told.loras.len()), (0, 1));
    let text = told.to_string();
    assert!(
        text.contains("peft (LoRA, PEFT)") && text.contains("rank 4") && text.contains("width 48"),
        "{text}"
    );
    assert_eq!(inspect(&loras().join("kohya.safetensors")).loras.len(), 1);
    assert_eq!(inspect(&loras()).loras.len(), 7);
    let models = inspect(&fixtures().join("pipeline/checkpoint"));
    assert_eq!((models.models.len(), models.loras.len()), (3, 0));
}
