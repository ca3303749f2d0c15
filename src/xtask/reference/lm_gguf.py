"""Fixture of a language model as one GGUF file, and its logits.

    python lm_gguf.py FIXTURES

Written and decoded by the `gguf` package, in the layout of acestep.cpp: one layer in each K
format, the table in Q8_0, the rest in F16, BF16 and F32, a tokenizer without added tokens. Blocks
of the K formats are random bytes with tame scales, since the package has no quantiser for them;
the network runs in transformers on what the package says they stand for.
"""

import json
import pathlib
import sys

import gguf
import numpy as np
import tiny
import torch
from gguf import GGMLQuantizationType as Type
from gguf import quants

MERGES = ["t h", "th e", "Ġ the", "b p", "bp m", "Ġ m", "Ċ Ċ"]
ADDED = 26
CODES = 20
LENGTHS = [1, 7, 90]
TEXT = "the bpm: 120\n\nthe   Ünïcode's <think> don't"


def letters():
    """The characters byte-level tokenizers spell bytes with, in the order of the bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    spelt = {byte: chr(byte) for byte in printable}
    for offset, byte in enumerate(byte for byte in range(256) if byte not in spelt):
        spelt[byte] = chr(256 + offset)
    return [spelt[byte] for byte in range(256)]


def vocabulary():
    return letters() + [merge.replace(" ", "") for merge in MERGES]


def config():
    return {
        **tiny.QWEN3,
        "architectures": ["Qwen3Model"],
        "vocab_size": 256 + len(MERGES) + ADDED + CODES,
        "hidden_size": 256,
        "intermediate_size": 256,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 32,
        "max_position_embeddings": 4096,
    }


def half(values):
    return np.asarray(values, dtype="<f2")[:, None].view(np.uint8)


def blocks(kind, rows, width, random):
    """Random blocks `[rows, bytes]` that stand for values of a trained layer's size."""
    values, size = gguf.GGML_QUANT_SIZES[kind]
    count = rows * width // values
    out = random.integers(0, 256, (count, size), dtype=np.uint8)
    spread = random.uniform(0.5, 1.5, count) * random.choice([-1, 1], count)
    if kind == Type.Q6_K:
        out[:, 208:210] = half(8e-5 * spread)
    else:
        scale = 5e-4 if kind == Type.Q4_K else 2.5e-4
        out[:, 0:2] = half(scale * spread)
        out[:, 2:4] = half(scale * spread * (7.5 if kind == Type.Q4_K else 15.5))
    return out.reshape(rows, -1)


def stored(name, tensor, random):
    """A tensor's bytes and kind, as the file gets them."""
    array = tensor.float().numpy()
    if array.ndim == 1:
        return array, Type.F32
    if "embed_tokens" in name or "o_proj" in name:
        return quants.quantize(array, Type.Q8_0), Type.Q8_0
    if "k_proj" in name:
        return quants.quantize(array, Type.BF16), Type.BF16
    if "q_proj" in name:
        return array.astype(np.float16), Type.F16
    kind = [Type.Q4_K, Type.Q5_K, Type.Q6_K][int(name.split(".")[2])]
    return blocks(kind, *array.shape, random), kind


def text_ids(text):
    from transformers import Qwen2TokenizerFast

    vocab = {token: i for i, token in enumerate(vocabulary())}
    tokenizer = Qwen2TokenizerFast(vocab=vocab, merges=[tuple(m.split(" ")) for m in MERGES])
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    backend["added_tokens"] = []
    from tokenizers import Tokenizer

    return Tokenizer.from_str(json.dumps(backend)).encode(text).ids


def main():
    from lm import language_model

    out = pathlib.Path(sys.argv[1]) / "lm_gguf"
    out.mkdir(parents=True, exist_ok=True)
    cfg = config()
    model = language_model(cfg, 171)
    random = np.random.default_rng(181)
    writer = gguf.GGUFWriter(out / "acestep-5Hz-lm-tiny-mixed.gguf", "acestep-lm")
    writer.add_block_count(cfg["num_hidden_layers"])
    writer.add_string("general.file_type", "mixed")
    writer.add_uint32("general.quantization_version", 2)
    writer.add_bool("acestep.tie_word_embeddings", True)
    writer.add_string("acestep.config_json", json.dumps(cfg, separators=(",", ":")))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(vocabulary())
    writer.add_token_merges(MERGES)
    decoded = {}
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight":
            continue
        data, kind = stored(name, tensor, random)
        shape = data.shape if data.dtype == np.uint8 else None
        writer.add_tensor(name, data, raw_shape=shape, raw_dtype=kind)
        values = quants.dequantize(data, kind) if data.dtype == np.uint8 else data.astype(np.float32)
        assert values.shape == tuple(tensor.shape), name
        decoded[name] = torch.from_numpy(values.astype(np.float32).copy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    decoded["lm_head.weight"] = decoded["model.embed_tokens.weight"]
    model.load_state_dict(decoded)
    generator = torch.Generator().manual_seed(191)
    result = {"text": torch.tensor(text_ids(TEXT), dtype=torch.int32)}
    for i, length in enumerate(LENGTHS):
        prompt = torch.randint(0, cfg["vocab_size"], (1, length), generator=generator)
        result[f"ids.{i}"] = prompt[0].to(torch.int32)
        result[f"logits.{i}"] = model(input_ids=prompt).logits[0, -1]
    tiny.write_tensors(out / "reference.safetensors", result)


if __name__ == "__main__":
    with torch.no_grad():
        main()
