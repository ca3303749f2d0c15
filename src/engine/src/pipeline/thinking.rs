//! What a language model does before a song is made: it plans what the user left open, then writes
//! the song's codes (planner.md 3). The user's values always stand.

use std::time::Instant;

use acestep_domain::{
    GenerationParams, SongPlan,
    defaults::AUTO_DURATION_SECS,
    generation::clamp::{INSTRUMENTAL, auto_length, is_instrumental},
    metadata::Language,
    note::Note,
};

use crate::{
    error::Result,
    observer::Observer,
    planner::{
        decoder_log,
        jobs::{CodesRequest, Given, PlanRequest, TextOptions},
        language_model::LanguageModel,
    },
};

/// What is thought about.
#[derive(Debug, Clone, Copy)]
pub struct Thinking<'a> {
    /// Parameters, clamped; an open length is left to the plan.
    pub params: &'a GenerationParams,
    /// One for each song.
    pub seeds: &'a [u32],
    /// Longest song that may be planned, in seconds.
    pub max_duration_secs: u32,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Thought {
    /// The parameters with the plan's values where the user left them open; the length is settled.
    pub params: GenerationParams,
    /// What was written, the user's values as given; `None` when the model was not asked.
    pub plan: Option<SongPlan>,
    /// Codes of each song; empty when none were written.
    pub codes: Vec<Vec<u32>>,
    /// What was clamped or assumed.
    pub notes: Vec<Note>,
    /// Seconds the plan took.
    pub plan_secs: f32,
    /// Seconds the codes took.
    pub codes_secs: f32,
}

/// Asks `lm`, if there is one, for what `thinking` leaves to it. `codes_useful` says whether the DiT's
/// checkpoint can do anything with codes.
pub(crate) fn think(
    lm: Option<&LanguageModel>,
    codes_useful: bool,
    thinking: Thinking<'_>,
    observer: &dyn Observer,
) -> Result<Thought> {
    let Thinking {
        params: asked,
        seeds,
        max_duration_secs,
    } = thinking;
    let mut thought = Thought {
        params: asked.clone(),
        plan: None,
        codes: Vec::new(),
        notes: Vec::new(),
        plan_secs: 0.0,
        codes_secs: 0.0,
    };
    let Some(lm) = lm else {
        thought.settle_length(max_duration_secs);
        return Ok(thought);
    };
    if asked.lm_plans() || asked.lm_writes_codes() {
        thought.notes.extend(decoder_log::unheard(asked));
    }
    let lyrics = if is_instrumental(asked) {
        INSTRUMENTAL
    } else {
        &asked.lyrics
    };
    if asked.lm_plans() {
        let started = Instant::now();
        let planned = lm.plan_song(
            &PlanRequest {
                caption: asked.caption.clone(),
                lyrics: lyrics.to_owned(),
                given: Given::of(asked),
                write_caption: asked.use_cot_caption,
                write_language: asked.use_cot_language,
                options: TextOptions::of(asked, asked.plan_seed(seeds), max_duration_secs),
            },
            observer,
        )?;
        thought.notes.extend(planned.notes);
        fill(&mut thought.params, &planned.plan);
        observer.planned(&planned.plan);
        thought.plan = Some(planned.plan);
        thought.plan_secs = started.elapsed().as_secs_f32();
    }
    thought.settle_length(max_duration_secs);
    if asked.lm_writes_codes() {
        if lm.info().has_codes && codes_useful {
            let started = Instant::now();
            let plan = thought
                .plan
                .clone()
                .unwrap_or_else(|| given(&thought.params));
            let written = lm.codes(
                &CodesRequest {
                    caption: asked.caption.clone(),
                    lyrics: lyrics.to_owned(),
                    plan,
                    duration_secs: thought.params.duration_secs,
                    max_duration_secs,
                    sampling: TextOptions::of(asked, 0, max_duration_secs).sampling,
                    guidance_scale: asked.lm_cfg_scale,
                    negative_prompt: asked.lm_negative_prompt.clone(),
                    seeds: seeds.to_vec(),
                    log: asked.constrained_decoding_debug,
                },
                observer,
            )?;
            thought.notes.extend(written.notes);
            thought.codes = written.songs;
            thought.codes_secs = started.elapsed().as_secs_f32();
        } else {
            let why = if codes_useful {
                format!("{} has no audio codes in its vocabulary", lm.info().name)
            } else {
                "the main model was not trained on audio codes".to_owned()
            };
            thought.notes.push(Note::new(
                "thinking_without_codes",
                "thinking",
                format!("Thinking: {why}, so the plan has words and numbers only."),
            ));
        }
    }
    Ok(thought)
}

/// Takes over what the user left open.
fn fill(params: &mut GenerationParams, plan: &SongPlan) {
    plan.fill_numbers(params);
    if params.use_cot_caption {
        plan.fill_caption(params);
    }
    if params.use_cot_language {
        plan.fill_language(params);
    }
}

/// A plan of nothing but the user's values.
fn given(params: &GenerationParams) -> SongPlan {
    SongPlan {
        bpm: params.bpm,
        keyscale: params.keyscale,
        timesignature: params.timesignature,
        duration_secs: params.duration_secs.map(|secs| secs as u32),
        language: Some(params.sung_language()).filter(|language| *language != Language::UNKNOWN),
        ..SongPlan::default()
    }
}

impl Thought {
    fn settle_length(&mut self, max_duration_secs: u32) {
        if self.params.duration_secs.is_none() {
            let used = AUTO_DURATION_SECS.min(f64::from(max_duration_secs));
            self.notes.push(auto_length(used));
            self.params.duration_secs = Some(used);
        }
    }
}

#[cfg(test)]
mod tests {
    use acestep_domain::metadata::{Bpm, KeyScale};

    use super::*;

    #[test]
    fn a_plan_fills_what_is_open_and_replaces_nothing() {
        let mut params = GenerationParams {
            caption: "piano".to_owned(),
            bpm: Some(Bpm(70)),
            use_cot_language: false,
            ..GenerationParams::default()
        };
        let plan = SongPlan {
            caption: "A slow piano piece.".to_owned(),
            bpm: Some(Bpm(120)),
            keyscale: KeyScale::parse("A minor").ok(),
            duration_secs: Some(42),
            language: Language::parse("ja").ok(),
            ..SongPlan::default()
        };
        fill(&mut params, &plan);
        assert_eq!(params.bpm, Some(Bpm(70)));
        assert_eq!(params.keyscale, plan.keyscale);
        assert_eq!(params.duration_secs, Some(42.0));
        assert_eq!(params.caption, "A slow piano piece.");
        assert_eq!(params.vocal_language, Language::UNKNOWN, "detection is off");
        params.use_cot_caption = false;
        params.caption = "mine".to_owned();
        fill(&mut params, &plan);
        assert_eq!(params.caption, "mine");
    }

    #[test]
    fn without_a_model_only_the_length_is_settled() {
        let params = GenerationParams::default();
        let thinking = Thinking {
            params: &params,
            seeds: &[1],
            max_duration_secs: 30,
        };
        let thought = think(None, true, thinking, &crate::observer::Silent).unwrap();
        assert_eq!(thought.params.duration_secs, Some(30.0));
        assert_eq!((thought.plan, thought.codes.len()), (None, 0));
        assert_eq!(thought.notes[0].code, "duration_auto");
    }
}
