//! What commands print: results on stdout, sentences about trouble on stderr.

use std::{
    io::{self, Read, Write},
    path::Path,
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

use acestep_domain::{error::UserError, note::Note, release::Release};
use acestep_engine::{error::Error, memory::last_words::LastWords};
use serde::Serialize;

/// Exit code of bad input, as for usage errors.
pub(crate) const BAD_INPUT: u8 = 2;

/// Largest file of parameters.
const LARGEST_PARAMS: u64 = 16 << 20;

/// A failure of a command and the exit code it ends with.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: UserError,
    pub(crate) code: u8,
}

impl Failure {
    /// A failure of the input: exit code 2.
    pub(crate) fn input(error: UserError) -> Self {
        Self {
            error,
            code: BAD_INPUT,
        }
    }

    /// A failure of the run: exit code 1.
    pub(crate) fn run(error: UserError) -> Self {
        Self { error, code: 1 }
    }

    /// The same, about the parameter or flag `field`.
    pub(crate) fn about(mut self, field: &str) -> Self {
        self.error.field = Some(field.to_owned());
        self
    }

    /// `path` could not be read (bad input) or written.
    pub(crate) fn io(path: &Path, what: &str, error: &io::Error) -> Self {
        let user = UserError::new(
            "storage",
            format!("{} could not be {what}: {error}.", path.display()),
            "Check the path and its permissions.",
        );
        if what == "read" {
            Self::input(user)
        } else {
            Self::run(user)
        }
    }
}

impl From<UserError> for Failure {
    fn from(error: UserError) -> Self {
        Self::input(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            // On the command line the whole path is the user's own.
            Error::Checkpoint { ref path, .. } => {
                let hint = match Release::in_path(path) {
                    Some(Release { name, .. }) => {
                        format!("`acestep download {name}` fetches what is missing or wrong of it.")
                    }
                    None => {
                        "`acestep inspect DIR` tells what is wrong with a folder of checkpoints."
                            .to_owned()
                    }
                };
                Self::run(UserError {
                    field: Some("config_path".to_owned()),
                    ..UserError::new("checkpoint", format!("{error}."), hint)
                })
            }
            Error::Invalid { .. }
            | Error::Sound { .. }
            | Error::Lora { .. }
            | Error::NoLora { .. } => Self::input(acestep_studio::Error::from(error).into()),
            _ => Self::run(acestep_studio::Error::from(error).into()),
        }
    }
}

/// One line or block on stdout. A closed pipe (`| head`) is not an error.
pub(crate) fn say(text: &str) {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => {}
        // Whoever reads has had enough, as `head` has.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        Err(error) => {
            SAID_IN_VAIN.store(true, Ordering::Relaxed);
            tell(&format!("error: the result could not be printed: {error}"));
        }
    }
}

/// Something that was to be said reached nobody.
static SAID_IN_VAIN: AtomicBool = AtomicBool::new(false);

/// The exit code of a command that ends with `code`: a result that could not be printed is a failure.
pub(crate) fn exit_code(code: ExitCode) -> ExitCode {
    if SAID_IN_VAIN.load(Ordering::Relaxed) {
        ExitCode::FAILURE
    } else {
        code
    }
}

/// One line on stderr.
pub(crate) fn tell(text: &str) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// `value` as one JSON object on stdout.
pub(crate) fn say_json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => say(&text),
        Err(error) => tell(&format!(
            "error: the result could not be written as JSON: {error}"
        )),
    }
}

/// Notes on stderr, one a line.
pub(crate) fn tell_notes(notes: &[Note]) {
    for note in notes {
        tell(&format!("note: {}", note.message));
    }
}

/// Prints a failure and gives its exit code. With `json` the error is an object on stdout as well.
pub(crate) fn fail(failure: &Failure, json: bool) -> ExitCode {
    if json {
        say_json(&serde_json::json!({ "error": failure.error }));
    }
    tell(format!("error: {}", failure.error).trim_end());
    ExitCode::from(failure.code)
}

