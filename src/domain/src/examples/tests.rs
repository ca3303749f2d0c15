use std::collections::{BTreeSet, HashSet};

use serde_json::json;

use super::*;
use crate::{
    generation::{
        clamp::{Bounds, clamp, is_instrumental_tag},
        read::params_from_json,
    },
    param::range_of,
    task::Family,
    tier::{GpuTier, limits},
};

/// Lines that are sung: neither blank nor a section.
fn sung(example: &CustomExample) -> Vec<&str> {
    example
        .lyrics
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('['))
        .collect()
}

/// Names of the sections, without what follows a dash or the number of a verse.
fn sections(example: &CustomExample) -> Vec<&str> {
    example
        .lyrics
        .lines()
        .filter_map(|line| line.strip_prefix('[')?.strip_suffix(']'))
        .map(|name| name.split(" - ").next().unwrap_or(name))
        .map(|name| name.trim_end_matches(|c: char| c == ' ' || c.is_ascii_digit()))
        .collect()
}

fn sung_examples() -> impl Iterator<Item = (&'static CustomExample, Vec<&'static str>)> {
    custom()
        .iter()
        .map(|example| (example, sung(example)))
        .filter(|(_, lines)| !lines.is_empty())
}

#[test]
fn there_are_enough_to_roll_for_a_while() {
    assert!(simple().len() >= 64, "{}", simple().len());
    assert!(custom().len() >= 44, "{}", custom().len());
    let silent = custom().len() - sung_examples().count();
    assert!(
        (5..custom().len() / 4).contains(&silent),
        "{silent} instrumentals"
    );
}

#[test]
fn both_kinds_are_sung_in_many_languages() {
    let spoken = |languages: &mut dyn Iterator<Item = Language>| {
        languages
            .filter(|language| *language != Language::UNKNOWN)
            .map(Language::code)
            .collect::<BTreeSet<_>>()
    };
    for codes in [
        spoken(&mut simple().iter().map(|example| example.vocal_language)),
        spoken(&mut custom().iter().map(|example| example.vocal_language)),
    ] {
        assert!(codes.len() >= 12, "{codes:?}");
        for interface in ["en", "zh", "ja", "he"] {
            assert!(codes.contains(interface), "{interface} in {codes:?}");
        }
    }
}

#[test]
fn no_text_is_there_twice() {
    fn once<'a>(texts: impl Iterator<Item = &'a str>) {
        let mut seen = HashSet::new();
        for text in texts {
            assert!(seen.insert(text), "twice: {text}");
        }
    }
    once(simple().iter().map(|example| example.description.as_str()));
    once(custom().iter().map(|example| example.caption.as_str()));
    once(
        custom()
            .iter()
            .filter(|example| !example.instrumental)
            .map(|example| example.lyrics.as_str()),
    );
    once(sung_examples().map(|(_, lines)| lines[0]));
}

#[test]
fn descriptions_are_one_sentence_that_fits_its_box() {
    for example in simple() {
        let text = &example.description;
        assert_eq!(text.trim(), text);
        assert!(!text.contains('\n') && !text.ends_with('.'), "{text}");
        assert!((10..=160).contains(&text.chars().count()), "{text}");
        assert_eq!(
            example.instrumental,
            example.vocal_language == Language::UNKNOWN,
            "the page locks the language of an instrumental: {text}"
        );
    }
}

#[test]
fn numbers_lie_where_the_form_and_every_tier_allow_them() {
    let (shortest, _) = range_of("duration");
    let longest = GpuTier::ALL
        .into_iter()
        .flat_map(|tier| [limits(tier, true), limits(tier, false)])
        .map(|limits| limits.max_duration_secs)
        .min()
        .unwrap();
    for example in custom() {
        let who = &example.caption;
        assert!((Bpm::MIN..=Bpm::MAX).contains(&example.bpm.0), "{who}");
        assert!(
            (shortest..=f64::from(longest)).contains(&example.duration_secs),
            "{who}"
        );
        assert!(
            KeyScale::MENU.contains(&example.keyscale.to_string().as_str()),
            "the menu of keys does not show {}: {who}",
            example.keyscale
        );
        assert!(TimeSignature::ALL.contains(&example.timesignature), "{who}");
        assert!(
            (100..512).contains(&example.caption.chars().count()),
            "{who}"
        );
        assert!(example.lyrics.chars().count() < 4096, "{who}");
    }
}

