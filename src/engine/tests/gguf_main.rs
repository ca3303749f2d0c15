//! A main model as GGUF files: those of another program (`src/xtask/reference/main_gguf.py`: the
//! `gguf` package and diffusers), and the bundled model as candle's quantiser and writer have it,
//! against the same values in safetensors.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "demo-model")]

#[path = "support/closeness.rs"]
mod closeness;
#[path = "support/demo_folder.rs"]
mod demo_folder;
#[path = "support/replaced.rs"]
mod replaced;

use std::{
    collections::HashMap,
    fs::{self, File},
    path::{Path, PathBuf},
};

use acestep_domain::{GenerationParams, service::Quantization, task::Family};
use acestep_engine::{
    checkpoint::{Checkpoint, ModelKind, inspect, list_models},
    demo,
    engine::{Engine, EngineInfo, LoadOptions, Request, Take, Vae},
    error::{Error, Result},
    memory::plan::{Free, Models, Work, plan},
    observer::Silent,
};
use candle_core::{
    DType, Device, IndexOp, Tensor,
    quantized::{
        GgmlDType, QTensor,
        gguf_file::{self, Value},
    },
};
use closeness::{Closeness, assert_close};
use replaced::replaced;
use serde_json::json;

/// Latents after eight steps, of the largest reference value.
const LATENTS: f64 = 1e-3;
const WAVEFORM_COSINE: f64 = 0.99999;

const DIT: &str = "acestep-v15-small-Q8_0.gguf";
const TEXT: &str = "Qwen3-Embedding-0.6B-Q8_0.gguf";
const VAE: &str = "vae-BF16.gguf";

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/main_gguf")
}

/// The three files in `folder` below a new root.
fn copy(folder: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join(folder)).unwrap();
    for file in [DIT, TEXT, VAE] {
        fs::copy(fixtures().join(file), root.path().join(folder).join(file)).unwrap();
    }
    root
}

fn load(root: &Path, name: &str, options: &LoadOptions) -> Result<Engine> {
    Engine::load(&Checkpoint::open(root, name)?, options, &Silent)
}

fn sing(engine: &mut Engine, request: &Request) -> Take {
    let mut takes = Vec::new();
    engine
        .generate(request, &Silent, &mut |take| {
            takes.push(take);
            Ok(())
        })
        .unwrap();
    takes.pop().unwrap()
}

/// The request of the fixture, from its noise.
fn of_the_reference(reference: &HashMap<String, Tensor>) -> Request {
    let case = fs::read(fixtures().join("case.json")).unwrap();
    let case: serde_json::Value = serde_json::from_slice(&case).unwrap();
    let mut params = case["items"][0].clone();
    params["duration"] = case["duration"].clone();
    params["inference_steps"] = case["steps"].clone();
    params["shift"] = case["shift"].clone();
    Request {
        params: serde_json::from_value(params).unwrap(),
        seeds: vec![0],
        noise: Some(reference["noise"].clone()),
        keep_latents: true,
        raw_level: true,
        ..Request::default()
    }
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
    values.into_iter().map(f32::to_bits).collect()
}

#[test]
fn files_of_another_program_make_the_song_of_the_reference() {
    let file = fixtures().join("reference.safetensors");
    let reference = candle_core::safetensors::load(file, &Device::Cpu).unwrap();
    let request = of_the_reference(&reference);
    let boxed = copy("boxed");
    let ways = [
        (fixtures(), DIT),
        (fixtures(), "acestep-v15-small-Q8_0"),
        (boxed.path().to_owned(), "boxed"),
    ];
    let mut first = None;
    for (root, name) in ways {
        for moves in [false, true] {
            let options = LoadOptions {
                offload_to_cpu: moves,
                offload_dit_to_cpu: moves,
                ..LoadOptions::default()
            };
            let mut engine = load(&root, name, &options).unwrap();
            let info = engine.info();
            assert_eq!((&info.notes, info.name.as_str()), (&vec![], name));
            assert_eq!((info.family, info.dtype.as_str()), (Family::Turbo, "q8_0"));
            let take = sing(&mut engine, &request);
            let latents = take.latents.unwrap();
            let want = reference["latents"].i(0).unwrap();
            assert_close(name, &latents, &want, LATENTS);
            let wave = reference["waveform"].i(0).unwrap();
            let dims = (take.audio.channels.len(), take.audio.frames());
            let heard = Tensor::from_vec(take.audio.channels.concat(), dims, &Device::Cpu).unwrap();
            let closeness = Closeness::of(&heard, &wave);
            assert!(closeness.cosine >= WAVEFORM_COSINE, "{name}: {closeness:?}");
            // A file, a folder of files and networks that move give the same bits.
            assert_eq!(*first.get_or_insert(bits(&latents)), bits(&latents));
        }
    }
}

