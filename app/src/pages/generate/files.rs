//! Files that were picked or dropped, as the page takes them up.

use web_sys::{Blob, File, FileList};

/// Endings of files that may be recordings, where the browser gives no type.
const SOUNDS: [&str; 10] = [
    ".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".mp4", ".aac", ".aiff",
];

/// A file and what it is called.
#[derive(Debug, Clone)]
pub struct Brought {
    /// Without folders.
    pub name: String,
    /// What it holds, and its type as far as the browser knows it.
    pub bytes: Blob,
}

impl Brought {
    /// It may be a recording; the studio looks at the bytes.
    pub fn is_sound(&self) -> bool {
        self.bytes.type_().starts_with("audio/") || self.ends_with(&SOUNDS)
    }

    /// It may hold settings and is no recording.
    pub fn is_json(&self) -> bool {
        self.bytes.type_() == "application/json" || self.ends_with(&[".json"])
    }

    fn ends_with(&self, endings: &[&str]) -> bool {
        let name = self.name.to_ascii_lowercase();
        endings.iter().any(|ending| name.ends_with(ending))
    }
}

impl From<File> for Brought {
    fn from(file: File) -> Self {
        Self {
            name: file.name(),
            bytes: file.into(),
        }
    }
}

/// All of them, in their order.
pub fn of(list: Option<FileList>) -> Vec<Brought> {
    list.into_iter()
        .flat_map(|list| (0..list.length()).filter_map(move |index| list.get(index)))
        .map(Brought::from)
        .collect()
}
