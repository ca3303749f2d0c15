//! Released checkpoints: which there are, where they come from, and how far a download of one is.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{error::UserError, task::Family};

/// A site that holds the released checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hub {
    /// huggingface.co.
    HuggingFace,
    /// modelscope.cn.
    ModelScope,
}

impl Hub {
    /// Both, the one that is asked first in front.
    pub const ALL: [Self; 2] = [Self::HuggingFace, Self::ModelScope];

    /// The name on the wire and of `--download-source`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HuggingFace => "huggingface",
            Self::ModelScope => "modelscope",
        }
    }

    /// The hub of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hub| hub.as_str() == name)
    }
}

/// What a released folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReleaseKind {
    /// A main model.
    Main,
    /// A language model.
    Lm,
    /// What every main model needs beside it.
    Part,
}

/// A released folder (engine specification, 1.1 and 1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// Name of the folder, here and in the checkpoints folder.
    pub name: &'static str,
    /// Repository that holds it; both hubs use the same names.
    pub repository: &'static str,
    /// Folder inside the repository; empty where the repository is the folder.
    pub folder: &'static str,
    /// What it is.
    pub kind: ReleaseKind,
    /// About how many bytes it has.
    pub bytes: u64,
}

/// The repository with the parts and the most used models.
const MAIN: &str = "ACE-Step/Ace-Step1.5";
/// Weights, silence and small files of a 2B model; an XL model, in f32.
const BYTES_2B: u64 = 4_791_700_000;
const BYTES_XL: u64 = 19_954_200_000;

/// A folder of the main repository.
const fn in_main(name: &'static str, kind: ReleaseKind, bytes: u64) -> Release {
    Release {
        name,
        repository: MAIN,
        folder: name,
        kind,
        bytes,
    }
}

/// A folder with a repository of its own.
const fn own(
    name: &'static str,
    repository: &'static str,
    kind: ReleaseKind,
    bytes: u64,
) -> Release {
    Release {
        name,
        repository,
        folder: "",
        kind,
        bytes,
    }
}

/// What is released, in the order in which it is offered.
pub const RELEASES: [Release; 14] = {
    use ReleaseKind::{Lm, Main, Part};
    [
        in_main("acestep-v15-turbo", Main, BYTES_2B),
        own(
            "acestep-v15-base",
            "ACE-Step/acestep-v15-base",
            Main,
            BYTES_2B,
        ),
        own(
            "acestep-v15-sft",
            "ACE-Step/acestep-v15-sft",
            Main,
            BYTES_2B,
        ),
        own(
            "acestep-v15-turbo-shift1",
            "ACE-Step/acestep-v15-turbo-shift1",
            Main,
            BYTES_2B,
        ),
        own(
            "acestep-v15-turbo-shift3",
            "ACE-Step/acestep-v15-turbo-shift3",
            Main,
            BYTES_2B,
        ),
        own(
            "acestep-v15-turbo-continuous",
            "ACE-Step/acestep-v15-turbo-continuous",
            Main,
            BYTES_2B,
        ),
        own(
            "acestep-v15-xl-turbo",
            "ACE-Step/acestep-v15-xl-turbo",
            Main,
            BYTES_XL,
        ),
        own(
            "acestep-v15-xl-base",
            "ACE-Step/acestep-v15-xl-base",
            Main,
            BYTES_XL,
        ),
        own(
            "acestep-v15-xl-sft",
            "ACE-Step/acestep-v15-xl-sft",
            Main,
            BYTES_XL,
        ),
        own(
            "acestep-5Hz-lm-0.6B",
            "ACE-Step/acestep-5Hz-lm-0.6B",
            Lm,
            1_342_000_000,
        ),
        in_main("acestep-5Hz-lm-1.7B", Lm, 3_725_000_000),
        own(
            "acestep-5Hz-lm-4B",
            "ACE-Step/acestep-5Hz-lm-4B",
            Lm,
            8_395_000_000,
        ),
        in_main("Qwen3-Embedding-0.6B", Part, 1_207_000_000),
        in_main("vae", Part, 337_500_000),
    ]
};

impl Release {
    /// The release of that name.
    pub fn find(name: &str) -> Option<&'static Self> {
        RELEASES.iter().find(|release| release.name == name)
    }

    /// Those that can be asked for by name; parts come with them.
    pub fn models() -> impl Iterator<Item = &'static Self> {
        RELEASES
            .iter()
            .filter(|release| release.kind != ReleaseKind::Part)
    }

    /// The model of that name.
    pub fn find_model(name: &str) -> Option<&'static Self> {
        Self::models().find(|release| release.name == name)
    }

    /// The model whose folder a path leads into.
    pub fn in_path(path: &Path) -> Option<&'static Self> {
        path.iter()
            .find_map(|part| Self::find_model(&part.to_string_lossy()))
    }

    /// What it needs beside it.
    pub fn parts(&self) -> impl Iterator<Item = &'static Self> + use<> {
        let needed = self.kind == ReleaseKind::Main;
        RELEASES
            .iter()
            .filter(move |release| needed && release.kind == ReleaseKind::Part)
    }

    /// Family of a main model, by its name.
    pub fn family(&self) -> Family {
        Family::from_name(self.name)
    }
}

