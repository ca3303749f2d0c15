//! The program itself, run as a user runs it.

#![expect(clippy::unwrap_used, reason = "a command that cannot be run fails")]

#[path = "commands/about.rs"]
mod about;
#[path = "commands/damage.rs"]
mod damage;
#[path = "support/program.rs"]
mod program;
#[path = "commands/start.rs"]
mod start;
#[path = "support/sung.rs"]
mod sung;
#[path = "commands/tasks.rs"]
mod tasks;

use std::{io::Write, net::TcpListener, path::Path, process::Command};

use candle_core::{Device, Tensor, safetensors};
use program::{json_of, program, run, stderr, with_input};
use serde_json::{Value, json};
use tempfile::TempDir;

fn plan(vram: &str, words: &[&str], params: &Value) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program(folder.path());
    command
        .env("MAX_CUDA_VRAM", vram)
        .args(["plan", "--json", "--params", "-"])
        .args(words);
    let output = with_input(&mut command, &params.to_string());
    assert!(output.status.success(), "{}", stderr(&output));
    json_of(&output)
}

/// The guide's table at both sides of each of its edges.
#[test]
fn a_simulated_card_gets_the_tier_of_the_guide() {
    for (vram, tier, secs, batch) in [
        ("4", "tier1", (180, 180), (1, 1)),
        ("4.1", "tier2", (360, 360), (1, 1)),
        ("5.4", "tier2", (360, 360), (1, 1)),
        ("6", "tier3", (240, 360), (1, 2)),
        ("7.4", "tier3", (240, 360), (1, 2)),
        ("8GB", "tier4", (240, 360), (2, 4)),
        ("11.4", "tier4", (240, 360), (2, 4)),
        ("12", "tier5", (240, 360), (2, 4)),
        ("15.4", "tier5", (240, 360), (2, 4)),
        ("15.5", "tier6", (480, 480), (4, 8)),
        ("23.4", "tier6", (480, 480), (4, 8)),
        ("24", "unlimited", (600, 600), (8, 8)),
    ] {
        let plan = plan(vram, &[], &json!({ "caption": "x" }));
        assert_eq!(plan["tier"], tier, "{vram}");
        assert_eq!(plan["simulated"], true, "{vram}");
        let limits = |(with_lm, without_lm): (u32, u32)| json!({ "with_lm": with_lm, "without_lm": without_lm });
        assert_eq!(plan["max_duration_secs"], limits(secs), "{vram}");
        assert_eq!(plan["max_batch_size"], limits(batch), "{vram}");
    }
}

