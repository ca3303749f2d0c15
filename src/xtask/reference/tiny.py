"""Tiny random ACE-Step networks of diffusers and transformers, and their released tensor names.

Used by the scripts beside it; run alone it does nothing. Sizes are chosen so that heads x dim,
hidden size and encoder width all differ, and no released constant (64 channels, 48 kHz) holds.
"""

import json
import pathlib

import torch
from safetensors.torch import save_file

CHANNELS = 8

# What `config.json` of a DiT folder says. XL-like: the condition encoder has sizes of its own.
DIT = {
    "model_type": "acestep",
    "architectures": ["AceStepConditionGenerationModel"],
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "encoder_hidden_size": 40,
    "encoder_intermediate_size": 56,
    "encoder_num_attention_heads": 4,
    "encoder_num_key_value_heads": 2,
    "in_channels": 3 * CHANNELS,
    "audio_acoustic_hidden_dim": CHANNELS,
    "patch_size": 2,
    "text_hidden_dim": 32,
    "timbre_hidden_dim": CHANNELS,
    "timbre_fix_frame": 750,
    "num_lyric_encoder_hidden_layers": 2,
    "num_timbre_encoder_hidden_layers": 2,
    "num_attention_pooler_hidden_layers": 2,
    "num_audio_decoder_hidden_layers": 24,
    "pool_window_size": 5,
    "fsq_dim": 40,
    "fsq_input_levels": [8, 8, 8, 5, 5, 5],
    "fsq_input_num_quantizers": 1,
    "use_sliding_window": True,
    "sliding_window": 8,
    "layer_types": ["sliding_attention", "full_attention"] * 2,
    "rope_theta": 1000000,
    "rms_norm_eps": 1e-6,
    "attention_bias": False,
    "attention_dropout": 0.0,
    "hidden_act": "silu",
    "max_position_embeddings": 32768,
    "vocab_size": 64003,
    "is_turbo": True,
    "dtype": "float32",
}

QWEN3 = {
    "model_type": "qwen3",
    "architectures": ["Qwen3Model"],
    "vocab_size": 923,
    "hidden_size": 32,
    "intermediate_size": 72,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "rope_theta": 1000000,
    "rms_norm_eps": 1e-6,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": True,
    "attention_bias": False,
    "hidden_act": "silu",
    "use_sliding_window": False,
    "sliding_window": None,
    "torch_dtype": "float32",
    "bos_token_id": 920,
    "eos_token_id": 922,
}

VAE = {
    "_class_name": "AutoencoderOobleck",
    "encoder_hidden_size": 2 * CHANNELS,
    "downsampling_ratios": [2, 4, 2],
    "channel_multiples": [1, 2, 3],
    "decoder_channels": 6,
    "decoder_input_channels": CHANNELS,
    "audio_channels": 2,
    "sampling_rate": 400,
}


def randomise(model, seed, gain=1.5):
    """Weights that let no mistake hide: scaled up from torch's defaults, norms away from one,
    biases and log-scales away from zero."""
    generator = torch.Generator().manual_seed(seed)
    noise = lambda p: torch.randn(p.shape, generator=generator)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith(("alpha", "beta")):
                p.copy_(0.3 * noise(p))
            elif name.endswith("weight_g"):
                p.copy_(p * (1 + 0.2 * noise(p)))
            elif name.endswith("weight_v"):
                p.copy_(noise(p))
            elif name.endswith("scale_shift_table"):
                p.copy_(0.3 * noise(p))
            elif "embed_tokens.weight" in name and p.shape[0] > 500:
                p.copy_(noise(p))
            elif p.dim() == 1 and name.endswith("weight"):
                p.copy_(1 + 0.1 * noise(p))
            elif p.dim() == 1:
                p.copy_(0.1 * noise(p))
            elif p.dim() == 3 and name.split(".")[-1] in ("special_token", "special_tokens", "null_condition_emb"):
                p.copy_(noise(p))
            else:
                # fan-in of a linear [out, in] or convolution [out, in, k]
                fan_in = p[0].numel()
                p.copy_(gain * noise(p) / fan_in**0.5)
    return model.eval()


def dit_kwargs(config, keys):
    """The keys of `config` that a diffusers class takes, under its names."""
    return {key: config[key] for key in keys if key in config}


