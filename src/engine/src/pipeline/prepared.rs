//! What does not change over the steps of a run: times, conditions, contexts, all prepared once.

use acestep_domain::{GenerationParams, event::Stage, note::Note, task::Family};
use candle_core::{Device, Tensor};

use super::{finite, networks::Networks};
use crate::{
    diffusion::{
        denoise::{Branch, Network},
        guidance::Guidance,
        schedule::Schedule,
    },
    error::{Error, Result},
    footprint::Footprint,
    memory::room::for_network,
    models::{
        dit::{Condition, Context, Dit, Times},
        qwen3::Qwen3,
    },
    observer::Observer,
    tasks::Conditioning,
    text::{caption, lyrics},
};

/// Work of the stage, for progress.
pub(super) const PARTS: usize = 3;

/// What the run is made of: one of each for every song, or one for all. Conditionings differ in
/// their context only.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) conditionings: &'a [Conditioning],
    /// Latents of references, `[n, t, c]`, f32, on the host; none = the timbre of silence.
    pub(super) references: &'a [Tensor],
}

/// What the encoders make of words and references: all that the DiT needs of them.
pub(super) struct Texts {
    /// `[1, l, he]` of each song, or one for all: of the request, and of what it goes on with.
    packed: Vec<Vec<Tensor>>,
    /// `[1, 1, he]`
    null: Tensor,
}

impl Texts {
    /// Encodes the words and references of `parts`.
    pub(super) fn new(
        networks: &Networks,
        params: &GenerationParams,
        parts: Parts<'_>,
        observer: &dyn Observer,
        notes: &mut Vec<Note>,
    ) -> Result<Self> {
        let stage = || Error::in_stage(Stage::Prepare);
        let Some(first) = parts.conditionings.first() else {
            return Err(Error::Invalid {
                field: "seed",
                reason: "no song is asked for".to_owned(),
            });
        };
        let text_encoder = networks.text_encoder.visit()?;
        let mut texts = vec![encode_caption(
            networks,
            &text_encoder,
            params,
            first,
            notes,
        )?];
        if let Some(then) = &first.then {
            let then = &then.conditioning;
            texts.push(encode_caption(
                networks,
                &text_encoder,
                params,
                then,
                notes,
            )?);
        }
        let (ids, cut) = networks.tokenizer.lyrics(&lyrics::prompt(params))?;
        notes.extend(cut);
        networks.room_for_text(ids.len())?;
        let lyric_tokens = ids.len();
        let words = tokens(ids, &networks.placement.device)
            .and_then(|ids| text_encoder.embed(&ids))
            .map_err(stage())?;
        drop(text_encoder);
        observer.progress(Stage::Prepare, 0, 1, PARTS);
        observer.check()?;

        let device = &networks.placement.device;
        let encoder = networks.condition_encoder.visit()?;
        let most = parts.references.iter().map(|latents| latents.dims()[0]);
        networks.room_for_condition(lyric_tokens, most.max().unwrap_or(1))?;
        let timbre = |latents: &Tensor| encoder.timbre(&latents.to_device(device)?);
        let mut timbres = parts
            .references
            .iter()
            .map(timbre)
            .collect::<candle_core::Result<Vec<_>>>()
            .map_err(stage())?; // [1, n, he] each
        if timbres.is_empty() {
            timbres.push(networks.silent_timbre(&encoder)?);
        }
        let mut packed = Vec::with_capacity(texts.len());
        for text in &texts {
            let mut songs = Vec::with_capacity(timbres.len());
            for timbre in &timbres {
                let one = encoder.pack(text, &words, timbre).map_err(stage())?;
                finite::tensor(&one, Stage::Prepare, "condition encoder")?;
                songs.push(one);
            }
            packed.push(songs);
        }
        let null = encoder.null().clone();
        drop(encoder);
        observer.progress(Stage::Prepare, 0, 2, PARTS);
        observer.check()?;
        Ok(Self { packed, null })
    }

    /// What the request itself makes of the first song, `[1, l, he]`; the words come first in it.
    pub(super) fn condition(&self) -> &Tensor {
        &self.packed[0][0]
    }
}

/// What does not change over steps and songs.
pub(super) struct Prepared {
    times: Times,
    /// One for each song, or one for all.
    contexts: Vec<Context>,
    /// One for each song, or one for all.
    conditionals: Vec<Condition>,
    /// Only where guidance acts.
    unconditional: Option<Condition>,
    later: Option<Later>,
    /// What a step takes.
    step: Footprint,
}

/// What the request goes on with after a share of its steps.
struct Later {
    from_step: usize,
    context: Context,
    /// One for each song, or one for all.
    conditionals: Vec<Condition>,
}

/// The one of `item`, or the one of all.
fn of_song<T>(all: &[T], item: usize) -> &T {
    &all[item.min(all.len() - 1)]
}

