//! The sound of a song or an upload over HTTP: whole, or in byte ranges so that a player can jump (RFC 9110, 14).
//!
//! One range an answer; a request for several gets the whole file, as the RFC allows. A path of the
//! server's disk never crosses the wire.

pub(crate) mod names;

use std::{io::SeekFrom, path::PathBuf, time::SystemTime};

use acestep_domain::{UserError, generation::AudioFormat, timed_lyrics::LyricsFormat};
use acestep_studio::Studio;
use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{
            ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
            CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE,
        },
    },
    response::{IntoResponse, Response},
};
use futures::stream;
use serde::Deserialize;
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncSeekExt},
};

use self::names::{disposition, file_stem, name_in};
use crate::api::{
    error::{ApiError, Result},
    json::{Path, Query, switch},
};

/// Bytes read from the disk at once.
const CHUNK_BYTES: usize = 64 << 10;

/// The query of [`lyrics`] and [`upload_audio`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    #[serde(default, with = "switch")]
    download: Option<bool>,
}

/// What part of a file is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole,
    /// First and last byte.
    Range(u64, u64),
    Unsatisfiable,
}

/// The query of [`audio`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedSong {
    #[serde(default, with = "switch")]
    pub(crate) download: Option<bool>,
    pub(crate) format: Option<String>,
}

/// `GET` and `HEAD /api/v1/songs/{id}/audio`; `?download=1` names the file for saving, `?format=` makes
/// one of another format of it.
pub async fn audio(
    State(studio): State<Studio>,
    Path(id): Path<String>,
    Query(wanted): Query<WantedSong>,
    headers: HeaderMap,
) -> Result<Response> {
    let song = studio.song(&id)?;
    let format = AudioFormat::from_name(&song.audio_format);
    if let Some(name) = wanted.format {
        let other = AudioFormat::from_name(&name).ok_or_else(|| unknown_format(&name))?;
        if Some(other) != format {
            let name = name_in(&song, other);
            let bytes = aside(move || studio.song_in_format(&id, other)).await?;
            return Ok(made(bytes, other, wanted.download.unwrap_or(false), &name));
        }
    }
    let stored = Stored {
        path: studio.song_file(&id)?,
        media_type: format.map_or("application/octet-stream", AudioFormat::media_type),
        name: format.map_or_else(
            || format!("{}.bin", file_stem(&song)),
            |format| name_in(&song, format),
        ),
        id,
    };
    send(stored, wanted.download.unwrap_or(false), &headers).await
}

/// `GET` and `HEAD /api/v1/songs/{id}/lyrics.{lrc,vtt,srt}`: the timed lyrics as a file;
/// `?download=1` names it for saving.
pub fn lyrics(
    format: LyricsFormat,
    State(studio): State<Studio>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response> {
    let text = studio.lyrics_file(&id, format)?;
    let name = format!("{}.{}", file_stem(&studio.song(&id)?), format.as_str());
    let mut answer = HeaderMap::new();
    set(&mut answer, CONTENT_TYPE, format.media_type());
    set(
        &mut answer,
        CONTENT_DISPOSITION,
        &disposition(wanted.download.unwrap_or(false), &name),
    );
    Ok((answer, text).into_response())
}

/// `GET /api/v1/songs/{id}/raw`: the song without the gain that its report states, as a wav file of
/// 32-bit floats for saving.
pub async fn raw(State(studio): State<Studio>, Path(id): Path<String>) -> Result<Response> {
    let song = studio.song(&id)?;
    let name = format!("{} (raw).wav", file_stem(&song));
    let bytes = aside(move || studio.raw_song(&id)).await?;
    Ok(made(bytes, AudioFormat::Wav32, true, &name))
}

/// Work that would hold up other answers.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> acestep_studio::error::Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|_| {
        UserError::new(
            "internal",
            "The program hit a defect while reading the song.",
            "Try again; if it happens again, please report it with the program's log.",
        )
    })?;
    Ok(done?)
}

