//! Runs that make no song: words that the language model writes, a song that is scored.

use acestep_domain::job::JobKind;
use acestep_engine::engine::{ScoreSong, WriteRequest};

use super::*;

/// The tiny model, of whose heads some follow the words, beside a language model that knows codes.
fn with_codes(folder: &Path) -> Engine {
    let checkpoint = tiny_checkpoint::with_lyric_heads(folder);
    let options = LoadOptions::default();
    let mut engine = Engine::load(&checkpoint, &options, &Silent).unwrap();
    lm_with_codes::write(folder, 65_535);
    let lm = LmCheckpoint::open(folder, lm_with_codes::NAME).unwrap();
    engine.load_lm(&lm, &options, &Silent).unwrap();
    engine
}

/// What was written, as [`sweep`] compares it.
fn written(engine: &mut Engine, kind: JobKind, source: Option<Audio>) -> Result<Made> {
    let params = params();
    let request = WriteRequest {
        kind,
        params: &params,
        seed: 3,
        max_duration_secs: 240,
        source,
    };
    let report = engine.write(&request, &Silent)?;
    let words = report.plan.map(|plan| format!("{plan:?}"));
    Ok(Made {
        samples: report.audio_codes.iter().map(|code| *code as f32).collect(),
        notes: words.into_iter().collect(),
    })
}

#[test]
fn words_fail_with_a_reason_and_the_next_are_written() {
    let mut engine = Engine::load(
        &Checkpoint::demo().unwrap(),
        &LoadOptions::default(),
        &Silent,
    )
    .unwrap();
    let lm = LmCheckpoint::demo().unwrap();
    engine
        .load_lm(&lm, &LoadOptions::default(), &Silent)
        .unwrap();
    for kind in [JobKind::Format, JobKind::Sample] {
        let (stages, _) = sweep(1, || written(&mut engine, kind, None));
        assert_eq!(stages, BTreeSet::from([Stage::LanguageModel]), "{kind:?}");
    }
}

#[test]
fn listening_fails_while_it_hears_and_while_it_writes_and_the_next_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    let mut engine = with_codes(folder.path());
    let (stages, _) = sweep(1, || {
        written(&mut engine, JobKind::Understand, Some(tone(6.0)))
    });
    for stage in [Stage::Encode, Stage::LanguageModel] {
        assert!(stages.contains(&stage), "{stages:?}");
    }
}

#[test]
fn a_score_fails_in_each_of_its_stages_and_the_next_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let mut engine = with_codes(folder.path());
    let request = Request {
        seeds: vec![7],
        ..two_songs()
    };
    let (stages, _) = sweep(1, || {
        let asked = ScoreSong {
            request: &request,
            heard: Heard::Sound {
                audio: tone(6.0),
                gain: 1.0,
            },
            scale: 0.5,
        };
        let scored = engine.score(&asked, &Silent)?;
        Ok(Made {
            samples: Vec::new(),
            notes: vec![format!("{scored:?}")],
        })
    });
    for stage in [Stage::Encode, Stage::LanguageModel, Stage::Diffusion] {
        assert!(stages.contains(&stage), "{stages:?}");
    }
}
