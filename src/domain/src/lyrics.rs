//! How long lyrics sing, before a note of them exists: a rule of thumb in bars, so that who writes can set a
//! length that holds the words. It decides nothing.

use crate::metadata::Bpm;

/// Tempo of a song that nobody gave one.
const USUAL_BPM: f64 = 100.0;
/// Beats of a bar, near enough for every signature.
const BEATS: f64 = 4.0;
/// Bars of a line of usual length.
const LINE_BARS: f64 = 2.0;
/// Syllables that a line of usual length holds at most; a longer one takes as much again.
const LINE_SYLLABLES: usize = 14;
/// Bars of a part without words: an intro, a solo.
const SILENT_PART_BARS: f64 = 8.0;
/// Bars between two parts.
const BETWEEN_BARS: f64 = 1.0;

/// Seconds that `lyrics` take at `bpm`, about; `None` where there are no words.
pub fn sung_secs(lyrics: &str, bpm: Option<Bpm>) -> Option<f64> {
    let mut bars = 0.0;
    let mut words = false;
    // Whether a part has begun that has no line yet.
    let mut silent = false;
    for line in lyrics
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        if line.starts_with('[') {
            bars += if silent {
                SILENT_PART_BARS
            } else {
                BETWEEN_BARS
            };
            silent = true;
        } else {
            words = true;
            silent = false;
            bars += LINE_BARS * syllables(line).div_ceil(LINE_SYLLABLES).max(1) as f64;
        }
    }
    if silent {
        bars += SILENT_PART_BARS;
    }
    let bpm = bpm.map_or(USUAL_BPM, |bpm| f64::from(bpm.0.clamp(Bpm::MIN, Bpm::MAX)));
    words.then(|| bars * BEATS * 60.0 / bpm)
}

/// Vowels of alphabets, small and large.
const VOWELS: &str = "aeiouyäöüàáâãåæèéêëìíîïòóôõøùúûаеёиоуыэюяαεηιουω\
    AEIOUYÄÖÜÀÁÂÃÅÆÈÉÊËÌÍÎÏÒÓÔÕØÙÚÛАЕЁИОУЫЭЮЯΑΕΗΙΟΥΩ";

/// Runs of vowels in letters that have some; a letter each where writing is by syllable.
fn syllables(line: &str) -> usize {
    let mut count = 0;
    let mut after_vowel = false;
    for letter in line.chars() {
        let is_vowel = VOWELS.contains(letter);
        // Kana, Han, Hangul and, of two letters of an alphabet without vowels, one.
        let is_syllable = matches!(letter, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}');
        if is_syllable || (is_vowel && !after_vowel) {
            count += 1;
        }
        after_vowel = is_vowel;
    }
    if count == 0 {
        count = line
            .chars()
            .filter(|letter| letter.is_alphabetic())
            .count()
            .div_ceil(2);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_take_time_and_marks_alone_take_none() {
        assert_eq!(sung_secs("", None), None);
        assert_eq!(sung_secs("[Instrumental]", None), None);
        let one = sung_secs("Music fills the air", None).unwrap();
        assert!((one - 4.8).abs() < 1e-9, "{one}");
        // Twice as fast takes half as long, and no tempo is no division by zero.
        let fast = sung_secs("Music fills the air", Some(Bpm(200))).unwrap();
        assert!((fast - one / 2.0).abs() < 1e-9);
        assert!(sung_secs("la", Some(Bpm(0))).unwrap().is_finite());
    }

    #[test]
    fn a_usual_song_is_some_minutes() {
        let verse = "Last bus leaving with its lights half down\n".repeat(4);
        let chorus = "Hold on till the morning\n".repeat(4);
        let song = format!(
            "[Intro]\n[Verse]\n{verse}[Chorus]\n{chorus}[Verse]\n{verse}[Chorus]\n{chorus}[Solo]\n[Chorus]\n{chorus}[Outro]\n"
        );
        let secs = sung_secs(&song, Some(Bpm(100))).unwrap();
        assert!((120.0..240.0).contains(&secs), "{secs}");
    }

    #[test]
    fn long_lines_take_longer_in_every_script() {
        for line in [
            "a very long line that nobody could ever sing in the time of two short bars",
            "夜のバスの窓に映るあなたの横顔をいつまでも見ていたかった",
            "אוטובוס הלילה האחרון יוצא מהתחנה ואני יושב לבד ליד החלון החשוך",
        ] {
            let (short, long) = (sung_secs("la la", None), sung_secs(line, None));
            assert!(long > short, "{line}: {long:?}");
        }
    }
}