/// A file that was made for this answer.
fn made(bytes: Vec<u8>, format: AudioFormat, attached: bool, name: &str) -> Response {
    let mut answer = Response::new(Body::from(bytes));
    let headers = answer.headers_mut();
    set(headers, CONTENT_TYPE, format.media_type());
    set(headers, CONTENT_DISPOSITION, &disposition(attached, name));
    answer
}

fn unknown_format(name: &str) -> UserError {
    let known: Vec<&str> = AudioFormat::ALL
        .iter()
        .map(|format| format.as_str())
        .collect();
    let shown: String = name.chars().take(40).collect();
    UserError::invalid(
        "format",
        format!("There is no audio format {shown:?}."),
        format!("There are {}.", known.join(", ")),
    )
}

/// `GET` and `HEAD /api/v1/uploads/{id}/audio`: the file as it was sent.
pub async fn upload_audio(
    State(studio): State<Studio>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response> {
    let upload = studio.upload(&id)?;
    let stored = Stored {
        path: studio.upload_file(&id)?,
        media_type: &upload.media_type,
        name: upload.name,
        id,
    };
    send(stored, wanted.download.unwrap_or(false), &headers).await
}

/// A file that is sent.
struct Stored<'a> {
    id: String,
    path: PathBuf,
    media_type: &'a str,
    name: String,
}

/// The file, or the part of it that `headers` ask for.
async fn send(stored: Stored<'_>, attached: bool, headers: &HeaderMap) -> Result<Response> {
    let Stored {
        id,
        path,
        media_type,
        name,
    } = stored;
    let mut file = File::open(&path)
        .await
        .map_err(|error| unreadable(&error))?;
    let meta = file.metadata().await.map_err(|error| unreadable(&error))?;
    let length = meta.len();
    let changed = meta
        .modified()
        .ok()
        .and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok())
        .map_or(0, |since| since.as_nanos());
    let etag = format!("\"{id}-{length:x}-{changed:x}\"");

    let mut answer = HeaderMap::new();
    set(&mut answer, ETAG, &etag);
    set(&mut answer, ACCEPT_RANGES, "bytes");
    // The file of an id never changes; a copy is checked again all the same, since it can be deleted.
    set(&mut answer, CACHE_CONTROL, "private, no-cache");
    set(&mut answer, CONTENT_TYPE, media_type);
    set(
        &mut answer,
        CONTENT_DISPOSITION,
        &disposition(attached, &name),
    );

    if text(headers, &IF_NONE_MATCH).is_some_and(|known| matches_etag(known, &etag)) {
        return Ok((StatusCode::NOT_MODIFIED, answer).into_response());
    }
    match part_from_headers(headers, &etag, length) {
        Part::Unsatisfiable => {
            set(&mut answer, CONTENT_RANGE, &format!("bytes */{length}"));
            answer.remove(CONTENT_TYPE);
            answer.remove(CONTENT_DISPOSITION);
            let error = UserError::new(
                "range_not_satisfiable",
                format!("The file has {length} bytes; the range lies outside."),
                "Ask for bytes within the file.",
            );
            let error = ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, error);
            Ok((answer, error).into_response())
        }
        Part::Whole => {
            set(&mut answer, CONTENT_LENGTH, &length.to_string());
            Ok((StatusCode::OK, answer, body(file, length)).into_response())
        }
        Part::Range(first, last) => {
            let count = last - first + 1;
            file.seek(SeekFrom::Start(first))
                .await
                .map_err(|error| unreadable(&error))?;
            set(&mut answer, CONTENT_LENGTH, &count.to_string());
            let place = format!("bytes {first}-{last}/{length}");
            set(&mut answer, CONTENT_RANGE, &place);
            Ok((StatusCode::PARTIAL_CONTENT, answer, body(file, count)).into_response())
        }
    }
}

