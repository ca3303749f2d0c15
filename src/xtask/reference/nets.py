"""Fixtures of every network: inputs and outputs of the reference, item by item.

    python nets.py FIXTURES

The weights are those of FIXTURES/pipeline/checkpoint, which `pipeline.py` writes from the same
seeds; only what has no place there carries weights of its own. Sequences are longer than the
window (8 on both sides), lengths are odd, and batches hold items of unequal length, padded for
the reference; of a padded item only the valid part is kept.
"""

import pathlib
import sys

import pipeline
import tiny
import torch


def randn(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def qwen3():
    """Ids of two lengths, run as a padded batch: causality makes right padding harmless."""
    model = tiny.text_encoder(tiny.QWEN3, 41)
    generator = torch.Generator().manual_seed(51)
    ids = torch.randint(0, tiny.QWEN3["vocab_size"], (2, 37), generator=generator)
    lengths = [37, 22]
    for row, length in enumerate(lengths):
        ids[row, length:] = 0
    output = model(input_ids=ids).last_hidden_state
    embedded = model.get_input_embeddings()(ids)
    result = {}
    for row, length in enumerate(lengths):
        result[f"ids.{row}"] = ids[row : row + 1, :length].to(torch.int32)
        result[f"embedded.{row}"] = embedded[row : row + 1, :length]
        result[f"output.{row}"] = output[row : row + 1, :length]
    return result


def lengths_mask(lengths):
    return torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]


def condition(encoder):
    """Lyric encoder alone, timbre encoder alone, and the packed sequence; two references for the
    first item and one for the second."""
    lyric_lengths, text_lengths = [29, 41], [23, 11]
    lyrics = randn(2, max(lyric_lengths), tiny.DIT["text_hidden_dim"], seed=61)
    text = randn(2, max(text_lengths), tiny.DIT["text_hidden_dim"], seed=62)
    references = randn(3, 45, tiny.CHANNELS, seed=63)
    lyric_mask, text_mask = lengths_mask(lyric_lengths), lengths_mask(text_lengths)
    order = torch.tensor([0, 0, 1])
    encoded = encoder.lyric_encoder(inputs_embeds=lyrics, attention_mask=lyric_mask)
    timbre, timbre_mask = encoder.timbre_encoder(references, order)
    packed, packed_mask = encoder(
        text_hidden_states=text,
        text_attention_mask=text_mask,
        lyric_hidden_states=lyrics,
        lyric_attention_mask=lyric_mask,
        refer_audio_acoustic_hidden_states_packed=references,
        refer_audio_order_mask=order,
    )
    result = {"references.0": references[:2], "references.1": references[2:]}
    for row in range(2):
        one = slice(row, row + 1)
        result[f"lyrics.{row}"] = lyrics[one, : lyric_lengths[row]]
        result[f"text.{row}"] = text[one, : text_lengths[row]]
        result[f"lyric_output.{row}"] = encoded[one, : lyric_lengths[row]]
        result[f"timbre_output.{row}"] = timbre[one, : int(timbre_mask[row].sum())]
        result[f"packed.{row}"] = packed[one, : int(packed_mask[row].sum())]
    return result


def timbre_2b():
    """The path without special token: encoder and decoder of one width, as in the 2B models."""
    config = {k: v for k, v in tiny.DIT.items() if not k.startswith("encoder_")}
    config = {**config, "hidden_size": 24, "intermediate_size": 40, "fsq_dim": 24}
    _, encoder, _, _ = tiny.build_dit_family(config, 71)
    references = randn(1, 43, tiny.CHANNELS, seed=72)
    output, _ = encoder.timbre_encoder(references, torch.tensor([0]))
    names = tiny.released_names(torch.nn.Module(), encoder, torch.nn.Module(), torch.nn.Module())
    weights = {name: value for name, value in names.items() if "timbre_encoder" in name}
    return config, weights, {"references": references, "output": output}


