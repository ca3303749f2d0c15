//! The two hubs: which files a released folder has, and where each is fetched.
//!
//! Hugging Face: `GET /api/models/{repository}/tree/{revision}/{folder}` lists, `/{repository}/resolve/…`
//! gives (huggingface_hub: `HfApi.list_repo_tree`, `hf_hub_url`). ModelScope: `/api/v1/models/{repository}/repo/files`
//! lists, `/repo?FilePath=` gives (modelscope: `HubApi.get_model_files`, `get_file_download_url`).

use std::{io::Read, path::Path, time::Duration};

use acestep_domain::release::{Hub, Release};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, de::DeserializeOwned};
use ureq::{
    Agent, Body,
    http::Response,
    tls::{RootCerts, TlsConfig},
};

use super::error::{Error, Result};

/// A listing is some hundred bytes a file.
const MAX_LISTING_BYTES: u64 = 16 << 20;
/// A listing has 1000 files a page; a released folder has some dozen.
const MAX_PAGES: usize = 20;
/// How long a connection, the first byte of an answer, and any further byte may take.
const CONNECT: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_secs(30);

/// What stays as it is in a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Where the hubs are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// Scheme and host of Hugging Face or a mirror of it.
    pub huggingface: String,
    /// Scheme and host of ModelScope.
    pub modelscope: String,
}

impl Default for Endpoints {
    fn default() -> Self {
        Self {
            huggingface: "https://huggingface.co".to_owned(),
            modelscope: "https://www.modelscope.cn".to_owned(),
        }
    }
}

impl Endpoints {
    fn of(&self, hub: Hub) -> &str {
        match hub {
            Hub::HuggingFace => self.huggingface.trim_end_matches('/'),
            Hub::ModelScope => self.modelscope.trim_end_matches('/'),
        }
    }
}

/// What a file must hash to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Digest {
    /// SHA-256 of the bytes, in hexadecimal.
    Sha256(String),
    /// Git's object id: SHA-1 of `blob`, the length and the bytes.
    GitBlob(String),
    /// The hub lists none; then the length is all there is to go by.
    Unknown,
}

/// A file of a released folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RemoteFile {
    /// Below the released folder, with `/`.
    pub(super) path: String,
    pub(super) bytes: u64,
    pub(super) digest: Digest,
    pub(super) url: String,
}

/// Speaks to the hubs.
#[derive(Debug, Clone)]
pub(super) struct Client {
    agent: Agent,
    endpoints: Endpoints,
}

impl Client {
    pub(super) fn new(endpoints: Endpoints) -> Self {
        let agent = Agent::config_builder()
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .timeout_per_read(Some(SILENCE))
            .http_status_as_error(false)
            .user_agent(concat!("acestep/", env!("CARGO_PKG_VERSION")))
            // Hashes and ranges are of the bytes as they are.
            .accept_encoding("identity")
            // A proxy that looks into what it passes on signs with a certificate that only the system knows.
            .tls_config(
                TlsConfig::builder()
                    .root_certs(RootCerts::PlatformVerifier)
                    .build(),
            )
            .build()
            .into();
        Self { agent, endpoints }
    }

    /// The files of `release` that this program reads.
    ///
    /// # Errors
    /// The hub cannot be reached, does not have it, or says what cannot be used.
    pub(super) fn list(&self, hub: Hub, release: &Release) -> Result<Vec<RemoteFile>> {
        let files = match hub {
            Hub::HuggingFace => self.list_huggingface(release)?,
            Hub::ModelScope => self.list_modelscope(release)?,
        };
        let host = host_of(self.endpoints.of(hub));
        for file in &files {
            if !is_safe(&file.path) {
                return Err(Error::Answer {
                    host,
                    reason: format!("it lists a file {:?}", file.path),
                });
            }
        }
        let files: Vec<RemoteFile> = files
            .into_iter()
            .filter(|file| is_read(&file.path))
            .collect();
        if files.is_empty() {
            return Err(Error::NotThere {
                host,
                what: release.name.to_owned(),
            });
        }
        Ok(files)
    }