#[test]
fn every_song_can_be_generated_as_it_stands_on_the_smallest_card() {
    for example in custom() {
        let mut params = GenerationParams {
            batch_size: 1,
            ..GenerationParams::default()
        };
        example.apply_to(&mut params);
        let asked = params.clone();
        let clamped = clamp(
            params,
            Bounds {
                tier: GpuTier::Tier1,
                lm_loaded: true,
                family: Family::Turbo,
                unlimited: false,
            },
        )
        .unwrap();
        assert_eq!(clamped.notes, [], "{}", example.caption);
        assert_eq!(clamped.params, asked, "{}", example.caption);
    }
}

#[test]
fn the_keys_are_those_of_the_parameters() {
    for example in custom() {
        let base = GenerationParams::default();
        let mut applied = base.clone();
        example.apply_to(&mut applied);
        let (read, notes) = params_from_json(&json!(example), base)
            .unwrap()
            .strict()
            .unwrap();
        assert_eq!(notes, [], "{}", example.caption);
        assert_eq!(read, applied, "{}", example.caption);
    }
}

#[test]
fn applying_an_example_leaves_the_other_settings() {
    let mut params = GenerationParams {
        seeds: vec![7],
        inference_steps: 5,
        lyrics: "old words".to_owned(),
        ..GenerationParams::default()
    };
    let example = &custom()[0];
    example.apply_to(&mut params);
    assert_eq!((params.inference_steps, params.seeds), (5, vec![7]));
    assert_eq!(params.lyrics, example.lyrics);
    assert_eq!(params.bpm, Some(example.bpm));
}

#[test]
fn sections_are_written_the_way_the_models_know_them() {
    const KNOWN: &[&str] = &[
        "Intro",
        "Verse",
        "Pre-Chorus",
        "Chorus",
        "Bridge",
        "Rap",
        "Break",
        "Build-Up",
        "Drop",
        "Breakdown",
        "Guitar Solo",
        "Solo",
        "Outro",
        "Instrumental",
        "Head",
        "Trading Fours",
        "Theme A",
        "Theme B",
        "Main Theme",
        "Variation",
    ];
    for example in custom() {
        for name in sections(example) {
            assert!(KNOWN.contains(&name), "{name}: {}", example.caption);
        }
        for line in example.lyrics.lines() {
            assert_eq!(line.trim(), line);
            assert_eq!(line.starts_with('['), line.ends_with(']'), "{line}");
            assert_eq!(line.matches(['[', ']']).count() % 2, 0, "{line}");
        }
    }
}

#[test]
fn songs_have_a_shape_and_time_to_be_sung() {
    for (example, lines) in sung_examples() {
        let who = &example.caption;
        let names = sections(example);
        let verses = names
            .iter()
            .filter(|name| matches!(**name, "Verse" | "Rap"));
        assert!(verses.count() >= 2, "{who}");
        let refrains = names
            .iter()
            .filter(|name| matches!(**name, "Chorus" | "Drop"));
        assert!(refrains.count() >= 1, "{who}");
        assert!((8..=30).contains(&lines.len()), "{}: {who}", lines.len());
        let secs_a_line = example.duration_secs / lines.len() as f64;
        assert!((4.0..9.0).contains(&secs_a_line), "{secs_a_line}: {who}");
        assert!(!example.instrumental, "{who}");
        assert_ne!(example.vocal_language, Language::UNKNOWN, "{who}");
    }
}

#[test]
fn instrumentals_have_no_word_to_sing() {
    let (mut marked, mut planned) = (0, 0);
    for example in custom() {
        if example.instrumental {
            // Any other lyrics would be kept and ignored, with a note at every run.
            assert!(is_instrumental_tag(&example.lyrics), "{}", example.caption);
            marked += 1;
        } else if sung(example).is_empty() {
            // Here the flag stays off: with it on, the plan would not reach the models.
            assert!(sections(example).len() >= 5, "{}", example.caption);
            planned += 1;
        } else {
            continue;
        }
        assert_eq!(example.vocal_language, Language::UNKNOWN);
        assert!(
            example.caption.starts_with("Instrumental"),
            "{}",
            example.caption
        );
    }
    assert!(marked >= 3 && planned >= 3, "{marked} and {planned}");
}

