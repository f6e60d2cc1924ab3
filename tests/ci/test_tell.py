"""Events as files, and who is told of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlops_runtime import happened

Mlops = Callable[..., tuple[int, str]]


def some(**changes: str) -> dict[str, str]:
    """An event as `mlops events` writes it."""
    return {**happened.event("candidate", "dev", "1", "A candidate", ["a", "b"], "1", "c0ffee"), **changes}


def test_everybody_is_told_once(mlops: Mlops, host: Any, tmp_path: Path) -> None:
    file = tmp_path / "events.json"
    file.write_text(json.dumps([some(), some(key="x"), some(title="newer")]), encoding="utf-8")
    code, said = mlops("tell", str(file))
    assert (code, said) == (0, "dev-candidate-1: https://example.com/dev-candidate-1\nx: https://example.com/x\n")
    assert [one["title"] for one in host.told] == ["newer", "A candidate"]
    file.write_text("[]", encoding="utf-8")
    assert mlops("tell", str(file)) == (0, "")


BROKEN = {
    "none": (None, "does not exist"),
    "no JSON": ("{", "is not JSON"),
    "a text": ('["x"]', "an event has the texts body, commit"),
    "a key": (json.dumps([{**some(), "more": "x"}]), "an event has the texts"),
    "a number": (json.dumps([{**some(), "version": 1}]), "an event has the texts"),
    "kind": (json.dumps([some(kind="wish")]), "there is no kind 'wish'"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_file_is_said(mlops: Mlops, host: Any, tmp_path: Path, fault: str) -> None:
    text, said = BROKEN[fault]
    file = tmp_path / "events.json"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    code, printed = mlops("tell", str(file))
    assert (code, said in printed) == (2, True), printed
    assert not host.told


def test_without_a_ci_system(mlops: Mlops, tmp_path: Path) -> None:
    file = tmp_path / "events.json"
    file.write_text(json.dumps([some()]), encoding="utf-8")
    code, said = mlops("tell", str(file))
    assert (code, "no CI system" in said) == (2, True)


def test_events_are_written_in_order(tmp_path: Path) -> None:
    events = [some(key=key) for key in ("b", "a")]
    happened.write(tmp_path / "deep/events.json", events)  # type: ignore[arg-type]
    assert [one["key"] for one in happened.read(tmp_path / "deep/events.json")] == ["a", "b"]
