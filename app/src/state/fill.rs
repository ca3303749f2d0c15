//! What the language model wrote, as fields of the form.

use acestep_domain::{
    generation::{GenerationParams, clamp::is_instrumental_tag},
    job::{Job, JobId, JobKind},
    metadata::Language,
    song_plan::SongPlan,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{fields::CUSTOM, song_action::SongAction};

/// Who put values into the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilledBy {
    /// Format.
    Format,
    /// A song was written.
    Sample,
    /// Lyrics were written for the caption.
    Lyrics,
    /// A song was listened to.
    Understand,
    /// Audio codes of a song.
    Codes,
    /// A song's settings were taken up.
    Song,
    /// Settings inside a file were taken up.
    File,
    /// Settings went back to their defaults.
    Reset,
    /// Something is begun with a song.
    Action(SongAction),
}

/// The last time values were put into the form.
#[derive(Debug, Clone, PartialEq)]
pub struct Filled {
    /// By whom.
    pub by: FilledBy,
    /// The form before.
    pub before: Value,
}

/// A job whose text goes into the form when it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaited {
    /// The job.
    pub id: JobId,
    /// It writes lyrics for a caption, which stands.
    pub lyrics_only: bool,
}

impl Awaited {
    /// All that `id` writes.
    pub const fn all_of(id: JobId) -> Self {
        Self {
            id,
            lyrics_only: false,
        }
    }

    /// The fields that `job`, which is this one, fills.
    pub fn fields(&self, job: &Job) -> Option<(FilledBy, Value)> {
        if !self.lyrics_only {
            return fields_from_job(job);
        }
        let fields = fields_beside_caption(job.plan.as_ref()?, &job.params);
        Some((FilledBy::Lyrics, fields))
    }
}

/// Fields of a plan that was written for a caption, which stands.
fn fields_beside_caption(plan: &SongPlan, asked: &GenerationParams) -> Value {
    let mut fields = fields_from_plan(plan, asked, false);
    if let Some(fields) = fields.as_object_mut() {
        fields.remove("caption");
    }
    fields
}

/// The fields a finished job fills, and by whom; `None` when nothing was written.
pub fn fields_from_job(job: &Job) -> Option<(FilledBy, Value)> {
    let (plan, asked) = (job.plan.as_ref(), &job.params);
    match job.kind {
        JobKind::Format => Some((FilledBy::Format, fields_from_plan(plan?, asked, false))),
        JobKind::Sample => Some((FilledBy::Sample, fields_from_plan(plan?, asked, true))),
        JobKind::Understand => Some((FilledBy::Understand, fields_from_plan(plan?, asked, true))),
        JobKind::Encode => fields_from_codes(&job.audio_codes),
        JobKind::Generate | JobKind::LyricsTiming | JobKind::Score => None,
    }
}

/// The field for audio codes.
pub fn fields_from_codes(codes: &str) -> Option<(FilledBy, Value)> {
    let fields = json!({ "audio_codes": codes, "mode": CUSTOM });
    (!codes.trim().is_empty()).then_some((FilledBy::Codes, fields))
}

/// Tempo, key, signature, length and language of a plan where `asked` had none.
pub fn open_part(plan: &SongPlan, asked: &GenerationParams) -> SongPlan {
    SongPlan {
        bpm: plan.bpm.filter(|_| asked.bpm.is_none()),
        keyscale: plan.keyscale.filter(|_| asked.keyscale.is_none()),
        timesignature: plan.timesignature.filter(|_| asked.timesignature.is_none()),
        duration_secs: plan.duration_secs.filter(|_| asked.duration_secs.is_none()),
        language: plan
            .language
            .filter(|_| asked.vocal_language == Language::UNKNOWN && !asked.instrumental),
        ..SongPlan::default()
    }
}

