//! Names that stand in the wrong place: a language model where a main model is meant, or the reverse.

use super::{Installed, ServiceConfig};
use crate::{
    error::UserError,
    release::{RELEASES, ReleaseKind},
};

/// Refuses a name that means something else than its setting asks for. One that means nothing is for
/// whoever opens it to refuse.
///
/// # Errors
/// With the setting, and with what the thing is.
pub fn check_names(requested: &ServiceConfig, installed: Installed<'_>) -> Result<(), UserError> {
    let settings = [
        ("config_path", &requested.config_path, ReleaseKind::Main),
        ("lm_model_path", &requested.lm_model_path, ReleaseKind::Lm),
    ];
    for (field, name, meant) in settings {
        let Some(name) = name
            .as_deref()
            .map(str::trim)
            .filter(|name| !name.is_empty())
        else {
            continue;
        };
        if let Some(is) = kind(name, meant, installed)
            && is != meant
        {
            return Err(UserError {
                code: "checkpoint".to_owned(),
                ..UserError::invalid(
                    field,
                    format!("{name} is {}, not {}.", words(is), words(meant)),
                    hint(meant, installed),
                )
            });
        }
    }
    Ok(())
}

/// What is there by that name, as a release or by its file, first of all what is `meant`.
fn kind(name: &str, meant: ReleaseKind, installed: Installed<'_>) -> Option<ReleaseKind> {
    // A GGUF file may be named without its ending.
    let is_it = |there: &String| there == name || there.strip_suffix(".gguf") == Some(name);
    let is_main = installed.models.iter().any(|model| is_it(&model.name));
    let lms = installed.lms.iter().filter(|lm| lm.installed);
    let is_lm = lms.map(|lm| &lm.name).any(is_it);
    let there = [(ReleaseKind::Main, is_main), (ReleaseKind::Lm, is_lm)];
    let of = |kind: ReleaseKind| there.contains(&(kind, true)).then_some(kind);
    let released = || {
        let mut releases = RELEASES.iter().filter(|release| release.name == name);
        releases.next().map(|release| release.kind)
    };
    of(meant)
        .or_else(|| of(ReleaseKind::Main))
        .or_else(|| of(ReleaseKind::Lm))
        .or_else(released)
}

const fn words(kind: ReleaseKind) -> &'static str {
    match kind {
        ReleaseKind::Main => "a main model",
        ReleaseKind::Lm => "a language model",
        ReleaseKind::Part => "a part that main models need beside them",
    }
}

/// What could be named instead.
fn hint(meant: ReleaseKind, installed: Installed<'_>) -> String {
    let names: Vec<&str> = if meant == ReleaseKind::Main {
        let usable = installed
            .models
            .iter()
            .filter(|model| model.problem.is_none());
        usable.map(|model| model.name.as_str()).collect()
    } else {
        let there = installed.lms.iter().filter(|lm| lm.installed);
        there.map(|lm| lm.name.as_str()).collect()
    };
    match names.as_slice() {
        [] => format!(
            "There is no {} here yet; download one.",
            match meant {
                ReleaseKind::Lm => "language model",
                _ => "main model",
            }
        ),
        names => format!("Choose one of {}.", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        capabilities::{Capabilities, LmEntry, ModelEntry},
        task::Family,
    };

    fn checked(main: &str, lm: &str) -> Result<(), UserError> {
        let model = |name: &str| ModelEntry {
            name: name.to_owned(),
            family: Family::Turbo,
            size_bytes: 1,
            built_in: false,
            problem: None,
        };
        let machine = Capabilities::default();
        let lm_entry = |name: &str| LmEntry::installed(name.to_owned(), 1, false, &machine);
        let given = |name: &str| (!name.is_empty()).then(|| name.to_owned());
        check_names(
            &ServiceConfig {
                config_path: given(main),
                lm_model_path: given(lm),
                ..ServiceConfig::default()
            },
            Installed {
                models: &[
                    model("acestep-v15-base"),
                    model("mine-q8.gguf"),
                    model("both"),
                ],
                lms: &[lm_entry("acestep-5Hz-lm-0.6B"), lm_entry("both")],
            },
        )
    }

    #[test]
    fn a_name_in_the_wrong_place_is_told_by_what_it_is() {
        for (main, lm, field, message) in [
            (
                "",
                "acestep-v15-base",
                "lm_model_path",
                "acestep-v15-base is a main model, not a language model.",
            ),
            (
                "acestep-5Hz-lm-0.6B",
                "",
                "config_path",
                "acestep-5Hz-lm-0.6B is a language model, not a main model.",
            ),
            // One that is not there is known by its release.
            (
                "acestep-5Hz-lm-4B",
                "",
                "config_path",
                "acestep-5Hz-lm-4B is a language model, not a main model.",
            ),
            (
                "vae",
                "",
                "config_path",
                "vae is a part that main models need beside them, not a main model.",
            ),
            (
                "",
                "mine-q8",
                "lm_model_path",
                "mine-q8 is a main model, not a language model.",
            ),
        ] {
            let error = checked(main, lm).unwrap_err();
            assert_eq!(error.field.as_deref(), Some(field), "{error}");
            assert_eq!(error.message, message);
            assert!(!error.hint.is_empty());
        }
        for (main, lm) in [
            ("acestep-v15-base", "acestep-5Hz-lm-0.6B"),
            ("both", "both"),
            ("acestep-v15-turbo", "nope"),
            ("", ""),
        ] {
            assert_eq!(checked(main, lm), Ok(()));
        }
    }
}
