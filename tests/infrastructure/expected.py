"""What a project must get on Azure, whatever the tool: resources and role assignments.

Resources come from inventory.yml, which is written by hand; roles from the reference's tables and from `system:`.
"""

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
ENVIRONMENTS = ("shared", "dev", "staging", "prod")
OURS = {"checkov.yml", "costs.yml", "pipelines.yml"}  # data in infrastructure/ that `mlops` alone reads
IDENTITIES = {
    "workspace": "workspace",
    "compute": "compute",
    "endpoint": "endpoint",
    "monitoring_processes": "monitoring",
}
SUBSCRIPTIONS = {name: f"00000000-0000-0000-0000-00000000000{i}" for i, name in enumerate(ENVIRONMENTS)}


@dataclass(frozen=True)
class Assignment:
    """Somebody's role on a resource: its name, a role's name, a group's id or an identity's name."""

    resource: str
    role: str
    principal: str


@dataclass
class Found:
    """What a tool would make, in the words of this file."""

    resources: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)  # type and name → all properties
    assignments: list[Assignment] = field(default_factory=list)


@cache
def read(name: str, folder: Path = HERE) -> Any:
    """A YAML file, which nobody changes."""
    return yaml.safe_load((folder / f"{name}.yml").read_text(encoding="utf-8"))


def group(persona: str, environment: str = "shared") -> str:
    """The id that a test writes into config for a persona; pipelines have one for each environment."""
    number = list(read("reference_rbac")["rows"].values()).index(persona)
    where = ENVIRONMENTS.index(environment) if persona == "cicd_processes" else 0
    return f"{number:04d}{where:04d}-0000-0000-0000-000000000000"


def fill(root: Path, changes: dict[str, Any]) -> None:
    """Fill in what a new project leaves empty, then change config: "prod.infrastructure.spark" → value."""
    for name in ENVIRONMENTS:
        file = root / "config" / f"{name}.yml"
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        settings = content["infrastructure"]
        (content["registry"] if name == "shared" else content["azure"])["subscription"] = SUBSCRIPTIONS[name]
        settings["groups"] = {persona: group(persona, name) for persona in settings["groups"]}
        if name == "shared":
            settings |= {"name_suffix": "x7k2", "budget_start": "2030-01-01"}
            settings["approved_outbound"]["package_index"] = ["packages.example.com", "files.example.com"]
        if settings.get("kubernetes"):
            settings["kubernetes"]["tls"] = {"host": "models.example.com", "secret": "models"}
        for path, value in changes.items():
            where, *keys, last = path.split(".")
            if where == name:
                place = content
                for key in keys:
                    place = place[key]
                place[last] = value
        file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def resources(environment: str, scenario: str, target: str) -> set[tuple[str, str]]:
    """Type and name of everything, but for role assignments."""
    inventory = read("inventory")
    lines = [*inventory["everywhere"]]
    if environment == "shared":
        lines += inventory["shared"]
    else:
        lines += [*inventory["environment"], *inventory[environment]]
        lines += [*inventory["scenario"][scenario], *inventory["target"][target]]
    if environment in ("staging", "prod"):
        lines += inventory["target_in_production"][target]
    found = [tuple(line.replace("{e}", environment).split(" ", 1)) for line in lines]
    assert len(found) == len(set(found)), "the inventory says something twice"
    return {(kind, name) for kind, name in found}


def names(environment: str, made: set[tuple[str, str]]) -> dict[str, list[str]]:
    """The resources that a column of the tables means, by their names in the inventory."""
    kinds = {
        "workspace": r"Microsoft.MachineLearningServices/workspaces",
        "key_vault": r"Microsoft.KeyVault/vaults",
        "container_registry": r"Microsoft.ContainerRegistry/registries",
        "log_analytics": r"Microsoft.OperationalInsights/workspaces",
        "application_insights": r"Microsoft.Insights/components",
        "registry": r"Microsoft.MachineLearningServices/registries",
        "azure_monitor": r"Microsoft.Insights/(components|actionGroups|scheduledQueryRules|metricAlerts)",
    }
    found = {kind: [name for what, name in sorted(made) if re.fullmatch(kinds[kind], what)] for kind in kinds}
    accounts = [name for what, name in made if what == "Microsoft.Storage/storageAccounts"]
    found["lake"] = [name for name in accounts if name.startswith("dl")]
    found["account"] = [name for name in accounts if name.startswith("st")]
    return found


def _principal(persona: str, environment: str) -> str:
    if persona in IDENTITIES:
        return f"id-taxifares-{environment}-{IDENTITIES[persona]}"
    return group(persona, environment)


def from_tables(environment: str, made: set[tuple[str, str]], tables: list[str]) -> set[Assignment]:
    """What the reference's tables give in an environment."""
    from .test_data import cells

    there = names(environment, made)
    there["storage_account"] = there["account"] + there["lake"]
    found = set()
    for table in tables:
        for (persona, column), roles in cells(table).items():
            if column in ("azure_devops", "azure_artifacts") or (environment == "shared" and persona in IDENTITIES):
                continue
            for role in roles:
                found |= {Assignment(name, role, _principal(persona, environment)) for name in there[column]}
    return found


def from_system(environment: str, made: set[tuple[str, str]], lines: list[dict[str, Any]]) -> set[Assignment]:
    """What `system:` gives in an environment."""
    there = names(environment, made)
    there["storage_account"] = there["account"]
    found = set()
    for line in lines:
        if environment not in line["in"] or line["principal"] in ("event_hubs", "synapse"):
            continue
        for of in line.get("of", [environment]):
            who = _principal(line["principal"], of)
            found |= {Assignment(name, line["role"], who) for name in there[line["resource"]]}
    return found


def assignments(environment: str, made: set[tuple[str, str]], rbac: dict[str, Any]) -> set[Assignment]:
    """Every role assignment of an environment whose workspace is its own."""
    tables = ["pre_production" if environment == "dev" else "production"]
    return from_tables(environment, made, tables) | from_system(environment, made, rbac["system"])


def access_to_shared() -> set[Assignment]:
    """The roles on what is shared that the inventory names, whatever `system:` says."""
    return {
        Assignment(line["to"], line["role"], _principal(persona, environment))
        for line in read("inventory")["access"]
        for persona in line["for"]
        for environment in line["of"]
    }


def property_of(body: dict[str, Any], path: str) -> Any:
    """`a.b.c` of a resource; None where it is not there."""
    value: Any = body
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def differences(found: Found, environment: str, scenario: str, target: str, rbac: dict[str, Any]) -> list[str]:
    """Everything in which a tool's estate is not the one that is expected."""
    made = resources(environment, scenario, target)
    wrong = [f"missing: {' '.join(one)}" for one in sorted(made - set(found.resources))]
    wrong += [f"not expected: {' '.join(one)}" for one in sorted(set(found.resources) - made)]
    wanted, given = assignments(environment, made, rbac), set(found.assignments)
    wanted |= access_to_shared() if environment == "shared" else set()
    wrong += [f"missing: {one}" for one in sorted(wanted - given, key=str)]
    wrong += [f"not expected: {one}" for one in sorted(given - wanted, key=str)]
    wrong += [] if len(given) == len(found.assignments) else ["a role assignment twice"]
    return wrong + wrong_properties(found)


def wrong_properties(found: Found) -> list[str]:
    """Properties that must never differ and do."""
    known = read("inventory")["properties"]
    return [
        f"{kind} {name}: {path} is {property_of(body, path)!r}, not {value!r}"
        for (kind, name), body in found.resources.items()
        for path, value in known.get(kind, {}).items()
        if property_of(body, path) != value
    ]
