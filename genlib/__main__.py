"""The command line: `python -m genlib list`, `train`, `sample`, `evaluate`; under `torchrun` in several processes."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import genlib


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(prog="python -m genlib", description=__doc__)
    whole.add_argument("--version", action="version", version=f"genlib {genlib.__version__}")
    commands = whole.add_subparsers(dest="command", required=True, metavar="command")

    def command(name: str, about: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=about, description=about)
        one.add_argument("name", help="of the recipe, as `list` has it")
        one.add_argument("--out", type=Path, help="the folder of this training (trained/NAME)")
        one.add_argument("--data-dir", type=Path, help="where downloaded data lie (GENLIB_DATA, or the user's cache)")
        one.add_argument("--device", help="such as cpu, cuda, mps; the best that there is, if left out")
        return one

    one = commands.add_parser("list", help="all recipes, or the settings of one")
    one.add_argument("name", nargs="?", help="of a recipe")

    one = command("train", "train a recipe into a folder; Ctrl-C stops it after the step, --resume goes on")
    one.add_argument("--resume", action="store_true", help="go on with what lies in the folder")
    one.add_argument("--set", nargs="*", action="extend", default=[], metavar="KEY=VALUE", help="change settings")
    one.add_argument("--no-progress", action="store_true", help="no bar")

    one = command("sample", "draw samples of a trained model into a PNG")
    one.add_argument("-n", type=int, default=64, help="how many (64)")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--file", type=Path, help="where to (OUT/samples/...)")
    one.add_argument(
        "--set",
        nargs="*",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="such as label=3 steps=25 sampler=heun",
    )

    one = command("evaluate", "measure a trained model on what it was not trained on, and write its card")
    one.add_argument("--limit", type=int, help="so many held-out examples (all)")
    one.add_argument("--fid", type=int, default=0, metavar="N", help="FID of N samples (needs torch-fidelity)")
    one.add_argument("--seed", type=int, default=0)
    return whole


def run(arguments: Sequence[str] | None = None) -> None:
    asked = parser().parse_args(arguments)
    from genlib import recipes  # torch, which --help need not wait for
    from genlib.recipes.recipe import settings_in

    if asked.command == "list":
        print(listed(asked.name))
        return
    recipe = recipes.find(asked.name)
    out = asked.out or Path("trained") / recipe.name
    where = {"data_dir": asked.data_dir, "device": asked.device}
    first = os.environ.get("RANK", "0") == "0"
    if asked.command == "train":
        history = recipes.train(
            recipe, out, settings_in(asked.set), resume=asked.resume, progress=not asked.no_progress, **where
        )
        said = f"{recipe.name}: {history.step[-1]} steps in {history.seconds:.0f} s, in {out}"
    elif asked.command == "sample":
        options = settings_in(asked.set)
        said = recipes.sample(recipe, out, asked.n, options, seed=asked.seed, file=asked.file, **where)
    else:
        card = recipes.evaluate(recipe, out, limit=asked.limit, fid=asked.fid, seed=asked.seed, **where)
        said = recipes.as_text(card)
    if first:
        print(said)


def listed(name: str | None) -> str:
    """A table of the recipes, or one of them with its settings."""
    from genlib import recipes

    if name is None:
        rows = [f"{recipe.name:18}{recipe.about}  ({recipe.takes})" for recipe in recipes.RECIPES.values()]
        return "\n".join([*rows, "", "python -m genlib list NAME: its settings;  train NAME: trains it"])
    recipe = recipes.find(name)
    reached = ", ".join(f"{measure} {value}" for measure, value in recipe.reached.items())
    lines = [f"{recipe.name}: {recipe.about}", f"  settings from: {recipe.source}", f"  takes: {recipe.takes}"]
    lines += [f"  the paper reached: {reached}"] * bool(reached)
    return "\n".join([*lines, "  --set", *(f"    {k}={v}" for k, v in recipe.defaults().items())])


def here(error: BaseException) -> str:
    """What an error says, in the words of the command line."""
    return str(error).replace("resume=True", "--resume")


def main() -> int:
    """`run`, with each error that a user can mend in one line."""
    from genlib.train import Interrupted, NotFiniteError, ProcessLostError

    try:
        run()
    except Interrupted as stopped:
        print(f"\ngenlib: {here(stopped)}", file=sys.stderr)
        return 130
    except KeyboardInterrupt:
        print("\ngenlib: stopped", file=sys.stderr)
        return 130
    except (ValueError, OSError, NotFiniteError, ProcessLostError) as error:
        print(f"genlib: {here(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.exit(status)