fn unreadable(error: &std::io::Error) -> ApiError {
    tracing::error!("a file of sound cannot be read: {error}");
    UserError::new(
        "storage",
        "The file cannot be read.",
        "Check the output folder, then try again.",
    )
    .into()
}

/// `count` bytes from where `file` stands.
fn body(file: File, count: u64) -> Body {
    Body::from_stream(stream::unfold(
        (file, count),
        |(mut file, left)| async move {
            if left == 0 {
                return None;
            }
            let mut chunk = vec![0; CHUNK_BYTES.min(usize::try_from(left).unwrap_or(CHUNK_BYTES))];
            match file.read(&mut chunk).await {
                // Shorter than it was a moment ago: the connection ends early and the client notices.
                Ok(0) => Some((Err(std::io::ErrorKind::UnexpectedEof.into()), (file, 0))),
                Ok(read) => {
                    chunk.truncate(read);
                    Some((Ok(Bytes::from(chunk)), (file, left - read as u64)))
                }
                Err(error) => Some((Err(error), (file, 0))),
            }
        },
    ))
}

fn part_from_headers(headers: &HeaderMap, etag: &str, length: u64) -> Part {
    let Some(range) = text(headers, &RANGE) else {
        return Part::Whole;
    };
    // A range of another version would join two files.
    if text(headers, &IF_RANGE).is_some_and(|known| known.trim() != etag) {
        return Part::Whole;
    }
    part_from_range(range, length)
}

/// Reads a `Range` header; what is not understood is answered with the whole file.
fn part_from_range(range: &str, length: u64) -> Part {
    let Some((unit, set)) = range.split_once('=') else {
        return Part::Whole;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
        return Part::Whole;
    }
    let Some((first, last)) = set.trim().split_once('-') else {
        return Part::Whole;
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(first) || !digits(last) {
        return Part::Whole;
    }
    // A number too large to hold lies beyond the end of any file.
    let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
    match (first, last) {
        ("", "") => Part::Whole,
        ("", suffix) => match number(suffix) {
            0 => Part::Unsatisfiable,
            _ if length == 0 => Part::Unsatisfiable,
            count => Part::Range(length.saturating_sub(count), length - 1),
        },
        (first, last) => {
            let first = number(first);
            let last = if last.is_empty() {
                u64::MAX
            } else {
                number(last)
            };
            if last < first {
                Part::Whole
            } else if first >= length {
                Part::Unsatisfiable
            } else {
                Part::Range(first, last.min(length - 1))
            }
        }
    }
}

fn matches_etag(known: &str, etag: &str) -> bool {
    known.trim() == "*"
        || known
            .split(',')
            .any(|one| one.trim().trim_start_matches("W/") == etag)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_a_file_of_a_hundred_bytes() {
        for (range, part) in [
            ("bytes=0-9", Part::Range(0, 9)),
            ("bytes=0-", Part::Range(0, 99)),
            ("bytes=99-", Part::Range(99, 99)),
            ("bytes=50-500", Part::Range(50, 99)),
            ("bytes=-10", Part::Range(90, 99)),
            ("bytes=-500", Part::Range(0, 99)),
            ("Bytes = 1-2", Part::Range(1, 2)),
            ("bytes=100-", Part::Unsatisfiable),
            ("bytes=100-200", Part::Unsatisfiable),
            ("bytes=-0", Part::Unsatisfiable),
            ("bytes=99999999999999999999-", Part::Unsatisfiable),
            ("bytes=9-0", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=0-1,5-6", Part::Whole),
            ("lines=0-1", Part::Whole),
            ("0-1", Part::Whole),
            ("bytes=+1-2", Part::Whole),
        ] {
            assert_eq!(part_from_range(range, 100), part, "{range}");
        }
        assert_eq!(part_from_range("bytes=0-", 0), Part::Unsatisfiable);
        assert_eq!(part_from_range("bytes=-1", 0), Part::Unsatisfiable);
    }
}
