//! What the parameters ask to be found out about the finished takes: `auto_lrc`, `auto_score`. It waits
//! until all songs are safe, and costs none of them.

use acestep_domain::{
    Note, UserError, audio_codes,
    timed_lyrics::{LyricLine, LyricsFormat, Scores, check_sung},
};
use acestep_engine::{
    engine::{AlignRequest, Engine, Heard, Request, ScoreSong},
    error::{Error, Result},
};

use super::write::Output;
use crate::{
    cli::{files::write_safely, output::Failure},
    progress::Bar,
};

/// Finds it out and writes `F.lrc` beside each song; notes what could not be found out.
///
/// # Errors
/// A file cannot be written, or it was cancelled.
pub(super) fn listen(
    engine: &mut Engine,
    asked: &Request,
    outputs: &mut [Output],
    bar: &Bar,
) -> std::result::Result<Vec<Note>, Failure> {
    let mut notes: Vec<Note> = Vec::new();
    for (item, output) in outputs.iter_mut().enumerate() {
        let Some(latents) = output.latents.take() else {
            continue;
        };
        let mut request = Request {
            seeds: vec![output.seed],
            codes: Vec::new(),
            noise: None,
            ..asked.clone()
        };
        if let Some(codes) = asked.codes.get(item)
            && request.params.audio_codes.trim().is_empty()
        {
            request.params.audio_codes = audio_codes::to_text(codes);
        }
        let heard = Heard::Latents(latents);
        let mut told = Vec::new();
        let (lines, scores) = find_out(engine, &request, heard, bar, &mut told)?;
        told.retain(|note| !notes.contains(note));
        notes.append(&mut told);
        output.scores = scores;
        if let Some(lines) = lines.filter(|_| request.params.auto_lrc) {
            let path = output.path.with_extension("lrc");
            let text = LyricsFormat::Lrc.write(&lines);
            write_safely(&path, |partial| {
                std::fs::write(partial, &text)
                    .map_err(|error| Failure::io(&path, "written", &error))
            })?;
            output.lyrics = Some(path);
        }
    }
    Ok(notes)
}

/// Lines and scores of one take, as far as they are asked for and can be had.
fn find_out(
    engine: &mut Engine,
    request: &Request,
    heard: Heard,
    bar: &Bar,
    notes: &mut Vec<Note>,
) -> std::result::Result<(Option<Vec<LyricLine>>, Option<Scores>), Failure> {
    let params = &request.params;
    let mut lines = None;
    let mut scores = None;
    if params.auto_score {
        let asked = ScoreSong {
            request,
            heard: heard.clone(),
            scale: params.score_scale,
        };
        if let Some(scored) = or_note(engine.score(&asked, bar), "auto_score", notes)? {
            notes.extend(scored.notes);
            lines = scored.lines;
            scores = Some(scored.scores);
        }
    }
    if params.auto_lrc && lines.is_none() {
        if let Err(error) = check_sung(params) {
            notes.push(not_found_out("auto_lrc", error));
            return Ok((None, scores));
        }
        let asked = AlignRequest {
            request,
            heard,
            with_scores: false,
        };
        if let Some(aligned) = or_note(engine.align(&asked, bar), "auto_lrc", notes)? {
            notes.extend(aligned.notes);
            lines = Some(aligned.lines);
        }
    }
    Ok((lines, scores))
}

/// What was found out; a failure is a note, unless the user wanted to stop.
fn or_note<T>(
    found: Result<T>,
    field: &str,
    notes: &mut Vec<Note>,
) -> std::result::Result<Option<T>, Failure> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error @ Error::Cancelled) => Err(error.into()),
        Err(error) => {
            notes.push(not_found_out(field, Failure::from(error).error));
            Ok(None)
        }
    }
}

fn not_found_out(field: &str, error: UserError) -> Note {
    let UserError { message, hint, .. } = error;
    Note::new("not_found_out", field, format!("{message} {hint}"))
}
