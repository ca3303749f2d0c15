//! When the words of a finished song are sung, and how clearly: one pass through the first layers of
//! the decoder over the song with a little noise, and what some heads look at (engine.md 10).
//!
//! The song is what is heard of it: its file through the autoencoder, so nothing has to be kept from
//! the run that made it and a song of last year can be timed. Everything else, words, codes, source,
//! references, is prepared as for that run.

use acestep_domain::{
    event::Stage,
    generation::clamp::is_instrumental,
    note::Note,
    timed_lyrics::{AlignmentScores, LyricLine},
};
use candle_core::{DType, Device, Tensor};

use super::{
    finite,
    generate::{Request, conditionings},
    networks::Networks,
    prepared::{Parts, Texts},
    sources,
};
use crate::{
    alignment::{Maps, score, timing, words::Words},
    audio::Audio,
    diffusion::noise::{Purpose, normal},
    error::{Error, Result},
    memory::room::for_network,
    models::dit::Watch,
    observer::Observer,
    tasks::{MIN_FRAMES, Sources},
    text::lyrics,
};

/// Seed of the noise, the same for every song, so that a song is always timed alike.
const SEED: u32 = 42;

/// What is asked.
#[derive(Debug, Clone)]
pub struct AlignRequest<'a> {
    /// The request that made the song, its seed alone among the seeds. Noise in it takes the place of
    /// the seeded noise.
    pub request: &'a Request,
    /// The song.
    pub heard: Heard,
    /// Whether [`Aligned::scores`] are wanted: another pass.
    pub with_scores: bool,
}

/// A song to be listened to.
#[derive(Debug, Clone)]
pub enum Heard {
    /// How it sounds.
    Sound {
        /// Any rate, one channel or two.
        audio: Audio,
        /// What the network's output was multiplied with.
        gain: f32,
    },
    /// Its latents `[t, c]`, f32, on the host, as a [`Take`](super::generate::Take) has them.
    Latents(Tensor),
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Aligned {
    /// The lines, blank ones left out, section tags kept.
    pub lines: Vec<LyricLine>,
    /// How clearly the words are sung, when it was asked.
    pub scores: Option<AlignmentScores>,
    /// What was cut or resampled.
    pub notes: Vec<Note>,
}

/// Why songs cannot be timed with `networks`.
pub(crate) fn check(networks: &Networks, request: &Request) -> Result<()> {
    if networks.config.lyric_heads().is_none() {
        return Err(Error::Unsupported {
            what: "timing lyrics".to_owned(),
            because: format!(
                "it is not known which attention heads of {} follow the words",
                networks.name()
            ),
        });
    }
    if is_instrumental(&request.params) {
        return Err(Error::Invalid {
            field: "lyrics",
            reason: "the song has none, so there is nothing to time".to_owned(),
        });
    }
    Ok(())
}

pub(crate) fn align(
    networks: &mut Networks,
    asked: &AlignRequest<'_>,
    observer: &dyn Observer,
) -> Result<Aligned> {
    observer.check()?;
    let request = asked.request;
    let params = &request.params;
    check(networks, request)?;
    networks.loras.require(params.loras.as_deref())?;
    let (ids, _) = networks.tokenizer.lyrics(&lyrics::prompt(params))?;
    let Some(words) = Words::find(&networks.tokenizer, &lyrics::heading(params), &ids)? else {
        return Err(Error::Invalid {
            field: "lyrics",
            reason: "the model reads none of them, so there is nothing to time".to_owned(),
        });
    };
    let mut notes = Vec::new();
    let song = match &asked.heard {
        Heard::Sound { audio, gain } => {
            sources::heard(networks, audio, *gain, observer, &mut notes)?
        }
        Heard::Latents(latents) => latents.unsqueeze(0).map_err(prepare())?,
    };
    let kept_frames = song.dim(1).map_err(prepare())?;
    let source = sources::source(networks, request, observer, &mut notes)?;
    let source = source.map(|(source, _)| source);
    let frames = match &source {
        Some(source) => source.latents.dim(1).map_err(prepare())?,
        None => kept_frames,
    }
    .max(MIN_FRAMES);
    let conditionings = conditionings(networks, request, source.as_ref(), frames)?;
    let references = sources::references(networks, request, observer, &mut notes)?;
    let parts = Parts {
        conditionings: &conditionings,
        references: &references,
    };
    let texts = Texts::new(networks, params, parts, observer, &mut notes)?;
    let all = Sources {
        silence: &networks.silence,
        mask_channels: 0,
        hints: None,
        source: None,
    };
    let song = all.fit(&song, frames)?;
    let looking = Looking {
        networks,
        context: &conditionings[0].context_latents,
        condition: texts.condition(),
        words: &words,
        kept_frames: kept_frames.min(frames),
    };
    let noise = match &request.noise {
        Some(noise) => noise.to_dtype(DType::F32).map_err(prepare())?,
        None => seeded(song.dims())?,
    };
    let steps = params
        .timesteps
        .as_ref()
        .map_or(params.inference_steps, Vec::len)
        .max(1);
    let passes = 1 + usize::from(asked.with_scores);
    observer.progress(Stage::Diffusion, 0, 0, passes);
    let t = 1.0 / steps as f64;
    let noisy = (&noise * t)
        .and_then(|noise| noise + (&song * (1.0 - t))?)
        .map_err(prepare())?;
    let maps = looking.at(&noisy, t)?;
    observer.progress(Stage::Diffusion, 0, 1, passes);
    observer.check()?;
    let scores = if asked.with_scores {
        let sung = words.sung();
        let scores = AlignmentScores {
            lm_score: score::score(&looking.at(&noise, 1.0)?, &sung),
            dit_score: score::score(&maps, &sung),
        };
        observer.progress(Stage::Diffusion, 0, passes, passes);
        Some(scores)
    } else {
        None
    };
    // A decoder token is this long, whatever the song's length leaves of the last one.
    let vae = &networks.vae_config;
    let hop_secs = vae.hop() as f64 / f64::from(vae.sampling_rate);
    let secs_per_frame = hop_secs * networks.config.patch_size as f64;
    Ok(Aligned {
        lines: timing::lines(&maps, &words, secs_per_frame),
        scores,
        notes,
    })
}

/// What the passes have in common.
struct Looking<'a> {
    networks: &'a Networks,
    /// `[1, t, 2c]`
    context: &'a Tensor,
    /// `[1, l, he]`
    condition: &'a Tensor,
    words: &'a Words,
    kept_frames: usize,
}

