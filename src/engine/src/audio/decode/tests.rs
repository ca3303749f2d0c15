use std::path::PathBuf;

use acestep_domain::generation::AudioFormat;

use super::*;
use crate::audio::{encode::encode, tests::tones};

fn decoded(bytes: Vec<u8>) -> Audio {
    let decoded = from_bytes(bytes, Limit::song()).unwrap();
    assert_eq!(decoded.notes, []);
    decoded.audio
}

fn fault(bytes: &[u8], limit: Limit) -> Fault {
    match from_bytes(bytes.to_vec(), limit) {
        Err(Error::Sound { fault, .. }) => fault,
        other => panic!("{other:?}"),
    }
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/audio")
        .join(name)
}

/// How a wav file stores its samples.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stored {
    Int(u16),
    Float,
    /// Whole numbers behind the header with GUID and speaker mask.
    Extensible(u16),
}

/// A wav file written by hand; `data_bytes` is what its header says.
fn wav(audio: &Audio, stored: Stored, data_bytes: Option<u32>) -> Vec<u8> {
    let (bits, tag) = match stored {
        Stored::Int(bits) => (bits, 1u16),
        Stored::Float => (32, 3),
        Stored::Extensible(bits) => (bits, 0xFFFE),
    };
    let mut data = Vec::new();
    for frame in 0..audio.frames() {
        for channel in &audio.channels {
            let sample = channel[frame];
            if stored == Stored::Float {
                data.extend(sample.to_le_bytes());
            } else {
                let full = f64::from(1u32 << (bits - 1));
                let whole = (f64::from(sample) * full).round().min(full - 1.0) as i32;
                data.extend(&whole.to_le_bytes()[..usize::from(bits / 8)]);
            }
        }
    }
    let (channels, rate) = (audio.channels.len() as u16, audio.sample_rate_hz);
    let block = channels * bits / 8;
    let mut format = Vec::new();
    format.extend(tag.to_le_bytes());
    format.extend(channels.to_le_bytes());
    format.extend(rate.to_le_bytes());
    format.extend((rate * u32::from(block)).to_le_bytes());
    format.extend(block.to_le_bytes());
    format.extend(bits.to_le_bytes());
    if let Stored::Extensible(bits) = stored {
        format.extend(22u16.to_le_bytes());
        format.extend(bits.to_le_bytes());
        format.extend(((1u32 << channels) - 1).to_le_bytes());
        format.extend([
            1, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71,
        ]);
    }
    let said = data_bytes.unwrap_or(data.len() as u32);
    let mut file = b"RIFF".to_vec();
    let rest = 20 + format.len() as u32;
    file.extend(said.saturating_add(rest).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend((format.len() as u32).to_le_bytes());
    file.extend(format);
    file.extend(b"data");
    file.extend(said.to_le_bytes());
    file.extend(data);
    file
}

fn worst(a: &Audio, b: &Audio) -> f32 {
    let pairs = a.channels.iter().zip(&b.channels);
    pairs
        .flat_map(|(a, b)| a.iter().zip(b))
        .fold(0.0, |worst, (a, b)| worst.max((a - b).abs()))
}

#[test]
fn wav_of_every_kind_rate_and_channel_count() {
    for rate in [8_000, 11_025, 44_100, 48_000, 96_000] {
        for channels in [1, 2, 6] {
            let mut audio = tones(rate, 3_001);
            audio.channels.resize(channels, audio.channels[1].clone());
            for (stored, tolerance) in [
                (Stored::Int(16), 2e-5),
                (Stored::Int(24), 1e-7),
                (Stored::Int(32), 1e-7),
                (Stored::Float, 0.0),
                (Stored::Extensible(16), 2e-5),
                (Stored::Extensible(24), 1e-7),
            ] {
                let back = from_bytes(wav(&audio, stored, None), Limit::song())
                    .unwrap_or_else(|error| panic!("{rate} {channels} {stored:?}: {error}"))
                    .audio;
                assert_eq!(back.sample_rate_hz, rate);
                assert_eq!(back.channels.len(), channels.min(2));
                assert_eq!(back.frames(), 3_001);
                assert!(worst(&back, &audio) <= tolerance, "{rate} {channels}");
            }
        }
    }
}

/// The pitch of a channel from the zero crossings of its middle: an encoder's delay is not silent.
fn hertz(audio: &Audio, channel: usize) -> f64 {
    let wave = &audio.channels[channel];
    let wave = &wave[wave.len() / 4..wave.len() * 3 / 4];
    let rises = wave
        .windows(2)
        .filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0);
    rises.count() as f64 * 2.0 / audio.duration_secs()
}

