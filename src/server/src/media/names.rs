//! Names under which songs are saved: the title, as any file system takes it.

use acestep_domain::{generation::AudioFormat, library::Song};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Most bytes of a title: file systems take 255 for a whole name, and a mark and an ending follow.
const LONGEST: usize = 200;

/// Names of devices, which Windows gives to no file, whatever follows behind a dot.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];

/// What stays as it is in the file name of a header (RFC 8187, attr-char).
const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The title as a file name without ending.
pub(crate) fn file_stem(song: &Song) -> String {
    let plain: String = song
        .title
        .chars()
        .map(|letter| {
            if letter.is_control() || r#"/\:*?"<>|"#.contains(letter) {
                ' '
            } else {
                letter
            }
        })
        .collect();
    let words: Vec<&str> = plain.split_whitespace().collect();
    let title = words.join(" ");
    let title = &title[..title.floor_char_boundary(LONGEST)];
    // A dot in front hides a file, and behind the name Windows drops both.
    let title = title.trim_matches(['.', ' ']);
    match title.split_once('.').unwrap_or((title, "")) {
        ("", _) => "song".to_owned(),
        (device, "") if is_device(device) => format!("{device}_"),
        (device, rest) if is_device(device) => format!("{device}_.{rest}"),
        _ => title.to_owned(),
    }
}

fn is_device(name: &str) -> bool {
    let name = name.trim_end().to_ascii_lowercase();
    let port = name.strip_prefix("com").or(name.strip_prefix("lpt"));
    DEVICES.contains(&name.as_str())
        || port.is_some_and(|number| {
            "1 2 3 4 5 6 7 8 9 ¹ ² ³"
                .split(' ')
                .any(|one| one == number)
        })
}

/// The file name of `song` in `format`, which differs for every format.
pub(crate) fn name_in(song: &Song, format: AudioFormat) -> String {
    let mark = match format {
        AudioFormat::Mp3 | AudioFormat::Flac | AudioFormat::Wav => "",
        AudioFormat::Wav24 => " 24 bit",
        AudioFormat::Wav32 => " 32 bit float",
    };
    format!("{}{mark}.{}", file_stem(song), format.extension())
}

/// The header that gives a file its name, for saving or not.
pub(super) fn disposition(attached: bool, name: &str) -> String {
    let kind = if attached { "attachment" } else { "inline" };
    let plain: String = name
        .chars()
        .map(|letter| {
            if letter.is_ascii_graphic() || letter == ' ' {
                letter
            } else {
                '_'
            }
        })
        .collect();
    let encoded = utf8_percent_encode(name, KEPT);
    format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// A song of that id and title.
    pub(crate) fn song(id: &str, title: &str) -> Song {
        serde_json::from_value(json!({
            "id": id, "job_id": "1", "item": 0, "title": title, "created_at": "", "duration_secs": 10.0,
            "sample_rate_hz": 48000, "channels": 2, "audio_format": "wav", "size_bytes": 1, "seed": 8,
            "params": {}, "plan": null, "notes": [], "peaks": [], "favourite": false,
            "provenance": { "app_version": "", "model": "m", "device": "cpu", "quantization": "none", "steps": 8 },
            "report": { "peak": 0.9, "rms": 0.1, "gain": 1.0, "prepare_secs": 0.1, "diffusion_secs": 1.0, "decode_secs": 1.0 }
        }))
        .unwrap()
    }

    #[test]
    fn every_title_is_a_file_name_of_every_system() {
        for (title, stem) in [
            ("lofi piano", "lofi piano"),
            (" a/b: \"c\"\n", "a b c"),
            ("..", "song"),
            ("  ", "song"),
            ("...ends.", "ends"),
            ("Con", "Con_"),
            ("NUL", "NUL_"),
            ("aux.wav", "aux_.wav"),
            ("com1", "com1_"),
            ("LPT9 .x", "LPT9 _.x"),
            ("Contra", "Contra"),
            ("com10", "com10"),
            ("a con", "a con"),
        ] {
            assert_eq!(file_stem(&song("1", title)), stem, "{title:?}");
        }
    }

    #[test]
    fn a_long_title_ends_within_a_file_name_and_on_a_letter() {
        for (title, stem) in [
            ("é".repeat(150), "é".repeat(100)),
            ("雨".repeat(100), "雨".repeat(66)),
            (format!("{} after", "x".repeat(199)), "x".repeat(199)),
        ] {
            assert_eq!(file_stem(&song("1", &title)), stem);
        }
    }

    #[test]
    fn no_two_formats_of_a_song_have_one_name() {
        let song = song("1", "waltz");
        let names: Vec<String> = AudioFormat::ALL
            .iter()
            .map(|format| name_in(&song, *format))
            .collect();
        assert_eq!(
            names,
            [
                "waltz.mp3",
                "waltz.flac",
                "waltz.wav",
                "waltz 24 bit.wav",
                "waltz 32 bit float.wav"
            ]
        );
    }

    #[test]
    fn a_header_names_a_file_in_any_script() {
        assert_eq!(
            disposition(true, "Nuit d'été.mp3"),
            "attachment; filename=\"Nuit d'_t_.mp3\"; filename*=UTF-8''Nuit%20d%27%C3%A9t%C3%A9.mp3"
        );
    }
}
