//! The language model's jobs as a caller sees them: on the bundled model, and on random weights
//! with the whole codebook.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(feature = "demo-model")]

#[path = "support/lm_with_codes.rs"]
mod lm_with_codes;

use std::{
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use acestep_domain::{
    GenerationParams, SongPlan,
    job::JobKind,
    metadata::{Bpm, KeyScale, Language, TimeSignature},
};
use acestep_engine::{
    checkpoint::{Checkpoint, LmCheckpoint},
    engine::{
        Engine, Heard, LanguageModel, LoadOptions, Request, ScoreSong, Thinking, WriteRequest,
    },
    error::{Error, Stage},
    observer::{Observer, Silent, Writing},
    planner::{
        jobs::{CodesRequest, Given, PlanRequest, Planned, TextOptions},
        parse,
        sampler::Sampling,
    },
};
use candle_core::{DType, Device, Tensor};

fn demo() -> LanguageModel {
    let source = LmCheckpoint::demo().unwrap();
    LanguageModel::load(&source, &LoadOptions::default(), &Silent).unwrap()
}

fn options(seed: u32) -> TextOptions {
    TextOptions {
        sampling: Sampling::default(),
        seed,
        max_duration_secs: 240,
        constrained: true,
        log: false,
    }
}

fn request(seed: u32) -> PlanRequest {
    PlanRequest {
        caption: "calm lofi with piano".to_owned(),
        lyrics: "[Instrumental]".to_owned(),
        given: Given::default(),
        write_caption: true,
        write_language: true,
        options: options(seed),
    }
}

/// The demo's vocabulary with the released codes after it, and random weights.
fn with_codes(codes: u32) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    lm_with_codes::write(folder.path(), codes);
    folder
}

fn open(folder: &tempfile::TempDir) -> LanguageModel {
    let source = LmCheckpoint::open(folder.path(), lm_with_codes::NAME).unwrap();
    LanguageModel::load(&source, &LoadOptions::default(), &Silent).unwrap()
}

#[test]
fn a_plan_has_every_field_and_the_same_seed_gives_the_same_one() {
    let lm = demo();
    let planned = lm.plan_song(&request(7), &Silent).unwrap();
    let plan = &planned.plan;
    assert!(plan.bpm.is_some() && plan.keyscale.is_some(), "{planned:?}");
    assert!(plan.language.is_some() && plan.timesignature.is_some());
    assert!((10..=240).contains(&plan.duration_secs.unwrap()));
    assert!(!plan.caption.is_empty() && plan.lyrics.is_empty());
    assert!(planned.text.starts_with("bpm: "), "{}", planned.text);
    assert_eq!(planned, lm.plan_song(&request(7), &Silent).unwrap());
    let others = (0..6).map(|seed| lm.plan_song(&request(seed), &Silent).unwrap().text);
    assert!(others.into_iter().any(|text| text != planned.text));
}

#[test]
fn the_users_values_are_never_replaced() {
    let lm = demo();
    let mut request = request(3);
    request.given = Given {
        bpm: Some(Bpm(123)),
        duration_secs: Some(360.0),
        keyscale: KeyScale::parse("F# minor").ok(),
        language: Language::parse("no").ok(),
        timesignature: None,
    };
    let planned = lm.plan_song(&request, &Silent).unwrap();
    assert!(planned.text.contains("bpm: 123\n") && planned.text.contains("keyscale: F# minor\n"));
    // 6 minutes where 4 are the most: in the thinking as well as in the plan.
    assert!(planned.text.contains("duration: 240\n"), "{}", planned.text);
    assert_eq!(planned.plan.duration_secs, Some(240));
    assert!(
        planned
            .notes
            .iter()
            .any(|note| note.code == "duration_clamped")
    );
    assert_eq!(planned.plan.language.unwrap().code(), "no");

    request.given.timesignature = TimeSignature::parse("3/4").ok();
    let known = lm.plan_song(&request, &Silent).unwrap();
    assert_eq!((known.tokens, known.plan.bpm), (0, Some(Bpm(123))));
    request.given.bpm = Some(Bpm(999));
    assert!(matches!(
        lm.plan_song(&request, &Silent),
        Err(Error::Invalid { field: "bpm", .. })
    ));
    // What it would have said is told, and does not change what it says.
    let would = planned
        .notes
        .iter()
        .find(|note| note.code == "lm_would_say");
    let would = would.expect("another tempo than 123");
    assert_eq!(would.field.as_deref(), Some("bpm"));
    assert!(
        would.message.contains("123 as you set it"),
        "{}",
        would.message
    );
}

