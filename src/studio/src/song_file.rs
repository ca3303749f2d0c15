//! Writing a song so that a crash leaves a whole file or none: encoded to a temporary name in the
//! same folder, tagged with its parameters, flushed to the disk, renamed, and only then recorded.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use acestep_domain::{generation::AudioFormat, library::Song, saved};
use acestep_engine::{
    audio::{
        Audio,
        decode::{self, Limit},
        encode::encode,
        loudness, tags,
    },
    error::Error as EngineError,
};
use serde_json::{Value, json};

use crate::{
    error::{Error, Result},
    library::Kept,
    paths::{PART_PREFIX, Paths, sidecar, stem},
};

/// Peaks of the drawn wave.
pub(crate) const PEAKS: usize = 256;

/// A song that is whole on the disk, under temporary names. Dropped without being published, it is
/// removed.
#[derive(Debug)]
pub(crate) struct Staged {
    audio: PathBuf,
    json: PathBuf,
    extension: &'static str,
    published: bool,
}

/// The parameters as saved in the tags and beside the song: the keys that earlier programs read,
/// and everything of ours under `studio`.
pub(crate) fn saved_params(song: &Song) -> Result<Value> {
    let mut saved = serde_json::to_value(&song.params)?;
    let params = &song.params;
    saved[saved::STUDIO] = json!({
        "app_version": song.provenance.app_version,
        "model": song.provenance.model,
        "lm_model": song.provenance.lm,
        "plan": song.plan,
        "audio_codes": song.audio_codes,
        "made_from": song.made_from,
        "lyric_lines": song.lyric_lines,
        "scores": song.scores,
        "lora": song.provenance.loras,
        "quantization": song.provenance.quantization,
        "device": song.provenance.device,
        "steps": song.provenance.steps,
        "audio_format": song.audio_format,
        "batch_size": params.batch_size,
        "index": song.item,
        "track_name": params.track_name,
        "complete_track_classes": params.complete_track_classes,
        "created_at": song.created_at,
        "song_id": song.id,
        "job_id": song.job_id,
        "title": song.title,
        "duration": song.duration_secs,
        "sample_rate_hz": song.sample_rate_hz,
        "channels": song.channels,
        "report": song.report,
        "memory": song.memory,
        "notes": song.notes,
    });
    Ok(saved)
}

/// Writes `audio` and the parameters of `song` under temporary names, and settles the song's size.
pub(crate) fn stage(paths: &Paths, song: &mut Song, audio: &Audio) -> Result<Staged> {
    let format = song.params.audio_format;
    let part = |extension: &str| {
        paths
            .output_dir()
            .join(format!("{PART_PREFIX}{}.{extension}", song.id))
    };
    let staged = Staged {
        audio: part(format.extension()),
        json: part("json"),
        extension: format.extension(),
        published: false,
    };
    let saved = serde_json::to_string_pretty(&saved_params(song)?)?;
    write_new(&staged.audio, &encode(audio, format)?)?;
    tags::embed(&staged.audio, format, &saved, &song.title).map_err(without_path)?;
    song.size_bytes = flush(&staged.audio)?;
    write_new(&staged.json, saved.as_bytes())?;
    flush(&staged.json)?;
    Ok(staged)
}

/// The file of a song's sound without its gain, see [`loudness::raw`].
pub(crate) fn raw(paths: &Paths, kept: &Kept) -> Result<Vec<u8>> {
    let mut audio = sound(paths, kept)?;
    loudness::raw(&mut audio, &kept.song.report);
    let mut saved = saved_params(&kept.song)?;
    // Whoever takes the gain off this file as well would be wrong.
    saved::set_gain(&mut saved, 1.0);
    another(paths, &kept.song, &audio, AudioFormat::Wav32, &saved)
}

/// The file of a song in another format, with the song's tags.
pub(crate) fn in_format(paths: &Paths, kept: &Kept, format: AudioFormat) -> Result<Vec<u8>> {
    let audio = sound(paths, kept)?;
    let saved = saved_params(&kept.song)?;
    another(paths, &kept.song, &audio, format, &saved)
}

fn sound(paths: &Paths, kept: &Kept) -> Result<Audio> {
    let decoded = decode::from_path(&paths.song(&kept.file_name), Limit::none());
    Ok(decoded.map_err(without_path)?.audio)
}

