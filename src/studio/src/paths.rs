//! Names of the files in the output folder. None of them crosses the wire.

use std::path::{Path, PathBuf};

/// Temporary names start with this, so that strays are known at open.
pub(crate) const PART_PREFIX: &str = ".acestep-part-";

/// Where everything of a studio lies.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    output_dir: PathBuf,
}

impl Paths {
    pub(crate) fn new(output_dir: PathBuf) -> Self {
        Self { output_dir }
    }

    pub(crate) fn output_dir(&self) -> &Path {
        &self.output_dir
    }

    pub(crate) fn library(&self) -> PathBuf {
        self.output_dir.join("library.sqlite")
    }

    /// Held locked while a studio uses the folder.
    pub(crate) fn lock(&self) -> PathBuf {
        self.output_dir.join("library.lock")
    }

    /// Where recordings lie that were sent in.
    pub(crate) fn uploads_dir(&self) -> PathBuf {
        self.output_dir.join("uploads")
    }

    pub(crate) fn upload(&self, file_name: &str) -> PathBuf {
        self.uploads_dir().join(file_name)
    }

    pub(crate) fn song(&self, file_name: &str) -> PathBuf {
        self.output_dir.join(file_name)
    }
}

/// The JSON beside a song.
pub(crate) fn sidecar(song: &Path) -> PathBuf {
    song.with_extension("json")
}

/// A readable, portable file name: the title's letters and digits, then the end of the id.
pub(crate) fn stem(title: &str, id: &str) -> String {
    const LONGEST: usize = 48;
    let mut slug = String::new();
    for c in title.chars().flat_map(char::to_lowercase) {
        if slug.len() + c.len_utf8() > LONGEST {
            break;
        }
        if c.is_alphanumeric() {
            slug.push(c);
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    let slug = slug.trim_end_matches('-');
    // The end of a version 7 id is its random part.
    let short: String = {
        let digits: Vec<char> = id.chars().filter(char::is_ascii_hexdigit).collect();
        digits[digits.len().saturating_sub(10)..].iter().collect()
    };
    if slug.is_empty() {
        format!("song-{short}")
    } else {
        format!("{slug}-{short}")
    }
}

#[cfg(test)]
mod tests {
    use super::stem;

    const ID: &str = "0197a8c2-31f0-7abc-8def-0123456789ab";

    #[test]
    fn file_names_are_readable_and_stay_inside_the_folder() {
        assert_eq!(
            stem("Lo-fi Piano, rain!", ID),
            "lo-fi-piano-rain-23456789ab"
        );
        assert_eq!(stem("../../etc/passwd", ID), "etc-passwd-23456789ab");
        assert_eq!(stem("夜のピアノ", ID), "夜のピアノ-23456789ab");
        assert_eq!(stem("…", ID), "song-23456789ab");
        assert!(stem(&"x".repeat(500), ID).len() < 80);
    }
}
