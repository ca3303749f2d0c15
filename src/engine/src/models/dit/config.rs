//! `config.json` of a DiT folder. It describes the decoder, the condition encoder and the audio
//! tokenizers alike.

use std::collections::BTreeMap;

use acestep_domain::task::Family;
use serde::Deserialize;

use crate::{
    models::encoder_layer::{LayerConfig, validate_activation, validate_layers},
    nn::Mask,
};

/// Whether a layer sees everything or a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerType {
    /// Keys at most `sliding_window` away.
    SlidingAttention,
    /// Every key.
    FullAttention,
}

/// Keys of `config.json`. Every key that the maths uses is required, save those that a released
/// checkpoint leaves out (named at the field).
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Config {
    /// False where the networks of audio codes are there and were never trained: the bundled model
    /// says so, released checkpoints need not say anything.
    #[serde(default = "trained")]
    pub audio_codes_trained: bool,
    /// Width of the decoder.
    pub hidden_size: usize,
    /// Width inside the decoder's MLP.
    pub intermediate_size: usize,
    /// Decoder layers.
    pub num_hidden_layers: usize,
    /// Query heads of the decoder.
    pub num_attention_heads: usize,
    /// Key and value heads of the decoder.
    pub num_key_value_heads: usize,
    /// Width of a head, in every network of the folder.
    pub head_dim: usize,
    /// Width of the encoders; absent from the 2B checkpoints, where it is the decoder's.
    pub encoder_hidden_size: Option<usize>,
    /// Width inside the encoders' MLPs; absent from 2B.
    pub encoder_intermediate_size: Option<usize>,
    /// Query heads of the encoders; absent from 2B.
    pub encoder_num_attention_heads: Option<usize>,
    /// Key and value heads of the encoders; absent from 2B.
    pub encoder_num_key_value_heads: Option<usize>,
    /// Channels of a frame at the decoder's input: source, mask, noisy latents.
    pub in_channels: usize,
    /// Latent channels.
    pub audio_acoustic_hidden_dim: usize,
    /// Latent frames in one decoder token.
    pub patch_size: usize,
    /// Width of the text encoder.
    pub text_hidden_dim: usize,
    /// Latent channels of a timbre reference.
    pub timbre_hidden_dim: usize,
    /// Latent frames of a timbre reference.
    pub timbre_fix_frame: usize,
    /// Layers of the lyric encoder.
    pub num_lyric_encoder_hidden_layers: usize,
    /// Layers of the timbre encoder.
    pub num_timbre_encoder_hidden_layers: usize,
    /// Layers of the pooler and of the detokenizer.
    pub num_attention_pooler_hidden_layers: usize,
    /// Latent frames in one audio code.
    pub pool_window_size: usize,
    /// Width of a quantised vector.
    pub fsq_dim: usize,
    /// Levels of each dimension of a code.
    pub fsq_input_levels: Vec<usize>,
    /// Residual quantizers; one in every released checkpoint, and nothing else is supported.
    pub fsq_input_num_quantizers: usize,
    /// Whether `sliding_attention` layers are windowed at all.
    pub use_sliding_window: bool,
    /// The window, when there is one.
    pub sliding_window: Option<usize>,
    /// Kind of each layer; when absent they alternate, windowed first.
    pub layer_types: Option<Vec<LayerType>>,
    /// Base of the rotary angles.
    pub rope_theta: f64,
    /// Epsilon of every norm.
    pub rms_norm_eps: f64,
    /// Biases in attention; false in every released checkpoint, and nothing else is supported.
    pub attention_bias: bool,
    /// Activation of the gates; `silu` in every released checkpoint, and nothing else is supported.
    pub hidden_act: Option<String>,
    /// Distilled: no guidance. Absent from some base and sft checkpoints.
    pub is_turbo: Option<bool>,
    /// `turbo`, `base` or `sft`; not in every checkpoint.
    pub model_version: Option<String>,
    /// Layers to heads whose cross-attention follows the lyrics; absent from 2B.
    pub lyric_alignment_layers_config: Option<BTreeMap<usize, Vec<usize>>>,
}