#[test]
fn without_the_grammar_the_model_writes_freely_and_what_can_be_read_counts() {
    let lm = demo();
    let free = |seed: u32, temperature: f64| {
        let mut request = request(seed);
        request.options.constrained = false;
        request.options.sampling.temperature = temperature;
        request
    };
    // At its most probable the bundled model keeps to what it learnt: the text is its own, and it is read.
    let planned = lm.plan_song(&free(7, 0.0), &Silent).unwrap();
    let read = parse::answer(&planned.text, "");
    assert!(!planned.text.is_empty());
    assert_eq!(planned.plan.bpm, read.plan.bpm, "{}", planned.text);
    assert_eq!(planned.plan.keyscale, read.plan.keyscale);
    assert_eq!(planned.plan.caption, read.plan.caption);
    assert_ne!(planned.plan, SongPlan::default());

    // Very hot it writes what no grammar lets through; nothing of that gets into the plan, and it is told.
    let wild = lm.plan_song(&free(7, 2.0), &Silent).unwrap();
    let held = PlanRequest {
        options: TextOptions {
            constrained: true,
            ..free(7, 2.0).options
        },
        ..free(7, 2.0)
    };
    let held = lm.plan_song(&held, &Silent).unwrap();
    assert!(held.text.starts_with("bpm: "), "{}", held.text);
    assert_ne!(wild.text, held.text);
    let told = |planned: &Planned, code: &str| planned.notes.iter().any(|note| note.code == code);
    assert!(told(&wild, "lm_left_out"), "{:?}", wild.notes);
    assert!(!told(&held, "lm_left_out"));
    assert_eq!(wild, lm.plan_song(&free(7, 2.0), &Silent).unwrap());

    // The user's values stand over whatever is written, and a caption that nobody asked for is not taken.
    let mut own = free(7, 0.0);
    own.given.bpm = Some(Bpm(299));
    own.write_caption = false;
    let own = lm.plan_song(&own, &Silent).unwrap();
    assert_eq!(
        (own.plan.bpm, own.plan.caption.as_str()),
        (Some(Bpm(299)), "")
    );
    assert_eq!(own.text, planned.text, "values are not put into its mouth");
    assert!(told(&own, "lm_would_say"), "{:?}", own.notes);
}

#[test]
fn a_description_becomes_a_song_and_lyrics_survive_formatting() {
    let lm = demo();
    let sample = lm
        .create_sample("fast techno", true, &Given::default(), &options(1), &Silent)
        .unwrap();
    assert!(!sample.plan.caption.is_empty());
    assert_eq!(sample.plan.lyrics, "[Instrumental]");
    let lyrics = "[Verse]\n<|im_end|> we sing </think>\n[Chorus]\nla la <|audio_code_5|>";
    let given = Given {
        language: Language::parse("en").ok(),
        ..Given::default()
    };
    let formatted = lm
        .format("slow piano", lyrics, &given, &options(1), &Silent)
        .unwrap();
    assert_eq!(formatted.plan.language.unwrap().code(), "en");
    assert!(!formatted.text.contains("language:"));
    assert!(!formatted.plan.lyrics.is_empty() && !formatted.plan.caption.is_empty());
}

#[test]
fn without_codes_in_its_vocabulary_it_says_so() {
    let lm = demo();
    assert!(!lm.info().has_codes);
    assert!(
        lm.info()
            .notes
            .iter()
            .any(|note| note.code == "lm_without_codes")
    );
    let error = lm.understand(&[1, 2], &options(1), &Silent).unwrap_err();
    assert!(error.to_string().contains("plans metadata only"), "{error}");
    let few = open(&with_codes(100));
    assert!(!few.info().has_codes);
    assert!(few.plan_song(&request(1), &Silent).is_ok());
    assert!(few.codes(&codes(&[1], 10.0), &Silent).is_err());
}

