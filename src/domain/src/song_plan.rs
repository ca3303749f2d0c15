//! What the language model wrote about a song.

use serde::{Deserialize, Serialize};

use crate::{
    generation::GenerationParams,
    metadata::{Bpm, KeyScale, Language, TimeSignature},
};

/// Caption, lyrics and metadata of a song, as far as they were written. Values the user gave are in
/// it as given.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SongPlan {
    /// Tempo.
    pub bpm: Option<Bpm>,
    /// One line; empty when none was written.
    pub caption: String,
    /// Whole seconds.
    pub duration_secs: Option<u32>,
    /// Key.
    pub keyscale: Option<KeyScale>,
    /// Language of the vocals.
    pub language: Option<Language>,
    /// Beats of a bar.
    pub timesignature: Option<TimeSignature>,
    /// Words to sing; empty when there are none.
    pub lyrics: String,
}

impl SongPlan {
    /// Puts tempo, key, signature and length into `params` where they are open there.
    pub fn fill_numbers(&self, params: &mut GenerationParams) {
        params.bpm = params.bpm.or(self.bpm);
        params.keyscale = params.keyscale.or(self.keyscale);
        params.timesignature = params.timesignature.or(self.timesignature);
        params.duration_secs = params.duration_secs.or(self.duration_secs.map(f64::from));
    }

    /// The same with the language of the vocals, where there are any.
    pub fn fill_language(&self, params: &mut GenerationParams) {
        if !params.instrumental
            && params.vocal_language == Language::UNKNOWN
            && let Some(language) = self.language
        {
            params.vocal_language = language;
        }
    }

    /// Puts the caption into `params`, if one was written.
    pub fn fill_caption(&self, params: &mut GenerationParams) {
        if !self.caption.is_empty() {
            params.caption.clone_from(&self.caption);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_travels_in_the_spellings_of_the_request() {
        let plan = SongPlan {
            bpm: Some(Bpm(92)),
            keyscale: KeyScale::parse("Am").ok(),
            language: Language::parse("ja").ok(),
            timesignature: TimeSignature::parse("6/8").ok(),
            ..SongPlan::default()
        };
        let json = serde_json::to_value(&plan).unwrap();
        assert_eq!(json["keyscale"], "A minor");
        assert_eq!(json["language"], "ja");
        assert_eq!(json["timesignature"], "6");
        assert_eq!(serde_json::from_value::<SongPlan>(json).unwrap(), plan);
    }

    #[test]
    fn nobody_sings_in_a_language_in_an_instrumental_song() {
        let plan = SongPlan {
            language: Language::parse("ja").ok(),
            ..SongPlan::default()
        };
        for (instrumental, language) in [(true, "unknown"), (false, "ja")] {
            let mut params = GenerationParams {
                instrumental,
                ..GenerationParams::default()
            };
            plan.fill_language(&mut params);
            assert_eq!(params.vocal_language.code(), language);
        }
    }
}