def dit(decoder, null):
    """Velocity and the states after every layer, for odd lengths, two items and the null branch."""
    result = {}
    for row, (frames, tokens, time) in enumerate([(61, 23, 1.0), (44, 17, 0.9545454545454546), (61, 1, 0.3)]):
        hidden = randn(1, frames, tiny.CHANNELS, seed=81 + row)
        context = randn(1, frames, 2 * tiny.CHANNELS, seed=91 + row)
        width = decoder.condition_embedder.in_features
        # The third is the unguided branch: the null embedding, repeated by the reference.
        encoded = null.expand(1, 19, width) if tokens == 1 else randn(1, tokens, width, seed=101 + row)
        states, hooks = [], []
        for layer in decoder.layers:
            hooks.append(layer.register_forward_hook(lambda _m, _i, output, states=states: states.append(output)))
        t = torch.tensor([time])
        output = decoder(
            hidden_states=hidden,
            timestep=t,
            timestep_r=t,
            encoder_hidden_states=encoded,
            context_latents=context,
            return_dict=False,
        )[0]
        for hook in hooks:
            hook.remove()
        result |= {f"hidden.{row}": hidden, f"context.{row}": context, f"time.{row}": t, f"output.{row}": output}
        result[f"condition.{row}"] = null if tokens == 1 else encoded
        result[f"states.{row}"] = torch.cat(states)
    times = torch.tensor([0.0, 0.3, 0.9545, 1.0])
    for name in ("time_embed", "time_embed_r"):
        temb, proj = getattr(decoder, name)(times)
        result |= {f"{name}.temb": temb, f"{name}.proj": proj}
    result["times"] = times
    return result


def audio_tokens(tokenizer, detokenizer, silence):
    """Latents whose number is no multiple of five, tokenised and brought back."""
    latents = randn(1, 63, tiny.CHANNELS, seed=111)
    quantized, codes = tokenizer.tokenize(latents, silence)
    # Codes are only comparable where no digit stands at the border of two levels.
    pooled = tokenizer.attention_pooler(
        tokenizer.audio_acoustic_proj(torch.cat([latents, silence[:, :2]], dim=1).reshape(1, 13, 5, -1))
    )
    levels = torch.tensor(tiny.DIT["fsq_input_levels"]).float()
    clamp = 1 + 1 / (levels - 1)
    unit = (levels - 1) * (((tokenizer.quantizer.project_in(pooled) / clamp).tanh() * clamp).clamp(-1, 1) + 1) / 2 + 0.5
    margin = (unit - unit.round()).abs().amin(dim=-1)
    some = torch.tensor([[0, 1, 7, 8, 511, 512, 35847, 63999, 12800, 2559]])
    vectors = tokenizer.quantizer.get_output_from_indices(some[..., None])
    return {
        "latents": latents,
        "silence": silence[:, :5],
        "quantized": quantized,
        "codes": codes[..., 0].to(torch.int32),
        "margin": margin,
        "decoded": detokenizer(quantized),
        "some_codes": some.to(torch.int32),
        "some_vectors": vectors,
        "some_decoded": detokenizer(vectors),
    }


def main():
    out = pathlib.Path(sys.argv[1]) / "nets"
    decoder, encoder, tokenizer, detokenizer = pipeline.build(tiny.DIT)
    tiny.write_tensors(out / "qwen3.safetensors", qwen3())
    tiny.write_tensors(out / "condition.safetensors", condition(encoder))
    config, weights, tensors = timbre_2b()
    tiny.write_json(out / "timbre_2b/config.json", config)
    tiny.write_tensors(out / "timbre_2b/model.safetensors", weights)
    tiny.write_tensors(out / "timbre_2b.safetensors", tensors)
    tiny.write_tensors(out / "dit.safetensors", dit(decoder, encoder.null_condition_emb))
    tiny.write_tensors(out / "audio_tokens.safetensors", audio_tokens(tokenizer, detokenizer, encoder.silence_latent))


if __name__ == "__main__":
    with torch.no_grad():
        main()
