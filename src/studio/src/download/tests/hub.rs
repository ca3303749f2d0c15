//! A hub on this machine that answers as the real ones do, and fails when it is told to.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, mpsc::Receiver},
};

use serde_json::json;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// Files above this are in LFS, as on Hugging Face.
const LFS_ABOVE: usize = 64;

/// What goes wrong.
#[derive(Default)]
pub(super) struct Faults {
    /// So many transfers break off after so many bytes.
    pub(super) cut: (usize, usize),
    /// Every request is answered with this status.
    pub(super) status: Option<u16>,
    /// Ranges are not known.
    pub(super) no_ranges: bool,
    /// Bytes of this file are not what the list says.
    pub(super) wrong: Option<String>,
    /// Transfers stop after so many bytes until the gate opens or closes for good.
    pub(super) gate: Option<(usize, Receiver<()>)>,
}

#[derive(Default)]
struct State {
    /// `repository/path` to bytes.
    files: BTreeMap<String, Vec<u8>>,
    faults: Faults,
    /// Method, path and range of every request.
    seen: Vec<String>,
}

/// A hub that listens.
pub(super) struct Hub {
    pub(super) url: String,
    state: Arc<Mutex<State>>,
}

impl Hub {
    pub(super) fn with(files: &[(&str, &[u8])]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let files = files
            .iter()
            .map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec()))
            .collect();
        let state = Arc::new(Mutex::new(State {
            files,
            ..State::default()
        }));
        let (shared, own) = (Arc::clone(&state), url.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, own) = (Arc::clone(&shared), own.clone());
                // A client that goes away is one of the faults.
                std::thread::spawn(move || answer(&stream, &own, &shared).ok());
            }
        });
        Self { url, state }
    }

    pub(super) fn fail(&self, faults: Faults) {
        self.state.lock().unwrap().faults = faults;
    }

    /// Requests whose path holds `part`, with their ranges.
    pub(super) fn seen(&self, part: &str) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let mut seen = state.seen.clone();
        seen.retain(|line| line.contains(part));
        seen
    }
}

fn answer(stream: &TcpStream, own: &str, state: &Mutex<State>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut from = None;
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some(range) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse::<usize>().ok();
        }
    }
    let mut state = state.lock().unwrap();
    state
        .seen
        .push(format!("{path} from {}", from.unwrap_or(0)));
    if let Some(status) = state.faults.status {
        return head(stream, status, 0, "");
    }
    if let Some(rest) = path.strip_prefix("/api/models/") {
        return list_huggingface(stream, own, &state, rest);
    }
    if let Some(rest) = path.strip_prefix("/api/v1/models/") {
        if let Some((repository, query)) = rest.split_once("/repo/files?") {
            return list_modelscope(stream, &state, repository, query);
        }
        let (repository, query) = rest.split_once("/repo?").unwrap();
        let file = query.split("FilePath=").nth(1).unwrap().replace("%2F", "/");
        let key = format!("{repository}/{file}");
        return send(stream, state, &key, from);
    }
    if let Some(rest) = path.strip_prefix("/cdn/") {
        let key = rest.to_owned();
        return send(stream, state, &key, from);
    }
    // As the hub sends whoever asks for a large file to where it lies.
    let key = path.trim_start_matches('/').replace("/resolve/main/", "/");
    head(stream, 302, 0, &format!("Location: {own}/cdn/{key}\r\n"))
}

fn head(mut stream: &TcpStream, status: u16, length: usize, more: &str) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n{more}\r\n"
    )
}