    fn list_huggingface(&self, release: &Release) -> Result<Vec<RemoteFile>> {
        #[derive(Deserialize)]
        struct Entry {
            #[serde(rename = "type")]
            kind: String,
            path: String,
            #[serde(default)]
            oid: String,
            #[serde(default)]
            size: u64,
            lfs: Option<Lfs>,
        }
        #[derive(Deserialize)]
        struct Lfs {
            oid: String,
            size: u64,
        }
        let base = self.endpoints.of(Hub::HuggingFace);
        let repository = release.repository;
        let below = if release.folder.is_empty() {
            String::new()
        } else {
            format!("/{}", encoded(release.folder))
        };
        let mut next = Some(format!(
            "{base}/api/models/{repository}/tree/main{below}?recursive=true"
        ));
        let mut files = Vec::new();
        for _ in 0..MAX_PAGES {
            let Some(url) = next.take() else { break };
            let answer = self.get(&url, release.name)?;
            next = answer
                .headers()
                .get("link")
                .and_then(|link| next_page(link.to_str().ok()?));
            let page: Vec<Entry> = json(answer, &url)?;
            for entry in page.into_iter().filter(|entry| entry.kind == "file") {
                let url = format!("{base}/{repository}/resolve/main/{}", encoded(&entry.path));
                let (bytes, digest) = match entry.lfs {
                    Some(lfs) => (lfs.size, Digest::Sha256(lfs.oid)),
                    None if entry.oid.is_empty() => (entry.size, Digest::Unknown),
                    None => (entry.size, Digest::GitBlob(entry.oid)),
                };
                if let Some(path) = below_folder(&entry.path, release.folder) {
                    files.push(RemoteFile {
                        path,
                        bytes,
                        digest,
                        url,
                    });
                }
            }
        }
        Ok(files)
    }

    fn list_modelscope(&self, release: &Release) -> Result<Vec<RemoteFile>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Answer {
            data: Option<Data>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Data {
            files: Option<Vec<Entry>>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Entry {
            path: String,
            #[serde(rename = "Type")]
            kind: String,
            #[serde(default)]
            size: u64,
            #[serde(default)]
            sha256: String,
        }
        let base = self.endpoints.of(Hub::ModelScope);
        let repository = release.repository;
        let root = if release.folder.is_empty() {
            String::new()
        } else {
            format!("&Root={}", encoded(release.folder))
        };
        let url = format!(
            "{base}/api/v1/models/{repository}/repo/files?Revision=master&Recursive=true{root}"
        );
        let answer: Answer = json(self.get(&url, release.name)?, &url)?;
        let entries = answer.data.and_then(|data| data.files).unwrap_or_default();
        let file = |entry: Entry| {
            Some(RemoteFile {
                path: below_folder(&entry.path, release.folder)?,
                bytes: entry.size,
                digest: if entry.sha256.is_empty() {
                    Digest::Unknown
                } else {
                    Digest::Sha256(entry.sha256)
                },
                url: format!(
                    "{base}/api/v1/models/{repository}/repo?Revision=master&FilePath={}",
                    utf8_percent_encode(&entry.path, SEGMENT)
                ),
            })
        };
        Ok(entries
            .into_iter()
            .filter(|entry| entry.kind == "blob")
            .filter_map(file)
            .collect())
    }

    /// A good answer to a question about `what`.
    fn get(&self, url: &str, what: &str) -> Result<Response<Body>> {
        let answer = self.agent.get(url).call();
        good(answer, url, what)
    }

    /// The bytes of a file from `from` on: the place that the answer begins at, and what it gives.
    ///
    /// # Errors
    /// The hub cannot be reached or refuses.
    pub(super) fn open(&self, file: &RemoteFile, from: u64) -> Result<(u64, Box<dyn Read + Send>)> {
        let mut request = self.agent.get(&file.url);
        if from > 0 {
            request = request.header("Range", format!("bytes={from}-"));
        }
        let answer = good(request.call(), &file.url, &file.path)?;
        // An answer without a range begins at the beginning.
        let begins = answer
            .headers()
            .get("content-range")
            .and_then(|range| range_start(range.to_str().ok()?))
            .unwrap_or(0);
        if begins != 0 && begins != from {
            return Err(Error::Answer {
                host: host_of(&file.url),
                reason: format!("it begins at byte {begins} and not at {from}"),
            });
        }
        Ok((begins, Box::new(answer.into_body().into_reader())))
    }

    /// The hub's host, for messages.
    pub(super) fn host(&self, hub: Hub) -> String {
        host_of(self.endpoints.of(hub))
    }
}

fn good(
    answer: std::result::Result<Response<Body>, ureq::Error>,
    url: &str,
    what: &str,
) -> Result<Response<Body>> {
    let host = host_of(url);
    let answer = answer.map_err(|source| Error::Unreachable {
        host: host.clone(),
        source: Box::new(source),
    })?;
    match answer.status().as_u16() {
        200..=299 => Ok(answer),
        // A repository that is not public is answered like one that is not there.
        401 | 403 | 404 | 410 => Err(Error::NotThere {
            host,
            what: what.to_owned(),
        }),
        status => Err(Error::Refused { host, status }),
    }
}

fn json<T: DeserializeOwned>(answer: Response<Body>, url: &str) -> Result<T> {
    let unusable = |reason: String| Error::Answer {
        host: host_of(url),
        reason,
    };
    let mut text = Vec::new();
    answer
        .into_body()
        .into_reader()
        .take(MAX_LISTING_BYTES)
        .read_to_end(&mut text)
        .map_err(|source| Error::Broken {
            host: host_of(url),
            source,
        })?;
    serde_json::from_slice(&text).map_err(|error| unusable(format!("no list of files ({error})")))
}

/// The address in a `Link` header's `rel="next"`.
fn next_page(link: &str) -> Option<String> {
    link.split(',').find_map(|part| {
        let (url, rest) = part.trim().strip_prefix('<')?.split_once('>')?;
        rest.contains("rel=\"next\"").then(|| url.to_owned())
    })
}

/// The first byte of `bytes 100-199/200`.
fn range_start(range: &str) -> Option<u64> {
    range
        .trim()
        .strip_prefix("bytes")?
        .trim_start()
        .split('-')
        .next()?
        .parse()
        .ok()
}

/// Host and port of an address.
pub(super) fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest).to_owned()
}

