"""Names of resources on Azure, by the rule in infrastructure/names.yml."""

from pathlib import Path
from typing import Any

from mlops_runtime.files import read_yaml

FOLDER = "infrastructure"


def names(root: Path, environment: str, project: str, suffix: str, existing: dict[str, str | bool]) -> dict[str, str]:
    """The name of each kind of resource in `environment` (shared, dev, staging, prod), by infrastructure/names.yml."""
    return by_rules(read_yaml(root / FOLDER / "names.yml"), environment, project, suffix, existing)


def by_rules(
    rules: dict[str, dict[str, Any]], environment: str, project: str, suffix: str, existing: dict[str, str | bool]
) -> dict[str, str]:
    """The same by rules that are read already."""
    words = {"environment": environment, "suffix": suffix}
    short = project.replace("-", "")
    found: dict[str, str] = {}
    for kind, rule in rules.items():
        given = existing.get(kind)
        found[kind] = given if isinstance(given, str) else rule["name"].format(project=short[: rule["length"]], **words)
    return found
