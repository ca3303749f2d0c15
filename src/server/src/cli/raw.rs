//! `acestep raw`: a song without the gain that was put on it when it was made.

use std::{path::PathBuf, process::ExitCode};

use acestep_domain::{Note, UserError, generation::AudioFormat, library::Report, saved};
use acestep_engine::audio::{
    decode::{self, Limit},
    encode::encode,
    loudness, tags,
};
use clap::Args;
use serde::Serialize;
use serde_json::Value;

use super::{
    files::{check_place, format_of, write_safely},
    output::{Failure, fail, say, say_json, tell_notes},
};

/// What is undone, and where to.
#[derive(Debug, Args)]
pub(crate) struct RawArgs {
    /// A song that was made here, whatever it is called: wav, flac or mp3
    song: PathBuf,
    /// Where the sound goes: wav of 32-bit floats, since it may stand above full scale
    #[arg(long, value_name = "F.wav")]
    output: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Outcome {
    path: PathBuf,
    /// The gain that was taken off.
    gain: f32,
    peak: f32,
    loudness_lufs: Option<f32>,
    notes: Vec<Note>,
}

/// Undoes and prints; exit code 2 when the file is no song of ours.
pub(crate) fn run(args: &RawArgs) -> ExitCode {
    match undo(args) {
        Ok(outcome) => {
            tell_notes(&outcome.notes);
            if args.json {
                say_json(&outcome);
            } else {
                say(&format!(
                    "{}: gain {:.4} taken off, peak {:.4}",
                    outcome.path.display(),
                    outcome.gain,
                    outcome.peak
                ));
            }
            ExitCode::SUCCESS
        }
        Err(failure) => fail(&failure, args.json),
    }
}

fn undo(args: &RawArgs) -> Result<Outcome, Failure> {
    const FORMAT: AudioFormat = AudioFormat::Wav32;
    check_place(&args.output)?;
    if !matches!(format_of(&args.output), Ok(AudioFormat::Wav)) {
        return Err(Failure::input(UserError::invalid(
            "output",
            format!("{} does not end in .wav.", args.output.display()),
            "Name a .wav file: the sound may stand above full scale, which only 32-bit floats keep.",
        )));
    }
    let refused = |reason: &str| {
        Failure::input(UserError::invalid(
            "song",
            format!("{}: {reason}.", args.song.display()),
            "Give a song that this program made; its gain is in its tags.",
        ))
    };
    let tags = tags::find(&args.song)?.ok_or_else(|| refused("this is no song file"))?;
    let mut saved: Value = tags
        .params_json
        .and_then(|text| serde_json::from_str(&text).ok())
        .ok_or_else(|| refused("there are no settings in it"))?;
    let gain = saved::gain(&saved).ok_or_else(|| refused("it does not say its gain"))?;
    let decoded = decode::from_path(&args.song, Limit::none())?;
    let mut audio = decoded.audio;
    let report = Report {
        gain,
        ..Report::default()
    };
    loudness::raw(&mut audio, &report);
    // Whoever takes the gain off this file as well would be wrong.
    saved::set_gain(&mut saved, 1.0);
    let bytes = encode(&audio, FORMAT)?;
    write_safely(&args.output, |partial| {
        std::fs::write(partial, &bytes)
            .map_err(|error| Failure::io(&args.output, "written", &error))?;
        let title = tags.title.unwrap_or_default();
        tags::embed(partial, FORMAT, &saved.to_string(), &title)?;
        Ok(())
    })?;
    let heard = audio.report();
    Ok(Outcome {
        path: args.output.clone(),
        gain,
        peak: heard.peak,
        loudness_lufs: heard.loudness_lufs,
        notes: decoded.notes,
    })
}
