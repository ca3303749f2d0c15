//! What an adapter is and what is wrong with it, from its header alone.

use std::{collections::BTreeMap, fmt, path::Path};

use acestep_domain::lora::{LoraEntry, LoraKind};
use serde::Serialize;

use super::{Form, Lora, Place, form, places};
use crate::{checkpoint::Checkpoint, error::Error};

/// Keys of a safetensors header in which trainers name what they trained on, best first.
const BASE_KEYS: [&str; 3] = [
    "base_model",
    "ss_base_model_version",
    "modelspec.architecture",
];

/// Widths of the released DiTs (engine.md 1).
const WIDTHS: [(usize, &str); 2] = [(2048, "2B"), (2560, "XL")];

/// One adapter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoraReport {
    /// What it is called by.
    pub name: String,
    /// Its layout; absent when it cannot be read.
    pub kind: Option<LoraKind>,
    /// The rank that most of its layers have.
    pub rank: Option<usize>,
    /// What it was made for, by its own word or by its width.
    pub base: Option<String>,
    /// Layers that it changes.
    pub layers: usize,
    /// Parameters in its file.
    pub parameters: u64,
    /// How they are stored, for example `BF16`.
    pub dtype: String,
    /// Bytes of its weights.
    pub bytes: u64,
    /// What is wrong with it, in words; empty when it can be loaded.
    pub problems: Vec<String>,
    /// What is odd about it but no reason to refuse it, in words.
    pub notes: Vec<String>,
}

/// The adapters of `dir`, or the one that it is. Empty when there is none.
pub fn inspect_loras(dir: &Path) -> Vec<LoraReport> {
    places(dir).iter().map(|place| report(place).0).collect()
}

/// The adapters of `dir` as they are listed; with a `base`, what does not fit it has a problem.
pub fn list_loras(dir: &Path, base: Option<&Checkpoint>) -> Vec<LoraEntry> {
    let layers = base.and_then(|base| base.layers().ok());
    places(dir)
        .iter()
        .map(|place| {
            let (report, lora) = report(place);
            let misfit = || {
                let fitted = lora.as_ref()?.check(layers.as_ref()?);
                fitted.err().map(|error| reason(&error))
            };
            LoraEntry {
                problem: report.problems.first().cloned().or_else(misfit),
                name: report.name,
                kind: report.kind,
                rank: report.rank,
                base: report.base,
                layers: report.layers,
                size_bytes: report.bytes,
                loaded: false,
                scale: None,
                hash: None,
            }
        })
        .collect()
}

fn report(place: &Place) -> (LoraReport, Option<Lora>) {
    let mut report = LoraReport {
        name: place.name.clone(),
        kind: None,
        rank: None,
        base: None,
        layers: 0,
        parameters: 0,
        dtype: String::new(),
        bytes: place
            .weights
            .as_ref()
            .ok()
            .and_then(|path| std::fs::metadata(path).ok())
            .map_or(0, |meta| meta.len()),
        problems: Vec::new(),
        notes: Vec::new(),
    };
    let lora = match Lora::at(place) {
        Ok(lora) => lora,
        Err(error) => {
            report.problems.push(reason(&error));
            return (report, None);
        }
    };
    report.kind = Some(lora.kind);
    report.layers = lora.modules.len();
    let mut dtypes = BTreeMap::<String, u64>::new();
    for info in lora.file.tensors().values() {
        let values = info.shape.iter().product::<usize>() as u64;
        report.parameters += values;
        *dtypes.entry(info.stored.to_string()).or_default() += values;
    }
    report.dtype = dtypes
        .into_iter()
        .max_by_key(|(_, values)| *values)
        .map(|(dtype, _)| dtype)
        .unwrap_or_default();
    let forms: Vec<(&String, Result<Form, String>)> = lora
        .modules
        .iter()
        .map(|(module, parts)| (module, form(module, parts)))
        .collect();
    report.problems.extend(
        forms
            .iter()
            .find_map(|(_, form)| form.as_ref().err().cloned()),
    );
    let forms: Vec<(&String, &Form)> = forms
        .iter()
        .filter_map(|(module, form)| Some((*module, form.as_ref().ok()?)))
        .collect();
    let mut ranks = BTreeMap::<usize, usize>::new();
    for rank in forms.iter().filter_map(|(_, form)| form.rank()) {
        *ranks.entry(rank).or_default() += 1;
    }
    report.rank = ranks
        .into_iter()
        .max_by_key(|(_, layers)| *layers)
        .map(|(rank, _)| rank);
    report.base = declared_base(&lora).or_else(|| base_by_width(&forms));
    if !lora.strangers.is_empty() {
        report.notes.push(format!(
            "{} tensors are of no adapter, for example {}",
            lora.strangers.len(),
            lora.strangers[0]
        ));
    }
    (report, Some(lora))
}

fn declared_base(lora: &Lora) -> Option<String> {
    let of_header = || {
        BASE_KEYS
            .iter()
            .find_map(|key| lora.file.text(key))
            .filter(|base| !base.trim().is_empty())
    };
    lora.config.base().or_else(of_header).map(str::to_owned)
}

/// The width that goes into the first query projection.
fn base_by_width(forms: &[(&String, &Form)]) -> Option<String> {
    let (_, form) = forms
        .iter()
        .find(|(module, _)| ["q_proj", "to_q"].iter().any(|end| module.ends_with(end)))?;
    let (_, width) = form.dims();
    Some(
        WIDTHS
            .iter()
            .find(|(known, _)| *known == width)
            .map_or_else(|| format!("width {width}"), |(_, name)| (*name).to_owned()),
    )
}

/// The reason alone; the name stands beside it.
fn reason(error: &Error) -> String {
    match error {
        Error::Lora { reason, .. } => reason.clone(),
        other => other.to_string(),
    }
}

impl fmt::Display for LoraReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            None => "unknown",
            Some(LoraKind::Peft) => "LoRA, PEFT",
            Some(LoraKind::Comfyui) => "LoRA, ComfyUI",
            Some(LoraKind::Diffusers) => "LoRA, diffusers",
            Some(LoraKind::Kohya) => "LoRA, kohya",
            Some(LoraKind::Lokr) => "LoKr",
        };
        writeln!(f, "  {} ({kind})", self.name)?;
        if self.layers > 0 {
            let rank = self
                .rank
                .map_or_else(|| "no rank".to_owned(), |rank| format!("rank {rank}"));
            let base = self.base.as_deref().unwrap_or("an unknown base");
            writeln!(
                f,
                "    {} layers, {rank}, made for {base}, {} parameters, {}, {:.1} MB",
                self.layers,
                self.parameters,
                self.dtype,
                self.bytes as f64 / 1e6
            )?;
        }
        for problem in &self.problems {
            writeln!(f, "    ! {problem}")?;
        }
        for note in &self.notes {
            writeln!(f, "    - {note}")?;
        }
        Ok(())
    }
}
