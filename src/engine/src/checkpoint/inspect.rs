//! What is in a checkpoint folder and what is wrong with it, from configs and headers alone.
//!
//! Never fails and never reads tensor data: a fault is a sentence in the report. Each network is
//! loaded as a rehearsal, so every missing tensor and every wrong shape is found, not the first.

mod file;
mod text;

use std::{collections::BTreeMap, path::Path};

use acestep_domain::task::Family;
use serde::Serialize;

use super::{
    gguf::{self, Kind},
    layout::{self, DIT_PREFIX, SILENCE, TEXT_ENCODER, VAE, has_extension},
    list::LM_PREFIX,
    lora::{LoraReport, inspect_loras},
    part::open_weights,
    pickle,
    source::Source,
};
use crate::{
    error::{Error, message},
    models::{
        AudioDetokenizer, AudioTokenizer, ConditionEncoder, Dit, Qwen3, dit,
        oobleck::{self, Oobleck},
        qwen3::{self, CausalLm},
    },
    nn::{Backend, WeightFile, Weights},
    planner::tokenizer::LmTokenizer,
    text::tokenizer::TextTokenizer,
};

/// Sentences of one kind that are listed before the rest is only counted.
const LISTED: usize = 8;

/// What was found below a path.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inspection {
    /// The folder.
    pub path: String,
    /// One report a model folder, sorted by name.
    pub models: Vec<ModelReport>,
    /// One report an adapter, where there are no models.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub loras: Vec<LoraReport>,
    /// What is wrong with the folder as a whole, in words.
    pub problems: Vec<String>,
}

/// What a model folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// Decoder, condition encoder and audio tokenizers.
    Dit,
    /// Autoencoder.
    Vae,
    /// Text encoder.
    TextEncoder,
    /// 5Hz language model.
    Lm,
    /// Not a model this program knows.
    Unknown,
}

/// One model folder.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelReport {
    /// Folder name.
    pub name: String,
    /// What it is, by its config.
    pub kind: ModelKind,
    /// Turbo or base, for a DiT.
    pub family: Option<Family>,
    /// Parameters in its weight files.
    pub parameters: u64,
    /// How they are stored, for example `BF16`.
    pub dtype: String,
    /// Bytes of its weight files.
    pub bytes: u64,
    /// Tensors in its weight files.
    pub tensors: usize,
    /// Its weight files.
    pub files: Vec<String>,
    /// What is wrong with it, in words; empty when it can be loaded.
    pub problems: Vec<String>,
    /// What is odd about it but no reason to refuse it, in words.
    pub notes: Vec<String>,
}

/// Looks at a folder of checkpoints, at one model folder, at a folder of adapters, or at one adapter.
pub fn inspect(dir: &Path) -> Inspection {
    let source = Source::Folder(dir.to_path_buf());
    let mut inspection = Inspection {
        path: dir.display().to_string(),
        models: Vec::new(),
        loras: Vec::new(),
        problems: Vec::new(),
    };
    if dir.is_file() && has_extension(&dir.to_string_lossy(), "gguf") {
        inspection.models.extend(from_above(dir));
        return inspection;
    }
    if dir.is_file() || source.has("adapter_config.json") {
        inspection.loras = inspect_loras(dir);
        if inspection.loras.is_empty() {
            inspection
                .problems
                .push("this is no folder of models and no adapter in a safetensors file".into());
        }
        return inspection;
    }
    if !dir.is_dir() {
        inspection.problems.push("there is no such folder".into());
        return inspection;
    }
    if source.has("config.json") {
        inspection.models.extend(from_above(dir));
        return inspection;
    }
    for name in source.names("") {
        if !source.has_folder(&name) {
            // Files of other programs are passed over; one that nobody can read may be a model of ours.
            let meant = || {
                is_model_name(&name)
                    || gguf::kind(&source, &name).is_some()
                    || source.open(&name).is_err()
            };
            if has_extension(&name, "gguf") && meant() {
                inspection.models.push(report(&source, &name));
            }
            continue;
        }
        let files = gguf::files(&source, &name);
        let whole = match files.len() {
            0 => is_model_name(&name),
            1 => true,
            _ => false,
        };
        if whole || source.has(&format!("{name}/config.json")) {
            inspection.models.push(report(&source, &name));
        } else {
            let files = files.iter().map(|file| report(&source, file));
            inspection.models.extend(files);
        }
    }
    if inspection.models.is_empty() {
        inspection.loras = inspect_loras(dir);
        if !inspection.loras.is_empty() {
            return inspection;
        }
    }
    for (kind, folder) in [
        (ModelKind::Vae, VAE),
        (ModelKind::TextEncoder, TEXT_ENCODER),
    ] {
        if !inspection
            .models
            .iter()
            .any(|model| model.kind == kind || model.name == folder)
        {
            inspection
                .problems
                .push(format!("the folder {folder} is missing"));
        }
    }
    if !inspection
        .models
        .iter()
        .any(|model| model.kind == ModelKind::Dit || model.name.starts_with(DIT_PREFIX))
    {
        inspection
            .problems
            .push(format!("there is no DiT folder ({DIT_PREFIX}…)"));
    }
    inspection
}

