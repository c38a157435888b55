"""The first cell of the course: it says ok where all is there, and otherwise what is wrong and what to do."""

import sys
from importlib import metadata

import pytest

from gencourse import checks


def test_here_all_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    checks.installation()
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "a gradient, a figure and a widget: ok"
    assert all(line.endswith(": ok") for line in lines)
    assert {line.split(":")[0] for line in lines} >= {"Python", "torch", "anywidget", "matplotlib"}


@pytest.mark.parametrize(("version", "said"), [("0.1", "version 0.1, expected"), (None, "missing")])
def test_what_is_missing_or_too_old_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], version: str | None, said: str
) -> None:
    real = metadata.version

    def found(name: str) -> str:
        if name != "matplotlib":
            return real(name)
        if version is None:
            raise metadata.PackageNotFoundError
        return version

    monkeypatch.setattr(metadata, "version", found)
    with pytest.raises(RuntimeError, match=r"not complete \(matplotlib\): run `make lab` again"):
        checks.installation()
    out = capsys.readouterr().out
    assert f"matplotlib: {said}" in out
    assert "torch: ok" in out


def test_a_python_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 8, 18))
    with pytest.raises(RuntimeError, match="Python"):
        checks.installation()


def test_a_widget_of_the_courses_own_kind_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    import anywidget

    def broken(*_: object, **__: object) -> None:
        raise OSError("no widgets today")

    monkeypatch.setattr(anywidget.AnyWidget, "__init__", broken)
    with pytest.raises(OSError, match="no widgets today"):
        checks.installation()