/// A release that can be downloaded: it is not here, or not whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Downloadable {
    /// Folder name.
    pub name: String,
    /// What it is.
    pub kind: ReleaseKind,
    /// About how many bytes would be fetched, with the parts that are missing beside it.
    pub bytes: u64,
    /// It is here and something is wrong with it; a download fetches what is.
    pub damaged: bool,
}

/// The life of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DownloadState {
    /// Another one comes first.
    #[default]
    Waiting,
    /// Bytes are coming.
    Running,
    /// Stopped by the user; what was fetched is kept.
    Paused,
    /// Stopped by a fault; what was fetched is kept.
    Failed,
    /// It is in the checkpoints folder.
    Done,
}

/// A download.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Download {
    /// Name of the release.
    pub name: String,
    /// Where it is in its life.
    pub state: DownloadState,
    /// The hub it comes from, once one has answered.
    pub source: Option<Hub>,
    /// The file that is coming, as `folder/file`.
    pub file: Option<String>,
    /// Bytes fetched, those of an earlier run included.
    pub done_bytes: u64,
    /// All bytes, once the hub has told.
    pub total_bytes: Option<u64>,
    /// How fast it goes now.
    pub bytes_per_sec: Option<f64>,
    /// About how long it will take.
    pub eta_secs: Option<f64>,
    /// Why it failed.
    pub error: Option<UserError>,
}

impl Download {
    /// The part that is done, 0 to 1; unknown before the hub has told how much there is.
    pub fn fraction(&self) -> Option<f64> {
        let total = self.total_bytes.filter(|total| *total > 0)?;
        Some((self.done_bytes as f64 / total as f64).min(1.0))
    }
}

/// What can be done with a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Begin or resume it.
    Start,
    /// Stop it and keep what was fetched.
    Pause,
    /// Stop it and drop what was fetched.
    Remove,
}

impl Verb {
    const ALL: [(Self, &str); 3] = [
        (Self::Start, "start"),
        (Self::Pause, "pause"),
        (Self::Remove, "remove"),
    ];

    /// Verb and name in one word, as a form's button sends it.
    pub fn of(self, name: &str) -> String {
        let word = Self::ALL.iter().find(|(verb, _)| *verb == self);
        format!("{}/{name}", word.map_or("", |(_, word)| word))
    }

    /// What [`Self::of`] made.
    pub fn read(ask: &str) -> Option<(Self, &str)> {
        let (word, name) = ask.split_once('/')?;
        let (verb, _) = Self::ALL.iter().find(|(_, known)| *known == word)?;
        Some((*verb, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_main_model_brings_its_parts_and_a_language_model_none() {
        let parts = |name| {
            let release = Release::find(name).unwrap();
            release.parts().map(|part| part.name).collect::<Vec<_>>()
        };
        assert_eq!(parts("acestep-v15-base"), ["Qwen3-Embedding-0.6B", "vae"]);
        assert!(parts("acestep-5Hz-lm-0.6B").is_empty());
        assert!(parts("vae").is_empty());
        assert_eq!(Release::find("acestep-v15-demo"), None);
    }

    #[test]
    fn the_main_repository_holds_folders_and_the_others_are_one() {
        for release in RELEASES {
            let of_main = release.repository == MAIN;
            assert_eq!(release.folder.is_empty(), !of_main, "{}", release.name);
            assert!(of_main || release.repository.ends_with(release.name));
        }
        assert_eq!(
            Release::find("acestep-v15-xl-sft").unwrap().family(),
            Family::Base
        );
    }

    #[test]
    fn the_fraction_waits_for_the_total() {
        let mut download = Download {
            done_bytes: 5,
            ..Download::default()
        };
        assert_eq!(download.fraction(), None);
        download.total_bytes = Some(0);
        assert_eq!(download.fraction(), None);
        download.total_bytes = Some(20);
        assert_eq!(download.fraction(), Some(0.25));
    }

    #[test]
    fn a_verb_is_read_as_it_was_written() {
        for (verb, _) in Verb::ALL {
            assert_eq!(Verb::read(&verb.of("x/y")), Some((verb, "x/y")));
        }
        assert_eq!(Verb::read("burn/x"), None);
        assert_eq!(Verb::read("start"), None);
    }
}
