//! The linear layers of a DiT, and the names under which adapters mean them.

use std::collections::{BTreeMap, HashMap};

/// Diffusers' names of what the released files call otherwise.
const RENAMED: [(&str, &str); 5] = [
    ("q_proj", "to_q"),
    ("k_proj", "to_k"),
    ("v_proj", "to_v"),
    ("o_proj", "to_out.0"),
    ("o_proj", "to_out"),
];

/// What programs put before a module's name, dots written as underscores. They may follow each
/// other.
const PREFIXES: [&str; 11] = [
    "base_model_model_",
    "diffusion_model_",
    "transformer_",
    "lora_transformer_",
    "lora_unet_",
    "lycoris_",
    "decoder_",
    "model_",
    "module_",
    "unet_",
    "dit_",
];

/// The linear layers of one DiT.
#[derive(Debug, Clone)]
pub struct Layers {
    base: String,
    /// Path below `decoder` to `(out, in)`.
    dims: BTreeMap<String, (usize, usize)>,
    /// Every name with underscores for dots, since some programs write no dots, to the path.
    by_flat_name: HashMap<String, String>,
}

impl Layers {
    /// The layers `dims` (`[out, in]` by path below `decoder`) of the checkpoint `base`.
    pub(in crate::checkpoint) fn new(base: String, dims: BTreeMap<String, (usize, usize)>) -> Self {
        let mut by_flat_name = HashMap::new();
        for path in dims.keys() {
            by_flat_name.insert(flat(path), path.clone());
            for (ours, theirs) in RENAMED {
                if let Some(parent) = path.strip_suffix(ours) {
                    by_flat_name.insert(flat(&format!("{parent}{theirs}")), path.clone());
                }
            }
        }
        Self {
            base,
            dims,
            by_flat_name,
        }
    }

    /// Name of the checkpoint.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Path and `(out, in)` of the layer that an adapter calls `written`.
    pub(super) fn find(&self, written: &str) -> Option<(&str, (usize, usize))> {
        let name = flat(written);
        let mut rest = name.as_str();
        loop {
            if let Some(path) = self.by_flat_name.get(rest) {
                return Some((path, *self.dims.get(path)?));
            }
            rest = PREFIXES
                .iter()
                .find_map(|prefix| rest.strip_prefix(prefix))?;
        }
    }
}

fn flat(name: &str) -> String {
    name.replace('.', "_")
}

#[cfg(test)]
mod tests {
    use super::Layers;

    #[test]
    fn every_programs_name_finds_the_layer() {
        let dims = [
            "layers.0.self_attn.q_proj",
            "layers.0.cross_attn.o_proj",
            "layers.11.mlp.gate_proj",
            "time_embed.linear_1",
            "time_embed_r.linear_1",
        ];
        let dims = dims.map(|path| (path.to_owned(), (2, 3)));
        let layers = Layers::new("base".to_owned(), dims.into_iter().collect());
        for (written, path) in [
            ("layers.0.self_attn.q_proj", "layers.0.self_attn.q_proj"),
            (
                "base_model.model.layers.0.self_attn.q_proj",
                "layers.0.self_attn.q_proj",
            ),
            (
                "model.diffusion_model.decoder.layers.0.self_attn.q_proj",
                "layers.0.self_attn.q_proj",
            ),
            (
                "transformer.layers.0.self_attn.to_q",
                "layers.0.self_attn.q_proj",
            ),
            (
                "transformer.layers.0.cross_attn.to_out.0",
                "layers.0.cross_attn.o_proj",
            ),
            (
                "lora_unet_layers_0_cross_attn_to_out_0",
                "layers.0.cross_attn.o_proj",
            ),
            ("lycoris_layers_11_mlp_gate_proj", "layers.11.mlp.gate_proj"),
            ("decoder.time_embed_r.linear_1", "time_embed_r.linear_1"),
        ] {
            let found = layers.find(written).map(|(path, _)| path);
            assert_eq!(found, Some(path), "{written}");
        }
        for stranger in ["layers.1.self_attn.q_proj", "text_encoder.q_proj", ""] {
            assert_eq!(layers.find(stranger), None, "{stranger}");
        }
    }
}
