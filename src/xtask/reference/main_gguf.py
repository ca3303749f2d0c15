"""Fixture of a main model as GGUF files, and the song that diffusers makes of it.

    python main_gguf.py FIXTURES

Written by the `gguf` package in the layout of acestep.cpp and by the rules of its Q8_0: one file
each for the DiT with its silence, the text encoder with a tokenizer without added tokens, and the
autoencoder. Matrices are in Q8_0 where a row is whole blocks, the autoencoder and the text
encoder's table in BF16, vectors in F32; dimensions of 1 in front are dropped, as ggml drops them.
The networks run in diffusers and transformers on what the package says the files hold.
"""

import json
import pathlib
import shutil
import sys

import gguf
import lm_gguf
import numpy as np
import pipeline
import tiny
import torch
from gguf import GGMLQuantizationType as Type
from gguf import quants

NAME = "acestep-v15-small"
ADDED = (
    "<|endoftext|> <|im_start|> <|im_end|> <|object_ref_start|> <|object_ref_end|> <|box_start|> <|box_end|> "
    "<|quad_start|> <|quad_end|> <|vision_start|> <|vision_end|> <|vision_pad|> <|image_pad|> <|video_pad|> "
    "<tool_call> </tool_call> <|fim_prefix|> <|fim_middle|> <|fim_suffix|> <|fim_pad|> <|repo_name|> <|file_sep|> "
    "<tool_response> </tool_response> <think> </think>"
).split()

# Rows are whole blocks of 32 nearly everywhere.
DIT = {
    **tiny.DIT,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "layer_types": ["sliding_attention", "full_attention"],
    "head_dim": 16,
    "encoder_hidden_size": 64,
    "encoder_intermediate_size": 32,
    "encoder_num_attention_heads": 2,
    "encoder_num_key_value_heads": 1,
    "num_lyric_encoder_hidden_layers": 1,
    "num_timbre_encoder_hidden_layers": 1,
    "num_attention_pooler_hidden_layers": 1,
    "fsq_dim": 64,
}
QWEN3 = {**tiny.QWEN3, "intermediate_size": 64, "vocab_size": 256 + len(lm_gguf.MERGES) + len(ADDED)}
VAE = {**tiny.VAE, "downsampling_ratios": [2, 4], "channel_multiples": [1, 2], "sampling_rate": 200}
CASE = {**pipeline.CASES[0], "name": "gguf", "items": pipeline.ITEMS[:1]}


def truncated(array):
    """F32 to BF16 as acestep.cpp converts: the low half is cut off."""
    return (array.astype("<f4").view("<u4") >> 16).astype("<u2").view(np.uint8).reshape(*array.shape[:-1], -1)


def stored(name, array, quantise):
    """Bytes, kind and shape as the file gets them."""
    shape = list(array.shape)
    if quantise and name != "silence_latent":
        while len(shape) > 1 and shape[0] == 1:
            shape = shape[1:]
        array = array.reshape(shape)
    if name == "silence_latent" or (quantise and len(shape) == 1):
        return array, Type.F32
    exact = not quantise or "scale_shift_table" in name or name == "embed_tokens.weight" or len(shape) > 2
    if exact or shape[-1] % 32:
        return truncated(array), Type.BF16
    return quants.quantize(array, Type.Q8_0), Type.Q8_0


def write(path, kind, config, tensors, quantise, vocabulary=None):
    """The file, and what its tensors stand for in the shapes of `tensors`."""
    writer = gguf.GGUFWriter(path, kind)
    writer.add_name(path.stem)
    if "num_hidden_layers" in config:
        writer.add_block_count(config["num_hidden_layers"])
        writer.add_embedding_length(config["hidden_size"])
    if kind == "acestep-dit":
        writer.add_bool("acestep.is_turbo", True)
        writer.add_array("acestep.fsq_input_levels", config["fsq_input_levels"])
    writer.add_string("acestep.config_json", json.dumps(config, separators=(",", ":")))
    if quantise:
        writer.add_string("general.file_type", "Q8_0")
        writer.add_uint32("general.quantization_version", 2)
    if vocabulary:
        writer.add_tokenizer_model("gpt2")
        writer.add_token_list(vocabulary)
        writer.add_token_merges(lm_gguf.MERGES)
    decoded = {}
    for name, tensor in tensors.items():
        data, kind = stored(name, tensor.float().numpy(), quantise)
        raw = data.dtype == np.uint8
        writer.add_tensor(name, data, raw_shape=data.shape if raw else None, raw_dtype=kind)
        values = quants.dequantize(data, kind) if raw else data
        decoded[name] = torch.from_numpy(values.astype(np.float32).reshape(tuple(tensor.shape)).copy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return decoded


def tokenizer():
    """The tokenizer that the lists imply, with the end token that the release's appends."""
    from tokenizers import AddedToken, Tokenizer, processors
    from transformers import PreTrainedTokenizerFast, Qwen2TokenizerFast

    vocab = {token: i for i, token in enumerate(lm_gguf.vocabulary())}
    merges = [tuple(merge.split(" ")) for merge in lm_gguf.MERGES]
    backend = json.loads(Qwen2TokenizerFast(vocab=vocab, merges=merges).backend_tokenizer.to_str())
    backend["added_tokens"] = []
    made = Tokenizer.from_str(json.dumps(backend))
    made.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in ADDED])
    end = made.token_to_id(ADDED[0])
    assert end == len(vocab)
    made.post_processor = processors.TemplateProcessing(single=f"$A {ADDED[0]}", special_tokens=[(ADDED[0], end)])
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token=ADDED[0], padding_side="right")


def main():
    out = pathlib.Path(sys.argv[1]) / "main_gguf"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    networks = pipeline.build(DIT, 201)
    condition = networks[1]
    tensors = tiny.released_names(*networks)
    tensors["silence_latent"] = condition.silence_latent[0, : DIT["timbre_fix_frame"]].contiguous()
    decoded = write(out / f"{NAME}-Q8_0.gguf", "acestep-dit", DIT, tensors, True)
    condition.silence_latent = decoded.pop("silence_latent")[None]
    pipeline.load_released(networks, decoded)

    text = tiny.text_encoder(QWEN3, 211)
    path = out / "Qwen3-Embedding-0.6B-Q8_0.gguf"
    text.load_state_dict(write(path, "acestep-text-enc", QWEN3, text.state_dict(), True, lm_gguf.vocabulary()))
    vae = pipeline.make_vae(VAE, 221)
    vae.load_state_dict(write(out / "vae-BF16.gguf", "acestep-vae", VAE, vae.state_dict(), False))

    pipe = pipeline.pipeline(networks[0], condition, vae, text, tokenizer(), networks[2:])
    tiny.write_tensors(out / "reference.safetensors", pipeline.run_case(pipe, CASE, 231))
    tiny.write_json(out / "case.json", CASE)


if __name__ == "__main__":
    with torch.no_grad():
        main()
