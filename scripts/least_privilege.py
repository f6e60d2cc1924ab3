"""Write docs/least-privilege.md: who may do what on Azure and why, from infrastructure/rbac.yml and pipelines.yml.

`--check` writes nothing and exits with 1 when the page is not what it would write.
"""

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).resolve().parents[1]
SOURCE = TEMPLATE / "{{cookiecutter.project_slug}}" / "infrastructure"
PAGE = TEMPLATE / "docs" / "least-privilege.md"
WHERE = {"production": "staging and prod", "pre_production": "dev"}
AT = {
    "group": "its own resource group",
    "shared": "shared's resource group",
    "source": "the resource group that its models come from",
    "groups": "all resource groups",
    "workspaces": "all resource groups with a workspace",
}
INTRODUCTION = """\
# Least privilege

Who may do what on Azure, and why. `scripts/least_privilege.py` writes this page from `infrastructure/rbac.yml` and
`infrastructure/pipelines.yml`, from which the estate and `mlops bootstrap` are made too; a test fails when it is stale.
No role is assigned to a single person, none to everybody, and none by an account key or a password.
"""
PIPELINES = """\
What `mlops bootstrap` gives to the identity with which the pipelines of an environment sign in. It has no secret: it
trusts that environment of the repository, which people approve.
"""
SYSTEM = """\
The tables above are about the control plane, whose roles let nobody read a blob, pull an image or score.
"""


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    lines = [list(header), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join(f"| {' | '.join(cell or '–' for cell in line)} |\n" for line in lines)


def spoken(name: str) -> str:
    """A key of the files as people write it."""
    return name.replace("_", " ")


def personas(rbac: dict[str, Any]) -> str:
    """How each persona comes by its roles, and for how long it has them."""
    header = ("Who", "Kind", "Through", "Access", "Until the end of its")
    rows = (
        (spoken(who), said["type"], said["principal"], said["access"], said["until"])
        for who, said in rbac["personas"].items()
    )
    return table(header, rows)


def assignments(rbac: dict[str, Any], kind: str) -> str:
    """The reference's table for one kind of environment: a row for each persona, its roles by resource."""
    rows = (
        (spoken(who), "; ".join(f"{spoken(resource)}: {', '.join(roles)}" for resource, roles in found.items()))
        for who, found in rbac["assignments"][kind].items()
    )
    return table(("Who", "Roles"), rows)


def system(rbac: dict[str, Any]) -> str:
    """The roles that the reference's tables leave out."""
    rows = (
        (
            spoken(one["principal"]),
            spoken(one["resource"]) + (" of shared" if one["in"] == ["shared"] else ""),
            one["role"],
            ", ".join(one.get("of", one["in"])),
            one["reason"],
        )
        for one in rbac["system"]
    )
    return table(("Who", "On", "Role", "In", "Because it"), rows)


def pipelines(rights: dict[str, Any]) -> str:
    """What pipelines sign in with."""
    rows = [
        (
            one["role"],
            AT[one["at"]],
            ", ".join(one["in"]),
            one["reason"] + (", only those of rbac.yml and Owner only where it is there" if one.get("limited") else ""),
        )
        for one in rights["roles"]
    ]
    own = rights["custom_roles"]
    rows += [(one["name"], "the subscription", ", ".join(one["in"]), one["description"].rstrip(".")) for one in own]
    return table(("Role", "On", "Of", "Because it"), rows)


def custom(rbac: dict[str, Any], rights: dict[str, Any]) -> str:
    """Roles that Azure does not have, action by action."""
    found = {**rbac["custom_roles"], **{one["name"]: one for one in rights["custom_roles"]}}
    rows = (
        (name, said["description"], ", ".join(f"`{one}`" for one in said["actions"])) for name, said in found.items()
    )
    return table(("Role", "What for", "Actions"), rows)


def page() -> str:
    """The whole page."""
    rbac, rights = (
        yaml.safe_load((SOURCE / f"{name}.yml").read_text(encoding="utf-8")) for name in ("rbac", "pipelines")
    )
    parts = [INTRODUCTION, "## Who there is", personas(rbac)]
    for kind in rbac["assignments"]:
        parts += [f"## People and processes in {WHERE[kind]}", assignments(rbac, kind)]
    parts += ["## What makes it work", SYSTEM, system(rbac), "## Pipelines", PIPELINES, pipelines(rights)]
    parts += ["## Roles of our own", custom(rbac, rights)]
    return "\n".join(f"{part.rstrip()}\n" for part in parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether the page is fresh")
    if not parser.parse_args().check:
        PAGE.write_text(page(), encoding="utf-8", newline="\n")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page():
        return 0
    print(f"{PAGE} is not what the roles are now: run `uv run python scripts/least_privilege.py`.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
