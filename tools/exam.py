"""Put an exam together from teach/exam.md: its paper, and its answers, into build/exam/.

    python tools/exam.py 1 3 8 12        these questions, numbered anew
    python tools/exam.py three           one of the papers that are ready: one, three or six

JupyterLab shows both with their formulas and prints them: right click, Open With, Markdown Preview; File, Print.
"""

import argparse
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
TEACH, OUT = ROOT / "teach", ROOT / "build" / "exam"
PAPERS = {"one": "after one lecture", "three": "after three weeks", "six": "after six weeks"}
PART = re.compile(r"^### (\d+) · ([^\n]+)\n(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
IN_BRACKETS = re.compile(r" \((\d+) points[^()]*\)$")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", nargs="+", help="numbers, or one of: one, three, six")
    parser.add_argument("--out", type=Path, default=OUT, help="a folder (build/exam)")
    arguments = parser.parse_args(argv)
    try:
        paper, answers, points = exam(arguments.questions)
    except ValueError as error:
        parser.error(str(error))
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name, text in {"exam.md": paper, "answers.md": answers}.items():
        (arguments.out / name).write_text(text, encoding="utf-8")
    print(f"{points} points, for about as many minutes: {arguments.out / 'exam.md'}, answers.md beside it")
    return 0


def exam(wanted: list[str]) -> tuple[str, str, int]:
    """The paper, the answers, and the points of all."""
    page, told = ((TEACH / name).read_text("utf-8") for name in ("exam.md", "exam_answers.md"))
    if len(wanted) == 1 and wanted[0] in PAPERS:
        (row,) = re.findall(rf"^\| {PAPERS[wanted[0]]}[^|]*\| \d+ \| ([\d, ]+) \|", page, re.MULTILINE)
        wanted = row.split(", ")
    questions, answers = ({part[1]: part for part in PART.finditer(text)} for text in (page, told))
    if unknown := [name for name in wanted if name not in questions]:
        raise ValueError(
            f"expected numbers from 1 to {len(questions)}, or {', '.join(PAPERS)}; got {', '.join(unknown)}"
        )
    (given,) = re.findall(r"^\*\*May be given to all:\*\* (.+)$", page, re.MULTILINE)
    asked, answered, points = [f"# Exam\n\nGiven: {given}\n"], ["# Answers\n"], 0
    for number, name in enumerate(wanted, start=1):
        title = questions[name][2]
        (worth,) = IN_BRACKETS.findall(title)
        points += int(worth)
        asked.append(f"## {number} · {IN_BRACKETS.sub('', title)} ({worth} points)\n{questions[name][3]}")
        answered.append(f"## {number} · {answers[name][2]} (question {name})\n{answers[name][3]}")
    return "\n".join(asked), "\n".join(answered), points


if __name__ == "__main__":
    raise SystemExit(main())