fn encoded(path: &str) -> String {
    let segments: Vec<String> = path
        .split('/')
        .map(|segment| utf8_percent_encode(segment, SEGMENT).to_string())
        .collect();
    segments.join("/")
}

/// A path of the repository as one of its folder.
fn below_folder(path: &str, folder: &str) -> Option<String> {
    if folder.is_empty() {
        return Some(path.to_owned());
    }
    Some(path.strip_prefix(folder)?.strip_prefix('/')?.to_owned())
}

/// A hub's list must not name anything outside the folder.
fn is_safe(path: &str) -> bool {
    !path.is_empty()
        && path.split('/').all(|part| {
            !part.is_empty() && !matches!(part, "." | "..") && !part.contains(['\\', ':', '\0'])
        })
}

/// Files that this program reads; scripts, pictures and weights in other formats stay where they are.
fn is_read(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = Path::new(name)
        .extension()
        .map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    match extension.as_deref() {
        Some("safetensors" | "json" | "txt" | "jinja") => true,
        Some("pt") => name == "silence_latent.pt",
        _ => name.to_ascii_uppercase().starts_with("LICENSE"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_leave_the_folder_are_not_safe() {
        for path in ["model.safetensors", "a/b.json"] {
            assert!(is_safe(path), "{path}");
        }
        for path in [
            "",
            "../x",
            "a/../../x",
            "/etc/x",
            "a\\b",
            "C:x",
            "a//b",
            ".",
        ] {
            assert!(!is_safe(path), "{path}");
        }
    }

    #[test]
    fn only_what_is_read_is_fetched() {
        for path in [
            "config.json",
            "model.safetensors",
            "silence_latent.pt",
            "LICENSE",
            "chat_template.jinja",
        ] {
            assert!(is_read(path), "{path}");
        }
        for path in [
            "modeling_acestep_v15.py",
            "README.md",
            "weights.pt",
            "model.bin",
            ".gitattributes",
        ] {
            assert!(!is_read(path), "{path}");
        }
    }

    #[test]
    fn headers_are_read() {
        assert_eq!(
            next_page("<https://h/a?cursor=x>; rel=\"next\"").as_deref(),
            Some("https://h/a?cursor=x")
        );
        assert_eq!(next_page("<https://h/a>; rel=\"prev\""), None);
        assert_eq!(range_start("bytes 100-199/200"), Some(100));
        assert_eq!(range_start("none"), None);
        assert_eq!(host_of("http://127.0.0.1:80/x"), "127.0.0.1:80");
        assert_eq!(encoded("a b/ü+.json"), "a%20b/%C3%BC%2B.json");
    }
}
