//! The part of an MP4 file that is meant to be heard.
//!
//! An AAC encoder needs a run-up and fills its last block, and its file says what of it is sound: by an
//! edit list, or in files of older iTunes by the tag iTunSMPB. symphonia 0.6 reads neither. A list that
//! puts several pieces together is left alone.

use std::io::{self, Read, Seek, SeekFrom};

use symphonia::core::{formats::FormatReader, meta::RawValue};

/// More boxes than the header of any song has; a damaged file must come to an end.
const MOST_BOXES: usize = 10_000;

/// A stretch of a track.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Part {
    skipped_secs: f64,
    /// To the end where it is not told.
    secs: Option<f64>,
}

impl Part {
    /// Frames to be left out at the start, and how many come then.
    pub(super) fn frames(self, rate_hz: u32) -> (usize, Option<usize>) {
        let frames = |secs: f64| (secs * f64::from(rate_hz)).round() as usize;
        (frames(self.skipped_secs), self.secs.map(frames))
    }

    /// Frames that are heard of a track of `frames`.
    pub(super) fn of(self, frames: u64, rate_hz: u32) -> u64 {
        let (skipped, heard) = self.frames(rate_hz);
        let rest = frames.saturating_sub(skipped as u64);
        heard.map_or(rest, |heard| rest.min(heard as u64))
    }
}

/// Cuts a part out of what comes in packets.
#[derive(Debug)]
pub(super) struct Cut {
    skip: usize,
    left: Option<usize>,
}

impl Cut {
    /// Everything, where there is no part.
    pub(super) fn new(part: Option<Part>, rate_hz: u32) -> Self {
        let (skip, left) = part.map_or((0, None), |part| part.frames(rate_hz));
        Self { skip, left }
    }

    /// Leaves of the next frames those that are heard.
    pub(super) fn take(&mut self, planes: &mut [Vec<f32>]) {
        let frames = planes.first().map_or(0, Vec::len);
        let from = self.skip.min(frames);
        let kept = self
            .left
            .map_or(frames - from, |left| left.min(frames - from));
        for plane in planes {
            plane.truncate(from + kept);
            plane.drain(..from);
        }
        self.skip -= from;
        self.left = self.left.map(|left| left - kept);
    }
}

/// What the edit lists of a file say, by track.
#[derive(Debug, Default)]
pub(super) struct Edits {
    is_mp4: bool,
    parts: Vec<(u32, Part)>,
    /// Frames of the run-up and of the sound.
    tag: Option<(u64, u64)>,
}

impl Edits {
    /// Reads them and goes back to the start; of what is no MP4 file there are none.
    pub(super) fn read(source: &mut (impl Read + Seek)) -> Self {
        let mut boxes = Boxes {
            source,
            left: MOST_BOXES,
        };
        let found = boxes.movie().unwrap_or_default();
        // Where going back fails the reader that follows says so.
        source.rewind().ok();
        Self {
            is_mp4: found.is_some(),
            parts: found.unwrap_or_default(),
            tag: None,
        }
    }

    /// Reads the tag: a number, run-up, filling and length, in hexadecimal.
    pub(super) fn read_tag(&mut self, format: &mut dyn FormatReader) {
        if !self.is_mp4 {
            return;
        }
        let mut metadata = format.metadata();
        let latest = metadata.skip_to_latest();
        let mut tags = latest.iter().flat_map(|revision| &revision.media.tags);
        let text = tags.find_map(|tag| match &tag.raw.value {
            RawValue::String(text) if tag.raw.key.ends_with("iTunSMPB") => Some(text),
            _ => None,
        });
        let Some(text) = text else { return };
        let words = text.split_whitespace();
        let numbers: Result<Vec<u64>, _> = words
            .take(4)
            .map(|word| u64::from_str_radix(word, 16))
            .collect();
        if let Ok(&[_, delay, _, length]) = numbers.as_deref()
            && length > 0
        {
            self.tag = Some((delay, length));
        }
    }

