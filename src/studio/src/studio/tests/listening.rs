//! What is found out about a song: asked for, kept with the song, written as files.

use acestep_domain::timed_lyrics::{AlignmentScores, LyricLine, LyricsFormat, Scores};
use acestep_engine::engine::{AlignRequest, Aligned, Heard, ScoreSong, Scored};

use super::*;

/// One line; what was asked is kept among the requests.
pub(super) fn align(
    script: &Mutex<Script>,
    asked: &AlignRequest<'_>,
    observer: &dyn Observer,
) -> EngineResult<Aligned> {
    let act = {
        let mut script = script.lock().unwrap();
        script.requests.push(asked.request.clone());
        script.texts.pop_front()
    };
    perform(act, observer)?;
    let Heard::Sound { audio, gain } = &asked.heard else {
        panic!("a song is heard from its file");
    };
    assert_eq!(*gain, 1.0);
    Ok(Aligned {
        lines: vec![LyricLine {
            start_secs: 0.25,
            end_secs: audio.duration_secs(),
            text: "la la".to_owned(),
        }],
        scores: asked.with_scores.then_some(AlignmentScores {
            lm_score: 0.25,
            dit_score: 0.75,
        }),
        notes: vec![Note::new("lyrics_cut", "lyrics", "Lyrics: cut.")],
    })
}

/// With the times, and the scale as the only figure.
pub(super) fn score(
    script: &Mutex<Script>,
    asked: &ScoreSong<'_>,
    observer: &dyn Observer,
) -> EngineResult<Scored> {
    let request = AlignRequest {
        request: asked.request,
        heard: asked.heard.clone(),
        with_scores: true,
    };
    let aligned = align(script, &request, observer)?;
    Ok(Scored {
        scores: Scores {
            caption: Some(asked.scale),
            alignment: aligned.scores,
            ..Scores::default()
        }
        .with_global(),
        lines: Some(aligned.lines),
        notes: Vec::new(),
    })
}

fn sung() -> Value {
    with(song(), "lyrics", "[Verse]\nla la")
}

fn ask(kind: &str, song_id: &str) -> Value {
    json!({ "kind": kind, "song_id": song_id })
}

fn refused(fixture: &Fixture, request: &Value) -> acestep_domain::UserError {
    told(fixture.studio.submit(request).unwrap_err())
}

#[test]
fn times_are_kept_with_the_song_and_survive_a_lost_library() {
    let fixture = ready();
    let made = fixture.run(&sung());
    let id = &made.song_ids[0];
    let before = fixture.studio.song(id).unwrap();
    assert_eq!((before.lyric_lines.len(), &before.scores), (0, &None));
    let error = told(
        fixture
            .studio
            .lyrics_file(id, LyricsFormat::Lrc)
            .unwrap_err(),
    );
    assert_eq!(error.code, "not_timed");

    let job = fixture.run(&ask("lyrics_timing", id));
    assert_eq!(job.state, JobState::Done, "{:?}", job.error);
    assert_eq!(
        (job.kind, job.source_song_id.as_ref()),
        (JobKind::LyricsTiming, Some(id))
    );
    assert_eq!(codes(&job.notes), ["lyrics_cut"]);
    let asked = fixture.script.lock().unwrap().requests.pop().unwrap();
    assert_eq!(asked.seeds, [before.seed]);
    assert_eq!(asked.params.lyrics, "[Verse]\nla la");

    let after = fixture.studio.song(id).unwrap();
    assert_eq!(after.lyric_lines.len(), 1);
    assert_eq!(
        fixture.studio.lyrics_file(id, LyricsFormat::Lrc).unwrap(),
        "[00:00.25]la la\n"
    );
    // Renaming and marking lose nothing of it.
    let renamed = fixture
        .studio
        .update_song(id, Some("Other".to_owned()), Some(true))
        .unwrap();
    assert_eq!(renamed.lyric_lines, after.lyric_lines);
    let job = fixture.run(&ask("score", id));
    assert_eq!(job.state, JobState::Done, "{:?}", job.error);
    let scored = fixture.studio.song(id).unwrap();
    assert_eq!(scored.title, "Other");
    assert!(scored.favourite);
    assert_eq!(scored.scores.as_ref().unwrap().global, Some(0.5));

    let found = fixture.file_names();
    let elsewhere = tempfile::tempdir().unwrap();
    for name in found.iter().filter(|name| *name != "uploads") {
        std::fs::copy(
            fixture.folder.path().join(name),
            elsewhere.path().join(name),
        )
        .unwrap();
    }
    assert_eq!(found.iter().filter(|name| name.starts_with('.')).count(), 0);
    let (studio, _) = open(elsewhere.path()).unwrap();
    let adopted = studio.song(id).unwrap();
    assert_eq!(adopted.lyric_lines, after.lyric_lines);
    assert_eq!(adopted.scores, scored.scores);
}

#[test]
fn what_cannot_be_found_out_is_refused_before_it_is_queued() {
    let fixture = ready();
    let silent = fixture.run(&song()).song_ids.remove(0);
    let words = fixture.run(&sung()).song_ids.remove(0);
    let error = refused(&fixture, &ask("lyrics_timing", &silent));
    assert_eq!(error.field.as_deref(), Some("lyrics"));
    let error = told(
        fixture
            .studio
            .lyrics_file(&silent, LyricsFormat::Srt)
            .unwrap_err(),
    );
    assert_eq!(error.field.as_deref(), Some("lyrics"));
    // No language model, and nothing sung.
    assert_eq!(
        refused(&fixture, &ask("score", &silent)).code,
        "unsupported"
    );
    assert_eq!(
        refused(&fixture, &json!({ "kind": "score" }))
            .field
            .as_deref(),
        Some("song_id")
    );
    assert_eq!(
        refused(&fixture, &ask("lyrics_timing", "nobody")).code,
        "not_found"
    );
    load(&fixture.studio, BASE).unwrap();
    // Nobody knows where the scripted base model looks for the words.
    for kind in ["lyrics_timing", "score"] {
        let error = refused(&fixture, &ask(kind, &words));
        assert_eq!(error.code, "unsupported", "{error}");
    }
}

