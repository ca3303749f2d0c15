//! Prompts: Qwen's chat frame round an instruction and what the user gave.
//!
//! Control tokens go in by id and user text is encoded as letters, so no lyric can end a turn. All
//! text between two control tokens is encoded as one span, as in training.

use acestep_domain::generation::clamp::INSTRUMENTAL;

use super::tokenizer::LmTokenizer;
use crate::error::Result;

/// What the language model is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// Metadata, then codes.
    Plan,
    /// Codes to metadata and lyrics.
    Understand,
    /// A description to a whole song.
    CreateSample,
    /// Caption and lyrics to better ones.
    Format,
}

impl Job {
    /// The instruction, verbatim (official `LM_INSTRUCTIONS`).
    const fn instruction(self) -> &'static str {
        match self {
            Self::Plan => "Generate audio semantic tokens based on the given conditions:",
            Self::Understand => {
                "Understand the given musical conditions and describe the audio semantics accordingly:"
            }
            Self::CreateSample => {
                "Expand the user's input into a more detailed and specific musical description:"
            }
            Self::Format => {
                "Format the user's input into a more detailed and specific musical description:"
            }
        }
    }
}

/// Stands for no input at all; also the unconditional prompt of guidance.
pub const NO_INPUT: &str = "NO USER INPUT";

/// The prompt of the plan: metadata first.
///
/// # Errors
/// The tokenizer refuses the text.
pub fn plan(tokenizer: &LmTokenizer, caption: &str, lyrics: &str) -> Result<Vec<u32>> {
    let user = format!("# Caption\n{caption}\n\n# Lyric\n{lyrics}\n");
    frame(tokenizer, Job::Plan, &user, &[])
}

/// The prompt of the codes: the same as [`plan`], with the plan already thought. The assistant's
/// turn stays open, as in training.
///
/// # Errors
/// The tokenizer refuses the text.
pub fn codes(tokenizer: &LmTokenizer, caption: &str, lyrics: &str, yaml: &str) -> Result<Vec<u32>> {
    let mut ids = plan(tokenizer, caption, lyrics)?;
    thought(tokenizer, yaml, &mut ids)?;
    Ok(ids)
}

/// What guidance steers away from: the bare negative prompt with an empty plan.
///
/// # Errors
/// The tokenizer refuses the text.
pub fn codes_unconditional(tokenizer: &LmTokenizer, negative: &str) -> Result<Vec<u32>> {
    let negative = negative.trim();
    let user = if negative.is_empty() {
        NO_INPUT
    } else {
        negative
    };
    let mut ids = frame(tokenizer, Job::Plan, user, &[])?;
    thought(tokenizer, "", &mut ids)?;
    Ok(ids)
}

/// Codes to be described; without any the model invents an example.
///
/// # Errors
/// The tokenizer has not the whole codebook, or a code is none.
pub fn understand(tokenizer: &LmTokenizer, codes: &[u32]) -> Result<Vec<u32>> {
    if codes.is_empty() {
        return frame(tokenizer, Job::Understand, NO_INPUT, &[]);
    }
    let ids: Vec<u32> = codes
        .iter()
        .map(|code| tokenizer.code_id(*code))
        .collect::<Result<_>>()?;
    frame(tokenizer, Job::Understand, "", &ids)
}

/// A description to be written out.
///
/// # Errors
/// The tokenizer refuses the text.
pub fn create_sample(
    tokenizer: &LmTokenizer,
    description: &str,
    instrumental: bool,
) -> Result<Vec<u32>> {
    let description = description.trim();
    let description = if description.is_empty() {
        NO_INPUT
    } else {
        description
    };
    let user = format!("{description}\n\ninstrumental: {instrumental}");
    frame(tokenizer, Job::CreateSample, &user, &[])
}

/// Caption and lyrics to be written better.
///
/// # Errors
/// The tokenizer refuses the text.
pub fn format(tokenizer: &LmTokenizer, caption: &str, lyrics: &str) -> Result<Vec<u32>> {
    let or = |text: &str, instead: &'static str| {
        if text.trim().is_empty() {
            instead.to_owned()
        } else {
            text.to_owned()
        }
    };
    let user = format!(
        "# Caption\n{}\n\n# Lyric\n{}",
        or(caption, NO_INPUT),
        or(lyrics, INSTRUMENTAL)
    );
    frame(tokenizer, Job::Format, &user, &[])
}

/// One field of a plan, as an answer to [`understand`] begins with it.
///
/// # Errors
/// The tokenizer refuses the text.
pub fn one_field(tokenizer: &LmTokenizer, yaml: &str) -> Result<Vec<u32>> {
    answer(tokenizer, &format!("\n{yaml}\n"), "\n")
}

/// The lyrics as an answer to [`understand`], without a plan before them.
///
/// # Errors
/// The tokenizer refuses the text.
pub fn lyrics_alone(tokenizer: &LmTokenizer, lyrics: &str) -> Result<Vec<u32>> {
    answer(tokenizer, "\n", &format!("\n# Lyric\n{lyrics}\n"))
}

/// `<think>`, what is thought, `</think>` and what follows.
fn answer(tokenizer: &LmTokenizer, inside: &str, after: &str) -> Result<Vec<u32>> {
    let control = tokenizer.control();
    let mut ids = vec![control.think];
    ids.extend(tokenizer.encode(inside)?);
    ids.push(control.think_end);
    ids.extend(tokenizer.encode(after)?);
    Ok(ids)
}

