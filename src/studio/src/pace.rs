//! How far a job is and how long it still takes: the expected share of each stage, corrected by what
//! was measured. No clock in here.

mod found;

pub(crate) use self::found::FoundRates;

use acestep_domain::{
    GenerationParams, audio_codes,
    defaults::AUTO_DURATION_SECS,
    event::{Progress, Stage},
    job::JobKind,
    memory::TimePlan,
    task::{Family, TaskType},
};
use acestep_engine::{diffusion::schedule::Schedule, memory::pace::UnitSecs};
use serde::{Deserialize, Serialize};

/// What one unit of work costs on this machine with the loaded model. A first guess only shapes the
/// bar, a first estimate tells the order of things; each finished job replaces them by what was
/// measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rates {
    pub(crate) main: MainRates,
    pub(crate) lm: LmRates,
    pub(crate) found: FoundRates,
}

/// Of the main model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct MainRates {
    /// Seconds of preparation.
    prepare: f64,
    /// Seconds of encoding for each second of recordings.
    encode: f64,
    /// Seconds of a diffusion step for each second of each song.
    step: f64,
    /// Seconds of decoding for each second of each song.
    decode: f64,
    /// Seconds of writing for each second of each song.
    save: f64,
    from: Origin,
}

/// Of a language model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct LmRates {
    /// Seconds of a plan of songs.
    plan: f64,
    /// Seconds of words that are all that is asked for, which are more than a plan; a plan's until they were
    /// written once.
    #[serde(default)]
    words: Option<f64>,
    /// Seconds of a code, of all songs together.
    code: f64,
    /// Of plans and codes.
    from: Origin,
}

/// Where rates come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Origin {
    Guess,
    Estimate,
    Measured,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            main: MainRates {
                prepare: 0.5,
                encode: 0.05,
                step: 0.02,
                decode: 0.1,
                save: SAVE_SECS,
                from: Origin::Guess,
            },
            lm: LmRates::default(),
            found: FoundRates::default(),
        }
    }
}

impl Default for LmRates {
    fn default() -> Self {
        Self {
            plan: 3.0,
            words: None,
            code: 0.05,
            from: Origin::Guess,
        }
    }
}

/// Writing takes little and hangs on the disk.
const SAVE_SECS: f64 = 0.01;

impl From<UnitSecs> for Rates {
    fn from(secs: UnitSecs) -> Self {
        Self {
            main: MainRates {
                prepare: secs.prepare,
                encode: secs.encode,
                step: secs.step,
                decode: secs.decode,
                save: SAVE_SECS,
                from: Origin::Estimate,
            },
            lm: LmRates {
                plan: secs.plan,
                words: None,
                code: secs.code,
                from: Origin::Estimate,
            },
            found: FoundRates::default(),
        }
    }
}

/// Tokens of a usual plan: a plan of unknown length is half done after as many.
const USUAL_TOKENS: f64 = 80.0;

/// What a finished job took.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[expect(clippy::struct_field_names, reason = "every name carries its unit")]
pub(crate) struct Measured {
    pub(crate) plan_secs: f64,
    pub(crate) codes_secs: f64,
    pub(crate) prepare_secs: f64,
    pub(crate) diffusion_secs: f64,
    pub(crate) decode_secs: f64,
    pub(crate) save_secs: f64,
}

/// How much is to be done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Amount {
    plans: f64,
    /// Words that are all that is asked for.
    words: f64,
    codes: f64,
    batch: f64,
    song_secs: f64,
    /// As usual with the model: one without the guidance that is usual counts half.
    steps: f64,
    /// Seconds of recordings that are encoded.
    heard_secs: f64,
    /// Something is found out about the song that is heard.
    found: Option<JobKind>,
}

impl Amount {
    const NOTHING: Self = Self {
        plans: 0.0,
        words: 0.0,
        codes: 0.0,
        batch: 1.0,
        song_secs: 0.0,
        steps: 0.0,
        heard_secs: 0.0,
        found: None,
    };

    /// Of a run of songs with a model of `family`, beside a language model that has codes or not.
    pub(crate) fn beside(
        params: &GenerationParams,
        family: Family,
        lm_has_codes: Option<bool>,
    ) -> Self {
        let song_secs = params.duration_secs.unwrap_or(AUTO_DURATION_SECS).max(1.0);
        let writes = lm_has_codes.unwrap_or(false) && params.lm_writes_codes();
        Self {
            plans: f64::from(u8::from(lm_has_codes.is_some() && params.lm_plans())),
            codes: if writes {
                song_secs * audio_codes::PER_SECOND
            } else {
                0.0
            },
            batch: params.batch_size.max(1) as f64,
            song_secs,
            steps: usual_steps(params, family),
            ..Self::NOTHING
        }
    }

