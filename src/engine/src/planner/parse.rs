//! An answer read back: the plan inside `<think>`, the lyrics after it.
//!
//! Lenient, since a run without constraints may write anything: what cannot be used is left out
//! with a warning.

use acestep_domain::{
    SongPlan,
    metadata::{Bpm, KeyScale, Language, TimeSignature},
};

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Answer {
    /// What was understood.
    pub plan: SongPlan,
    /// What was written and cannot be used, a sentence each.
    pub warnings: Vec<String>,
}

impl Answer {
    /// At least one field of a plan was understood.
    pub fn says_something(&self) -> bool {
        let plan = SongPlan {
            lyrics: String::new(),
            ..self.plan.clone()
        };
        plan != SongPlan::default()
    }
}

/// Reads `text`, an answer with its control tokens spelt out.
pub fn plan(text: &str) -> Answer {
    let after = text.split_once("</think>").map_or("", |(_, after)| after);
    let after = after.split("<|im_end|>").next().unwrap_or_default();
    answer(reasoning(text), after)
}

/// Reads an answer taken apart by its control tokens: what is thought, and what follows. Names of
/// control tokens in either are letters.
pub fn answer(thought: &str, after: &str) -> Answer {
    let mut plan = SongPlan {
        lyrics: lyrics(after),
        ..SongPlan::default()
    };
    let mut warnings = Vec::new();
    for (key, lines) in fields(thought) {
        let value = unquoted(&lines.join(" "));
        if value.is_empty() || value.eq_ignore_ascii_case("n/a") {
            continue;
        }
        let mut wrong = |what: &str| {
            warnings.push(format!("The language model wrote {key} {value:?}, {what}."));
        };
        match key.as_str() {
            "bpm" => match Bpm::parse(&value) {
                Ok(bpm) if (Bpm::MIN..=Bpm::MAX).contains(&bpm.0) => plan.bpm = Some(bpm),
                _ => wrong("which is no tempo from 30 to 300"),
            },
            "caption" => plan.caption = value,
            "duration" => match value.parse::<f64>() {
                Ok(secs) if (10.0..601.0).contains(&secs) => {
                    plan.duration_secs = Some(secs.min(600.0) as u32);
                }
                _ => wrong("which is no length from 10 to 600 seconds"),
            },
            "keyscale" => match KeyScale::parse(&value) {
                Ok(key) => plan.keyscale = Some(key),
                Err(_) => wrong("which is no key"),
            },
            "language" => match Language::parse(&value) {
                Ok(language) => plan.language = Some(language),
                Err(_) => wrong("which is no language the models know"),
            },
            "timesignature" => match TimeSignature::parse(&value) {
                Ok(time) => plan.timesignature = Some(time),
                Err(_) => wrong("which is no time signature of 2, 3, 4 or 6 beats"),
            },
            // Genres and whatever else a fine-tune may write are of no use here.
            _ => {}
        }
    }
    Answer { plan, warnings }
}

/// The text between `<think>` and `</think>`, or up to where it breaks off.
fn reasoning(text: &str) -> &str {
    let body = text.split_once("<think>").map_or(text, |(_, body)| body);
    let end = ["</think>", "<|audio_code_", "<|im_end|>"]
        .iter()
        .filter_map(|mark| body.find(mark))
        .min()
        .unwrap_or(body.len());
    &body[..end]
}

/// `key: value` lines; an indented line continues the one above.
fn fields(text: &str) -> Vec<(String, Vec<String>)> {
    let mut fields: Vec<(String, Vec<String>)> = Vec::new();
    for line in text.lines() {
        let words = line.trim_ascii();
        if words.is_empty() || words.starts_with('<') {
            continue;
        }
        if line.starts_with([' ', '\t']) {
            if let Some((_, lines)) = fields.last_mut() {
                lines.push(words.to_owned());
            }
        } else if let Some((key, value)) = words.split_once(':') {
            let value = value.trim_ascii();
            let lines = if value.is_empty() {
                Vec::new()
            } else {
                vec![value.to_owned()]
            };
            let key = key.trim_ascii().to_ascii_lowercase();
            fields.retain(|(known, _)| *known != key);
            fields.push((key, lines));
        }
    }
    fields
}

