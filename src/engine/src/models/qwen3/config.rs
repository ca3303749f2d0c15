//! `config.json` of a Qwen3, as text encoder or language model.

use serde::Deserialize;

use crate::models::encoder_layer::{LayerConfig, validate_activation, validate_layers};

/// Keys of `config.json` that the network uses.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Keys")]
pub struct Config {
    /// Rows of the embedding table.
    pub vocab_size: usize,
    /// Width.
    pub hidden_size: usize,
    /// Width inside the MLP.
    pub intermediate_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads.
    pub num_key_value_heads: usize,
    /// Width of a head; not `hidden_size / num_attention_heads`.
    pub head_dim: usize,
    /// Base of the rotary angles.
    pub rope_theta: f64,
    /// Epsilon of every norm.
    pub rms_norm_eps: f64,
    /// The head is the embedding table. `false` where the key is absent, as in the reference.
    pub tie_word_embeddings: bool,
    /// Positions it was made for, where the config says so.
    pub max_position_embeddings: Option<usize>,
}

/// The file: as transformers 4 writes it, with `rope_theta` at the top, or as transformers 5
/// does, with it in `rope_parameters`; and keys whose only supported value is what Qwen3 has.
#[derive(Deserialize)]
struct Keys {
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    head_dim: usize,
    rope_theta: Option<f64>,
    rope_parameters: Option<Rope>,
    rope_scaling: Option<Rope>,
    rms_norm_eps: f64,
    #[serde(default)]
    tie_word_embeddings: bool,
    max_position_embeddings: Option<usize>,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    use_sliding_window: bool,
    hidden_act: Option<String>,
}

#[derive(Deserialize)]
struct Rope {
    rope_theta: Option<f64>,
    #[serde(alias = "type")]
    rope_type: Option<String>,
}

impl TryFrom<Keys> for Config {
    type Error = String;

    fn try_from(keys: Keys) -> Result<Self, String> {
        if keys.attention_bias {
            return Err("attention_bias is true, but Qwen3 has no biases".into());
        }
        if keys.use_sliding_window {
            return Err("use_sliding_window is true, which is not supported".into());
        }
        validate_activation(keys.hidden_act.as_deref())?;
        let scaled = [&keys.rope_parameters, &keys.rope_scaling]
            .into_iter()
            .flatten()
            .filter_map(|rope| rope.rope_type.as_deref())
            .find(|kind| *kind != "default");
        if let Some(kind) = scaled {
            return Err(format!("rope_type is {kind}; only default is supported"));
        }
        let rope_theta = keys
            .rope_theta
            .or(keys.rope_parameters.and_then(|rope| rope.rope_theta))
            .ok_or("missing key `rope_theta`")?;
        Ok(Self {
            vocab_size: keys.vocab_size,
            hidden_size: keys.hidden_size,
            intermediate_size: keys.intermediate_size,
            num_hidden_layers: keys.num_hidden_layers,
            num_attention_heads: keys.num_attention_heads,
            num_key_value_heads: keys.num_key_value_heads,
            head_dim: keys.head_dim,
            rope_theta,
            rms_norm_eps: keys.rms_norm_eps,
            tie_word_embeddings: keys.tie_word_embeddings,
            max_position_embeddings: keys.max_position_embeddings,
        })
    }
}

impl Config {
    pub(super) fn layer(&self) -> LayerConfig {
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

    /// What makes the config impossible, in words.
    ///
    /// # Errors
    /// The sentence.
    pub fn validate(&self) -> Result<(), String> {
        self.layer().validate()?;
        validate_layers("num_hidden_layers", self.num_hidden_layers)
    }
}

/// A released language model of hidden size `h`, inner size `i` and `nq` query heads.
pub(crate) fn released(h: usize, i: usize, layers: usize, nq: usize) -> Config {
    Config {
        vocab_size: 217_204,
        hidden_size: h,
        intermediate_size: i,
        num_hidden_layers: layers,
        num_attention_heads: nq,
        num_key_value_heads: 8,
        head_dim: 128,
        rope_theta: 1e6,
        rms_norm_eps: 1e-6,
        tie_word_embeddings: true,
        max_position_embeddings: Some(40_960),
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    fn read(change: impl FnOnce(&mut serde_json::Value)) -> Result<Config, String> {
        let mut json = serde_json::json!({
            "vocab_size": 10, "hidden_size": 4, "intermediate_size": 8, "num_hidden_layers": 1,
            "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4,
            "rope_theta": 1_000_000, "rms_norm_eps": 1e-6,
        });
        change(&mut json);
        serde_json::from_value(json).map_err(|error| error.to_string())
    }

    #[test]
    fn both_places_of_the_rotary_base_are_read() {
        let old = read(|_| ()).unwrap();
        let new = read(|json| {
            json["rope_theta"].take();
            json["rope_parameters"] =
                serde_json::json!({"rope_type": "default", "rope_theta": 1_000_000.0});
        });
        assert_eq!(new, Ok(old));
        let none = read(|json| drop(json["rope_theta"].take())).unwrap_err();
        assert_eq!(none, "missing key `rope_theta`");
    }

    #[test]
    fn what_the_network_does_not_do_is_refused() {
        for (key, value) in [
            ("attention_bias", serde_json::json!(true)),
            ("use_sliding_window", serde_json::json!(true)),
            ("hidden_act", serde_json::json!("gelu")),
        ] {
            let error = read(|json| json[key] = value.clone()).unwrap_err();
            assert!(error.starts_with(key), "{error}");
        }
        let scaled =
            read(|json| json["rope_scaling"] = serde_json::json!({"type": "yarn", "factor": 4.0}));
        assert!(scaled.unwrap_err().contains("yarn"));
    }
}