/// Another file of a song, which nobody keeps.
fn another(
    paths: &Paths,
    song: &Song,
    audio: &Audio,
    format: AudioFormat,
    saved: &Value,
) -> Result<Vec<u8>> {
    let mut saved = saved.clone();
    saved[saved::STUDIO]["audio_format"] = json!(format.as_str());
    let saved = serde_json::to_string_pretty(&saved)?;
    let id = uuid::Uuid::now_v7();
    let name = format!("{PART_PREFIX}{id}.{}", format.extension());
    let part = Part(paths.output_dir().join(name));
    write_new(&part.0, &encode(audio, format)?)?;
    tags::embed(&part.0, format, &saved, &song.title).map_err(without_path)?;
    fs::read(&part.0).map_err(Error::file("Reading the song"))
}

/// A file that goes when it is dropped.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        // What cannot be removed now is removed at the next open.
        fs::remove_file(&self.0).ok();
    }
}

impl Staged {
    /// Gives the song its name for good; answers that name.
    pub(crate) fn publish(mut self, paths: &Paths, song: &Song) -> Result<String> {
        let file_name = format!("{}.{}", stem(&song.title, &song.id), self.extension);
        let target = paths.song(&file_name);
        let renaming = "Naming the song";
        fs::rename(&self.json, sidecar(&target)).map_err(Error::file(renaming))?;
        fs::rename(&self.audio, &target).map_err(Error::file(renaming))?;
        self.published = true;
        flush_folder(paths.output_dir())?;
        Ok(file_name)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.published {
            // What cannot be removed now is removed at the next open.
            fs::remove_file(&self.audio).ok();
            fs::remove_file(&self.json).ok();
        }
    }
}

/// Writes the parameters beside a song anew, for what was found out about it since. The song's own
/// file stays as it is.
pub(crate) fn rewrite_params(paths: &Paths, song: &Song, file_name: &str) -> Result<()> {
    let saved = serde_json::to_string_pretty(&saved_params(song)?)?;
    let part = paths
        .output_dir()
        .join(format!("{PART_PREFIX}{}.json", song.id));
    let written = write_new(&part, saved.as_bytes())
        .and_then(|()| flush(&part))
        .and_then(|_| {
            fs::rename(&part, sidecar(&paths.song(file_name)))
                .map_err(Error::file("Naming the song"))
        });
    if written.is_err() {
        // What cannot be removed now is removed at the next open.
        fs::remove_file(&part).ok();
    }
    written
}

/// Removes what a killed program left half done.
pub(crate) fn remove_strays(output_dir: &Path) -> Result<usize> {
    let reading = "Reading the output folder";
    let mut removed = 0;
    for entry in fs::read_dir(output_dir).map_err(Error::file(reading))? {
        let entry = entry.map_err(Error::file(reading))?;
        if entry.file_name().to_string_lossy().starts_with(PART_PREFIX) {
            fs::remove_file(entry.path()).map_err(Error::file("Removing an unfinished song"))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// Removes a song's files; files that are gone already are no failure.
pub(crate) fn remove(song: &Path) -> Result<()> {
    for path in [song.to_owned(), sidecar(song)] {
        match fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::file("Deleting the song")(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The engine names the file by its whole path, which is nobody's business.
fn without_path(error: EngineError) -> EngineError {
    match error {
        EngineError::Audio { reason, .. } => EngineError::Audio {
            what: "Writing the song's tags failed".to_owned(),
            reason,
        },
        EngineError::Sound { fault, .. } => EngineError::Sound {
            what: "The song's file".to_owned(),
            fault,
        },
        other => other,
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    File::create(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(Error::file("Writing the song"))
}

/// Waits until the file is on the disk; answers its size.
fn flush(path: &Path) -> Result<u64> {
    let flushed = File::options().write(true).open(path).and_then(|file| {
        file.sync_all()?;
        Ok(file.metadata()?.len())
    });
    flushed.map_err(Error::file("Writing the song"))
}

/// Waits until the renames are on the disk.
#[cfg(unix)]
fn flush_folder(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(Error::file("Writing the song"))
}

/// Elsewhere a folder cannot be opened as a file; the rename itself is as safe as it gets.
#[cfg(not(unix))]
fn flush_folder(_: &Path) -> Result<()> {
    Ok(())
}