#[test]
fn naming_a_language_model_plans_with_its_limits() {
    let asked = json!({ "caption": "x", "duration": 360, "batch_size": 4 });
    let without = plan("8", &[], &asked);
    assert_eq!(without["resolved"]["duration_secs"], 360.0);
    let with = plan("8", &["--lm_model_path", "acestep-5Hz-lm-0.6B"], &asked);
    assert_eq!(with["resolved"]["duration_secs"], 240.0);
    assert_eq!(with["resolved"]["batch_size"], 2);
    let codes: Vec<&str> = with["notes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|note| note["code"].as_str())
        .collect();
    assert!(
        codes.contains(&"duration_clamped") && codes.contains(&"batch_size_clamped"),
        "{codes:?}"
    );
}

/// From here on a card loads a language model by itself, the built-in one with the built-in model.
#[test]
fn a_plan_has_the_limits_of_the_language_model_that_would_be_loaded() {
    let asked = json!({ "caption": "x", "duration": 300, "batch_size": 4 });
    let planned = plan("12", &[], &asked)["resolved"].clone();
    assert_eq!(planned["with_lm"], true);
    assert_eq!(
        (&planned["duration_secs"], &planned["batch_size"]),
        (&json!(240.0), &json!(2))
    );
    let off = plan("12", &["--init_llm", "false"], &asked)["resolved"].clone();
    assert_eq!(
        (&off["duration_secs"], &off["batch_size"]),
        (&json!(300.0), &json!(4))
    );
}

#[test]
fn the_plan_says_what_a_run_needs_of_memory() {
    let asked = json!({ "caption": "x", "duration": 240 });
    let turbo = ["--config_path", "acestep-v15-turbo"];
    let memory = |vram: &str, more: &[&str]| {
        let words = [turbo.as_slice(), more].concat();
        plan(vram, &words, &asked)["memory"].clone()
    };
    let bytes = |memory: &Value| memory["expected_peak_bytes"]["device"].as_u64().unwrap();
    let small = memory("6", &[]);
    assert_eq!(small["fits"], true, "{small}");
    assert_eq!(small["free_bytes"], 6_u64 << 30);
    assert!(bytes(&small) <= 6 << 30, "{small}");
    let stages: Vec<&str> = small["stages"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|stage| stage["stage"].as_str())
        .collect();
    assert_eq!(stages, ["load", "prepare", "diffusion", "decode"]);
    let large = memory("24", &["--quantization", "none"]);
    assert_eq!(
        (&large["fits"], &large["moved"]),
        (&json!(true), &json!([]))
    );
    assert!(bytes(&large) > bytes(&memory("24", &["--quantization", "int8"])));
    let none = memory(
        "1",
        &["--quantization", "none", "--offload_to_cpu", "false"],
    );
    assert_eq!(none["fits"], false, "{none}");
    let smaller = &none["next_smaller"];
    assert!(
        smaller.is_null() || smaller["expected_peak_bytes"]["device"].as_u64() <= Some(1 << 30),
        "{none}"
    );
}

#[test]
fn a_card_size_that_is_none_is_named_and_ignored() {
    for junk in ["", "eight", "-8", "0"] {
        let plan = plan(junk, &[], &json!({ "caption": "x" }));
        assert_eq!(plan["simulated"], false, "{junk:?}");
        let note = &plan["notes"][0];
        assert_eq!(note["code"], "vram_ignored", "{junk:?}");
        assert_eq!(note["field"], "MAX_CUDA_VRAM");
    }
}

#[test]
fn a_settings_file_counts_less_than_the_environment_and_an_example_never() {
    let folder = tempfile::tempdir().unwrap();
    let tier = |command: &mut Command| {
        json_of(&with_input(command.args(["plan", "--json"]), ""))["tier"].clone()
    };
    std::fs::write(folder.path().join(".env.example"), "MAX_CUDA_VRAM=24\n").unwrap();
    let none = tier(&mut program(folder.path()));
    std::fs::write(folder.path().join(".env"), "MAX_CUDA_VRAM=12\n").unwrap();
    assert_eq!(tier(&mut program(folder.path())), "tier5");
    assert_eq!(
        tier(program(folder.path()).env("MAX_CUDA_VRAM", "6")),
        "tier3"
    );
    assert_ne!(none, "unlimited");
}

#[test]
fn bad_input_ends_with_code_two_and_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    for (words, stdin, told) in [
        (&["--init_service", "maybe"][..], "", "allowed: true, false"),
        (&["--server-name", "0.0.0.0"], "", "--api-key"),
        (&["--auth-username", "me"], "", "--auth-password"),
        (
            &["plan", "--params", "-"],
            "{\"duration\": NaN}",
            "not JSON",
        ),
        (&["plan", "--params", "-"], "{\"bpm\": \"fast\"}", "bpm"),
        (&["plan", "--params", "nowhere.json"], "", "nowhere.json"),
        (
            &["generate", "--params", "-", "--output", "a.txt"],
            "{}",
            ".wav, .flac or .mp3",
        ),
        (
            &["generate", "--params", "-", "--output", "no/a.wav"],
            "{}",
            "folder",
        ),
        (
            &["generate", "--params", "-", "--noise", "none.safetensors"],
            "{}",
            "none.safetensors",
        ),
        (
            &[
                "generate",
                "--params",
                "-",
                "--fit",
                "--noise",
                "n.safetensors",
            ],
            "",
            "cannot be used with",
        ),
        (
            &[
                "vae",
                "encode",
                "--input",
                "none.wav",
                "--output-latents",
                "l.safetensors",
            ],
            "",
            "none.wav",
        ),
    ] {
        let output = run(folder.path(), words, stdin);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{words:?}: {}",
            stderr(&output)
        );
        assert!(
            stderr(&output).contains(told),
            "{words:?}: {}",
            stderr(&output)
        );
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn with_json_an_error_is_an_object_too() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(
        folder.path(),
        &["generate", "--params", "-", "--json"],
        "{\"bpm\": []}",
    );
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(json_of(&output)["error"]["field"], "bpm");
}

