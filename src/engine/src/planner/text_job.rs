//! The job that all text jobs are: one sequence, under the grammar or without it, read back. The
//! user's values stand as given.

use acestep_domain::{SongPlan, note::Note};

use super::{
    constraint::Constraint,
    decode::Written,
    free::Free,
    grammar::{After, Fields},
    jobs::{PLAN_TOKENS, Planned, TextOptions},
    language_model::{LanguageModel, Run},
    parse::{self, Answer},
};
use crate::{
    diffusion::noise::Purpose,
    error::{Error, Result},
    observer::Observer,
};

/// Tokens a plan with lyrics may have.
const TEXT_TOKENS: usize = 4096;

/// How often a free answer is asked for before it is given up: the first one may hold no field at all.
const FREE_ATTEMPTS: usize = 2;

/// What is asked.
pub(super) struct TextJob<'a> {
    pub(super) prompt: Vec<u32>,
    /// What most of the prompt is.
    pub(super) field: &'static str,
    pub(super) fields: &'a Fields,
    pub(super) after: After,
    pub(super) options: &'a TextOptions,
    /// What was clamped or left out so far.
    pub(super) notes: Vec<Note>,
}

impl LanguageModel {
    /// Runs `job`.
    pub(super) fn text_job(&self, job: TextJob<'_>, observer: &dyn Observer) -> Result<Planned> {
        // Lyrics have what is left; the plan itself must fit.
        self.check_length(job.prompt.len(), PLAN_TOKENS, job.field)?;
        if job.options.constrained {
            self.under_grammar(job, observer)
        } else {
            self.freely(job, observer)
        }
    }

    fn under_grammar(&self, job: TextJob<'_>, observer: &dyn Observer) -> Result<Planned> {
        let grammar = self.grammar.thinking(job.fields, job.after)?;
        let written = self.one(&job, Box::new(grammar), 0, observer)?;
        let Written { ids, cut, asides } = written;
        let mut notes = job.notes;
        if cut {
            let budget = ids.len();
            notes.push(Note::new(
                "lyrics_cut",
                "lyrics",
                format!("Lyrics: the language model did not come to an end within {budget} tokens; they break off there."),
            ));
        }
        let (text, Answer { plan, warnings }) = self.read(&ids);
        notes.extend(unused(warnings));
        let user = given(job.fields);
        let clamped = notes.iter().any(|note| note.code == "duration_clamped");
        for (field, said) in asides {
            // The plan's own length is not the user's any more.
            if field == "duration" && clamped {
                continue;
            }
            let would = self.tokenizer().decode(&said);
            notes.extend(would_say(field, would.trim(), &user));
        }
        Ok(Planned {
            plan: standing(&user, plan),
            text,
            notes,
            tokens: ids.len(),
        })
    }

    /// Nothing forces a field to be written, so what is missing is told, and an answer without any is
    /// asked for once more, by other draws.
    fn freely(&self, job: TextJob<'_>, observer: &dyn Observer) -> Result<Planned> {
        let mut attempt = 0;
        let (written, text, answer) = loop {
            let free = Free::new(self.tokenizer(), job.after);
            let written = self.one(&job, Box::new(free), attempt, observer)?;
            let (text, answer) = self.read(&written.ids);
            attempt += 1;
            if attempt == FREE_ATTEMPTS || answer.says_something() {
                break (written, text, answer);
            }
        };
        let TextJob {
            fields, mut notes, ..
        } = job;
        if written.cut {
            notes.push(Note::new(
                "lm_cut",
                FREE,
                format!(
                    "Constrained decoding is off, and the language model did not come to an end within {} tokens; what stands up to there is used.",
                    written.ids.len()
                ),
            ));
        }
        notes.extend(unused(answer.warnings));
        let mut plan = answer.plan;
        let user = given(fields);
        notes.extend(differences(&plan, &user));
        if !fields.caption {
            plan.caption.clear();
        }
        if !fields.language_field {
            plan.language = None;
        }
        let longest = fields.max_duration_secs;
        if let Some(secs) = plan.duration_secs.filter(|secs| *secs > longest) {
            plan.duration_secs = Some(longest);
            if user.duration_secs.is_none() {
                notes.push(Note::new(
                    "duration_clamped",
                    "duration",
                    format!(
                        "Duration: the language model wrote {secs} s, and the plan has {longest} s, the longest it may have."
                    ),
                ));
            }
        }
        let plan = standing(&user, plan);
        notes.extend(left_out(&plan, fields, attempt));
        Ok(Planned {
            plan,
            text,
            notes,
            tokens: written.ids.len(),
        })
    }

