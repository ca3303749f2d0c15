//! The sum: which networks are there in which stage, and what they have in flight.

use acestep_domain::{
    capabilities::DeviceKind,
    event::Stage,
    memory::{HostDevice, Network, StageMemory},
};

use super::{Asked, Brought, Free, Needs, Work};
use crate::{
    memory::{
        room::SCRATCH_BYTES,
        sizes::{Inputs, Loading, Size},
    },
    planner::{jobs::PLAN_TOKENS, language_model::MAX_CONTEXT},
    tasks::Lengths,
    text::{caption, lyrics},
};

/// Latent frames that are decoded at once, largest first. A card does as the reference does; a
/// processor is as fast with less, which is a third of a gibibyte for the usual autoencoder.
pub(super) const fn tiles(device: DeviceKind) -> [usize; 4] {
    match device {
        DeviceKind::Cpu => [384, 256, 128, 64],
        DeviceKind::Cuda | DeviceKind::Metal => [512, 256, 128, 64],
    }
}

/// What the program itself takes: code, page, library, threads. A song of ten seconds, decoded in one piece, took
/// 23 MiB more than was planned with 96.
const PROGRAM_BYTES: u64 = 128 << 20;

/// Buffers of the kernels. Those of two threads are in [`SCRATCH_BYTES`]; with sixteen a song took 0.26 GiB
/// more.
const fn scratch_bytes(threads: usize) -> u64 {
    const MORE_A_THREAD: u64 = 19 << 20;
    SCRATCH_BYTES + MORE_A_THREAD * threads.saturating_sub(2) as u64
}

/// What a CUDA context takes of a card of `total` bytes with the libraries and kernels in it. It grows with
/// the processors of the card: 0.79 GiB was measured on an H200; for small cards it is an estimate.
pub(super) const fn context_bytes(total: u64) -> u64 {
    const GIB: u64 = 1 << 30;
    (match total / GIB {
        0..=12 => 400,
        13..=31 => 600,
        _ => 850,
    }) << 20
}

/// What the pool of a card holds in pieces that fit nobody, where no network comes and goes and takes its pieces
/// along: measured on a large card at up to 0.28 GiB (`docs/performance.md`). A full card is given them back.
const PIECES_BYTES: u64 = 300 << 20;

/// Bytes of a token in a loaded tokenizer: text, merges, maps.
const TOKEN_BYTES: u64 = 400;

/// Tokens of a prompt beside caption and lyrics.
const FRAME_TOKENS: usize = 120;

/// Copies of a song's samples while it is levelled, encoded and written.
const AUDIO_COPIES: u64 = 3;

/// What moves: by the two switches, in this order.
const LEVELS: [(bool, bool); 3] = [(false, false), (true, false), (true, true)];

/// What `asked` needs; of what may move, as little as fits into `free` does.
pub(super) fn needs(asked: &Asked, free: Free) -> Needs {
    let options = &asked.options;
    let last = match (options.offload_to_cpu, options.moves_dit()) {
        (false, _) => 0,
        (true, false) => 1,
        (true, true) => 2,
    };
    let first = if options.device == DeviceKind::Cpu {
        last
    } else {
        0
    };
    let mut found = None;
    for moved in &LEVELS[first..=last] {
        for tile in tiles(options.device) {
            let needs = sum(asked, *moved, tile);
            if needs.fit(free) {
                return needs;
            }
            found = Some(needs);
        }
    }
    // Nothing fits: as it would be tried.
    found.unwrap_or_else(|| sum(asked, LEVELS[last], tiles(options.device)[0]))
}

/// A network with its place.
struct Placed {
    network: Network,
    size: Size,
    moves: bool,
}

impl Placed {
    /// What it takes while others stay: itself, if it is not among them, and what it works with.
    fn visit(&self) -> u64 {
        let own = if self.moves {
            self.size.footprint.weights
        } else {
            0
        };
        own + self.size.working()
    }
}

/// Every network that takes part, with its place.
struct Places {
    text: Placed,
    condition: Placed,
    dit: Placed,
    vae: Placed,
    /// The half of the autoencoder that encodes, where something is to be encoded.
    encoder: Option<Placed>,
    lm: Option<Placed>,
    codes: Option<Placed>,
}

