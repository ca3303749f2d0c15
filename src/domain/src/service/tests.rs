use super::*;
use crate::{capabilities::Availability, task::Family};

fn machine(vram: f64) -> Capabilities {
    let yes = Availability {
        available: true,
        detail: String::new(),
    };
    Capabilities {
        device: if vram > 0.0 {
            DeviceKind::Cuda
        } else {
            DeviceKind::Cpu
        },
        devices: vec![DeviceKind::Cpu],
        vram: Vram {
            total_gib: vram,
            simulated: true,
        },
        tier: GpuTier::from_vram_gib(vram),
        flash_attention: yes.clone(),
        offload_to_cpu: yes.clone(),
        offload_dit_to_cpu: yes.clone(),
        compile: yes.clone(),
        quantization: yes,
        ..Capabilities::default()
    }
}

fn model(name: &str, size_bytes: u64) -> ModelEntry {
    ModelEntry {
        name: name.into(),
        family: Family::from_name(name),
        size_bytes,
        built_in: name == DEMO_MODEL,
        problem: None,
    }
}

fn lm(size: LmSize) -> LmEntry {
    LmEntry {
        name: size.folder(),
        size,
        size_bytes: 1,
        installed: true,
        built_in: false,
        codes_secs_per_minute: None,
        within_tier: true,
    }
}

fn built_in_lm() -> LmEntry {
    LmEntry {
        name: "acestep-5Hz-lm-demo".into(),
        built_in: true,
        ..lm(LmSize::Small)
    }
}

fn run(
    requested: &ServiceConfig,
    vram: f64,
    models: &[ModelEntry],
    lms: &[LmEntry],
) -> (Resolved, Vec<String>) {
    let (resolved, notes) = resolve(requested, &machine(vram), Installed { models, lms });
    (resolved, notes.into_iter().map(|note| note.code).collect())
}

#[test]
fn the_released_turbo_comes_before_others_and_the_built_in_model_last() {
    let demo = model(DEMO_MODEL, 1);
    let base = model("acestep-v15-base", 1);
    let turbo = model(DEFAULT_MODEL, 1);
    let asked = ServiceConfig::default();
    assert_eq!(
        run(&asked, 0.0, std::slice::from_ref(&demo), &[])
            .0
            .config_path,
        DEMO_MODEL
    );
    assert_eq!(
        run(&asked, 0.0, &[demo.clone(), base.clone()], &[])
            .0
            .config_path,
        base.name
    );
    assert_eq!(
        run(&asked, 0.0, &[demo, base, turbo.clone()], &[])
            .0
            .config_path,
        turbo.name
    );
}

#[test]
fn all_four_switches_are_on_with_a_card_and_any_can_be_overridden() {
    let big = [model(DEFAULT_MODEL, 4 << 30)];
    let (on, notes) = run(&ServiceConfig::default(), 8.0, &big, &[]);
    assert!(on.use_flash_attention && on.offload_to_cpu && on.offload_dit_to_cpu && on.compile);
    assert_eq!((on.quantization, notes), (Quantization::Int8, vec![]));
    let off = ServiceConfig {
        use_flash_attention: Some(false),
        offload_to_cpu: Some(false),
        offload_dit_to_cpu: Some(false),
        compile: Some(false),
        quantization: Some(Quantization::None),
        ..ServiceConfig::default()
    };
    let (off, notes) = run(&off, 8.0, &big, &[]);
    assert!(
        !off.use_flash_attention && !off.offload_to_cpu && !off.offload_dit_to_cpu && !off.compile
    );
    assert_eq!((off.quantization, notes), (Quantization::None, vec![]));
}

#[test]
fn on_a_processor_offload_is_for_whoever_asks_and_the_dit_follows_the_rest() {
    let models = [model(DEFAULT_MODEL, 4 << 30)];
    let (resolved, notes) = run(&ServiceConfig::default(), 0.0, &models, &[]);
    assert!(!resolved.offload_to_cpu && !resolved.offload_dit_to_cpu);
    assert!(notes.is_empty(), "{notes:?}");
    let mut asked = ServiceConfig {
        offload_to_cpu: Some(true),
        offload_dit_to_cpu: Some(true),
        ..ServiceConfig::default()
    };
    let (resolved, notes) = run(&asked, 0.0, &models, &[]);
    assert!(resolved.offload_to_cpu && resolved.offload_dit_to_cpu);
    assert!(notes.is_empty(), "{notes:?}");
    asked.offload_to_cpu = None;
    let (_, notes) = run(&asked, 0.0, &models, &[]);
    assert_eq!(notes, ["offload_dit_alone"]);
}

#[test]
fn small_checkpoints_are_not_quantised_unless_asked() {
    let small = [model(DEMO_MODEL, 28 << 20)];
    assert_eq!(
        run(&ServiceConfig::default(), 8.0, &small, &[])
            .0
            .quantization,
        Quantization::None
    );
    let asked = ServiceConfig {
        quantization: Some(Quantization::Int8),
        ..ServiceConfig::default()
    };
    assert_eq!(
        run(&asked, 8.0, &small, &[]).0.quantization,
        Quantization::Int8
    );
}

