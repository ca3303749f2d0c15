"""Whole-pipeline fixture: a tiny checkpoint in the released layout and what diffusers'
`AceStepPipeline` makes of it.

    python pipeline.py FIXTURES [DEMO_MODEL]

Writes FIXTURES/pipeline/checkpoint (an `acestep-v15-tiny` DiT folder, `vae`,
`Qwen3-Embedding-0.6B`), FIXTURES/pipeline/cases.json (requests) and one safetensors file a case.
Every request is run as a batch of one, since the reference lets items of a batch influence each
other; the fixture joins the results to `[b, ...]`. Where the reference and the engine name things
differently, cases.json holds the engine's meaning (`cfg_interval` is on t, the reference's is on
1 - t).
"""

import json
import math
import pathlib
import shutil
import sys

import tiny
import torch

HERE = pathlib.Path(__file__).resolve().parent
FRAMES_OF_SILENCE = 1000

ITEMS = [
    {
        "caption": "bright house with piano and no bass",
        "lyrics": "[Verse]\nSoft notes in the morning light\n[Chorus]\nMusic fills the air tonight",
        "vocal_language": "en",
        "bpm": 120,
        "keyscale": "C major",
        "timesignature": "4",
    },
    {
        "caption": "Wälzer für zwei, langsam und zärtlich, mit Flöte",
        "lyrics": "[Instrumental]",
        "vocal_language": "unknown",
        "bpm": None,
        "keyscale": None,
        "timesignature": None,
    },
]

# duration 5.4 s = 135 frames (odd), 68 DiT tokens, window 8
CASES = [
    {"name": "turbo", "is_turbo": True, "steps": 8, "shift": 3.0, "guidance_scale": 1.0, "duration": 5.4, "items": ITEMS},
    {"name": "base", "is_turbo": False, "steps": 12, "shift": 1.0, "guidance_scale": 7.0, "duration": 5.4, "items": ITEMS},
    {
        "name": "base_interval",
        "is_turbo": False,
        "steps": 12,
        "shift": 2.0,
        "guidance_scale": 4.0,
        "cfg_interval": [0.25, 0.9],
        "duration": 5.4,
        "items": ITEMS[:1],
    },
    {
        "name": "custom_timesteps",
        "is_turbo": True,
        "steps": 8,
        "shift": 1.0,
        "guidance_scale": 1.0,
        "timesteps": [0.97, 0.76, 0.615, 0.5, 0.395, 0.28, 0.18, 0.085],
        "duration": 5.4,
        "items": ITEMS[:1],
    },
    # 27 codes of 5 frames: what a language model writes for 5.4 s
    {
        "name": "codes",
        "is_turbo": True,
        "steps": 8,
        "shift": 3.0,
        "guidance_scale": 1.0,
        "duration": 5.4,
        "audio_codes": [(7919 * i + 35847) % 64000 for i in range(27)],
        "items": ITEMS,
    },
]


def load_tokenizer(folder):
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), pad_token="<|endoftext|>", padding_side="right")


