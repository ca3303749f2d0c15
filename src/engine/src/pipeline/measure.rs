//! How quick songs are made, held against what the machine can do.

use std::{
    sync::{Mutex, PoisonError},
    time::Instant,
};

use acestep_domain::{defaults::defaults, event::Stage, task::Family, tier::GpuTier};

use super::{
    generate::{Request, generate},
    networks::Networks,
    vae_tiles::TileOptions,
};
use crate::{
    device::Placement,
    error::{Error, Result},
    kernels::rates::matmul,
    memory::probe::{CardWatch, card_bytes, peak_bytes, restart_peak},
    models::{dit::Dit, oobleck::decoder_operations},
    observer::Observer,
};

/// Words of a usual request.
const CAPTION: &str = "a bright synth pop song with drums, bass and a singer";
const LYRICS: &str = "[Verse]\nover the hills and into the town\nlights on the river are going down\n\n\
    [Chorus]\nsing it again, sing it for me\nall of the nights that are yet to be";

/// Songs to be made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SongWork {
    /// Of each song.
    pub duration_secs: f64,
    /// Songs of the run.
    pub batch_size: usize,
    /// Pieces that songs are decoded in.
    pub tiles: TileOptions,
    /// Family of the model: its defaults are used.
    pub family: Family,
}

/// What a run took, and what its two large stages reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeasuredSong {
    /// Text and conditions, once for the batch.
    pub prepare_secs: f64,
    /// Steps of each song.
    pub steps: usize,
    /// The quickest step of one song.
    pub step_secs: f64,
    /// Multiplications and additions of a step in a second: linear layers and self-attention, of
    /// both branches where there is guidance.
    pub step_flops: f64,
    /// The whole loop of the batch.
    pub diffusion_secs: f64,
    /// The quickest decoding of one song.
    pub decode_secs: f64,
    /// Multiplications and additions of it in a second; what tiles compute twice counts once.
    pub decode_flops: f64,
    /// From request to the last sample.
    pub total_secs: f64,
    /// Those of the library's product in the same precision on the same device, measured before and
    /// after.
    pub matmul_flops: f64,
    /// The most main memory meanwhile, where the system tells.
    pub peak_bytes: Option<u64>,
    /// Memory of the card before the run, with what is loaded.
    pub card_idle_bytes: Option<u64>,
    /// The most memory of the card, when one did the work and its driver tells.
    pub card_peak_bytes: Option<u64>,
}

impl MeasuredSong {
    /// A step's share of the product.
    pub fn step_share(&self) -> f64 {
        self.step_flops / self.matmul_flops
    }

    /// Decoding's share of the product.
    pub fn decode_share(&self) -> f64 {
        self.decode_flops / self.matmul_flops
    }
}

/// The product that rates are held against: a DiT layer over half a minute.
fn product(placement: &Placement) -> Result<f64> {
    matmul(&placement.device, placement.dtype, (375, 2048, 6144))
        .map_err(Error::in_stage(Stage::Diffusion))
}

pub(crate) fn measure(
    networks: &mut Networks,
    work: SongWork,
    observer: &dyn Observer,
) -> Result<MeasuredSong> {
    let mut params = defaults(work.family, GpuTier::Unlimited);
    CAPTION.clone_into(&mut params.caption);
    LYRICS.clone_into(&mut params.lyrics);
    params.duration_secs = Some(work.duration_secs);
    params.batch_size = work.batch_size;
    params.seeds = (0..work.batch_size as u32).collect();
    let branches = if work.family == Family::Turbo {
        1.0
    } else {
        2.0
    };
    let request = Request {
        seeds: params.seeds.clone(),
        params,
        tiles: work.tiles,
        ..Request::default()
    };

    let before = product(&networks.placement)?;
    restart_peak();
    let on_card = networks.placement.device.is_cuda();
    let card_idle_bytes = on_card.then(card_bytes).flatten();
    let watch = on_card.then(CardWatch::start);
    let clock = Clock {
        inner: observer,
        steps: Mutex::default(),
    };
    let start = Instant::now();
    let (mut decode_secs, mut frames) = (f64::MAX, 0);
    let hop = networks.vae_config.hop();
    let report = generate(networks, &request, &clock, &mut |take| {
        decode_secs = decode_secs.min(f64::from(take.report.decode_secs));
        frames = take
            .audio
            .channels
            .first()
            .map_or(0, Vec::len)
            .div_ceil(hop);
        Ok(())
    })?;
    let total_secs = start.elapsed().as_secs_f64();
    let peak_bytes = peak_bytes();
    let card_peak_bytes = watch.as_ref().and_then(CardWatch::most);
    let step_secs = clock.quickest();
    let step = branches * Dit::operations(&networks.config, frames);
    Ok(MeasuredSong {
        prepare_secs: f64::from(report.prepare_secs),
        steps: report.steps,
        step_secs,
        step_flops: step / step_secs,
        diffusion_secs: f64::from(report.diffusion_secs),
        decode_secs,
        decode_flops: decoder_operations(&networks.vae_config, frames) / decode_secs,
        total_secs,
        matmul_flops: before.max(product(&networks.placement)?),
        peak_bytes,
        card_idle_bytes,
        card_peak_bytes,
    })
}

/// Notes when steps end.
struct Clock<'a> {
    inner: &'a dyn Observer,
    /// The last step that ended, and the quickest that began with the end of another.
    steps: Mutex<Steps>,
}

#[derive(Default)]
struct Steps {
    last: Option<(usize, usize, Instant)>,
    quickest: Option<f64>,
}

impl Clock<'_> {
    /// Infinite when no step followed another.
    fn quickest(&self) -> f64 {
        let steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        steps.quickest.unwrap_or(f64::INFINITY)
    }
}

impl Observer for Clock<'_> {
    fn progress(&self, stage: Stage, item: usize, done: usize, total: usize) {
        if stage == Stage::Diffusion {
            let now = Instant::now();
            let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((of, before, since)) = steps.last
                && (of, before + 1) == (item, done)
            {
                let took = (now - since).as_secs_f64();
                let quickest = steps.quickest.map_or(took, |quickest| quickest.min(took));
                steps.quickest = Some(quickest);
            }
            steps.last = Some((item, done, now));
        }
        self.inner.progress(stage, item, done, total);
    }

    fn cancelled(&self) -> bool {
        self.inner.cancelled()
    }
}

#[cfg(test)]
mod tests {
    use acestep_domain::event::Stage;

    use super::Clock;
    use crate::observer::{Observer, Silent};

    #[test]
    fn only_steps_that_follow_each_other_are_timed() {
        let clock = Clock {
            inner: &Silent,
            steps: std::sync::Mutex::default(),
        };
        clock.progress(Stage::Diffusion, 0, 1, 8);
        assert!(clock.quickest().is_infinite());
        clock.progress(Stage::Diffusion, 1, 1, 8);
        assert!(clock.quickest().is_infinite(), "another song began");
        clock.progress(Stage::Decode, 1, 2, 8);
        clock.progress(Stage::Diffusion, 1, 2, 8);
        assert!(clock.quickest().is_finite());
    }
}
