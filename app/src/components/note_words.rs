//! Notes in the language of the page, by their code and figures. What has no words here is said in the
//! studio's own English.

use acestep_domain::{Note, param::range_of, param::spec_of};

use crate::{
    i18n::{Locale, td_string},
    pages::generate::param_words,
};

/// The note in words.
pub fn words(locale: Locale, note: &Note) -> String {
    translated(locale, note).unwrap_or_else(|| note.message.clone())
}

fn translated(locale: Locale, note: &Note) -> Option<String> {
    let fixed = match note.code.as_str() {
        "nothing_described" => Some(td_string!(locale, notes.nothing_described)),
        "lyrics_ignored" => Some(td_string!(locale, notes.lyrics_ignored)),
        "vocal_language_ignored" => Some(td_string!(locale, notes.vocal_language_ignored)),
        "region_is_everything" => Some(td_string!(locale, notes.region_is_everything)),
        "thinking_without_lm" => Some(td_string!(locale, notes.thinking_without_lm)),
        "caption_kept" => Some(td_string!(locale, notes.caption_kept)),
        "cover_without_codes" => Some(td_string!(locale, notes.cover_without_codes)),
        "normalize_ignored" => Some(td_string!(locale, notes.normalize_ignored)),
        "offload_acts" => Some(td_string!(locale, notes.offload_acts)),
        // The English of the studio says why as well.
        "thinking_without_codes" if locale != Locale::en => {
            Some(td_string!(locale, notes.thinking_without_codes))
        }
        _ => None,
    };
    match fixed {
        Some(words) => Some(words.to_owned()),
        None => with_figures(locale, note),
    }
}

/// What has its figures in it.
fn with_figures(locale: Locale, note: &Note) -> Option<String> {
    let figure = |name: &str| note.figure(name).map(str::to_owned);
    match note.code.as_str() {
        "duration_auto" => Some(td_string!(
            locale,
            notes.duration_auto,
            used = figure("used")?
        )),
        "duration_by_source" => Some(td_string!(
            locale,
            notes.duration_by_source,
            used = figure("used")?
        )),
        "duration_by_codes" => {
            let (given, used) = (figure("given")?, figure("used")?);
            Some(td_string!(
                locale,
                notes.duration_by_codes,
                given = given,
                used = used
            ))
        }
        "seed_ignored" => {
            let (given, used) = (figure("given")?, figure("used")?);
            Some(td_string!(
                locale,
                notes.seed_ignored,
                given = given,
                used = used
            ))
        }
        "lm_would_say" => {
            let (own, would) = (figure("own")?, figure("would")?);
            let name = name_of(locale, note)?;
            Some(td_string!(
                locale,
                notes.lm_would_say,
                name = name,
                own = own,
                would = would
            ))
        }
        "timesteps_unread" => timesteps(locale, note),
        "field_not_understood" => {
            let (name, given) = (name_of(locale, note)?, figure("given")?);
            Some(td_string!(
                locale,
                notes.not_left_out,
                name = name,
                given = given
            ))
        }
        "caption_long" => {
            let (n, max) = (figure("n")?, figure("max")?);
            Some(td_string!(locale, notes.caption_long, n = n, max = max))
        }
        "lyrics_long" => {
            let (n, max) = (figure("n")?, figure("max")?);
            Some(td_string!(locale, notes.lyrics_long, n = n, max = max))
        }
        "lyrics_over" => {
            let (sung, length) = (figure("sung")?, figure("length")?);
            Some(td_string!(
                locale,
                notes.lyrics_over,
                sung = sung,
                length = length
            ))
        }
        "clipped" => Some(td_string!(locale, notes.clipped, n = figure("n")?)),
        "decode_in_smaller_tiles" => {
            let (used, usual) = (figure("used")?, figure("usual")?);
            Some(td_string!(
                locale,
                notes.smaller_tiles,
                used = used,
                usual = usual
            ))
        }
        "bpm_rounded" => {
            let (given, used) = (figure("given")?, figure("used")?);
            Some(td_string!(
                locale,
                notes.bpm_rounded,
                given = given,
                used = used
            ))
        }
        "lowered_to_fit" | "duration_rounded" => clamped(locale, note),
        code if code.ends_with("_clamped") => clamped(locale, note),
        code if code.ends_with("_ignored") => ignored(locale, note),
        _ => None,
    }
}

/// Timesteps of one's own that cannot be used: which of them, and what decides meanwhile.
fn timesteps(locale: Locale, note: &Note) -> Option<String> {
    let figure = |name: &str| note.figure(name).map(str::to_owned);
    match note.figure("why")? {
        "list" => Some(td_string!(locale, notes.timesteps.list).to_owned()),
        "part" => {
            let (place, part) = (figure("place")?, figure("part")?);
            Some(td_string!(
                locale,
                notes.timesteps.part,
                place = place,
                part = part
            ))
        }
        "rises" => {
            let (place, part, before) = (figure("place")?, figure("part")?, figure("before")?);
            Some(td_string!(
                locale,
                notes.timesteps.rises,
                place = place,
                part = part,
                before = before
            ))
        }
        "many" => {
            let (n, max) = (figure("n")?, figure("max")?);
            Some(td_string!(locale, notes.timesteps.many, n = n, max = max))
        }
        _ => None,
    }
}

