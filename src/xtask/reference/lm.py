"""Fixtures of the language model: a tiny Qwen3ForCausalLM in the released layout, and its logits.

    python lm.py FIXTURES

The weights are rounded to bf16 and stored so; the reference reads the rounded ones as float32,
as a CPU does. Prompts have unequal lengths, and each runs alone.
"""

import pathlib
import sys

import tiny
import torch

LM = {
    **tiny.QWEN3,
    "architectures": ["Qwen3ForCausalLM"],
    "vocab_size": 1203,
    "hidden_size": 48,
    "intermediate_size": 72,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 4096,
    "torch_dtype": "bfloat16",
}
LENGTHS = [1, 2, 17, 300]
CFG_SCALE = 2.0
CFG_STEPS = 20


def language_model(config, seed):
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = {k: v for k, v in config.items() if k not in ("model_type", "architectures", "torch_dtype")}
    theta = config.pop("rope_theta")
    config = Qwen3Config(**config, rope_parameters={"rope_type": "default", "rope_theta": float(theta)})
    config._attn_implementation = "eager"
    model = tiny.randomise(Qwen3ForCausalLM(config), seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(p.to(torch.bfloat16).float())
    return model


def guided(model, conditional, unconditional):
    """Greedy tokens of `uncond + scale * (cond - uncond)`, by whole forwards."""
    tokens = []
    for _ in range(CFG_STEPS):
        new = torch.tensor([tokens], dtype=torch.long)
        cond, uncond = (
            model(input_ids=torch.cat([prompt, new], dim=1)).logits[0, -1] for prompt in (conditional, unconditional)
        )
        tokens.append(int((uncond + CFG_SCALE * (cond - uncond)).argmax()))
    return torch.tensor(tokens, dtype=torch.int32)


def main():
    out = pathlib.Path(sys.argv[1]) / "lm"
    model = language_model(LM, 141)
    generator = torch.Generator().manual_seed(151)
    prompts = [torch.randint(0, LM["vocab_size"], (1, length), generator=generator) for length in LENGTHS]
    result = {}
    for i, prompt in enumerate(prompts):
        logits = model(input_ids=prompt).logits
        result[f"ids.{i}"] = prompt[0].to(torch.int32)
        result[f"logits.{i}"] = logits[:, -1]
    result["every"] = model(input_ids=prompts[2]).logits[0]
    result["guided"] = guided(model, prompts[2], prompts[1])

    folder = out / "acestep-5Hz-lm-tiny"
    weights = {k: v.to(torch.bfloat16) for k, v in model.state_dict().items() if k != "lm_head.weight"}
    tiny.write_json(folder / "config.json", LM)
    tiny.write_tensors(folder / "model.safetensors", weights)
    tiny.write_tensors(out / "reference.safetensors", result)


if __name__ == "__main__":
    with torch.no_grad():
        main()
