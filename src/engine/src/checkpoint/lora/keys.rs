//! Names of tensors in adapters: which module, and which part of its change.
//!
//! PEFT writes `lora_A` and `lora_B`, ComfyUI, kohya and old diffusers `lora_down` and `lora_up`,
//! LyCORIS and PEFT `lokr_w1`, `lokr_w2` and their factors. What stands before the part is the
//! module as the program that trained it called it.

/// A part of a module's change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// `[r, in]`
    A,
    /// `[out, r]`
    B,
    /// `[o1, i1]`
    W1,
    /// `[o1, r]`
    W1A,
    /// `[r, i1]`
    W1B,
    /// `[o2, i2]`
    W2,
    /// `[o2, r]`
    W2A,
    /// `[r, i2]`
    W2B,
    /// One number.
    Alpha,
}

impl Part {
    pub(super) const fn is_lokr(self) -> bool {
        !matches!(self, Self::A | Self::B | Self::Alpha)
    }

    /// Its name in messages.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::A => "lora_A",
            Self::B => "lora_B",
            Self::W1 => "lokr_w1",
            Self::W1A => "lokr_w1_a",
            Self::W1B => "lokr_w1_b",
            Self::W2 => "lokr_w2",
            Self::W2A => "lokr_w2_a",
            Self::W2B => "lokr_w2_b",
            Self::Alpha => "alpha",
        }
    }
}

/// What a key says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Key<'a> {
    /// Module and part.
    Of(&'a str, Part),
    /// Something that cannot be computed beside a layer, in words.
    Refused(&'static str),
    /// No key of an adapter.
    Stranger,
}

/// Longer ones first where one begins like another.
const PARTS: [(&str, Part); 13] = [
    (".lora_A", Part::A),
    (".lora_down", Part::A),
    (".lora.down", Part::A),
    (".lora_B", Part::B),
    (".lora_up", Part::B),
    (".lora.up", Part::B),
    (".lokr_w1_a", Part::W1A),
    (".lokr_w1_b", Part::W1B),
    (".lokr_w1", Part::W1),
    (".lokr_w2_a", Part::W2A),
    (".lokr_w2_b", Part::W2B),
    (".lokr_w2", Part::W2),
    (".alpha", Part::Alpha),
];

/// Parts of other methods, and the method.
const OTHERS: [(&str, &str); 10] = [
    (".lora_magnitude_vector", "DoRA"),
    (".dora_scale", "DoRA"),
    (".hada_w", "LoHa"),
    (".oft_", "OFT"),
    (".boft_", "BOFT"),
    (".ia3_", "IA3"),
    (".vera_", "VeRA"),
    (".lora_mid", "LoCon with a Tucker core"),
    (".lokr_t", "LoKr with a Tucker core"),
    (".lora_embedding_", "LoRA of embeddings"),
];

/// Ends of keys that hold a difference of whole weights or biases.
const DIFFERENCES: [&str; 2] = [".diff", ".diff_b"];

/// Reads a key.
pub(super) fn read(key: &str) -> Key<'_> {
    for (mark, method) in OTHERS {
        if key.contains(mark) {
            return Key::Refused(method);
        }
    }
    if DIFFERENCES.iter().any(|end| key.ends_with(end)) {
        return Key::Refused("a difference of whole weights");
    }
    for (mark, part) in PARTS {
        let Some((module, rest)) = key.split_once(mark) else {
            continue;
        };
        // `.weight`, or `.default.weight` with the name of the adapter in it.
        if !rest.is_empty() && !rest.starts_with('.') {
            continue;
        }
        if rest.rsplit('.').next() == Some("bias") {
            return Key::Refused("LoRA with biases");
        }
        return Key::Of(module, part);
    }
    Key::Stranger
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_names_its_module_and_part() {
        for (key, module, part) in [
            (
                "base_model.model.layers.0.self_attn.q_proj.lora_A.weight",
                "base_model.model.layers.0.self_attn.q_proj",
                Part::A,
            ),
            ("a.lora_B.default.weight", "a", Part::B),
            (
                "model.diffusion_model.a.lora_A.weight",
                "model.diffusion_model.a",
                Part::A,
            ),
            ("a.lora_A", "a", Part::A),
            ("lora_unet_a_b.lora_down.weight", "lora_unet_a_b", Part::A),
            ("a.lora_up.weight", "a", Part::B),
            ("a.lora.up.weight", "a", Part::B),
            ("a.alpha", "a", Part::Alpha),
            ("a.lokr_w1", "a", Part::W1),
            ("a.lokr_w1_a", "a", Part::W1A),
            ("a.lokr_w2_b.default", "a", Part::W2B),
        ] {
            assert_eq!(read(key), Key::Of(module, part), "{key}");
        }
    }

    #[test]
    fn other_methods_are_called_by_their_names() {
        for (key, method) in [
            ("a.lora_magnitude_vector", "DoRA"),
            ("a.dora_scale", "DoRA"),
            ("a.hada_w1_a", "LoHa"),
            ("a.lora_B.bias", "LoRA with biases"),
            ("a.diff_b", "a difference of whole weights"),
        ] {
            assert_eq!(read(key), Key::Refused(method), "{key}");
        }
        for key in ["a.weight", "a.lora_Ax.weight", "alpha"] {
            assert_eq!(read(key), Key::Stranger, "{key}");
        }
    }
}