/// Samples of a wav file as numbers, and how it stores them.
fn wav(path: &Path) -> (Vec<f32>, hound::WavSpec) {
    let mut reader = hound::WavReader::open(path).unwrap();
    let spec = reader.spec();
    let samples = match spec.sample_format {
        hound::SampleFormat::Float => reader.samples::<f32>().map(Result::unwrap).collect(),
        hound::SampleFormat::Int => {
            let full = 2_f32.powi(i32::from(spec.bits_per_sample) - 1);
            reader
                .samples::<i32>()
                .map(|sample| sample.unwrap() as f32 / full)
                .collect()
        }
    };
    (samples, spec)
}

fn made(folder: &TempDir, words: &[&str], params: &Value) -> Value {
    let mut all = vec!["generate", "--params", "-", "--json"];
    all.extend(words);
    let output = run(folder.path(), &all, &params.to_string());
    assert!(output.status.success(), "{}", stderr(&output));
    json_of(&output)
}

#[test]
fn the_bundled_model_makes_a_song_of_the_asked_length() {
    let folder = tempfile::tempdir().unwrap();
    let params = json!({ "caption": "lofi piano", "duration": 2.5, "seed": 7 });
    let told = made(&folder, &["--output", "a.wav"], &params);
    let (samples, spec) = wav(&folder.path().join("a.wav"));
    assert_eq!(
        (spec.channels, spec.sample_rate, spec.bits_per_sample),
        (2, 24_000, 16)
    );
    assert_eq!(samples.len(), 2 * 60_000);
    let peak = samples
        .iter()
        .fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    assert!((peak - 0.891).abs() < 0.01, "{peak}");
    let loudness = told["outputs"][0]["loudness_lufs"].as_f64().unwrap();
    assert!((-40.0..0.0).contains(&loudness), "{loudness}");
    assert_eq!(told["outputs"][0]["clipped_samples"], 0);
    assert_eq!(told["outputs"][0]["seed"], 7);
    assert_eq!(told["outputs"][0]["duration_secs"], 2.5);
    assert_eq!(told["model"]["name"], "acestep-v15-demo");

    // The same seed, the same bytes.
    made(&folder, &["--output", "b.wav"], &params);
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    assert_eq!(read("a.wav"), read("b.wav"));

    // Without a name the song lies in the current folder, and the next one beside it.
    for name in ["acestep-7.mp3", "acestep-7_2.mp3"] {
        assert_eq!(made(&folder, &[], &params)["outputs"][0]["path"], name);
        assert!(read(name).len() > 10_000);
    }
}

#[test]
fn several_takes_are_numbered_and_equal_what_each_seed_makes_alone() {
    let folder = tempfile::tempdir().unwrap();
    let params = json!({ "caption": "x", "duration": 1, "batch_size": 2, "seed": "1,2" });
    let told = made(&folder, &["--unlimited", "--output", "a.wav"], &params);
    let paths: Vec<&str> = told["outputs"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|output| output["path"].as_str())
        .collect();
    assert_eq!(paths, ["a-1.wav", "a-2.wav"]);
    let alone = json!({ "caption": "x", "duration": 1, "batch_size": 1, "seed": 2 });
    made(&folder, &["--output", "b.wav"], &alone);
    let sound = |name: &str| wav(&folder.path().join(name)).0;
    assert_eq!(sound("a-2.wav"), sound("b.wav"));

    // Without the flag a machine without a card makes one.
    let told = made(&folder, &["--output", "c.wav"], &params);
    assert_eq!(told["seeds"], json!([1]));
    assert!(folder.path().join("c.wav").is_file());
}