#[test]
fn compressed_files_keep_length_and_channels() {
    for (name, frames, slack) in [
        ("tones.ogg", 66_150, 0),
        ("tones.m4a", 66_150, 0),
        ("vbr_without_header.mp3", 66_150, 3_000),
    ] {
        let found = from_path(&fixture(name), Limit::song()).unwrap().audio;
        assert_eq!(found.sample_rate_hz, 44_100, "{name}");
        assert!(
            found.frames().abs_diff(frames) <= slack,
            "{name}: {}",
            found.frames()
        );
        for (channel, expected) in [(0, 440.0), (1, 660.0)] {
            let hertz = hertz(&found, channel);
            assert!((hertz - expected).abs() < 25.0, "{name}: {hertz}");
        }
    }
    for format in [AudioFormat::Flac, AudioFormat::Mp3] {
        let audio = tones(44_100, 66_150);
        let back = decoded(encode(&audio, format).unwrap());
        assert_eq!(back.frames(), audio.frames(), "{format:?}");
    }
}

#[test]
fn an_m4a_begins_and_ends_where_its_sound_does() {
    let bytes = std::fs::read(fixture("tones.m4a")).unwrap();
    let with_list = decoded(bytes.clone());
    // Both tones begin at zero and rise, with no run-up before them.
    let expected = tones(44_100, 66_150);
    let ratio = |shift: usize| {
        let pairs = with_list.channels[0][shift..]
            .iter()
            .zip(&expected.channels[0]);
        pairs.map(|(a, b)| f64::from(a * b)).sum::<f64>()
    };
    assert!(ratio(0) > ratio(25) && ratio(0) > 0.0, "{}", ratio(0));

    // The same without its list, and with what older iTunes wrote.
    let mut bytes = bytes;
    let place = |bytes: &[u8], name: &[u8; 4]| {
        let found = bytes.windows(4).rposition(|four| four == name);
        found.unwrap()
    };
    let list = place(&bytes, b"edts");
    bytes[list..list + 4].copy_from_slice(b"free");
    assert_eq!(
        from_bytes(bytes.clone(), Limit::song())
            .unwrap()
            .audio
            .frames(),
        66 * 1024
    );
    let boxed = |kind: &[u8; 4], inside: &[u8]| {
        let size = (inside.len() + 8) as u32;
        [&size.to_be_bytes()[..], kind, inside].concat()
    };
    let tag = boxed(
        b"----",
        &[
            boxed(b"mean", b"\0\0\0\0com.apple.iTunes"),
            boxed(b"name", b"\0\0\0\0iTunSMPB"),
            boxed(
                b"data",
                b"\0\0\0\x01\0\0\0\0 00000000 00000400 0000059A 0000000000010266 00000000",
            ),
        ]
        .concat(),
    );
    // The list of tags is the last thing in the file.
    for name in [b"moov", b"udta", b"meta", b"ilst"] {
        let at = place(&bytes, name) - 4;
        let size: [u8; 4] = bytes[at..at + 4].try_into().unwrap();
        let size = u32::from_be_bytes(size) + tag.len() as u32;
        bytes[at..at + 4].copy_from_slice(&size.to_be_bytes());
    }
    bytes.extend(tag);
    let with_tag = decoded(bytes);
    assert_eq!(with_tag, with_list);
}

#[test]
fn cover_art_and_foreign_names_do_no_harm() {
    use crate::audio::tags;
    let folder = tempfile::tempdir().unwrap();
    for format in [AudioFormat::Mp3, AudioFormat::Flac, AudioFormat::Wav] {
        let path = folder.path().join(format!("音楽 é.{}", format.extension()));
        std::fs::write(&path, encode(&tones(48_000, 48_000), format).unwrap()).unwrap();
        tags::embed(&path, format, &"ä".repeat(200_000), "音 🎵").unwrap();
        let found = from_path(&path, Limit::song()).unwrap();
        assert_eq!((found.audio.frames(), found.notes), (48_000, vec![]));
    }
    // An ID3 picture of 300 kB before an mp3.
    let mp3 = encode(&tones(48_000, 48_000), AudioFormat::Mp3).unwrap();
    let picture = vec![0x55u8; 300_000];
    let frame = [&b"\0image/png\0\x03\0"[..], &picture].concat();
    let mut tagged = b"ID3\x03\0\0".to_vec();
    let synchsafe = |size: usize| [21, 14, 7, 0].map(|shift| (size >> shift & 0x7F) as u8);
    tagged.extend(synchsafe(frame.len() + 10));
    tagged.extend(b"APIC");
    tagged.extend((frame.len() as u32).to_be_bytes());
    tagged.extend([0, 0]);
    tagged.extend(frame);
    tagged.extend(mp3);
    assert_eq!(decoded(tagged).frames(), 48_000);
}