fn codes(seeds: &[u32], secs: f64) -> CodesRequest {
    CodesRequest {
        caption: "calm lofi with piano".to_owned(),
        lyrics: "la la".to_owned(),
        plan: SongPlan {
            bpm: Some(Bpm(90)),
            ..SongPlan::default()
        },
        duration_secs: Some(secs),
        max_duration_secs: 600,
        sampling: Sampling::default(),
        guidance_scale: 2.0,
        negative_prompt: String::new(),
        seeds: seeds.to_vec(),
        log: false,
    }
}

#[test]
fn codes_are_counted_legal_and_the_same_at_any_place_of_a_batch() {
    let lm = open(&with_codes(65_535));
    let batch = lm.codes(&codes(&[5, 6, 7], 10.9), &Silent).unwrap().songs;
    assert!(batch.iter().all(|song| song.len() == 54));
    assert!(batch.iter().flatten().all(|code| *code < 64_000));
    assert_ne!(batch[0], batch[1]);
    for (seeds, place, same) in [(vec![6], 0, 1), (vec![9, 5], 1, 0), (vec![7, 7], 1, 2)] {
        let songs = lm.codes(&codes(&seeds, 10.9), &Silent).unwrap().songs;
        assert_eq!(songs[place], batch[same], "{seeds:?}");
    }
    let plain = CodesRequest {
        guidance_scale: 1.0,
        ..codes(&[5], 10.9)
    };
    assert_ne!(lm.codes(&plain, &Silent).unwrap().songs[0], batch[0]);
    let heard = lm.understand(&batch[0], &options(1), &Silent).unwrap();
    assert_eq!(heard.plan.duration_secs, Some(11));
}

/// Stops after some tokens, and keeps what it heard.
struct Watcher {
    stop_after: usize,
    heard: AtomicUsize,
    last: Mutex<(String, Option<usize>)>,
}

impl Watcher {
    fn new(stop_after: usize) -> Self {
        Self {
            stop_after,
            heard: AtomicUsize::new(0),
            last: Mutex::default(),
        }
    }
}

impl Observer for Watcher {
    fn progress(&self, _: Stage, _: usize, _: usize, _: usize) {}

    fn writing(&self, writing: &Writing<'_>) {
        self.heard.fetch_add(1, Ordering::Relaxed);
        *self.last.lock().unwrap() = (writing.text.to_owned(), writing.total);
    }

    fn cancelled(&self) -> bool {
        self.heard.load(Ordering::Relaxed) >= self.stop_after
    }
}

/// A tiny DiT with networks for codes, and `lm` beside it.
fn engine_with(lm: &tempfile::TempDir) -> Engine {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pipeline/checkpoint");
    let checkpoint = Checkpoint::open(&root, "acestep-v15-tiny").unwrap();
    let mut engine = Engine::load(&checkpoint, &LoadOptions::default(), &Silent).unwrap();
    let source = LmCheckpoint::open(lm.path(), lm_with_codes::NAME).unwrap();
    engine
        .load_lm(&source, &LoadOptions::default(), &Silent)
        .unwrap();
    engine
}

#[test]
fn it_can_be_cancelled_between_tokens_and_tells_how_far_it_is() {
    let lm = open(&with_codes(64_000));
    for stop_after in [0, 1, 20] {
        let watcher = Watcher::new(stop_after);
        let stopped = lm.codes(&codes(&[1], 10.0), &watcher);
        assert!(matches!(stopped, Err(Error::Cancelled)));
        assert_eq!(watcher.heard.load(Ordering::Relaxed), stop_after);
    }
    let watcher = Watcher::new(usize::MAX);
    lm.codes(&codes(&[1], 10.0), &watcher).unwrap();
    assert_eq!(watcher.last.lock().unwrap().1, Some(50));
    lm.plan_song(&request(1), &watcher).unwrap();
    let (text, total) = watcher.last.lock().unwrap().clone();
    assert!(text.contains("bpm: ") && total.is_none(), "{text}");
}

#[test]
fn what_is_too_long_is_refused_before_the_first_token() {
    let lm = demo();
    let mut request = request(1);
    request.lyrics = "la la la ".repeat(5000);
    let error = lm.plan_song(&request, &Silent).unwrap_err();
    assert!(
        matches!(
            error,
            Error::Invalid {
                field: "lyrics",
                ..
            }
        ),
        "{error}"
    );
    assert!(lm.logits(&[vec![]], &Silent).is_err());
    assert!(lm.logits(&[vec![1, 1_000_000]], &Silent).is_err());
    let logits = lm.logits(&[vec![1, 2, 3], vec![4]], &Silent).unwrap();
    assert_eq!((logits.len(), logits[0].dims()), (2, &[1536][..]));
}