#[test]
fn given_noise_is_run_as_it_is_and_written_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let noise = |name: &str, shape: (usize, usize, usize)| {
        let count = shape.0 * shape.1 * shape.2;
        let values: Vec<f32> = (0..count).map(|index| (index as f32 * 0.7).sin()).collect();
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        let tensors = std::collections::HashMap::from([("noise", tensor)]);
        safetensors::save(&tensors, folder.path().join(name)).unwrap();
    };
    noise("n.safetensors", (2, 40, 64));
    let words = [
        "--noise",
        "n.safetensors",
        "--output",
        "a.wav",
        "--output-latents",
        "l.safetensors",
    ];
    let told = made(&folder, &words, &json!({ "caption": "x", "seed": 1 }));
    let kept = safetensors::load(folder.path().join("l.safetensors"), &Device::Cpu).unwrap();
    assert_eq!(kept["latents"].dims(), [2, 40, 64]);
    assert_eq!(kept["waveform"].dims(), [2, 2, 40 * 960]);
    let (samples, spec) = wav(&folder.path().join("a-2.wav"));
    assert_eq!(
        (spec.sample_format, spec.bits_per_sample),
        (hound::SampleFormat::Float, 32)
    );
    let planar: Vec<Vec<f32>> = kept["waveform"].get(1).unwrap().to_vec2().unwrap();
    let interleaved: Vec<f32> = (0..40 * 960)
        .flat_map(|at| [planar[0][at], planar[1][at]])
        .collect();
    assert_eq!(samples, interleaved);
    assert_eq!(told["params"]["batch_size"], 2);

    noise("narrow.safetensors", (1, 40, 32));
    for (file, params, part) in [
        ("narrow.safetensors", json!({}), "64"),
        (
            "n.safetensors",
            json!({ "batch_size": 3 }),
            "batch_size is 3",
        ),
        ("l.safetensors", json!({}), "no tensor `noise`"),
    ] {
        let words = [
            "generate", "--params", "-", "--noise", file, "--output", "x.wav",
        ];
        let output = run(folder.path(), &words, &params.to_string());
        assert_eq!(output.status.code(), Some(2), "{file}");
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
    }
}

#[test]
fn the_autoencoder_alone_goes_there_and_back() {
    let folder = tempfile::tempdir().unwrap();
    made(
        &folder,
        &["--output", "a.wav"],
        &json!({ "caption": "lofi piano", "duration": 2, "seed": 7 }),
    );
    let vae = |words: &[&str]| {
        let output = run(folder.path(), &[&["vae"], words, &["--json"]].concat(), "");
        assert!(output.status.success(), "{}", stderr(&output));
        json_of(&output)
    };
    let told = vae(&[
        "encode",
        "--input",
        "a.wav",
        "--output-latents",
        "l.safetensors",
    ]);
    assert_eq!(told["shape"], json!([1, 50, 64]));
    vae(&["decode", "--latents", "l.safetensors", "--output", "b.wav"]);
    let (there, back) = (
        wav(&folder.path().join("a.wav")).0,
        wav(&folder.path().join("b.wav")).0,
    );
    assert_eq!(there.len(), back.len());
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
    let likeness = dot(&there, &back) / (dot(&there, &there) * dot(&back, &back)).sqrt();
    assert!(likeness > 0.8, "{likeness}");

    // In tiles it is the same sound, and an overlap that is too small is raised and told.
    let told = vae(&[
        "decode",
        "--latents",
        "l.safetensors",
        "--output",
        "c.wav",
        "--tile",
        "8",
        "--overlap",
        "1",
    ]);
    assert_eq!(told["notes"][0]["code"], "tile_overlap_raised");
    let tiled = wav(&folder.path().join("c.wav")).0;
    let worst = back
        .iter()
        .zip(&tiled)
        .fold(0.0_f32, |worst, (a, b)| worst.max((a - b).abs()));
    assert!(worst < 1e-4, "{worst}");
}

