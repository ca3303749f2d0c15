//! Jobs that make words or numbers instead of sound: a text written anew, a song invented on paper, a
//! song described, the codes of a song.

use acestep_domain::{
    GenerationParams, SongPlan, audio_codes,
    generation::clamp::{INSTRUMENTAL, is_instrumental},
    job::JobKind,
    note::Note,
};

use super::{networks::Networks, vae_tiles::TileOptions};
use crate::{
    audio::{Audio, SILENT_PEAK},
    engine,
    error::{Error, Result},
    observer::Observer,
    planner::{
        decoder_log,
        jobs::{Given, Planned, TextOptions},
        language_model::LanguageModel,
    },
};

/// What is asked.
#[derive(Debug, Clone)]
pub struct WriteRequest<'a> {
    /// Any kind but songs.
    pub kind: JobKind,
    /// Caption (of a sample the description), lyrics, the user's values, codes, sampling.
    pub params: &'a GenerationParams,
    /// Seed of the draws.
    pub seed: u32,
    /// Longest song that may be planned, in seconds.
    pub max_duration_secs: u32,
    /// What is listened to, where `params` hold no codes.
    pub source: Option<Audio>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WriteReport {
    /// What the language model wrote.
    pub plan: Option<SongPlan>,
    /// Codes that were heard in the source.
    pub audio_codes: Vec<u32>,
    /// What was clamped, assumed or cut.
    pub notes: Vec<Note>,
}

pub(crate) fn write(
    networks: &mut Networks,
    lm: Option<&LanguageModel>,
    request: &WriteRequest<'_>,
    observer: &dyn Observer,
) -> Result<WriteReport> {
    let params = request.params;
    let options = TextOptions::of(params, request.seed, request.max_duration_secs);
    let given = Given::of(params);
    let lm = || {
        lm.ok_or_else(|| Error::Unsupported {
            what: "writing text".to_owned(),
            because: "no language model is loaded".to_owned(),
        })
    };
    match request.kind {
        JobKind::Generate | JobKind::LyricsTiming | JobKind::Score => Err(Error::Unsupported {
            what: format!("{} as text", request.kind.as_str()),
            because: "nothing is written by it".to_owned(),
        }),
        JobKind::Format => {
            let lyrics = if params.instrumental {
                INSTRUMENTAL
            } else {
                &params.lyrics
            };
            let written = lm()?.format(&params.caption, lyrics, &given, &options, observer)?;
            Ok(report(written, params, observer))
        }
        JobKind::Sample => {
            // The description is all there is: without it nothing says whether anybody sings.
            let instrumental = params.instrumental
                || (!params.lyrics.trim().is_empty() && is_instrumental(params));
            let written =
                lm()?.create_sample(&params.caption, instrumental, &given, &options, observer)?;
            Ok(report(written, params, observer))
        }
        JobKind::Understand => {
            let lm = lm()?;
            // Listening takes long; a model that cannot read codes is known at once.
            lm.tokenizer().code_ids()?;
            let (codes, mut notes) = codes(networks, request, observer)?;
            let mut report = report(lm.understand(&codes, &options, observer)?, params, observer);
            notes.append(&mut report.notes);
            Ok(WriteReport {
                audio_codes: codes,
                notes,
                ..report
            })
        }
        JobKind::Encode => {
            let (audio_codes, notes) = codes(networks, request, observer)?;
            Ok(WriteReport {
                audio_codes,
                notes,
                plan: None,
            })
        }
    }
}

fn report(planned: Planned, params: &GenerationParams, observer: &dyn Observer) -> WriteReport {
    observer.planned(&planned.plan);
    let mut notes = planned.notes;
    notes.extend(decoder_log::unheard(params));
    WriteReport {
        plan: Some(planned.plan),
        audio_codes: Vec::new(),
        notes,
    }
}

/// The codes given, or those of the source.
fn codes(
    networks: &mut Networks,
    request: &WriteRequest<'_>,
    observer: &dyn Observer,
) -> Result<(Vec<u32>, Vec<Note>)> {
    let given =
        audio_codes::parse(&request.params.audio_codes).map_err(|error| Error::Invalid {
            field: "audio_codes",
            reason: error.message,
        })?;
    match &request.source {
        Some(audio) if given.is_empty() => listen(networks, audio, observer),
        _ => Ok((given, Vec::new())),
    }
}

/// Sound to audio codes, five a second.
pub(crate) fn listen(
    networks: &mut Networks,
    audio: &Audio,
    observer: &dyn Observer,
) -> Result<(Vec<u32>, Vec<Note>)> {
    // Asked first: encoding takes long, and a checkpoint without codes is known at once.
    networks.require_audio_codes()?;
    if audio.peak() < SILENT_PEAK {
        return Err(Error::Invalid {
            field: "song_id",
            reason: "the sound is silent, so there is nothing to hear in it".to_owned(),
        });
    }
    let (latents, notes) = engine::encode(
        &*networks.vae_encoder.visit()?,
        audio,
        TileOptions::default(),
        observer,
    )?;
    let silence = networks.silence.clone();
    let codes = networks.audio_codes()?.codes(&latents, &silence)?;
    Ok((codes, notes))
}
