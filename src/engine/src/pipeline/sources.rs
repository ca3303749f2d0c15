//! Recordings of a request as the networks see them: latents of the source and of the references
//! (engine.md 3.7, 8.3, 8.4).

use acestep_domain::{event::Stage, note::Note};
use candle_core::{DType, Device, Tensor};

use super::{
    generate::Request,
    networks::Networks,
    vae_tiles::{TileOptions, encode_tiled},
};
use crate::{
    audio::{Audio, SILENT_PEAK},
    diffusion::noise::{Purpose, uniform},
    engine,
    error::{Error, Result},
    models::oobleck::Oobleck,
    observer::{Observer, PartOf},
    tasks::Source,
};

/// Slices of a reference: one from its beginning, its middle and its end.
const SLICES: usize = 3;

/// The source of a task that works on one, and how many samples it has.
pub(super) fn source(
    networks: &Networks,
    request: &Request,
    observer: &dyn Observer,
    notes: &mut Vec<Note>,
) -> Result<Option<(Source, usize)>> {
    let params = &request.params;
    let Some(audio) = request.source.as_ref().filter(|_| params.works_on_source()) else {
        return Ok(None);
    };
    let vae = &*networks.vae_encoder.visit()?;
    let mut clip = clip(vae, audio, "src_audio", notes)?;
    let rate = f64::from(clip.sample_rate_hz);
    let region = params
        .region(clip.duration_secs())
        .map_err(|no| Error::Invalid {
            field: no.field,
            reason: no.reason,
        })?;
    if let Some(region) = &region {
        let samples = |secs: f64| (secs * rate).round() as usize;
        for channel in &mut clip.channels {
            let silence = std::iter::repeat_n(0.0, samples(region.before_secs));
            channel.splice(0..0, silence);
            channel.resize(channel.len() + samples(region.after_secs), 0.0);
        }
    }
    let (samples, secs) = (clip.frames(), clip.duration_secs());
    let hop = vae.hop();
    let frames = match &request.noise {
        Some(noise) => given_frames(vae, noise, samples)?,
        // The last frame is filled up, so that no end of a source is lost.
        None => samples.div_ceil(hop),
    };
    if vae.config().frames_from_samples(samples) < frames {
        for channel in &mut clip.channels {
            channel.resize(frames * hop, 0.0);
        }
    }
    let latents = latents(vae, &clip, request.tiles, observer)?;
    let frames = latents.dim(1).map_err(encode())?;
    let region = region.map(|region| region.frames(rate / hop as f64, frames));
    let source = Source {
        latents,
        secs,
        region,
    };
    Ok(Some((source, samples)))
}

/// Mean latents `[1, t, c]`, f32, on the host, of a finished song, at the level that the network made
/// it with. The last frame is filled up.
pub(super) fn heard(
    networks: &Networks,
    audio: &Audio,
    gain: f32,
    observer: &dyn Observer,
    notes: &mut Vec<Note>,
) -> Result<Tensor> {
    let vae = &*networks.vae_encoder.visit()?;
    let mut clip = clip(vae, audio, "song_id", notes)?;
    let samples = clip.frames().div_ceil(vae.hop()) * vae.hop();
    let level = if gain.is_finite() && gain > 0.0 {
        1.0 / gain
    } else {
        1.0
    };
    for channel in &mut clip.channels {
        channel.resize(samples, 0.0);
        for sample in channel {
            *sample *= level;
        }
    }
    latents(vae, &clip, TileOptions::default(), observer)
}

/// The frames of given noise, when the source can have as many.
fn given_frames(vae: &Oobleck, noise: &Tensor, samples: usize) -> Result<usize> {
    let given = noise.dim(1).map_err(encode())?;
    let whole = vae.config().frames_from_samples(samples);
    let filled = samples.div_ceil(vae.hop());
    if given == whole || given == filled {
        return Ok(given);
    }
    Err(Error::Invalid {
        field: "noise",
        reason: format!("it has {given} latent frames, and the source has {whole}"),
    })
}

/// Latents `[n, t, c]`, f32, on the host, of what is heard of the references: one for each song, or
/// one for all where the slices are the same for every seed. None without references.
pub(super) fn references(
    networks: &Networks,
    request: &Request,
    observer: &dyn Observer,
    notes: &mut Vec<Note>,
) -> Result<Vec<Tensor>> {
    if request.references.is_empty() {
        return Ok(Vec::new());
    }
    let vae = &*networks.vae_encoder.visit()?;
    let frames = networks.config.timbre_fix_frame;
    let samples = frames * vae.hop();
    let mut clips = Vec::with_capacity(request.references.len());
    for reference in &request.references {
        let clip = clip(vae, reference, "reference_audio", notes)?;
        clips.push(repeated(clip, samples));
    }
    let slice = frames.div_ceil(SLICES) * vae.hop();
    let starts_of = |seed: u32| -> Vec<[usize; SLICES]> {
        let starts = |(index, clip): (usize, &Audio)| starts(clip.frames(), slice, seed, index);
        clips.iter().enumerate().map(starts).collect()
    };
    let all: Vec<_> = request.seeds.iter().map(|&seed| starts_of(seed)).collect();
    let different = all
        .iter()
        .enumerate()
        .filter(|(index, starts)| !all[..*index].contains(starts));
    let parts = different.count() * clips.len();
    let mut before = 0;
    let mut made: Vec<(Vec<[usize; SLICES]>, Tensor)> = Vec::new();
    let mut heard = Vec::with_capacity(request.seeds.len());
    for wanted in all {
        let known = made.iter().find(|(starts, _)| *starts == wanted);
        if let Some((_, latents)) = known {
            heard.push(latents.clone());
            continue;
        }
        let mut sliced = Vec::with_capacity(clips.len());
        for (clip, starts) in clips.iter().zip(&wanted) {
            let clip = sliced_at(clip, starts, slice, samples);
            let part = PartOf {
                whole: observer,
                before,
                parts,
            };
            let latents = latents(vae, &clip, request.tiles, &part)?;
            before += 1;
            sliced.push(latents.narrow(1, 0, frames).map_err(encode())?);
        }
        let latents = Tensor::cat(&sliced, 0).map_err(encode())?; // [n, t, c]
        heard.push(latents.clone());
        made.push((wanted, latents));
    }
    if made.len() == 1 {
        heard.truncate(1);
    }
    Ok(heard)
}

