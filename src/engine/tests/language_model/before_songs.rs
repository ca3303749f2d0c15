//! What it does before songs are made: a plan for all of them, codes for each.

use super::*;

#[test]
fn a_song_is_planned_coded_and_made_and_codes_are_heard_again() {
    let mut engine = engine_with(&with_codes(65_535));
    let params = GenerationParams {
        caption: "warm piano".to_owned(),
        duration_secs: Some(6.0),
        bpm: Some(Bpm(123)),
        batch_size: 2,
        inference_steps: 1,
        ..GenerationParams::default()
    };
    let thinking = Thinking {
        params: &params,
        seeds: &[5, 6],
        max_duration_secs: 240,
    };
    let thought = engine.think(thinking, &Silent).unwrap();
    let plan = thought.plan.clone().unwrap();
    assert_eq!(plan.bpm, Some(Bpm(123)));
    assert_eq!(thought.params.keyscale, plan.keyscale);
    assert_eq!(
        thought.params.duration_secs,
        Some(6.0),
        "the user's, not the plan's least"
    );
    assert_eq!(
        thought.codes.iter().map(Vec::len).collect::<Vec<_>>(),
        [30, 30]
    );
    assert_ne!(thought.codes[0], thought.codes[1]);

    let request = Request {
        params: thought.params,
        seeds: vec![5, 6],
        codes: thought.codes,
        noise: None,
        keep_latents: false,
        raw_level: false,
        ..Request::default()
    };
    let mut takes = Vec::new();
    engine
        .generate(&request, &Silent, &mut |take| {
            takes.push(take);
            Ok(())
        })
        .unwrap();
    assert!((takes[1].audio.duration_secs() - 6.0).abs() < 0.04);

    let (codes, notes) = engine.audio_codes(&takes[0].audio, &Silent).unwrap();
    assert_eq!((codes.len(), notes), (30, vec![]));
    let request = WriteRequest {
        kind: JobKind::Understand,
        params: &GenerationParams::default(),
        seed: 1,
        max_duration_secs: 240,
        source: Some(takes[0].audio.clone()),
    };
    let report = engine.write(&request, &Silent).unwrap();
    assert_eq!(report.audio_codes, codes);
    assert_eq!(
        report.plan.unwrap().duration_secs,
        Some(6),
        "counted, not guessed"
    );
}

#[test]
fn a_later_song_of_a_run_is_planned_and_coded_again_by_its_own_settings() {
    let engine = engine_with(&with_codes(65_535));
    let asked = GenerationParams {
        caption: "warm piano".to_owned(),
        duration_secs: Some(2.0),
        ..GenerationParams::default()
    };
    let think = |params: &GenerationParams, seeds: &[u32]| {
        let thinking = Thinking {
            params,
            seeds,
            max_duration_secs: 240,
        };
        engine.think(thinking, &Silent).unwrap()
    };
    let both = think(&asked, &[5, 6]);
    let later = asked.of_song(6, &[5, 6], both.plan.is_some());
    assert_eq!(later.lm_seed, Some(5));
    let again = think(&later, &later.seeds);
    assert_eq!(again.plan, both.plan);
    assert_eq!(again.codes[0], both.codes[1]);
    assert_ne!(think(&asked, &[6]).plan, both.plan, "by its own seed alone");
}

#[test]
fn without_thinking_the_plan_is_made_and_no_codes() {
    let engine = engine_with(&with_codes(65_535));
    let asked = GenerationParams {
        caption: "warm piano".to_owned(),
        thinking: false,
        use_cot_caption: false,
        ..GenerationParams::default()
    };
    let think = |params: &GenerationParams| {
        let thinking = Thinking {
            params,
            seeds: &[5],
            max_duration_secs: 12,
        };
        engine.think(thinking, &Silent).unwrap()
    };
    let thought = think(&asked);
    assert!(thought.codes.is_empty() && thought.params.bpm.is_some());
    assert_eq!(thought.params.caption, "warm piano");
    assert!((10.0..=12.0).contains(&thought.params.duration_secs.unwrap()));
    let nothing = GenerationParams {
        use_cot_metas: false,
        duration_secs: Some(11.0),
        ..asked
    };
    let thought = think(&nothing);
    assert_eq!((thought.plan, thought.params.bpm), (None, None));
}