/// Width, layers and heads of a released checkpoint.
type KnownSizes = (usize, usize, usize);

/// Heads by their layers.
type KnownHeads = &'static [(usize, &'static [usize])];

/// Heads of the released checkpoints that follow the lyrics (engine.md 10.1): 2B, whose configs do not
/// name them, and XL.
const LYRIC_HEADS: [(KnownSizes, KnownHeads); 2] = [
    (
        (2048, 24, 16),
        &[
            (2, &[6]),
            (3, &[10, 11]),
            (4, &[3]),
            (5, &[8, 9]),
            (6, &[8]),
        ],
    ),
    (
        (2560, 32, 32),
        &[
            (3, &[18, 27]),
            (4, &[22]),
            (5, &[5, 6, 7]),
            (6, &[2, 12, 13]),
            (7, &[20, 21]),
        ],
    ),
];

const fn trained() -> bool {
    true
}

impl Config {
    /// Width of the condition encoder and the tokenizers.
    pub fn encoder_width(&self) -> usize {
        self.encoder_hidden_size.unwrap_or(self.hidden_size)
    }

    /// Channels of a frame that do not change while denoising: source and mask.
    pub fn context_channels(&self) -> usize {
        self.in_channels
            .saturating_sub(self.audio_acoustic_hidden_dim)
    }

    /// Whether the timbre encoder puts its special token first (the XL checkpoints; in 2B the
    /// tensor is there but unused).
    pub fn timbre_has_special_token(&self) -> bool {
        self.encoder_hidden_size
            .is_some_and(|size| size != self.hidden_size)
    }

    /// Sizes of a decoder layer.
    pub fn decoder_layer(&self) -> LayerConfig {
        LayerConfig {
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_attention_heads: self.num_attention_heads,
            num_key_value_heads: self.num_key_value_heads,
            head_dim: self.head_dim,
            rope_theta: self.rope_theta,
            rms_norm_eps: self.rms_norm_eps,
        }
    }

    /// Sizes of a layer of the condition encoder, pooler and detokenizer.
    pub fn encoder_layer(&self) -> LayerConfig {
        LayerConfig {
            hidden_size: self.encoder_width(),
            intermediate_size: self
                .encoder_intermediate_size
                .unwrap_or(self.intermediate_size),
            num_attention_heads: self
                .encoder_num_attention_heads
                .unwrap_or(self.num_attention_heads),
            num_key_value_heads: self
                .encoder_num_key_value_heads
                .unwrap_or(self.num_key_value_heads),
            ..self.decoder_layer()
        }
    }

    /// Masks of the first `layers` layers of any network of the folder: each counts its layers
    /// from zero.
    pub fn masks(&self, layers: usize) -> Vec<Mask> {
        (0..layers)
            .map(|i| {
                let kind = self
                    .layer_types
                    .as_ref()
                    .and_then(|types| types.get(i))
                    .copied();
                let alternating = if i % 2 == 0 {
                    LayerType::SlidingAttention
                } else {
                    LayerType::FullAttention
                };
                match (kind.unwrap_or(alternating), self.sliding_window) {
                    (LayerType::SlidingAttention, Some(window)) if self.use_sliding_window => {
                        Mask::Window(window)
                    }
                    _ => Mask::None,
                }
            })
            .collect()
    }

    /// Number of different audio codes.
    pub fn codebook_size(&self) -> u32 {
        self.fsq_input_levels.iter().product::<usize>() as u32
    }

    /// Heads whose cross-attention follows the lyrics, by their layers: those the config names, else
    /// those of the released checkpoint of its sizes. `None` where nobody knows any.
    pub fn lyric_heads(&self) -> Option<BTreeMap<usize, Vec<usize>>> {
        let sizes = (
            self.hidden_size,
            self.num_hidden_layers,
            self.num_attention_heads,
        );
        let heads: BTreeMap<usize, Vec<usize>> = match &self.lyric_alignment_layers_config {
            Some(named) => named.clone(),
            None => LYRIC_HEADS
                .iter()
                .find(|(known, _)| *known == sizes)?
                .1
                .iter()
                .map(|(layer, heads)| (*layer, heads.to_vec()))
                .collect(),
        };
        let some: BTreeMap<_, _> = heads
            .into_iter()
            .filter(|(_, heads)| !heads.is_empty())
            .collect();
        (!some.is_empty()).then_some(some)
    }

