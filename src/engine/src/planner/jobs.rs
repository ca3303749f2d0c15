//! What the language model is asked to do: plan a song, write codes, rewrite, invent, listen.

use acestep_domain::{
    GenerationParams, SongPlan, audio_codes,
    generation::clamp::INSTRUMENTAL,
    metadata::{Bpm, KeyScale, Language, TimeSignature},
    note::Note,
};

use super::{
    constraint::Constraint,
    grammar::{After, Fields, MIN_DURATION_SECS, codes_of},
    language_model::{LanguageModel, Run},
    plan_text::repeated,
    prompt,
    sampler::Sampling,
    text_job::{TextJob, given},
};
use crate::{
    diffusion::noise::Purpose,
    error::{Error, Result},
    observer::Observer,
};

/// Tokens a plan may have: the fields, a caption and some slack.
pub(crate) const PLAN_TOKENS: usize = 1024;

/// Length of a song for which neither user nor plan says one.
const USUAL_SECS: u32 = 120;

/// Values of the user's, which are written as they are.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Given {
    /// Tempo.
    pub bpm: Option<Bpm>,
    /// Length in seconds; the plan has whole ones.
    pub duration_secs: Option<f64>,
    /// Key.
    pub keyscale: Option<KeyScale>,
    /// Language of the vocals.
    pub language: Option<Language>,
    /// Beats of a bar.
    pub timesignature: Option<TimeSignature>,
}

/// What all text jobs are told besides their input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TextOptions {
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Seed of the draws.
    pub seed: u32,
    /// Longest song that may be planned, in seconds.
    pub max_duration_secs: u32,
    /// The grammar holds; without it the model writes freely and its answer is read leniently.
    pub constrained: bool,
    /// Every token is told with what it was taken from, see [`decoder_log`](super::decoder_log).
    pub log: bool,
}

impl TextOptions {
    /// The options of `params`.
    pub fn of(params: &GenerationParams, seed: u32, max_duration_secs: u32) -> Self {
        Self {
            sampling: Sampling {
                temperature: params.lm_temperature,
                top_k: params.lm_top_k,
                top_p: params.lm_top_p,
                repetition_penalty: params.lm_repetition_penalty,
            },
            seed,
            max_duration_secs,
            constrained: params.use_constrained_decoding,
            log: params.constrained_decoding_debug,
        }
    }
}

/// Metadata of a song are to be planned.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanRequest {
    /// Style, mood, instruments.
    pub caption: String,
    /// Words to sing.
    pub lyrics: String,
    /// Values of the user's.
    pub given: Given,
    /// The caption is written anew.
    pub write_caption: bool,
    /// The language is told, or detected where none is given.
    pub write_language: bool,
    /// Sampling, seed, limits.
    pub options: TextOptions,
}

/// A text job's result.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// What was written, the user's values as given.
    pub plan: SongPlan,
    /// The thinking, letter by letter; empty when the model was not asked.
    pub text: String,
    /// What was clamped, left out or cut.
    pub notes: Vec<Note>,
    /// Tokens written.
    pub tokens: usize,
}

/// Codes of songs are to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct CodesRequest {
    /// The user's caption.
    pub caption: String,
    /// Words to sing.
    pub lyrics: String,
    /// What was planned, see [`LanguageModel::plan_song`].
    pub plan: SongPlan,
    /// Length of the songs in seconds; without it the plan's.
    pub duration_secs: Option<f64>,
    /// Longest song that may be made, in seconds.
    pub max_duration_secs: u32,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Guidance; 1 and less = off.
    pub guidance_scale: f64,
    /// What guidance steers away from; blank = the absence of any input.
    pub negative_prompt: String,
    /// A song each.
    pub seeds: Vec<u32>,
    /// Every token is told with what it was taken from.
    pub log: bool,
}

/// Codes of some songs.
#[derive(Debug, Clone, PartialEq)]
pub struct Codes {
    /// `0..=63999`, five a second, for each seed.
    pub songs: Vec<Vec<u32>>,
    /// What was clamped or assumed.
    pub notes: Vec<Note>,
}

impl Given {
    /// The values of `params` that are set.
    pub fn of(params: &GenerationParams) -> Self {
        Self {
            bpm: params.bpm,
            duration_secs: params.duration_secs,
            keyscale: params.keyscale,
            language: Some(params.sung_language()),
            timesignature: params.timesignature,
        }
    }

    /// The fields of the grammar, validated; a length beyond `max` is clamped with a note.
    fn fields(&self, max: u32, notes: &mut Vec<Note>) -> Result<Fields> {
        if let Some(bpm) = self.bpm.filter(|b| !(Bpm::MIN..=Bpm::MAX).contains(&b.0)) {
            return Err(Error::Invalid {
                field: "bpm",
                reason: format!("{bpm} is no tempo from {} to {}", Bpm::MIN, Bpm::MAX),
            });
        }
        let duration_secs = self
            .duration_secs
            .map(|secs| within(secs, max, notes))
            .transpose()?
            .map(|secs| secs as u32);
        Ok(Fields {
            bpm: self.bpm,
            duration_secs,
            keyscale: self.keyscale,
            language: self.language.filter(|l| *l != Language::UNKNOWN),
            timesignature: self.timesignature,
            max_duration_secs: max,
            ..Fields::default()
        })
    }
}

