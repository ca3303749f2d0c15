"""How a request is worded: the fields it names, its clauses, its order, case and noise."""

import random

import words
from grammar import NOUNS, Cues, joined, key_name
from prompts import INSTRUMENTAL

SYLLABLES = "ba co du fe gi ha jo ku la mi no pe qua ri so tu va wo xi ya zen thra sk oll ing er ou"
SYLLABLES = SYLLABLES.split()
SECTIONS = ["[Verse]", "[Chorus]", "[Verse 1]", "[Verse 2]", "[Bridge]", "[Intro]", "[Outro]", ""]
# First and last letters of scripts, for lyrics whose words the model never sees twice.
SCRIPTS = [(0x4E00, 0x9FA5), (0x3041, 0x30F6), (0xAC00, 0xD7A3), (0x430, 0x44F), (0x627, 0x64A),
           (0x905, 0x939), (0xE0, 0xFC)]  # fmt: skip
MINUTES = {60: ["1 minute", "one minute", "a minute"], 120: ["2 minutes", "two minutes"],
           90: ["a minute and a half", "1.5 minutes"], 180: ["3 minutes", "three minutes"],
           30: ["half a minute"]}  # fmt: skip


def phrase_fields(rng: random.Random, style: str, values: dict) -> tuple[dict, list[str]]:
    """Fields the request names, with one clause each."""
    named, clauses = {}, []
    if rng.random() < 0.4:
        top = 137 if style == "waltz" else 180
        bpm = rng.randint(60, top) if rng.random() < 0.92 else rng.randint(30, 220)
        named["bpm"] = bpm
        forms = [
            "{} bpm",
            "{} BPM",
            "at {} bpm",
            "at {} BPM",
            "bpm {}",
            "tempo {}",
            "{}bpm",
            "around {} bpm",
            "tempo of {}",
            "bpm: {}",
            "at {} beats per minute",
            "@ {} bpm",
        ]
        clauses.append(rng.choice(forms).format(bpm))
    if rng.random() < 0.5:
        mode = (
            values["keyscale"].split()[1] if rng.random() < 0.5 else rng.choice(["major", "minor"])
        )
        key = key_name(rng, mode)
        named["keyscale"] = key
        tonic = key.split()[0]
        forms = [
            f"in {key}",
            key,
            f"key of {key}",
            f"in the key of {key}",
            f"key: {key}",
            f"in {key}",
        ]
        if rng.random() < 0.12:
            forms = [
                f"in {tonic}{'m' if mode == 'minor' else ' maj'}",
                f"in {tonic} {mode[:3]}",
                f"in {tonic.lower()} {mode}",
            ]
        clauses.append(rng.choice(forms))
    if rng.random() < 0.22:
        seconds = rng.choice([rng.randint(10, 240), rng.choice([15, 20, 30, 45, 60, 90, 120, 180])])
        named["duration"] = seconds
        if seconds in MINUTES and rng.random() < 0.6:
            length = rng.choice(MINUTES[seconds])
            forms = ["{}", "{} long", "about {} long", "lasting {}"]
        else:
            length = seconds
            forms = [
                "{} seconds",
                "{} seconds long",
                "{}s",
                "{} sec",
                "lasting {} seconds",
                "about {} seconds",
                "duration {} seconds",
                "{} s",
            ]
        clauses.append(rng.choice(forms).format(length))
    if rng.random() < 0.14:
        three = style == "waltz"
        named["timesignature"] = 3 if three else 4
        forms = ["in 3/4", "3/4", "in 3/4 time", "three-four time", "3/4 time", "in 6/8"]
        if not three:
            forms = ["in 4/4", "4/4", "in 4/4 time", "four-four time", "4/4 beat"]
        clauses.append(rng.choice(forms))
    if not {"bpm", "duration"} & named.keys() and rng.random() < 0.08:
        low, high = words.USUAL[style][0]
        slow = rng.random() < 0.5
        values["bpm"] = rng.randint(low, low + 8) if slow else rng.randint(high - 8, high)
        clauses.append(
            rng.choice(
                ["slow tempo", "slow", "not too fast"] if slow else ["fast tempo", "fast", "quick"]
            )
        )
    return named, clauses


def noise_word(rng: random.Random) -> str:
    """A word nobody knows, so that unknown words are learnt to mean nothing."""
    return "".join(rng.choice(SYLLABLES) for _ in range(rng.randint(2, 4)))


def prose(rng: random.Random) -> str:
    """A stretch of words that say nothing about the music."""
    bank = words.LYRIC_WORDS if rng.random() < 0.7 else words.LYRIC_FOREIGN
    opener = rng.choice(["about ", "that tells of ", "where ", "for someone who ", ""])
    return opener + " ".join(
        rng.choice([*bank, noise_word(rng)]) for _ in range(rng.randint(3, 14))
    )