def silence(channels, frames, seed):
    """Slow waves plus a little noise: every frame differs, so a slice at the wrong place shows."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(frames)[None, :] / 25.0
    rate = torch.linspace(0.3, 2.0, channels)[:, None]
    return (0.6 * torch.sin(2 * math.pi * rate * time) + 0.3 * torch.randn(channels, frames, generator=generator))[None]


def build(config, seed=1):
    decoder, condition, tokenizer, detokenizer = tiny.build_dit_family(config, seed)
    condition.silence_latent = silence(config["timbre_hidden_dim"], FRAMES_OF_SILENCE, seed + 9).transpose(1, 2).contiguous()
    return decoder, condition, tokenizer, detokenizer


def make_vae(config, seed):
    from diffusers import AutoencoderOobleck

    kwargs = {k: v for k, v in config.items() if k != "_class_name"}
    # Gains start from the norms of torch's own init.
    torch.manual_seed(seed)
    return tiny.randomise(AutoencoderOobleck(**kwargs), seed)


def pipeline(decoder, condition, vae, text, tokenizer, codes=(None, None)):
    from diffusers import AceStepPipeline, FlowMatchEulerDiscreteScheduler

    scheduler = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, shift=1.0)
    pipe = AceStepPipeline(
        vae=vae,
        text_encoder=text,
        tokenizer=tokenizer,
        transformer=decoder,
        condition_encoder=condition,
        scheduler=scheduler,
        audio_tokenizer=codes[0],
        audio_token_detokenizer=codes[1],
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def run_case(pipe, case, seed):
    """Noise, token ids, packed condition, latents and waveform (no gain) of every item."""
    pipe.is_turbo = case["is_turbo"]
    frames = math.ceil(case["duration"] * pipe.latents_per_second)
    channels = pipe.transformer.config.audio_acoustic_hidden_dim
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(len(case["items"]), frames, channels, generator=generator)
    low, high = case.get("cfg_interval", (0.0, 1.0))
    conditions = []

    def remember(_module, _inputs, output):
        conditions.append(output[0])

    hook = pipe.condition_encoder.register_forward_hook(remember)
    latents, ids = [], {}
    codes = "".join(f"<|audio_code_{code}|>" for code in case.get("audio_codes", []))
    task = {"task_type": "cover", "audio_codes": codes} if codes else {}
    for i, (item, start) in enumerate(zip(case["items"], noise)):
        keys = ("lyrics", "vocal_language", "bpm", "keyscale", "timesignature")
        texts = pipe._format_prompt(
            item["caption"],
            audio_duration=case["duration"],
            instruction=pipe._get_task_instruction("cover") if codes else None,
            **{key: item[key] for key in keys},
        )
        for name, text in zip(("text_ids", "lyric_ids"), texts):
            ids[f"{name}.{i}"] = torch.tensor(pipe.tokenizer(text).input_ids, dtype=torch.int32)
        latents.append(
            pipe(
                prompt=item["caption"],
                lyrics=item["lyrics"],
                vocal_language=item["vocal_language"],
                bpm=item["bpm"],
                keyscale=item["keyscale"],
                timesignature=item["timesignature"],
                audio_duration=case["duration"],
                num_inference_steps=case["steps"],
                shift=case["shift"],
                guidance_scale=case["guidance_scale"],
                cfg_interval_start=1.0 - high,
                cfg_interval_end=1.0 - low,
                timesteps=case.get("timesteps"),
                latents=start[None],
                output_type="latent",
                **task,
            ).audios
        )
    hook.remove()
    latents = torch.cat(latents)
    with torch.no_grad():
        waveform = torch.cat([pipe.vae.decode(one[None].transpose(1, 2)).sample for one in latents])
    conditions = {f"condition.{i}": condition for i, condition in enumerate(conditions)}
    return {"noise": noise, "latents": latents, "waveform": waveform, **conditions, **ids}


def write_checkpoint(out, tokenizer_folder):
    dit = out / "acestep-v15-tiny"
    networks = build(tiny.DIT)
    tiny.write_json(dit / "config.json", tiny.DIT)
    tiny.write_tensors(dit / "model.safetensors", tiny.released_names(*networks))
    torch.save(networks[1].silence_latent.transpose(1, 2).contiguous(), dit / "silence_latent.pt")
    vae = make_vae(tiny.VAE, 31)
    tiny.write_json(out / "vae/config.json", tiny.VAE)
    tiny.write_tensors(out / "vae/diffusion_pytorch_model.safetensors", vae.state_dict())
    text = tiny.text_encoder(tiny.QWEN3, 41)
    folder = out / "Qwen3-Embedding-0.6B"
    tiny.write_json(folder / "config.json", tiny.QWEN3)
    tiny.write_tensors(folder / "model.safetensors", text.state_dict())
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tokenizer_folder / name, folder / name)
    return networks, vae, text, load_tokenizer(folder)


DEMO = {
    "name": "demo",
    "is_turbo": True,
    "steps": 8,
    "shift": 3.0,
    "guidance_scale": 1.0,
    "duration": 5.2,
    "items": [
        {
            "caption": "a lofi track with piano, bass and lazy drums",
            "lyrics": "[Instrumental]",
            "vocal_language": "unknown",
            "bpm": 80,
            "keyscale": "A minor",
            "timesignature": "4",
        }
    ],
}


def load_released(networks, tensors):
    """Puts `tensors`, under their released names, into the networks of a DiT's file."""
    for prefix, model in zip(("decoder.", "encoder.", "tokenizer.", "detokenizer."), networks):
        state = {}
        for name, value in tensors.items():
            name = "encoder." + name if name == "null_condition_emb" else name
            if not name.startswith(prefix):
                continue
            for new, old in tiny.RENAMES:
                name = name.replace(old, new)
            state[name.removeprefix(prefix)] = value
        missing, unexpected = model.load_state_dict(state, strict=False)
        assert set(missing) <= {"silence_latent"} and not unexpected, (missing, unexpected)


def load_demo(root):
    """The bundled model in float32, under the reference's names."""
    from safetensors.torch import load_file

    folder = root / "acestep-v15-demo"
    config = json.loads((folder / "config.json").read_text())
    tensors = {name: value.float() for name, value in load_file(folder / "model.safetensors").items()}
    networks = tiny.build_dit_family(config, 0)
    load_released(networks, tensors)
    networks[1].silence_latent = torch.load(folder / "silence_latent.pt").float().transpose(1, 2).contiguous()
    text_config = json.loads((root / "Qwen3-Embedding-0.6B/config.json").read_text())
    text = tiny.text_encoder(text_config, 0)
    text.load_state_dict({k: v.float() for k, v in load_file(root / "Qwen3-Embedding-0.6B/model.safetensors").items()})
    vae = make_vae(json.loads((root / "vae/config.json").read_text()), 0)
    # The reference builds an encoder of another width (see MODEL.md); only the decoder is run here.
    decoder = load_file(root / "vae/diffusion_pytorch_model.safetensors")
    vae.decoder.load_state_dict(
        {k.removeprefix("decoder."): v.float() for k, v in decoder.items() if k.startswith("decoder.")}
    )
    return networks, vae.eval(), text.eval(), load_tokenizer(root / "Qwen3-Embedding-0.6B")


def write_demo(out, root):
    networks, vae, text, tokenizer = load_demo(root)
    result = run_case(pipeline(networks[0], networks[1], vae, text, tokenizer), DEMO, 7)
    # Both channels are equal by construction; the start of one shows the decoder.
    result["waveform"] = result["waveform"][:, :1, :16000]
    tiny.write_tensors(out / "demo.safetensors", result)


def main():
    fixtures = pathlib.Path(sys.argv[1])
    demo = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else HERE.parents[1] / "engine/demo-model"
    out = fixtures / "pipeline"
    shutil.rmtree(out, ignore_errors=True)
    networks, vae, text, tokenizer = write_checkpoint(out / "checkpoint", demo / "Qwen3-Embedding-0.6B")
    pipe = pipeline(networks[0], networks[1], vae, text, tokenizer, networks[2:])
    for i, case in enumerate(CASES):
        tiny.write_tensors(out / f"{case['name']}.safetensors", run_case(pipe, case, 100 + i))
    tiny.write_json(out / "cases.json", [*CASES, DEMO])
    write_demo(out, demo)


if __name__ == "__main__":
    with torch.no_grad():
        main()