/// Whether `c` is a letter of the script in which `language` is written.
fn is_letter_of(language: &str, c: char) -> bool {
    let han = matches!(c, '\u{3400}'..='\u{9fff}' | '々');
    match language {
        "zh" | "yue" => han,
        "ja" => han || is_kana(c),
        "ko" => matches!(c, '\u{ac00}'..='\u{d7a3}'),
        "ru" | "uk" => matches!(c, '\u{0400}'..='\u{04ff}'),
        "el" => matches!(c, '\u{0370}'..='\u{03ff}'),
        "he" => matches!(c, '\u{0590}'..='\u{05ff}'),
        "ar" | "fa" => matches!(c, '\u{0600}'..='\u{06ff}'),
        "hi" => matches!(c, '\u{0900}'..='\u{097f}'),
        "bn" => matches!(c, '\u{0980}'..='\u{09ff}'),
        _ => matches!(c, 'A'..='z' | '\u{00c0}'..='\u{024f}' | '\u{1e00}'..='\u{1eff}'),
    }
}

fn is_kana(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}')
}

#[test]
fn lyrics_are_written_in_the_script_of_their_language() {
    for (example, lines) in sung_examples() {
        let language = example.vocal_language.code();
        for line in &lines {
            let mut letters = line.chars().filter(|c| c.is_alphabetic()).peekable();
            assert!(letters.peek().is_some(), "{language}: {line}");
            let foreign: String = letters.filter(|c| !is_letter_of(language, *c)).collect();
            assert_eq!(foreign, "", "{language}: {line}");
        }
        let text = lines.concat();
        match language {
            // Han alone would be Chinese.
            "ja" => assert!(text.chars().filter(|c| is_kana(*c)).count() > 50),
            // Letters that only this language of its script has.
            "uk" => assert!(text.contains(['і', 'ї', 'є']) && !text.contains(['ы', 'э', 'ё'])),
            "fa" => assert!(text.contains(['پ', 'چ', 'گ', 'ژ'])),
            "yue" => assert!(text.contains(['嘅', '咗', '啲', '嗰'])),
            _ => {}
        }
    }
}

#[test]
fn a_counter_rolls_every_example_before_one_returns() {
    for start in [0, 1, 1000, u64::MAX - 500] {
        let songs: HashSet<_> = (0..custom().len() as u64)
            .map(|roll| pick_custom(start + roll).caption.as_str())
            .collect();
        assert_eq!(songs.len(), custom().len());
        let descriptions: HashSet<_> = (0..simple().len() as u64)
            .map(|roll| pick_simple(start + roll).description.as_str())
            .collect();
        assert_eq!(descriptions.len(), simple().len());
    }
}

#[test]
fn neighbouring_rolls_lie_far_apart_whatever_the_count() {
    for len in 1..200 {
        let rolls: Vec<usize> = (0..len as u64)
            .map(|roll| index_from_seed(roll, len))
            .collect();
        assert_eq!(rolls.iter().collect::<HashSet<_>>().len(), len);
        if len > 20 {
            for pair in rolls.windows(2) {
                assert!(pair[0].abs_diff(pair[1]) > len / 10, "{len}: {pair:?}");
            }
        }
    }
    assert_eq!(pick_custom(u64::MAX), pick_custom(u64::MAX));
}

#[test]
fn a_description_is_picked_in_the_language_of_who_asks() {
    for language in ["en", "zh", "ja", "he"] {
        let picked: std::collections::HashSet<_> = (0..24)
            .map(|seed| pick_simple_in(seed, language))
            .inspect(|example| {
                let nobody_sings = example.instrumental && language == "en";
                assert!(nobody_sings || example.vocal_language.code() == language);
            })
            .map(|example| &example.description)
            .collect();
        assert!(picked.len() > 3, "{language}");
    }
    assert_eq!(pick_simple_in(3, "xx"), pick_simple(3));
}