impl Places {
    /// The places when text encoder, autoencoder and language model move (`others`), or the DiT and
    /// its neighbours (`dit`).
    fn new(asked: &Asked, (others, dit): (bool, bool), inputs: Inputs) -> Self {
        let Asked {
            models,
            options,
            work,
            ..
        } = asked;
        let how = Loading::by(options);
        let weighed = &models.weigh(how);
        let place = |network, size, moves| Placed {
            network,
            size,
            moves,
        };
        let text = models.text_encoder_size(weighed, how, inputs);
        let condition = models.condition_encoder_size(weighed, how, inputs);
        let lm = models.lm_size(weighed, how, &lengths(asked));
        let encoder =
            (work.encodes || work.references > 0).then(|| models.vae_encoder_size(how, inputs));
        let codes = (work.writes_codes || work.given_codes || work.follows)
            .then(|| models.audio_codes_size(weighed, how, inputs));
        Self {
            text: place(Network::TextEncoder, text, others),
            condition: place(Network::ConditionEncoder, condition, dit),
            dit: place(Network::Dit, models.dit_size(weighed, how, inputs), dit),
            vae: place(Network::Vae, models.vae_size(how, inputs), others),
            // It comes and goes wherever the other half is.
            encoder: encoder.map(|size| place(Network::Vae, size, true)),
            lm: lm.map(|size| place(Network::LanguageModel, size, others)),
            codes: codes.map(|size| place(Network::AudioCodes, size, dit)),
        }
    }

    /// Those that are read when the service starts.
    fn loaded(&self) -> impl Iterator<Item = &Placed> {
        [&self.text, &self.condition, &self.dit, &self.vae]
            .into_iter()
            .chain(&self.lm)
    }

    /// All of them.
    fn all(&self) -> impl Iterator<Item = &Placed> {
        self.loaded().chain(&self.codes).chain(&self.encoder)
    }

    /// The networks that move, or those that stay.
    fn names(&self, moves: bool) -> Vec<Network> {
        // Both halves of the autoencoder are one network to who reads the plan.
        self.loaded()
            .chain(&self.codes)
            .filter(|placed| placed.moves == moves)
            .map(|placed| placed.network)
            .collect()
    }

    /// The peak of each stage beside what is there in any case, beside the recordings that come along
    /// and beside the finished sound.
    fn stages(&self, asked: &Asked, beside: u64, (heard, sound): (Heard, u64)) -> Vec<StageMemory> {
        let work = &asked.work;
        let mut resident = beside;
        let mut load = 0;
        for placed in self.loaded() {
            let weights = placed.size.footprint.weights;
            load = load.max(resident + weights + placed.size.reading);
            if !placed.moves {
                resident += weights;
            }
        }
        let stage = |stage, peak_bytes| StageMemory {
            stage,
            peak_bytes,
            secs: None,
        };
        let mut stages = vec![stage(Stage::Load, load)];
        resident += heard.kept + work.brought.lora_bytes;
        let lm = self.lm.as_ref().filter(|_| work.plans || work.writes_codes);
        let writing = lm.map(|lm| stage(Stage::LanguageModel, resident + lm.visit()));
        // A song is planned first; what is listened to is heard first.
        stages.extend(writing.filter(|_| work.sings));
        if let Some(encoder) = &self.encoder {
            let encode = resident + encoder.visit() + heard.working;
            stages.push(stage(Stage::Encode, encode));
        }
        let mut prepare = self.text.visit().max(self.condition.visit());
        let mut hear = 0;
        if let Some(codes) = &self.codes {
            if !codes.moves {
                resident += codes.size.footprint.weights;
            }
            hear = codes.visit();
            prepare = prepare.max(hear);
        }
        if !work.sings {
            let most = lm.map_or(0, Placed::visit).max(hear);
            if lm.is_some() {
                stages.push(stage(Stage::LanguageModel, resident + most));
            } else if let Some(encode) = stages.last_mut().filter(|_| work.encodes) {
                encode.peak_bytes = encode.peak_bytes.max(resident + hear);
            }
        }
        if work.sings {
            stages.push(stage(Stage::Prepare, resident + prepare));
            stages.push(stage(Stage::Diffusion, resident + self.dit.visit()));
            stages.push(stage(Stage::Decode, resident + self.vae.visit() + sound));
        }
        stages
    }
}

/// Recordings in main memory.
#[derive(Debug, Clone, Copy)]
struct Heard {
    /// As long as the run lasts.
    kept: u64,
    /// While they are brought to the autoencoder's rate and channels.
    working: u64,
}

/// What the networks are given.
fn inputs(asked: &Asked, tile_frames: usize) -> Inputs {
    let (work, vae) = (&asked.work, &asked.models.vae);
    let frames = Lengths::covering(work.duration_secs, vae.sampling_rate, vae.hop(), |frames| {
        vae.samples_from_frames(frames)
    })
    .map_or(1, |lengths| lengths.frames);
    Inputs {
        frames,
        tile_frames,
        caption_tokens: (work.caption_bytes + FRAME_TOKENS).min(caption::MAX_TOKENS),
        lyric_tokens: (work.lyric_bytes + FRAME_TOKENS).min(lyrics::MAX_TOKENS),
        steps: work.steps,
        references: work.references,
        contexts: if work.writes_codes { work.songs } else { 1 } + usize::from(work.switches),
        // Each song hears slices of its own of the references.
        conditions: if work.references > 0 { work.songs } else { 1 }
            * (1 + usize::from(work.switches)),
    }
}

