"""Tasks on existing sound: what diffusers' `AceStepPipeline` makes of them, or the specification
where it differs.

    python tasks.py FIXTURES

Writes FIXTURES/tasks/cases.json and one safetensors file a case, for the checkpoint that pipeline.py
writes (rebuilt here from the same seeds). Of each case: the source and reference waves, noise, packed
conditions, context, latents of the source, latents after all steps, and the waveform.

Where the engine follows the specification and diffusers does not, the loop is written out here on
diffusers' networks, in torch, from the text of engine.md:
- 6.6 the switch of condition and context after a share of the steps (diffusers blends two velocities);
- 6.6 a start from the source at a level below 1;
- 6.7 what a repaint keeps: injection after a share of the steps, blended latents, spliced wave;
- 8.4 a region before or behind the source.
Encoding takes the mean (13.11); diffusers would draw.
"""

import math
import pathlib
import shutil
import sys

import pipeline as base
import tiny
import torch

ITEM = base.ITEMS[0]
RATE, HOP = tiny.VAE["sampling_rate"], math.prod(tiny.VAE["downsampling_ratios"])
FRAME_HZ = RATE / HOP

TURBO = {"is_turbo": True, "steps": 8, "shift": 3.0, "guidance_scale": 1.0}
BASE = {"is_turbo": False, "steps": 10, "shift": 2.0, "guidance_scale": 5.0}

# 5.36 s = 134 frames; 131 frames is odd and no multiple of five.
CASES = [
    {**TURBO, "name": "cover", "task_type": "cover", "source_frames": 131},
    {**TURBO, "name": "cover_switch", "task_type": "cover", "source_frames": 134, "audio_cover_strength": 0.6},
    {**BASE, "name": "cover_base", "task_type": "cover", "source_frames": 134, "audio_cover_strength": 0.7},
    {
        **TURBO,
        "name": "cover_noise",
        "task_type": "cover",
        "source_frames": 131,
        "audio_cover_strength": 0.5,
        "cover_noise_strength": 0.3,
    },
    {
        **TURBO,
        "name": "repaint",
        "task_type": "repaint",
        "source_frames": 134,
        "repainting_start": 1.5,
        "repainting_end": 3.1,
        "repaint_mode": "aggressive",
    },
    {
        **TURBO,
        "name": "repaint_balanced",
        "task_type": "repaint",
        "source_frames": 134,
        "repainting_start": 2.2,
        "repainting_end": -1,
        "repaint_mode": "balanced",
        "repaint_strength": 0.5,
    },
    {
        **BASE,
        "name": "repaint_before",
        "task_type": "repaint",
        "source_frames": 110,
        "repainting_start": -1.2,
        "repainting_end": 0.4,
        "repaint_mode": "conservative",
    },
    {
        **TURBO,
        "name": "repaint_behind",
        "task_type": "repaint",
        "source_frames": 110,
        "repainting_start": 4.0,
        "repainting_end": 6.0,
        "repaint_mode": "balanced",
        "repaint_strength": 0.2,
    },
    {
        **BASE,
        "name": "lego",
        "task_type": "lego",
        "source_frames": 131,
        "track_name": "backing_vocals",
        "repainting_start": 1.0,
        "repainting_end": 4.0,
    },
    {**BASE, "name": "lego_whole", "task_type": "lego", "source_frames": 131, "track_name": "drums"},
    {**BASE, "name": "extract", "task_type": "extract", "source_frames": 131, "track_name": "vocals"},
    {
        **BASE,
        "name": "complete",
        "task_type": "complete",
        "source_frames": 134,
        "complete_track_classes": ["drums", "bass"],
    },
    # 10 s three times over are 30 s: nothing is left to choose.
    {**TURBO, "name": "reference", "task_type": "text2music", "duration": 5.4, "reference_secs": [10.0]},
    {**TURBO, "name": "references", "task_type": "text2music", "duration": 5.4, "reference_secs": [10.0, 30.0]},
    {
        **TURBO,
        "name": "cover_reference",
        "task_type": "cover",
        "source_frames": 131,
        "audio_cover_strength": 0.8,
        "reference_secs": [15.0],
    },
]