/// Two files a page, so that a list has several.
fn list_huggingface(
    mut stream: &TcpStream,
    own: &str,
    state: &State,
    rest: &str,
) -> std::io::Result<()> {
    let (place, query) = rest.split_once('?').unwrap();
    let (repository, folder) = place.split_once("/tree/main").unwrap();
    let below = format!("{repository}{folder}/");
    let start: usize = query
        .split("cursor=")
        .nth(1)
        .map_or(0, |cursor| cursor.parse().unwrap());
    let all: Vec<_> = state
        .files
        .iter()
        .filter(|(key, _)| key.starts_with(&below))
        .collect();
    if all.is_empty() {
        return head(stream, 404, 0, "");
    }
    let entries: Vec<_> = all
        .iter()
        .skip(start)
        .take(2)
        .map(|(key, bytes)| {
            let path = &key[repository.len() + 1..];
            if bytes.len() > LFS_ABOVE {
                let oid = format!("{:x}", Sha256::digest(bytes));
                json!({ "type": "file", "path": path, "oid": "pointer", "size": bytes.len(),
                    "lfs": { "oid": oid, "size": bytes.len(), "pointerSize": 134 } })
            } else {
                let mut blob = format!("blob {}\0", bytes.len()).into_bytes();
                blob.extend_from_slice(bytes);
                let oid = format!("{:x}", Sha1::digest(blob));
                json!({ "type": "file", "path": path, "oid": oid, "size": bytes.len() })
            }
        })
        .chain([json!({ "type": "directory", "path": "assets", "oid": "x", "size": 0 })])
        .collect();
    let body = serde_json::to_vec(&entries).unwrap();
    let mut more = String::new();
    if start + 2 < all.len() {
        let next = start + 2;
        write!(
            more,
            "Link: <{own}/api/models/{place}?recursive=true&cursor={next}>; rel=\"next\"\r\n"
        )
        .unwrap();
    }
    head(stream, 200, body.len(), &more)?;
    stream.write_all(&body)
}

fn list_modelscope(
    mut stream: &TcpStream,
    state: &State,
    repository: &str,
    query: &str,
) -> std::io::Result<()> {
    let folder = query
        .split("Root=")
        .nth(1)
        .map_or(String::new(), |root| format!("{root}/"));
    let below = format!("{repository}/{folder}");
    let files: Vec<_> = state
        .files
        .iter()
        .filter(|(key, _)| key.starts_with(&below))
        .map(|(key, bytes)| {
            // Small files may come without a hash.
            let sum = match bytes.len() {
                0..=LFS_ABOVE => String::new(),
                _ => format!("{:x}", Sha256::digest(bytes)),
            };
            json!({ "Path": &key[repository.len() + 1..], "Type": "blob", "Size": bytes.len(), "Sha256": sum })
        })
        .collect();
    let body = serde_json::to_vec(&json!({ "Code": 200, "Data": { "Files": files } })).unwrap();
    head(stream, 200, body.len(), "")?;
    stream.write_all(&body)
}

fn send(
    mut stream: &TcpStream,
    mut state: std::sync::MutexGuard<'_, State>,
    key: &str,
    from: Option<usize>,
) -> std::io::Result<()> {
    let Some(bytes) = state.files.get(key) else {
        return head(stream, 404, 0, "");
    };
    let mut bytes = bytes.clone();
    if state.faults.wrong.as_deref() == Some(key) {
        bytes[0] ^= 1;
    }
    let from = from.filter(|_| !state.faults.no_ranges);
    let begins = from.unwrap_or(0);
    let rest = &bytes[begins..];
    match from {
        Some(_) => {
            let range = format!(
                "Content-Range: bytes {begins}-{}/{}\r\n",
                bytes.len() - 1,
                bytes.len()
            );
            head(stream, 206, rest.len(), &range)?;
        }
        None => head(stream, 200, rest.len(), "")?,
    }
    let (times, after) = state.faults.cut;
    if times > 0 && rest.len() > after {
        state.faults.cut.0 -= 1;
        return stream.write_all(&rest[..after]);
    }
    if rest.len() > LFS_ABOVE
        && let Some((after, gate)) = state.faults.gate.take()
    {
        drop(state);
        stream.write_all(&rest[..after])?;
        gate.recv().ok();
        return stream.write_all(&rest[after..]);
    }
    stream.write_all(rest)
}
