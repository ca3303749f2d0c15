//! Files to sound: whatever symphonia reads, the first two channels, at the file's own rate.
//!
//! A file is decoded packet after packet; [`inspect`] keeps none of it, so that looking at a file
//! costs no memory whatever its length. A file that says that it is too long is refused before it is
//! decoded, one that turns out to be is stopped there. Packets that cannot be decoded are left out and
//! told, as players do; a file in which they are many is refused.

use std::{
    fs::File,
    io::{Cursor, ErrorKind},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use acestep_domain::{generation::clamp::minutes, note::Note, param::range_of};
use symphonia::core::{
    audio::Channels,
    codecs::audio::{
        AudioCodecParameters, AudioDecoderOptions,
        well_known::{CODEC_ID_MP3, CODEC_ID_PCM_MULAW, CODEC_ID_PCM_S32LE},
    },
    errors::Error as Symphonia,
    formats::{FormatOptions, FormatReader, Track, TrackType, probe::Hint},
    io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions},
    meta::MetadataOptions,
};

use self::{
    edits::{Cut, Edits},
    range::Range,
    riff::UnknownLength,
};
use super::{Audio, SILENT_PEAK};
use crate::error::{Error, Result};

mod edits;
mod range;
mod riff;

/// Sample rates of sound that people record.
const RATES_HZ: std::ops::RangeInclusive<u32> = 1_000..=768_000;

/// A declared length is an estimate in some formats: only one this much too long is refused for it.
const ESTIMATE: f64 = 1.25;

/// Files end on whole blocks: a song of exactly the limit may come back a hair longer.
const SLACK_SECS: f64 = 0.1;

/// One packet in so many may be damaged.
const DAMAGED_OF: usize = 10;

/// Blocks of a second whose peaks are kept while the length is not known.
const BLOCKS_PER_SEC: u32 = 100;

/// How long a file may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    max_secs: f64,
}

impl Limit {
    /// The longest song the models know.
    pub fn song() -> Self {
        Self::of(range_of("duration").1)
    }

    /// Any length.
    pub const fn none() -> Self {
        Self::of(f64::INFINITY)
    }

    /// `max_secs`.
    pub const fn of(max_secs: f64) -> Self {
        Self { max_secs }
    }
}

/// Why a file is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Fault {
    /// It cannot be opened or read.
    #[error("{0}")]
    Unreadable(String),
    /// No format that is known.
    #[error("this is no audio file that can be read (wav, flac, mp3, ogg, m4a, aiff)")]
    Unknown,
    /// A known format with a sound of an unknown kind.
    #[error("the sound in it is of a kind that cannot be read: {0}")]
    Codec(String),
    /// The file contradicts itself, or too much of it is damaged.
    #[error("the audio is damaged: {0}")]
    Damaged(String),
    /// A rate no sound is recorded at.
    #[error("it has {0} Hz, and 1000 to 768000 can be read")]
    Rate(u32),
    /// Nothing in it.
    #[error("there are no samples in it")]
    Empty,
    /// Nothing to hear in it.
    #[error("the sound is silent")]
    Silent,
    /// Longer than allowed.
    #[error("it is {} long, and {} is the most", minutes(*secs), minutes(*max_secs))]
    TooLong {
        /// What it says, or where it was stopped.
        secs: f64,
        /// The limit.
        max_secs: f64,
    },
}

impl Fault {
    /// What to do, one sentence.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "Check the file and its permissions.",
            Self::Unknown | Self::Codec(_) => "Save it as wav, flac, mp3, ogg or m4a.",
            Self::Damaged(_) | Self::Empty => "Save or download the file again.",
            Self::Rate(_) => "Save it with 44100 or 48000 Hz.",
            Self::Silent => "Choose a recording with something to hear.",
            Self::TooLong { .. } => "Cut out the part that is meant.",
        }
    }
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// Its sound; mono stays mono.
    pub audio: Audio,
    /// What was left out or is missing.
    pub notes: Vec<Note>,
}

