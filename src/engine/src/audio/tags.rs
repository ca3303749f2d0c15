//! A song's parameters inside its file: title and the whole parameter JSON, so that a file found
//! years later can be made again. ID3v2 in mp3 and wav, Vorbis comments in flac.

use std::{fs::File, io::BufReader, path::Path};

use acestep_domain::generation::AudioFormat;
use lofty::{
    TextEncoding,
    config::{ParseOptions, WriteOptions},
    file::{AudioFile, FileType},
    flac::FlacFile,
    id3::v2::{ExtendedTextFrame, Frame, Id3v2Tag},
    iff::wav::{RiffInfoList, WavFile},
    mpeg::MpegFile,
    ogg::{OpusFile, VorbisFile, tag::VorbisComments},
    probe::Probe,
    tag::{Accessor, TagExt},
};

use super::decode::Fault;
use crate::error::{Error, Result};

/// Name of the tag that holds the parameters.
pub const PARAMS_KEY: &str = "ACESTEP_PARAMS";

/// What a file says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags {
    /// The title.
    pub title: Option<String>,
    /// The parameters as JSON.
    pub params_json: Option<String>,
}

fn failed(path: &Path, reason: impl std::fmt::Display) -> Error {
    Error::Audio {
        what: format!("tags of {}", path.display()),
        reason: reason.to_string(),
    }
}

/// Writes title and parameters into the file at `path`.
///
/// # Errors
/// The file cannot be written or is not of `format`.
pub fn embed(path: &Path, format: AudioFormat, params_json: &str, title: &str) -> Result<()> {
    let options = WriteOptions::default();
    let saved = match format {
        AudioFormat::Flac => {
            let mut comments = VorbisComments::new();
            comments.set_title(title.to_owned());
            comments.insert(PARAMS_KEY.to_owned(), params_json.to_owned());
            comments.save_to_path(path, options)
        }
        AudioFormat::Mp3 => id3(params_json, title).save_to_path(path, options),
        AudioFormat::Wav | AudioFormat::Wav24 | AudioFormat::Wav32 => {
            let mut info = RiffInfoList::new();
            info.set_title(title.to_owned());
            info.save_to_path(path, options)
                .and_then(|()| id3(params_json, title).save_to_path(path, options))
        }
    };
    saved.map_err(|error| failed(path, error))
}

fn id3(params_json: &str, title: &str) -> Id3v2Tag {
    let mut tag = Id3v2Tag::new();
    tag.set_title(title.to_owned());
    tag.insert(Frame::from(ExtendedTextFrame::new(
        TextEncoding::UTF8,
        PARAMS_KEY,
        params_json.to_owned(),
    )));
    tag
}

/// What a file says about itself, whatever it is called: a song of ours, or what another program made
/// of one and kept its tags (ogg). `None` where it is no such file.
///
/// # Errors
/// The file cannot be read, or its tags are damaged.
pub fn find(path: &Path) -> Result<Option<Tags>> {
    // By what is in it alone: a name says little.
    let kind = Probe::new(BufReader::new(open(path)?))
        .guess_file_type()
        .map_err(|error| failed(path, error))?
        .file_type();
    let tags = match kind {
        Some(FileType::Flac) => read(path, AudioFormat::Flac)?,
        Some(FileType::Mpeg) => read(path, AudioFormat::Mp3)?,
        Some(FileType::Wav) => read(path, AudioFormat::Wav)?,
        Some(FileType::Vorbis) => {
            let file = VorbisFile::read_from(&mut open(path)?, ParseOptions::new())
                .map_err(|error| failed(path, error))?;
            from_comments(file.vorbis_comments())
        }
        Some(FileType::Opus) => {
            let file = OpusFile::read_from(&mut open(path)?, ParseOptions::new())
                .map_err(|error| failed(path, error))?;
            from_comments(file.vorbis_comments())
        }
        _ => return Ok(None),
    };
    Ok(Some(tags))
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|error| Error::Sound {
        what: path.display().to_string(),
        fault: Fault::Unreadable(error.to_string()),
    })
}

fn from_comments(tag: &VorbisComments) -> Tags {
    Tags {
        title: tag.title().map(|title| title.to_string()),
        params_json: tag.get(PARAMS_KEY).map(str::to_owned),
    }
}

/// Reads what [`embed`] wrote.
///
/// # Errors
/// The file cannot be read or is not of `format`.
pub fn read(path: &Path, format: AudioFormat) -> Result<Tags> {
    let mut file = open(path)?;
    let options = ParseOptions::new();
    let from_id3 = |tag: Option<&Id3v2Tag>| {
        tag.map_or_else(Tags::default, |tag| Tags {
            title: tag.title().map(|title| title.to_string()),
            params_json: tag.get_user_text(PARAMS_KEY).map(str::to_owned),
        })
    };
    let tags = match format {
        AudioFormat::Flac => FlacFile::read_from(&mut file, options).map(|file| {
            file.vorbis_comments()
                .map_or_else(Tags::default, from_comments)
        }),
        AudioFormat::Mp3 => {
            MpegFile::read_from(&mut file, options).map(|file| from_id3(file.id3v2()))
        }
        AudioFormat::Wav | AudioFormat::Wav24 | AudioFormat::Wav32 => {
            WavFile::read_from(&mut file, options).map(|file| from_id3(file.id3v2()))
        }
    };
    tags.map_err(|error| failed(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::{
        decode::{self, Limit},
        encode::encode,
        tests::tones,
    };

    #[test]
    fn parameters_and_title_come_back_and_the_sound_is_untouched() {
        let folder = tempfile::tempdir().unwrap();
        let audio = tones(24_000, 24_000);
        let title = "Wälzer „für“ 二";
        let long = "la ".repeat(20_000);
        let json = format!(r#"{{"caption":"Straße ♪","lyrics":"{long}"}}"#);
        for format in AudioFormat::ALL {
            let path = folder.path().join(format.as_str());
            let bytes = encode(&audio, format).unwrap();
            let before = decode::from_bytes(bytes.clone(), Limit::none()).unwrap();
            std::fs::write(&path, bytes).unwrap();
            embed(&path, format, &json, title).unwrap();
            let tags = read(&path, format).unwrap();
            assert_eq!(tags.title.as_deref(), Some(title), "{format:?}");
            assert_eq!(
                tags.params_json.as_deref(),
                Some(json.as_str()),
                "{format:?}"
            );
            // Whatever the file is called.
            let renamed = folder.path().join("holiday.txt");
            std::fs::copy(&path, &renamed).unwrap();
            assert_eq!(find(&renamed).unwrap(), Some(tags), "{format:?}");
            assert_eq!(
                decode::from_path(&path, Limit::none()).unwrap(),
                before,
                "{format:?}"
            );
        }
    }

    #[test]
    fn a_file_without_tags_has_none() {
        let folder = tempfile::tempdir().unwrap();
        for format in AudioFormat::ALL {
            let path = folder.path().join(format.as_str());
            std::fs::write(&path, encode(&tones(48_000, 4800), format).unwrap()).unwrap();
            assert_eq!(read(&path, format).unwrap(), Tags::default(), "{format:?}");
        }
        let path = folder.path().join("song.mp3");
        std::fs::write(&path, "no sound at all").unwrap();
        assert_eq!(find(&path).unwrap(), None);
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = embed(Path::new("/nowhere/x.mp3"), AudioFormat::Mp3, "{}", "t").unwrap_err();
        assert!(error.to_string().contains("/nowhere/x.mp3"), "{error}");
    }
}
