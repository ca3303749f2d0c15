//! The parts of the documentation that are drawn from `acestep_domain`, between markers or as whole files.

use crate::shell::Workspace;
use acestep_domain::{
    defaults::defaults,
    param::{Acts, Group, Kind, ParamSpec, SPECS},
    task::Family,
    tier::{GpuTier, Limits, TIERS, TierRow},
};
use anyhow::{Context, Result, bail};
use std::fs;

const BEGIN: &str = "<!-- tiers:begin -->";
const END: &str = "<!-- tiers:end -->";

/// What the one parameter does that changes no song.
const DECODER_LOG: &str = "\n\
    `constrained_decoding_debug` changes nothing of a song. The program's log then tells of every token of the \
    language model: where in the grammar it was taken (`grammar.state`: `bpm`, `caption`, `codes`, …), how many tokens \
    were allowed there (`tokens.allowed`), which one was taken (`token.id`, `token.text`), and which one the model would \
    have taken if all were allowed (`free.id`, `free.text`); what the grammar forces is told as a run. Tokens are letters \
    of the words that were asked with, so they are told at the level debug: start the program with `--debug`, or with \
    `RUST_LOG=acestep_engine=debug`. Where that level is not logged, a note with the song says so.\n";

/// Headings of the parameter reference.
const GROUPS: [(Group, &str); 6] = [
    (Group::Text, "Words"),
    (Group::Music, "Music"),
    (Group::Sampler, "Sampler"),
    (Group::LanguageModel, "Language model"),
    (Group::Output, "Output"),
    (Group::Task, "Task, source and region"),
];