/// Takes one pair of YAML's quotes off.
fn unquoted(value: &str) -> String {
    let value = value.trim_ascii();
    let inside = |quote: char| {
        value
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
            .filter(|inside| !inside.is_empty())
    };
    match (inside('\''), inside('"')) {
        (Some(inside), _) => inside.replace("''", "'"),
        (_, Some(inside)) => inside.replace("\\\"", "\"").replace("\\\\", "\\"),
        _ => value.to_owned(),
    }
}

/// What follows the plan, without the headings the training text had.
fn lyrics(after: &str) -> String {
    let text = after.trim();
    let text = match text.split_once('\n') {
        Some((head, rest)) if head.trim_end().eq_ignore_ascii_case("# Languages") => rest
            .trim_start()
            .split_once("\n\n")
            .map_or("", |(_, lyrics)| lyrics)
            .trim_start(),
        _ => text,
    };
    let (head, rest) = text.split_once('\n').unwrap_or((text, ""));
    let heading = head.trim_end().to_ascii_lowercase();
    let is_heading = heading
        .strip_prefix('#')
        .is_some_and(|words| matches!(words.trim(), "lyri" | "lyric" | "lyrics"));
    if is_heading { rest.trim() } else { text }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_with_its_continuation_lines_and_quotes() {
        let answer = plan(
            "<think>\nbpm: 92\ncaption: 'It''s warm:\n  soft piano'\nduration: 120.5\nkeyscale: B♭ minor\n\
             language: en\ntimesignature: 4/4\n</think>\n\n# Lyric\n[Verse]\nla la\n<|im_end|>",
        );
        assert_eq!(answer.plan.bpm, Some(Bpm(92)));
        assert_eq!(answer.plan.caption, "It's warm: soft piano");
        assert_eq!(answer.plan.duration_secs, Some(120));
        assert_eq!(answer.plan.keyscale, KeyScale::parse("Bb minor").ok());
        assert_eq!(answer.plan.language, Language::parse("en").ok());
        assert_eq!(answer.plan.timesignature, TimeSignature::parse("4").ok());
        assert_eq!(answer.plan.lyrics, "[Verse]\nla la");
        assert_eq!(answer.warnings, Vec::<String>::new());
    }

    #[test]
    fn what_cannot_be_used_is_left_out_and_said() {
        let answer = plan(
            "bpm: fast\nduration: 9.99\nkeyscale: H major\nlanguage: xx\ntimesignature: 5\n<odd>\ngenres: x\n\
             stray line\nbpm: N/A",
        );
        assert_eq!(answer.plan, SongPlan::default());
        assert_eq!(answer.warnings.len(), 4, "{:?}", answer.warnings);
        assert!(answer.warnings[0].contains("duration \"9.99\""));
        assert_eq!(plan(""), Answer::default());
    }

    #[test]
    fn a_plan_that_breaks_off_gives_what_stands_before() {
        let answer = plan("<think>\nbpm: 100\ncaption: warm");
        assert_eq!(
            (answer.plan.bpm, answer.plan.caption.as_str()),
            (Some(Bpm(100)), "warm")
        );
        assert_eq!(answer.plan.lyrics, "");
        let codes = plan("bpm: 100\n<|audio_code_5|>duration: 30");
        assert_eq!(codes.plan.duration_secs, None);
    }

    #[test]
    fn headings_before_lyrics_are_dropped() {
        for head in [
            "# Lyric\n",
            "# Lyrics\n\n",
            "# lyri\n",
            "# Languages\nen\n\n# Lyric\n",
            "",
        ] {
            let answer = plan(&format!("<think>\n</think>\n\n{head}[Chorus]\nhey"));
            assert_eq!(answer.plan.lyrics, "[Chorus]\nhey", "{head:?}");
        }
    }
}
