//! What is wrong with a field, in the page's languages: by the key of the field, and by the value that
//! could not be read. The studio's own sentences call fields as JSON does, which is right for programs.

use acestep_domain::{
    UserError,
    param::{Kind, range_of, spec_of},
};

use crate::{
    i18n::{Locale, td_string},
    pages::generate::param_words,
};

/// The failure in words; as it came where there are none here.
pub fn words(locale: Locale, error: &UserError) -> String {
    translated(locale, error).unwrap_or_else(|| error.to_string())
}

fn translated(locale: Locale, error: &UserError) -> Option<String> {
    let key = error.field.as_deref()?;
    let figure = |name: &str| error.figure(name).map(str::to_owned);
    if figure("why").as_deref() == Some("lm_room") {
        let (n, max, name) = (figure("n")?, figure("max")?, figure("name")?);
        return Some(td_string!(
            locale,
            notes.words_too_many,
            n = n,
            max = max,
            name = name
        ));
    }
    let given = figure("given")?;
    let takes = takes(locale, key)?;
    let name = param_words::name(locale, spec_of(key)?.key);
    Some(td_string!(
        locale,
        notes.unread.say,
        name = name,
        given = given,
        takes = takes
    ))
}

/// What the field takes; completes the sentence "Give …".
fn takes(locale: Locale, key: &str) -> Option<String> {
    let (low, high) = range_of(key);
    Some(match key {
        "duration" => td_string!(locale, notes.unread.length).to_owned(),
        "repainting_start" | "repainting_end" => td_string!(locale, notes.unread.place).to_owned(),
        "bpm" => td_string!(locale, notes.unread.tempo, low = low, high = high),
        "keyscale" => td_string!(locale, notes.unread.key).to_owned(),
        "timesignature" => td_string!(locale, notes.unread.signature).to_owned(),
        "seed" => td_string!(locale, notes.unread.seed).to_owned(),
        "audio_codes" => td_string!(locale, notes.unread.codes).to_owned(),
        key => match spec_of(key)?.kind {
            Kind::Integer => td_string!(locale, notes.unread.whole, low = low, high = high),
            Kind::Number => td_string!(locale, notes.unread.number, low = low, high = high),
            _ => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use acestep_domain::generation::{GenerationParams, read::params_from_json};
    use serde_json::json;

    use super::*;

    fn error(key: &str, given: &str) -> UserError {
        params_from_json(&json!({ key: given }), GenerationParams::default())
            .unwrap()
            .errors
            .remove(0)
    }

    #[test]
    fn a_field_is_called_as_the_page_calls_it_with_what_it_takes() {
        assert_eq!(
            words(Locale::en, &error("duration", "1:75")),
            "Length: “1:75” cannot be read. Give minutes and seconds such as 3:30, with seconds below 60, \
             or seconds such as 90; empty is auto."
        );
        assert_eq!(
            words(Locale::en, &error("batch_size", "0")),
            "Takes: “0” cannot be read. Give a whole number from 1 to 8."
        );
        for (key, given) in [
            ("repainting_start", "later"),
            ("bpm", "fast"),
            ("keyscale", "H major"),
            ("seed", "1,,2"),
            ("shift", "inf"),
            ("lm_top_k", "1.5"),
        ] {
            let error = error(key, given);
            let english = words(Locale::en, &error);
            assert!(
                english.contains(given) && !english.contains(key),
                "{english}"
            );
            for locale in [Locale::zh, Locale::ja, Locale::he] {
                let own = words(locale, &error);
                assert!(own.contains(given), "{own}");
                assert_ne!(own, english);
            }
        }
    }

    #[test]
    fn what_has_no_words_here_is_said_as_it_came() {
        let other = UserError::invalid("src_audio", "It is too long.", "Take a shorter one.");
        assert_eq!(words(Locale::he, &other), other.to_string());
    }
}