#[test]
fn a_language_model_scores_what_is_not_sung() {
    let fixture = ready_with_lm();
    let silent = fixture.run(&song()).song_ids.remove(0);
    let wild = fixture
        .studio
        .submit(&with(ask("score", &silent), "score_scale", -3))
        .unwrap();
    assert_eq!(codes(&wild.notes), ["score_scale_clamped"]);
    assert_eq!(wild.params.score_scale, 0.01);
    fixture.end_of(&wild.id);
    let job = fixture.run(&with(ask("score", &silent), "score_scale", 0.25));
    assert_eq!(job.state, JobState::Done, "{:?}", job.error);
    let scores = fixture.studio.song(&silent).unwrap().scores.unwrap();
    assert_eq!(scores.caption, Some(0.25));
    // Values of the song's own are not to be changed, and nothing is made of what is found out.
    let other = with(ask("score", &silent), "caption", "other");
    let other = with(with(other, "then_generate", true), "fit", true);
    let job = fixture.run(&other);
    assert_eq!(
        codes(&job.notes),
        ["field_ignored", "then_generate_unused", "fit_unused"]
    );
    assert_ne!(job.params.caption, "other");
}

#[test]
fn asked_for_beforehand_it_is_found_out_after_the_songs() {
    let fixture = ready();
    let made = fixture.run(&with(sung(), "auto_lrc", true));
    assert_eq!(made.state, JobState::Done);
    let next = fixture.studio.jobs(10).unwrap().remove(0);
    assert_eq!(next.kind, JobKind::LyricsTiming);
    fixture.end_of(&next.id);
    let song = fixture.studio.song(&made.song_ids[0]).unwrap();
    assert_eq!(song.lyric_lines.len(), 1);

    // One that scores finds the times out as well.
    let both = with(with(sung(), "auto_lrc", true), "auto_score", true);
    let made = fixture.run(&both);
    let next = fixture.studio.jobs(10).unwrap().remove(0);
    assert_eq!(next.kind, JobKind::Score);
    fixture.end_of(&next.id);
    let song = fixture.studio.song(&made.song_ids[0]).unwrap();
    assert!(song.scores.is_some() && song.lyric_lines.len() == 1);
    assert_eq!(fixture.studio.jobs(10).unwrap()[0].id, next.id);

    // What cannot be done is told once, and costs no song.
    let made = fixture.run(&with(with(self::song(), "auto_lrc", true), "batch_size", 2));
    assert_eq!(made.state, JobState::Done);
    let told = codes(&made.notes);
    assert_eq!(
        told.iter().filter(|code| **code == "not_found_out").count(),
        1
    );
}

#[test]
fn a_song_is_heard_without_what_is_gone_since() {
    let fixture = ready();
    let source = fixture.run(&song()).song_ids.remove(0);
    let cover = json!({
        "task_type": "cover", "src_audio": source, "caption": "techno", "lyrics": "la la",
        "reference_audio": source, "batch_size": 1, "audio_format": "wav",
    });
    let made = fixture.run(&cover);
    assert_eq!(made.state, JobState::Done, "{:?}", made.error);
    let request = ask("lyrics_timing", &made.song_ids[0]);
    assert_eq!(fixture.run(&request).state, JobState::Done);
    let with_it = fixture.script.lock().unwrap().requests.pop().unwrap();
    assert!(with_it.source.is_some() && with_it.references.len() == 1);

    fixture.studio.delete_song(&source).unwrap();
    let job = fixture.run(&request);
    assert_eq!(job.state, JobState::Done, "{:?}", job.error);
    let told = codes(&job.notes);
    assert_eq!(
        told.iter()
            .filter(|code| **code == "recording_gone")
            .count(),
        2
    );
    let without = fixture.script.lock().unwrap().requests.pop().unwrap();
    assert!(without.source.is_none() && without.references.is_empty());
    assert_eq!(without.params.task_type, TaskType::Text2music);
}

#[test]
fn one_that_fails_or_is_cancelled_leaves_the_song_as_it_was() {
    let fixture = ready();
    let id = fixture.run(&sung()).song_ids.remove(0);
    let request = ask("lyrics_timing", &id);
    let failure = EngineError::NotFinite {
        stage: Stage::Diffusion,
        module: "DiT",
    };
    fixture
        .script
        .lock()
        .unwrap()
        .texts
        .push_back(Act::Fail(failure));
    assert_eq!(fixture.run(&request).state, JobState::Failed);

    let keeper = fixture.hold_words();
    let job = fixture.studio.submit(&request).unwrap();
    keeper.wait();
    fixture.studio.cancel(&job.id).unwrap();
    keeper.open();
    assert_eq!(fixture.end_of(&job.id).state, JobState::Cancelled);
    assert_eq!(fixture.studio.song(&id).unwrap().lyric_lines, []);
    let again = fixture.studio.rerun(&job.id).unwrap();
    assert_eq!(fixture.end_of(&again.id).state, JobState::Done);
    assert_eq!(fixture.studio.song(&id).unwrap().lyric_lines.len(), 1);
}