/// Fields of a plan, as far as `asked` had left them open: a value of the user's stands, also where the
/// plan had to bend it. `whole`: it is a song of its own, so no words means that nothing is sung.
fn fields_from_plan(plan: &SongPlan, asked: &GenerationParams, whole: bool) -> Value {
    let mut fields = Map::new();
    fields.insert("mode".to_owned(), Value::from(CUSTOM));
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            fields.insert(key.to_owned(), value);
        }
    };
    let text = |text: &str| (!text.trim().is_empty()).then(|| Value::from(text));
    set("caption", text(&plan.caption));
    // Words that instrumental keeps out of the song stay for when it is switched off.
    set("lyrics", text(&plan.lyrics).filter(|_| !asked.instrumental));
    if whole {
        let silent = plan.lyrics.trim().is_empty() || is_instrumental_tag(&plan.lyrics);
        set("lyrics", Some(Value::from(plan.lyrics.as_str())));
        set("instrumental", Some(Value::from(silent)));
    }
    let SongPlan {
        bpm,
        keyscale,
        timesignature,
        duration_secs,
        language,
        ..
    } = open_part(plan, asked);
    set("bpm", bpm.map(|bpm| Value::from(bpm.0)));
    set("duration", duration_secs.map(Value::from));
    set("keyscale", keyscale.map(|key| Value::from(key.to_string())));
    set(
        "timesignature",
        timesignature.map(|own| Value::from(own.to_string())),
    );
    set(
        "vocal_language",
        language.map(|own| Value::from(own.code())),
    );
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use acestep_domain::metadata::Bpm;

    use super::*;

    #[test]
    fn what_was_not_written_leaves_its_field_alone() {
        let plan = SongPlan {
            bpm: Some(Bpm(92)),
            caption: "slow piano".into(),
            ..SongPlan::default()
        };
        assert_eq!(
            fields_from_plan(&plan, &GenerationParams::default(), false),
            json!({ "mode": "custom", "caption": "slow piano", "bpm": 92 })
        );
    }

    #[test]
    fn a_length_of_the_users_stands_where_the_plan_has_another() {
        let plan = SongPlan {
            duration_secs: Some(10),
            bpm: Some(Bpm(92)),
            ..SongPlan::default()
        };
        let asked = GenerationParams {
            duration_secs: Some(5.0),
            ..GenerationParams::default()
        };
        let fields = fields_from_plan(&plan, &asked, false);
        assert_eq!(fields, json!({ "mode": "custom", "bpm": 92 }));
    }

    #[test]
    fn a_whole_song_without_words_is_instrumental() {
        let plan = SongPlan {
            lyrics: "[Instrumental]".into(),
            ..SongPlan::default()
        };
        let fields = fields_from_plan(&plan, &GenerationParams::default(), true);
        assert_eq!(
            (&fields["instrumental"], &fields["lyrics"]),
            (&json!(true), &json!("[Instrumental]"))
        );
        let none = fields_from_plan(&SongPlan::default(), &GenerationParams::default(), true);
        assert_eq!(none["lyrics"], "");
    }

    #[test]
    fn words_that_are_not_sung_are_kept_as_they_are() {
        let plan = SongPlan {
            caption: "slow piano".into(),
            lyrics: "[Instrumental]".into(),
            language: Language::parse("ja").ok(),
            ..SongPlan::default()
        };
        let asked = GenerationParams {
            instrumental: true,
            ..GenerationParams::default()
        };
        assert_eq!(
            fields_from_plan(&plan, &asked, false),
            json!({ "mode": "custom", "caption": "slow piano" })
        );
    }

    #[test]
    fn lyrics_for_a_caption_leave_it_alone() {
        let plan = SongPlan {
            caption: "A slow piano ballad.".into(),
            lyrics: "[Verse]\nSoft notes".into(),
            bpm: Some(Bpm(92)),
            ..SongPlan::default()
        };
        assert_eq!(
            fields_beside_caption(&plan, &GenerationParams::default()),
            json!({ "mode": "custom", "lyrics": "[Verse]\nSoft notes", "bpm": 92 })
        );
    }

    #[test]
    fn no_codes_fill_nothing() {
        assert_eq!(fields_from_codes(" "), None);
    }
}
