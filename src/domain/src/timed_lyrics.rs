//! Lyrics with their times, the files that players read them from, and how a song was scored.

use std::{collections::BTreeMap, fmt::Write};

use serde::{Deserialize, Serialize};

use crate::{
    error::UserError,
    generation::{GenerationParams, clamp::is_instrumental},
};

/// A line of the lyrics, section tags included, and when it is sung.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LyricLine {
    /// When its first token is sung.
    pub start_secs: f64,
    /// When its last token is sung; at the start itself where that is all of one moment.
    pub end_secs: f64,
    /// What it says.
    pub text: String,
}

/// Lines that begin within this much of the first of a cue are shown together.
const MERGED_SECS: f64 = 2.0;

/// How long a cue stands that has no end after its start.
const SHORTEST_CUE_SECS: f64 = 3.0;

/// A file of timed lyrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LyricsFormat {
    /// A line each: `[mm:ss.xx]text`.
    Lrc,
    /// WebVTT.
    Vtt,
    /// SubRip.
    Srt,
}

impl LyricsFormat {
    /// All formats.
    pub const ALL: [Self; 3] = [Self::Lrc, Self::Vtt, Self::Srt];

    /// Name on the wire, and extension of the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lrc => "lrc",
            Self::Vtt => "vtt",
            Self::Srt => "srt",
        }
    }

    /// The format of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == name)
    }

    /// Its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Lrc => "text/plain; charset=utf-8",
            Self::Vtt => "text/vtt; charset=utf-8",
            Self::Srt => "application/x-subrip; charset=utf-8",
        }
    }

    /// The file's text.
    pub fn write(self, lines: &[LyricLine]) -> String {
        match self {
            Self::Lrc => lrc(lines),
            Self::Vtt => {
                let mut file = String::from("WEBVTT\n");
                for (start, end, text) in cues(lines) {
                    // A blank line would end the cue and an arrow would begin one.
                    let text = text
                        .replace('&', "&amp;")
                        .replace('<', "&lt;")
                        .replace('>', "&gt;");
                    let (start, end) = (clock(start, '.'), clock(end, '.'));
                    push(&mut file, format_args!("\n{start} --> {end}\n{text}\n"));
                }
                file
            }
            Self::Srt => {
                let mut file = String::new();
                for (index, (start, end, text)) in cues(lines).into_iter().enumerate() {
                    let (start, end) = (clock(start, ','), clock(end, ','));
                    let gap = if index == 0 { "" } else { "\n" };
                    push(
                        &mut file,
                        format_args!("{gap}{}\n{start} --> {end}\n{text}\n", index + 1),
                    );
                }
                file
            }
        }
    }
}

fn push(file: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    file.write_fmt(text).ok();
}

fn lrc(lines: &[LyricLine]) -> String {
    let mut file = String::new();
    for line in lines {
        let hundredths = (line.start_secs.max(0.0) * 100.0).round() as u64;
        let (minutes, rest) = (hundredths / 6000, hundredths % 6000);
        // Words that look like a time would be a second one.
        let looks_timed = line.text.strip_prefix('[');
        let looks_timed =
            looks_timed.is_some_and(|text| text.starts_with(|c: char| c.is_ascii_digit()));
        let gap = if looks_timed { " " } else { "" };
        push(
            &mut file,
            format_args!(
                "[{minutes:02}:{:02}.{:02}]{gap}{}\n",
                rest / 100,
                rest % 100,
                line.text
            ),
        );
    }
    file
}

/// `hh:mm:ss` and thousandths behind `point`.
fn clock(secs: f64, point: char) -> String {
    let thousandths = (secs.max(0.0) * 1000.0).round() as u64;
    let secs = thousandths / 1000;
    format!(
        "{:02}:{:02}:{:02}{point}{:03}",
        secs / 3600,
        secs / 60 % 60,
        secs % 60,
        thousandths % 1000
    )
}

/// What is shown together: start, end and text of each cue.
fn cues(lines: &[LyricLine]) -> Vec<(f64, f64, String)> {
    let mut sorted: Vec<&LyricLine> = lines.iter().collect();
    sorted.sort_by(|a, b| a.start_secs.total_cmp(&b.start_secs));
    let mut cues: Vec<(f64, f64, String)> = Vec::new();
    for line in sorted {
        match cues.last_mut() {
            Some((start, end, text)) if line.start_secs - *start < MERGED_SECS => {
                *end = end.max(line.end_secs);
                text.push('\n');
                text.push_str(&line.text);
            }
            _ => cues.push((line.start_secs, line.end_secs, line.text.clone())),
        }
    }
    for (start, end, _) in &mut cues {
        if *end <= *start {
            *end = *start + SHORTEST_CUE_SECS;
        }
    }
    cues
}

/// Why nothing of `params` can be timed.
///
/// # Errors
/// Nothing is sung.
pub fn check_sung(params: &GenerationParams) -> Result<(), UserError> {
    if is_instrumental(params) {
        return Err(UserError::invalid(
            "lyrics",
            "The song has no lyrics, so there is nothing to time.",
            "Choose a song that was made with lyrics.",
        ));
    }
    Ok(())
}