#[test]
fn looking_at_a_file_says_the_same_as_reading_it() {
    let mut audio = tones(44_100, 44_100);
    for sample in &mut audio.channels[0][22_050..] {
        *sample *= 0.25;
    }
    audio.channels.truncate(1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.wav");
    std::fs::write(&path, wav(&audio, Stored::Float, None)).unwrap();
    let seen = inspect(&path, Limit::song(), 4).unwrap();
    assert_eq!(
        (seen.duration_secs, seen.sample_rate_hz, seen.channels),
        (1.0, 44_100, 1)
    );
    for (peak, expected) in seen.peaks.iter().zip([0.8, 0.8, 0.2, 0.2]) {
        assert!((peak - expected).abs() < 1e-3, "{:?}", seen.peaks);
    }
}

#[test]
fn what_cannot_be_used_is_refused_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let look = |bytes: &[u8], limit| {
        let path = folder.path().join("x");
        std::fs::write(&path, bytes).unwrap();
        inspect(&path, limit, 8).unwrap_err()
    };
    for junk in [&b""[..], b"<!DOCTYPE html>", &[0; 4096]] {
        assert_eq!(look(junk, Limit::song()), Fault::Unknown);
    }
    let mut nothing = tones(48_000, 0);
    let empty = wav(&nothing, Stored::Int(16), None);
    assert_eq!(look(&empty, Limit::song()), Fault::Empty);
    nothing.channels = vec![vec![1e-5; 4_800]];
    let silent = wav(&nothing, Stored::Float, None);
    assert_eq!(look(&silent, Limit::song()), Fault::Silent);
    let long = wav(&tones(8_000, 24_000), Stored::Int(16), None);
    assert!(matches!(
        look(&long, Limit::of(2.0)),
        Fault::TooLong { secs, max_secs: 2.0 } if secs == 3.0
    ));
    let missing = inspect(Path::new("/nowhere/a.wav"), Limit::song(), 8);
    assert!(matches!(missing, Err(Fault::Unreadable(_))));
    // Opus has a container that is known and a codec that is not.
    let opus = inspect(&fixture("tones.opus"), Limit::song(), 8).unwrap_err();
    assert!(matches!(opus, Fault::Codec(_) | Fault::Unknown), "{opus}");
    for fault in [opus, Fault::Empty, Fault::Rate(1)] {
        assert!(!fault.to_string().is_empty() && fault.hint().ends_with('.'));
    }
}

#[test]
fn two_hours_are_refused_by_what_the_header_says_and_cost_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.wav");
    let bytes = 2 * 3_600 * 48_000 * 4;
    let header = wav(&tones(48_000, 10), Stored::Int(16), Some(bytes));
    std::fs::write(&path, header).unwrap();
    // A sparse file of its full size.
    File::options()
        .write(true)
        .open(&path)
        .and_then(|file| file.set_len(u64::from(bytes) + 44))
        .unwrap();
    let refused = inspect(&path, Limit::song(), 8).unwrap_err();
    assert!(
        matches!(refused, Fault::TooLong { secs, .. } if (secs - 7_200.0).abs() < 1.0),
        "{refused}"
    );
}

#[test]
fn what_says_nothing_of_its_length_is_stopped_when_over() {
    // ffmpeg writes all ones when it cannot go back to the header.
    let open_end = wav(&tones(8_000, 24_000), Stored::Int(16), Some(u32::MAX));
    assert_eq!(
        from_bytes(open_end.clone(), Limit::song()).unwrap().notes,
        []
    );
    assert!(matches!(
        fault(&open_end, Limit::of(1.0)),
        Fault::TooLong { secs, .. } if secs < 1.5
    ));
}

