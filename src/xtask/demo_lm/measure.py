"""Measures the demo language model on requests it has not seen.

    python measure.py FOLDER [--count 300] [--seed 1000003] [--temperature 0] [--show 8]

Decodes without constraint through transformers and holds every answer against its request. The
requests come from the training grammar under another seed. A second list, written by hand, uses
words and turns outside the grammar.
"""

import argparse
import pathlib
import random
import re

import torch

import examples
import model
import words
from prompts import INSTRUMENTAL, NO_INPUT, user_turn

BLOCK = re.compile(
    r"<think>\nbpm: (?P<bpm>[1-9]\d{1,2})"
    r"\ncaption: (?P<caption>[^\n`]+)"
    r"\nduration: (?P<duration>\d{2,3})"
    r"\nkeyscale: (?P<keyscale>[A-G][#b♯♭]? (?:major|minor))"
    r"\nlanguage: (?P<language>en|unknown)"
    r"\ntimesignature: (?P<timesignature>[2346])"
    r"\n</think>(?P<after>.*)<\|im_end\|>",
    re.DOTALL,
)
STYLE_WORDS = {
    "house": ["house"],
    "techno": ["techno"],
    "ambient": ["ambient"],
    "chiptune": ["chiptune", "8-bit"],
    "lofi": ["lofi", "lo-fi"],
    "waltz": ["waltz"],
}
PART_WORDS = {"drums": r"drums|beat|percussion", "bass": r"bass(?:line)?", "lead": r"lead|melody"}
CHORD_WORDS = {"pad": "pads", "piano": "piano", "synth": r"synth(?! pads)"}
DENIAL = re.compile(r"\b(?:no|without)\b.*", re.IGNORECASE)

# Descriptions nobody generated, with the styles that would be a fair answer.
BY_HAND = [
    ("sad piano ballad about losing a friend", "lofi waltz ambient"),
    ("something I can dance to all night long", "house techno"),
    ("old video game level theme, cheerful", "chiptune"),
    ("relaxing background for a massage parlour", "ambient lofi"),
    ("loud rock with screaming guitars", "techno"),
    ("Viennese ball, ladies in long gowns, 3/4", "waltz"),
    ("chill beats while I do my homework", "lofi"),
    ("heavy industrial club banger, 140 bpm", "techno house"),
    ("deep sleep music, no drums", "ambient"),
    ("Mario-like jumping adventure", "chiptune"),
    ("an old carousel turning slowly in the snow", "waltz"),
    ("jazzy hip hop instrumental with electric piano", "lofi"),
    ("sunny disco pop for a holiday by the sea", "house"),
    ("dark warehouse rave at 3 am", "techno"),
    ("floating through outer space", "ambient"),
    ("romantic waltz in D major at 96 bpm with piano and no drums", "waltz"),
    ("a cosy cafe on a rainy afternoon", "lofi"),
    ("gym motivation, pumping and fast", "techno house"),
    ("boss battle in an arcade cabinet, 160 bpm, E minor", "chiptune"),
    ("gentle lullaby for a newborn", "waltz ambient lofi"),
    ("latin summer party with brass", "house"),
    ("metal with double kick drums", "techno"),
    ("film score for a documentary on whales", "ambient"),
    ("french musette with accordion", "waltz"),
    ("funky groove with a slap bass", "house"),
    ("una canción triste de piano", "lofi waltz ambient"),
    ("Ein fröhlicher Walzer", "waltz"),
    ("musique calme pour dormir", "ambient"),
    ("悲伤的钢琴曲", "lofi waltz ambient"),
    ("trance anthem, 138 bpm, A minor, 60 seconds", "techno"),
    ("reggae by the pool", "lofi house"),
    ("children's song for a cartoon about ducks", "chiptune"),
    ("meditation with soft pads, G major, two minutes", "ambient"),
    ("90s boom bap, dusty drums, no melody", "lofi"),
    ("drum and bass, 174 bpm", "techno"),
    ("country ballad", "lofi waltz"),
]


@torch.no_grad()
def decode(tokenizer, network, prompts: list[list[int]], temperature: float) -> list[str]:
    """The answers, greedily or by sampling, without constraint."""
    pad = network.config.pad_token_id
    answers = []
    for start in range(0, len(prompts), 50):
        part = prompts[start : start + 50]
        width = max(map(len, part))
        rows = torch.tensor([[pad] * (width - len(row)) + row for row in part])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in part])
        choice = (
            {"do_sample": True, "temperature": temperature} if temperature else {"do_sample": False}
        )
        out = network.generate(
            input_ids=rows, attention_mask=mask, max_new_tokens=160, pad_token_id=pad,
            eos_token_id=network.config.eos_token_id, **choice,
        )  # fmt: skip
        for row in out[:, width:].tolist():
            text = tokenizer.decode(row, skip_special_tokens=False)
            answers.append(
                text.split("<|im_end|>")[0] + "<|im_end|>" if "<|im_end|>" in text else text
            )
    return answers