#[test]
fn quantised_matrices_stay_as_they_are_whatever_is_asked() {
    let root = copy("");
    let with = |quantization| {
        let options = LoadOptions {
            quantization,
            ..LoadOptions::default()
        };
        load(root.path(), DIT, &options).unwrap().info().clone()
    };
    let plain = with(Quantization::None);
    // In f32 a value has four bytes; the autoencoder and the embeddings have.
    assert!(plain.resident_bytes < plain.parameters * 2, "{plain:?}");
    let asked = with(Quantization::Int4);
    assert_eq!(asked.resident_bytes, plain.resident_bytes);
    let [note] = asked.notes.as_slice() else {
        panic!("{:?}", asked.notes);
    };
    assert_eq!(note.code, "quantization_of_the_file");
    assert!(note.message.contains("Q8_0"), "{note:?}");
    let kept = fs::read_dir(root.path()).unwrap().count();
    assert_eq!(kept, 3, "nothing is written beside the files");

    let models = Models::find(root.path(), DIT, None).unwrap();
    let work = Work::of(&GenerationParams::default(), &models);
    let free = Free {
        host: u64::MAX,
        device: 0,
        others: 0,
        largest_others: |_| Vec::new(),
        threads: 2,
    };
    let planned = plan(&models, &LoadOptions::default(), work, free);
    let load = planned.stages[0].peak_bytes;
    assert!(load > plain.resident_bytes && planned.fits, "{planned:?}");
}

#[test]
fn files_are_listed_and_inspected_by_what_they_say_they_are() {
    let root = copy("");
    let boxed = root.path().join("my box");
    fs::create_dir(&boxed).unwrap();
    for file in [DIT, TEXT, VAE] {
        fs::copy(fixtures().join(file), boxed.join(file)).unwrap();
    }
    fs::rename(root.path().join(DIT), root.path().join("mine.gguf")).unwrap();
    let models = list_models(root.path());
    let names: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(names, ["mine.gguf", "my box", demo::NAME]);
    for model in &models[..2] {
        assert_eq!(model.problem, None, "{model:?}");
        assert!(model.size_bytes > 100_000 && model.family == Family::Turbo);
    }

    let found = inspect(root.path());
    assert_eq!(found.problems, Vec::<String>::new());
    let kinds: Vec<(&str, ModelKind)> = found
        .models
        .iter()
        .map(|model| {
            assert_eq!((&model.problems, &model.notes), (&vec![], &vec![]));
            (model.name.as_str(), model.kind)
        })
        .collect();
    let files = [
        (TEXT, ModelKind::TextEncoder),
        ("mine.gguf", ModelKind::Dit),
        (
            "my box/Qwen3-Embedding-0.6B-Q8_0.gguf",
            ModelKind::TextEncoder,
        ),
        ("my box/acestep-v15-small-Q8_0.gguf", ModelKind::Dit),
        ("my box/vae-BF16.gguf", ModelKind::Vae),
        (VAE, ModelKind::Vae),
    ];
    assert_eq!(kinds, files);
    let one = inspect(&boxed.join(DIT));
    assert_eq!(one.models.len(), 1);
    assert!(one.models[0].dtype.contains("Q8_0") && one.models[0].tensors > 100);

    let checkpoint = Checkpoint::open(root.path(), "mine.gguf").unwrap();
    assert_eq!(checkpoint.layers().unwrap().base(), "mine.gguf");
    let vae = Vae::load(
        Some(&boxed.join(VAE)),
        acestep_domain::capabilities::DeviceKind::Cpu,
    );
    assert_eq!(vae.unwrap().config().sampling_rate, 200);
}

