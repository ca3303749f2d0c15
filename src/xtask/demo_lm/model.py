"""The tokenizer and the network, and the folder they are written to."""

import json
import pathlib
import random

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from safetensors.torch import load_file, save_file
from transformers import Qwen3Config, Qwen3ForCausalLM

import examples
from prompts import (
    ENDOFTEXT,
    IM_END,
    IM_START,
    INSTRUMENTAL,
    SPECIALS,
    answer_pieces,
    prompt_pieces,
    user_turn,
)

# Qwen's split: one token per digit, a space before letters belongs to the word.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
VOCABULARY = 1536  # with the control tokens

# What `config.json` says. Widths of heads and model are equal here; released models differ.
CONFIG = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "attention_bias": False,
    "attention_dropout": 0.0,
    "head_dim": 32,
    "hidden_act": "silu",
    "hidden_size": 128,
    "initializer_range": 0.02,
    "intermediate_size": 384,
    "max_position_embeddings": 4096,
    "max_window_layers": 5,
    "num_attention_heads": 4,
    "num_hidden_layers": 5,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
    "rope_scaling": None,
    "rope_theta": 100000.0,
    "sliding_window": None,
    "tie_word_embeddings": True,
    "use_cache": True,
    "use_sliding_window": False,
}


def train_tokenizer(seed: int) -> Tokenizer:
    """Byte-level BPE over drawn requests and answers; the control tokens come last."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    rng = random.Random(seed)

    def texts():
        for _ in range(20000):
            example = examples.draw(rng)
            user = user_turn(example.job, example.text, example.lyrics, example.instrumental)
            fields = sorted(example.values)
            pieces = prompt_pieces(example.job, user)
            pieces += [text for text, _ in answer_pieces(example.values, fields, INSTRUMENTAL)]
            yield "".join(piece for piece in pieces if piece not in SPECIALS)

    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts(), trainer)
    # As in Qwen3: the think marks are control tokens of their own, but not "special" to a decoder.
    tokenizer.add_special_tokens([ENDOFTEXT, IM_START, IM_END])
    tokenizer.add_tokens(SPECIALS[3:])
    assert tokenizer.get_vocab_size() == VOCABULARY
    return tokenizer


def ids(tokenizer: Tokenizer) -> dict[str, int]:
    """The control tokens' ids."""
    return {token: tokenizer.token_to_id(token) for token in SPECIALS}


def encode_prompt(tokenizer: Tokenizer, job: str, user: str) -> list[int]:
    """A prompt, control tokens spliced in between encoded spans."""
    control = ids(tokenizer)
    out: list[int] = []
    for piece in prompt_pieces(job, user):
        if piece in control:
            out.append(control[piece])
        else:
            out += tokenizer.encode(piece, add_special_tokens=False).ids
    return out


def build(tokenizer: Tokenizer) -> Qwen3ForCausalLM:
    """A fresh network for `tokenizer`."""
    return Qwen3ForCausalLM(Qwen3Config(**full_config(tokenizer)))


def full_config(tokenizer: Tokenizer) -> dict:
    control = ids(tokenizer)
    return {
        **CONFIG,
        "bos_token_id": control[ENDOFTEXT],
        "eos_token_id": control[IM_END],
        "pad_token_id": control[ENDOFTEXT],
        "vocab_size": tokenizer.get_vocab_size(),
    }


def save(folder: pathlib.Path, tokenizer: Tokenizer, network: Qwen3ForCausalLM) -> None:
    """Writes the released layout, weights in bf16; the tied head is not stored."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: value.detach().to(torch.bfloat16).contiguous()
        for name, value in network.state_dict().items()
        if name != "lm_head.weight"
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = {**full_config(tokenizer), "torch_dtype": "bfloat16"}
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    tokenizer.save(str(folder / "tokenizer.json"))
    about = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": False,
        "bos_token": None,
        "eos_token": IM_END,
        "pad_token": ENDOFTEXT,
        "unk_token": None,
        "clean_up_tokenization_spaces": False,
        "model_max_length": CONFIG["max_position_embeddings"],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(about, indent=2) + "\n")


def load(folder: pathlib.Path) -> tuple[Tokenizer, Qwen3ForCausalLM]:
    """The saved model, its bf16 weights widened to f32."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    network = build(tokenizer)
    weights = load_file(folder / "model.safetensors")
    missing, unexpected = network.load_state_dict(
        {name: value.float() for name, value in weights.items()}, strict=False
    )
    assert missing in ([], ["lm_head.weight"]) and not unexpected, (missing, unexpected)
    return tokenizer, network.eval()