class Tally:
    """Right of asked, by name."""

    def __init__(self):
        self.counts: dict[str, list[int]] = {}

    def add(self, name: str, right: bool) -> None:
        count = self.counts.setdefault(name, [0, 0])
        count[0] += right
        count[1] += 1

    def print(self) -> None:
        for name, (right, asked) in self.counts.items():
            print(f"| {name} | {right} of {asked} | {right / asked:.3f} |")


def styles_in(caption: str) -> list[str]:
    return [s for s, ws in STYLE_WORDS.items() if any(w in caption.lower() for w in ws)]


def judge(tally: Tally, example, answer: str) -> bool:
    """Holds one answer against its request; whether all was right."""
    found = BLOCK.fullmatch(answer)
    tally.add("valid block without constraint", found is not None)
    if not found:
        return False
    marks = []

    def mark(name, right):
        tally.add(name, right)
        marks.append(right)

    caption = found["caption"]
    bpm = int(found["bpm"])
    if "bpm" in example.named:
        mark("bpm copied when named", bpm == example.named["bpm"])
    else:
        low, high = words.USUAL[example.style][0]
        if example.text != NO_INPUT:
            mark("bpm usual for the style otherwise", low <= bpm <= high)
    if "keyscale" in example.named:
        mark("key copied when named", found["keyscale"] == example.named["keyscale"])
    if "duration" in example.named:
        mark("duration copied when named", int(found["duration"]) == example.named["duration"])
    else:
        mark("duration 20 to 120 s otherwise", 20 <= int(found["duration"]) <= 120)
    styles = styles_in(caption)
    if example.text == NO_INPUT:
        mark("one style chosen when nothing is asked", len(styles) == 1)
    else:
        where = "style of a word outside the vocabulary" if example.outside else "style word kept"
        mark(where, styles == [example.style])
    signature = "3" if "waltz" in styles else "4"
    mark("signature fits the style written", found["timesignature"] == signature)
    if example.style == "waltz" and "bpm" not in example.named and example.text != NO_INPUT:
        mark("waltz within 60 to 137 bpm", 60 <= bpm <= 137)
    denied = " ".join(DENIAL.findall(caption))
    present = DENIAL.sub("", caption)
    for part, asked in example.parts.items():
        there = re.search(rf"\b(?:{PART_WORDS[part]})\b", present if asked else denied)
        absent = asked or not re.search(rf"\b(?:{PART_WORDS[part]})\b", present)
        mark("instrument asked is named" if asked else "instrument denied is denied",
             bool(there) and bool(absent))  # fmt: skip
    if example.chords:
        mark("chord sound asked is named",
             bool(re.search(rf"\b(?:{CHORD_WORDS[example.chords]})\b", present)))  # fmt: skip
    wanted = f"\n\n{example.answer_lyrics}" if example.answer_lyrics else ""
    mark("lyrics form", found["after"] == wanted)
    mark("language", found["language"] == example.values["language"])
    return all(marks)


def main() -> None:
    """Prints the table of the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1_000_003)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--show", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(2)
    torch.manual_seed(options.seed)
    tokenizer, network = model.load(options.folder)
    rng = random.Random(options.seed)
    drawn = [examples.draw(rng) for _ in range(options.count)]
    prompts = [
        model.encode_prompt(tokenizer, e.job, user_turn(e.job, e.text, e.lyrics, e.instrumental))
        for e in drawn
    ]
    tally, shown = Tally(), 0
    for example, answer in zip(
        drawn, decode(tokenizer, network, prompts, options.temperature), strict=True
    ):
        right = judge(tally, example, answer)
        tally.add("all of these at once", right)
        if not right and shown < options.show:
            shown += 1
            print(f"MISSED {example.job}: {example.text!r}\n{answer}\n")
    tally.print()
    queries = [
        model.encode_prompt(tokenizer, "create", user_turn("create", text, "", True))
        for text, _ in BY_HAND
    ]
    by_hand = Tally()
    for (text, fair), answer in zip(
        BY_HAND, decode(tokenizer, network, queries, options.temperature), strict=True
    ):
        found = BLOCK.fullmatch(answer)
        styles = styles_in(found["caption"]) if found else []
        right = len(styles) == 1 and styles[0] in fair.split()
        by_hand.add("valid block, descriptions by hand", found is not None)
        by_hand.add("fair style, descriptions by hand", right)
        if found:
            by_hand.add(
                "lyrics form, descriptions by hand", found["after"] == f"\n\n{INSTRUMENTAL}"
            )
        if options.show:
            said = " ".join(answer.split("<think>")[-1].split())
            print(f"{'ok ' if right else 'OFF'} {text} -> {said[:200]}")
    by_hand.print()


if __name__ == "__main__":
    main()
