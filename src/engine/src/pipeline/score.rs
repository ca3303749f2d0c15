//! Scores of a finished song: how clearly its words are sung, by the decoder's attention, and how well
//! it does what was asked, by a language model that reads its codes. Each where it can be had.

use acestep_domain::{
    GenerationParams, SongPlan, audio_codes,
    event::Stage,
    generation::clamp::is_instrumental,
    metadata::Language,
    note::Note,
    timed_lyrics::{LyricLine, Scores},
};
use candle_core::Tensor;

use super::{
    align::{self, AlignRequest, Aligned, Heard},
    generate::Request,
    networks::Networks,
    sources,
};
use crate::{
    error::{Error, Result},
    observer::Observer,
    planner::{language_model::LanguageModel, scoring::ScoreRequest},
};

/// What is asked.
#[derive(Debug, Clone)]
pub struct ScoreSong<'a> {
    /// The request that made the song, see [`AlignRequest::request`].
    pub request: &'a Request,
    /// The song.
    pub heard: Heard,
    /// What differences of mean log-probabilities are divided by; lower is more sensitive.
    pub scale: f64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The scores.
    pub scores: Scores,
    /// The timed lines, which scoring the alignment finds out as well.
    pub lines: Option<Vec<LyricLine>>,
    /// What could not be scored, and why.
    pub notes: Vec<Note>,
}

pub(crate) fn score(
    networks: &mut Networks,
    lm: Option<&LanguageModel>,
    asked: &ScoreSong<'_>,
    observer: &dyn Observer,
) -> Result<Scored> {
    observer.check()?;
    let params = &asked.request.params;
    // Asked first: listening takes long.
    let without_words = align::check(networks, asked.request).err();
    let without_codes = unreadable(networks, lm, params);
    if let (Some(words), Some(codes)) = (&without_words, &without_codes) {
        return Err(Error::Unsupported {
            what: "scoring this song".to_owned(),
            because: format!("{}; {codes}", reason(words)),
        });
    }
    let mut notes = Vec::new();
    let latents = match &asked.heard {
        Heard::Sound { audio, gain } => {
            let heard = sources::heard(networks, audio, *gain, observer, &mut notes)?;
            heard.squeeze(0).map_err(Error::in_stage(Stage::Encode))?
        }
        Heard::Latents(latents) => latents.clone(),
    };
    let mut scores = Scores::default();
    if let (None, Some(lm)) = (&without_codes, lm) {
        let codes = codes(networks, params, &latents)?;
        let plan = asked_for(params);
        let request = ScoreRequest {
            codes: &codes,
            plan: &plan,
            scale: asked.scale,
        };
        let told;
        (scores, told) = lm.score(&request, observer)?;
        notes.extend(told);
    }
    if let Some(why) = without_codes {
        notes.push(Note::new(
            "score_without_lm",
            "score",
            format!("Score: {why}, so only the words were scored."),
        ));
    }
    let mut lines = None;
    if let Some(why) = without_words {
        notes.push(Note::new(
            "score_without_words",
            "score",
            format!(
                "Score: {}, so how clearly it is sung was not scored.",
                reason(&why)
            ),
        ));
    } else {
        let request = AlignRequest {
            request: asked.request,
            heard: Heard::Latents(latents),
            with_scores: true,
        };
        let aligned: Aligned = align::align(networks, &request, observer)?;
        scores.alignment = aligned.scores;
        lines = Some(aligned.lines);
        notes.extend(aligned.notes);
    }
    scores.model = Some(networks.name().to_owned());
    Ok(Scored {
        scores,
        lines,
        notes,
    })
}

/// Why no language model can read the song's codes.
fn unreadable(
    networks: &Networks,
    lm: Option<&LanguageModel>,
    params: &GenerationParams,
) -> Option<String> {
    let Some(lm) = lm else {
        return Some("no language model is loaded".to_owned());
    };
    if !lm.info().has_codes {
        return Some(format!("{} reads no audio codes", lm.info().name));
    }
    let needs_codes = params.audio_codes.trim().is_empty() && !networks.has_audio_codes;
    needs_codes.then(|| format!("{} was not trained on audio codes", networks.name()))
}

/// The reason alone, for a sentence of ours.
fn reason(error: &Error) -> String {
    match error {
        Error::Unsupported { because, .. } => because.clone(),
        Error::Invalid { reason, .. } => reason.clone(),
        other => other.to_string(),
    }
}

/// The codes the song was made of, else those heard in `latents` `[t, c]`.
fn codes(networks: &mut Networks, params: &GenerationParams, latents: &Tensor) -> Result<Vec<u32>> {
    let given = audio_codes::parse(&params.audio_codes).map_err(|error| Error::Invalid {
        field: "audio_codes",
        reason: error.message,
    })?;
    if !given.is_empty() {
        return Ok(given);
    }
    let silence = networks.silence.clone();
    let latents = latents
        .unsqueeze(0)
        .map_err(Error::in_stage(Stage::Encode))?;
    networks.audio_codes()?.codes(&latents, &silence)
}

/// What the song was to be.
fn asked_for(params: &GenerationParams) -> SongPlan {
    SongPlan {
        bpm: params.bpm,
        caption: params.caption.clone(),
        duration_secs: params.duration_secs.map(|secs| secs as u32),
        keyscale: params.keyscale,
        language: Some(params.sung_language()).filter(|language| *language != Language::UNKNOWN),
        timesignature: params.timesignature,
        lyrics: if is_instrumental(params) {
            String::new()
        } else {
            params.lyrics.clone()
        },
    }
}