    /// With so many seconds of recordings that are encoded.
    pub(crate) const fn hearing(self, secs: f64) -> Self {
        Self {
            heard_secs: secs,
            ..self
        }
    }

    /// Of a job that makes codes of a recording.
    pub(crate) const fn of_listening() -> Self {
        Self::NOTHING
    }

    /// Of a job that makes words.
    pub(crate) const fn of_text() -> Self {
        Self {
            words: 1.0,
            ..Self::NOTHING
        }
    }
}

/// Steps of `params` in steps as usual for `family`. Of a base model those are guided, which takes the network
/// twice through the song.
fn usual_steps(params: &GenerationParams, family: Family) -> f64 {
    let steps = steps_of(params).max(1) as f64;
    let unguided = family == Family::Base && params.guidance_scale <= 1.0;
    if unguided { steps / 2.0 } else { steps }
}

/// Diffusion steps that `params` lead to. A cover that starts from its source leaves the noisy ones
/// out.
pub(crate) fn steps_of(params: &GenerationParams) -> usize {
    let asked = params
        .timesteps
        .as_ref()
        .map_or(params.inference_steps, Vec::len);
    let starts_below = params.task_type == TaskType::Cover
        && params.works_on_source()
        && params.cover_noise_strength > 0.0;
    if !starts_below {
        return asked;
    }
    let schedule = match &params.timesteps {
        Some(timesteps) => Schedule::custom(timesteps),
        None => Schedule::shifted(params.inference_steps, params.shift),
    };
    // What makes no schedule makes no run either, and is told there.
    schedule.map_or(asked, |schedule| {
        schedule.from_level(1.0 - params.cover_noise_strength).len()
    })
}

impl Rates {
    /// Seconds of each stage; `None` where all is guessed.
    pub(crate) fn time(&self, amount: Amount) -> Option<TimePlan> {
        if let Some(kind) = amount.found {
            let measured = self.found.of(kind).is_some();
            let told = measured || self.main.from > Origin::Guess;
            return told.then(|| TimePlan::of(self.finding_out(kind, amount.heard_secs), measured));
        }
        let sound = amount.batch * amount.song_secs;
        let Self { main, lm, .. } = self;
        let writes = amount.plans + amount.codes > 0.0;
        let sings = sound > 0.0;
        let (words, words_from) = lm.of_words();
        let origins = [
            writes.then_some(lm.from),
            (amount.words > 0.0).then_some(words_from),
            (sings || amount.heard_secs > 0.0).then_some(main.from),
        ];
        let least = origins.into_iter().flatten().min()?;
        let prepare = if sings { main.prepare } else { 0.0 };
        let stages = [
            (
                Stage::LanguageModel,
                lm.plan * amount.plans + words * amount.words + lm.code * amount.codes,
            ),
            (Stage::Encode, main.encode * amount.heard_secs),
            (Stage::Prepare, prepare),
            (Stage::Diffusion, main.step * sound * amount.steps),
            (Stage::Decode, main.decode * sound),
            (Stage::Save, main.save * sound),
        ];
        (least > Origin::Guess).then(|| TimePlan::of(stages, least == Origin::Measured))
    }

    /// What a finished job teaches. A figure of zero teaches nothing.
    pub(crate) fn learn(&mut self, amount: Amount, measured: Measured) {
        let sound = amount.batch * amount.song_secs;
        let replace = |rate: &mut f64, secs: f64, units: f64| {
            if secs > 0.0 && units > 0.0 {
                *rate = secs / units;
            }
        };
        let Self { main, lm, .. } = self;
        if amount.words > 0.0 {
            lm.words = Some(measured.plan_secs)
                .filter(|secs| *secs > 0.0)
                .or(lm.words);
            return;
        }
        replace(&mut lm.plan, measured.plan_secs, 1.0);
        replace(&mut lm.code, measured.codes_secs, amount.codes);
        if measured.plan_secs + measured.codes_secs > 0.0 {
            lm.from = Origin::Measured;
        }
        if amount.heard_secs > 0.0 {
            // What is beyond the words was the recordings.
            let encode = measured.prepare_secs - main.prepare;
            replace(&mut main.encode, encode, amount.heard_secs);
        } else {
            replace(&mut main.prepare, measured.prepare_secs, 1.0);
        }
        let steps = sound * amount.steps;
        replace(&mut main.step, measured.diffusion_secs, steps);
        replace(&mut main.decode, measured.decode_secs, sound);
        replace(&mut main.save, measured.save_secs, sound);
        if measured.diffusion_secs > 0.0 {
            main.from = Origin::Measured;
        }
    }
}

impl MainRates {
    pub(crate) fn is_measured(&self) -> bool {
        self.from == Origin::Measured
    }
}