/// How well a song does what it was asked for. Every figure is 0 to 1, higher is better; one that
/// could not be had is absent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Scores {
    /// Caption, lyrics and metadata together: half, three tenths and two tenths of what is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global: Option<f64>,
    /// How much likelier the caption is for this song's audio codes than for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<f64>,
    /// The same of the lyrics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lyrics: Option<f64>,
    /// How well each metadatum is heard in the codes, by its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, f64>,
    /// How clearly the words are sung one after another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alignment: Option<AlignmentScores>,
    /// What differences of caption and lyrics were divided by; lower is more sensitive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score_scale: Option<f64>,
    /// The language model that was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lm: Option<String>,
    /// The main model whose attention was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// How clearly the attention follows the lyrics (engine.md 10.3).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AlignmentScores {
    /// In pure noise, so by what the song was to follow alone: its audio codes or its source.
    pub lm_score: f64,
    /// In the finished song.
    pub dit_score: f64,
}

impl Scores {
    /// Share of the caption in [`Self::global`].
    const CAPTION: f64 = 0.5;
    /// Share of the lyrics.
    const LYRICS: f64 = 0.3;
    /// Share of the metadata together.
    const METADATA: f64 = 0.2;

    /// Settles [`Self::global`] from what is there.
    #[must_use]
    pub fn with_global(mut self) -> Self {
        let metadata = (!self.metadata.is_empty())
            .then(|| self.metadata.values().sum::<f64>() / self.metadata.len() as f64);
        let parts = [
            (self.caption, Self::CAPTION),
            (self.lyrics, Self::LYRICS),
            (metadata, Self::METADATA),
        ];
        let there = || {
            parts
                .iter()
                .filter_map(|(score, share)| Some((*score.as_ref()?, share)))
        };
        let shares: f64 = there().map(|(_, share)| share).sum();
        self.global = (shares > 0.0)
            .then(|| there().map(|(score, share)| score * share).sum::<f64>() / shares);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Vec<LyricLine> {
        [
            (0.0, 0.0, "[Verse]"),
            (1.999, 4.0, "Soft <notes> & light"),
            (59.996, 63.25, "夜明け"),
            (3725.5, 3725.5, "The end"),
        ]
        .into_iter()
        .map(|(start_secs, end_secs, text)| LyricLine {
            start_secs,
            end_secs,
            text: text.to_owned(),
        })
        .collect()
    }

    #[test]
    fn lrc_has_a_stamp_a_line_and_never_sixty_seconds() {
        assert_eq!(
            LyricsFormat::Lrc.write(&lines()),
            "[00:00.00][Verse]\n[00:02.00]Soft <notes> & light\n[01:00.00]夜明け\n[62:05.50]The end\n"
        );
        assert_eq!(LyricsFormat::Lrc.write(&[]), "");
        let stamped = LyricLine {
            text: "[00:12.00] stamped".to_owned(),
            ..lines()[0].clone()
        };
        assert_eq!(
            LyricsFormat::Lrc.write(&[stamped]),
            "[00:00.00] [00:12.00] stamped\n"
        );
    }

    #[test]
    fn webvtt_merges_close_lines_and_escapes_marks() {
        assert_eq!(
            LyricsFormat::Vtt.write(&lines()),
            "WEBVTT\n\n00:00:00.000 --> 00:00:04.000\n[Verse]\nSoft &lt;notes&gt; &amp; light\n\n\
             00:00:59.996 --> 00:01:03.250\n夜明け\n\n01:02:05.500 --> 01:02:08.500\nThe end\n"
        );
        assert_eq!(LyricsFormat::Vtt.write(&[]), "WEBVTT\n");
    }

    #[test]
    fn subrip_counts_its_cues() {
        assert_eq!(
            LyricsFormat::Srt.write(&lines()),
            "1\n00:00:00,000 --> 00:00:04,000\n[Verse]\nSoft <notes> & light\n\n\
             2\n00:00:59,996 --> 00:01:03,250\n夜明け\n\n3\n01:02:05,500 --> 01:02:08,500\nThe end\n"
        );
    }

    #[test]
    fn lines_two_seconds_after_the_first_of_a_cue_begin_another() {
        let line = |start_secs: f64| LyricLine {
            start_secs,
            end_secs: start_secs + 0.5,
            text: start_secs.to_string(),
        };
        let texts: Vec<_> = cues(&[line(3.5), line(0.0), line(1.5), line(2.0)])
            .into_iter()
            .map(|(start, end, text)| (start, end, text.replace('\n', "|")))
            .collect();
        assert_eq!(
            texts,
            [
                (0.0, 2.0, "0|1.5".to_owned()),
                (2.0, 4.0, "2|3.5".to_owned())
            ]
        );
    }

    #[test]
    fn the_whole_is_made_of_what_is_there() {
        let scores = Scores {
            caption: Some(0.8),
            lyrics: Some(0.6),
            metadata: BTreeMap::from([("bpm".to_owned(), 1.0), ("keyscale".to_owned(), 0.5)]),
            ..Scores::default()
        };
        let global = scores.clone().with_global().global.unwrap();
        assert!((global - 0.73).abs() < 1e-12, "{global}");
        let without = Scores {
            lyrics: None,
            metadata: BTreeMap::new(),
            ..scores
        };
        assert_eq!(without.with_global().global, Some(0.8));
        assert_eq!(Scores::default().with_global().global, None);
    }

    #[test]
    fn nothing_is_timed_where_nothing_is_sung() {
        let params = |lyrics: &str, instrumental| GenerationParams {
            lyrics: lyrics.to_owned(),
            instrumental,
            ..GenerationParams::default()
        };
        for (lyrics, instrumental) in [("", false), ("[Instrumental]", false), ("La", true)] {
            assert!(check_sung(&params(lyrics, instrumental)).is_err());
        }
        assert!(check_sung(&params("[Verse]\nLa", false)).is_ok());
    }
}
