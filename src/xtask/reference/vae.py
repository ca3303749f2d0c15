"""Fixtures of the autoencoder: AutoencoderOobleck of diffusers on small random weights, and the
decoder and encoder of the bundled model. Takes the output folder; float32 on the CPU."""

import json
import sys
from pathlib import Path

import torch
from diffusers.models.autoencoders.autoencoder_oobleck import (
    AutoencoderOobleck,
    OobleckDecoder,
    OobleckDiagonalGaussianDistribution,
    OobleckEncoder,
)
from safetensors.torch import load_file, save_file

out = Path(sys.argv[1])
demo = Path(__file__).parents[2] / "engine" / "demo-model" / "vae"


def lively(model):
    """Activations and gains away from their neutral start, so that a mix-up shows."""
    for name, parameter in model.named_parameters():
        if name.endswith((".alpha", ".beta")):
            parameter.data.normal_(0.0, 0.4)
        elif name.endswith("weight_g"):
            parameter.data.mul_(1.0 + 0.2 * torch.randn_like(parameter))


CONFIGS = {
    # The released ratios; an odd width, so that no panel of a kernel is full.
    "released_ratios": dict(
        encoder_hidden_size=6,
        downsampling_ratios=[2, 4, 4, 6, 10],
        channel_multiples=[1, 2, 2, 3, 3],
        decoder_channels=5,
        decoder_input_channels=3,
        audio_channels=2,
        sampling_rate=48000,
    ),
    "two_blocks": dict(
        encoder_hidden_size=16,
        downsampling_ratios=[6, 2],
        channel_multiples=[2, 3],
        decoder_channels=10,
        decoder_input_channels=8,
        audio_channels=1,
        sampling_rate=24000,
    ),
    # Odd strides: the transposed convolution gives one sample less than a multiple.
    "odd_strides": dict(
        encoder_hidden_size=8,
        downsampling_ratios=[3, 5, 2],
        channel_multiples=[1, 2, 3],
        decoder_channels=7,
        decoder_input_channels=4,
        audio_channels=2,
        sampling_rate=44100,
    ),
}
# Latent frames and samples: odd, and longer than a receptive field where that stays small.
LENGTHS = {"released_ratios": (4, 4 * 1920 + 333), "two_blocks": (61, 1001), "odd_strides": (37, 1003)}

for seed, (name, config) in enumerate(CONFIGS.items()):
    torch.manual_seed(seed)
    model = AutoencoderOobleck(**config).eval()
    lively(model)
    frames, samples = LENGTHS[name]
    latents = torch.randn(2, config["decoder_input_channels"], frames)
    audio = torch.randn(2, config["audio_channels"], samples)
    with torch.no_grad():
        decoded = model.decode(latents).sample
        moments = model.encode(audio).latent_dist
    print(name, "decoded", tuple(decoded.shape), f"rms {decoded.std():.3f}", "mean", tuple(moments.mean.shape),
          f"rms {moments.mean.std():.3f}")
    save_file(
        {k: v.contiguous() for k, v in model.state_dict().items()}
        | {
            "decode.latents": latents,
            "decode.audio": decoded,
            "encode.audio": audio,
            "encode.mean": moments.mean.contiguous(),
            "encode.std": moments.std,
        },
        out / f"vae_{name}.safetensors",
        metadata={"config": json.dumps(config)},
    )

# The bundled model has an encoder.conv2 wider than its encoder_hidden_size, which the class does
# not allow; its halves do.
config = json.loads((demo / "config.json").read_text())
weights = {k: v.float() for k, v in load_file(demo / "diffusion_pytorch_model.safetensors").items()}
ratios, multiples = config["downsampling_ratios"], config["channel_multiples"]
decoder = OobleckDecoder(
    config["decoder_channels"], config["decoder_input_channels"], config["audio_channels"], ratios[::-1], multiples
)
encoder = OobleckEncoder(config["encoder_hidden_size"], config["audio_channels"], ratios, multiples)
encoder.conv2 = torch.nn.utils.weight_norm(
    torch.nn.Conv1d(
        config["encoder_hidden_size"] * multiples[-1], 2 * config["decoder_input_channels"], kernel_size=3, padding=1
    )
)
for part, module in {"decoder": decoder, "encoder": encoder}.items():
    module.load_state_dict({k.removeprefix(f"{part}."): v for k, v in weights.items() if k.startswith(f"{part}.")})
    module.eval()
torch.manual_seed(7)
latents = torch.randn(1, config["decoder_input_channels"], 9)
audio = 0.3 * torch.randn(1, config["audio_channels"], 7 * 960 + 131)
with torch.no_grad():
    decoded = decoder(latents)
    moments = OobleckDiagonalGaussianDistribution(encoder(audio))
print("demo decoded", tuple(decoded.shape), f"rms {decoded.std():.3f}", "mean", tuple(moments.mean.shape))
save_file(
    {
        "decode.latents": latents,
        "decode.audio": decoded,
        "encode.audio": audio,
        "encode.mean": moments.mean.contiguous(),
        "encode.std": moments.std,
    },
    out / "vae_demo.safetensors",
)
