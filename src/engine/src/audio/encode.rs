//! Songs to files: wav of 16 and 24 bit and 32-bit float (hound), flac of 16 bit (flacenc), mp3
//! (LAME).
//!
//! Every file decodes to the length it was made from. An mp3 holds whole frames and a delay of the
//! encoder; LAME writes both into the file's first frame, and players that read it (symphonia,
//! browsers) cut them off, others play up to 0.1 s more.

use std::io::Cursor;

use acestep_domain::{generation::AudioFormat, note::Note};
use candle_core::Device;
use mp3lame_encoder::{Bitrate, Builder, DualPcm, FlushGap, MonoPcm, Quality};

use super::{Audio, resample::resample};
use crate::{
    error::{Error, Result, Stage},
    room::ask,
};

/// Rates an mp3 can have.
const MP3_RATES_HZ: [u32; 9] = [
    8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000,
];

/// The file of `audio`.
///
/// # Errors
/// An encoder refuses, for example because there is no channel or no memory.
pub fn encode(audio: &Audio, format: AudioFormat) -> Result<Vec<u8>> {
    if audio.channels.is_empty() || audio.frames() == 0 {
        return Err(failed(format, "there are no samples"));
    }
    // The samples in the order of the file, and the file.
    let bytes = 2 * audio.channels.len() * audio.frames() * size_of::<f32>();
    ask(bytes as u64, &Device::Cpu).map_err(Error::in_stage(Stage::Save))?;
    match format {
        AudioFormat::Wav | AudioFormat::Wav24 | AudioFormat::Wav32 => wav(audio, format),
        AudioFormat::Flac => flac(audio),
        AudioFormat::Mp3 => mp3(audio),
    }
}

/// What a user should know about writing `audio` as `format`.
pub fn note(audio: &Audio, format: AudioFormat) -> Option<Note> {
    let rate = audio.sample_rate_hz;
    let used = mp3_rate_hz(rate);
    (format == AudioFormat::Mp3 && used != rate).then(|| {
        Note::new(
            "audio_format_resampled",
            "audio_format",
            format!("Format: mp3 knows no {rate} Hz, so the file has {used} Hz."),
        )
    })
}

fn failed(format: AudioFormat, reason: impl std::fmt::Display) -> Error {
    Error::Audio {
        what: format!("writing {}", format.as_str()),
        reason: reason.to_string(),
    }
}

/// -1..1 to whole numbers of `bits`, clipped.
fn integer(sample: f32, bits: u16) -> i32 {
    let full = f64::from(1u32 << (bits - 1));
    (f64::from(sample) * full).round().clamp(-full, full - 1.0) as i32
}

fn wav(audio: &Audio, format: AudioFormat) -> Result<Vec<u8>> {
    let (bits, sample_format) = match format {
        AudioFormat::Wav32 => (32, hound::SampleFormat::Float),
        AudioFormat::Wav24 => (24, hound::SampleFormat::Int),
        _ => (16, hound::SampleFormat::Int),
    };
    let spec = hound::WavSpec {
        channels: audio.channels.len() as u16,
        sample_rate: audio.sample_rate_hz,
        bits_per_sample: bits,
        sample_format,
    };
    let mut bytes = Vec::new();
    let write = |bytes: &mut Vec<u8>| -> hound::Result<()> {
        let mut writer = hound::WavWriter::new(Cursor::new(bytes), spec)?;
        for sample in audio.interleaved() {
            match sample_format {
                hound::SampleFormat::Float => writer.write_sample(sample)?,
                hound::SampleFormat::Int => writer.write_sample(integer(sample, bits))?,
            }
        }
        writer.finalize()
    };
    write(&mut bytes).map_err(|error| failed(format, error))?;
    Ok(bytes)
}