/// A file that was looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspected {
    /// Its length.
    pub duration_secs: f64,
    /// Its own sample rate.
    pub sample_rate_hz: u32,
    /// Its own channels.
    pub channels: usize,
    /// Largest absolute sample of each of so many equal parts as were asked for, 0 to 1.
    pub peaks: Vec<f32>,
    /// What was left out or is missing.
    pub notes: Vec<Note>,
}

/// Reads a file.
///
/// # Errors
/// [`Error::Sound`]: why it is refused.
pub fn from_path(path: &Path, limit: Limit) -> Result<Decoded> {
    let what = path.display().to_string();
    open(path)
        .and_then(|file| collect(file, limit))
        .map_err(|fault| Error::Sound { what, fault })
}

/// Reads a file held in memory.
///
/// # Errors
/// [`Error::Sound`]: why it is refused.
pub fn from_bytes(bytes: Vec<u8>, limit: Limit) -> Result<Decoded> {
    collect(Box::new(Cursor::new(bytes)), limit).map_err(|fault| Error::Sound {
        what: "the audio".to_owned(),
        fault,
    })
}

/// Looks at a file and keeps nothing of it but `peaks` peaks. Silence is refused.
///
/// # Errors
/// Why the file is refused.
pub fn inspect(path: &Path, limit: Limit, peaks: usize) -> Result<Inspected, Fault> {
    let mut blocks: Vec<f32> = Vec::new();
    let mut samples = 0usize;
    let read = read(open(path)?, limit, &mut |planes, rate| {
        let block = (rate / BLOCKS_PER_SEC).max(1) as usize;
        let frames = planes.first().map_or(0, Vec::len);
        for frame in 0..frames {
            let peak = planes
                .iter()
                .fold(0.0f32, |peak, plane| peak.max(plane[frame].abs()));
            let place = (samples + frame) / block;
            if place == blocks.len() {
                blocks.push(0.0);
            }
            blocks[place] = blocks[place].max(peak);
        }
        samples += frames;
    })?;
    if blocks.iter().all(|peak| *peak < SILENT_PEAK) {
        return Err(Fault::Silent);
    }
    let drawn = Audio {
        channels: vec![blocks],
        sample_rate_hz: BLOCKS_PER_SEC,
    };
    Ok(Inspected {
        duration_secs: read.frames as f64 / f64::from(read.sample_rate_hz),
        sample_rate_hz: read.sample_rate_hz,
        channels: read.channels,
        peaks: drawn.peaks(peaks),
        notes: read.notes,
    })
}

fn open(path: &Path) -> Result<Box<dyn MediaSource>, Fault> {
    let file = File::open(path).map_err(|error| Fault::Unreadable(error.to_string()))?;
    Ok(Box::new(file))
}

fn collect(source: Box<dyn MediaSource>, limit: Limit) -> Result<Decoded, Fault> {
    let mut channels: Vec<Vec<f32>> = Vec::new();
    let read = read(source, limit, &mut |planes, _| {
        channels.resize(planes.len(), Vec::new());
        for (channel, plane) in channels.iter_mut().zip(planes) {
            channel.extend_from_slice(plane);
        }
    })?;
    Ok(Decoded {
        audio: Audio {
            channels,
            sample_rate_hz: read.sample_rate_hz,
        },
        notes: read.notes,
    })
}

/// What is known of a file once it was read.
#[derive(Default)]
struct Read {
    frames: usize,
    sample_rate_hz: u32,
    channels: usize,
    notes: Vec<Note>,
}

/// Receives the first two channels packet after packet, inside -1..1, and the sample rate.
type Sink<'a> = dyn FnMut(&[Vec<f32>], u32) + 'a;

