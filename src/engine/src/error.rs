//! Errors of the engine. Networks speak `candle_core::Result`; everything above speaks [`Error`].

use std::path::PathBuf;

use crate::audio::decode::Fault;

/// A stage of a run, as shown to the user and named in errors.
pub use acestep_domain::event::Stage;
use acestep_domain::memory::{OtherProgram, Smaller};

/// What can go wrong in the engine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A checkpoint file is missing, damaged or not what its config says.
    #[error("{}: {reason}", path.display())]
    Checkpoint {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it, one sentence without a full stop.
        reason: String,
    },
    /// The request asks for something this checkpoint, build or device cannot do.
    #[error("{what} is not supported: {because}")]
    Unsupported {
        /// The thing asked for.
        what: String,
        /// Why not.
        because: String,
    },
    /// The device or host has too little memory.
    #[error("out of memory in {stage}")]
    OutOfMemory {
        /// Where it happened.
        stage: Stage,
        /// Bytes needed, when known.
        needed: Option<u64>,
        /// Bytes free, when known.
        free: Option<u64>,
    },
    /// The plan of a run needs more memory than can be had, so it was not begun.
    #[error("{needed} bytes are needed and {free} can be had")]
    DoesNotFit {
        /// Bytes needed, of host or card.
        needed: u64,
        /// Bytes that can be had there.
        free: u64,
        /// Bytes of it that other programs use.
        others: u64,
        /// Those of them that use the most.
        programs: Vec<OtherProgram>,
        /// The least that would make it fit.
        smaller: Option<Box<Smaller>>,
    },
    /// A network produced NaN or infinity.
    #[error("{module} produced values that are not finite in {stage}")]
    NotFinite {
        /// Where it happened.
        stage: Stage,
        /// The network whose output it was.
        module: &'static str,
    },
    /// The result is silence.
    #[error("the result is silent (RMS {rms:.1e}, peak {peak:.1e})")]
    Silent {
        /// Root mean square over the song.
        rms: f32,
        /// Largest absolute sample.
        peak: f32,
    },
    /// Audio could not be written or changed.
    #[error("{what}: {reason}")]
    Audio {
        /// The file or operation.
        what: String,
        /// What went wrong.
        reason: String,
    },
    /// A file of sound that is refused.
    #[error("{what}: {fault}")]
    Sound {
        /// The file.
        what: String,
        /// Why.
        fault: Fault,
    },
    /// A value in the request cannot be used.
    #[error("{field}: {reason}")]
    Invalid {
        /// The parameter key.
        field: &'static str,
        /// What is wrong and what is allowed.
        reason: String,
    },
    /// There is no adapter of that name.
    #[error("there is no adapter {name}")]
    NoLora {
        /// The name asked for.
        name: String,
        /// Names that are there.
        there: Vec<String>,
    },
    /// An adapter cannot be used.
    #[error("{name}: {reason}")]
    Lora {
        /// Its name.
        name: String,
        /// Why, one sentence without a full stop.
        reason: String,
    },
    /// The language model could not go on.
    #[error("the language model stopped at {field}: {reason}")]
    LanguageModel {
        /// What it was writing: `bpm`, `caption`, `lyrics`, `codes`, ….
        field: &'static str,
        /// Why, one sentence without a full stop.
        reason: String,
    },
    /// The user cancelled.
    #[error("cancelled")]
    Cancelled,
    /// A stage failed for another reason.
    #[error("{stage} failed: {}", message(source))]
    Stage {
        /// Where it happened.
        stage: Stage,
        /// The tensor error.
        #[source]
        source: candle_core::Error,
    },
}

/// The words of a tensor error in one line, without the backtrace that candle carries along where
/// `RUST_BACKTRACE` asks for one.
pub fn message(error: &candle_core::Error) -> String {
    let words = without_backtrace(error);
    words.lines().next().unwrap_or_default().to_owned()
}

fn without_backtrace(error: &candle_core::Error) -> String {
    use candle_core::Error as Tensor;
    match error {
        Tensor::WithBacktrace { inner, .. } => without_backtrace(inner),
        Tensor::Context { inner, context } => format!("{context}: {}", without_backtrace(inner)),
        Tensor::WithPath { inner, path } => {
            format!("{}: {}", path.display(), without_backtrace(inner))
        }
        other => other.to_string(),
    }
}

/// Result of the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A checkpoint error about `path`.
    pub fn checkpoint(path: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self::Checkpoint {
            path: path.into(),
            reason: reason.into(),
        }
    }

    /// Wraps a tensor error of `stage`, recognising the drivers' out-of-memory messages.
    /// The only place where they are recognised.
    pub fn in_stage(stage: Stage) -> impl FnOnce(candle_core::Error) -> Self {
        move |source| {
            let text = without_backtrace(&source).to_lowercase();
            let out_of_memory = [
                "out of memory",
                "out_of_memory",
                "alloc failed",
                "memory allocation",
            ]
            .iter()
            .any(|needle| text.contains(needle));
            if out_of_memory {
                Self::OutOfMemory {
                    stage,
                    needed: None,
                    free: None,
                }
            } else {
                Self::Stage { stage, source }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Error as Tensor;

    use super::*;

    /// As candle makes it where `RUST_BACKTRACE` is set.
    fn traced(inner: Tensor) -> Tensor {
        Tensor::WithBacktrace {
            inner: Box::new(inner),
            backtrace: Box::new(std::backtrace::Backtrace::force_capture()),
        }
    }

    #[test]
    fn a_backtrace_is_no_part_of_a_message() {
        let missing = || Tensor::Msg("q_norm.weight is missing".to_owned());
        assert_eq!(message(&traced(missing())), "q_norm.weight is missing");
        let wrapped = traced(traced(missing()).context("layer 3"));
        assert_eq!(message(&wrapped), "layer 3: q_norm.weight is missing");
        assert_eq!(
            message(&Tensor::wrap(traced(missing()))),
            "q_norm.weight is missing"
        );
        let failed = Error::in_stage(Stage::Load)(traced(missing()));
        assert!(
            failed
                .to_string()
                .ends_with("failed: q_norm.weight is missing"),
            "{failed}"
        );
    }
}
