"""Bicep and ARM: what a deployment would change, as Azure says, and the stack that keeps what belongs together."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlops_runtime.bootstrap.tools import az, found
from mlops_runtime.estate import Place, Plan

ARM = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
SIGNS = {"Create": "+", "Modify": "~", "Deploy": "~", "Delete": "-"}
LONGEST = 300  # characters of a value
KEEPS = (
    *("--action-on-unmanage", "detachAll", "--deny-settings-mode", "denyDelete"),
    *("--deny-settings-excluded-actions", "Microsoft.ContainerRegistry/registries/artifacts/delete"),
)
REPLACES = ("--action-on-unmanage", "deleteResources", "--deny-settings-mode", "none")


def plan(where: Place, files: list[str]) -> Plan:
    """What would change; `files` are the options that name template and parameters."""
    options = ("--no-pretty-print", "--validation-level", "ProviderNoRbac")
    said = az("deployment", "sub", "what-if", *_place(where), *files, *options)
    changes = said["changes"]
    lines = [line for one in changes for line in _lines(one)]
    gone = list(_unmanaged(where, changes))
    word = "will be deleted" if "deleteResources" in options_of(where) else "will no longer be looked after"
    lines += [f"- {resource}: {word}" for resource in gone]
    count = sum(line[0] in "+~-" for line in lines)
    lines += [f"? {one['resourceId']}: Azure cannot tell" for one in changes if one["changeType"] == "Unsupported"]
    resources = [_resource(one["after"]) for one in changes if one.get("after")]
    template = {"$schema": ARM, "contentVersion": "1.0.0.0", "resources": resources}
    return Plan("\n".join(sorted(lines) if lines else ["Nothing to change."]), count, "arm", template)


def apply(where: Place, files: list[str]) -> None:
    """Make or change the stack."""
    name = ("--name", f"{where.project}-{where.environment}")
    az("stack", "sub", "create", *name, *_place(where), *files, *options_of(where), "--yes")


def options_of(where: Place) -> tuple[str, ...]:
    """What the stack does with what config no longer names, and what it protects."""
    return KEEPS if where.environment in ("shared", "prod") else REPLACES


def _place(where: Place) -> tuple[str, ...]:
    return ("--location", where.location, "--subscription", where.subscription)


def _lines(change: dict[str, Any]) -> Iterator[str]:
    """A change for a person, on one line for comparison: what, and each property that differs."""
    kind, differences = change["changeType"], list(_differences(change.get("delta") or []))
    if kind in SIGNS and (differences or kind != "Modify"):  # a change without an effect is none
        yield f"{SIGNS[kind]} {change['resourceId']}{'; '.join(['', *differences]).replace(';', ':', 1)}"


def _differences(deltas: list[dict[str, Any]], path: str = "") -> Iterator[str]:
    for one in deltas:
        here = f"{path}.{one['path']}".lstrip(".")
        if one.get("children"):
            yield from _differences(one["children"], here)
        elif one["propertyChangeType"] != "NoEffect":
            yield f"{here}: {_value(one.get('before'))} → {_value(one.get('after'))}"


def _value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:LONGEST]


def _unmanaged(where: Place, changes: list[dict[str, Any]]) -> Iterator[str]:
    """What the stack looks after and the files no longer have: a what-if alone does not say so."""
    shown = ("--name", f"{where.project}-{where.environment}", "--subscription", where.subscription)
    stack = found(az, "stack", "sub", "show", *shown) or {"resources": []}
    kept = {one["resourceId"].casefold() for one in changes if one["changeType"] not in ("Ignore", "Delete")}
    unclear = {_type(one["resourceId"]) for one in changes if one["changeType"] == "Unsupported"}
    for one in stack["resources"]:
        if one["id"].casefold() not in kept and _type(one["id"]) not in unclear:
            yield one["id"]


def _type(resource: str) -> str:
    """The type in a resource's id."""
    parts = resource.rpartition("/providers/")[2].casefold().split("/")
    return "/".join([parts[0], *parts[1::2]])


def _resource(after: dict[str, Any]) -> dict[str, Any]:
    """A resource as it would be, as a template has it."""
    return {key: value for key, value in after.items() if key != "id"}


def parameters_file(root: Path, environment: str) -> Path:
    """Where the parameters of an environment are that `mlops config render` writes."""
    return root / "infrastructure" / f"azuredeploy.parameters.{environment}.json"
