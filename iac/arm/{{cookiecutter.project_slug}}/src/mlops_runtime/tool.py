"""ARM templates: how the estate's files are checked, what they would change, and how that is done."""

import json
from collections.abc import Iterator
from pathlib import Path

from mlops_runtime import config, derived, infrastructure, stacks
from mlops_runtime.estate import ENVIRONMENTS, Place, Plan

TEMPLATE = Path(infrastructure.FOLDER, "azuredeploy.json")


def check(root: Path) -> Iterator[str]:
    """Parameters that are out of date, or that the template does not have or lacks."""
    for path in derived.stale(root):
        yield f"{path.relative_to(root).as_posix()} is not what config says: run `mlops config render`."
    try:
        declared = json.loads((root / TEMPLATE).read_text(encoding="utf-8"))["parameters"]
    except ValueError as error:
        yield f"{TEMPLATE.as_posix()} is not JSON: {error}."
        return
    for environment in ENVIRONMENTS:
        file = stacks.parameters_file(root, environment)
        given = config.read_yaml(file)["parameters"].keys()
        needed = {name for name, about in declared.items() if "defaultValue" not in about}
        for name in sorted((given - declared.keys()) | (needed - given)):
            yield f"{file.relative_to(root).as_posix()}: {name} is in only one of parameters and template."


def plan(where: Place, scratch: Path) -> Plan:
    """What would change."""
    return stacks.plan(where, _files(where))


def apply(where: Place, scratch: Path) -> None:
    """Apply it as a deployment stack."""
    stacks.apply(where, _files(where))


def _files(where: Place) -> list[str]:
    parameters = stacks.parameters_file(where.root, where.environment)
    return ["--template-file", str(where.root / TEMPLATE), "--parameters", str(parameters)]
