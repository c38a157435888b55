"""`make update`, between git repositories in a folder: nothing of a student's is lost, and nothing is in the way."""

import json
import shutil
import subprocess
from pathlib import Path

import course
import course_commands
import course_setup
import pytest
import update

LAB = "lab_1.ipynb"
SAYS = {"name": "python", "version": "3.14.0"}


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "init.defaultBranch=main"]
    return subprocess.check_output(["git", "-C", str(folder), *who, *arguments], text=True)


def notebook(*sources: str, **metadata: object) -> str:
    cells = [{"id": f"id{abs(hash(text))}", "cell_type": "code", "source": [text]} for text in sources]
    return json.dumps({"cells": cells, "metadata": {"language_info": {"name": "python"}, **metadata}})


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text(text, encoding="utf-8")


class Course:
    """The course upstream, and a student's copy of it."""

    def __init__(self, folder: Path) -> None:
        self.upstream, self.mine = folder / "upstream", folder / "a copy"
        self.upstream.mkdir()
        git(self.upstream, "init", "--quiet")
        first: dict[str, str | None] = {
            "lectures/01.ipynb": notebook("a", "b"),
            "lectures/02.ipynb": notebook("c"),
            f"labs/{LAB}": notebook("do 1", '@checks.exercise("gan.loss")\ndef loss(): ...', "do 3"),
            "README.md": "one",
            ".gitignore": "my_labs/\nmy_changes/\n",
        }
        self.publish(first)
        git(folder, "clone", "--quiet", str(self.upstream), str(self.mine))

    def publish(self, files: dict[str, str | None]) -> None:
        for name, text in files.items():
            if text is None:
                (self.upstream / name).unlink()
            else:
                write(self.upstream, name, text)
        git(self.upstream, "add", "--all")
        git(self.upstream, "commit", "--quiet", "-m", "new")

    def new(self, name: str) -> bool:
        """Whether the copy has what the newest version has under that name."""
        return (self.mine / name).read_text("utf-8") == (self.upstream / name).read_text("utf-8")

    def kept(self) -> dict[str, str]:
        folder = self.mine / "my_changes"
        return {
            "/".join(p.relative_to(folder).parts[1:]): p.read_text("utf-8") for p in folder.rglob("*.*") if p.is_file()
        }

    def clean(self) -> bool:
        return not git(self.mine, "status", "--porcelain")


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Course:
    at = Course(tmp_path)
    monkeypatch.setattr(course_setup, "ROOT", str(at.mine))
    return at


def run(*arguments: str) -> int:
    return course.main(["update", *arguments])


def test_a_copy_in_which_nothing_changed_becomes_the_new_version(at: Course, capsys: pytest.CaptureFixture) -> None:
    at.publish({"README.md": "two", "lectures/02.ipynb": None, "lectures/03.ipynb": notebook("d")})
    assert run() == 0
    assert at.new("README.md")
    assert at.new("lectures/03.ipynb")
    assert not (at.mine / "lectures" / "02.ipynb").exists()
    assert at.clean()
    said = capsys.readouterr().out
    assert said.startswith("Updated from ")
    assert "my_changes" not in said
    assert run() == 0
    assert capsys.readouterr().out.startswith("The course is up to date")


def test_what_was_run_and_saved_is_kept_aside_and_told(at: Course, capsys: pytest.CaptureFixture) -> None:
    changed = {
        "lectures/01.ipynb": notebook("a, and what I wrote", "b"),
        "lectures/02.ipynb": notebook("c, which the new version does not have"),
        "lectures/03.ipynb": notebook("mine, under a name that the new version takes"),
    }
    for name, text in changed.items():
        write(at.mine, name, text)
    write(at.mine, "README.md", "mine, and not in the way")
    at.publish({"lectures/01.ipynb": notebook("A"), "lectures/02.ipynb": None, "lectures/03.ipynb": notebook("d")})
    assert run() == 0
    assert at.new("lectures/01.ipynb")
    assert at.new("lectures/03.ipynb")
    assert not (at.mine / "lectures" / "02.ipynb").exists()
    assert (at.mine / "README.md").read_text("utf-8") == "mine, and not in the way"
    assert at.kept() == changed
    said = capsys.readouterr().out
    assert all(name in said for name in changed)
    (folder,) = (at.mine / "my_changes").iterdir()
    assert f"my_changes/{folder.name}:" in said.replace("\\", "/")
    assert folder.name in said.split("\n")[0]  # it is called after the version that was changed


