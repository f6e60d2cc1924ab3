"""The estate on Azure by the tool that the answers chose: shown before it is made, and made only as it was shown."""

import hashlib
import importlib
import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mlops_runtime import config, infrastructure, policy_as_code, programs
from mlops_runtime.errors import Problem

SHARED = "shared"
ENVIRONMENTS = (SHARED, *config.ENVIRONMENTS)
SHOWN = Path(".mlops", "infrastructure")  # what apply compares with; it has no secret in it
LONGEST = 60_000  # characters of a report: the hosts of changes refuse much longer comments


@dataclass(frozen=True)
class Place:
    """An environment, or what all share."""

    root: Path
    environment: str
    project: str
    subscription: str
    location: str


@dataclass(frozen=True)
class Plan:
    """What the tool would do."""

    text: str
    changes: int  # resources that would be another way
    framework: str  # by which checkov reads `resources`
    resources: dict[str, Any]


def tool() -> Any:
    """The plug-in of the tool: `check(root)`, `plan(place, scratch)`, `apply(place, scratch)`."""
    name = "mlops_runtime.tool"
    if find_spec(name) is None:
        raise Problem("This repository has no tool that makes the estate: there is no src/mlops_runtime/tool.py.")
    return importlib.import_module(name)


def place(environment: str) -> Place:
    """Where an environment is; Problem where config does not have it or lacks something."""
    root = config.find_root()
    all_settings = [config.load(name, root) for name in config.ENVIRONMENTS]
    shared = all_settings[0]
    if shared.infrastructure.workspaces == "one" and environment not in (SHARED, "prod"):
        raise Problem(f"infrastructure.workspaces is one, so that there is no {environment}: choose shared or prod.")
    missing = list(infrastructure.missing(root, all_settings))
    if missing:
        raise Problem("\n".join(missing))
    where: Any = shared.registry if environment == SHARED else config.load(environment, root).azure
    return Place(root, environment, shared.project.name, where.subscription, where.location)


def check() -> bool:
    """Say what is wrong with the files, as far as that can be known without Azure; True when nothing is."""
    root = config.find_root()
    found = [*tool().check(root), *policy_as_code.check(root)]
    print("\n".join(found) if found else "The files are right, as far as that can be known without Azure.")
    return not found


def plan(environment: str, report: Path | None) -> bool:
    """Show what would change and keep it for `apply`; True when nothing would. Refusal where a policy is broken."""
    where = place(environment)
    with tempfile.TemporaryDirectory() as scratch:
        planned = tool().plan(where, Path(scratch))
        broken = list(_broken_policies(where, planned, Path(scratch)))
        planned = _with_rules(planned, _rules(where, Path(scratch)))
    text = _report(where, planned, broken)
    for file in (where.root / SHOWN / f"{environment}.md", *([report] if report else [])):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")
    print(planned.text)
    if broken:
        lines = "\n  ".join(broken)
        raise Problem(f"{environment} would break rules that infrastructure/checkov.yml does not except:\n  {lines}")
    return not planned.changes


def apply(environment: str, report: Path | None) -> None:
    """Do what `plan` has shown; Problem where that is not what would be done now."""
    where = place(environment)
    file = report or where.root / SHOWN / f"{environment}.md"
    if not file.is_file():
        raise Problem(f"{file} does not exist: `mlops infrastructure plan --env {environment}` writes it, to be read.")
    with tempfile.TemporaryDirectory() as scratch:
        planned = tool().plan(where, Path(scratch))
        rules = _rules(where, Path(scratch))
        both = _with_rules(planned, rules)
        if f"`{_digest(where, both)}`" not in file.read_text(encoding="utf-8"):
            raise Problem(
                f"{environment} is not applied: what would be done now is not what {file} shows:\n{both.text}\n"
                f"Run `mlops infrastructure plan --env {environment}` and have that approved."
            )
        if not both.changes:
            print(f"{environment}: nothing to change.")
            return
        if planned.changes:
            tool().apply(where, Path(scratch))
        if rules:
            policy_as_code.deploy(where.root, Path(scratch))
    print(f"{environment} is as it was shown.")


def _rules(where: Place, scratch: Path) -> list[str]:
    """What would change of the team's own policies, which belong to what all share."""
    return policy_as_code.plan(where.root, scratch) if where.environment == SHARED else []


def _with_rules(planned: Plan, rules: list[str]) -> Plan:
    if not rules:
        return planned
    text = "\n".join([planned.text.rstrip(), "", f"Policies in {policy_as_code.FOLDER}/:", *rules])
    return replace(planned, text=text, changes=planned.changes + len(rules))


def _digest(where: Place, planned: Plan) -> str:
    return hashlib.sha256(f"{where.environment}\n{planned.text}".encode()).hexdigest()


def _report(where: Place, planned: Plan, broken: list[str]) -> str:
    """The plan in Markdown, which may be posted to a change."""
    what = f"{planned.changes} change{'s'[: planned.changes != 1]}" if planned.changes else "nothing to change"
    text = planned.text.rstrip()
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}\n… the rest is in the log of the job"
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    rules = "".join(f"- breaks {line}\n" for line in broken)
    head = f"### {where.environment}: {what}\n\n{rules}{chr(10) if rules else ''}"
    return f"{head}{fence}text\n{text}\n{fence}\n\nShown as `{_digest(where, planned)}`\n"


def _broken_policies(where: Place, planned: Plan, scratch: Path) -> Iterator[str]:
    """Rules of checkov that what would be there breaks, but for the exceptions in infrastructure/checkov.yml."""
    file = scratch / "estate.json"
    file.write_text(json.dumps(planned.resources), encoding="utf-8")
    words = ("-f", str(file), "--framework", planned.framework, "--output", "json", "--quiet", "--compact")
    answer = json.loads(programs.tool(programs.CHECKOV, *words, root=where.root, codes=(0, 1)))
    excepted = _exceptions(where.root)
    for one in answer.get("results", {}).get("failed_checks", []):
        if one["check_id"] not in excepted:
            yield f"{one['check_id']}: {one['check_name']}: {one['resource']}"


def _exceptions(root: Path) -> set[str]:
    """The rules that this estate need not keep; a tool may bring a file of its own, checkov-<tool>.yml."""
    private = config.load("prod", root).estate.private_endpoints.subnet
    lists = [config.read_yaml(file) for file in sorted((root / infrastructure.FOLDER).glob("checkov*.yml"))]
    return {rule for one in lists for name in ("always", *(() if private else ("public",))) for rule in one[name]}
