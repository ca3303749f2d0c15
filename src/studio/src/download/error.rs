//! What can go wrong while a checkpoint is fetched, in words.

use acestep_domain::UserError;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answered.
    #[error("{host} could not be reached")]
    Unreachable {
        /// Host name, or names.
        host: String,
        /// Why.
        #[source]
        source: Box<ureq::Error>,
    },
    /// The transfer broke off again and again.
    #[error("the transfer from {host} broke off")]
    Broken {
        /// Host name.
        host: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The hub said no.
    #[error("{host} answered {status}")]
    Refused {
        /// Host name.
        host: String,
        /// HTTP status.
        status: u16,
    },
    /// The hub does not have it.
    #[error("{host} has no {what}")]
    NotThere {
        /// Host name.
        host: String,
        /// What was asked for.
        what: String,
    },
    /// The hub's answer makes no sense.
    #[error("unexpected answer of {host}: {reason}")]
    Answer {
        /// Host name.
        host: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file arrived that is not what the hub lists.
    #[error("{file} is not what the hub lists")]
    Damaged {
        /// `folder/file`.
        file: String,
    },
    /// The disk is too full.
    #[error("{needed} bytes are needed and {free} are free")]
    NoSpace {
        /// Bytes still to be written.
        needed: u64,
        /// Bytes free.
        free: u64,
    },
    /// The checkpoints folder could not be used.
    #[error("{what}")]
    Disk {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// Another program fetches the same.
    #[error("another program is downloading it")]
    InUse,
    /// The program panicked.
    #[error("defect")]
    Defect,
    /// The user stopped it.
    #[error("stopped")]
    Stopped,
}

/// Result of fetching.
pub(super) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Names what was tried with a file or folder.
    pub(super) fn disk(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Disk { what, source }
    }

    /// A later try may go better.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } => true,
            Self::Refused { status, .. } => matches!(status, 408 | 425 | 429 | 500..=599),
            _ => false,
        }
    }
}

/// A size as a download page says it.
fn size_text(bytes: u64) -> String {
    if bytes >= 1_000_000_000 {
        format!("{:.1} GB", bytes as f64 / 1e9)
    } else {
        format!("{} MB", bytes.div_ceil(1_000_000))
    }
}

const KEPT: &str = "Check the connection, then resume; what was fetched is kept.";

impl From<Error> for UserError {
    fn from(error: Error) -> Self {
        let told = |message: String, hint: &str| Self::new("download", message, hint);
        match error {
            Error::Unreachable { host, source } => {
                // The library says which layer failed first; the user need not know of layers.
                let cause = source.to_string();
                let cause = cause.strip_prefix("io: ").unwrap_or(&cause);
                told(format!("{host} could not be reached: {cause}."), KEPT)
            }
            Error::Broken { host, .. } => {
                told(format!("The transfer from {host} broke off."), KEPT)
            }
            Error::Refused { host, status } => told(
                format!("{host} answered with status {status}."),
                "Resume later, or take the other hub (--download-source); what was fetched is kept.",
            ),
            Error::NotThere { host, what } => told(
                format!("{host} has no {what}."),
                "Take the other hub (--download-source), or put the files into the checkpoints folder by hand.",
            ),
            Error::Answer { host, reason } => told(
                format!("{host} gave an answer that cannot be used: {reason}."),
                "Resume later, or take the other hub (--download-source).",
            ),
            Error::Damaged { file } => told(
                format!("{file} arrived damaged and was thrown away."),
                "Resume: this file is fetched again, the others are kept.",
            ),
            Error::NoSpace { needed, free } => Self::new(
                "storage",
                format!(
                    "{} are still to be written and {} are free on the disk of the checkpoints folder.",
                    size_text(needed),
                    size_text(free)
                ),
                "Free some space, then resume; what was fetched is kept.",
            ),
            Error::Disk { what, source } => {
                crate::error::file(what, &source, ("checkpoints folder", "--checkpoints"))
            }
            Error::InUse => Self::new(
                "conflict",
                "Another program is downloading this into the same folder.",
                "Wait until it is done, or stop it.",
            ),
            Error::Defect => Self::new(
                "internal",
                "The program hit a defect while downloading.",
                "Resume it; if it happens again, please report it with the program's log.",
            ),
            Error::Stopped => Self::new(
                "cancelled",
                "The download was stopped.",
                "Resume it when you like.",
            ),
        }
    }
}