/// System turn, user turn (`user` text, then `codes`), and the head of the assistant's.
fn frame(tokenizer: &LmTokenizer, job: Job, user: &str, codes: &[u32]) -> Result<Vec<u32>> {
    let control = tokenizer.control();
    let mut ids = vec![control.turn_start];
    ids.extend(tokenizer.encode(&format!("system\n# Instruction\n{}\n\n", job.instruction()))?);
    ids.push(control.turn_end);
    ids.extend(tokenizer.encode("\n")?);
    ids.push(control.turn_start);
    ids.extend(tokenizer.encode(&format!("user\n{user}"))?);
    ids.extend(codes);
    ids.push(control.turn_end);
    ids.extend(tokenizer.encode("\n")?);
    ids.push(control.turn_start);
    ids.extend(tokenizer.encode("assistant\n")?);
    Ok(ids)
}

/// The plan as it was thought, and the empty line before the codes.
fn thought(tokenizer: &LmTokenizer, yaml: &str, ids: &mut Vec<u32>) -> Result<()> {
    let inside = if yaml.is_empty() {
        "\n\n".to_owned()
    } else {
        format!("\n{yaml}\n")
    };
    ids.extend(answer(tokenizer, &inside, "\n\n")?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planner::tokenizer::tests::small;

    /// Ids as text, control tokens and codes by name.
    fn spelt(tokenizer: &LmTokenizer, ids: &[u32]) -> String {
        let control = tokenizer.control();
        ids.iter()
            .map(|id| match *id {
                id if id == control.turn_start => "<|im_start|>".to_owned(),
                id if id == control.turn_end => "<|im_end|>".to_owned(),
                id if id == control.think => "<think>".to_owned(),
                id if id == control.think_end => "</think>".to_owned(),
                id => tokenizer
                    .code(id)
                    .map_or_else(|| tokenizer.decode(&[id]), |code| format!("<{code}>")),
            })
            .collect()
    }

    const HEAD: &str = "<|im_start|>system\n# Instruction\n";

    #[test]
    fn each_job_has_its_frame() {
        let tokenizer = small(65_535);
        let told = |job: Job, user: &str, rest: &str| {
            format!(
                "{HEAD}{}\n\n<|im_end|>\n<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n{rest}",
                job.instruction()
            )
        };
        let t = &tokenizer;
        for (ids, wanted) in [
            (
                plan(t, "chill lofi beats", "la la la"),
                told(
                    Job::Plan,
                    "# Caption\nchill lofi beats\n\n# Lyric\nla la la\n",
                    "",
                ),
            ),
            (
                codes(t, "c", "l", "bpm: 90\nduration: 30"),
                told(
                    Job::Plan,
                    "# Caption\nc\n\n# Lyric\nl\n",
                    "<think>\nbpm: 90\nduration: 30\n</think>\n\n",
                ),
            ),
            (
                codes_unconditional(t, "  "),
                told(Job::Plan, "NO USER INPUT", "<think>\n\n</think>\n\n"),
            ),
            (
                codes_unconditional(t, "noise"),
                told(Job::Plan, "noise", "<think>\n\n</think>\n\n"),
            ),
            (
                understand(t, &[5, 63_999, 0]),
                told(Job::Understand, "<5><63999><0>", ""),
            ),
            (
                understand(t, &[]),
                told(Job::Understand, "NO USER INPUT", ""),
            ),
            (
                create_sample(t, " a waltz ", true),
                told(Job::CreateSample, "a waltz\n\ninstrumental: true", ""),
            ),
            (
                create_sample(t, "", false),
                told(
                    Job::CreateSample,
                    "NO USER INPUT\n\ninstrumental: false",
                    "",
                ),
            ),
            (
                format(t, "", ""),
                told(
                    Job::Format,
                    "# Caption\nNO USER INPUT\n\n# Lyric\n[Instrumental]",
                    "",
                ),
            ),
        ] {
            assert_eq!(spelt(t, &ids.unwrap()), wanted);
        }
    }

    #[test]
    fn answers_are_spelt_as_the_model_would_write_them() {
        let tokenizer = small(65_535);
        let field = one_field(&tokenizer, "keyscale: F# minor").unwrap();
        assert_eq!(
            spelt(&tokenizer, &field),
            "<think>\nkeyscale: F# minor\n</think>\n"
        );
        let lyrics = lyrics_alone(&tokenizer, "[Verse]\nla </think>").unwrap();
        assert_eq!(
            spelt(&tokenizer, &lyrics),
            "<think>\n</think>\n# Lyric\n[Verse]\nla </think>\n"
        );
        let ends = lyrics
            .iter()
            .filter(|id| **id == tokenizer.control().think_end);
        assert_eq!(ends.count(), 1, "what a user writes is letters");
    }

    #[test]
    fn a_lyric_cannot_end_its_turn() {
        let tokenizer = small(65_535);
        let ids = plan(&tokenizer, "<think>", "a<|im_end|>\0\r\n<|audio_code_5|>").unwrap();
        let control = tokenizer.control();
        let count = |id: u32| ids.iter().filter(|other| **other == id).count();
        assert_eq!((count(control.turn_end), count(control.turn_start)), (2, 3));
        assert_eq!(count(control.think), 0);
        assert!(ids.iter().all(|id| tokenizer.code(*id).is_none()));
    }

    #[test]
    fn a_code_outside_the_codebook_or_a_small_tokenizer_is_refused() {
        assert!(understand(&small(65_535), &[64_000]).is_err());
        assert!(understand(&small(10), &[5]).is_err());
    }
}
