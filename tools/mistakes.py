"""How many of the wrong answers in tests/wrong_answers fall under each named mistake.

    python tools/mistakes.py             a line for each exercise: its mistakes, with at least two answers each
    python tools/mistakes.py --write     renew the numbers in teach/mistakes.md

They are answers that readers and we wrote to try the checks, nobody's class: a count says how often a mistake was
thought of, and not how often students make it.
"""

import argparse
import importlib
import pkgutil
import re
import sys
import warnings
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "teach" / "mistakes.md"
OF_EXERCISE = re.compile(r"^\| `(\w+\.\w+)` \| `(\w+)` (\d+) \|")
OF_KIND = re.compile(r"^(\| \*\*.*\| (?:`\w+`(?:, )?)+ \|) (\d+) \|")
TOTAL = re.compile(r"(\d+) wrong answers to (\d+) exercises, under (\d+) names")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="renew the numbers in teach/mistakes.md")
    if parser.parse_args(argv).write:
        PAGE.write_text(renewed(PAGE.read_text("utf-8"), counts()), "utf-8")
        return 0
    found = counts()
    for exercise in dict.fromkeys(name for name, _ in found):
        named = [f"{mistake} {n}" for (name, mistake), n in found.most_common() if name == exercise and n > 1]
        print(f"{exercise}: {', '.join(named)}")
    return 0


def counts() -> Counter[tuple[str, str]]:
    """How many wrong answers there are to each exercise under each mistake."""
    sys.path.insert(0, str(ROOT / "tests"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of answers that are wrong on purpose
        answers = importlib.import_module("wrong_answers")
        for module in pkgutil.iter_modules(answers.__path__):
            importlib.import_module(f"wrong_answers.{module.name}")
    return Counter((given.exercise, given.mistake) for given in answers.GIVEN if given.mistake)


def renewed(page: str, found: Counter[tuple[str, str]]) -> str:
    """The page, with the numbers that these counts give."""
    by_name: Counter[str] = Counter()
    for (_, mistake), n in found.items():
        by_name[mistake] += n

    def row(line: str) -> str:
        if match := OF_EXERCISE.match(line):
            exercise, mistake, _ = match.groups()
            return line.replace(match[0], f"| `{exercise}` | `{mistake}` {found[exercise, mistake]} |")
        if match := OF_KIND.match(line):
            names = re.findall(r"`(\w+)`", match[1])
            return line.replace(match[0], f"{match[1]} {sum(by_name[name] for name in names)} |")
        return line

    total = f"{sum(found.values())} wrong answers to {len({e for e, _ in found})} exercises, under {len(by_name)} names"
    return TOTAL.sub(total, "\n".join(map(row, page.split("\n"))))


if __name__ == "__main__":
    raise SystemExit(main())