/// One model folder or file: seen from above, its name tells what it is.
fn from_above(place: &Path) -> Option<ModelReport> {
    let whole = place.canonicalize().unwrap_or_else(|_| place.to_path_buf());
    let source = Source::Folder(whole.parent()?.to_path_buf());
    Some(report(&source, &whole.file_name()?.to_string_lossy()))
}

fn is_model_name(name: &str) -> bool {
    name.starts_with(DIT_PREFIX)
        || name.starts_with(LM_PREFIX)
        || name == VAE
        || name == TEXT_ENCODER
}

/// Looks at one model folder of a source.
pub(super) fn report(source: &Source, name: &str) -> ModelReport {
    let mut report = ModelReport {
        name: name.to_owned(),
        kind: ModelKind::Unknown,
        family: None,
        parameters: 0,
        dtype: String::new(),
        bytes: 0,
        tensors: 0,
        files: Vec::new(),
        problems: Vec::new(),
        notes: Vec::new(),
    };
    let last = name.rsplit('/').next().unwrap_or(name);
    let wanted = if last.starts_with(LM_PREFIX) {
        Kind::Lm
    } else {
        Kind::Dit
    };
    match gguf::find(source, name, wanted) {
        Ok(None) => {}
        Ok(Some(file)) => {
            let kind = gguf::kind(source, &file).unwrap_or(wanted);
            file::check(&mut report, source, (&file, kind));
            return report;
        }
        Err(error) => {
            report.problems.push(sentence("weights", &error));
            return report;
        }
    }
    let config: serde_json::Value =
        match super::config::read(source, &format!("{name}/config.json")) {
            Ok(config) => config,
            Err(error) => {
                report.problems.push(sentence("config.json", &error));
                return report;
            }
        };
    report.kind = kind_of(name, &config);
    let files = match open_weights(source, name) {
        Ok((files, names)) => {
            report.bytes = names
                .iter()
                .map(|file| source.size(&format!("{name}/{file}")))
                .sum();
            report.files = names;
            files
        }
        Err(error) => {
            report.problems.push(sentence("weights", &error));
            return report;
        }
    };
    count(&mut report, &files);
    let config = Config { value: config };
    match report.kind {
        ModelKind::Dit => check_dit(&mut report, source, &config, files),
        ModelKind::TextEncoder | ModelKind::Lm => check_qwen3(&mut report, source, &config, files),
        ModelKind::Vae => check_vae(&mut report, &config, files),
        ModelKind::Unknown => report
            .problems
            .push("config.json describes no model that this program knows".into()),
    }
    report
}

fn kind_of(name: &str, config: &serde_json::Value) -> ModelKind {
    let text = |key: &str| {
        config
            .get(key)
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default()
    };
    match (text("model_type"), text("_class_name")) {
        ("acestep", _) => ModelKind::Dit,
        (_, "AutoencoderOobleck") => ModelKind::Vae,
        ("qwen3", _) if name.starts_with(LM_PREFIX) => ModelKind::Lm,
        ("qwen3", _) => ModelKind::TextEncoder,
        _ => ModelKind::Unknown,
    }
}

fn count(report: &mut ModelReport, files: &[WeightFile]) {
    let mut dtypes = BTreeMap::<String, u64>::new();
    for file in files {
        for info in file.tensors().values() {
            let values = info.shape.iter().product::<usize>() as u64;
            report.parameters += values;
            report.tensors += 1;
            *dtypes.entry(info.stored.to_string()).or_default() += values;
        }
    }
    let mut dtypes: Vec<_> = dtypes.into_iter().collect();
    dtypes.sort_by_key(|(_, values)| std::cmp::Reverse(*values));
    report.dtype = dtypes
        .into_iter()
        .map(|(dtype, _)| dtype)
        .collect::<Vec<_>>()
        .join(", ");
}

struct Config {
    value: serde_json::Value,
}

impl Config {
    fn typed<T: serde::de::DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_value(self.value.clone()).map_err(|error| {
            format!(
                "config.json: {}",
                error.to_string().replace("missing field", "missing key")
            )
        })
    }
}

