//! Finding out about a finished song: it is heard from its file, beside what it was made from, and what
//! comes of it is kept with the song.

use std::time::Instant;

use acestep_domain::{
    GenerationParams, Note,
    job::{Job, JobKind},
    library::Song,
    task::TaskType,
};
use acestep_engine::observer::Observer;

use super::{guarded, observe::JobObserver};
use crate::{
    backend::{AlignRequest, Backend, Heard, Request, ScoreSong},
    error::{Error, Result},
    library::Kept,
    pace::Amount,
    queue::CancelFlag,
    recordings::{REFERENCE, SOURCE},
    song_file,
    studio::Shared,
};

/// Does a job about a song; answers what is worth saying.
pub(super) fn about_song(
    shared: &Shared,
    backend: &mut dyn Backend,
    job: &Job,
    cancel: &CancelFlag,
) -> Result<Vec<Note>> {
    let id = job.source_song_id.as_deref().unwrap_or_default();
    let Kept { song, file_name } = shared.library.present(id)?;
    let mut rates = shared.service.rates();
    let amount = Amount::of_finding_out(job.kind, song.duration_secs);
    let observer = JobObserver::new(shared, &job.id, cancel, (rates, amount));
    observer.check()?;
    let mut notes = Vec::new();
    let mut params = job.params.clone();
    let model = shared.service.model()?.name;
    if model != song.provenance.model {
        notes.push(Note::general(
            "another_model",
            format!(
                "The song was made with {}; it is heard by {model}, which is loaded now.",
                song.provenance.model
            ),
        ));
    }
    leave_out_what_is_gone(shared, &mut params, &mut notes)?;
    let recordings = shared.recordings(&params)?;
    notes.extend(recordings.notes);
    let sound = shared.recording(id, "song_id")?.read()?;
    notes.extend(sound.notes);

    let uses = params.loras.clone().unwrap_or_default();
    match guarded("listening", || backend.use_loras(&uses, &observer))? {
        Ok(used) => notes.extend(used.notes),
        Err(error) => {
            let error = Error::from(error);
            if error.is_cancelled() {
                return Err(error);
            }
            notes.push(Note::new(
                "loras_left_out",
                "loras",
                format!(
                    "Adapters: the song was made with some that cannot be used now, so it is heard without. {}",
                    acestep_domain::UserError::from(error).message
                ),
            ));
            params.loras = Some(Vec::new());
            guarded("listening", || backend.use_loras(&[], &observer))??;
        }
    }
    let scale = params.score_scale;
    let request = Request {
        params,
        seeds: vec![song.seed],
        source: recordings.source,
        references: recordings.references,
        ..Request::default()
    };
    let heard = Heard::Sound {
        audio: sound.audio,
        gain: song.report.gain,
    };
    let started = Instant::now();
    let found = if job.kind == JobKind::LyricsTiming {
        let asked = AlignRequest {
            request: &request,
            heard,
            with_scores: false,
        };
        let aligned = guarded("listening", || backend.align(&asked, &observer))??;
        notes.extend(aligned.notes);
        Found {
            lines: Some(aligned.lines),
            scores: None,
        }
    } else {
        let asked = ScoreSong {
            request: &request,
            heard,
            scale,
        };
        let scored = guarded("listening", || backend.score(&asked, &observer))??;
        notes.extend(scored.notes);
        Found {
            lines: scored.lines,
            scores: Some(scored.scores),
        }
    };
    let took = started.elapsed().as_secs_f64();
    rates.learn_finding_out(job.kind, song.duration_secs, took);
    shared.learnt(rates);
    keep(shared, song, &file_name, found)?;
    Ok(notes)
}

/// What was found out.
struct Found {
    lines: Option<Vec<acestep_domain::timed_lyrics::LyricLine>>,
    scores: Option<acestep_domain::timed_lyrics::Scores>,
}

/// Keeps it with the song, and beside its file.
fn keep(shared: &Shared, song: Song, file_name: &str, found: Found) -> Result<()> {
    let song = Song {
        lyric_lines: found.lines.unwrap_or(song.lyric_lines),
        scores: found.scores.or(song.scores),
        ..song
    };
    // The row first: it is what is shown, and the file beside the song can be written again.
    shared.library.replace(&song)?;
    song_file::rewrite_params(&shared.paths, &song, file_name)?;
    shared.touch();
    Ok(())
}

/// Recordings are removed after a while, and songs by their owner: without them the song is still heard,
/// as one that was made from words alone.
fn leave_out_what_is_gone(
    shared: &Shared,
    params: &mut GenerationParams,
    notes: &mut Vec<Note>,
) -> Result<()> {
    let gone = |id: &str, field: &str| match shared.recording(id, field) {
        Ok(_) => Ok(false),
        Err(error) => {
            let error = acestep_domain::UserError::from(error);
            if error.code == "not_found" {
                Ok(true)
            } else {
                Err(Error::from(error))
            }
        }
    };
    let told = |field: &str| {
        Note::new(
            "recording_gone",
            field,
            format!("{field}: the recording is gone, so the song is heard without it."),
        )
    };
    if let Some(id) = params
        .src_audio
        .clone()
        .filter(|_| params.works_on_source())
        && gone(&id, SOURCE)?
    {
        params.src_audio = None;
        params.task_type = TaskType::Text2music;
        notes.push(told(SOURCE));
    }
    let mut kept = Vec::new();
    for id in std::mem::take(&mut params.reference_audio) {
        if gone(&id, REFERENCE)? {
            notes.push(told(REFERENCE));
        } else {
            kept.push(id);
        }
    }
    params.reference_audio = kept;
    Ok(())
}