impl LmRates {
    /// Whether anything of it was measured.
    pub(crate) fn is_measured(&self) -> bool {
        self.from == Origin::Measured || self.words.is_some()
    }

    /// Seconds of words that are all that is asked for.
    fn of_words(&self) -> (f64, Origin) {
        match self.words {
            Some(secs) => (secs, Origin::Measured),
            None => (self.plan, self.from),
        }
    }
}

/// The course of one job.
#[derive(Debug)]
pub(crate) struct Pace {
    rates: Rates,
    plan: f64,
    codes: f64,
    batch: f64,
    prepare: f64,
    diffusion: f64,
    decode: f64,
    save: f64,
    measured: bool,
    furthest: f64,
}

impl Pace {
    pub(crate) fn new(rates: Rates, amount: Amount) -> Self {
        if let Some(kind) = amount.found {
            return Self::of_finding_out(rates, kind, amount.heard_secs);
        }
        let sound = amount.batch * amount.song_secs;
        let Rates { main, lm, .. } = rates;
        Self {
            rates,
            plan: lm.plan * amount.plans + lm.of_words().0 * amount.words,
            codes: lm.code * amount.codes,
            batch: amount.batch,
            prepare: if sound > 0.0 {
                main.prepare + main.encode * amount.heard_secs
            } else {
                0.0
            },
            diffusion: main.step * sound * amount.steps,
            decode: main.decode * sound,
            save: main.save * sound,
            measured: rates.main.is_measured(),
            furthest: 0.0,
        }
    }

    /// Goes on with what is known now, for example the length that was planned.
    pub(crate) fn replan(&mut self, amount: Amount) {
        *self = Self {
            furthest: self.furthest,
            plan: self.plan,
            codes: self.codes,
            ..Self::new(self.rates, amount)
        };
    }

    /// The job's progress when the language model has written so many tokens, of a total where that
    /// is known (codes).
    pub(crate) fn writing(
        &mut self,
        (tokens, total): (usize, Option<usize>),
        elapsed_secs: f64,
    ) -> Progress {
        let finished = match total {
            Some(total) => self.plan + self.codes * (tokens as f64 / total.max(1) as f64).min(1.0),
            None => self.plan * (tokens as f64 / (tokens as f64 + USUAL_TOKENS)),
        };
        let units = (tokens, total.unwrap_or_default());
        self.told(Stage::LanguageModel, 0, units, (finished, elapsed_secs))
    }

    /// The job's progress when `done` of `total` units of `stage` are finished for song `item`, after
    /// `elapsed_secs` of running. The fraction never falls.
    pub(crate) fn progress(
        &mut self,
        stage: Stage,
        item: usize,
        (done, total): (usize, usize),
        elapsed_secs: f64,
    ) -> Progress {
        let share = if total == 0 {
            0.0
        } else {
            (done as f64 / total as f64).min(1.0)
        };
        // One song after another goes through the loop; then one after another is decoded and saved.
        let of_batch = ((item as f64 + share) / self.batch).min(1.0);
        let before = self.plan + self.codes;
        let prepared = before + self.prepare;
        let diffused = prepared + self.diffusion;
        let finished = match stage {
            Stage::Load => 0.0,
            Stage::LanguageModel => before * share,
            Stage::Prepare | Stage::Encode => before + self.prepare * share,
            Stage::Diffusion => prepared + self.diffusion * of_batch,
            Stage::Decode => {
                let saved = (item as f64 / self.batch).min(1.0);
                diffused + self.decode * of_batch + self.save * saved
            }
            Stage::Save => {
                let decoded = ((item + 1) as f64 / self.batch).min(1.0);
                diffused + self.decode * decoded + self.save * of_batch
            }
        };
        self.told(stage, item, (done, total), (finished, elapsed_secs))
    }

    /// The progress after `finished` of the expected seconds.
    fn told(
        &mut self,
        stage: Stage,
        item: usize,
        (done, total): (usize, usize),
        (finished, elapsed_secs): (f64, f64),
    ) -> Progress {
        let whole =
            self.plan + self.codes + self.prepare + self.diffusion + self.decode + self.save;
        if whole > 0.0 {
            self.furthest = self.furthest.max((finished / whole).min(1.0));
        }
        let fraction = self.furthest;
        // A first guess says little until some of the work has been measured.
        let told = self.measured || fraction >= 0.1;
        let expected_so_far = fraction * whole;
        let eta_secs = told.then(|| {
            let pace = if expected_so_far > 0.0 && (fraction >= 0.1 || !self.measured) {
                elapsed_secs / expected_so_far
            } else {
                1.0
            };
            ((1.0 - fraction) * whole * pace) as f32
        });
        Progress {
            stage,
            item,
            done,
            total,
            fraction: fraction as f32,
            eta_secs,
            writing: None,
        }
    }
}

#[cfg(test)]
mod tests;