#[test]
fn the_lm_follows_the_tier_unless_named() {
    let lms = [lm(LmSize::Small), lm(LmSize::Medium), lm(LmSize::Large)];
    for (vram, expected) in [
        (4.0, None),
        (6.0, None),
        (8.0, None),
        (12.0, Some(LmSize::Medium)),
        (16.0, Some(LmSize::Large)),
        (24.0, Some(LmSize::Large)),
    ] {
        let (resolved, _) = run(&ServiceConfig::default(), vram, &[], &lms);
        assert_eq!(
            resolved.lm_model_path,
            expected.map(LmSize::folder),
            "{vram}"
        );
        assert_eq!(resolved.init_llm, expected.is_some());
    }
    let forced = ServiceConfig {
        lm_model_path: Some(LmSize::Large.folder()),
        ..ServiceConfig::default()
    };
    let (resolved, notes) = run(&forced, 8.0, &[model(DEFAULT_MODEL, 1)], &lms);
    assert!(resolved.init_llm);
    assert_eq!(notes, ["lm_over_tier"]);
    let typo = ServiceConfig {
        lm_model_path: Some("acestep-5Hz-lm-06B".into()),
        ..ServiceConfig::default()
    };
    let (_, notes) = run(&typo, 24.0, &[model(DEFAULT_MODEL, 1)], &lms);
    assert_eq!(notes, ["lm_not_there"]);
}

#[test]
fn wishes_that_cannot_be_met_leave_a_note() {
    let asked = ServiceConfig {
        config_path: Some("acestep-v15-xl-turbo".into()),
        device: DeviceChoice::Cuda,
        init_llm: Some(true),
        ..ServiceConfig::default()
    };
    let (resolved, notes) = run(&asked, 0.0, &[], &[]);
    assert_eq!(notes, ["model_missing", "device_unavailable", "lm_missing"]);
    assert_eq!(
        (resolved.device, resolved.init_llm),
        (DeviceKind::Cpu, false)
    );
}

#[test]
fn a_damaged_checkpoint_is_named_when_another_takes_its_place() {
    let demo = model(DEMO_MODEL, 1);
    let mut turbo = model(DEFAULT_MODEL, 1);
    turbo.problem = Some("model.safetensors is cut short.".into());
    let models = [demo, turbo];
    let (resolved, notes) = resolve(
        &ServiceConfig::default(),
        &machine(0.0),
        Installed {
            models: &models,
            lms: &[],
        },
    );
    assert_eq!(resolved.config_path, DEMO_MODEL);
    let note = notes
        .iter()
        .find(|note| note.code == "model_damaged")
        .expect("a note");
    assert!(note.message.contains(DEFAULT_MODEL) && note.message.contains("cut short"));
}

#[test]
fn a_gguf_file_may_be_named_without_its_ending() {
    let models = [
        model("mine.gguf", 1),
        model("both", 1),
        model("both.gguf", 1),
    ];
    for (asked, found) in [
        ("mine", "mine.gguf"),
        ("mine.gguf", "mine.gguf"),
        ("both", "both"),
    ] {
        let config = ServiceConfig {
            config_path: Some(asked.into()),
            ..ServiceConfig::default()
        };
        let (resolved, notes) = run(&config, 0.0, &models, &[]);
        assert_eq!(resolved.config_path, found);
        assert!(!notes.contains(&"model_missing".to_owned()), "{notes:?}");
    }
}

#[test]
fn the_built_in_lm_goes_with_the_built_in_model_and_needs_no_consent() {
    let models = [model(DEMO_MODEL, 1), model(DEFAULT_MODEL, 1)];
    let lms = [built_in_lm(), lm(LmSize::Small)];
    let with = |name: &str, init_llm| ServiceConfig {
        config_path: Some(name.into()),
        init_llm,
        ..ServiceConfig::default()
    };
    let demo = with(DEMO_MODEL, Some(true));
    let (resolved, notes) = run(&demo, 0.0, &models, &lms);
    assert_eq!(
        resolved.lm_model_path.as_deref(),
        Some("acestep-5Hz-lm-demo")
    );
    assert_eq!(notes, [""; 0]);
    let auto = with(DEMO_MODEL, None);
    assert!(
        !run(&auto, 6.0, &models, &lms).0.init_llm,
        "small cards keep their memory"
    );
    assert!(run(&auto, 12.0, &models, &lms).0.init_llm);
    // The released model has words of its own.
    let turbo = with(DEFAULT_MODEL, Some(true));
    let (resolved, _) = run(&turbo, 8.0, &models, &lms);
    assert_eq!(resolved.lm_model_path, Some(LmSize::Small.folder()));
    let only_built_in = &lms[..1];
    let (resolved, notes) = run(&turbo, 8.0, &models, only_built_in);
    assert!(resolved.init_llm);
    assert_eq!(notes, ["lm_is_small"]);
    assert!(
        !run(&with(DEFAULT_MODEL, None), 24.0, &models, only_built_in)
            .0
            .init_llm
    );
}

#[test]
fn f32_is_more_than_half_precision_on_a_card() {
    let on = |device, full_precision| {
        let loaded = Resolved {
            device,
            full_precision,
            ..Resolved::default()
        };
        loaded
            .in_full_precision()
            .is_some_and(|wide| wide.full_precision && wide.device == device)
    };
    assert!(on(DeviceKind::Cuda, false) && on(DeviceKind::Metal, false));
    assert!(!on(DeviceKind::Cuda, true) && !on(DeviceKind::Cpu, false));
}
