//! `adapter_config.json` of PEFT, and the same keys as diffusers writes them into a file's header.

use std::{fmt, marker::PhantomData};

use regex::Regex;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Map, Value};

/// Key of a safetensors header under which diffusers keeps the config.
const HEADER_KEY: &str = "lora_adapter_metadata";

/// Keys of the config that the maths uses, or that say it cannot be used.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PeftConfig {
    peft_type: Option<String>,
    r: Option<usize>,
    lora_alpha: Option<f64>,
    /// What LoKr calls it.
    alpha: Option<f64>,
    rank_pattern: Patterns<usize>,
    alpha_pattern: Patterns<f64>,
    use_rslora: bool,
    init_lora_weights: Value,
    base_model_name_or_path: Option<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// Switches that change what the matrices mean, and what they are called.
const REFUSED: [(&str, &str); 8] = [
    ("use_dora", "DoRA"),
    ("fan_in_fan_out", "transposed weights (fan_in_fan_out)"),
    ("lora_bias", "LoRA with biases (lora_bias)"),
    ("use_qalora", "QALoRA"),
    ("use_bdlora", "block-diagonal LoRA"),
    ("alora_invocation_tokens", "activated LoRA"),
    ("layer_replication", "repeated layers (layer_replication)"),
    ("kasa_config", "KaSA"),
];

/// Module patterns and their values in the order of the file: the first that matches counts.
#[derive(Debug)]
struct Patterns<T>(Vec<(String, T)>);

impl<T> Default for Patterns<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patterns<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ordered<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Ordered<T> {
            type Value = Patterns<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of module patterns")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Patterns::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut patterns = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    patterns.push(entry);
                }
                Ok(Patterns(patterns))
            }
        }
        deserializer.deserialize_any(Ordered(PhantomData))
    }
}

impl<T: Copy> Patterns<T> {
    /// The value for `module`: a pattern is a regular expression for the end of its path, as in
    /// `get_pattern_key` of PEFT.
    fn of(&self, module: &str) -> Result<Option<T>, String> {
        for (pattern, value) in &self.0 {
            let whole = Regex::new(&format!("^(?:.*\\.)?(?:{pattern})$")).map_err(|_| {
                format!("the pattern {pattern:?} in adapter_config.json cannot be read")
            })?;
            if whole.is_match(module) {
                return Ok(Some(*value));
            }
        }
        Ok(None)
    }
}

