//! The six tasks, who may do them and what they need.

use serde::{Deserialize, Serialize};

/// What is made from what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskType {
    /// A new song from text.
    #[default]
    #[serde(rename = "text2music")]
    Text2music,
    /// A new take on a source.
    Cover,
    /// A region of a source made anew.
    Repaint,
    /// A new track for a source.
    Lego,
    /// One track of a source.
    Extract,
    /// Missing tracks of a source.
    Complete,
}

/// What a task must be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Source audio.
    pub source: bool,
    /// A region of the source; all of it when none is given.
    pub region: bool,
    /// One track name.
    pub track: bool,
    /// A list of tracks.
    pub tracks: bool,
}

/// Tracks that lego, extract and complete know, as on the wire.
pub const TRACKS: [&str; 12] = [
    "woodwinds",
    "brass",
    "fx",
    "synth",
    "strings",
    "percussion",
    "keyboard",
    "guitar",
    "bass",
    "drums",
    "backing_vocals",
    "vocals",
];

/// The family of a DiT checkpoint: it decides steps, guidance and tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Distilled: few steps, no guidance (`is_turbo` true).
    #[default]
    Turbo,
    /// Base or sft: many steps, guidance.
    Base,
}

impl Family {
    /// The family a folder name suggests, used only until the config is read.
    pub fn from_name(name: &str) -> Self {
        if name.contains("base") || name.contains("sft") {
            Self::Base
        } else {
            Self::Turbo
        }
    }

    /// The tasks this family can do (engine.md 8.1).
    pub const fn tasks(self) -> &'static [TaskType] {
        match self {
            Self::Turbo => &[TaskType::Text2music, TaskType::Cover, TaskType::Repaint],
            Self::Base => &TaskType::ALL,
        }
    }

    /// Why this family cannot do `task`; `None` when it can.
    pub fn reason_against(self, task: TaskType) -> Option<&'static str> {
        (!self.tasks().contains(&task)).then_some(
            "turbo models are trained on whole songs, and single tracks come out of base and sft models only",
        )
    }
}

/// The track that `name` means, in any letter case, with spaces or hyphens for `_`.
pub fn track_from_name(name: &str) -> Option<&'static str> {
    let name = name.trim().to_ascii_lowercase().replace([' ', '-'], "_");
    TRACKS.into_iter().find(|track| *track == name)
}

impl TaskType {
    /// All tasks.
    pub const ALL: [Self; 6] = [
        Self::Text2music,
        Self::Cover,
        Self::Repaint,
        Self::Lego,
        Self::Extract,
        Self::Complete,
    ];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text2music => "text2music",
            Self::Cover => "cover",
            Self::Repaint => "repaint",
            Self::Lego => "lego",
            Self::Extract => "extract",
            Self::Complete => "complete",
        }
    }

    /// The task of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.as_str() == name)
    }

    /// What it must be given.
    pub const fn needs(self) -> Needs {
        Needs {
            source: !matches!(self, Self::Text2music),
            region: matches!(self, Self::Repaint | Self::Lego),
            track: matches!(self, Self::Lego | Self::Extract),
            tracks: matches!(self, Self::Complete),
        }
    }

    /// The instruction the text encoder reads (engine.md 2.4, verbatim constants of the checkpoint's training).
    pub fn instruction(self, track: Option<&str>, classes: &[String]) -> String {
        let upper = |name: &str| name.to_ascii_uppercase();
        match self {
            Self::Text2music => {
                "Fill the audio semantic mask based on the given conditions:".to_owned()
            }
            Self::Repaint => "Repaint the mask area based on the given conditions:".to_owned(),
            Self::Cover => {
                "Generate audio semantic tokens based on the given conditions:".to_owned()
            }
            Self::Extract => track.map_or_else(
                || "Extract the track from the audio:".to_owned(),
                |name| format!("Extract the {} track from the audio:", upper(name)),
            ),
            Self::Lego => track.map_or_else(
                || "Generate the track based on the audio context:".to_owned(),
                |name| {
                    format!(
                        "Generate the {} track based on the audio context:",
                        upper(name)
                    )
                },
            ),
            Self::Complete if classes.is_empty() => "Complete the input track:".to_owned(),
            Self::Complete => {
                let names: Vec<String> = classes.iter().map(|name| upper(name)).collect();
                format!("Complete the input track with {}:", names.join(" | "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_in_json_and_by_hand() {
        for task in TaskType::ALL {
            assert_eq!(TaskType::from_name(task.as_str()), Some(task));
            assert_eq!(
                serde_json::to_string(&task).unwrap(),
                format!("\"{}\"", task.as_str())
            );
        }
    }

    #[test]
    fn tracks_are_known_however_they_are_written() {
        assert_eq!(track_from_name("Backing Vocals"), Some("backing_vocals"));
        assert_eq!(track_from_name(" DRUMS "), Some("drums"));
        assert_eq!(track_from_name("kazoo"), None);
    }

    #[test]
    fn turbo_models_make_whole_songs_only() {
        for task in TaskType::ALL {
            assert_eq!(Family::Base.reason_against(task), None);
            let stems = task.needs().track || task.needs().tracks;
            assert_eq!(
                Family::Turbo.reason_against(task).is_some(),
                stems,
                "{task:?}"
            );
        }
    }

    #[test]
    fn instructions_carry_the_track_in_capitals() {
        assert_eq!(
            TaskType::Lego.instruction(Some("backing_vocals"), &[]),
            "Generate the BACKING_VOCALS track based on the audio context:"
        );
        assert_eq!(
            TaskType::Complete.instruction(None, &["drums".to_owned(), "bass".to_owned()]),
            "Complete the input track with DRUMS | BASS:"
        );
    }
}
