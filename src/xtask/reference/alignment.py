"""Timed lyrics and alignment scores, written from the text of engine.md section 10 in numpy and torch.

    python alignment.py FIXTURES

Writes FIXTURES/alignment.safetensors and FIXTURES/alignment.json:
- `constructed.*`: attention made by hand (a ridge that wanders, noise, ties, more tokens than frames),
  what is left of it after sharpening, the path, token times and the score;
- `whole.*`: the cross-attention of some heads of diffusers' decoder, run on the song that pipeline.py
  fixed as case `turbo` (the checkpoint is rebuilt from the same seeds), and the lines that follow from
  its tokens. Random heads look everywhere a little, so the queries of their layers are made SHARPNESS
  times as large: then some of what they see is left after sharpening.

Every layer of the decoder runs here, and every head is computed; the engine stops after the last one
that it needs.
"""

import json
import pathlib
import sys

import numpy as np
import pipeline
import tiny
import torch
from safetensors.torch import load_file

STEPS = 8
HEADS = {0: [2], 2: [0, 1]}
SHARPNESS = 6.0
SECS_PER_FRAME = 0.08


def sharpened(attention):
    """[heads, tokens, frames] to [tokens, frames] (10.2, 1 to 3)."""
    p = torch.softmax(attention, dim=2) * torch.softmax(attention, dim=1)
    p = torch.relu(p - 2.0 * torch.quantile(p, 0.5, dim=2, keepdim=True))
    p = torch.relu(p - 2.0 * torch.quantile(p, 0.5, dim=1, keepdim=True))
    p = p**2
    p = (p - p.mean()) / (p.std(unbiased=False) + 1e-9)
    return p.mean(dim=0).numpy()


def dtw(cost):
    """Path from corner to corner (10.2, 4): list of (token, frame)."""
    rows, columns = cost.shape
    total = np.full((rows + 1, columns + 1), np.inf, dtype=np.float32)
    total[0, 0] = 0
    step = np.zeros((rows + 1, columns + 1), dtype=np.int8)
    for j in range(1, columns + 1):
        for i in range(1, rows + 1):
            diagonal, up, left = total[i - 1, j - 1], total[i - 1, j], total[i, j - 1]
            if diagonal < up and diagonal < left:
                best, step[i, j] = diagonal, 0
            elif up < diagonal and up < left:
                best, step[i, j] = up, 1
            else:
                best, step[i, j] = left, 2
            total[i, j] = np.float64(cost[i - 1, j - 1]) + np.float64(best)
    step[0, :] = 2
    step[:, 0] = 1
    i, j, path = rows, columns, []
    while i > 0 or j > 0:
        path.append((i - 1, j - 1))
        move = step[i, j]
        i -= move in (0, 1)
        j -= move in (0, 2)
    return [place for place in reversed(path) if min(place) >= 0]


def token_times(path, tokens):
    spans = []
    for token in range(tokens):
        frames = [frame for row, frame in path if row == token]
        spans.append((frames[0] * SECS_PER_FRAME, frames[-1] * SECS_PER_FRAME))
    return spans


def score(attention, sung):
    """10.3 with the token types given."""
    energy = attention.mean(dim=0).numpy()
    low, high = energy.min(), energy.max()
    energy = (energy - low) / (high - low) if high - low > 1e-9 else np.zeros_like(energy)
    path = dtw((-(energy**2)).astype(np.float32))
    energy = energy.astype(np.float64)
    rows = [row for row, is_sung in zip(energy, sung) if is_sung]
    coverage = float(np.mean([row.max() > 0.1 for row in rows])) if rows else 1.0
    centres = []
    for row in rows:
        heard = np.where(row > 0.01, row, 0.0)
        if heard.sum() > 0:
            centres.append(float((heard * np.arange(len(row))).sum() / heard.sum()))
    steps = [after >= before - 9 for before, after in zip(centres, centres[1:])]
    monotonicity = float(np.mean(steps)) if steps else 1.0
    confidence = float(np.mean([energy[place] for place in path]))
    return round(float(np.clip(coverage**2 * monotonicity**2 * confidence, 0, 1)), 4)


def described(name, attention, sung, tensors, told):
    gain = sharpened(attention)
    path = dtw(-gain.astype(np.float64))
    tensors[f"{name}.attention"] = attention
    tensors[f"{name}.sharpened"] = torch.from_numpy(gain)
    tensors[f"{name}.path"] = torch.tensor(path, dtype=torch.int32)
    told[name] = {"sung": sung, "times": token_times(path, attention.shape[1]), "score": score(attention, sung)}
    return told[name]["times"]