impl Looking<'_> {
    /// Where the lyric heads look at the state `x` `[1, t, c]` of time `t`.
    fn at(&self, x: &Tensor, t: f64) -> Result<Maps> {
        let config = &self.networks.config;
        let heads = config.lyric_heads().unwrap_or_default();
        let watch = Watch {
            heads: &heads,
            columns: self.words.place(),
        };
        let dit = self.networks.dit()?;
        let device = &self.networks.placement.device;
        self.room(x, &watch)?;
        let look = || {
            let times = dit.prepare_times(&[t])?;
            let context = dit.prepare_context(&self.context.to_device(device)?)?;
            let condition = dit.prepare_condition(self.condition)?;
            dit.look(&x.to_device(device)?, &times, &context, &condition, &watch)
        };
        let attention = look().map_err(Error::in_stage(Stage::Diffusion))?;
        finite::tensor(&attention, Stage::Diffusion, "DiT")?;
        let frames = self.kept_frames.div_ceil(config.patch_size);
        Maps::from_attention(&attention, frames).map_err(Error::in_stage(Stage::Diffusion))
    }

    /// Room for the pass over `x` `[1, t, c]` and for what comes of it.
    fn room(&self, x: &Tensor, watch: &Watch<'_>) -> Result<()> {
        /// The heads themselves, turned, sharpened, and the way through them.
        const COPIES: usize = 4;
        let places = |tensor: &Tensor| tensor.dim(1).map_err(prepare());
        let (frames, tokens) = (places(x)?, places(self.condition)?);
        let looks = frames.div_ceil(self.networks.config.patch_size);
        let heads = || watch.heads.values().map(Vec::len);
        // Scores and shares of a layer's heads over the whole condition; of all of them the words.
        let whole = 2 * heads().max().unwrap_or(0) * looks * tokens;
        let words = COPIES * heads().sum::<usize>() * looks * watch.columns.len();
        let mut footprint = self.networks.dit_footprint((frames, tokens), 1);
        footprint.activations += ((whole + words) * size_of::<f32>()) as u64;
        for_network(Stage::Diffusion, footprint, &self.networks.placement.device)
    }
}

/// `[1, t, c]` of the seeded noise.
fn seeded(dims: &[usize]) -> Result<Tensor> {
    let noise = normal(SEED, Purpose::Start, dims.iter().product());
    Tensor::from_vec(noise, dims, &Device::Cpu).map_err(prepare())
}

fn prepare() -> impl FnOnce(candle_core::Error) -> Error {
    Error::in_stage(Stage::Prepare)
}