    /// One sequence after the prompt.
    fn one(
        &self,
        job: &TextJob<'_>,
        constraint: Box<dyn Constraint>,
        attempt: usize,
        observer: &dyn Observer,
    ) -> Result<Written> {
        let budget = match job.after {
            After::Stop => PLAN_TOKENS,
            After::Lyrics => TEXT_TOKENS,
        };
        let run = Run {
            prompt: &job.prompt,
            guidance: None,
            budget: budget.min(self.room(job.prompt.len())),
            sampling: job.options.sampling,
            seeds: &[job.options.seed],
            purpose: Purpose::Text(attempt),
            total: None,
            constraints: vec![constraint],
            log: job.options.log,
        };
        let written = self.run(run, observer)?;
        written
            .into_iter()
            .next()
            .ok_or_else(|| Error::LanguageModel {
                field: "plan",
                reason: "nothing was written".to_owned(),
            })
    }

    /// The thinking letter by letter, and what it says with what follows it.
    fn read(&self, ids: &[u32]) -> (String, Answer) {
        let tokenizer = self.tokenizer();
        let control = tokenizer.control();
        let turn = ids
            .split(|id| *id == control.turn_end || *id == control.end_of_text)
            .next()
            .unwrap_or_default();
        // Written freely, the thinking may begin late, and codes may follow it at once.
        let begin = turn.iter().position(|id| *id == control.think);
        let turn = &turn[begin.map_or(0, |at| at + 1)..];
        let mut parts = turn.splitn(2, |id| *id == control.think_end);
        let thought = parts.next().unwrap_or_default();
        let thought = thought
            .split(|id| tokenizer.code(*id).is_some())
            .next()
            .unwrap_or_default();
        let text = tokenizer.decode(thought);
        let answer = match parts.next() {
            Some(after) => parse::answer(&text, &tokenizer.decode(after)),
            // The end may be spelt in letters.
            None => parse::plan(&text),
        };
        (text.trim().to_owned(), answer)
    }
}

/// The parameter that leaves the grammar out.
const FREE: &str = "use_constrained_decoding";

fn unused(warnings: Vec<String>) -> impl Iterator<Item = Note> {
    warnings
        .into_iter()
        .map(|warning| Note::general("lm_value_unused", warning))
}

/// `plan` with the user's values over it.
fn standing(user: &SongPlan, plan: SongPlan) -> SongPlan {
    SongPlan {
        bpm: user.bpm.or(plan.bpm),
        duration_secs: user.duration_secs.or(plan.duration_secs),
        keyscale: user.keyscale.or(plan.keyscale),
        language: user.language.or(plan.language),
        timesignature: user.timesignature.or(plan.timesignature),
        ..plan
    }
}

/// What was written where the user's value stands, as far as it is another.
fn differences(plan: &SongPlan, user: &SongPlan) -> Vec<Note> {
    let beats = plan.timesignature.map(|time| time.beats().to_string());
    [
        ("bpm", plan.bpm.map(|bpm| bpm.to_string())),
        ("duration", plan.duration_secs.map(|secs| secs.to_string())),
        ("keyscale", plan.keyscale.map(|key| key.to_string())),
        (
            "language",
            plan.language.map(|language| language.code().to_owned()),
        ),
        ("timesignature", beats),
    ]
    .into_iter()
    .filter_map(|(field, said)| would_say(field, &said?, user))
    .collect()
}

