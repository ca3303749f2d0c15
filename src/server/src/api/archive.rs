//! Many songs in one file: their sound, their settings, and their timed lyrics where there are some. The
//! archive is written while it is sent, so its size meets no memory; what it holds is packed already, so it
//! is stored as it is.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, Write},
};

use acestep_domain::{
    UserError, generation::AudioFormat, library::Song, timed_lyrics::LyricsFormat,
};
use acestep_studio::{SongFilter, Studio};
use axum::{
    body::{Body, Bytes},
    extract::State,
    http::header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use futures::stream;
use tokio::sync::mpsc;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::{error::Result, json::Query, songs::Filter};
use crate::media::names::file_stem;

/// Bytes that are gathered before they are sent.
const CHUNK_BYTES: usize = 64 << 10;
/// Chunks that wait for a slow reader.
const WAITING: usize = 4;

type Chunk = io::Result<Bytes>;

/// `GET /api/v1/songs.zip`: all songs of the list, or those that `query`, `favourite`, `job_id`, `limit` and
/// `offset` leave.
pub async fn songs(State(studio): State<Studio>, Query(asked): Query<Filter>) -> Result<Response> {
    let filter = asked.into_filter(usize::MAX);
    let songs = all(&filter, |page| Ok(studio.songs(page)?.songs))?;
    if songs.is_empty() {
        return Err(UserError::new(
            "not_found",
            "There is no song to put into an archive.",
            "Search for something else, or make a song.",
        )
        .into());
    }
    let (sender, receiver) = mpsc::channel::<Chunk>(WAITING);
    tokio::task::spawn_blocking(move || {
        let mut end = sender.clone();
        if let Err(error) = write(&studio, &songs, Pipe::new(sender)) {
            // Whoever reads learns that the file is not whole by the connection's end.
            tell(&mut end, Err(error));
        }
    });
    let body = Body::from_stream(stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    }));
    let head = [
        (CONTENT_TYPE, "application/zip"),
        (CONTENT_DISPOSITION, "attachment; filename=\"songs.zip\""),
    ];
    Ok((head, body).into_response())
}

/// Every song of `filter`, page by page. The last song of a page is read once more with the next one: where
/// another stands in its place, the list has changed meanwhile and is read anew, so that no song is left out
/// or comes twice.
fn all(
    filter: &SongFilter,
    mut read: impl FnMut(&SongFilter) -> Result<Vec<Song>>,
) -> Result<Vec<Song>> {
    let mut songs: Vec<Song> = Vec::new();
    loop {
        let again = songs.last().map(|last| last.id.clone());
        let known = songs.len() - usize::from(again.is_some());
        let page = SongFilter {
            offset: filter.offset.saturating_add(known),
            limit: filter.limit - known,
            ..filter.clone()
        };
        let mut page = read(&page)?.into_iter();
        if again.is_some() && page.next().map(|first| first.id) != again {
            songs.clear();
            continue;
        }
        let before = songs.len();
        songs.extend(page);
        if songs.len() == before || songs.len() >= filter.limit {
            return Ok(songs);
        }
    }
}

fn write(studio: &Studio, songs: &[Song], pipe: Pipe) -> io::Result<()> {
    let mut archive = ZipWriter::new_stream(pipe);
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .large_file(false);
    let mut taken = HashSet::new();
    for song in songs {
        // One that was deleted meanwhile is left out, as it is from the list.
        let Ok(path) = studio.song_file(&song.id) else {
            continue;
        };
        let extension =
            AudioFormat::from_name(&song.audio_format).map_or("bin", AudioFormat::extension);
        let name = free_name(song, &mut taken);
        archive.start_file(format!("{name}.{extension}"), options)?;
        io::copy(&mut File::open(path)?, &mut archive)?;
        archive.start_file(format!("{name}.json"), options)?;
        archive.write_all(&serde_json::to_vec_pretty(song)?)?;
        if let Ok(lines) = studio.lyrics_file(&song.id, LyricsFormat::Lrc) {
            archive.start_file(format!("{name}.lrc"), options)?;
            archive.write_all(lines.as_bytes())?;
        }
    }
    archive.finish()?.into_inner().flush()
}

/// The song's title as a file name without ending, unlike those that are `taken`.
fn free_name(song: &Song, taken: &mut HashSet<String>) -> String {
    let title = file_stem(song);
    let mut name = title.clone();
    let mut number = 1;
    // File systems that take capital and small letters for the same would let one replace the other.
    while !taken.insert(name.to_lowercase()) {
        number += 1;
        name = format!("{title} ({number})");
    }
    name
}

fn tell(sender: &mut mpsc::Sender<Chunk>, chunk: Chunk) -> bool {
    sender.blocking_send(chunk).is_ok()
}

/// Sends what is written into it, in chunks.
struct Pipe {
    sender: mpsc::Sender<Chunk>,
    gathered: Vec<u8>,
}

impl Pipe {
    fn new(sender: mpsc::Sender<Chunk>) -> Self {
        Self {
            sender,
            gathered: Vec::with_capacity(CHUNK_BYTES),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= CHUNK_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::take(&mut self.gathered);
        if tell(&mut self.sender, Ok(Bytes::from(chunk))) {
            Ok(())
        } else {
            // Nobody reads on; writing ends here.
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::names::tests::song;

    /// What of a library that gives three songs at once is collected; `change` is made before the second read.
    fn collected(asked: &SongFilter, change: impl Fn(&mut Vec<&'static str>)) -> Vec<String> {
        let mut library = vec!["g", "f", "e", "d", "c", "b", "a"];
        let mut reads = 0;
        let songs = all(asked, |page| {
            reads += 1;
            if reads == 2 {
                change(&mut library);
            }
            let page = library.iter().skip(page.offset).take(page.limit.min(3));
            Ok(page.map(|id| song(id, "x")).collect())
        });
        songs.unwrap().into_iter().map(|song| song.id).collect()
    }

    #[test]
    fn many_songs_are_collected_whatever_happens_to_the_list_meanwhile() {
        let every = SongFilter {
            limit: usize::MAX,
            ..SongFilter::default()
        };
        let text = |change: fn(&mut Vec<&'static str>)| collected(&every, change).concat();
        assert_eq!(text(|_| ()), "gfedcba");
        assert_eq!(text(|songs| songs.insert(0, "h")), "hgfedcba");
        assert_eq!(text(|songs| songs.retain(|id| *id != "f")), "gedcba");
        assert_eq!(text(|songs| songs.truncate(2)), "gf");
        assert_eq!(text(Vec::clear), "");
    }

    #[test]
    fn limit_and_offset_are_those_of_the_list() {
        for (limit, offset, expected) in [
            (5, 0, "gfedc"),
            (4, 2, "edcb"),
            (3, 0, "gfe"),
            (1, 6, "a"),
            (9, 7, ""),
            (0, 0, ""),
        ] {
            let asked = SongFilter {
                limit,
                offset,
                ..SongFilter::default()
            };
            assert_eq!(
                collected(&asked, |_| ()).concat(),
                expected,
                "{limit} {offset}"
            );
        }
    }
}