/// What a command says that is refused memory in a place that cannot do without: as [`fail`] says it.
pub(crate) fn last_words(json: bool) -> LastWords {
    let failure = Failure::run(UserError::new(
        "out_of_memory",
        "There is too little memory to go on.",
        "Choose a smaller checkpoint or quantisation, switch offload on, close other programs, or raise the limit of this one (ulimit -v).",
    ));
    let object = serde_json::json!({ "error": failure.error });
    LastWords {
        out: if json {
            format!("{object:#}\n")
        } else {
            String::new()
        },
        err: format!("error: {}\n", failure.error),
        code: failure.code,
    }
}

/// The system gives no threads.
pub(crate) fn without_threads(error: &io::Error) -> Failure {
    Failure::run(UserError::new(
        "threads",
        format!("Threads of this program cannot be started: {error}."),
        "Start fewer (--threads 1), or allow this program more memory and processes (ulimit -v, ulimit -u).",
    ))
}

/// Reads text from a file or, for `-`, from stdin.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    let read = |source: &mut dyn Read| {
        let mut bytes = Vec::new();
        source
            .take(LARGEST_PARAMS)
            .read_to_end(&mut bytes)
            .map(|_| bytes)
    };
    let (name, bytes) = if path == Path::new("-") {
        (Path::new("stdin"), read(&mut io::stdin().lock()))
    } else {
        let file = std::fs::File::open(path);
        (path, file.and_then(|mut file| read(&mut file)))
    };
    let bytes = bytes.map_err(|error| Failure::io(name, "read", &error))?;
    decoded(&bytes).ok_or_else(|| {
        Failure::input(UserError::new(
            "invalid_value",
            format!("{} is no text in UTF-8 or UTF-16.", name.display()),
            "Save it as UTF-8.",
        ))
    })
}

/// Text in UTF-8, or in UTF-16 with its mark, which is what `>` writes in the PowerShell of Windows.
fn decoded(bytes: &[u8]) -> Option<String> {
    let pairs = |bytes: &[u8], of: fn([u8; 2]) -> u16| -> Vec<u16> {
        bytes.as_chunks().0.iter().copied().map(of).collect()
    };
    let text = match bytes {
        [0xFF, 0xFE, rest @ ..] => String::from_utf16(&pairs(rest, u16::from_le_bytes)).ok()?,
        [0xFE, 0xFF, rest @ ..] => String::from_utf16(&pairs(rest, u16::from_be_bytes)).ok()?,
        [0xEF, 0xBB, 0xBF, rest @ ..] => String::from_utf8(rest.to_vec()).ok()?,
        bytes => String::from_utf8(bytes.to_vec()).ok()?,
    };
    Some(text)
}

/// Reads JSON from a file or, for `-`, from stdin.
pub(crate) fn read_json(path: &Path) -> Result<serde_json::Value, Failure> {
    let text = read_text(path)?;
    serde_json::from_str(&text).map_err(|error| {
        let shown = if path == Path::new("-") {
            "stdin".into()
        } else {
            path.display().to_string()
        };
        Failure::input(UserError::new(
            "invalid_json",
            format!("{shown} is not JSON: {error}."),
            "Give one JSON object such as {\"caption\": \"lofi piano\", \"duration\": 30}; NaN and Infinity are not JSON.",
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn text_is_read_as_editors_and_shells_write_it() {
        let text = "{\"caption\": \"née 雨\"}";
        let with = |mark: &[u8], bytes: Vec<u8>| decoded(&[mark, &bytes].concat());
        let little = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for read in [
            with(&[], text.into()),
            with(&[0xEF, 0xBB, 0xBF], text.into()),
            with(&[0xFF, 0xFE], little),
            with(&[0xFE, 0xFF], big),
        ] {
            assert_eq!(read.as_deref(), Some(text));
        }
        assert_eq!(decoded(&[b'a', 0x80]), None);
        assert_eq!(decoded(&[0xFF, 0xFE, 0x00, 0xD8]), None);
    }
}
