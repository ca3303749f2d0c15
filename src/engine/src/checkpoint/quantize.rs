//! Which block formats a model gets when quantised weights are asked for.

use acestep_domain::{note::Note, service::Quantization};

use super::layout::Module;
use crate::{
    kernels::quantized::Format,
    models::qwen3::{CausalLm, Config},
    nn::{Formats, weights::Misfits},
};

/// Parameters from which on a language model is one of the large ones (4B).
const LARGE: u64 = 3_000_000_000;

/// Formats of a language model. Norms are vectors and stay in f32 whatever is asked.
///
/// Four bits break the audio codes of the 4B (acestep.cpp withdrew its Q4_K_M), so it gets five;
/// smaller models were never published below eight, so four bits come with a warning. The table
/// serves as the head as well and gets six bits beside four or five, as in published files.
pub(super) fn language_model(
    name: &str,
    cfg: &Config,
    asked: Quantization,
) -> (Formats, Option<Note>) {
    match asked {
        Quantization::None => (Formats::default(), None),
        Quantization::Int8 => (
            Formats {
                layers: Some(Format::Q8_0),
                table: Some(Format::Q8_0),
            },
            None,
        ),
        Quantization::Int4 => {
            let large = CausalLm::parameters(cfg) >= LARGE;
            let layers = if large { Format::Q5K } else { Format::Q4K };
            let text = if large {
                format!("{name} keeps five bits (Q5_K): with four its audio codes break.")
            } else {
                format!(
                    "{name} was never published with four bits; int8 is safer for its audio codes."
                )
            };
            let formats = Formats {
                layers: Some(layers),
                table: Some(Format::Q6K),
            };
            (
                formats,
                Some(Note::new("lm_quantization", "quantization", text)),
            )
        }
    }
}

/// The formats of [`language_model`] alone.
pub(crate) fn language_model_formats(name: &str, cfg: &Config, asked: Quantization) -> Formats {
    language_model(name, cfg, asked).0
}

/// Formats of a module of the main model. The autoencoder is heard directly and stays as it is, and
/// so do the embeddings of the text encoder, which are read as lyrics too (acestep.cpp's findings).
pub(crate) fn main_model(module: Module, asked: Quantization) -> Formats {
    let (layers, table) = match asked {
        Quantization::None => return Formats::default(),
        Quantization::Int8 => (Format::Q8_0, Format::Q8_0),
        Quantization::Int4 => (Format::Q4K, Format::Q6K),
    };
    match module {
        Module::Dit => Formats {
            layers: Some(layers),
            table: Some(table),
        },
        Module::TextEncoder => Formats {
            layers: Some(layers),
            table: None,
        },
        Module::Vae => Formats::default(),
    }
}

/// Says which layers of `name` do not get what was asked for, since their rows do not fit.
pub(crate) fn misfits_note(name: &str, asked: Quantization, misfits: Misfits) -> Option<Note> {
    let Misfits {
        asked: all,
        eight_bits,
        unquantised,
    } = misfits;
    let mut faults = Vec::new();
    if eight_bits > 0 {
        faults.push(format!(
            "{eight_bits} of {all} layers have eight bits (Q8_0), since their rows are no multiple of 256 values"
        ));
    }
    if unquantised > 0 {
        faults.push(format!(
            "{unquantised} of {all} stay as they are, since their rows are no multiple of 32 values"
        ));
    }
    (!faults.is_empty()).then(|| {
        Note::new(
            "quantization_misfits",
            "quantization",
            format!(
                "Quantisation: {} does not fit all of {name}: {}.",
                asked.as_str(),
                faults.join("; ")
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use acestep_domain::service::Quantization;

    use super::{language_model, main_model};
    use crate::{
        checkpoint::Module,
        kernels::quantized::Format,
        models::qwen3::{Config, released},
        nn::weights::Role,
    };

    #[test]
    fn the_4b_never_goes_below_five_bits() {
        let small = released(2048, 6144, 28, 16);
        let large = released(2560, 9728, 36, 32);
        let of = |cfg: &Config, asked| {
            let (formats, note) = language_model("it", cfg, asked);
            (formats.layers, formats.table, note.is_some())
        };
        let q8 = Some(Format::Q8_0);
        assert_eq!(of(&large, Quantization::None), (None, None, false));
        assert_eq!(of(&large, Quantization::Int8), (q8, q8, false));
        let q6 = Some(Format::Q6K);
        assert_eq!(
            of(&small, Quantization::Int4),
            (Some(Format::Q4K), q6, true)
        );
        assert_eq!(
            of(&large, Quantization::Int4),
            (Some(Format::Q5K), q6, true)
        );
    }

    #[test]
    fn what_the_main_model_hangs_on_stays_as_it_is() {
        let dit = main_model(Module::Dit, Quantization::Int4);
        let of = |name: &str, width| dit.of(Role::of(name), width);
        for name in [
            "decoder.time_embed.time_proj.weight",
            "decoder.time_embed_r.linear_2.weight",
            "tokenizer.quantizer.project_in.weight",
            "detokenizer.proj_out.weight",
        ] {
            assert_eq!(of(name, 2048), None, "{name}");
        }
        let layer = "decoder.layers.3.self_attn.o_proj.weight";
        assert_eq!(of(layer, 2048), Some(Format::Q4K));
        let lyrics = "encoder.lyric_encoder.embed_tokens.weight";
        assert_eq!(of(lyrics, 1024), Some(Format::Q6K));
        let text = main_model(Module::TextEncoder, Quantization::Int8);
        assert_eq!(text.of(Role::of("embed_tokens.weight"), 1024), None);
        let layer = "layers.0.mlp.up_proj.weight";
        assert_eq!(text.of(Role::of(layer), 1024), Some(Format::Q8_0));
        let vae = main_model(Module::Vae, Quantization::Int8);
        assert_eq!(vae.of(Role::Layer, 1024), None);
        assert_eq!(main_model(Module::Dit, Quantization::None), vae);
    }

    #[test]
    fn rows_that_are_no_superblocks_get_eight_bits_or_stay() {
        let (formats, _) = language_model("it", &released(64, 160, 2, 4), Quantization::Int4);
        let of = |width| formats.of(Role::Layer, width);
        assert_eq!(of(512), Some(Format::Q4K));
        assert_eq!(of(160), Some(Format::Q8_0));
        assert_eq!((of(48), of(0)), (None, None));
    }
}