#[test]
fn of_several_files_the_one_of_the_release_in_the_same_format_is_used_and_told() {
    let root = copy("");
    let to = |name: &str| root.path().join(name);
    for name in ["Qwen3-Embedding-0.6B-BF16.gguf", "another-Q8_0.gguf"] {
        fs::copy(to(TEXT), to(name)).unwrap();
    }
    let info = load(root.path(), DIT, &LoadOptions::default())
        .unwrap()
        .info()
        .clone();
    let [note] = info.notes.as_slice() else {
        panic!("{:?}", info.notes);
    };
    assert_eq!(note.code, "gguf_chosen");
    let used = format!("{TEXT} is used, Qwen3-Embedding-0.6B-BF16.gguf is not");
    assert!(note.message.contains(&used), "{note:?}");
    // Two main models in one folder are a choice that only the user can make.
    let two = copy("boxed");
    fs::copy(fixtures().join(DIT), two.path().join("boxed/other.gguf")).unwrap();
    let several = Checkpoint::open(two.path(), "boxed")
        .unwrap_err()
        .to_string();
    assert!(
        several.contains("other.gguf") && several.contains(DIT),
        "{several}"
    );
    for name in ["../x.gguf", "/x.gguf", ".x.gguf", "boxed/other.gguf"] {
        let refused = Checkpoint::open(two.path(), name).unwrap_err();
        assert!(matches!(refused, Error::Invalid { .. }), "{refused}");
    }
}

#[test]
fn each_damage_is_called_by_its_name() {
    let damages: &[(&str, &str, &str, &str)] = &[
        (
            DIT,
            "acestep-dit",
            "acestep-dot",
            "a main model's is acestep-dit",
        ),
        (
            DIT,
            "acestep.config_json",
            "acestep.config_jsom",
            "acestep.config_json is missing",
        ),
        (
            DIT,
            "\"hidden_size\":",
            "\"hodden_size\":",
            "missing key `hidden_size`",
        ),
        (
            DIT,
            "silence_latent",
            "silence_latest",
            "silence_latent is missing",
        ),
        (
            DIT,
            "decoder.layers.1.mlp.up_proj",
            "decoder.layers.1.mlp.op_proj",
            "up_proj.weight is missing",
        ),
        (
            DIT,
            "\"patch_size\":2",
            "\"patch_size\":4",
            "the config asks for",
        ),
        (
            TEXT,
            "\"hidden_size\":32",
            "\"hidden_size\":64",
            "a text encoder of 32",
        ),
        (TEXT, "gpt2", "bert", "tokenizer is bert"),
        (
            TEXT,
            "\"vocab_size\":289",
            "\"vocab_size\":200",
            "network has 200",
        ),
        (
            VAE,
            "\"decoder_input_channels\":8",
            "\"decoder_input_channels\":9",
            "writes 8 channels",
        ),
    ];
    for (file, from, to, words) in damages {
        let root = copy("");
        let path = root.path().join(file);
        fs::write(&path, replaced(&fs::read(&path).unwrap(), from, to)).unwrap();
        let error = load(root.path(), DIT, &LoadOptions::default()).err();
        let text = error.unwrap().to_string();
        assert!(
            text.contains(words) && text.contains(file),
            "{words}: {text}"
        );
        assert!(!text.contains('\n') && text.len() < 400, "{text}");
    }
    for (file, words) in [(TEXT, "acestep-text-enc"), (VAE, "acestep-vae")] {
        let root = copy("");
        fs::remove_file(root.path().join(file)).unwrap();
        let text = load(root.path(), DIT, &LoadOptions::default())
            .err()
            .unwrap();
        let text = text.to_string();
        assert!(text.contains(words) && text.contains(DIT), "{text}");
        let models = list_models(root.path());
        assert!(models[0].problem.is_some(), "{models:?}");
    }
    let root = copy("");
    let whole = fs::read(root.path().join(DIT)).unwrap();
    fs::write(root.path().join(DIT), &whole[..whole.len() / 2]).unwrap();
    let text = load(root.path(), DIT, &LoadOptions::default())
        .err()
        .unwrap();
    assert!(text.to_string().contains("truncated"), "{text}");
    assert!(list_models(root.path())[0].problem.is_some());
}

