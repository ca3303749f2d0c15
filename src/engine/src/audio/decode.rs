//! Files to sound: whatever symphonia reads, the first two channels, at the file's own rate.

use std::{
    fs::File,
    io::{Cursor, ErrorKind},
    path::Path,
};

use symphonia::core::{
    codecs::audio::AudioDecoderOptions,
    errors::Error as Symphonia,
    formats::{FormatOptions, FormatReader, TrackType, probe::Hint},
    io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions},
    meta::MetadataOptions,
};

use super::Audio;
use crate::error::{Error, Result};

/// Reads a file; mono stays mono.
///
/// # Errors
/// The file cannot be read, is no audio, or is damaged.
pub fn from_path(path: &Path) -> Result<Audio> {
    let what = path.display().to_string();
    let file = File::open(path).map_err(|error| unreadable(&what, &error.to_string()))?;
    read(Box::new(file), &what)
}

/// Reads a file held in memory.
///
/// # Errors
/// The bytes are no audio, or damaged.
pub fn from_bytes(bytes: Vec<u8>) -> Result<Audio> {
    read(Box::new(Cursor::new(bytes)), "the audio")
}

fn unreadable(what: &str, reason: &str) -> Error {
    Error::Audio {
        what: what.to_owned(),
        reason: reason.to_owned(),
    }
}

fn read(source: Box<dyn MediaSource>, what: &str) -> Result<Audio> {
    let stream = MediaSourceStream::new(source, MediaSourceStreamOptions::default());
    let mut format = symphonia::default::get_probe()
        .probe(
            &Hint::new(),
            stream,
            FormatOptions::default(),
            MetadataOptions::default(),
        )
        .map_err(|_no_format| {
            unreadable(
                what,
                "this is no audio file that can be read (wav, flac, mp3, ogg, m4a, aiff)",
            )
        })?;
    let audio = packets(format.as_mut()).map_err(|error| {
        unreadable(
            what,
            &format!("the audio is damaged or of an unknown kind: {error}"),
        )
    })?;
    if audio.frames() == 0 {
        return Err(unreadable(what, "there are no samples in it"));
    }
    Ok(audio)
}

fn packets(format: &mut dyn FormatReader) -> std::result::Result<Audio, Symphonia> {
    let track = format
        .default_track(TrackType::Audio)
        .ok_or(Symphonia::DecodeError("there is no audio track"))?;
    let id = track.id;
    let params = track
        .codec_params
        .as_ref()
        .and_then(|params| params.audio())
        .ok_or(Symphonia::DecodeError("there is no audio track"))?;
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(params, &AudioDecoderOptions::default())?;
    let mut audio = Audio {
        channels: Vec::new(),
        sample_rate_hz: 0,
    };
    let mut planes: Vec<Vec<f32>> = Vec::new();
    loop {
        let packet = match format.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => break,
            // Some readers only notice the end by running into it.
            Err(Symphonia::IoError(error)) if error.kind() == ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        };
        if packet.track_id != id {
            continue;
        }
        let decoded = decoder.decode(&packet)?;
        audio.sample_rate_hz = decoded.spec().rate();
        decoded.copy_to_vecs_planar(&mut planes);
        planes.truncate(2);
        audio.channels.resize(planes.len(), Vec::new());
        for (channel, plane) in audio.channels.iter_mut().zip(&planes) {
            channel.extend(plane.iter().map(|sample| sample.clamp(-1.0, 1.0)));
        }
    }
    Ok(audio)
}

#[cfg(test)]
mod tests {
    use acestep_domain::generation::AudioFormat;

    use super::*;
    use crate::audio::{encode::encode, tests::tones};

    #[test]
    fn more_channels_than_two_are_dropped() {
        let mut surround = tones(48_000, 1000);
        surround.channels.push(vec![0.1; 1000]);
        let back = from_bytes(encode(&surround, AudioFormat::Wav32).unwrap()).unwrap();
        assert_eq!(back.channels, surround.channels[..2]);
    }

    #[test]
    fn a_file_on_disk_and_its_bytes_are_the_same() {
        let bytes = encode(&tones(24_000, 2400), AudioFormat::Flac).unwrap();
        let folder = tempfile::tempdir().unwrap();
        // The name says nothing about the format; the content decides.
        let path = folder.path().join("clip.txt");
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(from_path(&path).unwrap(), from_bytes(bytes).unwrap());
    }

    #[test]
    fn what_is_no_audio_is_said_in_one_sentence() {
        for junk in [&b""[..], b"<!DOCTYPE html>", &[0; 4096]] {
            let error = from_bytes(junk.to_vec()).unwrap_err();
            assert!(matches!(error, Error::Audio { .. }), "{error}");
        }
        let missing = from_path(Path::new("/nowhere/clip.wav")).unwrap_err();
        assert!(missing.to_string().contains("/nowhere/clip.wav"));
    }
}