/// Something else is used than was asked for, and what sets the limit.
fn clamped(locale: Locale, note: &Note) -> Option<String> {
    let figure = |name: &str| note.figure(name).map(str::to_owned);
    let (name, asked, used) = (name_of(locale, note)?, figure("asked")?, figure("used")?);
    // What all of them say, beside the key that says why.
    macro_rules! say {
        ($why:ident $(, $more:ident)*) => {
            td_string!(
                locale,
                notes.clamped.$why,
                name = name,
                asked = asked,
                used = used
                $(, $more = $more)*
            )
        };
    }
    let words = match (figure("why").as_deref(), figure("tier")) {
        (Some("tier_lm"), Some(tier)) => say!(tier_lm, tier),
        (Some("tier_no_lm"), Some(tier)) => say!(tier_no_lm, tier),
        (Some("tier_lm"), None) => say!(lm),
        (Some("tier_no_lm"), None) => say!(no_lm),
        (Some("models"), _) => say!(models),
        (Some("memory"), _) => say!(memory),
        (Some("tenths"), _) => say!(tenths),
        (Some("turbo"), _) => say!(turbo),
        (Some("turbo_guidance"), _) => say!(guidance),
        _ => {
            let (low, high) = range_of(note.field.as_deref()?);
            if !low.is_finite() || !high.is_finite() {
                return None;
            }
            say!(range, low, high)
        }
    };
    Some(if figure("way_out").is_some() {
        format!("{words} {}", td_string!(locale, notes.more_without_lm))
    } else {
        words
    })
}

/// Something that was given is not used.
fn ignored(locale: Locale, note: &Note) -> Option<String> {
    let name = name_of(locale, note)?;
    match note.figure("why")? {
        "task" => {
            let task = note.figure("task")?.to_owned();
            Some(td_string!(
                locale,
                notes.ignored.task,
                name = name,
                task = task
            ))
        }
        "codes" => Some(td_string!(locale, notes.ignored.codes, name = name)),
        "mode" => Some(td_string!(locale, notes.ignored.mode, name = name)),
        "turbo_guidance" => Some(td_string!(locale, notes.ignored.guidance, name = name)),
        _ => None,
    }
}

/// The printed name of what the note is about.
fn name_of(locale: Locale, note: &Note) -> Option<&'static str> {
    let key = spec_of(note.field.as_deref()?)?.key;
    Some(param_words::name(locale, key))
}

#[cfg(test)]
mod tests {
    use acestep_domain::{
        generation::{
            GenerationParams,
            clamp::{Bounds, clamp},
            read::{params_from_json, timesteps_unread},
        },
        memory::Change,
        task::{Family, TaskType},
        tier::GpuTier,
    };

    use super::*;

    fn notes() -> Vec<Note> {
        let bounds = |tier, lm_loaded| Bounds {
            tier,
            lm_loaded,
            family: Family::Turbo,
            unlimited: false,
        };
        let asked = GenerationParams {
            duration_secs: Some(3600.0),
            batch_size: 99,
            inference_steps: 50,
            guidance_scale: 7.0,
            use_adg: true,
            shift: 99.0,
            seeds: (0..90).collect(),
            lyrics: "Hallo".into(),
            instrumental: true,
            vocal_language: acestep_domain::metadata::Language::parse("de").unwrap(),
            ..GenerationParams::default()
        };
        let open = GenerationParams {
            track_name: Some("drums".into()),
            ..GenerationParams::default()
        };
        let codes = GenerationParams {
            task_type: TaskType::Cover,
            src_audio: Some("0190".into()),
            audio_codes: "1, 2, 3, 4, 5".into(),
            duration_secs: Some(30.0),
            ..GenerationParams::default()
        };
        let tenths = GenerationParams {
            duration_secs: Some(30.06),
            ..GenerationParams::default()
        };
        let lowered = Change {
            field: "batch_size".to_owned(),
            value: 1.into(),
        };
        let broken = serde_json::json!({ "bpm": 120.6 });
        let broken = params_from_json(&broken, GenerationParams::default()).unwrap();
        [
            (asked.clone(), GpuTier::Tier4, true),
            (asked.clone(), GpuTier::Tier4, false),
            (asked, GpuTier::Unlimited, true),
            (open, GpuTier::Tier1, false),
            (codes, GpuTier::Tier1, false),
            (tenths, GpuTier::Tier1, false),
        ]
        .into_iter()
        .flat_map(|(params, tier, lm)| clamp(params, bounds(tier, lm)).unwrap().notes)
        .chain(
            ["1, two", "0.5, 0.7", "0.5,".repeat(201).as_str()]
                .map(|text| timesteps_unread(&text.into()).unwrap()),
        )
        .chain([lowered.lowered_to_fit("Takes", &4, &1)])
        .chain(broken.strict().unwrap().1)
        .collect()
    }

    /// The English of the page is the English of the studio, so neither runs away from the other.
    #[test]
    fn english_says_what_the_studio_says() {
        let notes = notes();
        assert!(notes.len() > 20, "{notes:?}");
        for note in notes {
            assert_eq!(words(Locale::en, &note), note.message);
        }
    }

    #[test]
    fn other_languages_have_words_of_their_own_with_the_figures_in_them() {
        for note in notes() {
            for locale in [Locale::zh, Locale::ja, Locale::he] {
                let own = words(locale, &note);
                assert_ne!(own, note.message, "{}", note.code);
                for name in ["asked", "used"] {
                    if let Some(figure) = note.figure(name) {
                        assert!(own.contains(figure), "{}: {own}", note.code);
                    }
                }
            }
        }
    }

    #[test]
    fn what_has_no_words_here_is_said_as_it_came() {
        let note = Note::new("brand_new", "shift", "Shift: something new.");
        assert_eq!(words(Locale::ja, &note), "Shift: something new.");
    }
}
