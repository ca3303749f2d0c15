//! The browser bundle inside the binary: scripts, styles and static files, found by their path.
//!
//! `build.rs` makes the table from what `cargo xtask build` wrote. It is empty in a binary that was built without
//! the bundle: [`is_built`] says so, and [`HOW_TO_BUILD`] tells the user what to do.

/// What to tell somebody whose binary has no page in it.
pub const HOW_TO_BUILD: &str = "This binary was built without its page. Run `cargo xtask build --release` or `./start_acestep.sh`, which build both.";

/// One file with its compressed copies.
#[derive(Debug, Clone, Copy)]
pub struct SiteFile {
    /// The file as it is.
    pub bytes: &'static [u8],
    /// The same compressed by brotli, where that is smaller.
    pub br: Option<&'static [u8]>,
    /// The same compressed by gzip, where that is smaller.
    pub gz: Option<&'static [u8]>,
    /// Strong validator of the plain bytes, with its quotes.
    pub etag: &'static str,
    /// Value of `content-type`.
    pub mime: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/site_files.rs"));

/// The file at `path`, a request path with or without its leading slash; `None` if the site has no such file.
pub fn file(path: &str) -> Option<SiteFile> {
    let path = path.trim_start_matches('/');
    let index = FILES.binary_search_by_key(&path, |(name, _)| name).ok()?;
    FILES.get(index).map(|(_, file)| *file)
}

/// Whether the page's script is in this binary.
pub fn is_built() -> bool {
    file("pkg/acestep.js").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_found_by_its_path_and_by_no_other() {
        for (name, entry) in FILES {
            let found = file(&format!("/{name}")).expect("listed file is found");
            assert_eq!(found.etag, entry.etag, "{name}");
            assert!(!found.bytes.is_empty(), "{name} is empty");
            assert!(
                found.etag.starts_with('"') && found.etag.ends_with('"'),
                "{name}"
            );
        }
        assert!(file("/pkg/../Cargo.toml").is_none());
        assert!(file("").is_none());
    }

    #[test]
    fn a_compressed_copy_is_smaller_than_the_file() {
        for (name, entry) in FILES {
            for copy in [entry.br, entry.gz].into_iter().flatten() {
                assert!(copy.len() < entry.bytes.len(), "{name}");
            }
        }
    }
}
