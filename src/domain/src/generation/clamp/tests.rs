use super::*;

fn bounds(tier: GpuTier, lm_loaded: bool) -> Bounds {
    Bounds {
        tier,
        lm_loaded,
        family: Family::Turbo,
        unlimited: false,
    }
}

fn asked(secs: f64, batch: usize) -> GenerationParams {
    GenerationParams {
        caption: "x".into(),
        duration_secs: Some(secs),
        batch_size: batch,
        ..GenerationParams::default()
    }
}

#[test]
fn every_tier_clamps_length_and_batch_to_the_guide_and_says_so() {
    for tier in GpuTier::ALL {
        for lm in [false, true] {
            let limits = limits(tier, lm);
            let clamped = clamp(asked(3600.0, 99), bounds(tier, lm)).unwrap();
            assert_eq!(
                clamped.params.duration_secs,
                Some(f64::from(limits.max_duration_secs))
            );
            assert_eq!(clamped.params.batch_size, limits.max_batch_size);
            let codes: Vec<_> = clamped
                .notes
                .iter()
                .map(|note| note.code.as_str())
                .collect();
            assert_eq!(
                codes,
                ["duration_clamped", "batch_size_clamped"],
                "{tier:?} {lm}"
            );
            let within = clamp(
                asked(f64::from(limits.max_duration_secs), limits.max_batch_size),
                bounds(tier, lm),
            )
            .unwrap();
            assert_eq!(within.notes, []);
        }
    }
}

#[test]
fn the_note_reads_as_the_design_asks() {
    let clamped = clamp(asked(330.0, 1), bounds(GpuTier::Tier4, true)).unwrap();
    assert_eq!(
        clamped.notes[0].message,
        "Length: asked 5:30, using 4:00, the tier 4 limit with LM. Without the language model more is possible."
    );
}

#[test]
fn a_length_is_rounded_to_tenths_and_that_is_told() {
    let notes = |secs| {
        let asked = GenerationParams {
            caption: "x".into(),
            duration_secs: Some(secs),
            ..GenerationParams::default()
        };
        let clamped = clamp(asked, bounds(GpuTier::Tier4, false)).unwrap();
        let codes: Vec<String> = clamped.notes.into_iter().map(|note| note.code).collect();
        (clamped.params.duration_secs, codes)
    };
    assert_eq!(notes(12.3), (Some(12.3), vec![]));
    assert_eq!(
        notes(12.34),
        (Some(12.3), vec!["duration_rounded".to_owned()])
    );
    let most = f64::from(limits(GpuTier::Tier4, false).max_duration_secs);
    assert_eq!(
        notes(most + 0.04),
        (Some(most), vec!["duration_rounded".to_owned()]),
        "no limit is in the way"
    );
}

#[test]
fn auto_length_is_fixed_and_shown() {
    let clamped = clamp(
        GenerationParams {
            caption: "x".into(),
            ..GenerationParams::default()
        },
        bounds(GpuTier::Tier1, false),
    )
    .unwrap();
    assert_eq!(clamped.params.duration_secs, Some(60.0));
    assert!(
        clamped
            .notes
            .iter()
            .any(|note| note.code == "duration_auto")
    );
}

#[test]
fn auto_length_is_left_to_a_language_model_that_plans() {
    let auto = GenerationParams {
        caption: "x".into(),
        ..GenerationParams::default()
    };
    let with_lm = bounds(GpuTier::Tier4, true);
    let clamped = clamp(auto.clone(), with_lm).unwrap();
    assert_eq!(
        (clamped.params.duration_secs, clamped.notes),
        (None, vec![])
    );
    let silent = GenerationParams {
        use_cot_metas: false,
        ..auto
    };
    assert_eq!(
        clamp(silent, with_lm).unwrap().params.duration_secs,
        Some(60.0)
    );
}

#[test]
fn codes_decide_the_length_and_too_many_are_refused() {
    let with = |codes: usize| GenerationParams {
        audio_codes: audio_codes::to_text(&vec![7; codes]),
        ..asked(30.0, 1)
    };
    let tier = bounds(GpuTier::Tier4, false);
    let clamped = clamp(with(60), tier).unwrap();
    assert_eq!(clamped.params.duration_secs, Some(12.0));
    assert_eq!(clamped.notes[0].code, "duration_by_codes");
    let error = clamp(with(1801), tier).unwrap_err();
    assert_eq!(error.field.as_deref(), Some("audio_codes"));
    let mut wrong = with(1);
    wrong.audio_codes.push('x');
    assert!(clamp(wrong, tier).is_err());
}

#[test]
fn turbo_refuses_guidance_and_long_schedules_base_keeps_them() {
    let mut params = asked(10.0, 1);
    params.guidance_scale = 7.0;
    params.inference_steps = 50;
    params.use_adg = true;
    params.cfg_interval_end = 0.5;
    let turbo = clamp(params.clone(), bounds(GpuTier::Unlimited, false)).unwrap();
    assert_eq!(
        (
            turbo.params.guidance_scale,
            turbo.params.inference_steps,
            turbo.params.use_adg
        ),
        (1.0, 20, false)
    );
    assert_eq!(turbo.notes.len(), 4);
    let base = clamp(
        params.clone(),
        Bounds {
            family: Family::Base,
            ..bounds(GpuTier::Unlimited, false)
        },
    )
    .unwrap();
    assert_eq!((base.params, base.notes), (params, vec![]));
}

#[test]
fn out_of_range_numbers_are_clamped_with_their_key() {
    let mut params = asked(0.01, 1);
    params.shift = 9.0;
    params.bpm = Some(Bpm(999));
    params.seeds = vec![1, 2, 3];
    let clamped = clamp(params, bounds(GpuTier::Unlimited, false)).unwrap();
    assert_eq!(
        (clamped.params.shift, clamped.params.bpm),
        (5.0, Some(Bpm(300)))
    );
    assert_eq!(clamped.params.duration_secs, Some(0.1));
    assert_eq!(clamped.params.seeds, [1]);
    let fields: Vec<_> = clamped
        .notes
        .iter()
        .filter_map(|note| note.field.as_deref())
        .collect();
    assert_eq!(fields, ["duration", "seed", "shift", "bpm"]);
}

#[test]
fn an_interval_that_ends_before_it_starts_is_an_error() {
    let mut params = asked(10.0, 1);
    (params.cfg_interval_start, params.cfg_interval_end) = (0.9, 0.1);
    let error = clamp(
        params,
        Bounds {
            family: Family::Base,
            ..bounds(GpuTier::Tier6, false)
        },
    )
    .unwrap_err();
    assert_eq!(error.field.as_deref(), Some("cfg_interval_start"));
}

#[test]
fn an_instrumental_song_tells_what_of_its_words_is_not_used() {
    let codes = |lyrics: &str, language: &str, instrumental: bool| -> Vec<String> {
        let asked = GenerationParams {
            lyrics: lyrics.into(),
            vocal_language: crate::metadata::Language::parse(language).unwrap(),
            instrumental,
            ..asked(30.0, 1)
        };
        let clamped = clamp(asked, bounds(GpuTier::Unlimited, true)).unwrap();
        clamped.notes.into_iter().map(|note| note.code).collect()
    };
    assert_eq!(
        codes("Hallo", "de", true),
        ["lyrics_ignored", "vocal_language_ignored"]
    );
    assert_eq!(codes("[Instrumental]", "unknown", true), [""; 0]);
    assert_eq!(codes("Hallo", "de", false), [""; 0]);
}