#[test]
fn a_damaged_checkpoint_is_named_and_never_replaced_by_another_model() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("models");
    for model in ["acestep-v15-turbo", "vae", "Qwen3-Embedding-0.6B"] {
        std::fs::create_dir_all(root.join(model)).unwrap();
    }
    std::fs::write(root.join("acestep-v15-turbo/config.json"), "<html>").unwrap();
    let inspected = run(folder.path(), &["inspect", "models", "--json"], "");
    assert_eq!(inspected.status.code(), Some(1));
    assert!(!json_of(&inspected)["models"].as_array().unwrap().is_empty());
    let words = [
        "generate",
        "--params",
        "-",
        "--checkpoints",
        "models",
        "--output",
        "a.wav",
    ];
    let output = run(
        folder.path(),
        &words,
        "{\"caption\": \"x\", \"duration\": 1}",
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("acestep-v15-turbo/config.json"),
        "{}",
        stderr(&output)
    );
    assert!(!folder.path().join("a.wav").exists());
    let empty = run(folder.path(), &["inspect", "nowhere"], "");
    assert_eq!(empty.status.code(), Some(1));
}

#[test]
fn a_taken_port_is_told_before_anything_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port().to_string();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = other.accept().unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nserver: nginx\r\n\r\n")
            .unwrap();
    });
    let output = run(folder.path(), &["--port", &port, "--no-browser"], "");
    server.join().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(
        stderr(&output).contains(&format!("Port {port} is taken")),
        "{}",
        stderr(&output)
    );
    assert!(stderr(&output).contains("--port 0"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_language_model_plans_a_song_from_a_description_and_keeps_what_is_given() {
    let folder = TempDir::new().unwrap();
    let invented = run(
        folder.path(),
        &[
            "plan-song",
            "--description",
            "a slow waltz with flute, 96 bpm",
            "--json",
        ],
        "",
    );
    let invented = json_of(&invented);
    assert_eq!(invented["plan"]["bpm"], 96);
    assert_eq!(invented["plan"]["timesignature"], "3");
    assert!(
        invented["plan"]["caption"]
            .as_str()
            .unwrap()
            .contains("waltz")
    );

    let given = json!({ "caption": "house with drums", "bpm": 111, "keyscale": "F# minor", "duration": 400 });
    let kept = run(
        folder.path(),
        &["plan-song", "--params", "-", "--json"],
        &given.to_string(),
    );
    let kept = json_of(&kept);
    assert_eq!(kept["plan"]["bpm"], 111);
    assert_eq!(kept["plan"]["keyscale"], "F# minor");
    // More than the tier allows is clamped and said.
    assert_eq!(kept["plan"]["duration_secs"], 180);
    assert!(kept["notes"].to_string().contains("duration"), "{kept}");
}

#[test]
fn logits_of_the_language_model_are_written_for_each_prompt() {
    let folder = TempDir::new().unwrap();
    let words = ["lm", "logits", "--params", "-", "--output", "l.safetensors"];
    let done = run(folder.path(), &words, r#"{"prompts": [[1, 2, 3], [4]]}"#);
    assert!(done.status.success(), "{}", stderr(&done));
    let tensors = safetensors::load(folder.path().join("l.safetensors"), &Device::Cpu).unwrap();
    assert_eq!(tensors.len(), 2);
    let first = &tensors["logits.0"];
    assert_eq!(first.dims(), tensors["logits.1"].dims());
    assert!(first.elem_count() > 1000);

    for wrong in [
        r#"{"prompts": [[999999999]]}"#,
        r#"{"prompts": [[]]}"#,
        "[1]",
    ] {
        let refused = run(folder.path(), &words, wrong);
        assert!(!refused.status.success(), "{wrong}");
        assert!(
            stderr(&refused).starts_with("error:"),
            "{}",
            stderr(&refused)
        );
    }
}

#[test]
fn a_flag_added_to_a_launcher_wins_over_the_launchers_own() {
    let folder = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for serve in [&[][..], &["serve"]] {
        let words = [serve, &["--port", "7860", "--no-browser", "--port", &port]].concat();
        let refused = run(folder.path(), &words, "");
        assert_eq!(refused.status.code(), Some(2));
        assert!(stderr(&refused).contains(&port), "{}", stderr(&refused));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_printed_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let full = std::fs::File::options().write(true).open("/dev/full");
    let output = program(folder.path())
        .arg("plan")
        .stdout(full.unwrap())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("could not be printed"),
        "{}",
        stderr(&output)
    );
}
