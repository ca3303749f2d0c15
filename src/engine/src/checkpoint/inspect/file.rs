//! A model in one GGUF file.

use serde::de::DeserializeOwned;

use super::{ModelKind, ModelReport, count, rehearse, rehearse_dit, rehearse_qwen3, sentence};
use crate::{
    checkpoint::{
        gguf::{self, Kind},
        layout::{self, silence_dims},
        source::Source,
    },
    error::{Error, Result, message},
    models::{
        dit,
        oobleck::{self, Oobleck},
        qwen3,
    },
};

/// Looks at `file`, which says that it is of `kind`, or is taken for it by its name.
pub(super) fn check(report: &mut ModelReport, source: &Source, (file, kind): (&str, Kind)) {
    report.kind = match kind {
        Kind::Dit => ModelKind::Dit,
        Kind::TextEncoder => ModelKind::TextEncoder,
        Kind::Vae => ModelKind::Vae,
        Kind::Lm => ModelKind::Lm,
    };
    report.bytes = source.size(file);
    report.files = vec![file.to_owned()];
    if let Err(error) = look(report, source, (file, kind)) {
        report.problems.push(sentence(file, &error));
    }
}

fn look(report: &mut ModelReport, source: &Source, (file, kind): (&str, Kind)) -> Result<()> {
    let files = vec![gguf::open(source, file, kind)?];
    count(report, &files);
    match kind {
        Kind::Dit => {
            let cfg: dit::Config = config(source, (file, kind), dit::Config::validate)?;
            let silence = files[0].tensors().get(gguf::SILENCE);
            let silence = silence_dims(silence.map(|info| info.shape.as_slice()))
                .and_then(|dims| layout::check_silence(&cfg, &dims));
            rehearse_dit(report, &cfg, files);
            silence.map_err(|reason| Error::checkpoint(source.path(file), reason))
        }
        Kind::TextEncoder | Kind::Lm => {
            let cfg: qwen3::Config = config(source, (file, kind), qwen3::Config::validate)?;
            rehearse_qwen3(report, &cfg, files);
            gguf::tokenizer(source, file, kind, cfg.vocab_size).map(drop)
        }
        Kind::Vae => {
            let cfg: oobleck::Config = config(source, (file, kind), |cfg: &oobleck::Config| {
                cfg.validate().map_err(|error| message(&error))
            })?;
            rehearse(report, files, |w| Oobleck::load(&cfg, w).map(drop));
            Ok(())
        }
    }
}

/// The config of a file, once it makes sense.
fn config<T: DeserializeOwned>(
    source: &Source,
    (file, kind): (&str, Kind),
    validate: impl FnOnce(&T) -> std::result::Result<(), String>,
) -> Result<T> {
    let config = gguf::config(source, file, kind)?;
    validate(&config).map_err(|reason| Error::checkpoint(source.path(file), reason))?;
    Ok(config)
}
