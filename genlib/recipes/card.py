"""The card of a trained model: what was measured beside what the paper reached, how it was made, and on what."""

import platform
from collections.abc import Mapping
from typing import Any

import torch


def table(measured: Mapping[str, Any], reached: Mapping[str, float]) -> list[str]:
    """Rows in Markdown: the measure, ours with its standard error, "not run" where there is none, and the paper's."""
    rows = ["| measure | ours | the paper's |", "|---|---|---|"]
    for name in dict.fromkeys([*measured, *reached]) or ["held out"]:
        value = measured.get(name)
        mean, error = value if isinstance(value, list | tuple) else (value, None)
        ours = "not run" if mean is None else f"{mean:.4g}" + ("" if error is None else f" ± {error:.2g}")
        rows.append(f"| {name} | {ours} | {reached.get(name, '')} |")
    return rows


def as_text(card: Mapping[str, Any]) -> str:
    """A card to be read."""
    changed = ", ".join(f"{k} = {v}" for k, v in card["changed"].items()) or "nothing"
    seconds = "" if card["training seconds"] is None else f" in {card['training seconds']:.0f} s"
    lines = [
        f"# {card['recipe']}",
        "",
        *table(card["measured"], card["paper"]),
        "",
        f"- {card['steps']} steps{seconds}, {card['parameters']:,} parameters",
        f"- changed in the recipe: {changed}",
        f"- trained on: {card['hardware']}",
        f"- command: `{card['command']}`",
        f"- settings: {card['source']}",
    ]
    return "\n".join(lines) + "\n"


def command_of(name: str, changed: Mapping[str, Any]) -> str:
    """What to type to train the same again."""
    words = [f"{key}={str(value).replace(' ', '')}" for key, value in changed.items()]
    return " ".join([f"python -m genlib train {name}", *(["--set", *words] if words else [])])


def hardware() -> str:
    """What this machine computes with."""
    if torch.cuda.is_available():
        return f"{torch.cuda.device_count()} × {torch.cuda.get_device_name()}, torch {torch.__version__}"
    threads = torch.get_num_threads()
    return f"{threads} thread{'s' * (threads > 1)} of {platform.machine()}, torch {torch.__version__}"