/// The recordings of `work`, by the bytes of a length of sound.
fn heard(work: &Work, sound_bytes: impl Fn(f64) -> u64) -> Heard {
    /// Copies of a recording while it is brought to the autoencoder's rate and channels.
    const COPIES: u64 = 3;
    let Brought {
        source_secs,
        reference_secs,
        ..
    } = work.brought;
    // A source whose length is not known is as long as the song.
    let source = if work.encodes {
        sound_bytes(source_secs.max(work.duration_secs))
    } else {
        0
    };
    let references = sound_bytes(reference_secs);
    Heard {
        kept: source + references,
        working: COPIES * source.max(references),
    }
}

fn sum(asked: &Asked, moved: (bool, bool), tile_frames: usize) -> Needs {
    let Asked {
        models,
        options,
        work,
        context_bytes,
        threads,
    } = asked;
    let on_card = options.device != DeviceKind::Cpu;
    let inputs = inputs(asked, tile_frames);
    let places = Places::new(asked, moved, inputs);

    let vae = &models.vae;
    let channels = models.dit.audio_acoustic_hidden_dim as u64;
    let latents = 2 * work.songs as u64 * inputs.frames as u64 * channels * 4;
    let sound_bytes = |secs: f64| {
        let samples = (secs.max(0.0) * f64::from(vae.sampling_rate)) as u64;
        samples * vae.audio_channels as u64 * size_of::<f32>() as u64
    };
    let song = sound_bytes(work.duration_secs);
    let mut audio = if work.sings { AUDIO_COPIES * song } else { 0 };
    if work.keeps {
        audio += song;
    }
    let heard = heard(work, sound_bytes);
    let tokens =
        models.text_encoder.vocab_size + models.lm.as_ref().map_or(0, |lm| lm.config.vocab_size);
    let tokenizers = tokens as u64 * TOKEN_BYTES;
    // Where the networks run in main memory, what the host holds is there beside them.
    let nothing = Heard {
        kept: 0,
        working: 0,
    };
    let (beside, sounds) = if on_card {
        let pieces = if moved == (false, false) {
            PIECES_BYTES
        } else {
            0
        };
        (*context_bytes + pieces, (nothing, 0))
    } else {
        (
            tokenizers + latents + scratch_bytes(*threads),
            (heard, audio),
        )
    };
    let stages = places.stages(asked, beside, sounds);
    let peaks = stages.iter().map(|stage| stage.peak_bytes);
    let peak = peaks.max().unwrap_or(0);
    let moving = places.all().filter(|placed| placed.moves);
    let read = moving.map(|placed| placed.size.footprint.weights).max();
    let (host, device) = if on_card {
        // The mapped file of what moves is main memory while it is read.
        let read = read.unwrap_or(0);
        let recordings = heard.kept + heard.working;
        let host = PROGRAM_BYTES + tokenizers + latents + audio + recordings + read;
        (host, peak)
    } else {
        (PROGRAM_BYTES + peak, 0)
    };
    Needs {
        host,
        device,
        stages,
        moved: places.names(true),
        resident: places.names(false),
        tile_frames,
        lm_cache_bytes: places.lm.map_or(0, |lm| lm.size.footprint.cache),
    }
}

/// Tokens of the sequences that the language model writes side by side, prompts included.
fn lengths(asked: &Asked) -> Vec<usize> {
    let work = &asked.work;
    // A token is a byte at least; what leaves no room for a plan is refused before it runs.
    let words = work.caption_bytes + work.lyric_bytes + FRAME_TOKENS;
    let prompt = words.min(MAX_CONTEXT - PLAN_TOKENS);
    let planning = prompt + work.read_codes() + PLAN_TOKENS;
    if !work.writes_codes {
        return vec![planning];
    }
    let codes = (work.duration_secs * acestep_domain::audio_codes::PER_SECOND).ceil() as usize;
    // Each song has a guided and an unguided sequence.
    let song = [planning + codes, FRAME_TOKENS + codes];
    song.repeat(work.songs)
}

impl Needs {
    /// Host and device.
    pub(super) fn peak(&self) -> HostDevice {
        HostDevice {
            host: self.host,
            device: self.device,
        }
    }
}
