//! `acestep vae`: the autoencoder alone, sound to latents and back.

use std::{path::PathBuf, process::ExitCode};

use acestep_domain::{
    Note, UserError,
    capabilities::DeviceKind,
    generation::{AudioFormat, clamp::minutes},
};
use acestep_engine::{
    audio::{
        decode::{self, Limit},
        encode::encode,
    },
    engine::Vae,
    pipeline::vae_tiles::TileOptions,
};
use candle_core::DType;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::{
    files::{check_place, format_of, numbered, read_tensor, write_safely, write_tensors},
    output::{Failure, fail, say, say_json, tell_notes},
};
use crate::progress::Bar;

/// Which way.
#[derive(Debug, Subcommand)]
pub(crate) enum VaeCommand {
    /// Sound to latents: the mean, `latents` [1, t, c]
    Encode(EncodeArgs),
    /// Latents to sound: 32-bit float, unscaled
    Decode(DecodeArgs),
}

#[derive(Debug, Args)]
pub(crate) struct EncodeArgs {
    /// A clip: wav, flac, mp3, ogg, m4a …
    #[arg(long, value_name = "CLIP")]
    input: PathBuf,
    /// Where the latents go
    #[arg(
        long = "output-latents",
        alias = "output_latents",
        value_name = "F.safetensors"
    )]
    output_latents: PathBuf,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct DecodeArgs {
    /// A tensor `latents` [b, t, c]
    #[arg(long, value_name = "F.safetensors")]
    latents: PathBuf,
    /// Where the sound goes; several clips become F-1.wav, F-2.wav …
    #[arg(long, value_name = "F.wav")]
    output: PathBuf,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    /// Checkpoints folder that holds `vae`, or the autoencoder's own folder [default: the built-in model's]
    #[arg(long, value_name = "DIR")]
    checkpoints: Option<PathBuf>,
    /// Latent frames of a tile, overlaps included [default: 512]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    tile: Option<u32>,
    /// Latent frames of overlap on each side, never less than the network looks [default: just that]
    #[arg(long, value_name = "N")]
    overlap: Option<u32>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Common {
    fn tiles(&self) -> TileOptions {
        TileOptions {
            tile_frames: self
                .tile
                .map_or(TileOptions::default().tile_frames, |frames| frames as usize),
            overlap_frames: self.overlap.map(|frames| frames as usize),
        }
    }
}

/// What either way tells.
#[derive(Debug, Serialize)]
struct Outcome {
    outputs: Vec<PathBuf>,
    /// Shape of the latents.
    shape: Vec<usize>,
    duration_secs: f64,
    sample_rate_hz: u32,
    channels: usize,
    notes: Vec<Note>,
}

/// Encodes or decodes.
pub(crate) fn run(command: &VaeCommand) -> ExitCode {
    let (done, json) = match command {
        VaeCommand::Encode(args) => (encode_clip(args), args.common.json),
        VaeCommand::Decode(args) => (decode_latents(args), args.common.json),
    };
    match done {
        Ok(outcome) => {
            tell_notes(&outcome.notes);
            if json {
                say_json(&outcome);
            } else {
                for path in &outcome.outputs {
                    say(&format!(
                        "{}  {}, {} Hz, latents {:?}",
                        path.display(),
                        minutes(outcome.duration_secs),
                        outcome.sample_rate_hz,
                        outcome.shape
                    ));
                }
            }
            ExitCode::SUCCESS
        }
        Err(failure) => fail(&failure, json),
    }
}

fn load(common: &Common, bar: &Bar) -> Result<Vae, Failure> {
    // One network of 170 million values: the processor is enough, and every build has it.
    let loaded = Vae::load(common.checkpoints.as_deref(), DeviceKind::Cpu);
    loaded.map_err(|error| {
        bar.clear();
        error.into()
    })
}

fn encode_clip(args: &EncodeArgs) -> Result<Outcome, Failure> {
    check_place(&args.output_latents)?;
    let decode::Decoded { audio, notes } = decode::from_path(&args.input, Limit::none())
        .map_err(|error| Failure::from(error).about("input"))?;
    let bar = Bar::new();
    let vae = load(&args.common, &bar)?;
    let encoded = vae.encode(&audio, args.common.tiles(), &bar);
    bar.clear();
    let (latents, more) = encoded?;
    let notes = [notes, more].concat();
    let shape = latents.dims().to_vec();
    write_tensors(&args.output_latents, &[("latents", latents)])?;
    Ok(Outcome {
        outputs: vec![args.output_latents.clone()],
        shape,
        duration_secs: audio.duration_secs(),
        sample_rate_hz: vae.config().sampling_rate,
        channels: vae.config().audio_channels,
        notes,
    })
}

fn decode_latents(args: &DecodeArgs) -> Result<Outcome, Failure> {
    check_place(&args.output)?;
    if format_of(&args.output)? != AudioFormat::Wav {
        return Err(Failure::input(UserError::invalid(
            "output",
            format!("{} is no .wav.", args.output.display()),
            "Decoding writes exact 32-bit samples, which only .wav holds.",
        )));
    }
    let latents = read_tensor(&args.latents, "latents")?;
    let latents = latents
        .to_dtype(DType::F32)
        .map_err(acestep_engine::error::Error::in_stage(
            acestep_engine::error::Stage::Decode,
        ))?;
    let bar = Bar::new();
    let vae = load(&args.common, &bar)?;
    let decoded = vae.decode(&latents, args.common.tiles(), &bar);
    bar.clear();
    let (clips, notes) = decoded?;
    let mut outputs = Vec::new();
    for (item, clip) in clips.iter().enumerate() {
        let path = numbered(&args.output, item, clips.len());
        let bytes = encode(clip, AudioFormat::Wav32)?;
        write_safely(&path, |partial| {
            std::fs::write(partial, &bytes).map_err(|error| Failure::io(&path, "written", &error))
        })?;
        outputs.push(path);
    }
    Ok(Outcome {
        outputs,
        shape: latents.dims().to_vec(),
        duration_secs: clips
            .first()
            .map_or(0.0, acestep_engine::audio::Audio::duration_secs),
        sample_rate_hz: vae.config().sampling_rate,
        channels: vae.config().audio_channels,
        notes,
    })
}
