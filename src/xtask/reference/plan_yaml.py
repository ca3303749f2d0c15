"""How PyYAML writes plans: the texts the language model was trained on had its quoting and folding.

    python plan_yaml.py FIXTURES

Writes FIXTURES/plan_yaml.json: a list of [caption, what `yaml.dump` makes of it].
"""

import json
import pathlib
import random
import sys

import yaml

WORDS = "warm analogue bass, brushed drums and a close voice it's #1 pop: upbeat \"fun\" & bright - 80s e\u00e9 \u65e5\u672c\u306e\u6b4c 100% [live] 1:30 \U0001f3b5".split(" ")

HAND = [
    "An emotional, cinematic ballad that opens with a delicate piano arpeggio and a breathy female vocal, rising to strings",
    'Pop: upbeat, "fun" & bright', "It's a #1 hit: yes", "no", "No", "NO", "nO", "yes", "on", "off", "true", "False", "null", "Null", "~", "y", "n",
    "", " leading", "trailing ", "ends with:", "a: b", "a:b", "a #b", "a#b", "#start", "- dash", "-dash", "-", "? q", "?x", ": x", ":x", "[a]", "{a}", ",a",
    "&a", "*a", "!a", "|a", ">a", "'a'", '"a"', "%a", "@a", "`a`", "1e5", "1.0e+5", "1.5", "1.", ".5", ".", "..", "0x1F", "0b11", "012", "08", "1_000", "1:30", "10:75", "1:30.5",
    "12", "-12", "+3", "2001-01-01", "2001-1-1", "2001-01-01T10:00:00", "2001-01-01 10:00:00", "2001-13", ".inf", "-.inf", ".nan", ".NaN", "=", "<<", "---", "--- x", "...", "a\tb", "line1\nline2",
    "\u4e00" * 120, "x" * 100, "word  two  spaces " * 6 + "end", "a" * 76 + " b c d", "a" * 77 + " b c d", "a" * 78 + " b c d", "a" * 79 + " b c d",
    "it's " * 20 + "end", "caf\u00e9 \U0001f3b5 emoji", "'", "''", "a'b", "x: " + "long words here " * 8, "6/8", "4", "C# minor", "Bb major",
]


def main():
    random.seed(5)
    texts = list(HAND)
    for _ in range(200):
        texts.append(" ".join(random.choice(WORDS) for _ in range(random.randint(1, 40))).strip())
    cases = [[text, yaml.dump({"caption": text}, allow_unicode=True, sort_keys=True).strip()] for text in texts]
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan_yaml.json").write_text(json.dumps(cases, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


main()
