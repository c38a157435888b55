"""The networks that pages and decks run without a kernel: `python tools/live.py OUT` fills a folder.

Each live widget of a lecture is made here from the same stored run, and its graphs are exported to ONNX. They lie in
OUT beside onnxruntime-web, as scripts, because a page that is opened as a file may load scripts and nothing else:
NAME.0.js, NAME.1.js, ... each put a piece of one archive, in base64, where gencourse/widgets/live.js finds it.
"""

import argparse
import base64
import gzip
import hashlib
import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

import torch
import web

from gencourse import widgets
from gencourse.widgets.live import Graph, LiveModel
from genlib import diffusion, flows, gan, train

RUNS = web.ROOT / "lectures" / "runs"
PIECE = 3 << 18  # bytes in a script: a multiple of three, so that pieces of base64 can be joined
RUNTIME = {"ort.mjs": "ort.wasm.bundle.min.mjs", "ort.wasm": "ort-wasm-simd-threaded.wasm"}


def digits() -> LiveModel:
    """As in lecture 04b."""
    net = diffusion.UNet.digits()
    ddpm = diffusion.DDPM(net, diffusion.Schedule.cosine(T=1000), predict="v", levels=17)
    return widgets.DigitSampler(train.load(ddpm, RUNS / "ddpm_digits.safetensors"))


def textures() -> LiveModel:
    """As in lecture 02."""
    G = gan.UNetGenerator(3, 1, width=24, depth=3, noise=4)
    return widgets.MapPainter(train.load(G, RUNS / "textures_factor.safetensors"))


def outlines() -> LiveModel:
    """As in lecture 02."""
    G = gan.UNetGenerator(1, 3, width=24, depth=4, noise=2)
    return widgets.OutlinePainter(train.load(G, RUNS / "emoji_colours.safetensors"))


def moons() -> LiveModel:
    """As in lecture 03."""
    flow = flows.RealNVP.for_vectors(dim=2, n_couplings=8, width=64, actnorm=True)
    return widgets.FlowBothWays(train.load(flow, RUNS / "moons_0.safetensors"))


WIDGETS: dict[str, Callable[[], LiveModel]] = {
    "digits": digits, "textures": textures, "outlines": outlines, "moons": moons,
}  # fmt: skip


def build(out: Path) -> None:
    """Fill the folder: from build/live, if nothing has changed of all that the assets are made of."""
    made = web.ROOT / "build" / "live" / made_of()
    if not made.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=made.parent, prefix="new-") as folder:
            export(Path(folder) / "assets")
            for old in made.parent.glob("[0-9a-f]*"):  # others may be at work on a new one
                shutil.rmtree(old)
            (Path(folder) / "assets").rename(made)
    shutil.copytree(made, out, dirs_exist_ok=True)


def made_of() -> str:
    """A digest of sources, stored runs and versions."""
    digest = hashlib.sha256(" ".join(map(version, ("torch", "onnx", "onnxscript", "numpy"))).encode())
    files = [Path(__file__), web.SITE / "package-lock.json", *RUNS.glob("*.safetensors")]
    files += [*web.ROOT.glob("genlib/**/*.py"), *web.ROOT.glob("gencourse/widgets/live*.py")]
    for file in sorted(files):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def export(out: Path) -> None:
    """Write onnxruntime-web, and the graphs of every live widget."""
    distribution = web.npm() / "onnxruntime-web" / "dist"
    write(out, "ort", {name: (distribution / file).read_bytes() for name, file in RUNTIME.items()})
    for widget in (make() for make in WIDGETS.values()):
        files = {f"{graph}.onnx": to_onnx(described) for graph, described in widget.graphs().items()}
        write(out, widget.spec["asset"], files)


def to_onnx(graph: Graph) -> bytes:
    """A graph as onnxruntime reads it."""
    module = graph.module.requires_grad_(False)
    # It tells of torchvision, which nobody needs, and of its own progress.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        inputs, outputs = list(graph.inputs), list(graph.outputs)
        example = tuple(graph.inputs.values())
        program = torch.onnx.export(
            module, example, input_names=inputs, output_names=outputs, dynamo=True, verbose=False
        )
        assert program is not None
        file = Path(folder) / "graph.onnx"
        program.save(file, external_data=False)
        return stripped(file)


def stripped(file: Path) -> bytes:
    """Without what names the machine it was made on: the lines of source that each node comes from."""
    import onnx

    model = onnx.load(file)
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    return model.SerializeToString(deterministic=True)


def write(out: Path, name: str, files: Mapping[str, bytes]) -> None:
    """Files as the scripts of one asset."""
    out.mkdir(parents=True, exist_ok=True)
    head = json.dumps({file: len(data) for file, data in files.items()}).encode()
    archive = gzip.compress(len(head).to_bytes(4, "little") + head + b"".join(files.values()), mtime=0)
    pieces = [archive[start : start + PIECE] for start in range(0, len(archive), PIECE)]
    for i, piece in enumerate(pieces):
        text = (
            f'(globalThis.genlibLiveParts["{name}"] ??= {{ total: {len(pieces)}, parts: [] }})'
            f'.parts[{i}] = "{base64.b64encode(piece).decode()}";\n'
        )
        (out / f"{name}.{i}.js").write_text(text, encoding="ascii")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path, help="the folder to fill")
    build(parser.parse_args().out)


if __name__ == "__main__":
    main()
