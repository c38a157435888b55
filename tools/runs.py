"""The stored trainings that lectures load: `make runs`, or one of them, `make runs ONLY=ddpm_digits`.

Each ends in two files in lectures/runs/: NAME.safetensors, the model's weights, in half precision to keep them small
(or, of a strip, pictures), and NAME.json, the history, with the command that made both.
"""

import argparse
import copy
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import side_by_side
import torch
from safetensors.torch import save_file

from genlib import data, diffusion, gan, metrics, train

RUNS = Path(__file__).parents[1] / "lectures" / "runs"
LARGEST = 500_000  # bytes
LAMBDAS = (0.0, 1.0, 5.0, 20.0, 100.0)
TEXTURE_STEPS = 900
FACTOR_STEPS = 1200
SHOWN = 10  # maps and pictures of the strip


def ddpm_digits() -> tuple[torch.nn.Module, train.History]:
    """The class-conditional model of lecture 04, trained ten times as long as there."""
    torch.manual_seed(0)
    ddpm = diffusion.DDPM(diffusion.UNet.digits(), diffusion.Schedule.cosine(T=1000), predict="v", levels=17)
    objective = diffusion.Denoising(ddpm, lr=4e-3)
    return ddpm, train.fit(objective, data.digits("train"), steps=4000, seed=0, log_every=40)


def textures(
    lam: float = 5.0, *, adversarial: float = 1.0, conditional: bool = True
) -> tuple[torch.nn.Module, train.History]:
    """pix2pix on textures, with a D as in the paper, which sees the map beside the photo; kept is the generator."""
    torch.manual_seed(0)
    G = gan.UNetGenerator(3, 1, width=24, depth=3, noise=4)
    D = gan.PatchDiscriminator(4 if conditional else 1, width=24, n_layers=2)
    objective = gan.Pix2Pix(G, D, lam=lam, lr=4e-4, adversarial=adversarial, conditional=conditional)
    return G, fit_textures(objective, TEXTURE_STEPS)


def textures_factor(lam: float = 5.0, *, beside: bool = False, seed: int = 0) -> tuple[torch.nn.Module, train.History]:
    """With the map as a factor in D, smaller patches, a faster D, mismatched pairs, variety, and for longer.

    The recipe of benchmarks/textures.py. `beside` changes one thing: D sees the map beside the photo, as above.
    """
    torch.manual_seed(seed)
    G = gan.UNetGenerator(3, 1, width=24, depth=3, noise=4)
    D = gan.PatchDiscriminator(4 if beside else 1, width=24, n_layers=1, projection=0 if beside else 3)
    objective = gan.Pix2Pix(G, D, lam=lam, lr=4e-4, lr_D=2e-3, mismatched=2.0, variety=5.0)
    return G, fit_textures(objective, FACTOR_STEPS, seed)


def fit_textures(objective: gan.Pix2Pix, steps: int, seed: int = 0) -> train.History:
    objective.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return train.fit(objective, data.textures(2000, seed=0), steps=steps, batch_size=8, seed=seed, log_every=10)


ALL: dict[str, Callable[[], tuple[torch.nn.Module, train.History]]] = {
    "ddpm_digits": ddpm_digits,
    "textures_both": textures,
    "textures_factor": textures_factor,
    "textures_beside": partial(textures_factor, beside=True),
    "textures_l1": partial(textures, 100.0, adversarial=0.0),
    "textures_cgan": partial(textures, 0.0),
    "textures_unconditional": partial(textures, 0.0, conditional=False),
    **side_by_side.ALL,
}


def store(name: str) -> None:
    """Train, then write weights and history."""
    model, history = ALL[name]()
    weights, curves = RUNS / f"{name}.safetensors", RUNS / f"{name}.json"
    train.save(copy.deepcopy(model).half(), weights)
    history.command = f"make runs ONLY={name}"
    history.save(curves)
    check_size(weights, curves)
    print(f"{name}: {history.step[-1]} steps in {history.seconds:.0f} s")


def textures_lambda() -> None:
    """A strip for lecture 02: what generators make of the same maps and noise, each trained with another λ."""
    held_out = data.textures(256, seed=999)
    pictures, numbers = [], {"detail": [], "error": [], "l1": [], "accuracy": []}
    for lam in LAMBDAS:
        G, history = textures_factor(lam)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():  # 64 at a time, as in the lecture: the norms look at a batch
            y = torch.cat([G(x, generator=generator) for x in held_out.x.split(64)])
        pictures.append(to_bytes(y[:SHOWN, 0]))
        numbers["detail"].append(metrics.detail(y, held_out.y))
        numbers["error"].append(metrics.spectrum_error(y, held_out.y))
        numbers["l1"].append(float((y - held_out.y).abs().mean()))
        numbers["accuracy"].append(metrics.texture_accuracy(held_out.x, y))
        print(f"λ = {lam:g}: {FACTOR_STEPS} steps in {history.seconds:.0f} s", flush=True)
    tensors = {name: torch.tensor(values) for name, values in numbers.items()}
    tensors |= {"lam": torch.tensor(LAMBDAS), "pictures": torch.stack(pictures)}
    tones = torch.tensor([0.8, 0.0, -0.8])[:, None, None]  # brick light, grass grey, gravel dark, as in the lecture
    tensors |= {"maps": to_bytes((held_out.x[:SHOWN] * tones).sum(1)), "real": to_bytes(held_out.y[:SHOWN, 0])}
    weights, curves = RUNS / "textures_lambda.safetensors", RUNS / "textures_lambda.json"
    save_file(tensors, weights)
    curves.write_text(
        json.dumps({"command": "make runs ONLY=textures_lambda", "steps": FACTOR_STEPS}) + "\n", encoding="utf-8"
    )
    check_size(weights, curves)


def to_bytes(images: torch.Tensor) -> torch.Tensor:
    return ((images.clamp(-1, 1) + 1) * 127.5).round().byte()


def check_size(*files: Path) -> None:
    for file in files:
        if file.stat().st_size > LARGEST:
            raise SystemExit(f"{file}: {file.stat().st_size:,} bytes, more than the {LARGEST:,} that a run may have")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = {name: partial(store, name) for name in ALL} | {"textures_lambda": textures_lambda}
    parser.add_argument("--only", choices=sorted(names), help="this run alone")
    only = parser.parse_args().only
    torch.set_num_threads(1)
    for name in [only] if only else names:
        names[name]()


if __name__ == "__main__":
    main()