fn flac(audio: &Audio) -> Result<Vec<u8>> {
    use flacenc::{bitsink::ByteSink, component::BitRepr, error::Verify, source::MemSource};

    let refused = |reason: String| failed(AudioFormat::Flac, reason);
    let config = flacenc::config::Encoder::default()
        .into_verified()
        .map_err(|(_, error)| refused(error.to_string()))?;
    let samples: Vec<i32> = audio.interleaved().map(|s| integer(s, 16)).collect();
    let source = MemSource::from_samples(
        &samples,
        audio.channels.len(),
        16,
        audio.sample_rate_hz as usize,
    );
    let mut stream = flacenc::encode_with_fixed_block_size(&config, source, config.block_size)
        .map_err(|error| refused(error.to_string()))?;
    // The shorter last block does not count (RFC 9639, 8.2); flacenc counts it, and then readers
    // take the file for one with blocks of varying size.
    stream
        .stream_info_mut()
        .set_block_sizes(config.block_size, config.block_size)
        .map_err(|error| refused(error.to_string()))?;
    let mut sink = ByteSink::new();
    stream
        .write(&mut sink)
        .map_err(|error| refused(error.to_string()))?;
    Ok(sink.into_inner())
}

/// The nearest rate above, else the highest.
fn mp3_rate_hz(rate: u32) -> u32 {
    MP3_RATES_HZ
        .into_iter()
        .find(|known| *known >= rate)
        .unwrap_or(48_000)
}