/// The bundled DiT as one GGUF file in `layers` (Q8_0 where a row is no whole superblock, BF16
/// where it is no block), and what it stands for in place of the safetensors of `decoded`.
fn through_candle(root: &Path, decoded: &Path, layers: GgmlDType) {
    let device = Device::Cpu;
    let weights = decoded.join(demo::NAME).join("model.safetensors");
    let tensors = candle_core::safetensors::load(&weights, &device).unwrap();
    let mut files = Vec::new();
    let mut values = HashMap::new();
    for (name, tensor) in tensors {
        let tensor = tensor.to_dtype(DType::F32).unwrap();
        let width = tensor.dims().last().copied().unwrap_or(1);
        let is_matrix = tensor.rank() == 2 && !name.contains("scale_shift_table");
        let formats = [layers, GgmlDType::Q8_0, GgmlDType::BF16];
        let format = formats
            .into_iter()
            .find(|format| width.is_multiple_of(format.block_size()))
            .filter(|_| is_matrix)
            .unwrap_or(GgmlDType::F32);
        let packed = QTensor::quantize(&tensor, format).unwrap();
        let exact = packed.dequantize(&device).unwrap();
        values.insert(name.clone(), exact);
        files.push((name, packed));
    }
    candle_core::safetensors::save(&values, &weights).unwrap();
    let checkpoint = Checkpoint::open(decoded, demo::NAME).unwrap();
    let silence = checkpoint.silence_latent(&device).unwrap().i(0).unwrap();
    let silence = QTensor::quantize(&silence, GgmlDType::F32).unwrap();
    files.push(("silence_latent".to_owned(), silence));

    let config = fs::read_to_string(decoded.join(demo::NAME).join("config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    let metadata = [
        (
            "general.architecture",
            Value::String("acestep-dit".to_owned()),
        ),
        ("acestep.config_json", Value::String(config.to_string())),
    ];
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (*key, value)).collect();
    let tensors: Vec<(&str, &QTensor)> = files
        .iter()
        .map(|(name, tensor)| (name.as_str(), tensor))
        .collect();
    let mut out = File::create(root.join("bundled.gguf")).unwrap();
    gguf_file::write(&mut out, &metadata, &tensors).unwrap();
}

#[test]
fn every_format_is_the_f32_model_of_what_it_stands_for() {
    let params = json!({
        "caption": "a lofi track with piano and drums", "lyrics": "[Verse]\none line\nand another",
        "duration": 6.0, "inference_steps": 8,
    });
    let request = Request {
        params: serde_json::from_value(params).unwrap(),
        seeds: vec![7],
        keep_latents: true,
        raw_level: true,
        ..Request::default()
    };
    let run = |root: &Path, name: &str| -> (Tensor, EngineInfo) {
        let mut engine = load(root, name, &LoadOptions::default()).unwrap();
        let latents = sing(&mut engine, &request).latents.unwrap();
        (latents, engine.info().clone())
    };
    for layers in [
        GgmlDType::Q4K,
        GgmlDType::Q5K,
        GgmlDType::Q6K,
        GgmlDType::Q8_0,
        GgmlDType::BF16,
        GgmlDType::F16,
    ] {
        // The file stands beside the released folders of the text encoder and the autoencoder.
        let root = tempfile::tempdir().unwrap();
        let decoded = tempfile::tempdir().unwrap();
        demo_folder::write(root.path());
        demo_folder::write(decoded.path());
        through_candle(root.path(), decoded.path(), layers);
        let (got, info) = run(root.path(), "bundled.gguf");
        let (want, plain) = run(decoded.path(), demo::NAME);
        assert_eq!(info.notes, []);
        assert_close(&format!("{layers:?}"), &got, &want, LATENTS);
        let is_packed = !matches!(layers, GgmlDType::BF16 | GgmlDType::F16);
        assert_eq!(
            info.resident_bytes < plain.resident_bytes * 3 / 4,
            is_packed
        );
    }
}