def part_clauses(rng: random.Random, cues: Cues) -> list[str]:
    """Clauses for the instruments of a request."""
    if cues.only:
        word = cues.chords[0]
        return [rng.choice([f"only {word}", f"just {word}", f"solo {word}", f"{word} only",
                            f"nothing but {word}"])]  # fmt: skip
    asked = [word for word, wanted in cues.parts.values() if wanted]
    if cues.chords:
        asked.insert(rng.randint(0, len(asked)), cues.chords[0])
    denied = [word for word, wanted in cues.parts.values() if not wanted]
    rng.shuffle(asked)
    rng.shuffle(denied)
    clauses = []
    if asked:
        lead = rng.choice(["with ", "featuring ", "with ", "", "and ", "including "])
        adjective = rng.choice(["", "", "", "some ", "big ", "nice ", "heavy "])
        if adjective and not asked[0].startswith("a"):
            asked[0] = adjective + asked[0]
        clauses.append(lead + joined(asked, rng))
    if denied:
        form = rng.choice(
            ["no {}", "without {}", "no {}", "without any {}", "{} off", "don't use {}"]
        )
        if form == "no {}":
            clauses.append(joined([f"no {word}" for word in denied], rng))
        else:
            clauses.append(
                form.format(" or ".join(denied) if "without" in form else joined(denied))
            )
    rng.shuffle(clauses)
    return clauses


def request(rng: random.Random, cues: Cues, fields: list[str]) -> str:
    """The whole request as one line of text."""
    moods = [word for word, _ in cues.moods if word]
    head = cues.head or ""
    if cues.foreign:
        rng.shuffle(cues.foreign)
        head = " ".join(cues.foreign)
    if rng.random() < 0.12:
        moods.insert(rng.randint(0, len(moods)), noise_word(rng))
    scene = f"for {cues.scene}" if cues.scene else ""
    if cues.scene and rng.random() < 0.4:
        scene = rng.choice(["music for {}", "something for {}", "{}", "like {}", "about {}",
                            "that fits {}", "perfect for {}", "to play during {}"])  # fmt: skip
        scene = scene.format(cues.scene)
    topic = ""
    if rng.random() < 0.15:
        topic = f"about {rng.choice(words.TOPICS) if rng.random() < 0.7 else noise_word(rng)}"
    voice = ""
    if rng.random() < 0.1:
        voice = rng.choice(["female vocals", "with a male singer", "with vocals", "instrumental",
                            "a woman sings", "rap vocals", "no vocals", "no voice"])  # fmt: skip
    if rng.random() < 0.15:
        topic = prose(rng)
    parts = part_clauses(rng, cues)
    noun = rng.choice(NOUNS) if rng.random() < 0.6 else ""
    tail = [clause for clause in [*parts, *fields, scene, topic, voice] if clause]
    style = rng.random()
    if style < 0.3:  # tags
        tags = [*moods, head, *tail]
        rng.shuffle(tags)
        text = rng.choice([", ", ", ", " ", "; ", " / "]).join(tag for tag in tags if tag)
    else:
        rng.shuffle(tail)
        core = " ".join(word for word in [rng.choice([", ", " ", " and "]).join(moods), head, noun]
                        if word)  # fmt: skip
        opener = rng.choice(
            [
                "",
                "",
                "",
                "a ",
                "make a ",
                "I want a ",
                "please make me a ",
                "give me ",
                "something ",
                "create a ",
                "this is a ",
                "compose a ",
                "some ",
            ]
        )
        if not core:
            opener, core = "", rng.choice(["music", "a song", "something", "a track", "make music"])
        join = rng.choice([" ", ", ", " ", ". "])
        text = join.join([opener + core, *tail])
    if not text.strip():
        text = "music"
    case = rng.random()
    if case < 0.4:
        text = text[0].upper() + text[1:]
    elif case < 0.44:
        text = text.title() if rng.random() < 0.7 else text.upper()
    return text + rng.choice(["", "", ".", "!"])


def draw_lyrics(rng: random.Random, job: str) -> tuple[str, str]:
    """The lyrics slot and the language it tells."""
    roll = rng.random()
    if job in ("create", "understand") or roll < 0.5:
        return (INSTRUMENTAL if roll < 0.42 else "[instrumental]"), "unknown"
    if roll < 0.56:
        return "", "unknown"
    english = rng.random() < 0.6
    bank = words.LYRIC_WORDS if english else words.LYRIC_FOREIGN
    script = rng.choice(SCRIPTS) if not english and rng.random() < 0.6 else None
    strange = rng.choice([0.1, 0.3])
    lines = []
    for _ in range(rng.randint(12, 90) if rng.random() < 0.35 else rng.choice([1, 2, 4, 4, 8])):
        if rng.random() < 0.2:
            lines.append(rng.choice(SECTIONS))
        line = []
        for _ in range(rng.randint(2, 7)):
            if script and rng.random() < 0.7:
                line.append("".join(chr(rng.randint(*script)) for _ in range(rng.randint(1, 4))))
            else:
                line.append(noise_word(rng) if rng.random() < strange else rng.choice(bank))
        text = " ".join(line) + rng.choice(["", "", ",", "."])
        lines.append((text[0].upper() + text[1:]) if rng.random() < 0.7 else text)
    return "\n".join(lines).strip(), "en" if english else "unknown"