fn mp3(audio: &Audio) -> Result<Vec<u8>> {
    const BLOCK: usize = 1 << 16;
    let refused = |reason: &dyn std::fmt::Display| failed(AudioFormat::Mp3, reason);
    let rate = mp3_rate_hz(audio.sample_rate_hz);
    let resampled;
    let audio = if rate == audio.sample_rate_hz {
        audio
    } else {
        resampled = resample(audio, rate)?;
        &resampled
    };
    let [left, right] = match audio.channels.as_slice() {
        [mono] => [mono, mono],
        [left, right] => [left, right],
        more => {
            return Err(refused(&format!(
                "{} channels, 1 or 2 are possible",
                more.len()
            )));
        }
    };
    let stereo = audio.channels.len() == 2;
    // Below 32 kHz a file is MPEG-2, whose highest rate is 160; 192 and more exist above. LAME lowers the
    // level by a factor of the rate (`abr_switch_map` in its presets.c), its wrapper cannot say no to
    // that, and a song is to have the level that its report states.
    let (bitrate, lame_scale) = match rate {
        ..=24_000 => (Bitrate::Kbps160, 0.95),
        _ => (Bitrate::Kbps192, 0.97),
    };
    let mut encoder = Builder::new()
        .ok_or_else(|| refused(&"LAME could not start"))?
        .with_num_channels(audio.channels.len() as u8)
        .and_then(|builder| builder.with_sample_rate(rate))
        .and_then(|builder| builder.with_output_sample_rate(std::num::NonZeroU32::new(rate)))
        .and_then(|builder| builder.with_brate(bitrate))
        .and_then(|builder| builder.with_quality(Quality::NearBest))
        .and_then(|builder| builder.with_to_write_vbr_tag(true))
        .and_then(Builder::build)
        .map_err(|error| refused(&error))?;
    let mut bytes = Vec::new();
    let level = |samples: &[f32]| -> Vec<f32> { samples.iter().map(|s| s / lame_scale).collect() };
    for (left, right) in left.chunks(BLOCK).zip(right.chunks(BLOCK)) {
        bytes.reserve(mp3lame_encoder::max_required_buffer_size(left.len()));
        let written = if stereo {
            let (left, right) = (&*level(left), &*level(right));
            encoder.encode_to_vec(DualPcm { left, right }, &mut bytes)
        } else {
            encoder.encode_to_vec(MonoPcm(&level(left)), &mut bytes)
        };
        written.map_err(|error| refused(&error))?;
    }
    // LAME asks for 7200 bytes for its last frames.
    bytes.reserve(7200);
    encoder
        .flush_to_vec::<FlushGap>(&mut bytes)
        .map_err(|error| refused(&error))?;
    // The first frame is a placeholder for delay, padding and length.
    let mut head = Vec::with_capacity(encoder.lame_tag_size());
    if encoder.lame_tag_encode_to_vec(&mut head).is_some()
        && let Some(place) = bytes.get_mut(..head.len())
    {
        place.copy_from_slice(&head);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{
        decode::{self, Limit},
        tests::tones,
    };

    /// Root mean square of the difference.
    fn difference(a: &Audio, b: &Audio) -> f64 {
        let pairs = a.channels.iter().flatten().zip(b.channels.iter().flatten());
        let sum: f64 = pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum();
        (sum / (a.frames() * a.channels.len()) as f64).sqrt()
    }

    #[test]
    fn every_format_comes_back_at_its_length_and_near_its_values() {
        for (rate, frames) in [(48_000, 50_001), (24_000, 12_345), (44_100, 4_608)] {
            let audio = tones(rate, frames);
            for (format, tolerance) in [
                (AudioFormat::Wav, 2e-5),
                (AudioFormat::Wav24, 1e-7),
                (AudioFormat::Wav32, 0.0),
                (AudioFormat::Flac, 2e-5),
                (AudioFormat::Mp3, 0.02),
            ] {
                let bytes = encode(&audio, format).unwrap();
                let back = decode::from_bytes(bytes, Limit::none()).unwrap().audio;
                assert_eq!(back.sample_rate_hz, rate, "{format:?}");
                assert_eq!(back.channels.len(), 2, "{format:?}");
                assert_eq!(back.frames(), frames, "{format:?} {rate}");
                let off = difference(&audio, &back);
                assert!(off <= tolerance, "{format:?} {rate}: {off}");
                assert_eq!(note(&audio, format), None);
            }
        }
    }

    #[test]
    fn every_format_keeps_the_level() {
        let rms = |audio: &Audio| {
            let squares = audio
                .channels
                .iter()
                .flatten()
                .map(|s| f64::from(*s).powi(2));
            (squares.sum::<f64>() / (audio.frames() * audio.channels.len()) as f64).sqrt()
        };
        for rate in [22_050, 24_000, 32_000, 44_100, 48_000] {
            for channels in [1, 2] {
                let audio = tones(rate, rate as usize).with_channels(channels);
                for format in AudioFormat::ALL {
                    let bytes = encode(&audio, format).unwrap();
                    let back = decode::from_bytes(bytes, Limit::none()).unwrap().audio;
                    let ratio = rms(&back) / rms(&audio);
                    assert!(
                        (ratio - 1.0).abs() < 1e-3,
                        "{format:?} {rate} {channels}: {ratio}"
                    );
                }
            }
        }
    }

    #[test]
    fn mono_stays_mono() {
        let audio = tones(48_000, 9_600).with_channels(1);
        for format in AudioFormat::ALL {
            let back = decode::from_bytes(encode(&audio, format).unwrap(), Limit::none())
                .unwrap()
                .audio;
            assert_eq!(
                (back.channels.len(), back.frames()),
                (1, 9_600),
                "{format:?}"
            );
        }
    }

    #[test]
    fn full_scale_does_not_wrap_round() {
        let audio = Audio {
            channels: vec![[1.0, -1.0, 1.5, -1.5].repeat(64)],
            sample_rate_hz: 48_000,
        };
        for format in [AudioFormat::Wav, AudioFormat::Wav24, AudioFormat::Flac] {
            let back = decode::from_bytes(encode(&audio, format).unwrap(), Limit::none())
                .unwrap()
                .audio;
            for (was, is) in audio.channels[0].iter().zip(&back.channels[0]) {
                assert!(
                    (was.clamp(-1.0, 1.0) - is).abs() < 1e-4,
                    "{format:?}: {was} {is}"
                );
            }
        }
    }

    #[test]
    fn a_rate_mp3_does_not_know_is_resampled_and_said() {
        let audio = tones(20_000, 40_000);
        let bytes = encode(&audio, AudioFormat::Mp3).unwrap();
        let back = decode::from_bytes(bytes, Limit::none()).unwrap().audio;
        assert_eq!(back.sample_rate_hz, 22_050);
        assert!((back.duration_secs() - 2.0).abs() < 1e-3);
        assert!(
            note(&audio, AudioFormat::Mp3)
                .unwrap()
                .message
                .contains("22050")
        );
        assert_eq!(note(&audio, AudioFormat::Wav), None);
    }

    #[test]
    fn nothing_cannot_be_written() {
        let nothing = Audio {
            channels: vec![vec![], vec![]],
            sample_rate_hz: 48_000,
        };
        for format in AudioFormat::ALL {
            assert!(encode(&nothing, format).is_err());
        }
    }
}
