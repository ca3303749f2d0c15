"""Trains the demo language model, `acestep-5Hz-lm-demo`.

    python train.py OUTPUT [--minutes 14] [--seed 7] [--threads 2] [--steps N] [--resume FOLDER]

OUTPUT is the model folder. Examples are drawn afresh for every batch; only the answers are
learnt. Values that the studio forces (a bpm the user set) are in the text but not in the loss, so
what follows stays sensible after any of them. With `--steps` the result depends on the seed alone;
with `--minutes` also on how many steps fit.
"""

import argparse
import os
import pathlib
import random
import time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that wait give way

import torch
from torch.nn import functional

import examples
import model
from prompts import FIELDS, IM_END, SPECIALS, answer_pieces, user_turn

BATCH = 32
NAMED = 5  # weight of values the request names: copying is the hardest to learn
DRILLED = 0.35  # share of short requests without a caption
MOST_TOKENS = 6000  # of a batch; long ones hold fewer than BATCH sequences
POOL = 32  # batches drawn together and cut by length
KEYS = [f"{tonic}{sign} {mode}" for tonic in "ABCDEFG" for sign in ("", "#", "b", "♯", "♭")
        for mode in ("major", "minor")]  # fmt: skip
LANGUAGES = ["en", "zh", "ja", "de", "es", "fr", "it", "ko", "pt", "ru", "unknown"]


def forced_value(rng: random.Random, field: str, value):
    """A value a user could force, whatever the request says."""
    if rng.random() < 0.5:
        return value
    return {
        "bpm": lambda: rng.randint(30, 300),
        "duration": lambda: rng.randint(10, 600),
        "keyscale": lambda: rng.choice(KEYS),
        "language": lambda: rng.choice(LANGUAGES),
        "timesignature": lambda: rng.choice([2, 3, 4, 6]),
    }[field]()


def sequence(rng: random.Random, tokenizer) -> tuple[list[int], list[int], list[int], int]:
    """Token ids, labels (-100 where nothing is learnt), weights and the length of the prompt."""
    drilled = rng.random() < DRILLED
    example = examples.drill(rng) if drilled else examples.draw(rng)
    control = model.ids(tokenizer)
    user = user_turn(example.job, example.text, example.lyrics, example.instrumental)
    tokens = model.encode_prompt(tokenizer, example.job, user)
    prompt = len(tokens)
    labels, weights = [-100] * prompt, [0] * prompt
    values, forced = dict(example.values), set()
    if not drilled and rng.random() < 0.3:
        for field in FIELDS:
            if field != "caption" and rng.random() < 0.35:
                values[field] = forced_value(rng, field, values[field])
                forced.add(field)
    skipped = {"caption"} if drilled else set()
    if not drilled and example.job in ("cot", "format") and rng.random() < 0.2:
        skipped = set(rng.choice([["caption"], ["language"], ["caption", "language"]]))
    fields = [field for field in FIELDS if field not in skipped]
    # Leaving a field out is the studio's choice: the jump to the next name is not learnt.
    unsaid = {f"{FIELDS[FIELDS.index(field) + 1]}:" for field in skipped}
    span, spans, named = "", [], []

    def flush():
        nonlocal span
        if span:
            encoding = tokenizer.encode(span, add_special_tokens=False)
            for token, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
                tokens.append(token)
                hidden = any(a <= start and end <= b for a, b in spans)
                labels.append(-100 if hidden else token)
                weights.append(NAMED if any(a <= start and end <= b for a, b in named) else 1)
        span = ""
        spans.clear()
        named.clear()

    for text, field in answer_pieces(values, fields, example.answer_lyrics):
        if text in SPECIALS:
            flush()
            tokens.append(control[text])
            labels.append(control[text])
            weights.append(1)
        else:
            if text in unsaid:
                spans.append((len(span), len(span) + len(text)))
            if field in forced:
                spans.append((len(span), len(span) + len(text)))
            elif field in example.named:
                named.append((len(span), len(span) + len(text)))
            span += text
    assert tokens[-1] == control[IM_END]
    return tokens, labels, weights, prompt


