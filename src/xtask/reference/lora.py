"""Adapters as the libraries that train them write them, and what the decoder makes with them.

    python lora.py FIXTURES

Writes FIXTURES/lora: one adapter a layout, all small, for the decoder of FIXTURES/pipeline/checkpoint,
and FIXTURES/lora.safetensors with one input and the reference's velocity under each. PEFT's and LyCORIS' own
modules give the change of each weight; the reference runs on weights that have it merged in. Layers
are chosen so that every kind of layer, every rank and both factors of LoKr in every form occur.
"""

import copy
import json
import pathlib
import shutil
import sys

import pipeline
import tiny
import torch
from lycoris.modules.lokr import LokrModule
from nets import randn
from peft import LoKrConfig, LoraConfig, get_peft_model
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file, save_file

# Endings of the decoder's linear layers in diffusers.
ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]
MLP = ["gate_proj", "up_proj", "down_proj"]


def randomise(parameters, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in parameters:
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))


def released(name):
    """A module's name in the released files."""
    for new, old in tiny.RENAMES:
        name = f"{name}.".replace(new, old)[:-1]
    return name


def peft_model(decoder, config, seed):
    model = get_peft_model(copy.deepcopy(decoder), config)
    randomise([p for name, p in model.named_parameters() if ".lora_" in name or ".lokr_" in name], seed)
    return model.eval()


def peft_deltas(model):
    return {
        name.removeprefix("base_model.model."): module.get_delta_weight("default").detach()
        for name, module in model.named_modules()
        if hasattr(module, "get_delta_weight")
    }


def save_peft(model, folder):
    """As the official trainer does, which knows the layers by the names of the released files."""
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    weights = folder / "adapter_model.safetensors"
    renamed = {released_key(key): value for key, value in load_file(weights).items()}
    save_file(renamed, weights, metadata={"format": "pt"})
    config = folder / "adapter_config.json"
    text = config.read_text()
    for new, old in (("to_q", "q_proj"), ("to_k", "k_proj"), ("to_v", "v_proj"), ("to_out.0", "o_proj")):
        text = text.replace(new, old)
    # PEFT writes a set, in another order each time.
    written = json.loads(text)
    tiny.write_json(config, {**written, "target_modules": sorted(written["target_modules"])})


def released_key(key):
    for new, old in tiny.RENAMES:
        key = key.replace(new, old)
    return key


def low_rank(decoder, names, seed):
    """Plain LoRA of rank 3 and alpha 6 for the files that no library writes for us."""
    modules = dict(decoder.named_modules())
    result = {}
    for i, name in enumerate(names):
        out, width = modules[name].weight.shape
        a, b = 0.3 * randn(3, width, seed=seed + 2 * i), 0.3 * randn(out, 3, seed=seed + 2 * i + 1)
        result[name] = (a, b)
    return result


def lokr(decoder, seed):
    """LyCORIS: w2 factored, both whole, both factored; alpha differs from the rank. The change is
    taken from the module's own forward."""
    forms = {
        "self_attn.to_q": {"lora_dim": 2, "alpha": 3.0, "factor": 4},
        "self_attn.to_out.0": {"lora_dim": 2, "alpha": 3.0, "factor": 4, "full_matrix": True},
        "cross_attn.to_k": {"lora_dim": 1, "alpha": 0.5, "factor": 4, "decompose_both": True},
        "mlp.down_proj": {"lora_dim": 3, "alpha": 3.0, "factor": 8},
    }
    tensors, deltas = {}, {}
    decoder = copy.deepcopy(decoder)
    modules = dict(decoder.named_modules())
    for layer in range(tiny.DIT["num_hidden_layers"]):
        for i, (end, form) in enumerate(forms.items()):
            name = f"layers.{layer}.{end}"
            linear = modules[name]
            label = "lycoris_" + released(name).replace(".", "_")
            module = LokrModule(label, linear, 1.0, **form)
            randomise(module.parameters(), seed + 10 * layer + i)
            for key, value in module.custom_state_dict().items():
                tensors[f"{label}.{key}"] = value
            eye = torch.eye(linear.in_features)
            module.apply_to()
            deltas[name] = (linear(eye) - torch.nn.functional.linear(eye, linear.weight, linear.bias)).T
    kinds = {key.rsplit(".", 1)[1] for key in tensors}
    assert kinds == {"alpha", "lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b"}, kinds
    return tensors, deltas


def velocity(decoder, inputs, *changes):
    """The decoder's output with `(deltas, scale)` merged into its weights."""
    merged = copy.deepcopy(decoder)
    modules = dict(merged.named_modules())
    for deltas, scale in changes:
        for name, delta in deltas.items():
            modules[name].weight += scale * delta
    time = inputs["time"]
    return merged(
        hidden_states=inputs["hidden"],
        timestep=time,
        timestep_r=time,
        encoder_hidden_states=inputs["condition"],
        context_latents=inputs["context"],
        return_dict=False,
    )[0]


