"""Scores of answers by a language model, from the text of planner.md 8.2, on transformers' logits.

    python lm_scores.py FIXTURES

Writes FIXTURES/lm/scores.safetensors and FIXTURES/lm/scores.json, for the model that lm.py writes (rebuilt
here from the same seeds). Answers take tokens of known ranks, so that recall is neither 0 nor 1; one is
longer than the engine makes logits for at once.
"""

import json
import pathlib
import sys

import lm
import torch

SCALE = 5.0
RANKS = [1, 3, 11, 2, 10, 5, 40, 1]


def answer(model, prompt, length):
    """Tokens of the ranks above, in turn."""
    ids = prompt.clone()
    for index in range(length):
        order = model(input_ids=ids).logits[0, -1].argsort(descending=True)
        ids = torch.cat([ids, order[RANKS[index % len(RANKS)] - 1].reshape(1, 1)], dim=1)
    return ids[:, prompt.shape[1] :]


def judged(model, prompt, target):
    """Mean log-probability and mean of what the ranks among the first ten are worth."""
    ids = torch.cat([prompt, target], dim=1)
    logits = model(input_ids=ids).logits[0, prompt.shape[1] - 1 : -1].double()
    own = torch.log_softmax(logits, dim=-1).gather(1, target.T)
    top = logits.topk(10, dim=-1).indices
    worth = []
    for row, token in zip(top.tolist(), target[0].tolist()):
        worth.append(1 - row.index(token) / 10 if token in row else 0.0)
    return own.mean().item(), sum(worth) / len(worth)


def main():
    out = pathlib.Path(sys.argv[1]) / "lm"
    model = lm.language_model(lm.LM, 141)
    generator = torch.Generator().manual_seed(191)
    draw = lambda length: torch.randint(0, lm.LM["vocab_size"], (1, length), generator=generator)
    song, none = draw(61), draw(29)
    tensors, told = {"song": song[0].to(torch.int32), "none": none[0].to(torch.int32)}, {"scale": SCALE, "answers": []}
    for index, length in enumerate([1, 7, 35]):
        target = answer(model, song if index != 1 else none, length)
        tensors[f"answer.{index}"] = target[0].to(torch.int32)
        (for_song, recall), (for_none, _) = judged(model, song, target), judged(model, none, target)
        likelier = torch.sigmoid(torch.tensor((for_song - for_none) / SCALE, dtype=torch.float64)).item()
        told["answers"].append({"log_prob": for_song, "recall": recall, "likelier": likelier})
    lm.tiny.write_tensors(out / "scores.safetensors", tensors)
    lm.tiny.write_json(out / "scores.json", told)


if __name__ == "__main__":
    with torch.no_grad():
        main()
