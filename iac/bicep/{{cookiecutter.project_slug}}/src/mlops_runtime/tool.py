"""Bicep: how the estate's files are checked, what they would change, and how that is done."""

from collections.abc import Iterator
from pathlib import Path

from mlops_runtime import programs, stacks
from mlops_runtime.estate import Place, Plan

TEMPLATE = "infrastructure/main.bicep"


def check(root: Path) -> Iterator[str]:
    """What the compiler says is wrong, warnings included."""
    code, out, err = programs.run(["az", "bicep", "lint", "--file", TEMPLATE], root, programs.ALL)
    said = [line for line in (out + err).splitlines() if code or ": Warning " in line or ": Error " in line]
    yield from said or ([f"az bicep lint ended with {code}"] if code else [])


def plan(where: Place, scratch: Path) -> Plan:
    """What would change."""
    return stacks.plan(where, _files(where))


def apply(where: Place, scratch: Path) -> None:
    """Apply it as a deployment stack."""
    stacks.apply(where, _files(where))


def _files(where: Place) -> list[str]:
    template = str(where.root / TEMPLATE)
    return ["--template-file", template, "--parameters", f"environment={where.environment}"]