def main():
    out = pathlib.Path(sys.argv[1]) / "lora"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    decoder, encoder, _, _ = pipeline.build(tiny.DIT)
    width = decoder.condition_embedder.in_features
    inputs = {
        "hidden": randn(1, 45, tiny.CHANNELS, seed=201),
        "context": randn(1, 45, 2 * tiny.CHANNELS, seed=202),
        "condition": randn(1, 19, width, seed=203),
        "time": torch.tensor([0.7]),
        "null": encoder.null_condition_emb,
    }
    outputs = {"none": velocity(decoder, inputs)}

    # Ranks and alphas by pattern, every layer that the official trainer may choose.
    config = LoraConfig(
        r=4,
        lora_alpha=6,
        target_modules=ATTENTION + MLP,
        rank_pattern={"cross_attn.to_k": 2, "layers.1.self_attn.to_q": 6},
        alpha_pattern={"cross_attn.to_k": 5, r"layers\.[23]\.mlp\..*": 2},
    )
    model = peft_model(decoder, config, 301)
    peft = peft_deltas(model)
    save_peft(model, out / "peft")
    outputs["peft"] = velocity(decoder, inputs, (peft, 1.0))
    outputs["peft.half"] = velocity(decoder, inputs, (peft, 0.5))
    # The unguided branch has one key, and its cross-attention is a constant that the adapter changes.
    null = {**inputs, "condition": inputs["null"].expand(1, 7, width)}
    outputs["peft.null"] = velocity(decoder, null, (peft, 1.0))

    # Rank-stabilised, on the layers outside the blocks as well; nested as the trainer nests it.
    outside = ["condition_embedder", "time_embed.linear_1", "time_embed.time_proj", "time_embed_r.linear_2"]
    config = LoraConfig(r=4, lora_alpha=3, target_modules=[*outside, "gate_proj"], use_rslora=True)
    model = peft_model(decoder, config, 302)
    stable = peft_deltas(model)
    save_peft(model, out / "stable/adapter")
    outputs["stable"] = velocity(decoder, inputs, (stable, 1.0))

    # PEFT's LoKr divides alpha by the rank whatever the form of its factors.
    config = LoKrConfig(r=2, alpha=3, target_modules=["to_v", "up_proj"], decompose_factor=4)
    model = peft_model(decoder, config, 303)
    kronecker = peft_deltas(model)
    save_peft(model, out / "peft-lokr")
    outputs["peft-lokr"] = velocity(decoder, inputs, (kronecker, 1.0))

    # As diffusers saves it: alpha stands in the header only.
    config = LoraConfig(r=2, lora_alpha=7, target_modules=ATTENTION)
    model = peft_model(decoder, config, 304)
    from diffusers import AceStepPipeline

    AceStepPipeline.save_lora_weights(
        out / "diffusers",
        transformer_lora_layers={
            key.removeprefix("base_model.model."): value for key, value in get_peft_model_state_dict(model).items()
        },
        transformer_lora_adapter_metadata={
            key: sorted(value) if isinstance(value, set) else value
            for key, value in model.peft_config["default"].to_dict().items()
            if isinstance(value, (int, float, str, bool, list, set, dict, type(None)))
        },
    )
    outputs["diffusers"] = velocity(decoder, inputs, (peft_deltas(model), 1.0))

    # ComfyUI and kohya: names and `alpha` in the file.
    names = [f"layers.{i}.{end}" for i in range(4) for end in ("self_attn.to_v", "cross_attn.to_out.0", "mlp.up_proj")]
    plain = low_rank(decoder, names, 305)
    for label, prefix, dots in (("comfyui", "diffusion_model.", True), ("kohya", "lora_unet_", False)):
        tensors = {}
        for name, (a, b) in plain.items():
            name = released(name)
            module = prefix + (name if dots else name.replace(".", "_"))
            tensors[f"{module}.lora_down.weight"] = a.to(torch.bfloat16) if dots else a
            tensors[f"{module}.lora_up.weight"] = b.to(torch.bfloat16) if dots else b
            tensors[f"{module}.alpha"] = torch.tensor(6.0)
        tiny.write_tensors(out / f"{label}.safetensors", tensors)
    half = {name: (a.to(torch.bfloat16).float(), b.to(torch.bfloat16).float()) for name, (a, b) in plain.items()}
    comfyui = {name: 2.0 * (b @ a) for name, (a, b) in half.items()}
    outputs["comfyui"] = velocity(decoder, inputs, (comfyui, 1.0))
    outputs["kohya"] = velocity(decoder, inputs, ({name: 2.0 * (b @ a) for name, (a, b) in plain.items()}, 1.0))

    tensors, kron = lokr(decoder, 306)
    tiny.write_tensors(out / "lokr/lokr_weights.safetensors", tensors)
    outputs["lokr"] = velocity(decoder, inputs, (kron, 1.0))
    outputs["peft+lokr"] = velocity(decoder, inputs, (peft, 0.6), (kron, 0.3))

    distances = {name: (value - outputs["none"]).abs().max().item() for name, value in outputs.items() if name != "none"}
    assert min(distances.values()) > 0.05, distances
    tiny.write_tensors(out.with_suffix(".safetensors"), {**inputs, **{f"output.{k}": v for k, v in outputs.items()}})


if __name__ == "__main__":
    with torch.no_grad():
        main()
