//! What can go wrong in the studio, and the one place where causes become sentences.

use std::path::Path;

use acestep_domain::{
    UserError,
    event::Stage,
    memory::{OtherProgram, Smaller, in_use_by_others},
    release::Release,
    tier::size_text,
};
use acestep_engine::error::{Error as EngineError, message};

/// What can go wrong in the studio.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing is loaded.
    #[error("no model is loaded")]
    NotReady {
        /// One is being loaded.
        loading: bool,
    },
    /// The queue is full.
    #[error("the queue is full ({limit} jobs)")]
    Busy {
        /// Jobs that may wait.
        limit: usize,
    },
    /// No such thing.
    #[error("there is no {what} {id:?}")]
    NotFound {
        /// Its kind: `job`, `song`.
        what: &'static str,
        /// The id asked for.
        id: String,
    },
    /// The library knows the song, but its file is gone.
    #[error("the file of song {id:?} is gone")]
    SongFileGone {
        /// The song.
        id: String,
    },
    /// It cannot be done in the present state.
    #[error("{what}")]
    Conflict {
        /// One sentence: what stands in the way.
        what: String,
        /// One sentence: what to do.
        hint: &'static str,
    },
    /// This version, or the loaded model, cannot do it.
    #[error("{what} is not supported")]
    Unsupported {
        /// The parameter key.
        field: &'static str,
        /// What was asked.
        what: String,
        /// One sentence: what is possible.
        possible: String,
    },
    /// Already in the user's words.
    #[error(transparent)]
    User(#[from] UserError),
    /// A run needed more memory than there is.
    #[error("out of memory in {stage} with {batch_size} takes of {duration_secs} s")]
    OutOfMemory {
        /// Where it happened.
        stage: Stage,
        /// Songs of the run.
        batch_size: usize,
        /// Their length.
        duration_secs: f64,
        /// Bytes needed, when known.
        needed: Option<u64>,
        /// Bytes free, when known.
        free: Option<u64>,
    },
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A checkpoint cannot be used.
    #[error("{source}")]
    Setting {
        /// The setting that named it.
        field: &'static str,
        /// Why not.
        source: EngineError,
    },
    /// A defect: the engine panicked.
    #[error("panic while {during}: {message}")]
    Panicked {
        /// `loading` or `generating`.
        during: &'static str,
        /// The panic's message.
        message: String,
    },
    /// The database failed.
    #[error("library database")]
    Database(#[from] rusqlite::Error),
    /// The database could not be brought to this version's schema.
    #[error("library schema")]
    Schema(#[from] rusqlite_migration::Error),
    /// A record in the database is not what it should be.
    #[error("library record")]
    Record(#[from] serde_json::Error),
    /// A file or folder could not be used.
    #[error("{what}")]
    File {
        /// What was tried, for example `writing a song`.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A checkpoint could not be downloaded.
    #[error(transparent)]
    Download(#[from] crate::download::Error),
    /// Another program uses the same output folder.
    #[error("the output folder is in use by another studio")]
    InUse,
    /// The operating system gave no random numbers.
    #[error("no random numbers")]
    Random(#[from] getrandom::Error),
    /// Keep going was stopped before the next run was queued.
    #[error("no run follows")]
    NoneFollows,
    /// The studio is shutting down.
    #[error("the studio is shutting down")]
    Stopped,
}

/// Result of the studio.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Names what was tried with a file.
    pub(crate) fn file(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::File { what, source }
    }

    pub(crate) fn no_job(id: &str) -> Self {
        Self::NotFound {
            what: "job",
            id: id.to_owned(),
        }
    }

    pub(crate) fn no_song(id: &str) -> Self {
        Self::NotFound {
            what: "song",
            id: id.to_owned(),
        }
    }

    /// True for a run or load that ended because the user wanted it to.
    pub(crate) fn is_cancelled(&self) -> bool {
        matches!(self, Self::Engine(EngineError::Cancelled))
    }
}

impl From<Error> for UserError {
    fn from(error: Error) -> Self {
        match error {
            Error::User(error) => error,
            Error::Engine(error) => engine(error),
            Error::Setting { field, source } => Self {
                field: Some(field.to_owned()),
                ..engine(source)
            },
            Error::NotReady { loading: true } => Self::new(
                "not_ready",
                "The model is still being loaded.",
                "Wait until the service is ready, then try again.",
            ),
            Error::NotReady { loading: false } => Self::new(
                "not_ready",
                "No model is loaded.",
                "Initialise the service first.",
            ),
            Error::Busy { limit } => Self::new(
                "busy",
                format!("The queue is full: {limit} jobs are waiting."),
                "Wait for one to finish, or cancel one.",
            ),
            Error::NotFound { what, id } => {
                let shown: String = id.chars().take(80).collect();
                Self::new(
                    "not_found",
                    format!("There is no {what} {shown:?}."),
                    "It may have been deleted; reload the list.",
                )
            }
            Error::SongFileGone { .. } => Self::new(
                "not_found",
                "The file of this song is no longer in the output folder.",
                "Put it back, or delete the song from the library.",
            ),
            Error::Conflict { what, hint } => Self::new("conflict", what, hint),
            Error::Unsupported {
                field,
                what,
                possible,
            } => Self {
                field: Some(field.to_owned()),
                ..Self::new(
                    "unsupported",
                    format!("{what} is not supported yet."),
                    possible,
                )
            },
            Error::OutOfMemory {
                stage,
                batch_size,
                duration_secs,
                needed,
                free,
            } => out_of_memory(stage, batch_size, duration_secs, (needed, free)),
            Error::Panicked { during, message } => {
                let shown: String = message.chars().take(200).collect();
                Self::new(
                    "internal",
                    format!("The program hit a defect while {during}: {shown}."),
                    "Try again; if it happens again, please report it with the program's log.",
                )
            }
            Error::Database(source) => database(&source),
            Error::Schema(_) => Self::new(
                "storage",
                "The library was written by another version and cannot be opened.",
                "Use the version that wrote it, or choose another output folder.",
            ),
            Error::Record(_) => Self::new(
                "storage",
                "A record of the library cannot be read.",
                "Use the version that wrote it, or choose another output folder.",
            ),
            Error::File { what, source } => file(what, &source, ("output folder", "--output-dir")),
            Error::Download(error) => error.into(),
            Error::InUse => Self::new(
                "storage",
                "Another studio is using this output folder.",
                "Stop it, or choose another output folder.",
            ),
            Error::Random(_) => Self::new(
                "internal",
                "The operating system gave no random numbers for the seeds.",
                "Give a fixed seed for every take.",
            ),
            Error::NoneFollows => {
                Self::new("conflict", "Keep going was stopped.", "Start a new run.")
            }
            Error::Stopped => Self::new(
                "not_ready",
                "The studio is shutting down.",
                "Start it again.",
            ),
        }
    }
}

fn engine(error: EngineError) -> UserError {
    match error {
        EngineError::Checkpoint { path, reason } => UserError {
            field: Some(checkpoint_field(&path).to_owned()),
            ..UserError::new(
                "checkpoint",
                format!("{}: {reason}.", shown_path(&path)),
                match Release::in_path(&path) {
                    Some(Release { name, .. }) => format!(
                        "Download it in the list of models or by `acestep download {name}`, or choose another one."
                    ),
                    None => "Choose another one, or get this one again.".to_owned(),
                },
            )
        },
        EngineError::Unsupported { what, because } => UserError::new(
            "unsupported",
            format!("{what} is not supported: {because}."),
            "Choose another setting.",
        ),
        // Of a run it comes with its size (see `Error::OutOfMemory`); here it is a load.
        EngineError::OutOfMemory {
            stage,
            needed,
            free,
        } => UserError::new(
            "out_of_memory",
            format!(
                "There is too little memory in the {} stage{}.",
                stage_in_words(stage),
                amounts(needed, free)
            ),
            "Choose a smaller checkpoint or quantisation, switch offload on, or close other programs.",
        ),
        EngineError::DoesNotFit {
            needed,
            free,
            others,
            programs,
            smaller,
        } => does_not_fit((needed, free), (others, &programs), smaller.as_deref()),
        EngineError::NotFinite { stage, module } => UserError::new(
            "not_finite",
            format!(
                "The {module} gave values that are not numbers in the {} stage.",
                stage_in_words(stage)
            ),
            "Try another seed or fewer steps; if it stays, the checkpoint may be damaged.",
        ),
        EngineError::Silent { .. } => UserError::new(
            "silent",
            "The result is silent, so it was not saved.",
            "Try another seed or another caption.",
        ),
        EngineError::Audio { what, reason } => UserError {
            field: Some("audio_format".to_owned()),
            ..UserError::new(
                "storage",
                format!("{what}: {reason}."),
                "Try another audio format.",
            )
        },
        EngineError::Sound { what, fault } => {
            UserError::new("invalid_audio", format!("{what}: {fault}."), fault.hint())
        }
        EngineError::Invalid { field, reason } => UserError::invalid(
            field,
            format!("{field}: {reason}."),
            "Change this value and try again.",
        ),
        EngineError::NoLora { name, there } => no_lora(&name, &there),
        EngineError::Lora { name, reason } => UserError {
            field: Some("loras".to_owned()),
            ..UserError::new(
                "lora",
                format!("The adapter {name} cannot be used: {reason}."),
                "Use an adapter that was made for the loaded model; `acestep inspect` tells what a file is.",
            )
        },
        EngineError::LanguageModel { field, reason } => UserError::new(
            "language_model",
            format!("The language model stopped while writing {field}: {reason}."),
            "Try again with another seed, or switch thinking off.",
        ),
        EngineError::Cancelled => UserError::new(
            "cancelled",
            "It was cancelled.",
            "Start it again when you want it.",
        ),
        EngineError::Stage { stage, source } => UserError::new(
            "internal",
            format!(
                "The {} stage failed: {}.",
                stage_in_words(stage),
                message(&source).trim_end_matches('.')
            ),
            "Try again; if it happens again, please report it with the program's log.",
        ),
    }
}

/// An adapter that is not there, and those that are.
fn no_lora(name: &str, there: &[String]) -> UserError {
    let shown: String = name.chars().take(80).collect();
    UserError {
        field: Some("loras".to_owned()),
        ..UserError::new(
            "not_found",
            format!("There is no adapter {shown:?}."),
            if there.is_empty() {
                "Put adapters into the folder of adapters (--lora_path), which is empty now."
                    .to_owned()
            } else {
                format!("There are {}.", there.join(", "))
            },
        )
    }
}

/// Said before anything is run.
fn does_not_fit(
    (needed, free): (u64, u64),
    (others, programs): (u64, &[OtherProgram]),
    smaller: Option<&Smaller>,
) -> UserError {
    let others = match others {
        0 => String::new(),
        others => format!(
            " while other programs use {}",
            in_use_by_others(others, programs)
        ),
    };
    let hint = match smaller {
        Some(smaller) => {
            format!(
                "It fits with {} ({}).",
                smaller.message,
                size_text(smaller.expected_peak_bytes.at_work())
            )
        }
        None => {
            "No setting makes it fit: close other programs, or choose a smaller model.".to_owned()
        }
    };
    let field = smaller.and_then(|smaller| smaller.changes.first());
    UserError {
        field: field.map(|change| change.field.clone()),
        ..UserError::new(
            "out_of_memory",
            format!(
                "This needs {} of memory, and {} can be had{others}, so it was not begun.",
                size_text(needed),
                size_text(free)
            ),
            hint,
        )
    }
}

/// The setting that named a checkpoint.
fn checkpoint_field(path: &Path) -> &'static str {
    let of_lm = path
        .iter()
        .any(|part| part.to_string_lossy().starts_with("acestep-5Hz-lm-"));
    if of_lm {
        "lm_model_path"
    } else {
        "config_path"
    }
}

fn out_of_memory(
    stage: Stage,
    batch_size: usize,
    duration_secs: f64,
    (needed, free): (Option<u64>, Option<u64>),
) -> UserError {
    let length = acestep_domain::generation::clamp::minutes(duration_secs);
    let (field, hint) = if batch_size > 1 {
        (
            "batch_size",
            format!("Lower takes (now {batch_size}) or length (now {length}), then run it again."),
        )
    } else {
        (
            "duration",
            format!("Lower length (now {length}), then run it again."),
        )
    };
    UserError {
        field: Some(field.to_owned()),
        ..UserError::new(
            "out_of_memory",
            format!(
                "There was too little memory in the {} stage{}.",
                stage_in_words(stage),
                amounts(needed, free)
            ),
            hint,
        )
    }
}

fn amounts(needed: Option<u64>, free: Option<u64>) -> String {
    match (needed, free) {
        (Some(needed), Some(free)) => {
            format!(" ({} needed, {} free)", size_text(needed), size_text(free))
        }
        (Some(needed), None) => format!(" ({} needed)", size_text(needed)),
        (None, Some(free)) => format!(" ({} free)", size_text(free)),
        (None, None) => String::new(),
    }
}

fn stage_in_words(stage: Stage) -> &'static str {
    match stage {
        Stage::Prepare => "preparation",
        Stage::LanguageModel => "language model",
        Stage::Diffusion => "diffusion",
        Stage::Decode => "decoding",
        Stage::Save => "saving",
        Stage::Load => "loading",
        Stage::Encode => "encoding",
    }
}

/// The last two parts of a path: enough to know the file, nothing of the server's disk.
fn shown_path(path: &Path) -> String {
    let parts: Vec<String> = path
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .filter(|part| !part.contains(['/', '\\']))
        .collect();
    parts[parts.len().saturating_sub(2)..].join("/")
}

/// A file or folder that could not be used, in the `folder` that a `flag` sets.
pub(crate) fn file(
    what: &'static str,
    source: &std::io::Error,
    (folder, flag): (&str, &str),
) -> UserError {
    use std::io::ErrorKind;
    let (reason, todo) = match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            ("the disk is full", "Free some space".to_owned())
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => (
            if what.starts_with("Reading") {
                "reading is not allowed there"
            } else {
                "writing is not allowed there"
            },
            format!("Change the permissions of the {folder}"),
        ),
        ErrorKind::NotFound => ("the folder is not there", format!("Create the {folder}")),
        _ => ("the disk refused", format!("Check the {folder}")),
    };
    UserError::new(
        "storage",
        format!("{what} failed: {reason}."),
        format!("{todo}, or choose another folder ({flag})."),
    )
}

fn database(source: &rusqlite::Error) -> UserError {
    use rusqlite::ErrorCode;
    let (message, hint) = match source.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => (
            "The library could not be written: the disk is full.",
            "Free some space, or choose another output folder.",
        ),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => (
            "The library cannot be opened for writing.",
            "Change the folder's permissions, or choose another output folder.",
        ),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => (
            "The library file is damaged.",
            "Move library.sqlite away; the songs stay in the output folder.",
        ),
        _ => (
            "The library could not be used.",
            "Check the output folder, or choose another one.",
        ),
    };
    UserError::new("storage", message, hint)
}

#[cfg(test)]
mod tests;