/// What a free answer owes: a plan in which a field that was asked for is still open.
fn left_out(plan: &SongPlan, fields: &Fields, attempts: usize) -> Option<Note> {
    let names: Vec<&str> = [
        ("tempo", plan.bpm.is_none()),
        ("caption", fields.caption && plan.caption.is_empty()),
        ("length", plan.duration_secs.is_none()),
        ("key", plan.keyscale.is_none()),
        (
            "vocal language",
            fields.language_field && plan.language.is_none(),
        ),
        ("time signature", plan.timesignature.is_none()),
    ]
    .into_iter()
    .filter_map(|(name, open)| open.then_some(name))
    .collect();
    let names = match names.split_last()? {
        (last, []) => (*last).to_owned(),
        (last, rest) => format!("{} and {last}", rest.join(", ")),
    };
    let times = if attempts == FREE_ATTEMPTS {
        ", asked twice,"
    } else {
        ""
    };
    Some(Note::new(
        "lm_left_out",
        FREE,
        format!(
            "Constrained decoding is off, and the language model{times} wrote nothing that could be read as {names}."
        ),
    ))
}

/// What the model would have said in place of a value of the user's, where it is another.
fn would_say(field: &'static str, would: &str, user: &SongPlan) -> Option<Note> {
    let (name, own, key) = match field {
        "bpm" => ("Tempo", user.bpm?.to_string(), field),
        "duration" => ("Length", user.duration_secs?.to_string(), field),
        "keyscale" => ("Key", user.keyscale?.to_string(), field),
        "language" => (
            "Vocal language",
            user.language?.code().to_owned(),
            "vocal_language",
        ),
        "timesignature" => (
            "Time signature",
            user.timesignature?.beats().to_string(),
            field,
        ),
        _ => return None,
    };
    (!would.is_empty() && would != own).then(|| {
        Note::new(
            "lm_would_say",
            key,
            format!("{name}: {own} as you set it; the language model would have written {would}."),
        )
        .with("own", &own)
        .with("would", would)
    })
}

/// The plan that holds nothing but what was given.
pub(super) fn given(fields: &Fields) -> SongPlan {
    SongPlan {
        bpm: fields.bpm,
        duration_secs: fields.duration_secs,
        keyscale: fields.keyscale,
        language: fields.language,
        timesignature: fields.timesignature,
        ..SongPlan::default()
    }
}

#[cfg(test)]
mod tests {
    use acestep_domain::metadata::{Bpm, KeyScale};

    use super::*;

    #[test]
    fn what_a_free_answer_lacks_is_named_and_what_was_not_asked_for_is_not() {
        let plan = SongPlan {
            bpm: Some(Bpm(90)),
            keyscale: KeyScale::parse("A minor").ok(),
            duration_secs: Some(30),
            ..SongPlan::default()
        };
        let asked = Fields {
            caption: true,
            ..Fields::default()
        };
        let note = left_out(&plan, &asked, 1).unwrap();
        assert!(
            note.message
                .ends_with("read as caption and time signature."),
            "{}",
            note.message
        );
        let told = left_out(&SongPlan::default(), &Fields::default(), 2).unwrap();
        assert!(told.message.contains("asked twice, wrote nothing"));
    }

    #[test]
    fn the_users_values_stand_over_a_free_answer_and_the_difference_is_told() {
        let user = SongPlan {
            bpm: Some(Bpm(120)),
            keyscale: KeyScale::parse("A minor").ok(),
            ..SongPlan::default()
        };
        let plan = SongPlan {
            bpm: Some(Bpm(90)),
            keyscale: user.keyscale,
            duration_secs: Some(30),
            ..SongPlan::default()
        };
        let notes = differences(&plan, &user);
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert_eq!(notes[0].field.as_deref(), Some("bpm"));
        assert!(notes[0].message.contains("would have written 90"));
        let standing = standing(&user, plan);
        assert_eq!(
            (standing.bpm, standing.duration_secs),
            (Some(Bpm(120)), Some(30))
        );
    }
}