def test_what_was_staged_is_kept_too(at: Course) -> None:
    write(at.mine, "lectures/01.ipynb", notebook("staged"))
    write(at.mine, "lectures/03.ipynb", notebook("added"))
    git(at.mine, "add", "lectures")
    at.publish({"lectures/01.ipynb": notebook("A"), "lectures/03.ipynb": notebook("d")})
    assert run() == 0
    assert at.kept() == {"lectures/01.ipynb": notebook("staged"), "lectures/03.ipynb": notebook("added")}
    assert at.new("lectures/01.ipynb")
    assert at.new("lectures/03.ipynb")
    assert at.clean()


def test_what_was_only_opened_or_removed_is_not_kept(at: Course, capsys: pytest.CaptureFixture) -> None:
    write(at.mine, "lectures/01.ipynb", notebook("a", "b", language_info=SAYS, kernelspec={"name": "python3"}))
    (at.mine / "lectures" / "02.ipynb").unlink()
    at.publish({"lectures/01.ipynb": notebook("A"), "lectures/02.ipynb": notebook("C")})
    assert run() == 0
    assert at.new("lectures/01.ipynb")
    assert at.new("lectures/02.ipynb")
    assert at.clean()
    assert "my_changes" not in capsys.readouterr().out
    assert not (at.mine / "my_changes").exists()


def test_two_updates_keep_two_changes(at: Course) -> None:
    (at.mine / "my_changes" / update.version("HEAD")).mkdir(parents=True)
    write(at.mine, "lectures/01.ipynb", notebook("first"))
    at.publish({"lectures/01.ipynb": notebook("A")})
    assert run() == 0
    write(at.mine, "lectures/01.ipynb", notebook("second"))
    at.publish({"lectures/01.ipynb": notebook("AA")})
    assert run() == 0
    kept = {path.read_text("utf-8") for path in (at.mine / "my_changes").rglob("*.ipynb")}
    assert kept == {notebook("first"), notebook("second")}


