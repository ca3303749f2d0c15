//! What the text of a message is: a caption, lyrics, or a song described for the language model to write.

/// The parts of a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) prompt: String,
    pub(super) lyrics: String,
    /// A description of a song.
    pub(super) query: String,
}

/// Tells the parts of `text`, with the lyrics that were given beside it.
pub(super) fn words(text: &str, lyrics: &str, sample_mode: bool) -> Words {
    let text = text.trim();
    let (prompt, tagged) = (tag(text, "prompt"), tag(text, "lyrics"));
    let given = Some(lyrics).filter(|lyrics| !lyrics.trim().is_empty());
    let sung = given.or(tagged.as_ref().map(|lyrics| lyrics.inside));
    if sample_mode {
        let beside = tagged
            .as_ref()
            .map_or_else(|| text.to_owned(), Tag::outside);
        return Words {
            query: prompt.map_or(beside, |prompt| prompt.inside.to_owned()),
            // Nobody sings them, and that is said.
            lyrics: sung.unwrap_or_default().to_owned(),
            prompt: String::new(),
        };
    }
    if prompt.is_some() || tagged.is_some() {
        return Words {
            prompt: prompt.map_or_else(String::new, |prompt| prompt.inside.to_owned()),
            lyrics: sung.unwrap_or_default().to_owned(),
            query: String::new(),
        };
    }
    if !lyrics.trim().is_empty() {
        return Words {
            prompt: text.to_owned(),
            lyrics: lyrics.to_owned(),
            query: String::new(),
        };
    }
    if looks_like_lyrics(text) {
        return Words {
            lyrics: text.to_owned(),
            ..Words::default()
        };
    }
    Words {
        query: text.to_owned(),
        ..Words::default()
    }
}

/// A part of a text in tags, and what stands on either side of them.
struct Tag<'a> {
    before: &'a str,
    inside: &'a str,
    after: &'a str,
}

impl Tag<'_> {
    fn outside(&self) -> String {
        [self.before.trim(), self.after.trim()]
            .join(" ")
            .trim()
            .to_owned()
    }
}

/// What stands between `<tag>` and `</tag>`, in any letter case; to the end where it is not closed.
fn tag<'a>(text: &'a str, tag: &str) -> Option<Tag<'a>> {
    let lower = text.to_ascii_lowercase();
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let opened = lower.find(&open)?;
    let start = opened + open.len();
    let length = lower[start..].find(&close);
    let end = length.map_or(text.len(), |length| start + length);
    let after = length.map_or(text.len(), |_| end + close.len());
    Some(Tag {
        before: &text[..opened],
        inside: text[start..end].trim(),
        after: &text[after..],
    })
}

/// Marks of sections, or at least four short lines.
fn looks_like_lyrics(text: &str) -> bool {
    const SECTIONS: [&str; 7] = [
        "verse", "chorus", "bridge", "intro", "outro", "hook", "refrain",
    ];
    let lower = text.to_lowercase();
    let marked = lower.split('[').skip(1).any(|after| {
        let mark = after.split(']').next().unwrap_or_default();
        SECTIONS.iter().any(|section| mark.contains(section))
    });
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let letters: usize = lines.iter().map(|line| line.trim().chars().count()).sum();
    marked || (lines.len() >= 4 && letters < 60 * lines.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str, lyrics: &str, sample_mode: bool) -> [String; 3] {
        let words = words(text, lyrics, sample_mode);
        [words.prompt, words.lyrics, words.query]
    }

    #[test]
    fn a_text_is_told_by_its_tags_its_form_and_what_stands_beside_it() {
        for (text, lyrics, sample_mode, expected) in [
            (
                "<Prompt>lofi</prompt>\n<lyrics>\nla la\n</lyrics>",
                "",
                false,
                ["lofi", "la la", ""],
            ),
            ("<lyrics>Ünder", "", false, ["", "Ünder", ""]),
            ("<prompt>x</prompt>", "", true, ["", "", "x"]),
            ("a waltz", "la la", true, ["", "la la", "a waltz"]),
            (
                "a waltz <LYRICS>la</lyrics> for two",
                "",
                true,
                ["", "la", "a waltz for two"],
            ),
            ("<lyrics>la", "", true, ["", "la", ""]),
            ("a waltz", "la la", false, ["a waltz", "la la", ""]),
            ("[Verse 1]\nla", "", false, ["", "[Verse 1]\nla", ""]),
            ("a\nb\nc\nd", "", false, ["", "a\nb\nc\nd", ""]),
            ("a waltz for two", "", false, ["", "", "a waltz for two"]),
            ("[sad] piano", "", false, ["", "", "[sad] piano"]),
        ] {
            assert_eq!(parts(text, lyrics, sample_mode), expected, "{text}");
        }
    }
}
