//! Guidance, schedules and prompts against the reference (`src/xtask/reference/diffusion.py`).
#![allow(clippy::unwrap_used, reason = "a broken fixture is a failed test")]

#[path = "support/closeness.rs"]
mod closeness;

use std::{collections::HashMap, fs, path::PathBuf};

use acestep_domain::{GenerationParams, task::TaskType};
use acestep_engine::{
    diffusion::{
        guidance::{Adg, Answers, Apg, Method},
        schedule::Schedule,
    },
    text::{caption, lyrics},
};
use candle_core::{Device, Tensor};
use closeness::assert_close;
use serde_json::{Value, json};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

fn tensors() -> HashMap<String, Tensor> {
    candle_core::safetensors::load(fixture("diffusion.safetensors"), &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn compare(what: &str, got: Vec<f32>, want: &Tensor, tolerance: f64) {
    let got = Tensor::from_vec(got, want.dims(), &Device::Cpu).unwrap();
    assert_close(what, &got, want, tolerance);
}

#[test]
fn apg_over_three_steps() {
    let tensors = tensors();
    for size in ["small", "large"] {
        let mut apg = Apg::new(7.0);
        for step in 0..3 {
            let get = |key: &str| &tensors[&format!("apg.{size}.{step}.{key}")];
            let (cond, uncond) = (values(get("cond")), values(get("uncond")));
            let guided = apg.guide(Answers {
                x: &[],
                cond: &cond,
                uncond: &uncond,
                channels: 8,
                t: 0.5,
            });
            compare(&format!("apg {size} {step}"), guided, get("guided"), 1e-6);
        }
    }
}

#[test]
fn adg_frame_by_frame() {
    let tensors = tensors();
    for (step, t) in [1.0, 0.9, 0.5].into_iter().enumerate() {
        let get = |key: &str| &tensors[&format!("adg.{step}.{key}")];
        let (x, cond, uncond) = (values(get("x")), values(get("cond")), values(get("uncond")));
        let guided = Adg { scale: 4.0 }.guide(Answers {
            x: &x,
            cond: &cond,
            uncond: &uncond,
            channels: 8,
            t,
        });
        compare(&format!("adg {step}"), guided, get("guided"), 1e-6);
    }
}

#[test]
fn schedules_of_any_length_and_shift() {
    let mut compared = 0;
    for (name, want) in tensors() {
        let Some(rest) = name.strip_prefix("schedule.") else {
            continue;
        };
        let (steps, shift) = rest.split_once('.').unwrap();
        let schedule = Schedule::shifted(steps.parse().unwrap(), shift.parse().unwrap()).unwrap();
        let want: Vec<f64> = want.to_vec1().unwrap();
        assert_eq!(schedule.len(), want.len());
        for (ours, theirs) in schedule.timesteps().iter().zip(want) {
            assert!((ours - theirs).abs() < 1e-14, "{name}: {ours} {theirs}");
        }
        compared += 1;
    }
    assert_eq!(compared, 16);
}

#[test]
fn prompts_letter_by_letter() {
    let file: Value = serde_json::from_slice(&fs::read(fixture("prompts.json")).unwrap()).unwrap();
    let instruction = TaskType::Text2music.instruction(None, &[]);
    let prompts = file["prompts"].as_array().unwrap();
    assert!(prompts.len() >= 4);
    for case in prompts {
        let params: GenerationParams = serde_json::from_value(json!({
            "caption": case["caption"],
            "lyrics": case["lyrics"],
            "vocal_language": case["vocal_language"],
            "bpm": case["bpm"],
            "keyscale": case["keyscale"],
            "timesignature": case["timesignature"],
        }))
        .unwrap();
        let text = caption::prompt(&params, &instruction, case["duration"].as_f64());
        assert_eq!(text.to_string(), case["expected_caption"].as_str().unwrap());
        let words = lyrics::prompt(&params);
        assert_eq!(words.to_string(), case["expected_lyrics"].as_str().unwrap());
    }
}

#[test]
fn instructions_of_every_task() {
    let file: Value = serde_json::from_slice(&fs::read(fixture("prompts.json")).unwrap()).unwrap();
    let instructions = file["instructions"].as_array().unwrap();
    for task in TaskType::ALL {
        assert!(
            instructions
                .iter()
                .any(|case| case["task"] == task.as_str()),
            "{task:?} is not compared"
        );
    }
    for case in instructions {
        let task = TaskType::from_name(case["task"].as_str().unwrap()).unwrap();
        let classes: Vec<String> = serde_json::from_value(case["classes"].clone()).unwrap();
        assert_eq!(
            task.instruction(case["track"].as_str(), &classes),
            case["expected"].as_str().unwrap()
        );
    }
}