    /// Turbo or base, from the config alone; `None` when it does not say.
    pub fn family(&self) -> Option<Family> {
        let by_version = || Some(self.model_version.as_ref()?.contains("turbo"));
        let turbo = self.is_turbo.or_else(by_version)?;
        Some(if turbo { Family::Turbo } else { Family::Base })
    }

    /// What makes the config impossible, in words.
    ///
    /// # Errors
    /// A sentence that names the keys.
    pub fn validate(&self) -> Result<(), String> {
        self.decoder_layer().validate()?;
        self.encoder_layer()
            .validate()
            .map_err(|why| format!("encoder: {why}"))?;
        for (key, layers) in [
            ("num_hidden_layers", self.num_hidden_layers),
            (
                "num_lyric_encoder_hidden_layers",
                self.num_lyric_encoder_hidden_layers,
            ),
            (
                "num_timbre_encoder_hidden_layers",
                self.num_timbre_encoder_hidden_layers,
            ),
            (
                "num_attention_pooler_hidden_layers",
                self.num_attention_pooler_hidden_layers,
            ),
        ] {
            validate_layers(key, layers)?;
        }
        let positive = [
            ("num_hidden_layers", self.num_hidden_layers),
            ("patch_size", self.patch_size),
            ("audio_acoustic_hidden_dim", self.audio_acoustic_hidden_dim),
            ("timbre_fix_frame", self.timbre_fix_frame),
            ("pool_window_size", self.pool_window_size),
        ];
        if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(format!("{key} is 0"));
        }
        if Some(self.in_channels) != self.audio_acoustic_hidden_dim.checked_mul(3) {
            return Err(format!(
                "in_channels is {}, but source, mask and latents of {} channels each make {}",
                self.in_channels,
                self.audio_acoustic_hidden_dim,
                self.audio_acoustic_hidden_dim.saturating_mul(3)
            ));
        }
        if self.fsq_dim != self.encoder_width() {
            return Err(format!(
                "fsq_dim is {}, but the encoder is {} wide",
                self.fsq_dim,
                self.encoder_width()
            ));
        }
        if self.fsq_input_num_quantizers != 1 {
            return Err(format!(
                "fsq_input_num_quantizers is {}, only 1 is known",
                self.fsq_input_num_quantizers
            ));
        }
        if self.fsq_input_levels.is_empty() || self.fsq_input_levels.iter().any(|level| *level < 2)
        {
            return Err("fsq_input_levels must be numbers of at least 2".into());
        }
        let codes = self
            .fsq_input_levels
            .iter()
            .try_fold(1u32, |n, level| n.checked_mul(u32::try_from(*level).ok()?));
        if codes.is_none() {
            return Err("fsq_input_levels make more codes than can be counted".into());
        }
        if self.attention_bias {
            return Err("attention_bias is true, which no released checkpoint has".into());
        }
        validate_activation(self.hidden_act.as_deref())?;
        if self.use_sliding_window && matches!(self.sliding_window, None | Some(0)) {
            let is = self.sliding_window.map_or("missing", |_| "0");
            return Err(format!(
                "use_sliding_window is true but sliding_window is {is}"
            ));
        }
        for (layer, heads) in self.lyric_alignment_layers_config.iter().flatten() {
            let (layers, nq) = (self.num_hidden_layers, self.num_attention_heads);
            if *layer >= layers || heads.iter().any(|head| *head >= nq) {
                return Err(format!(
                    "lyric_alignment_layers_config names heads {heads:?} of layer {layer}, but there are {layers} layers of {nq} heads"
                ));
            }
        }
        if let Some(types) = &self.layer_types
            && types.len() < self.num_hidden_layers
        {
            return Err(format!(
                "layer_types has {} entries for {} layers",
                types.len(),
                self.num_hidden_layers
            ));
        }
        Ok(())
    }
}