#[test]
fn a_song_is_scored_by_its_codes_and_what_cannot_be_scored_is_told() {
    let folder = with_codes(65_535);
    let mut engine = engine_with(&folder);
    let params = GenerationParams {
        caption: "warm piano".to_owned(),
        lyrics: "[Verse]\nla la la".to_owned(),
        duration_secs: Some(6.0),
        bpm: Some(Bpm(123)),
        inference_steps: 1,
        ..GenerationParams::default()
    };
    let request = Request {
        params,
        seeds: vec![5],
        ..Request::default()
    };
    let mut takes = Vec::new();
    engine
        .generate(&request, &Silent, &mut |take| {
            takes.push(take);
            Ok(())
        })
        .unwrap();
    let take = takes.pop().unwrap();
    let mut ask = |request: &Request, scale| {
        let asked = ScoreSong {
            request,
            heard: Heard::Sound {
                audio: take.audio.clone(),
                gain: take.report.gain,
            },
            scale,
        };
        engine.score(&asked, &Silent)
    };
    let scored = ask(&request, 0.5).unwrap();
    let scores = &scored.scores;
    let names: Vec<&str> = scores.metadata.keys().map(String::as_str).collect();
    assert_eq!(names, ["bpm", "duration"]);
    let figures = [scores.global, scores.caption, scores.lyrics];
    for figure in figures
        .into_iter()
        .chain(scores.metadata.values().map(|v| Some(*v)))
    {
        let figure = figure.unwrap();
        assert!((0.0..=1.0).contains(&figure), "{scores:?}");
    }
    assert_eq!(scores.lm.as_deref(), Some(lm_with_codes::NAME));
    // Nobody knows where this model looks for the words.
    assert_eq!((scores.alignment, &scored.lines), (None, &None));
    assert_eq!(scored.notes[0].code, "score_without_words");

    assert_eq!(
        ask(&request, 0.5).unwrap().scores,
        *scores,
        "nothing is drawn"
    );
    let flat = ask(&request, 1e6).unwrap().scores;
    assert!((flat.caption.unwrap() - 0.5).abs() < 1e-3, "{flat:?}");
    assert_eq!(flat.metadata, scores.metadata);

    // Codes that are given are read, not those that are heard.
    let mut other = request.clone();
    other.params.audio_codes = acestep_domain::audio_codes::to_text(&[7; 30]);
    assert_ne!(ask(&other, 0.5).unwrap().scores, *scores);

    let mut long = request.clone();
    long.params.lyrics = "la la la\n".repeat(3000);
    let told = ask(&long, 0.5).unwrap();
    assert_eq!(told.scores.lyrics, None);
    assert!(told.scores.caption.is_some());
    assert!(told.notes.iter().any(|note| note.code == "score_left_out"));
}

#[test]
fn a_song_nobody_can_score_is_refused_with_both_reasons() {
    let mut engine = Engine::load(
        &Checkpoint::demo().unwrap(),
        &LoadOptions::default(),
        &Silent,
    )
    .unwrap();
    engine
        .load_lm(
            &LmCheckpoint::demo().unwrap(),
            &LoadOptions::default(),
            &Silent,
        )
        .unwrap();
    let request = Request {
        params: GenerationParams {
            lyrics: "la".to_owned(),
            ..GenerationParams::default()
        },
        seeds: vec![1],
        ..Request::default()
    };
    let asked = ScoreSong {
        request: &request,
        heard: Heard::Latents(Tensor::zeros((200, 64), DType::F32, &Device::Cpu).unwrap()),
        scale: 0.5,
    };
    let error = engine.score(&asked, &Silent).unwrap_err();
    let Error::Unsupported { because, .. } = &error else {
        panic!("{error}")
    };
    assert!(
        because.contains("attention heads") && because.contains("no audio codes"),
        "{because}"
    );
}

#[path = "language_model/before_songs.rs"]
mod before_songs;
#[path = "language_model/decoder_log.rs"]
mod decoder_log;
