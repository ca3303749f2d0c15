//! What can be begun with a song: the task, the source and the fields that go into the form for it.

use acestep_domain::{library::Song, task::TaskType};
use serde_json::{Map, Value, json};

use super::fields::{CUSTOM, fields_from_params, list, shown};

/// Seconds that Extend adds at most.
const EXTENSION_SECS: f64 = 30.0;
/// The shortest extension worth a run.
const SHORTEST_EXTENSION_SECS: f64 = 1.0;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SongAction {
    /// A cover of the song.
    Remix,
    /// A part of it anew.
    Repaint,
    /// More of it behind its end.
    Extend,
    /// One of its tracks.
    Extract,
    /// Its sound for another song.
    Reference,
}

impl SongAction {
    /// Those that stand on a take; the rest is in its menu.
    pub const ON_A_TAKE: [Self; 4] = [Self::Remix, Self::Repaint, Self::Extend, Self::Reference];

    /// All of them, in the order of their buttons.
    pub const ALL: [Self; 5] = [
        Self::Remix,
        Self::Repaint,
        Self::Extend,
        Self::Extract,
        Self::Reference,
    ];

    /// Value in a form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Remix => "remix",
            Self::Repaint => "repaint",
            Self::Extend => "extend",
            Self::Extract => "extract",
            Self::Reference => "reference",
        }
    }

    /// The action of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == name)
    }

    /// The task it begins; a reference goes with any.
    pub const fn task(self) -> Option<TaskType> {
        match self {
            Self::Remix => Some(TaskType::Cover),
            Self::Repaint | Self::Extend => Some(TaskType::Repaint),
            Self::Extract => Some(TaskType::Extract),
            Self::Reference => None,
        }
    }

    /// The fields for `song` in the form as it stands; `max_secs` is the longest song possible.
    pub fn fields(self, song: &Song, form: &Value, max_secs: f64) -> Value {
        let Some(task) = self.task() else {
            let text = shown(form, "reference_audio");
            let ids: Vec<&str> = list(&text)
                .filter(|id| *id != song.id)
                .chain([song.id.as_str()])
                .collect();
            return json!({ "reference_audio": ids, "mode": CUSTOM });
        };
        let mut fields = Map::new();
        let own = fields_from_params(&song.params);
        // What the song says of itself; how it is made stays as the form has it.
        for key in [
            "caption",
            "lyrics",
            "instrumental",
            "vocal_language",
            "bpm",
            "keyscale",
            "timesignature",
        ] {
            fields.insert(key.to_owned(), own[key].clone());
        }
        let mut set = |key: &str, value: Value| fields.insert(key.to_owned(), value);
        set("mode", CUSTOM.into());
        set("task_type", task.as_str().into());
        set("src_audio", song.id.as_str().into());
        // Codes would stand in the place of the source.
        set("audio_codes", "".into());
        let length = song.duration_secs;
        let part = match self {
            Self::Repaint => Some((length / 3.0, length * 2.0 / 3.0)),
            Self::Extend => Some((length, length + extension_secs(length, max_secs))),
            _ => None,
        };
        if let Some((start, end)) = part {
            set("repainting_start", tenths(start).into());
            set("repainting_end", tenths(end).into());
        }
        if self == Self::Extract && shown(form, "track_name").is_empty() {
            set("track_name", "vocals".into());
        }
        Value::Object(fields)
    }
}

/// A place as fine as the form shows it.
fn tenths(secs: f64) -> f64 {
    (secs * 10.0).round() / 10.0
}

/// Whether a song of `secs` can be made longer where `max_secs` is the longest.
pub fn can_extend(secs: f64, max_secs: f64) -> bool {
    extension_secs(secs, max_secs) >= SHORTEST_EXTENSION_SECS
}

/// How much longer, in whole tenths.
pub fn extension_secs(secs: f64, max_secs: f64) -> f64 {
    ((max_secs - secs).clamp(0.0, EXTENSION_SECS) * 10.0).floor() / 10.0
}

#[cfg(test)]
mod tests {
    use acestep_domain::{generation::read::params_from_json, region::Region};

    use super::*;
    use crate::state::{check::Checked, request::Wish, request::parameters};

    fn song(secs: f64) -> Song {
        serde_json::from_value(json!({
            "id": "0190", "job_id": "1", "item": 0, "title": "Night bus", "created_at": "",
            "duration_secs": secs, "sample_rate_hz": 48000, "channels": 2, "audio_format": "wav",
            "size_bytes": 1, "seed": 1,
            "params": { "caption": "slow synth-pop", "lyrics": "[Verse]\nla", "bpm": 92, "shift": 1.5 },
            "provenance": { "app_version": "", "model": "m", "device": "cpu", "quantization": "none", "steps": 8 },
            "report": { "peak": 0.9, "rms": 0.1, "gain": 1.0, "prepare_secs": 0.1, "diffusion_secs": 1.0, "decode_secs": 1.0 },
            "notes": [], "peaks": [], "favourite": false
        }))
        .unwrap()
    }

    #[test]
    fn each_action_makes_a_request_the_studio_takes() {
        let bounds = acestep_domain::generation::clamp::Bounds {
            tier: acestep_domain::tier::GpuTier::Unlimited,
            lm_loaded: false,
            family: acestep_domain::task::Family::Base,
            unlimited: false,
        };
        for action in SongAction::ALL {
            let mut form = json!({ "mode": "simple", "shift": "3.0", "audio_codes": "1 2 3" });
            let fields = action.fields(&song(30.06), &form, 240.0);
            for (key, value) in fields.as_object().unwrap() {
                form[key] = value.clone();
            }
            let asked = parameters(&form, Wish::of_mode(&form));
            let base = acestep_domain::GenerationParams::default();
            let checked = Checked::new(&asked, base, bounds, Some(30.06));
            assert_eq!(checked.errors, vec![], "{action:?}");
            assert_eq!(checked.params.shift, 3.0, "{action:?}");
            if let Some(task) = action.task() {
                assert_eq!(checked.params.task_type, task);
                assert_eq!(checked.params.caption, "slow synth-pop");
                assert_eq!(checked.params.src_audio.as_deref(), Some("0190"));
            } else {
                assert_eq!(checked.params.reference_audio, ["0190"]);
            }
            assert_eq!(SongAction::from_name(action.as_str()), Some(action));
        }
    }

    #[test]
    fn extend_goes_on_at_the_end_and_stops_at_the_limit() {
        let part = |secs: f64, max: f64| {
            let fields = SongAction::Extend.fields(&song(secs), &json!({}), max);
            let read = params_from_json(
                &parameters(&fields, Wish::Generate),
                acestep_domain::GenerationParams::default(),
            )
            .unwrap();
            Region::of(
                read.params.repainting_start,
                read.params.repainting_end,
                secs,
            )
            .unwrap()
        };
        let region = part(10.0, 240.0);
        assert_eq!((region.before_secs, region.after_secs), (0.0, 30.0));
        assert_eq!(part(235.0, 240.0).total_secs, 240.0);
        assert!(can_extend(235.0, 240.0) && !can_extend(239.5, 240.0));
    }

    #[test]
    fn a_reference_is_added_once() {
        let form = json!({ "reference_audio": ["a", "0190"] });
        let fields = SongAction::Reference.fields(&song(10.0), &form, 240.0);
        assert_eq!(fields["reference_audio"], json!(["a", "0190"]));
    }
}
