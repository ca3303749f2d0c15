"""Requests and the plans they ask for.

`draw(rng)` gives one `Example`: what a user would type for one of the jobs, what it names, and an
answer the demo DiT understands. Everything follows from the generator passed in.
"""

import dataclasses
import random

import words
from grammar import Cues, caption, draw_cues, key_name, plan_bpm
from phrasing import draw_lyrics, phrase_fields, request
from prompts import INSTRUMENTAL, NO_INPUT


@dataclasses.dataclass
class Example:
    """One request, the answer, and what a check may hold against the answer."""

    job: str
    text: str
    lyrics: str
    instrumental: bool
    values: dict
    answer_lyrics: str
    style: str
    parts: dict  # part -> True (asked), False (denied); others are free
    chords: str | None
    named: dict  # fields the request names: bpm, keyscale, duration, timesignature
    outside: bool


def example(rng: random.Random, cues: Cues, job: str) -> Example:
    """The request in words and its answer."""
    text_caption, _, chords = caption(rng, cues)
    tilt = [words.MOODS[mood][1] for _, mood in cues.moods]
    mode = [words.MOODS[mood][2] for _, mood in cues.moods if words.MOODS[mood][2]]
    minor = words.USUAL[cues.style][3]
    mode = mode[0] if mode else ("minor" if rng.random() < minor else "major")
    values = {
        "bpm": plan_bpm(rng, cues.style, tilt[0] if tilt else 0),
        "caption": text_caption,
        "duration": rng.choice([20, 24, 30, 30, 30, 40, 45, 60, 60, 60, 90, 120]),
        "keyscale": key_name(rng, mode),
        "timesignature": 3 if cues.style == "waltz" else 4,
    }
    named, clauses = ({}, []) if cues.empty else phrase_fields(rng, cues.style, values)
    values.update(named)
    lyrics, language = draw_lyrics(rng, job)
    values["language"] = language
    vocal = job in ("cot", "format") and lyrics not in ("", INSTRUMENTAL, "[instrumental]")
    return Example(
        job=job,
        text=NO_INPUT if cues.empty else request(rng, cues, clauses),
        lyrics=lyrics,
        instrumental=rng.random() < 0.7,
        values=values,
        answer_lyrics="" if job == "cot" or vocal else INSTRUMENTAL,
        style=cues.style,
        parts={part: asked for part, (_, asked) in cues.parts.items()},
        chords=chords if cues.chords else None,
        named=named,
        outside=cues.outside,
    )


def draw(rng: random.Random) -> Example:
    """One example of any job."""
    job = rng.choices(["cot", "create", "format", "understand"], [0.36, 0.36, 0.27, 0.01])[0]
    cues = draw_cues(rng)
    if job == "understand":
        cues = Cues(cues.style, empty=True)
    return example(rng, cues, job)


def drill(rng: random.Random) -> Example:
    """A short request that names a key and little else; copying starts here."""
    cues = draw_cues(rng)
    cues = Cues(cues.style, head=rng.choice(words.STYLES[cues.style]))
    while "keyscale" not in (drawn := example(rng, cues, rng.choice(["cot", "create"]))).named:
        pass
    return drawn
