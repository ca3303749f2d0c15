//! Songs that lie in the output folder and are not in the library: a program killed between naming a
//! song and recording it, a library that was moved away, a file that somebody renamed. The JSON beside
//! the song says everything that has to be known.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use acestep_domain::{
    GenerationParams, Note, SongPlan,
    generation::{AudioFormat, read::params_from_json},
    library::{MadeFrom, Provenance, Report, Song},
    lora::LoraUse,
    saved::STUDIO,
    timed_lyrics::{LyricLine, Scores},
};
use acestep_engine::audio::decode::{self, Limit};
use serde::Deserialize;
use tracing::warn;

use crate::{
    error::{Error, Result},
    library,
    paths::{PART_PREFIX, Paths},
    song_file::PEAKS,
    store::Store,
};

/// What stands under [`STUDIO`] beside a song (see `song_file::saved_params`).
#[derive(Deserialize)]
struct Saved {
    song_id: String,
    job_id: String,
    title: String,
    created_at: String,
    index: usize,
    audio_format: String,
    app_version: String,
    model: String,
    lm_model: Option<String>,
    /// `null` in older files.
    #[serde(default)]
    lora: Option<Vec<LoraUse>>,
    device: String,
    quantization: String,
    steps: usize,
    report: Report,
    notes: Vec<Note>,
    #[serde(default)]
    plan: Option<SongPlan>,
    #[serde(default)]
    audio_codes: String,
    #[serde(default)]
    made_from: Vec<MadeFrom>,
    #[serde(default)]
    lyric_lines: Vec<LyricLine>,
    #[serde(default)]
    scores: Option<Scores>,
}

/// A song that lies in the folder, as far as the JSON beside it tells.
struct Found {
    saved: Saved,
    params: GenerationParams,
    file_name: String,
}

/// Takes such songs into the library, oldest first; answers how many.
pub(crate) fn adopt(paths: &Paths, store: &Store) -> Result<usize> {
    let known: HashSet<String> = store.read(library::file_names)?.into_iter().collect();
    let mut found: Vec<Found> = Vec::new();
    for (json, file_name) in unknown(paths.output_dir(), &known)? {
        match read(&json, &file_name) {
            // Somebody else's file is none.
            Ok(song) => found.extend(song),
            Err(error) => warn_of(&file_name, &error),
        }
    }
    found.sort_by(|a, b| a.saved.created_at.cmp(&b.saved.created_at));
    let mut adopted = 0;
    for Found {
        saved,
        params,
        file_name,
    } in found
    {
        match store.read(|db| library::file_name(db, &saved.song_id))? {
            // A copy of a song that is where it was.
            Some(name) if paths.song(&name).is_file() => continue,
            Some(_) => {
                store.write(|db| library::set_file_name(db, &saved.song_id, &file_name))?;
            }
            // Only what is new has to be heard.
            None => match song(saved, params, &paths.song(&file_name)) {
                Ok(song) => store.write(|db| library::insert(db, &song, &file_name))?,
                Err(error) => {
                    warn_of(&file_name, &error);
                    continue;
                }
            },
        }
        adopted += 1;
    }
    Ok(adopted)
}

fn warn_of(file_name: &str, error: &Error) {
    warn!(
        error = error as &dyn std::error::Error,
        "{file_name} is not in the library and cannot be read"
    );
}

/// Sidecars with a song beside them that the library does not know.
fn unknown(folder: &Path, known: &HashSet<String>) -> Result<Vec<(PathBuf, String)>> {
    let reading = "Reading the output folder";
    let mut pairs = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::file(reading))? {
        let path = entry.map_err(Error::file(reading))?.path();
        let hidden = path
            .file_name()
            .is_none_or(|name| name.to_string_lossy().starts_with(PART_PREFIX));
        if hidden || path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let mut extensions: Vec<&str> = AudioFormat::ALL.map(AudioFormat::extension).to_vec();
        extensions.dedup();
        for extension in extensions {
            let song = path.with_extension(extension);
            if let Some(name) = song.file_name().and_then(|name| name.to_str())
                && !known.contains(name)
                && song.is_file()
            {
                pairs.push((path.clone(), name.to_owned()));
            }
        }
    }
    Ok(pairs)
}

/// What `json` says of the song beside it; `None` when that is none of ours.
fn read(json: &Path, file_name: &str) -> Result<Option<Found>> {
    let text = fs::read_to_string(json).map_err(Error::file("Reading a song"))?;
    let Ok(value) = serde_json::from_str::<serde_json::Value>(&text) else {
        return Ok(None);
    };
    let Ok(saved) = Saved::deserialize(&value[STUDIO]) else {
        return Ok(None);
    };
    Ok(Some(Found {
        saved,
        params: params_from_json(&value, GenerationParams::default())?.params,
        file_name: file_name.to_owned(),
    }))
}

/// The song in `file`.
fn song(saved: Saved, params: GenerationParams, file: &Path) -> Result<Song> {
    let audio = decode::from_path(file, Limit::none())?.audio;
    let size_bytes = fs::metadata(file)
        .map_err(Error::file("Reading a song"))?
        .len();
    Ok(Song {
        id: saved.song_id,
        job_id: saved.job_id,
        item: saved.index,
        title: saved.title,
        created_at: saved.created_at,
        duration_secs: audio.duration_secs(),
        sample_rate_hz: audio.sample_rate_hz,
        channels: audio.channels.len() as u16,
        audio_format: saved.audio_format,
        size_bytes,
        seed: params.seeds.first().copied().unwrap_or_default(),
        plan: saved.plan,
        audio_codes: saved.audio_codes,
        made_from: saved.made_from,
        lyric_lines: saved.lyric_lines,
        scores: saved.scores,
        provenance: Provenance {
            app_version: saved.app_version,
            model: saved.model,
            lm: saved.lm_model,
            loras: saved.lora.unwrap_or_default(),
            device: saved.device,
            quantization: saved.quantization,
            steps: saved.steps,
        },
        report: saved.report,
        notes: saved.notes,
        memory: None,
        peaks: audio.peaks(PEAKS),
        favourite: false,
        params,
    })
}