#[test]
fn a_wav_whose_header_does_not_know_its_length_is_read_to_its_end() {
    let audio = tones(8_000, 24_000);
    let whole = wav(&audio, Stored::Int(16), None);
    let data = u32::from_le_bytes(whole[40..44].try_into().unwrap());
    for (riff, data, notes) in [
        (0x7FFF_FFFF, 0x7FFF_FFFF - 36, 0),
        (0x7FFF_F000, 0x7FFF_F000 - 36, 0),
        (u32::MAX, u32::MAX - 36, 0),
        (0, data, 0),
        (0, 0xFFFF_FFFF, 0),
        (data + 36, data + 100_000, 1),
        (5, data, 0),
    ] {
        let mut bytes = whole.clone();
        bytes[4..8].copy_from_slice(&u32::to_le_bytes(riff));
        bytes[40..44].copy_from_slice(&u32::to_le_bytes(data));
        let read = from_bytes(bytes, Limit::song()).unwrap_or_else(|error| {
            panic!("RIFF of {riff}, data of {data}: {error}");
        });
        assert_eq!(
            read.audio.frames(),
            24_000,
            "RIFF of {riff}, data of {data}"
        );
        let cut_off = |note: &Note| note.code == "audio_cut_off";
        assert_eq!(read.notes.len(), notes, "{riff} {data}: {:?}", read.notes);
        assert!(read.notes.iter().all(cut_off), "{:?}", read.notes);
    }
}

#[test]
fn what_is_not_taken_as_it_is_is_told() {
    let codes = |audio: &Audio| -> Vec<String> {
        let read = from_bytes(wav(audio, Stored::Float, None), Limit::song()).unwrap();
        read.notes.into_iter().map(|note| note.code).collect()
    };
    let mut audio = tones(8_000, 8_000);
    assert!(codes(&audio).is_empty());
    audio.channels[0][7] = 2.0;
    assert_eq!(codes(&audio), ["audio_over_full_scale"]);
    audio.channels[0][7] = f32::NAN;
    assert_eq!(codes(&audio), ["audio_not_finite"]);
    audio.channels[0][7] = 0.0;
    audio.channels.push(audio.channels[0].clone());
    assert_eq!(codes(&audio), ["audio_channels_left_out"]);
}

#[test]
fn a_file_that_was_cut_off_is_read_and_told() {
    let whole = wav(&tones(8_000, 40_000), Stored::Int(16), None);
    let cut = from_bytes(whole[..whole.len() / 2].to_vec(), Limit::song()).unwrap();
    assert_eq!(cut.notes[0].code, "audio_cut_off");
    assert!(cut.notes[0].message.contains("0:05"), "{:?}", cut.notes);
    let secs = cut.audio.duration_secs();
    assert!((2.0..=2.5).contains(&secs), "{secs}");
    let flac = encode(&tones(44_100, 220_500), AudioFormat::Flac).unwrap();
    let cut = from_bytes(flac[..flac.len() / 2].to_vec(), Limit::song()).unwrap();
    assert!(cut.notes.iter().any(|note| note.code == "audio_cut_off"));
}

/// Numbers that look random and are the same every time.
fn numbers() -> impl FnMut(usize) -> usize {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    }
}

#[test]
fn damage_of_any_kind_never_panics() {
    let short = tones(44_100, 8_000);
    let mut files: Vec<Vec<u8>> = vec![
        wav(&short, Stored::Int(16), None),
        wav(&short, Stored::Extensible(24), None),
        encode(&short, AudioFormat::Flac).unwrap(),
        encode(&short, AudioFormat::Mp3).unwrap(),
    ];
    for name in ["tones.ogg", "tones.m4a", "vbr_without_header.mp3"] {
        files.push(std::fs::read(fixture(name)).unwrap());
    }
    let mut below = numbers();
    let mut refused = 0;
    for file in &files {
        for _ in 0..200 {
            let cut = &file[..below(file.len())];
            refused += usize::from(from_bytes(cut.to_vec(), Limit::song()).is_err());
            let mut flipped = file.clone();
            for _ in 0..=below(8) {
                // The first bytes hold what everything else hangs on.
                let place = if below(2) == 0 {
                    below(file.len().min(200))
                } else {
                    below(file.len())
                };
                flipped[place] ^= 1 << below(8);
            }
            match from_bytes(flipped, Limit::song()) {
                Ok(found) => assert!(found.audio.is_finite() && found.audio.frames() > 0),
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn a_file_on_disk_and_its_bytes_are_the_same() {
    let bytes = encode(&tones(24_000, 2400), AudioFormat::Flac).unwrap();
    let folder = tempfile::tempdir().unwrap();
    // The name says nothing about the format; the content decides.
    let path = folder.path().join("clip.txt");
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(
        from_path(&path, Limit::none()).unwrap().audio,
        decoded(bytes)
    );
}

#[test]
fn what_is_no_audio_is_said_in_one_sentence() {
    let missing = from_path(Path::new("/nowhere/clip.wav"), Limit::none()).unwrap_err();
    assert!(missing.to_string().contains("/nowhere/clip.wav"));
}