    /// The part of the track `id`, whose codec counts in frames of `rate_hz`.
    pub(super) fn of(&self, id: u32, rate_hz: Option<u32>) -> Option<Part> {
        let mut parts = self.parts.iter().filter(|(track, _)| *track == id);
        if let Some((_, part)) = parts.next() {
            return Some(*part);
        }
        let ((delay, length), rate) = self.tag.zip(rate_hz)?;
        let secs = |frames: u64| frames as f64 / f64::from(rate);
        Some(Part {
            skipped_secs: secs(delay),
            secs: Some(secs(length)),
        })
    }
}

/// What is inside of a box: its kind, where it begins and ends.
type Inside = ([u8; 4], u64, u64);

/// What is read of a track.
#[derive(Default)]
struct TrackBoxes {
    id: Option<u32>,
    ticks: Option<u32>,
    /// Pieces as they are heard: length in ticks of the movie, start in ticks of the track.
    pieces: Vec<(u64, u64)>,
}

struct Boxes<'a, S> {
    source: &'a mut S,
    left: usize,
}

impl<S: Read + Seek> Boxes<'_, S> {
    fn at<const N: usize>(&mut self, place: u64) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.source.seek(SeekFrom::Start(place))?;
        self.source.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn number(&mut self, place: u64) -> io::Result<u32> {
        self.at(place).map(u32::from_be_bytes)
    }

    fn long(&mut self, place: u64) -> io::Result<u64> {
        self.at(place).map(u64::from_be_bytes)
    }

    /// The box at `place` and where the next one begins; `None` where there is none.
    fn box_at(&mut self, place: u64, end: u64) -> io::Result<Option<(Inside, u64)>> {
        if place.saturating_add(8) > end || self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let kind = self.at(place + 4)?;
        let (head, size) = match self.number(place)? {
            0 => (8, end - place),
            1 => (16, self.long(place + 8)?),
            size => (8, u64::from(size)),
        };
        let next = place.saturating_add(size).min(end);
        let whole = size >= head;
        Ok(whole.then_some(((kind, place + head, next), next)))
    }

    fn inside(&mut self, mut place: u64, end: u64) -> io::Result<Vec<Inside>> {
        let mut found = Vec::new();
        while let Some((inside, next)) = self.box_at(place, end)? {
            found.push(inside);
            place = next;
        }
        Ok(found)
    }

    fn movie(&mut self) -> io::Result<Option<Vec<(u32, Part)>>> {
        let end = self.source.seek(SeekFrom::End(0))?;
        if end < 8 || self.at::<4>(4)? != *b"ftyp" {
            return Ok(None);
        }
        let (mut place, mut found) = (0, Vec::new());
        while let Some(((kind, from, to), next)) = self.box_at(place, end)? {
            if &kind == b"moov" {
                found = self.tracks(from, to)?;
                break;
            }
            place = next;
        }
        Ok(Some(found))
    }

    fn tracks(&mut self, from: u64, to: u64) -> io::Result<Vec<(u32, Part)>> {
        let (mut movie_ticks, mut tracks) = (0, Vec::new());
        for (kind, from, to) in self.inside(from, to)? {
            match &kind {
                b"mvhd" => movie_ticks = self.ticks(from)?,
                b"trak" => {
                    let mut track = TrackBoxes::default();
                    self.track(from, to, &mut track)?;
                    tracks.push(track);
                }
                _ => {}
            }
        }
        Ok(tracks
            .iter()
            .filter_map(|track| track.part(movie_ticks))
            .collect())
    }

    fn track(&mut self, from: u64, to: u64, track: &mut TrackBoxes) -> io::Result<()> {
        for (kind, from, to) in self.inside(from, to)? {
            match &kind {
                b"edts" | b"mdia" => self.track(from, to, track)?,
                b"tkhd" => {
                    let times = self.times(from)?;
                    track.id = Some(self.number(from + 4 + times)?);
                }
                b"mdhd" => track.ticks = Some(self.ticks(from)?),
                b"elst" => track.pieces = self.pieces(from, to)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Bytes of the two dates behind the version of a header.
    fn times(&mut self, from: u64) -> io::Result<u64> {
        let [version] = self.at(from)?;
        Ok(if version == 1 { 16 } else { 8 })
    }

    /// Ticks in a second, by the header of a movie or of a track's sound.
    fn ticks(&mut self, from: u64) -> io::Result<u32> {
        let times = self.times(from)?;
        self.number(from + 4 + times)
    }

    fn pieces(&mut self, from: u64, to: u64) -> io::Result<Vec<(u64, u64)>> {
        let [version] = self.at(from)?;
        let entry = if version == 1 { 20 } else { 12 };
        let mut pieces = Vec::new();
        let mut place = from + 8;
        // Of more than one piece nothing is made, so no more are read.
        for _ in 0..self.number(from + 4)?.min(8) {
            if place + entry > to {
                break;
            }
            let (length, start) = if version == 1 {
                (self.long(place)?, self.long(place + 8)?.cast_signed())
            } else {
                let start = self.number(place + 4)?.cast_signed();
                (u64::from(self.number(place)?), i64::from(start))
            };
            // A start of -1 is a pause before the sound.
            if let Ok(start) = u64::try_from(start) {
                pieces.push((length, start));
            }
            place += entry;
        }
        Ok(pieces)
    }
}

impl TrackBoxes {
    fn part(&self, movie_ticks: u32) -> Option<(u32, Part)> {
        let (id, ticks) = (self.id?, self.ticks.filter(|ticks| *ticks > 0)?);
        let &[(length, start)] = self.pieces.as_slice() else {
            return None;
        };
        let told = length > 0 && movie_ticks > 0;
        Some((
            id,
            Part {
                skipped_secs: start as f64 / f64::from(ticks),
                secs: told.then(|| length as f64 / f64::from(movie_ticks)),
            },
        ))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn boxed(kind: &[u8; 4], inside: &[&[u8]]) -> Vec<u8> {
        let inside = inside.concat();
        let size = (inside.len() + 8) as u32;
        [&size.to_be_bytes()[..], kind, &inside].concat()
    }

    fn numbers(numbers: &[u32]) -> Vec<u8> {
        numbers.iter().flat_map(|n| n.to_be_bytes()).collect()
    }

    /// A header with pieces of length and start.
    fn file(pieces: &[[u32; 2]]) -> Vec<u8> {
        let mut list = numbers(&[0, pieces.len() as u32]);
        for piece in pieces {
            list.extend(numbers(&[piece[0], piece[1], 0x1_0000]));
        }
        let track = boxed(
            b"trak",
            &[
                &boxed(b"tkhd", &[&numbers(&[0, 0, 0, 7])]),
                &boxed(b"edts", &[&boxed(b"elst", &[&list])]),
                &boxed(b"mdia", &[&boxed(b"mdhd", &[&numbers(&[0, 0, 0, 48_000])])]),
            ],
        );
        let movie = [&boxed(b"mvhd", &[&numbers(&[0, 0, 0, 1000])])[..], &track];
        [
            boxed(b"ftyp", &[b"M4A "]),
            boxed(b"mdat", &[&[0; 33]]),
            boxed(b"moov", &movie),
        ]
        .concat()
    }

    fn of(bytes: &[u8]) -> Option<(usize, Option<usize>)> {
        let mut source = Cursor::new(bytes);
        let part = Edits::read(&mut source).of(7, None);
        assert_eq!(source.position(), 0);
        part.map(|part| part.frames(48_000))
    }

    #[test]
    fn one_piece_is_the_part_that_is_heard() {
        assert_eq!(of(&file(&[[2000, 1105]])), Some((1105, Some(96_000))));
        // A length of 0 is one that was not known, and a pause before it is none of its sound.
        assert_eq!(of(&file(&[[0, 1024]])), Some((1024, None)));
        let pause = [100, u32::MAX];
        assert_eq!(of(&file(&[pause, [2000, 0]])), Some((0, Some(96_000))));
        assert_eq!(of(&file(&[[10, 0], [10, 900]])), None);
        assert_eq!(of(&file(&[])), None);
    }

    #[test]
    fn damage_of_any_kind_comes_to_an_end() {
        let whole = file(&[[2000, 1105]]);
        for cut in 0..whole.len() {
            of(&whole[..cut]);
        }
        for place in 0..whole.len() {
            for byte in [0, 1, 0x7F, 0xFF] {
                let mut damaged = whole.clone();
                damaged[place] = byte;
                of(&damaged);
            }
        }
    }
}