def test_a_merge_that_fails_leaves_things_as_they_were(at: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    write(at.mine, "lectures/01.ipynb", notebook("mine"))
    write(at.mine, "lectures/03.ipynb", notebook("mine, too"))
    at.publish({"lectures/01.ipynb": notebook("A"), "lectures/03.ipynb": notebook("d")})
    head, asked = git(at.mine, "rev-parse", "HEAD"), update.git

    def broken(*arguments: str) -> str:
        return asked("merge", "--no-such-option") if arguments[0] == "merge" else asked(*arguments)

    monkeypatch.setattr(update, "git", broken)
    assert run() == 1
    assert git(at.mine, "rev-parse", "HEAD") == head
    assert (at.mine / "lectures" / "01.ipynb").read_text("utf-8") == notebook("mine")
    assert (at.mine / "lectures" / "03.ipynb").read_text("utf-8") == notebook("mine, too")


# -- Where there is nothing to bring


def refusal(capsys: pytest.CaptureFixture) -> str:
    assert run() == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    return said.err


def test_a_copy_that_git_did_not_make_is_told_what_to_do(at: Course, capsys: pytest.CaptureFixture) -> None:
    shutil.rmtree(at.mine / ".git")
    assert "is no git checkout: download the new version" in refusal(capsys)


def test_a_copy_inside_somebody_elses_repository_is_no_checkout(at: Course, capsys: pytest.CaptureFixture) -> None:
    shutil.rmtree(at.mine / ".git")
    git(at.mine.parent, "init", "--quiet")
    assert "is no git checkout" in refusal(capsys)


def test_without_git_it_says_so(at: Course, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(at.mine))
    assert "needs git" in refusal(capsys)


def test_a_branch_that_follows_none(at: Course, capsys: pytest.CaptureFixture) -> None:
    git(at.mine, "checkout", "--quiet", "-b", "mine")
    assert "follows no other" in refusal(capsys)
    git(at.mine, "checkout", "--quiet", "--detach")
    assert "follows no other" in refusal(capsys)


def test_own_commits_are_not_merged(at: Course, capsys: pytest.CaptureFixture) -> None:
    write(at.mine, "README.md", "mine")
    git(at.mine, "commit", "--quiet", "--all", "-m", "mine")
    assert run() == 0
    assert capsys.readouterr().out.startswith("The course is up to date")
    at.publish({"README.md": "two"})
    assert "git pull --rebase" in refusal(capsys)
    assert (at.mine / "README.md").read_text("utf-8") == "mine"


def test_an_upstream_that_is_not_reached(at: Course, capsys: pytest.CaptureFixture) -> None:
    shutil.rmtree(at.upstream)
    assert "git fetch says: " in refusal(capsys)


# -- The labs


def lab_of(at: Course) -> Path:
    return at.mine / "my_labs" / LAB


def fill_in(at: Course) -> str:
    """A student's work: an answer in a cell, whose id stays, and a cell more."""
    mine = json.loads(lab_of(at).read_text("utf-8"))
    mine["cells"][1]["source"] = ["my answer"]
    mine["cells"].append({"id": "mine", "cell_type": "code", "source": ["x = 1"]})
    lab_of(at).write_text(json.dumps(mine), encoding="utf-8")
    return lab_of(at).read_text("utf-8")


@pytest.mark.parametrize("recorded", [True, False])
def test_labs_that_have_changed_are_named_and_never_touched(
    at: Course, capsys: pytest.CaptureFixture, recorded: bool
) -> None:
    course_commands.copy_labs()
    mine = fill_in(at)
    if not recorded:  # copied by an older version of the course
        (at.mine / "my_labs" / update.RECORD).unlink()
    at.publish({"README.md": "two"})
    assert run() == 0
    assert "Labs" not in capsys.readouterr().out
    changed = notebook("do 1", '@checks.exercise("gan.loss")\ndef loss(x): ...', "do 3", "do 4")
    at.publish({f"labs/{LAB}": changed, "labs/lab_2.ipynb": notebook("new")})
    for _ in range(2):  # also where it is up to date
        assert run() == 0
        said = capsys.readouterr().out
        assert "  lab_1: 2 of its 4 cells are new or changed (gan.loss)\n" in said
        assert 'make update ARGS="--beside lab_1"' in said
        assert "lab_2" not in said
    assert lab_of(at).read_text("utf-8") == mine

    assert run("--beside", "lab_1") == 0
    assert "lab_1-2.ipynb" in capsys.readouterr().out
    assert (at.mine / "my_labs" / "lab_1-2.ipynb").read_text("utf-8") == changed
    assert lab_of(at).read_text("utf-8") == mine
    assert run() == 0
    assert "Labs" not in capsys.readouterr().out  # the new one is there
    assert run("--beside", "lab_1.ipynb") == 0
    assert (at.mine / "my_labs" / "lab_1-3.ipynb").exists()


def test_a_lab_that_lost_a_cell(at: Course, capsys: pytest.CaptureFixture) -> None:
    course_commands.copy_labs()
    at.publish({f"labs/{LAB}": notebook("do 1", '@checks.exercise("gan.loss")\ndef loss(): ...')})
    assert run() == 0
    assert "  lab_1: cells that are gone: 1\n" in capsys.readouterr().out


def test_a_lab_that_nobody_copied_or_somebody_broke(at: Course, capsys: pytest.CaptureFixture) -> None:
    at.publish({f"labs/{LAB}": notebook("another")})
    assert run() == 0
    assert "Labs" not in capsys.readouterr().out
    (at.mine / "my_labs").mkdir()
    lab_of(at).write_text("no notebook", encoding="utf-8")
    (at.mine / "my_labs" / update.RECORD).write_text("[", encoding="utf-8")
    assert run() == 0
    assert "lab_1: 1 of its 1 cells" in capsys.readouterr().out
    assert run("--beside", "lab_7") == 1
    assert "There is no lab lab_7; there are: lab_1." in capsys.readouterr().err