/// Damaged headers drive some readers of symphonia 0.6 into arithmetic that panics; whoever sends such
/// a file is told that it is damaged, and nothing else happens.
fn read(source: Box<dyn MediaSource>, limit: Limit, sink: &mut Sink<'_>) -> Result<Read, Fault> {
    // What a panic leaves half done is dropped with the reader; the sink's owner gives its part up.
    catch_unwind(AssertUnwindSafe(|| probe(source, limit, sink)))
        .unwrap_or_else(|_| Err(Fault::Damaged("its header makes no sense".to_owned())))
}

fn probe(source: Box<dyn MediaSource>, limit: Limit, sink: &mut Sink<'_>) -> Result<Read, Fault> {
    let file_bytes = source.byte_len();
    let mut source =
        UnknownLength::new(source).map_err(|error| Fault::Unreadable(error.to_string()))?;
    let mut edits = Edits::read(&mut source);
    let stream = MediaSourceStream::new(Box::new(source), MediaSourceStreamOptions::default());
    let mut format = symphonia::default::get_probe()
        .probe(
            &Hint::new(),
            stream,
            FormatOptions::default(),
            MetadataOptions::default(),
        )
        .map_err(|_no_format| Fault::Unknown)?;
    edits.read_tag(format.as_mut());
    packets(format.as_mut(), (file_bytes, &edits), limit, sink)
}

fn packets(
    format: &mut dyn FormatReader,
    (file_bytes, edits): (Option<u64>, &Edits),
    limit: Limit,
    sink: &mut Sink<'_>,
) -> Result<Read, Fault> {
    let no_track = || Fault::Codec("there is no audio track".to_owned());
    let track = format
        .default_track(TrackType::Audio)
        .ok_or_else(no_track)?;
    let params = track
        .codec_params
        .as_ref()
        .and_then(|params| params.audio())
        .ok_or_else(no_track)?;
    // An mp3 without its encoder's header: the length is a guess from the first frames.
    let guessed = params.codec == CODEC_ID_MP3 && track.delay.is_none();
    let id = track.id;
    let declared_rate = params.sample_rate.filter(|rate| *rate > 0);
    let part = edits.of(id, declared_rate);
    let mut declared = declared(track, params, file_bytes);
    if let Some((part, rate)) = part.zip(declared_rate) {
        declared = declared.map(|frames| part.of(frames, rate));
    }
    let declared_secs = declared
        .zip(declared_rate)
        .map_or(0.0, |(frames, rate)| frames as f64 / f64::from(rate));
    let can_be = declared.is_some_and(|frames| fits(frames, params, file_bytes));
    let too_long = |secs: f64| Fault::TooLong {
        secs: if can_be {
            secs.max(declared_secs)
        } else {
            secs
        },
        max_secs: limit.max_secs,
    };
    if can_be && declared_secs > limit.max_secs * ESTIMATE {
        return Err(too_long(declared_secs));
    }
    let mut decoder = symphonia::default::get_codecs()
        // The end would be cut off at the guessed length.
        .make_audio_decoder(params, &AudioDecoderOptions::default().gapless(!guessed))
        .map_err(|error| Fault::Codec(error.to_string()))?;
    let mut read = Read::default();
    let (mut heard, mut damaged) = (0usize, 0usize);
    let mut range = Range::default();
    let mut cut: Option<Cut> = None;
    let mut planes: Vec<Vec<f32>> = Vec::new();
    loop {
        let packet = match format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            // Some readers only notice the end by running into it; a damaged end is one as well.
            Err(Symphonia::IoError(error)) if error.kind() == ErrorKind::UnexpectedEof => break,
            Err(Symphonia::IoError(error)) => return Err(Fault::Unreadable(error.to_string())),
            Err(_) if heard > 0 => {
                damaged += 1;
                break;
            }
            Err(error) => return Err(Fault::Damaged(error.to_string())),
        };
        if packet.track_id != id {
            continue;
        }
        let decoded = match decoder.decode(&packet) {
            Ok(decoded) => decoded,
            Err(Symphonia::DecodeError(_) | Symphonia::IoError(_)) => {
                damaged += 1;
                continue;
            }
            Err(error) => return Err(Fault::Damaged(error.to_string())),
        };
        heard += 1;
        let (rate, channels) = (decoded.spec().rate(), decoded.spec().channels().count());
        if !RATES_HZ.contains(&rate) {
            return Err(Fault::Rate(rate));
        }
        if read.frames > 0 && (rate != read.sample_rate_hz || channels != read.channels) {
            return Err(Fault::Damaged(
                "rate or channels change in the middle of it".to_owned(),
            ));
        }
        (read.sample_rate_hz, read.channels) = (rate, channels);
        decoded.copy_to_vecs_planar(&mut planes);
        planes.truncate(2);
        cut.get_or_insert_with(|| Cut::new(part, rate))
            .take(&mut planes);
        for sample in planes.iter_mut().flatten() {
            *sample = range.take(*sample);
        }
        read.frames += planes.first().map_or(0, Vec::len);
        let secs = read.frames as f64 / f64::from(rate);
        if secs > limit.max_secs + SLACK_SECS {
            return Err(too_long(secs));
        }
        sink(&planes, rate);
    }
    if damaged * DAMAGED_OF > heard + damaged {
        return Err(Fault::Damaged(format!(
            "{damaged} of its {} packets cannot be decoded",
            heard + damaged
        )));
    }
    if read.frames == 0 {
        return Err(Fault::Empty);
    }
    read.tell(declared.filter(|_| !guessed), damaged);
    range.tell(&mut read.notes);
    Ok(read)
}

