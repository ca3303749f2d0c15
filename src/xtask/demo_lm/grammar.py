"""What a request can say, and the caption the demo DiT understands that answers it."""

import dataclasses
import random

import words

SHARPS = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"]
FLATS = ["C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B"]
NOUNS = ["track", "song", "piece", "music", "loop", "tune", "beat", "instrumental"]


def article(phrase: str) -> str:
    """`phrase` with its indefinite article."""
    return f"{'an' if phrase[0].lower() in 'aeiou' or phrase.startswith('8') else 'a'} {phrase}"


def joined(items: list[str], rng: random.Random | None = None) -> str:
    """A list in words."""
    if len(items) < 2:
        return "".join(items)
    comma = "," if rng and rng.random() < 0.2 else ""
    return f"{', '.join(items[:-1])}{comma} and {items[-1]}"


def key_name(rng: random.Random, mode: str) -> str:
    return f"{rng.choice(rng.choice([SHARPS, FLATS]))} {mode}"


def plan_bpm(rng: random.Random, style: str, tilt: int) -> int:
    """A plausible tempo: the style's range, its lower or upper half under a slow or fast mood."""
    low, high = words.USUAL[style][0]
    middle = (low + high) // 2
    low, high = {-1: (low, middle), 0: (low, high), 1: (middle, high)}[tilt]
    bpm = rng.randint(low, high)
    return bpm if rng.random() < 0.4 else min(high, max(low, round(bpm / 4) * 4))


@dataclasses.dataclass
class Cues:
    """What the words of a request say, and the words."""

    style: str
    head: str | None = None  # style or genre word
    moods: list = dataclasses.field(default_factory=list)  # (word, mood)
    scene: str | None = None
    foreign: list = dataclasses.field(default_factory=list)
    parts: dict = dataclasses.field(default_factory=dict)  # part -> (word, asked?)
    chords: tuple | None = None  # (word, kind)
    only: str | None = None
    outside: bool = False
    empty: bool = False


def draw_mood(rng: random.Random, outside: bool) -> tuple[str, str]:
    mood = rng.choice(list(words.MOODS))
    further = words.MOODS[mood][0]
    return (rng.choice(further) if rng.random() < (0.8 if outside else 0.35) else mood), mood


def draw_cues(rng: random.Random) -> Cues:
    """Style first, then words that lead to it; the strongest word present decides the style."""
    style = rng.choice(list(words.STYLES))
    cues = Cues(style)
    kind = rng.random()
    if kind < 0.45:
        cues.head = rng.choice(words.STYLES[style])
        if rng.random() < 0.35:
            cues.head = words.STYLES[style][0]
        if rng.random() < 0.2:  # the style word wins over the scene
            cues.scene = rng.choice(rng.choice(list(words.SCENES.values())))
    elif kind < 0.74:
        cues.outside = True
        cues.head = rng.choice(words.GENRES[style])
        if rng.random() < 0.2:
            cues.scene = rng.choice(rng.choice(list(words.SCENES.values())))
    elif kind < 0.87:
        cues.outside = True
        cues.scene = rng.choice(words.SCENES[style])
    elif kind < 0.93:
        cues.outside = True
        choices = [word for word, what in words.FOREIGN.items() if what == ("style", style)]
        cues.foreign.append(rng.choice(choices))
        if rng.random() < 0.5:
            moods = [(word, what[1]) for word, what in words.FOREIGN.items() if what[0] == "mood"]
            word, mood = rng.choice(moods)
            cues.foreign.append(word)
            cues.moods.append((None, mood))
    elif kind < 0.97:  # only a mood tells
        cues.outside = True
        word, mood = draw_mood(rng, True)
        cues.moods.append((word, mood))
        cues.style = words.MOODS[mood][3]
    else:
        cues.empty = True
        return cues
    if not cues.foreign and not cues.moods:
        for _ in range(rng.choice([0, 1, 1, 2])):
            word, mood = draw_mood(rng, cues.outside)
            if mood not in [m for _, m in cues.moods]:
                cues.moods.append((word, mood))
    draw_parts(rng, cues)
    return cues


def draw_parts(rng: random.Random, cues: Cues) -> None:
    """Instruments asked for, denied, or left open."""
    if rng.random() < 0.04:
        cues.only = rng.choice(list(words.CHORDS))
        cues.chords = (words.CHORDS[cues.only][0][0], cues.only)
        cues.parts = {part: (None, False) for part in words.PARTS}
        return
    for part, (known, further) in words.PARTS.items():
        roll = rng.random()
        if roll < 0.24:
            word = rng.choice(further if rng.random() < 0.4 else known)
            cues.parts[part] = (word, True)
        elif roll < 0.38:
            word = rng.choice(known).removeprefix("a ") if rng.random() < 0.3 else part
            cues.parts[part] = ("melody" if word == "lead" and rng.random() < 0.5 else word, False)
    if rng.random() < 0.32:
        kind = rng.choice(list(words.CHORDS))
        known, further = words.CHORDS[kind]
        cues.chords = (rng.choice(further if rng.random() < 0.4 else known), kind)


def caption(rng: random.Random, cues: Cues) -> tuple[str, dict, str]:
    """The caption that answers, with the parts and the chord sound it describes."""
    style = cues.style
    usual, chords = words.USUAL[style][1:3]
    known_head = cues.head in words.STYLES[style]
    head = (
        cues.head if known_head else rng.choice(words.STYLES[style][:1] * 3 + words.STYLES[style])
    )
    moods = [mood for _, mood in cues.moods] or [rng.choice(words.STYLE_MOODS[style])]
    if len(moods) == 1 and rng.random() < 0.35:
        further = rng.choice(words.STYLE_MOODS[style])
        moods += [further] if further not in moods else []
    moods = [mood for mood in moods if mood not in head] or []
    chords = cues.chords[1] if cues.chords else chords
    present = {
        part: cues.parts[part][1] if part in cues.parts else part in usual for part in words.PARTS
    }
    listed = []
    if cues.chords and cues.chords[0] in words.CHORDS[chords][0]:
        listed.append(cues.chords[0])
    else:
        listed.append(rng.choice(words.CHORDS[chords][0]))
    for part in words.PARTS:
        known = words.PARTS[part][0]
        if present[part]:
            asked = cues.parts.get(part, (None,))[0]
            listed.append(asked if asked in known else rng.choice(known))
    if rng.random() < 0.5:
        listed = listed[1:] + listed[:1]
    absent = [part for part in words.PARTS if part in cues.parts and not cues.parts[part][1]]
    names = ["melody" if part == "lead" and rng.random() < 0.5 else part for part in absent]
    adjectives = ", ".join(moods)
    noun = "" if head.endswith("music") else rng.choice(["", " track", " song", " piece", " music"])
    phrase = f"{adjectives} {head}{noun}".strip()
    denied = joined([f"no {name}" for name in names])
    without = f"without {joined(names)}"
    frame = rng.randrange(4)
    if frame == 0:
        line = f"{phrase} with {joined(listed)}" + (f", {denied}" if denied else "")
    elif frame == 1:
        body = phrase if phrase.endswith("music") else article(phrase)
        line = f"{body} featuring {joined(listed)}" + (f", {without}" if names else "")
    elif frame == 2:
        line = ", ".join([f"{head}{noun}", *moods, *listed, *([denied] if denied else [])])
    else:
        line = f"{phrase} based on {listed[0]}"
        line += f" along with {joined(listed[1:])}" if listed[1:] else ""
        line += f". {without[0].upper()}{without[1:]}" if names else ""
    return f"{line[0].upper()}{line[1:]}.", present, chords
