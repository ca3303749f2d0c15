//! Asking about a song of the library: when its words are sung, how well it does what was asked.

use acestep_domain::{
    GenerationParams, Note, UserError,
    generation::{
        clamp::{self, is_instrumental},
        read::params_from_json,
    },
    job::JobKind,
    library::Song,
    timed_lyrics::{LyricsFormat, check_sung},
};
use serde_json::Value;

use super::{Asked, Runs, Shared, Studio};
use crate::{
    error::{Error, Result},
    loadout::Loadout,
};

/// The one parameter that such a job takes; everything else is the song's own.
const OWN: &str = "score_scale";

impl Studio {
    /// The timed lyrics of a song as a file of `format`.
    ///
    /// # Errors
    /// When there is no such song, or its lyrics are not timed yet.
    pub fn lyrics_file(&self, id: &str, format: LyricsFormat) -> Result<String> {
        let song = self.song(id)?;
        if song.lyric_lines.is_empty() {
            let why = check_sung(&song.params).err().unwrap_or_else(|| {
                UserError::new(
                    "not_timed",
                    "The lyrics of this song are not timed yet.",
                    "Time them first: a job of the kind lyrics_timing with the song's id.",
                )
            });
            return Err(why.into());
        }
        Ok(format.write(&song.lyric_lines))
    }
}

impl Shared {
    /// A job of `kind` about the song `id`: its parameters are those that made the song.
    ///
    /// # Errors
    /// No song is named or found, or nothing of the kind can be found out about it here.
    pub(super) fn about_song(
        &self,
        loadout: &Loadout,
        kind: JobKind,
        id: Option<String>,
        given: &Value,
    ) -> Result<Asked<'static>> {
        let id = id.ok_or_else(|| {
            UserError::invalid(
                "song_id",
                format!("No song is named for {}.", kind.as_str()),
                "Give the id of a song of the library as song_id.",
            )
        })?;
        if self.uploads.find(&id)?.is_some() {
            return Err(UserError::invalid(
                "song_id",
                "This is an upload, and nothing is known of its words.",
                "Give the id of a song of the library.",
            )
            .into());
        }
        let song = self.library.present(&id)?.song;
        check_question(loadout, kind, &song)?;
        let mut params = song.recipe();
        let mut notes = Vec::new();
        let (read, _) = params_from_json(given, params.clone())?.strict()?;
        params.score_scale = read.score_scale;
        notes.extend(clamp::score_scale(&mut params.score_scale));
        for key in given.as_object().into_iter().flat_map(|given| given.keys()) {
            if key != OWN {
                notes.push(Note::new(
                    "field_ignored",
                    key,
                    format!("{key}: not used, since the song's own parameters count."),
                ));
            }
        }
        let params = self.settle(loadout, kind, params)?;
        notes.extend(params.notes);
        Ok(Asked {
            kind,
            seeds: vec![song.seed],
            params: params.params,
            notes,
            source_song_id: Some(id),
            then_generate: false,
            fit: false,
            repeat: Runs::Asked(0),
        })
    }

    /// Queues what `params` ask to be found out about a finished song; notes what could not be queued,
    /// where `notes` do not say it yet.
    pub(crate) fn ask_about(
        &self,
        song_id: &str,
        params: &GenerationParams,
        notes: &mut Vec<Note>,
    ) {
        let scale = serde_json::json!({ OWN: params.score_scale });
        let wanted = [
            (JobKind::Score, params.auto_score, "auto_score"),
            (JobKind::LyricsTiming, params.auto_lrc, "auto_lrc"),
        ];
        let mut scored = false;
        for (kind, on, field) in wanted {
            // A score finds the times out as well, where they can be found out.
            if !on || scored {
                continue;
            }
            let id = Some(song_id.to_owned());
            let asked = self
                .service
                .loadout()
                .and_then(|loadout| self.about_song(&loadout, kind, id, &scale))
                .and_then(|asked| self.queue_job(asked));
            match asked {
                Ok(job) => scored = job.kind == JobKind::Score,
                Err(error) => {
                    let UserError { message, hint, .. } = error.into();
                    let note = Note::new("not_found_out", field, format!("{message} {hint}"));
                    if !notes.contains(&note) {
                        notes.push(note);
                    }
                }
            }
        }
    }
}

/// Whether `loadout` can answer a question of `kind` about `song`.
fn check_question(loadout: &Loadout, kind: JobKind, song: &Song) -> Result<()> {
    if kind == JobKind::LyricsTiming {
        check_sung(&song.params)?;
        if loadout.times_lyrics {
            return Ok(());
        }
        return Err(Error::Unsupported {
            field: "kind",
            what: format!("Timing lyrics with {}", loadout.model),
            possible: "Load a released model (acestep-v15-…): of those it is known where they look for the words.".to_owned(),
        });
    }
    let reads_codes = loadout.lm_has_codes == Some(true);
    if reads_codes || (loadout.times_lyrics && !is_instrumental(&song.params)) {
        return Ok(());
    }
    Err(UserError {
        field: Some("kind".to_owned()),
        ..UserError::new(
            "unsupported",
            "Nothing that is loaded can score this song: it takes a language model that reads audio codes, or a model that can time its lyrics.",
            "Initialise the service with released models, the language model among them.",
        )
    }
    .into())
}
