"""The minutes that are stated are those of the text, to the next five."""

import re

import minutes
import pytest

SOURCES = sorted(minutes.LECTURES.glob("*.py"))
README = (minutes.LECTURES.parent / "README.md").read_text(encoding="utf-8")
MAP = (minutes.LECTURES / "00_start_here.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: s.stem)
def test_stated_minutes_are_those_of_the_text(source):
    (stated,) = re.findall(r"^# \*\*It takes\*\* (\d+) minutes", source.read_text(encoding="utf-8"), re.MULTILINE)
    assert int(stated) % 5 == 0
    assert abs(minutes.minutes(source) - int(stated)) <= 4


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: s.stem)
def test_readme_and_map_say_the_same(source):
    (stated,) = re.findall(r"^# \*\*It takes\*\* (\d+) minutes", source.read_text(encoding="utf-8"), re.MULTILINE)
    link = rf"\({source.stem}\.ipynb\) \| ([^|]+) \|"
    assert re.findall(link.replace(r"\(", r"\(lectures/", 1), README) == [stated]
    if not source.stem.startswith("00"):
        assert re.findall(link, MAP) == [stated]


def test_minutes_are_counted_from_words_formulas_figures_and_widgets(tmp_path):
    source = tmp_path / "lecture.py"
    folded = "# <details><summary>Q</summary>\n# hidden words\n# </details>\n"
    text = "# %% [markdown]\n# " + "word " * 129 + "$x^2$\n# $$a = b$$\n" + folded
    code = "\n# %%\nplots.figure(plots.lines(x, y))\n\n# %%\nwidgets.Play()\ntrain.fit(objective, x, steps=1)\n"
    source.write_text(text + code, encoding="utf-8")
    assert minutes.minutes(source) == pytest.approx(1 + 0.5 + 0.5 + 0.5 + 1.5)
