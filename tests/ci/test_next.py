"""What is released next: chosen the same way for every CI system, and what the choice is not about kept for people."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlops_runtime import happened
from mlops_runtime.happened import Choice

from .github import commit, git

Next = Callable[..., tuple[int, str]]


def event(environment: str, kind: str, version: str, made_by: str) -> dict[str, str]:
    return {**happened.event(kind, environment, version or "job", f"{kind} {version}", ["b"], version, made_by)}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two commits."""
    folder = tmp_path / "repository"
    (folder / "config").mkdir(parents=True)
    (folder / "config/shared.yml").write_text("a: 1\n", encoding="utf-8")
    (folder / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    commit(folder)
    (folder / "README.md").write_text("x\n", encoding="utf-8")
    commit(folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def made_by(root: Path) -> str:
    return git(root, "rev-parse", "HEAD~1")


@pytest.fixture
def choose(root: Path, mlops: Callable[..., tuple[int, str]], host: Any) -> Next:
    """Run `mlops next` over events, by environment in files as pipelines have them."""

    def run(*events: dict[str, str], **options: str) -> tuple[int, str]:
        for name in ("dev", "staging"):
            found: Any = [one for one in events if one["environment"] == name]
            happened.write(root / f"{name}.json", found)
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        return mlops("next", "dev.json", "staging.json", "--told", "told.json", *words)

    return run


def told(root: Path) -> list[dict[str, str]]:
    return list(json.loads((root / "told.json").read_text(encoding="utf-8")))


def test_what_was_begun_then_candidates_then_what_was_trained_again(choose: Next, host: Any, made_by: str) -> None:
    candidate, begun, again = (
        event(*one, made_by) for one in (("dev", "candidate", "7"), ("staging", "candidate", "c0"), ("staging", "retrained", "9"))
    )
    assert choose(candidate, again, begun) == (0, "staging-c0 is released next.\n")
    choose(candidate, again)
    choose(again)
    assert host.chosen == [
        Choice("staging-c0", "c0", made_by, promoted=True),
        Choice("dev-7", "7", made_by),
        Choice("staging-9", "9", made_by, promoted=True, retrained=True),
    ]


def test_one_that_was_refused_does_not_starve_the_others(choose: Next, host: Any, made_by: str) -> None:
    waiting = [event("staging", "candidate", "c0", made_by), event("dev", "candidate", "7", made_by)]
    host.refused = ("staging-c0",)
    code, said = choose(*waiting)
    assert (code, "staging-c0 is left alone: it was refused." in said) == (0, True)
    assert host.chosen == [Choice("dev-7", "7", made_by)]
    host.refused = ("staging-c0", "dev-7")
    assert "Nothing is released." in choose(*waiting)[1]
    assert host.chosen[-1] == Choice()


def test_versions_of_dev_and_staging_are_not_the_same(choose: Next, host: Any, made_by: str) -> None:
    """Both count from 1."""
    waiting = [event("dev", "candidate", "2", made_by), event("staging", "retrained", "2", made_by)]
    host.refused = ("dev-2",)
    choose(*waiting)
    assert host.chosen == [Choice("staging-2", "2", made_by, promoted=True, retrained=True)]


def test_a_version_by_hand_is_one_of_dev(choose: Next, root: Path, host: Any, made_by: str) -> None:
    waiting = [event("dev", "candidate", "2", made_by), event("staging", "retrained", "3", made_by)]
    host.refused = ("dev-2",)
    assert choose(*waiting, version="2")[0] == 0
    assert choose(*waiting, version="3")[0] == 0, "an older one: promoting it says if the commit is another"
    head = git(root, "rev-parse", "HEAD")
    assert host.chosen == [Choice("dev-2", "2", made_by), Choice("dev-3", "3", head)]


def test_the_rest_is_for_people(choose: Next, root: Path, host: Any, made_by: str) -> None:
    rest = [event("dev", "failed", "", ""), event("staging", "infrastructure", "", "")]
    choose(*rest, event("dev", "candidate", "7", made_by))
    assert told(root) == sorted(rest, key=lambda one: one["key"])
    choose(*rest)
    assert (host.chosen[-1], told(root)) == (Choice(), sorted(rest, key=lambda one: one["key"]))


@pytest.mark.parametrize("why", ["not merged", "unknown", "an option", "shell"])
def test_what_may_not_run_here_is_told_and_the_others_go_on(
    choose: Next, root: Path, host: Any, made_by: str, why: str
) -> None:
    bad = {"unknown": "unknown", "an option": "--output=/tmp/x", "shell": made_by}.get(why, "")
    if why == "not merged":
        git(root, "switch", "-qc", "idea")
        (root / "idea.py").write_text("", encoding="utf-8")
        bad = commit(root)
        git(root, "switch", "-q", "main")
    version = "8; rm -rf x" if why == "shell" else "8"
    choose(event("dev", "candidate", version, bad), event("staging", "retrained", "9", made_by))
    assert host.chosen[0].name == "staging-9"
    (one,) = told(root)
    assert one["key"] == f"dev-candidate-{version}"
    said = {"not merged": "merge it first", "shell": "does not look like one"}.get(why, "which commit made it")
    assert said in one["body"]


@pytest.mark.parametrize("version", ["7; rm -rf x", '7"\nscript: [id]', "$(id)"])
def test_a_version_by_hand_is_no_code(choose: Next, host: Any, version: str) -> None:
    code, said = choose(version=version)
    assert code == 2, said
    assert host.chosen == []


def test_a_version_by_hand_of_code_that_nobody_has_merged(choose: Next, root: Path, host: Any) -> None:
    git(root, "switch", "-qc", "idea")
    (root / "idea.py").write_text("", encoding="utf-8")
    other = commit(root)
    git(root, "switch", "-q", "main")
    code, said = choose(event("dev", "candidate", "8", other), version="8")
    assert (code, "merge it first" in said, host.chosen) == (2, True, [])


def test_a_choice_as_outputs() -> None:
    """The names that pipelines read."""
    assert Choice("staging-9", "9", "c", True, True).outputs() == {
        **{"name": "staging-9", "version": "9", "commit": "c"},
        **{"found": "true", "promoted": "true", "retrained": "true"},
    }
    assert Choice().outputs()["found"] == "false"


def test_outside_of_a_repository(choose: Next, root: Path, made_by: str) -> None:
    subprocess.run(["rm", "-rf", root / ".git"], check=True)
    code, said = choose(event("dev", "candidate", "7", made_by), version="7")
    assert (code, "git rev-parse HEAD" in said) == (2, True)