/// Writes the generated parts; with `check` fails instead, naming the files that would change.
pub(crate) fn run(workspace: &Workspace, check: bool) -> Result<()> {
    let readme = workspace.root.join("README.md");
    let reference = workspace.root.join("src/domain/PARAMETERS.md");
    let old = fs::read_to_string(&readme).context("README.md is missing")?;
    let pages = [
        (readme, between_markers(&old, &tier_table())?),
        (reference, parameter_reference()?),
    ];
    let mut stale = Vec::new();
    for (path, text) in pages {
        if fs::read_to_string(&path).is_ok_and(|old| old.replace("\r\n", "\n") == text) {
            continue;
        }
        if check {
            stale.push(path.display().to_string());
        } else {
            fs::write(&path, text)?;
            eprintln!("Wrote {}", path.display());
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    bail!("out of date: {}. Run `cargo xtask docs`.", stale.join(", "))
}

fn between_markers(page: &str, inner: &str) -> Result<String> {
    let page = page.replace("\r\n", "\n");
    let (head, rest) = page
        .split_once(BEGIN)
        .with_context(|| format!("README.md has no {BEGIN}"))?;
    let (_, tail) = rest
        .split_once(END)
        .with_context(|| format!("README.md has no {END}"))?;
    Ok(format!("{head}{BEGIN}\n{inner}{END}{tail}"))
}

/// The guide's table as it is compiled into the program.
fn tier_table() -> String {
    let mut table = String::from(
        "| Video memory | Tier | Language models | Longest song | Most takes at once | Language model at start |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    for row in &TIERS {
        let models: Vec<String> = row
            .lm_sizes
            .iter()
            .map(|size| format!("{} ({} GB)", size.as_str(), size.memory_gb()))
            .collect();
        table.extend([
            format!("| {} | {} ", row.tier.range_label(), tier_name(row.tier)),
            format!(
                "| {} ",
                if models.is_empty() {
                    "none".to_owned()
                } else {
                    models.join(", ")
                }
            ),
            format!(
                "| {} ",
                either(row, |limits| minutes(limits.max_duration_secs))
            ),
            format!(
                "| {} ",
                either(row, |limits| limits.max_batch_size.to_string())
            ),
            format!("| {} |\n", if row.lm_default { "on" } else { "off" }),
        ]);
    }
    table
}

fn tier_name(tier: GpuTier) -> String {
    tier.as_str()
        .strip_prefix("tier")
        .map_or_else(|| "Unlimited".to_owned(), |number| format!("Tier {number}"))
}

/// One figure where both agree or where the tier has no language model, else both.
fn either(row: &TierRow, figure: impl Fn(&Limits) -> String) -> String {
    let (with, without) = (figure(&row.with_lm), figure(&row.without_lm));
    if with == without || row.lm_sizes.is_empty() {
        without
    } else {
        format!("{with} with LM, {without} without")
    }
}

fn minutes(secs: u32) -> String {
    if secs.is_multiple_of(60) {
        format!("{} min", secs / 60)
    } else {
        format!("{secs} s")
    }
}

fn parameter_reference() -> Result<String> {
    let of = |family| serde_json::to_value(defaults(family, GpuTier::Unlimited));
    let (turbo, base) = (of(Family::Turbo)?, of(Family::Base)?);
    let mut page = String::from(
        "# Parameters\n\n\
         Written by `cargo xtask docs` from `param.rs` and `defaults.rs`; change those. The keys are those of the \
         parameter JSON, of `POST /api/v1/jobs` and of `acestep generate --params`. \"auto\" in the range means that the \
         value may be left to the model: `\"auto\"`, `null`, `-1` or an absent key.\n",
    );
    for (group, title) in GROUPS {
        page.extend([
            format!("\n## {title}\n\n"),
            "| key | value | range | default, turbo | default, base |\n| --- | --- | --- | --- | --- |\n".to_owned(),
        ]);
        page.extend(SPECS.iter().filter(|spec| spec.group == group).map(|spec| {
            let turbo = match spec.acts {
                Acts::BaseOnly => "no effect".to_owned(),
                Acts::Always => value(spec, &turbo[spec.key]),
            };
            let base = value(spec, &base[spec.key]);
            format!(
                "| `{}` | {} | {} | {turbo} | {base} |\n",
                spec.key,
                kind(spec.kind),
                range(spec)
            )
        }));
        if group == Group::LanguageModel {
            page.push_str(DECODER_LOG);
        }
    }
    Ok(page)
}

fn kind(kind: Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Switch => "true or false".to_owned(),
        Kind::Integer => "whole number".to_owned(),
        Kind::Number => "number".to_owned(),
        Kind::List => "list".to_owned(),
        Kind::Choice(choices) => choices
            .iter()
            .map(|choice| format!("`{choice}`"))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

fn range(spec: &ParamSpec) -> String {
    let mut parts = Vec::new();
    if let Some((low, high)) = spec.range {
        let unit = if spec.unit.is_empty() {
            String::new()
        } else {
            format!(" {}", spec.unit)
        };
        parts.push(format!("{low} to {high}{unit}"));
    }
    if spec.auto {
        parts.push("auto".to_owned());
    }
    parts.join(", ")
}

fn value(spec: &ParamSpec, value: &serde_json::Value) -> String {
    let empty =
        value.as_str().is_some_and(str::is_empty) || value.as_array().is_some_and(Vec::is_empty);
    // How the wire spells "the model decides" depends on the type of the key.
    let undecided = value.is_null() || empty || value.as_f64() == Some(-1.0) || value == "unknown";
    match undecided {
        true if spec.auto => "auto".to_owned(),
        true => "empty".to_owned(),
        false => format!("`{value}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_the_guide_says_of_an_8_gb_card() {
        let row = tier_table()
            .lines()
            .find(|line| line.contains("Tier 4"))
            .map(str::to_owned);
        assert_eq!(
            row.as_deref(),
            Some(
                "| 8-12 GB | Tier 4 | 0.6B (3 GB) | 4 min with LM, 6 min without | 2 with LM, 4 without | off |"
            )
        );
    }

    #[test]
    fn every_parameter_stands_in_the_reference() -> Result<()> {
        let page = parameter_reference()?;
        for spec in SPECS {
            assert!(
                page.contains(&format!("| `{}` |", spec.key)),
                "{}",
                spec.key
            );
        }
        Ok(())
    }

    #[test]
    fn what_stands_round_the_markers_is_kept() -> Result<()> {
        let page = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        assert_eq!(
            between_markers(&page, "new\n")?,
            format!("a\n{BEGIN}\nnew\n{END}\nb\n")
        );
        assert!(between_markers("no markers", "new").is_err());
        Ok(())
    }
}
