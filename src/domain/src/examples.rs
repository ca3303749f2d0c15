//! Examples behind the dice: short descriptions for the simple form, whole songs for the custom form.
//!
//! Every example was written for this program. The texts are embedded and parsed once, at first use;
//! a build that never asks carries none of them. Nothing here is random: whoever rolls brings the
//! number. An example sets what a listener would call the song and leaves every other parameter.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    generation::GenerationParams,
    metadata::{Bpm, KeyScale, Language, TimeSignature},
};

/// A song in one sentence, for the language model to write out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimpleExample {
    /// What the song is about and how it sounds.
    pub description: String,
    /// No vocals.
    pub instrumental: bool,
    /// Language of the vocals; unknown when there are none.
    pub vocal_language: Language,
}

/// A song with everything the custom form asks for; the keys are those of [`GenerationParams`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomExample {
    /// Style, mood, instruments.
    pub caption: String,
    /// Words to sing with `[Section]` lines; sections alone when the plan of an instrumental matters.
    pub lyrics: String,
    /// No vocals, and nothing but `[Instrumental]` as lyrics.
    pub instrumental: bool,
    /// Language of the vocals; unknown when there are none.
    pub vocal_language: Language,
    /// Tempo.
    pub bpm: Bpm,
    /// Key.
    pub keyscale: KeyScale,
    /// Beats of a bar.
    pub timesignature: TimeSignature,
    /// Length in seconds, short enough for every tier.
    #[serde(rename = "duration")]
    pub duration_secs: f64,
}

impl CustomExample {
    /// Writes the example over the song of `params`; task, sampler and output stay.
    pub fn apply_to(&self, params: &mut GenerationParams) {
        params.caption.clone_from(&self.caption);
        params.lyrics.clone_from(&self.lyrics);
        params.instrumental = self.instrumental;
        params.vocal_language = self.vocal_language;
        params.bpm = Some(self.bpm);
        params.keyscale = Some(self.keyscale);
        params.timesignature = Some(self.timesignature);
        params.duration_secs = Some(self.duration_secs);
    }
}

/// Files of whole songs; together they are [`custom`].
const CUSTOM_FILES: [&str; 4] = [
    include_str!("../data/examples/custom_english.json"),
    include_str!("../data/examples/custom_europe.json"),
    include_str!("../data/examples/custom_asia_africa.json"),
    include_str!("../data/examples/custom_instrumental.json"),
];

static SIMPLE: LazyLock<Vec<SimpleExample>> =
    LazyLock::new(|| parsed(include_str!("../data/examples/simple.json")));

static CUSTOM: LazyLock<Vec<CustomExample>> =
    LazyLock::new(|| CUSTOM_FILES.into_iter().flat_map(parsed).collect());

fn parsed<T: DeserializeOwned>(json: &str) -> Vec<T> {
    serde_json::from_str(json).expect("the embedded examples are read by the tests")
}

/// All short descriptions.
pub fn simple() -> &'static [SimpleExample] {
    &SIMPLE
}

/// All whole songs.
pub fn custom() -> &'static [CustomExample] {
    &CUSTOM
}

/// The short description for this number.
pub fn pick_simple(seed: u64) -> &'static SimpleExample {
    &SIMPLE[index_from_seed(seed, SIMPLE.len())]
}

/// The short description for this number among those that are written and sung in `language`, a code;
/// where there are none, among all.
pub fn pick_simple_in(seed: u64, language: &str) -> &'static SimpleExample {
    let own: Vec<&SimpleExample> = SIMPLE
        .iter()
        .filter(|example| match example.vocal_language.code() {
            // Those that nobody sings are written in English.
            "unknown" => language == "en",
            code => code == language,
        })
        .collect();
    if own.is_empty() {
        return pick_simple(seed);
    }
    own[index_from_seed(seed, own.len())]
}

/// The whole song for this number.
pub fn pick_custom(seed: u64) -> &'static CustomExample {
    &CUSTOM[index_from_seed(seed, CUSTOM.len())]
}

/// An index below `len`. A random number picks evenly; numbers that follow one another visit every
/// index once before one returns, neighbours lying far apart, so a counter is a dice that never
/// shows the same face twice in a row.
fn index_from_seed(seed: u64, len: usize) -> usize {
    let len = len as u64;
    // The golden section spreads successive steps best; a step without a common factor meets all.
    let golden = len * 618 / 1000;
    let step = (golden.max(1)..len)
        .find(|step| gcd(*step, len) == 1)
        .unwrap_or(1);
    (seed % len * step % len) as usize
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests;