def constructed():
    """Attention whose sum over tokens is below one, as that of the lyric part of a condition is."""
    generator = torch.Generator().manual_seed(171)
    noise = lambda *shape: torch.rand(*shape, generator=generator)
    cases = {}
    for name, (heads, tokens, frames, ridge, mess) in {
        "ridge": (2, 24, 90, 6.0, 2.0),
        "faint": (3, 17, 70, 4.0, 4.0),
        "noise": (2, 20, 61, 0.0, 9.0),
        "crowded": (2, 33, 20, 7.0, 1.0),
    }.items():
        centre = torch.cumsum(0.2 + noise(tokens), 0)
        centre = centre / centre[-1] * (frames - 1)
        distance = (torch.arange(frames)[None, :] - centre[:, None]).abs()
        logits = mess * noise(heads, tokens, frames) + ridge * torch.exp(-((distance / (frames / tokens)) ** 2))
        cases[name] = 0.9 * torch.softmax(logits, dim=1)
    # Few different values, so that ways cost the same.
    cases["ties"] = (cases["noise"] * 5).round() / 5
    return cases


def captured(decoder, inputs):
    """Probabilities of the heads of HEADS, [heads, frames, condition], in the order of the layers."""
    states, hooks = {}, []
    for layer in HEADS:
        attention = decoder.layers[layer].cross_attn
        for kind in ("norm_q", "norm_k"):

            def remember(_module, _inputs, output, key=(layer, kind)):
                states[key] = output

            hooks.append(getattr(attention, kind).register_forward_hook(remember))
    decoder(**inputs, return_dict=False)
    for hook in hooks:
        hook.remove()
    maps = []
    for layer, heads in HEADS.items():
        query, key = states[layer, "norm_q"][0], states[layer, "norm_k"][0]  # [n, heads, d]
        repeat = query.shape[1] // key.shape[1]
        for head in heads:
            scores = query[:, head] @ key[:, head // repeat].T / query.shape[-1] ** 0.5
            maps.append(torch.softmax(scores.float(), dim=-1))
    return torch.stack(maps)


def spelt(tokenizer, ids):
    """What each token adds to the text decoded so far; nothing while a letter is not whole."""
    texts, before = [], ""
    for end in range(1, len(ids) + 1):
        now = tokenizer.decode(ids[:end])
        if now.endswith("\ufffd"):
            texts.append("")
            continue
        texts.append(now[len(before) :])
        before = now
    return texts


def lines(tokenizer, ids, times):
    texts, found, start = spelt(tokenizer, ids), [], 0
    for index, text in enumerate(texts):
        if "\n" in text or index + 1 == len(ids):
            line = tokenizer.decode(ids[start : index + 1]).strip()
            if line:
                found.append([round(times[start][0], 3), round(times[index][1], 3), line])
            start = index + 1
    return found


def whole(fixtures, tensors, told):
    """The song of case `turbo`, first item, with noise of its own."""
    decoder, encoder, _, _ = pipeline.build(tiny.DIT)
    for layer in HEADS:
        decoder.layers[layer].cross_attn.norm_q.weight *= SHARPNESS
    tokenizer = pipeline.load_tokenizer(fixtures / "pipeline/checkpoint/Qwen3-Embedding-0.6B")
    case = load_file(fixtures / "pipeline/turbo.safetensors")
    song, condition = case["latents"][:1], case["condition.0"]
    frames = song.shape[1]
    item = pipeline.ITEMS[0]
    ids = case["lyric_ids.0"].tolist()
    head = tokenizer(f"# Languages\n{item['vocal_language']}\n\n# Lyric\n", add_special_tokens=False).input_ids
    first, last = len(head), ids.index(tokenizer.pad_token_id)
    words = ids[first:last]

    noise = torch.randn(song.shape, generator=torch.Generator().manual_seed(181))
    context = torch.cat([encoder.silence_latent[:, :frames], torch.ones_like(song)], dim=-1)
    at = lambda x, t: captured(
        decoder,
        {
            "hidden_states": x,
            "timestep": torch.tensor([t]),
            "timestep_r": torch.tensor([t]),
            "encoder_hidden_states": condition,
            "context_latents": context,
        },
    )[:, :, first:last].transpose(1, 2).contiguous()
    t = 1 / STEPS
    texts = spelt(tokenizer, words)
    sung, inside = [], False
    for text in texts:
        inside = inside or "[" in text
        sung.append(not inside)
        inside = inside and "]" not in text
    times = described("whole", at(t * noise + (1 - t) * song, t), sung, tensors, told)
    told["whole"]["lines"] = lines(tokenizer, words, times)
    told["whole"]["lm_score"] = score(at(noise, 1.0), sung)
    told["whole"]["sharpness"] = SHARPNESS
    told["whole"]["heads"] = {str(layer): heads for layer, heads in HEADS.items()}
    tensors["whole.noise"] = noise


def main():
    fixtures = pathlib.Path(sys.argv[1])
    tensors, told = {}, {}
    for name, attention in constructed().items():
        # Some tokens are tags.
        sung = [token % 9 > 2 for token in range(attention.shape[1])]
        described(f"constructed.{name}", attention, sung, tensors, told)
    whole(fixtures, tensors, told)
    tiny.write_tensors(fixtures / "alignment.safetensors", tensors)
    path = fixtures / "alignment.json"
    path.write_text(json.dumps(told, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    with torch.no_grad():
        main()