DECODER_KEYS = (
    "hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads head_dim "
    "in_channels audio_acoustic_hidden_dim patch_size rope_theta attention_bias attention_dropout "
    "rms_norm_eps sliding_window layer_types encoder_hidden_size is_turbo"
).split()


def encoder_kwargs(config):
    """Sizes of the condition encoder and the tokenizers: `encoder_*` where given, else the DiT's."""
    sizes = {
        key: config.get(f"encoder_{key}", config[key])
        for key in ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads")
    }
    rest = "head_dim rope_theta attention_bias attention_dropout rms_norm_eps sliding_window".split()
    return {**sizes, **dit_kwargs(config, rest)}


def build_dit_family(config, seed):
    """decoder, condition encoder, tokenizer, detokenizer with random weights."""
    from diffusers import AceStepTransformer1DModel
    from diffusers.pipelines.ace_step.modeling_ace_step import (
        AceStepAudioTokenDetokenizer,
        AceStepAudioTokenizer,
        AceStepConditionEncoder,
    )

    encoder = encoder_kwargs(config)
    decoder = AceStepTransformer1DModel(**dit_kwargs(config, DECODER_KEYS))
    condition = AceStepConditionEncoder(
        **encoder,
        **dit_kwargs(
            config,
            [
                "text_hidden_dim",
                "timbre_hidden_dim",
                "num_lyric_encoder_hidden_layers",
                "num_timbre_encoder_hidden_layers",
            ],
        ),
    )
    pooler = ["audio_acoustic_hidden_dim", "pool_window_size", "num_attention_pooler_hidden_layers"]
    tokenizer = AceStepAudioTokenizer(
        **encoder, **dit_kwargs(config, pooler + ["fsq_dim", "fsq_input_levels", "fsq_input_num_quantizers"])
    )
    detokenizer = AceStepAudioTokenDetokenizer(**encoder, **dit_kwargs(config, pooler))
    models = [randomise(model, seed + i) for i, model in enumerate([decoder, condition, tokenizer, detokenizer])]
    if encoder["hidden_size"] != config["hidden_size"]:
        put_special_token_first(condition.timbre_encoder)
    return models


def put_special_token_first(timbre_encoder):
    """What the official XL models do and diffusers does not: the special token stands before the
    embedded frames, and the output is read there."""

    def prepend(_module, _inputs, output):
        return torch.cat([timbre_encoder.special_token.expand(output.shape[0], -1, -1), output], dim=1)

    timbre_encoder.embed_tokens.register_forward_hook(prepend)


RENAMES = [
    ("proj_in_conv.", "proj_in.1."),
    ("proj_out_conv.", "proj_out.1."),
    (".to_q.", ".q_proj."),
    (".to_k.", ".k_proj."),
    (".to_v.", ".v_proj."),
    (".to_out.0.", ".o_proj."),
    (".norm_q.", ".q_norm."),
    (".norm_k.", ".k_norm."),
]


def released_names(decoder, condition, tokenizer, detokenizer):
    """State dict of the four networks under the names of the released `model.safetensors`."""
    tensors = {}
    for prefix, model in (
        ("decoder.", decoder),
        ("encoder.", condition),
        ("tokenizer.", tokenizer),
        ("detokenizer.", detokenizer),
    ):
        for name, value in model.state_dict().items():
            if name == "silence_latent":
                continue
            for old, new in RENAMES:
                name = name.replace(old, new)
            name = name if name == "null_condition_emb" else prefix + name
            tensors[name] = value.detach().clone().contiguous()
    return tensors


def text_encoder(config, seed):
    from transformers import Qwen3Config, Qwen3Model

    config = {k: v for k, v in config.items() if k not in ("model_type", "architectures", "torch_dtype")}
    theta = config.pop("rope_theta")
    config = Qwen3Config(**config, rope_parameters={"rope_type": "default", "rope_theta": float(theta)})
    config._attn_implementation = "eager"
    return randomise(Qwen3Model(config), seed)


def write_json(path, value):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def write_tensors(path, tensors):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.detach().contiguous() for k, v in tensors.items()}, str(path), metadata={"format": "pt"})