fn check_dit(report: &mut ModelReport, source: &Source, config: &Config, files: Vec<WeightFile>) {
    let cfg = match config.typed::<dit::Config>().and_then(|cfg| {
        cfg.validate()
            .map(|()| cfg)
            .map_err(|why| format!("config.json: {why}"))
    }) {
        Ok(cfg) => cfg,
        Err(problem) => return report.problems.push(problem),
    };
    rehearse_dit(report, &cfg, files);
    let silence = source
        .read(&format!("{}/{SILENCE}", report.name))
        .map_err(|error| sentence(SILENCE, &error))
        .and_then(|bytes| pickle::tensor(&bytes).map_err(|why| format!("{SILENCE}: {why}")))
        .and_then(|tensor| {
            layout::check_silence(&cfg, tensor.dims()).map_err(|why| format!("{SILENCE}: {why}"))
        });
    if let Err(problem) = silence {
        report.problems.push(problem);
    }
}

/// Every network of a DiT's file.
fn rehearse_dit(report: &mut ModelReport, cfg: &dit::Config, files: Vec<WeightFile>) {
    report.family = Some(
        cfg.family()
            .unwrap_or_else(|| Family::from_name(&report.name)),
    );
    rehearse(report, files, |w| {
        let backend = Backend::default();
        Dit::load(cfg, backend, &w.pp("decoder"))?;
        ConditionEncoder::load(cfg, backend, w)?;
        AudioTokenizer::load(cfg, backend, &w.pp("tokenizer"))?;
        AudioDetokenizer::load(cfg, backend, &w.pp("detokenizer"))?;
        Ok(())
    });
}

/// A text encoder, or a language model.
fn rehearse_qwen3(report: &mut ModelReport, cfg: &qwen3::Config, files: Vec<WeightFile>) {
    let is_lm = report.kind == ModelKind::Lm;
    rehearse(report, files, |w| {
        let backend = Backend::default();
        if is_lm {
            CausalLm::load(cfg, backend, w).map(drop)
        } else {
            Qwen3::load(cfg, backend, w).map(drop)
        }
    });
}

fn check_qwen3(report: &mut ModelReport, source: &Source, config: &Config, files: Vec<WeightFile>) {
    match config
        .typed::<qwen3::Config>()
        .and_then(|cfg| cfg.validate().map(|()| cfg))
    {
        Ok(cfg) => rehearse_qwen3(report, &cfg, files),
        Err(problem) => report.problems.push(problem),
    }
    let name = format!("{}/tokenizer.json", report.name);
    let read = source.read(&name).and_then(|bytes| {
        let path = Path::new(&name);
        if report.kind == ModelKind::Lm {
            LmTokenizer::from_bytes(&bytes, path).map(drop)
        } else {
            TextTokenizer::from_bytes(&bytes, path).map(drop)
        }
    });
    if let Err(error) = read {
        report.problems.push(sentence("tokenizer.json", &error));
    }
}

fn check_vae(report: &mut ModelReport, config: &Config, files: Vec<WeightFile>) {
    match config.typed::<oobleck::Config>() {
        Ok(cfg) => rehearse(report, files, |w| Oobleck::load(&cfg, w).map(drop)),
        Err(problem) => report.problems.push(problem),
    }
}

/// Loads without data and reports what is missing, misshapen, or not used.
fn rehearse(
    report: &mut ModelReport,
    files: Vec<WeightFile>,
    load: impl FnOnce(&Weights) -> candle_core::Result<()>,
) {
    let weights = match Weights::rehearsal(files) {
        Ok(weights) => weights,
        Err(damage) => return report.problems.push(damage.to_string()),
    };
    if let Err(error) = load(&weights) {
        report.problems.push(message(&error));
    }
    listed(
        &mut report.problems,
        weights.complaints(),
        "more tensors are missing or misshapen",
    );
    let unused = weights
        .unused()
        .into_iter()
        .filter(|name| name != gguf::SILENCE)
        .map(|name| format!("the tensor {name} belongs to no network"));
    listed(
        &mut report.notes,
        unused.collect(),
        "more tensors belong to no network",
    );
}

fn listed(problems: &mut Vec<String>, mut sentences: Vec<String>, more: &str) {
    let rest = sentences.len().saturating_sub(LISTED);
    sentences.truncate(LISTED);
    problems.append(&mut sentences);
    if rest > 0 {
        problems.push(format!("{rest} {more}"));
    }
}

/// The reason of a checkpoint error with the file's name instead of its whole path.
fn sentence(what: &str, error: &Error) -> String {
    match error {
        Error::Checkpoint { path, reason } => {
            let file = path
                .file_name()
                .map_or_else(|| what.into(), |name| name.to_string_lossy());
            format!("{file}: {reason}")
        }
        other => format!("{what}: {other}"),
    }
}