impl PeftConfig {
    /// Reads `adapter_config.json`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn from_json(bytes: &[u8]) -> Result<Self, String> {
        let config: Self = serde_json::from_slice(bytes)
            .map_err(|error| format!("adapter_config.json cannot be read ({error})"))?;
        config.validate()?;
        Ok(config)
    }

    /// Reads what diffusers keeps in the header of a single file, if it is there.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn from_header(text: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let Some(text) = text(HEADER_KEY) else {
            return Ok(Self::default());
        };
        let read = || -> serde_json::Result<Self> {
            let written: Map<String, Value> = serde_json::from_str(&text)?;
            let ours = written
                .into_iter()
                .map(|(key, value)| match key.strip_prefix("transformer.") {
                    Some(key) => (key.to_owned(), value),
                    None => (key, value),
                })
                .collect();
            serde_json::from_value(Value::Object(ours))
        };
        let config = read()
            .map_err(|error| format!("{HEADER_KEY} in its header cannot be read ({error})"))?;
        config.validate()?;
        Ok(config)
    }

    fn validate(&self) -> Result<(), String> {
        let refused = |what: &str| Err(format!("it uses {what}, which is not supported"));
        match self.peft_type.as_deref() {
            None | Some("LORA" | "LOKR") => {}
            Some(other) => return refused(&format!("the method {other}")),
        }
        let is_on = |key: &str| {
            !matches!(
                self.others.get(key),
                None | Some(Value::Null | Value::Bool(false))
            )
        };
        if let Some((_, what)) = REFUSED.iter().find(|(key, _)| is_on(key)) {
            return refused(what);
        }
        // These take a part out of the base weights, which the file does not say.
        if let Some(method) = self.init_lora_weights.as_str()
            && ["pissa", "olora", "corda", "loftq"]
                .iter()
                .any(|known| method.to_ascii_lowercase().starts_with(known))
        {
            return refused(&format!("base weights changed by {method}"));
        }
        Ok(())
    }

    /// What it was made for, as far as it says.
    pub(super) fn base(&self) -> Option<&str> {
        self.base_model_name_or_path
            .as_deref()
            .map(str::trim)
            .filter(|name| !name.is_empty())
    }

    /// The factor of a LoRA of rank `r` at `module`: `alpha / r`, or `alpha / sqrt(r)` where the
    /// rank is meant to be stable. `own` is the alpha of the module in the file; without any it
    /// is `r`.
    pub(super) fn low_rank_scale(
        &self,
        module: &str,
        r: usize,
        own: Option<f64>,
    ) -> Result<f64, String> {
        let r = r as f64;
        let alpha = match own {
            Some(alpha) => Some(alpha),
            None => self.alpha_pattern.of(module)?.or(self.lora_alpha),
        };
        let divisor = if self.use_rslora { r.sqrt() } else { r };
        Ok(alpha.map_or(1.0, |alpha| alpha / divisor))
    }

    /// The factor of PEFT's LoKr, `alpha / r` whatever its factors are; `None` when the config
    /// is not of one.
    pub(super) fn kronecker_scale(&self, module: &str) -> Result<Option<f64>, String> {
        if self.peft_type.as_deref() != Some("LOKR") {
            return Ok(None);
        }
        let r = self.rank_pattern.of(module)?.or(self.r);
        let alpha = self.alpha_pattern.of(module)?.or(self.alpha);
        match (r, alpha) {
            (Some(r), Some(alpha)) if r > 0 => Ok(Some(alpha / r as f64)),
            _ => Err("adapter_config.json lacks r or alpha".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(value: &Value) -> Result<PeftConfig, String> {
        PeftConfig::from_json(value.to_string().as_bytes())
    }

    #[test]
    fn patterns_stand_above_the_general_alpha_and_the_first_counts() {
        let text = r#"{"r": 4, "lora_alpha": 8, "alpha_pattern":
            {"self_attn.q_proj": 2, "layers\\.\\d+\\.cross_attn\\..*": 6, "q_proj": 1}}"#;
        let config = PeftConfig::from_json(text.as_bytes()).unwrap();
        let scale = |module| config.low_rank_scale(module, 4, None).unwrap();
        assert_eq!(scale("layers.0.self_attn.q_proj"), 0.5);
        assert_eq!(scale("layers.3.cross_attn.q_proj"), 1.5);
        assert_eq!(scale("other.q_proj"), 0.25);
        assert_eq!(scale("layers.0.self_attn.xq_proj"), 2.0);
        assert_eq!(config.low_rank_scale("q_proj", 4, Some(4.0)), Ok(1.0));
    }

    #[test]
    fn stable_rank_divides_by_the_root_and_no_alpha_is_one() {
        let stable = config(&json!({ "lora_alpha": 8, "use_rslora": true })).unwrap();
        assert_eq!(stable.low_rank_scale("x", 4, None), Ok(4.0));
        assert_eq!(PeftConfig::default().low_rank_scale("x", 4, None), Ok(1.0));
    }

    #[test]
    fn what_cannot_be_computed_beside_a_layer_is_refused_by_name() {
        for (value, told) in [
            (json!({ "use_dora": true }), "DoRA"),
            (json!({ "peft_type": "LOHA" }), "LOHA"),
            (json!({ "init_lora_weights": "pissa_niter_16" }), "pissa"),
            (json!({ "fan_in_fan_out": true }), "fan_in_fan_out"),
            (json!([1]), "cannot be read"),
            (json!({ "r": "many" }), "cannot be read"),
        ] {
            let error = config(&value).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
        let usual = json!({ "init_lora_weights": true, "alpha_pattern": null, "use_dora": false });
        assert!(config(&usual).is_ok());
        let wrong = config(&json!({ "lora_alpha": 1, "alpha_pattern": { "(": 2 } })).unwrap();
        assert!(wrong.low_rank_scale("x", 4, None).is_err());
    }

    #[test]
    fn the_header_of_diffusers_says_the_same() {
        let text = |key: &str| {
            (key == HEADER_KEY).then(|| json!({ "transformer.lora_alpha": 8 }).to_string())
        };
        let config = PeftConfig::from_header(text).unwrap();
        assert_eq!(config.low_rank_scale("x", 4, None), Ok(2.0));
        assert!(PeftConfig::from_header(|_| Some("{".to_owned())).is_err());
    }
}
