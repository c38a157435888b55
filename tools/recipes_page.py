"""Write genlib/RECIPES.md, a page of every recipe, from the recipes and the cards in benchmarks/cards: `make map`."""

import inspect
import json
from pathlib import Path
from typing import Any

from genlib.recipes import RECIPES, Recipe
from genlib.recipes.card import table
from genlib.recipes.recipe import RUNNING, TRAINING

ROOT = Path(__file__).resolve().parents[1]
PAGE, CARDS = ROOT / "genlib" / "RECIPES.md", ROOT / "benchmarks" / "cards"
HEAD = """# Recipes

A recipe is a model, its data and its training under one name. Four have the papers' sizes and settings, for GPUs; five
train on data that come with genlib, in minutes on a laptop, but for ddpm-emoji. `python -m genlib` runs them:

```
python -m genlib list                       all of them; list NAME: the settings of one
python -m genlib train ddpm-digits          into trained/ddpm-digits; --out names another folder
python -m genlib train ddpm-digits --resume --set steps=8000          goes on, for longer
python -m genlib sample ddpm-digits -n 100 --set label=7 guidance=1.0 steps=25 sampler=heun
python -m genlib evaluate ddpm-digits       on held-out data; writes card.md
torchrun --nproc-per-node=8 -m genlib train ddpm-cifar10 --data-dir data --set precision=bf16 channels_last=true
```

A training lies in a folder of its own: `recipe.json`, all settings and the command; `state.safetensors`, the weights,
and `state.pt`, from which it goes on, both replaced in one instant; `log.jsonl`, a line for each entry; `samples/`, a
grid every so many steps; and, where TensorBoard is installed, `tensorboard/`. Ctrl-C ends it after the step under way.
In several processes each takes `batch_size` examples a step, and the work of sampling and measuring is shared out.

"Ours" is what `evaluate` measured on data that were not trained on, with its standard error; it is "not run" where
nobody has trained the recipe in full. These settings every recipe has besides its own:

"""


def page() -> str:
    """The whole text."""
    common = ", ".join(f"`{name}`" for name in {**TRAINING, **RUNNING})
    head = HEAD + common + ". What those of training mean says `genlib.train.fit`.\n"
    return head + "".join(section(recipe) for recipe in RECIPES.values())


def section(recipe: Recipe) -> str:
    """One recipe: what it is, its own settings and what differs in the common ones, and what was reached."""
    defaults, own = recipe.defaults(), list(inspect.signature(recipe.build).parameters)
    common = {**TRAINING, **RUNNING}
    differing = [name for name in common if defaults[name] != common[name]]
    settings = ", ".join(f"`{name}={defaults[name]}`" for name in [*own, *differing])
    file = CARDS / f"{recipe.name}.json"
    card: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    lines = [f"\n## {recipe.name}\n", recipe.about, f"Settings from {recipe.source}. It takes {recipe.takes}.", ""]
    lines += [settings, "", *table(card.get("measured", {}), recipe.reached)]
    if card:
        took = f"{card['steps']:,} steps in {card['training seconds']:.0f} s on {card['hardware']}"
        lines += ["", f"{card['parameters']:,} parameters, {took}: `{card['command']}`."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
