"""Guidance, schedules and prompts of the reference, for `tests/parity_diffusion.rs`.

    python diffusion.py FIXTURES

Writes FIXTURES/diffusion.safetensors and FIXTURES/prompts.json. APG, schedules and prompts come
from diffusers; ADG, which it lacks, is written out below from the formula (engine.md 6.5).
"""

import pathlib
import sys

import tiny
import torch

CHANNELS = 8
FRAMES = 31
TIMES = [1.0, 0.9, 0.5]


def answers(generator, size):
    """State, conditional and unconditional velocity of one step."""
    x, cond, uncond = (size * torch.randn(1, FRAMES, CHANNELS, generator=generator) for _ in range(3))
    return x, cond, uncond


def apg(tensors, generator):
    """Three steps, since the momentum runs through them; norms below and above the threshold."""
    from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer, normalized_guidance

    for name, size in (("small", 0.05), ("large", 2.0)):
        momentum = MomentumBuffer(-0.75)
        for step, _ in enumerate(TIMES):
            _, cond, uncond = answers(generator, size)
            guided = normalized_guidance(
                pred_cond=cond,
                pred_uncond=uncond,
                guidance_scale=7.0 - 1.0,
                momentum_buffer=momentum,
                eta=0.0,
                norm_threshold=2.5,
                use_original_formulation=True,
                norm_dim=(1,),
            )
            for key, value in (("cond", cond), ("uncond", uncond), ("guided", guided)):
                tensors[f"apg.{name}.{step}.{key}"] = value[0]


def adg_velocity(x, cond, uncond, t, scale):
    """Rotation of the clean estimate, frame by frame, in float64."""
    x, cond, uncond = (value.double() for value in (x, cond, uncond))
    weight = max(scale - 1.0, 0.0) + 1e-3
    estimates = []
    for frame_x, frame_c, frame_u in zip(x, cond, uncond):
        with_, without = frame_x - t * frame_c, frame_x - t * frame_u
        cosine = torch.dot(with_ / with_.norm(), without / without.norm()).clamp(-1 + 1e-6, 1 - 1e-6)
        angle = torch.arccos(cosine)
        widened = (weight * angle).clamp(-3.14 / 6, 3.14 / 6)
        difference = with_ - without
        across = difference - torch.dot(difference, without) / (torch.dot(without, without) + 1e-8) * without
        sine = torch.sin(angle)
        factor = torch.sin(widened) / sine if sine > 1e-3 else torch.tensor(weight, dtype=torch.float64)
        estimates.append(torch.cos(widened) * with_ + factor * across)
    return (x - torch.stack(estimates)) / t


def adg(tensors, generator):
    for step, t in enumerate(TIMES):
        x, cond, uncond = (value[0] for value in answers(generator, 1.0))
        # Equal and nearly equal answers: the clamp of the cosine decides their angle.
        uncond[3] = cond[3]
        uncond[4] = cond[4] * (1 + 1e-4)
        for key, value in (("x", x), ("cond", cond), ("uncond", uncond)):
            tensors[f"adg.{step}.{key}"] = value
        tensors[f"adg.{step}.guided"] = adg_velocity(x, cond, uncond, t, 4.0).float()


def schedules(tensors):
    from diffusers import AceStepPipeline

    for steps in (1, 8, 13, 50):
        for shift in (1.0, 2.0, 3.0, 4.5):
            schedule = AceStepPipeline._get_timestep_schedule(
                None, num_inference_steps=steps, shift=shift, dtype=torch.float64
            )
            tensors[f"schedule.{steps}.{shift}"] = schedule


PROMPTS = [
    {"caption": "warm house", "lyrics": "[Verse]\nla la", "vocal_language": "en", "bpm": 120,
     "keyscale": "F# minor", "timesignature": "4", "duration": 12.9},
    {"caption": "", "lyrics": "", "vocal_language": "unknown", "bpm": None, "keyscale": "", "timesignature": "",
     "duration": 60.0},
    {"caption": "ein Wälzer\nmit „Flöte“ {und} 日本語", "lyrics": "[Instrumental]", "vocal_language": "de",
     "bpm": 60, "keyscale": "Bb major", "timesignature": "3", "duration": 0.5},
    {"caption": "  spaces stay  ", "lyrics": "\n\nleading lines\n", "vocal_language": "yue", "bpm": 300,
     "keyscale": "C major", "timesignature": "6", "duration": 600.0},
]

TASKS = [
    ("text2music", None, []),
    ("cover", None, []),
    ("repaint", None, []),
    ("extract", "vocals", []),
    ("extract", None, []),
    ("lego", "backing_vocals", []),
    ("lego", None, []),
    ("complete", None, ["drums", "bass"]),
    ("complete", None, []),
]


def prompts():
    from diffusers import AceStepPipeline

    class Bare(AceStepPipeline):
        def __init__(self):
            pass

    pipe = Bare()
    formatted = []
    for case in PROMPTS:
        text, lyrics = pipe._format_prompt(
            prompt=case["caption"],
            lyrics=case["lyrics"],
            vocal_language=case["vocal_language"],
            audio_duration=case["duration"],
            bpm=case["bpm"],
            keyscale=case["keyscale"],
            timesignature=case["timesignature"],
        )
        formatted.append({**case, "expected_caption": text, "expected_lyrics": lyrics})
    instructions = [
        {
            "task": task,
            "track": track,
            "classes": classes,
            "expected": pipe._get_task_instruction(
                task_type=task, track_name=track, complete_track_classes=classes
            ),
        }
        for task, track, classes in TASKS
    ]
    return {"prompts": formatted, "instructions": instructions}


def main():
    fixtures = pathlib.Path(sys.argv[1])
    generator = torch.Generator().manual_seed(5)
    tensors = {}
    apg(tensors, generator)
    adg(tensors, generator)
    schedules(tensors)
    tiny.write_tensors(fixtures / "diffusion.safetensors", tensors)
    tiny.write_json(fixtures / "prompts.json", prompts())


if __name__ == "__main__":
    main()