def batches(rng: random.Random, tokenizer):
    """Endless padded batches of (ids, labels, weights, positions)."""
    while True:
        pool = sorted(
            (sequence(rng, tokenizer) for _ in range(BATCH * POOL)), key=lambda s: len(s[0])
        )
        cuts: list[list] = [[]]
        for one in pool:
            if len(cuts[-1]) == BATCH or (len(cuts[-1]) + 1) * len(one[0]) > MOST_TOKENS:
                cuts.append([])
            cuts[-1].append(one)
        rng.shuffle(cuts)
        for cut in cuts:
            width = max(len(tokens) for tokens, *_ in cut)
            rows, labels, weights, positions = [], [], [], []
            for tokens, label, weight, prompt in cut:
                pad = width - len(tokens)
                rows.append(tokens + [0] * pad)
                labels.append(label + [-100] * pad)
                weights.append(weight + [0] * pad)
                # A jump of positions in some prompts stands for lyrics longer than any drawn.
                jump = rng.randint(1, 1500) if rng.random() < 0.25 else 0
                at = rng.randint(prompt * 2 // 3, prompt - 8)
                positions.append([p + (jump if p >= at else 0) for p in range(width)])
            yield tuple(map(torch.tensor, (rows, labels, weights, positions)))


def optimisers(network) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for the embedding and the norms."""
    matrices = [p for n, p in network.named_parameters() if p.ndim == 2 and "embed" not in n]
    others = [p for n, p in network.named_parameters() if p.ndim != 2 or "embed" in n]
    return [
        torch.optim.Muon(matrices, lr=0.02, momentum=0.95, weight_decay=0.01),
        torch.optim.AdamW(others, lr=4e-3, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def loss_of(network, rows, labels, weights, positions) -> torch.Tensor:
    """Weighted mean cross-entropy of the answers; logits are made only where something is learnt."""
    # The all-ones mask keeps jumps of positions from being read as packed sequences.
    hidden = network.model(
        input_ids=rows,
        position_ids=positions,
        attention_mask=torch.ones_like(rows),
        use_cache=False,
    ).last_hidden_state[:, :-1]
    wanted = labels[:, 1:]
    learnt = wanted != -100
    each = functional.cross_entropy(
        network.lm_head(hidden[learnt]), wanted[learnt], reduction="none"
    )
    share = weights[:, 1:][learnt].float()
    return (each * share).sum() / share.sum()


def main() -> None:
    """Trains and writes the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--minutes", type=float, default=14)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--rate", type=float, default=1.0, help="factor on the learning rates")
    parser.add_argument("--resume", type=pathlib.Path, help="folder to go on from")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    if options.resume:
        tokenizer, network = model.load(options.resume)
    else:
        tokenizer = model.train_tokenizer(options.seed)
        network = model.build(tokenizer)
    network.train()
    count = sum(p.numel() for p in network.parameters())
    print(f"{count} parameters, {tokenizer.get_vocab_size()} tokens", flush=True)
    steppers = optimisers(network)
    peaks = [group["lr"] for stepper in steppers for group in stepper.param_groups]
    feed = batches(random.Random(options.seed + 1), tokenizer)
    start, step, mean, seen = time.monotonic(), 0, None, 0
    while True:
        done = (
            step / options.steps
            if options.steps
            else (time.monotonic() - start) / (60 * options.minutes)
        )
        if done >= 1:
            break
        scale = min(1.0, (step + 1) / 60) * min(1.0, (1 - done) / 0.5 + 0.01)
        groups = [group for stepper in steppers for group in stepper.param_groups]
        for group, peak in zip(groups, peaks, strict=True):
            group["lr"] = peak * scale * options.rate
        batch = next(feed)
        loss = loss_of(network, *batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for stepper in steppers:
            stepper.step()
            stepper.zero_grad(set_to_none=True)
        mean = loss.item() if mean is None else 0.98 * mean + 0.02 * loss.item()
        step, seen = step + 1, seen + batch[0].numel()
        if step % 50 == 0:
            passed = time.monotonic() - start
            print(f"step {step} loss {mean:.4f} {seen / passed:.0f} tokens/s {passed:.0f} s",
                  flush=True)  # fmt: skip
        if step % 100 == 0:
            model.save(options.output, tokenizer, network)
    model.save(options.output, tokenizer, network)
    print(f"{step} steps, {seen} tokens, {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