BLEND_FRAMES, CROSSFADE_SECS, SHORTEST_CROSSFADE_SECS = 25, 0.05, 0.01


def wave(samples, seed):
    """Two channels of different tones and noise, inside -1..1."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(samples)[None, :] / RATE
    rate = torch.tensor([[11.0], [17.0]]) * (1 + 0.03 * (seed % 7))
    return 0.4 * torch.sin(2 * math.pi * rate * time) + 0.1 * torch.randn(2, samples, generator=generator).clamp(-4, 4)


class Mean:
    """What `vae.encode(...)` gives, with the mean in place of a draw."""

    def __init__(self, latent_dist):
        self.latent_dist = self
        self.mean = latent_dist.mean

    def sample(self, generator=None):
        return self.mean


def take_the_mean(vae):
    encode = vae.encode
    vae.encode = lambda x, *rest, **options: Mean(encode(x, *rest, **options).latent_dist)


def hold_of(case):
    """engine.md 6.7: share of the steps, frames of the ramp, seconds of the crossfade."""
    strength = case.get("repaint_strength", 0.5)
    held = {"conservative": 1.0, "balanced": 1.0 - strength, "aggressive": 0.0}[case["repaint_mode"]]
    return held, round(BLEND_FRAMES * held), max(CROSSFADE_SECS * held, SHORTEST_CROSSFADE_SECS)


def region_of(case, source):
    """engine.md 8.4: the source with silence put before and behind it, and the frames of the region."""
    secs = source.shape[-1] / RATE
    start, end = case["repainting_start"], case["repainting_end"]
    end = secs if end < 0 else end
    before, behind = max(0.0, -start), max(0.0, end - secs)
    padded = torch.nn.functional.pad(source, (round(before * RATE), round(behind * RATE)))
    frames = padded.shape[-1] // HOP
    first = max(0, min(math.floor((start + before) * FRAME_HZ + 1e-6), frames - 1))
    last = max(first + 1, min(math.floor((end + before) * FRAME_HZ + 1e-6), frames))
    return padded, first, last


def outward(places, first, last, ramp):
    """1 inside, down to 0 over `ramp` places outside, ends left out; 0 beyond."""
    inner = torch.linspace(0, 1, ramp + 2)[1:-1]
    alpha = torch.zeros(places)
    alpha[first:last] = 1
    for i, value in enumerate(inner):
        if first - ramp + i >= 0:
            alpha[first - ramp + i] = value
        if last + ramp - 1 - i < places:
            alpha[last + ramp - 1 - i] = value
    return alpha


class Run:
    """diffusers' networks, and everything that goes into them for one case."""

    def __init__(self, pipe, case, seed):
        self.pipe, self.case = pipe, case
        pipe.is_turbo = case["is_turbo"]
        self.task = case["task_type"]
        self.tensors = {}
        self.source = self.region = None
        if "source_frames" in case:
            source = wave(case["source_frames"] * HOP, seed)
            self.tensors["source"] = source
            self.source = source
            if "repainting_start" in case:
                self.source, first, last = region_of(case, source)
                self.region = (first, last)
            self.frames, self.secs = self.source.shape[-1] // HOP, self.source.shape[-1] / RATE
        else:
            self.secs = case["duration"]
            self.frames = math.ceil(self.secs * FRAME_HZ)
        self.references = []
        for i, secs in enumerate(case.get("reference_secs", [])):
            reference = wave(round(secs * RATE), seed + 50 + i)
            self.tensors[f"reference.{i}"] = reference
            self.references.append(reference)
        generator = torch.Generator().manual_seed(seed + 900)
        channels = pipe.transformer.config.audio_acoustic_hidden_dim
        self.noise = torch.randn(1, self.frames, channels, generator=generator)

    def latents_of_source(self):
        return self.pipe.vae.encode(self.source[None]).latent_dist.sample().transpose(1, 2)

    def condition(self, instruction):
        """The packed sequence under `instruction`."""
        pipe = self.pipe
        keys = ("vocal_language", "bpm", "keyscale", "timesignature")
        text, text_mask, lyric, lyric_mask = pipe.encode_prompt(
            prompt=ITEM["caption"],
            lyrics=ITEM["lyrics"],
            device="cpu",
            audio_duration=self.secs,
            instruction=instruction,
            **{key: ITEM[key] for key in keys},
        )
        if self.references:
            # `prepare_reference_audio_latents` one reference at a time; all belong to item 0.
            parts = [pipe.prepare_reference_audio_latents(one, 1, "cpu", torch.float32)[0] for one in self.references]
            timbre, order = torch.cat(parts), torch.zeros(len(parts), dtype=torch.long)
        else:
            timbre, order = pipe.condition_encoder.silence_latent[:, :750], torch.zeros(1, dtype=torch.long)
        return pipe.condition_encoder(
            text_hidden_states=text,
            text_attention_mask=text_mask,
            lyric_hidden_states=lyric,
            lyric_attention_mask=lyric_mask,
            refer_audio_acoustic_hidden_states_packed=timbre,
            refer_audio_order_mask=order,
        )[0]

    def context(self):
        """engine.md 8.2."""
        pipe = self.pipe
        mask = torch.ones(1, self.frames, self.noise.shape[-1])
        silence = pipe.condition_encoder.silence_latent[:, : self.frames]
        if self.task == "text2music":
            return torch.cat([silence, mask], -1), silence
        source, _ = pipe.prepare_src_latents(
            device="cpu", dtype=torch.float32, src_audio=self.source, task_type=self.task
        )
        if self.region is not None:
            first, last = self.region
            mask[:] = 0
            mask[:, first:last] = 1
        if self.task == "repaint":
            source = torch.where(mask > 0.5, silence, source)
        return torch.cat([source, mask], -1), silence

    def loop(self):
        case, pipe = self.case, self.pipe
        from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer, normalized_guidance

        context, silence = self.context()
        instruction = pipe._get_task_instruction(
            self.task, case.get("track_name"), case.get("complete_track_classes")
        )
        condition = self.condition(instruction)
        self.tensors |= {"context": context, "condition": condition}
        schedule = pipe._get_timestep_schedule(case["steps"], case["shift"], "cpu", torch.float32).tolist()
        x = self.noise
        clean = self.latents_of_source() if self.source is not None else None
        if case.get("cover_noise_strength", 0) > 0:
            level = 1 - case["cover_noise_strength"]
            nearest = min(range(len(schedule)), key=lambda i: abs(schedule[i] - level))
            schedule = schedule[nearest:]
            x = schedule[0] * x + (1 - schedule[0]) * clean
        strength = case.get("audio_cover_strength", 1.0)
        switch = math.floor(len(schedule) * strength)
        later = None
        if strength < 1:
            text = self.condition(pipe._get_task_instruction("text2music"))
            later = (torch.cat([silence, context[..., silence.shape[-1] :]], -1), text)
            self.tensors["condition.later"] = text
        hold = hold_of(case) if self.task == "repaint" else None
        guided = not case["is_turbo"] and case["guidance_scale"] > 1
        momentum = MomentumBuffer(momentum=-0.75) if guided else None
        noise = self.noise
        for i, t in enumerate(schedule):
            if later is not None and i >= switch:
                context, condition = later
            after = schedule[i + 1] if i + 1 < len(schedule) else 0.0
            time = torch.tensor([t])
            ask = lambda given: pipe.transformer(
                hidden_states=x,
                timestep=time,
                timestep_r=time,
                encoder_hidden_states=given,
                context_latents=context,
                return_dict=False,
            )[0]
            v = ask(condition)
            if guided:
                null = pipe.condition_encoder.null_condition_emb.expand_as(condition)
                v = normalized_guidance(
                    pred_cond=v,
                    pred_uncond=ask(null),
                    guidance_scale=case["guidance_scale"] - 1.0,
                    momentum_buffer=momentum,
                    eta=0.0,
                    norm_threshold=2.5,
                    use_original_formulation=True,
                    norm_dim=(1,),
                )
            x = x - (t - after) * v
            if hold is not None and i < round(hold[0] * len(schedule)):
                first, last = self.region
                put = after * noise + (1 - after) * clean
                x = torch.cat([put[:, :first], x[:, first:last], put[:, last:]], 1)
        if hold is not None:
            alpha = outward(self.frames, *self.region, hold[1])[None, :, None]
            x = alpha * x + (1 - alpha) * clean
        waveform = pipe.vae.decode(x.transpose(1, 2)).sample
        if hold is not None:
            first, last = self.region
            fade = round(hold[2] * RATE)
            alpha = outward(waveform.shape[-1], first * HOP, last * HOP, fade)
            back = pipe.vae.decode(clean.transpose(1, 2)).sample
            waveform = alpha * waveform + (1 - alpha) * back
        self.tensors |= {"noise": self.noise, "latents": x, "waveform": waveform}
        if clean is not None:
            self.tensors["source_latents"] = clean
        return self.tensors

    def checked_against_the_pipeline(self):
        """Where diffusers' whole pipeline does the same, its result must be the loop's."""
        case = self.case
        keys = ("lyrics", "vocal_language", "bpm", "keyscale", "timesignature")
        same = {
            "audio_duration": self.secs,
            "num_inference_steps": case["steps"],
            "shift": case["shift"],
            "guidance_scale": case["guidance_scale"],
            "task_type": self.task,
            "track_name": case.get("track_name"),
            "complete_track_classes": case.get("complete_track_classes"),
            "src_audio": self.source,
            "reference_audio": self.references[0] if self.references else None,
        }
        if self.region is not None:
            first, last = self.region
            same |= {"repainting_start": (first + 0.5) / FRAME_HZ, "repainting_end": (last + 0.5) / FRAME_HZ}
        whole = self.pipe(
            prompt=ITEM["caption"],
            latents=self.noise,
            output_type="latent",
            **{key: ITEM[key] for key in keys},
            **same,
        ).audios
        mine = self.tensors["latents"]
        if self.task == "repaint":
            first, last = self.region
            whole, mine = whole[:, first:last], mine[:, first:last]
        worst = (whole - mine).abs().max().item()
        assert worst < 1e-4, (case["name"], worst)


# Those that diffusers does as the specification says.
SAME = ("cover", "repaint", "lego", "lego_whole", "extract", "complete", "reference")


def main():
    out = pathlib.Path(sys.argv[1]) / "tasks"
    shutil.rmtree(out, ignore_errors=True)
    networks = base.build(tiny.DIT)
    vae = base.make_vae(tiny.VAE, 31)
    take_the_mean(vae)
    text = tiny.text_encoder(tiny.QWEN3, 41)
    checkpoint = pathlib.Path(sys.argv[1]) / "pipeline/checkpoint"
    tokenizer = base.load_tokenizer(checkpoint / "Qwen3-Embedding-0.6B")
    pipe = base.pipeline(networks[0], networks[1], vae, text, tokenizer, networks[2:])
    for i, case in enumerate(CASES):
        run = Run(pipe, case, 300 + i)
        tiny.write_tensors(out / f"{case['name']}.safetensors", run.loop())
        if case["name"] in SAME:
            run.checked_against_the_pipeline()
    tiny.write_json(out / "cases.json", [{**case, "item": ITEM} for case in CASES])


if __name__ == "__main__":
    with torch.no_grad():
        main()