/// The key of the longer one: it is what makes a prompt too long.
fn longer(caption: &str, lyrics: &str) -> &'static str {
    if caption.chars().count() > lyrics.chars().count() {
        "caption"
    } else {
        "lyrics"
    }
}

/// A length for which codes are written: a plan has at least 10 s, a song may be shorter.
fn secs_of_codes(secs: f64, max: u32, notes: &mut Vec<Note>) -> Result<f64> {
    if secs.is_finite()
        && secs >= 1.0 / audio_codes::PER_SECOND
        && secs < f64::from(MIN_DURATION_SECS)
    {
        return Ok(secs);
    }
    within(secs, max, notes)
}

/// A length between the shortest and the longest, with a note where that changes it.
fn within(secs: f64, max: u32, notes: &mut Vec<Note>) -> Result<f64> {
    if !secs.is_finite() || secs <= 0.0 {
        return Err(Error::Invalid {
            field: "duration",
            reason: format!("{secs} is no length in seconds"),
        });
    }
    let used = secs.clamp(
        f64::from(MIN_DURATION_SECS),
        f64::from(max.max(MIN_DURATION_SECS)),
    );
    if (used - secs).abs() > 1e-9 {
        notes.push(Note::new(
            "duration_clamped",
            "duration",
            format!(
                "Duration: {secs} s was asked, and the plan has {used} s, the nearest it may have."
            ),
        ));
    }
    Ok(used)
}

impl LanguageModel {
    /// Plans a song's metadata. With tempo, length, key and signature given there is nothing left
    /// to plan: the model is not asked, and the result is what was given.
    ///
    /// # Errors
    /// A value that cannot be used, a prompt too long, cancelled, too little memory, or a model
    /// that says nothing finite.
    pub fn plan_song(&self, request: &PlanRequest, observer: &dyn Observer) -> Result<Planned> {
        let options = &request.options;
        let mut notes = Vec::new();
        let mut fields = request
            .given
            .fields(options.max_duration_secs, &mut notes)?;
        if fields.bpm.is_some()
            && fields.duration_secs.is_some()
            && fields.keyscale.is_some()
            && fields.timesignature.is_some()
        {
            let plan = given(&fields);
            if request.write_caption {
                notes.push(Note::new(
                    "caption_kept",
                    "caption",
                    "Caption: tempo, length, key and signature are all given, so the language model was not asked and the caption stays.",
                ));
            }
            return Ok(Planned {
                plan,
                text: String::new(),
                notes,
                tokens: 0,
            });
        }
        fields.caption = request.write_caption;
        fields.language_field = request.write_language;
        let prompt = prompt::plan(self.tokenizer(), &request.caption, &request.lyrics)?;
        let job = TextJob {
            prompt,
            field: longer(&request.caption, &request.lyrics),
            fields: &fields,
            after: After::Stop,
            options,
            notes,
        };
        self.text_job(job, observer)
    }

    /// Writes the codes of songs, exactly five a second.
    ///
    /// # Errors
    /// See [`Self::plan_song`]; and the tokenizer has not the whole codebook.
    pub fn codes(&self, request: &CodesRequest, observer: &dyn Observer) -> Result<Codes> {
        let tokenizer = self.tokenizer();
        tokenizer.code_ids()?;
        let mut notes = Vec::new();
        let asked = request
            .duration_secs
            .or(request.plan.duration_secs.map(f64::from));
        let secs = asked.unwrap_or_else(|| {
            notes.push(Note::new(
                "duration_assumed",
                "duration",
                format!("Duration: neither you nor the plan says one; {USUAL_SECS} s are made, or as many as may be."),
            ));
            f64::from(USUAL_SECS.min(request.max_duration_secs))
        });
        let target = codes_of(secs_of_codes(secs, request.max_duration_secs, &mut notes)?);
        let yaml = repeated(&request.plan);
        let prompt = prompt::codes(tokenizer, &request.caption, &request.lyrics, &yaml)?;
        let field = longer(&request.caption, &request.lyrics);
        self.check_length(prompt.len(), target, field)?;
        let guidance = if request.guidance_scale > 1.0 {
            let prompt = prompt::codes_unconditional(tokenizer, &request.negative_prompt)?;
            self.check_length(prompt.len(), target, "lm_negative_prompt")?;
            Some((prompt, request.guidance_scale as f32))
        } else {
            None
        };
        let grammar = self.grammar.codes(Some(target))?;
        let constraint = |_: &u32| Box::new(grammar.clone()) as Box<dyn Constraint>;
        let run = Run {
            prompt: &prompt,
            guidance,
            budget: target,
            sampling: request.sampling,
            seeds: &request.seeds,
            purpose: Purpose::Codes,
            total: Some(target),
            constraints: request.seeds.iter().map(constraint).collect(),
            log: request.log,
        };
        let songs = self.run(run, observer)?;
        let songs = songs
            .into_iter()
            .map(|song| {
                let codes: Vec<u32> = song
                    .ids
                    .iter()
                    .filter_map(|id| tokenizer.code(*id))
                    .collect();
                if codes.len() == target {
                    Ok(codes)
                } else {
                    Err(Error::LanguageModel {
                        field: "codes",
                        reason: format!("{} codes were written instead of {target}", codes.len()),
                    })
                }
            })
            .collect::<Result<_>>()?;
        Ok(Codes { songs, notes })
    }