/// Bytes of a sample of all channels in a format that does not compress; 0 in one that does.
fn frame_bytes(audio: &AudioCodecParameters) -> u64 {
    u64::from(audio.bits_per_coded_sample.unwrap_or(0)).div_ceil(8)
        * audio.channels.as_ref().map_or(1, Channels::count) as u64
}

/// From here on a number of bytes is the mark of a writer who did not know it: the largest number of 31 or
/// 32 bits, less a header or rounded to blocks.
const MARK_BYTES: u64 = 0x7FFF_0000;

/// The length a file of `file_bytes` says it has, in samples of a channel; `None` where the number is a
/// mark of the unknown.
fn declared(track: &Track, audio: &AudioCodecParameters, file_bytes: Option<u64>) -> Option<u64> {
    let frames = track.num_frames?;
    let is_mark = frames.saturating_mul(frame_bytes(audio)) >= MARK_BYTES;
    (frames > 0 && (!is_mark || fits(frames, audio, file_bytes))).then_some(frames)
}

/// Whether a file of `file_bytes` can hold the `frames` that it declares.
fn fits(frames: u64, audio: &AudioCodecParameters, file_bytes: Option<u64>) -> bool {
    let is_pcm = (CODEC_ID_PCM_S32LE..=CODEC_ID_PCM_MULAW).contains(&audio.codec);
    !is_pcm || file_bytes.is_none_or(|bytes| frames.saturating_mul(frame_bytes(audio)) <= bytes)
}

impl Read {
    /// Compares what was found with what was declared.
    fn tell(&mut self, declared: Option<u64>, damaged: usize) {
        if damaged > 0 {
            self.notes.push(Note::general(
                "audio_damaged",
                format!(
                    "The file is damaged in {damaged} places; what cannot be read was left out."
                ),
            ));
        }
        if self.channels > 2 {
            self.notes.push(Note::general(
                "audio_channels_left_out",
                format!(
                    "The file has {} channels; the first two are used.",
                    self.channels
                ),
            ));
        }
        let rate = f64::from(self.sample_rate_hz);
        let found = self.frames as f64 / rate;
        if let Some(said) = declared.map(|frames| frames as f64 / rate)
            && said - found > (said * 0.01).max(0.2)
        {
            self.notes.push(Note::general(
                "audio_cut_off",
                format!(
                    "The file says that it is {} long and holds {}; it may have been cut off.",
                    minutes(said),
                    minutes(found)
                ),
            ));
        }
    }
}

#[cfg(test)]
mod tests;
