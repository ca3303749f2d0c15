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

/// Words of the catalogue for a note, with its figures in them, each under its own name; `name` is the
/// printed name of its field. `None` where the note has not all of them.
macro_rules! say {
    ($locale:ident, $note:ident, $($key:ident).+) => {
        Some(td_string!($locale, notes.$($key).+).to_owned())
    };
    ($locale:ident, $note:ident, $($key:ident).+ { $($figure:ident),+ }) => {
        Some(td_string!(
            $locale,
            notes.$($key).+,
            $($figure = figure($locale, $note, stringify!($figure))?),+
        ))
    };
}

fn translated(locale: Locale, note: &Note) -> Option<String> {
    match note.code.as_str() {
        "nothing_described" => say!(locale, note, nothing_described),
        "lyrics_ignored" => say!(locale, note, lyrics_ignored),
        "vocal_language_ignored" => say!(locale, note, vocal_language_ignored),
        "region_is_everything" => say!(locale, note, region_is_everything),
        "thinking_without_lm" => say!(locale, note, thinking_without_lm),
        "caption_kept" => say!(locale, note, caption_kept),
        "cover_without_codes" => say!(locale, note, cover_without_codes),
        "normalize_ignored" => say!(locale, note, normalize_ignored),
        "offload_acts" => say!(locale, note, offload_acts),
        // The English of the studio says why as well.
        "thinking_without_codes" if locale != Locale::en => {
            say!(locale, note, thinking_without_codes)
        }
        "duration_auto" => say!(locale, note, duration_auto { used }),
        "duration_by_source" => say!(locale, note, duration_by_source { used }),
        "planned_to_fit" => say!(locale, note, planned_to_fit { used, limit }),
        "duration_by_codes" => say!(locale, note, duration_by_codes { given, used }),
        "seed_ignored" => say!(locale, note, seed_ignored { given, used }),
        "lm_would_say" => say!(locale, note, lm_would_say { name, own, would }),
        "timesteps_unread" => timesteps(locale, note),
        "field_not_understood" => say!(locale, note, not_left_out { name, given }),
        "caption_long" => say!(locale, note, caption_long { n, max }),
        "lyrics_long" => say!(locale, note, lyrics_long { n, max }),
        "lyrics_over" => say!(locale, note, lyrics_over { sung, length }),
        "clipped" => say!(locale, note, clipped { n }),
        "decode_in_smaller_tiles" => say!(locale, note, smaller_tiles { used, usual }),
        "bpm_rounded" => say!(locale, note, bpm_rounded { given, used }),
        "lowered_to_fit" | "duration_rounded" => clamped(locale, note),
        code if code.ends_with("_clamped") => clamped(locale, note),
        code if code.ends_with("_ignored") => ignored(locale, note),
        _ => None,
    }
}

/// Timesteps of one's own that cannot be used: which of them, and what decides meanwhile.
fn timesteps(locale: Locale, note: &Note) -> Option<String> {
    match note.figure("why")? {
        "list" => say!(locale, note, timesteps.list),
        "part" => say!(locale, note, timesteps.part { place, part }),
        "rises" => say!(locale, note, timesteps.rises { place, part, before }),
        "many" => say!(locale, note, timesteps.many { n, max }),
        _ => None,
    }
}

/// Something else is used than was asked for, and what sets the limit.
fn clamped(locale: Locale, note: &Note) -> Option<String> {
    let words = match (note.figure("why"), note.figure("tier").is_some()) {
        (Some("tier_lm"), true) => say!(locale, note, clamped.tier_lm { name, asked, used, tier }),
        (Some("tier_no_lm"), true) => {
            say!(locale, note, clamped.tier_no_lm { name, asked, used, tier })
        }
        (Some("tier_lm"), false) => say!(locale, note, clamped.lm { name, asked, used }),
        (Some("tier_no_lm"), false) => say!(locale, note, clamped.no_lm { name, asked, used }),
        (Some("models"), _) => say!(locale, note, clamped.models { name, asked, used }),
        (Some("memory"), _) => say!(locale, note, clamped.memory { name, asked, used }),
        (Some("tenths"), _) => say!(locale, note, clamped.tenths { name, asked, used }),
        (Some("turbo"), _) => say!(locale, note, clamped.turbo { name, asked, used }),
        (Some("turbo_guidance"), _) => say!(locale, note, clamped.guidance { name, asked, used }),
        _ => out_of_range(locale, note),
    }?;
    Some(if note.figure("way_out").is_some() {
        format!("{words} {}", td_string!(locale, notes.more_without_lm))
    } else {
        words
    })
}

/// A number was outside what its field can be.
fn out_of_range(locale: Locale, note: &Note) -> Option<String> {
    let (low, high) = range_of(note.field.as_deref()?);
    if !low.is_finite() || !high.is_finite() {
        return None;
    }
    let figure = |name| figure(locale, note, name);
    Some(td_string!(
        locale,
        notes.clamped.range,
        name = figure("name")?,
        asked = figure("asked")?,
        used = figure("used")?,
        low = low,
        high = high
    ))
}

/// Something that was given is not used.
fn ignored(locale: Locale, note: &Note) -> Option<String> {
    match note.figure("why")? {
        "task" => say!(locale, note, ignored.task { name, task }),
        "codes" => say!(locale, note, ignored.codes { name }),
        "mode" => say!(locale, note, ignored.mode { name }),
        "turbo_guidance" => say!(locale, note, ignored.guidance { name }),
        _ => None,
    }
}

/// A figure of the note, or as `name` the printed name of its field.
fn figure(locale: Locale, note: &Note, name: &str) -> Option<String> {
    match name {
        "name" => name_of(locale, note).map(str::to_owned),
        _ => note.figure(name).map(str::to_owned),
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
        memory::{Change, planned_to_fit},
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
        .chain([planned_to_fit(130, 360)])
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