/// `audio` with the autoencoder's rate and channels, inside -1..1.
fn clip(vae: &Oobleck, audio: &Audio, field: &'static str, notes: &mut Vec<Note>) -> Result<Audio> {
    let refused = |reason: &str| Error::Invalid {
        field,
        reason: reason.to_owned(),
    };
    if !audio.is_finite() {
        return Err(refused("it holds values that are not finite"));
    }
    if audio.peak() < SILENT_PEAK {
        return Err(refused("the sound is silent"));
    }
    let (mut clip, told) = engine::clip_for(vae, audio)?;
    notes.extend(told.into_iter().map(|note| Note {
        field: Some(field.to_owned()),
        ..note
    }));
    // A resampled peak may stand a little above full scale.
    for sample in clip.channels.iter_mut().flatten() {
        *sample = sample.clamp(-1.0, 1.0);
    }
    Ok(clip)
}

/// Mean latents `[1, t, c]`, f32, on the host.
fn latents(
    vae: &Oobleck,
    clip: &Audio,
    tiles: TileOptions,
    observer: &dyn Observer,
) -> Result<Tensor> {
    let (latents, _) = encode_tiled(vae, &clip.channels, 0, tiles, observer)?;
    latents
        .to_dtype(DType::F32)
        .and_then(|latents| latents.to_device(&Device::Cpu)?.unsqueeze(0))
        .map_err(encode())
}

fn encode() -> impl FnOnce(candle_core::Error) -> Error {
    Error::in_stage(Stage::Encode)
}

/// The whole clip again and again until it has `samples` at least.
fn repeated(mut clip: Audio, samples: usize) -> Audio {
    let times = samples.div_ceil(clip.frames().max(1)).max(1);
    for channel in &mut clip.channels {
        *channel = channel.repeat(times);
    }
    clip
}

/// Where the slices begin: each in its third of the clip, anywhere it fits (engine.md 13.12).
fn starts(samples: usize, slice: usize, seed: u32, reference: usize) -> [usize; SLICES] {
    let third = samples / SLICES;
    let room = third.saturating_sub(slice);
    std::array::from_fn(|part| {
        let drawn = uniform(seed, Purpose::Slices(reference), part as u64);
        let into = (drawn * (room + 1) as f64) as usize;
        part * third + into.min(room)
    })
}

/// The slices one after another, `samples` in all.
fn sliced_at(clip: &Audio, starts: &[usize; SLICES], slice: usize, samples: usize) -> Audio {
    let channels = clip.channels.iter().map(|channel| {
        let slices = starts.iter().flat_map(|&start| {
            &channel[start.min(channel.len())..(start + slice).min(channel.len())]
        });
        slices.copied().take(samples).collect()
    });
    Audio {
        channels: channels.collect(),
        sample_rate_hz: clip.sample_rate_hz,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(samples: usize) -> Audio {
        Audio {
            channels: vec![(0..samples).map(|i| i as f32).collect()],
            sample_rate_hz: 100,
        }
    }

    #[test]
    fn a_short_reference_is_repeated_whole_and_a_long_one_is_sliced_by_its_seed() {
        assert_eq!(repeated(ramp(7), 30).frames(), 35);
        assert_eq!(repeated(ramp(40), 30).frames(), 40);
        // Exactly three slices leave no choice.
        assert_eq!(starts(30, 10, 1, 0), [0, 10, 20]);
        assert_eq!(starts(30, 10, 2, 5), [0, 10, 20]);
        let drawn = starts(3000, 10, 1, 0);
        for (part, start) in drawn.iter().enumerate() {
            assert!((part * 1000..=part * 1000 + 990).contains(start));
        }
        assert_eq!(drawn, starts(3000, 10, 1, 0));
        assert_ne!(drawn, starts(3000, 10, 2, 0));
        assert_ne!(drawn, starts(3000, 10, 1, 1));

        let clip = sliced_at(&ramp(90), &[3, 30, 79], 10, 28);
        let samples = &clip.channels[0];
        assert_eq!(
            (samples.len(), samples[0], samples[10], samples[20]),
            (28, 3.0, 30.0, 79.0)
        );
    }
}