impl Prepared {
    /// Prepares a run of `conditionings`, one for each song, or one for all.
    pub(super) fn new(
        dit: &Dit,
        networks: &Networks,
        texts: &Texts,
        (params, conditionings): (&GenerationParams, &[Conditioning]),
        schedule: &Schedule,
    ) -> Result<Self> {
        let device = &networks.placement.device;
        let guided = networks.family == Family::Base && params.guidance_scale > 1.0;
        let then = conditionings.first().and_then(|first| first.then.as_ref());
        let frames = conditionings.first().map(|first| &first.context_latents);
        let packed = texts.packed.first().and_then(|songs| songs.first());
        let places = |tensor: Option<&Tensor>| tensor.and_then(|it| it.dim(1).ok()).unwrap_or(1);
        let footprint = networks.dit_footprint((places(frames), places(packed)), schedule.len());
        for_network(Stage::Prepare, footprint, device)?;
        let context = |conditioning: &Conditioning| {
            dit.prepare_context(&conditioning.context_latents.to_device(device)?)
        };
        let prepare = || -> candle_core::Result<Self> {
            let of_songs = |songs: &Vec<Tensor>| {
                let conditions = songs.iter().map(|packed| dit.prepare_condition(packed));
                conditions.collect::<candle_core::Result<Vec<_>>>()
            };
            let mut conditions = texts
                .packed
                .iter()
                .map(of_songs)
                .collect::<candle_core::Result<Vec<_>>>()?
                .into_iter();
            let Some(conditionals) = conditions.next().filter(|songs| !songs.is_empty()) else {
                candle_core::bail!("no text was encoded")
            };
            let later = match (then, conditions.next()) {
                (Some(then), Some(conditionals)) => Some(Later {
                    from_step: (schedule.len() as f64 * then.after_share).floor() as usize,
                    context: context(&then.conditioning)?,
                    conditionals,
                }),
                _ => None,
            };
            Ok(Self {
                times: dit.prepare_times(schedule.timesteps())?,
                contexts: conditionings
                    .iter()
                    .map(context)
                    .collect::<candle_core::Result<_>>()?,
                conditionals,
                unconditional: guided
                    .then(|| dit.prepare_condition(&texts.null))
                    .transpose()?,
                later,
                step: Footprint {
                    cache: 0,
                    ..footprint
                },
            })
        };
        prepare().map_err(Error::in_stage(Stage::Prepare))
    }

    pub(super) fn guidance(&self, params: &GenerationParams) -> Option<Guidance> {
        self.unconditional.as_ref()?;
        Guidance::new(
            params.guidance_scale,
            params.use_adg,
            (params.cfg_interval_start, params.cfg_interval_end),
        )
    }

    /// Song `item` of the run as the loop sees it.
    pub(super) fn song<'a>(
        &'a self,
        dit: &'a Dit,
        networks: &'a Networks,
        item: usize,
        frames: usize,
    ) -> Song<'a> {
        Song {
            dit,
            device: &networks.placement.device,
            prepared: self,
            item,
            frames,
            channels: networks.config.audio_acoustic_hidden_dim,
        }
    }
}

fn tokens(ids: Vec<u32>, device: &Device) -> candle_core::Result<Tensor> {
    let count = ids.len();
    Tensor::from_vec(ids, (1, count), device)
}

fn encode_caption(
    networks: &Networks,
    text_encoder: &Qwen3,
    params: &GenerationParams,
    conditioning: &Conditioning,
    notes: &mut Vec<Note>,
) -> Result<Tensor> {
    let prompt = caption::prompt(params, &conditioning.instruction, conditioning.named_secs);
    let (ids, cut) = networks.tokenizer.caption(&prompt)?;
    notes.extend(cut.filter(|note| !notes.contains(note)));
    networks.room_for_text(ids.len())?;
    let text = tokens(ids, &networks.placement.device)
        .and_then(|ids| text_encoder.forward(&ids))
        .map_err(Error::in_stage(Stage::Prepare))?;
    finite::tensor(&text, Stage::Prepare, "text encoder")?;
    Ok(text)
}

/// The DiT as the loop sees it.
pub(super) struct Song<'a> {
    dit: &'a Dit,
    device: &'a Device,
    prepared: &'a Prepared,
    item: usize,
    frames: usize,
    channels: usize,
}

impl Network for Song<'_> {
    fn velocity(&mut self, x: &[f32], index: usize, branch: Branch) -> Result<Vec<f32>> {
        let Prepared {
            times,
            contexts,
            conditionals,
            unconditional,
            later,
            step,
        } = self.prepared;
        for_network(Stage::Diffusion, *step, self.device)?;
        let (context, conditionals) = match later {
            Some(later) if index >= later.from_step => (&later.context, &later.conditionals),
            _ => (of_song(contexts, self.item), conditionals),
        };
        let conditional = of_song(conditionals, self.item);
        let condition = match (branch, unconditional) {
            (Branch::Unconditional, Some(condition)) => condition,
            _ => conditional,
        };
        Tensor::from_slice(x, (1, self.frames, self.channels), self.device)
            .and_then(|x| self.dit.forward(&x, index, times, context, condition))
            .and_then(|v| v.flatten_all()?.to_vec1())
            .map_err(Error::in_stage(Stage::Diffusion))
    }
}
