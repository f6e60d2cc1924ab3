"""Enterprise Policy as Code, where a team has policies/: planned and deployed with what all environments share."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlops_runtime import infrastructure, programs
from mlops_runtime.errors import Problem

FOLDER = Path("policies")  # what Enterprise Policy as Code calls Definitions
SETTINGS = FOLDER / "global-settings.jsonc"
SCRIPT = Path(infrastructure.FOLDER, "policy-as-code.ps1")
SELECTOR = "shared"  # of its environment: who may change that is whom `shared` asks
FILES = ("policy-plan.json", "roles-plan.json")
SIGNS = {"new": "+", "added": "+", "update": "~", "updated": "~", "replace": "~", "delete": "-", "removed": "-"}
TEXT = r'("(?:\\.|[^"\\])*")'
COMMENT, LAST_COMMA = re.compile(rf"{TEXT}|//[^\n]*|/\*.*?\*/", re.DOTALL), re.compile(rf"{TEXT}|,(?=\s*[}}\]])")


def check(root: Path) -> Iterator[str]:
    """What is wrong with the settings, as far as others' policies depend on it."""
    if not (root / SETTINGS).is_file():
        return
    name = SETTINGS.as_posix()
    try:
        settings = _read(root / SETTINGS)
    except ValueError as error:
        yield f"{name} is not JSON with comments: {error}."
        return
    if not str(settings.get("pacOwnerId", "")).replace("0", "").strip("-"):
        yield f"{name}: pacOwnerId is empty: write a new GUID, by which your policies are told from those of others."
    places = [one for one in settings.get("pacEnvironments", []) if one.get("pacSelector") == SELECTOR]
    if len(places) != 1:
        yield f"{name}: pacEnvironments needs one with pacSelector {SELECTOR}, and has {len(places)}."
    for one in places:
        strategy = one.get("desiredState", {}).get("strategy", "")
        if strategy != "ownedOnly":
            yield (
                f'{name}: desiredState.strategy is "{strategy}": write "ownedOnly", with which nothing is deleted '
                "that others have made."
            )


def plan(root: Path, folder: Path) -> list[str]:
    """What would change, one a line; its files are left in `folder` for `deploy`."""
    if not (root / SETTINGS).is_file():
        return []
    if wrong := list(check(root)):
        raise Problem("\n".join(wrong))
    _run(root, "plan", folder)
    plans = [folder / f"plans-{SELECTOR}" / name for name in FILES]
    contents = [json.loads(file.read_text(encoding="utf-8-sig")) for file in plans if file.is_file()]
    return sorted(line for content in contents for line in _lines(content))


def deploy(root: Path, folder: Path) -> None:
    """Do what `plan` has left in `folder`."""
    _run(root, "deploy", folder)


def _run(root: Path, action: str, folder: Path) -> None:
    words = ["-Action", action, "-Definitions", str(root / FOLDER), "-Plans", str(folder)]
    programs.run(["pwsh", "-NoProfile", "-NonInteractive", "-File", str(root / SCRIPT), *words], root)


def _read(file: Path) -> dict[str, Any]:
    """JSON with comments and commas behind the last one; ValueError where it is something else."""
    text = COMMENT.sub(lambda found: found[1] or " ", file.read_text(encoding="utf-8-sig"))
    content = json.loads(LAST_COMMA.sub(lambda found: found[1] or "", text))
    if not isinstance(content, dict):
        raise ValueError("it holds no object")
    return content


def _lines(content: dict[str, Any]) -> Iterator[str]:
    """A plan for people: what is made, changed or deleted, each with a digest of all that the plan says of it."""
    for kind, actions in content.items():
        if not isinstance(actions, dict):
            continue
        for action, found in actions.items():
            if isinstance(found, int):  # how many
                continue
            ones = found.items() if isinstance(found, dict) else [(_role(one), one) for one in found]
            for name, one in ones:
                digest = hashlib.sha256(_canonical(one).encode()).hexdigest()
                yield f"{SIGNS.get(action, '~')} {kind}: {name} ({digest[:12]})"


def _role(one: dict[str, Any]) -> str:
    return f"{one.get('roleDisplayName', 'role')} on {one.get('scope', '?')} for {one.get('assignmentId', '?')}"


def _canonical(value: Any) -> str:
    """The same text for the same content: PowerShell has another order in every run."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{_canonical(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(sorted(map(_canonical, value))) + "]"
    return json.dumps(value)