    /// Rewrites caption and lyrics and fills in metadata. What the model leaves out stays.
    ///
    /// # Errors
    /// See [`Self::plan_song`].
    pub fn format(
        &self,
        caption: &str,
        lyrics: &str,
        given: &Given,
        options: &TextOptions,
        observer: &dyn Observer,
    ) -> Result<Planned> {
        let mut notes = Vec::new();
        let mut fields = given.fields(options.max_duration_secs, &mut notes)?;
        fields.caption = true;
        fields.language_field = fields.language.is_none();
        let prompt = prompt::format(self.tokenizer(), caption, lyrics)?;
        let job = TextJob {
            prompt,
            field: longer(caption, lyrics),
            fields: &fields,
            after: After::Lyrics,
            options,
            notes,
        };
        let mut planned = self.text_job(job, observer)?;
        for (written, stays) in [
            (&mut planned.plan.caption, caption),
            (&mut planned.plan.lyrics, lyrics),
        ] {
            if written.is_empty() {
                stays.trim().clone_into(written);
            }
        }
        Ok(planned)
    }

    /// Invents a song for a description; a blank one is up to the model.
    ///
    /// # Errors
    /// See [`Self::plan_song`].
    pub fn create_sample(
        &self,
        description: &str,
        instrumental: bool,
        given: &Given,
        options: &TextOptions,
        observer: &dyn Observer,
    ) -> Result<Planned> {
        let mut notes = Vec::new();
        let mut fields = given.fields(options.max_duration_secs, &mut notes)?;
        fields.caption = true;
        fields.language_field = true;
        let prompt = prompt::create_sample(self.tokenizer(), description, instrumental)?;
        let job = TextJob {
            prompt,
            field: "caption",
            fields: &fields,
            after: After::Lyrics,
            options,
            notes,
        };
        let mut planned = self.text_job(job, observer)?;
        // Told to be instrumental, it may sing all the same.
        if instrumental {
            INSTRUMENTAL.clone_into(&mut planned.plan.lyrics);
        }
        Ok(planned)
    }

    /// Describes codes: metadata and lyrics. The length is that of the codes.
    ///
    /// # Errors
    /// See [`Self::plan_song`]; and a code is none, or the tokenizer has not the whole codebook.
    pub fn understand(
        &self,
        codes: &[u32],
        options: &TextOptions,
        observer: &dyn Observer,
    ) -> Result<Planned> {
        let fields = Fields {
            caption: true,
            language_field: true,
            max_duration_secs: options.max_duration_secs,
            ..Fields::default()
        };
        let prompt = prompt::understand(self.tokenizer(), codes)?;
        let job = TextJob {
            prompt,
            field: "audio_codes",
            fields: &fields,
            after: After::Lyrics,
            options,
            notes: Vec::new(),
        };
        let mut planned = self.text_job(job, observer)?;
        if !codes.is_empty() {
            let secs = audio_codes::secs(codes.len()).round() as u32;
            if let Some(written) = planned.plan.duration_secs.filter(|w| *w != secs) {
                planned.notes.push(Note::new(
                    "duration_counted",
                    "duration",
                    format!(
                        "Duration: the language model heard {written} s; the codes last {secs} s."
                    ),
                ));
            }
            planned.plan.duration_secs = Some(secs);
        }
        Ok(planned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_clamped_with_a_note_and_nonsense_is_refused() {
        let mut notes = Vec::new();
        let given = |secs| Given {
            duration_secs: Some(secs),
            ..Given::default()
        };
        for (secs, used) in [(10.0, 10), (30.9, 30), (9.99, 10), (360.0, 240)] {
            let fields = given(secs).fields(240, &mut notes).unwrap();
            assert_eq!(fields.duration_secs, Some(used));
        }
        assert_eq!(notes.len(), 2, "{notes:?}");
        for wrong in [f64::NAN, 0.0, -1.0] {
            assert!(given(wrong).fields(240, &mut notes).is_err());
        }
        for wrong in [0, 29, 301, 1_000_000_000] {
            let given = Given {
                bpm: Some(Bpm(wrong)),
                ..Given::default()
            };
            assert!(given.fields(240, &mut notes).is_err());
        }
    }
}
