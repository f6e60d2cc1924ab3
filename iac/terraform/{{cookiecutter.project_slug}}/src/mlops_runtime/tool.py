"""Terraform: how the estate's files are checked, what they would change, and how that is done."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlops_runtime import infrastructure, programs
from mlops_runtime.estate import Place, Plan

TERRAFORM = ["terraform", f"-chdir={infrastructure.FOLDER}"]
CHECKS = (
    ["fmt", "-check", "-recursive", "-diff"],
    ["init", "-backend=false", "-input=false"],
    ["validate", "-no-color"],
    ["test", "-no-color"],
)
UNCHANGED = (["no-op"], ["read"])
PLAN = "estate.tfplan"  # holds secrets: it stays in a temporary folder


def check(root: Path) -> Iterator[str]:
    """What Terraform says is wrong."""
    for words in CHECKS:
        code, out, err = programs.run([*TERRAFORM, *words], root, programs.ALL)
        if code:
            yield f"terraform {' '.join(words)} ended with {code}:\n{out}{err}"
            return


def plan(where: Place, scratch: Path) -> Plan:
    """What would change. The state is not locked, which takes a right to write: a stale plan is refused later."""
    programs.run([*TERRAFORM, *_init(where)], where.root)
    file = str(scratch / PLAN)
    words = ["plan", "-input=false", "-no-color", "-lock=false", "-detailed-exitcode", f"-out={file}"]
    code, *_ = programs.run([*TERRAFORM, *words, "-var", f"environment={where.environment}"], where.root, (0, 2))
    text = programs.run([*TERRAFORM, "show", "-no-color", file], where.root)[1]
    content: dict[str, Any] = json.loads(programs.run([*TERRAFORM, "show", "-json", file], where.root)[1])
    changed = [one for one in content.get("resource_changes", []) if one["change"]["actions"] not in UNCHANGED]
    return Plan(text.strip(), max(len(changed), int(code == 2)), "terraform_plan", content)


def apply(where: Place, scratch: Path) -> None:
    """Apply the plan that `plan` has made."""
    print(programs.run([*TERRAFORM, "apply", "-input=false", "-no-color", str(scratch / PLAN)], where.root)[1])


def _init(where: Place) -> list[str]:
    """How Terraform is told where this environment's state is; `mlops bootstrap` writes the rest into backend.tf."""
    words = ["init", "-input=false", "-no-color"]
    if (where.root / infrastructure.FOLDER / "backend.tf").is_file():
        words += ["-reconfigure", f"-backend-config=container_name={where.environment}"]
    return words
