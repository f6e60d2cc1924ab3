"""The data that every IaC tool reads: complete, consistent, and what the reference says."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ..conftest import SLUG_FOLDER, TEMPLATE

HERE = Path(__file__).parent
FOLDER = TEMPLATE / SLUG_FOLDER / "infrastructure"
LONGEST_SLUG = "a-very-long-name-of-a-project-0123456789"
LONGEST_SUFFIX = "x7k2q"
ENVIRONMENTS = ("shared", "dev", "staging", "prod")


def data(name: str, folder: Path = FOLDER) -> Any:
    return yaml.safe_load((folder / f"{name}.yml").read_text(encoding="utf-8"))


REFERENCE = data("reference_rbac", HERE)


def cells(table: str) -> dict[tuple[str, str], list[str]]:
    """The reference's table: persona and column → roles by their names."""
    found = {}
    for line in REFERENCE[table].splitlines():
        title, *row = [cell.strip() for cell in line.strip().removesuffix("|").split("|")[1:]]
        assert len(row) == len(REFERENCE["columns"]), line
        for column, cell in zip(REFERENCE["columns"], row, strict=True):
            letters = [letter.strip() for letter in cell.split(",") if letter.strip()]
            found[REFERENCE["rows"][title], column] = [REFERENCE["letters"][letter] for letter in letters]
    return found


def differences(rbac: Any, table: str) -> list[str]:
    """Cells in which rbac.yml and the reference differ."""
    wanted = cells(table)
    given = rbac["assignments"][table]
    wrong = [
        f"{p}.{c}: {given.get(p, {}).get(c, [])}" for (p, c), v in wanted.items() if given.get(p, {}).get(c, []) != v
    ]
    return wrong + [f"{p}.{c}: not in the reference" for p in given for c in given[p] if (p, c) not in wanted]


@pytest.mark.parametrize("table", ["production", "pre_production"])
def test_roles_are_those_of_the_reference_cell_by_cell(table: str) -> None:
    rbac = data("rbac")
    assert len(cells(table)) == 12 * 8
    assert differences(rbac, table) == []
    assert list(rbac["assignments"][table]) == list(REFERENCE["rows"].values()), "personas in the reference's order"


@pytest.mark.parametrize(
    "plant",
    [
        lambda t: t["project_lead"]["key_vault"].pop(),
        lambda t: t["model_tester"].update(key_vault=["Key Vault Administrator"]),
        lambda t: t["data_analyst"].update(key_vault=["Reader"]),
        lambda t: t["cicd_processes"].pop("container_registry"),
        lambda t: t["workspace"].update(lake=["Reader"]),
    ],
)
def test_a_wrong_cell_is_seen(plant: Callable[[Any], Any]) -> None:
    rbac = data("rbac")
    plant(rbac["assignments"]["pre_production"])
    assert len(differences(rbac, "pre_production")) == 1


def test_personas_are_those_of_the_reference() -> None:
    personas = data("rbac")["personas"]
    assert list(personas) == list(REFERENCE["rows"].values())
    for name, (kind, specific) in REFERENCE["personas"].items():
        assert personas[name]["type"] == kind.lower()
        assert personas[name]["project_specific"] is specific
        temporary = name in REFERENCE["temporary"]
        assert (personas[name]["access"] != "standing") is temporary
        assert (personas[name]["until"] != "project") is temporary
        assert personas[name]["access"] != "eligible" or personas[name]["type"] == "person"


def test_roles_have_ids_and_reasons() -> None:
    rbac, roles = data("rbac"), data("roles")
    tables = [role for t in rbac["assignments"].values() for p in t.values() for c, r in p.items() for role in r]
    devops = {"DevOps Project Collection Administrators"}
    used = {*tables, *(line["role"] for line in rbac["system"])} - devops - set(rbac["custom_roles"])
    assert used == set(roles)
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", one) for one in roles.values())
    assert len(set(roles.values())) == len(roles)
    principals = set(rbac["personas"]) | set(rbac["identities"])
    for line in rbac["system"]:
        assert set(line) <= {"principal", "resource", "role", "in", "of", "reason"}
        assert line["principal"] in principals
        assert line["reason"]
        assert set(line["in"]) <= set(ENVIRONMENTS)
        assert "Owner" not in line["role"], "not for the machinery"
    keys = [
        (s["principal"], s["resource"], s["role"], e, o)
        for s in rbac["system"]
        for e in s["in"]
        for o in s.get("of", [e])
    ]
    assert len(keys) == len(set(keys)), "a role twice"
    managed = {name for name, persona in rbac["personas"].items() if persona["principal"] == "managed"}
    assert managed < set(rbac["identities"])


def test_production_data_is_closed_to_people() -> None:
    """But for what scans it; the identities of staging and production read it."""
    readers = {
        line["principal"] for line in data("rbac")["system"] if line["resource"] == "lake" and "shared" in line["in"]
    }
    assert readers == {"workspace", "compute", "data_governance_processes", "event_hubs", "synapse"}
    for line in data("rbac")["system"]:
        if line["resource"] == "lake" and "shared" in line["in"] and "of" in line:
            assert set(line["of"]) == {"staging", "prod"}


# Azure's rules for names, from "Naming rules and restrictions for Azure resources".
RULES = {
    "lake": r"[a-z0-9]{3,24}",
    "storage_account": r"[a-z0-9]{3,24}",
    "key_vault": r"(?!.*--)[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]",
    "container_registry": r"[A-Za-z0-9]{5,50}",
    "log_analytics": r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]",
    "application_insights": r"[^%&\\?/]{1,260}(?<![ .])",
    "workspace_identity": r"[A-Za-z0-9][A-Za-z0-9_-]{2,127}",
    "compute_identity": r"[A-Za-z0-9][A-Za-z0-9_-]{2,127}",
    "endpoint_identity": r"[A-Za-z0-9][A-Za-z0-9_-]{2,127}",
    "monitoring_processes_identity": r"[A-Za-z0-9][A-Za-z0-9_-]{2,127}",
    "kubernetes": r"[A-Za-z0-9][A-Za-z0-9_-]{0,61}[A-Za-z0-9]",
    "event_hubs": r"[A-Za-z][A-Za-z0-9-]{4,48}[A-Za-z0-9]",
    "synapse": r"(?!.*-ondemand)[a-z0-9][a-z0-9-]{0,48}[a-z0-9]",
    "action_group": r"[^:<>+/&%\\?|]{1,225}(?<![ .])",
    "alert": r"[^*#&+:<>?@%{}\\/|]{1,225}(?<![ .])",
    "budget": r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}",
    "private_endpoint": r"[A-Za-z0-9][A-Za-z0-9_.-]{0,50}[A-Za-z0-9_]",
    "policy": r"[^#<>*%&:?.+/ ]{1,24}",
}
WORLD_WIDE = {"lake", "storage_account", "key_vault", "container_registry", "event_hubs", "synapse"}


@pytest.mark.parametrize("slug", [LONGEST_SLUG, "abc", "a-b", "taxi-fares"])
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_names_keep_azure_s_rules(slug: str, environment: str) -> None:
    from mlops_runtime import infrastructure

    root = TEMPLATE / SLUG_FOLDER
    found = infrastructure.names(root, environment, slug, LONGEST_SUFFIX, {})
    assert set(found) == set(RULES)
    for kind, name in found.items():
        assert re.fullmatch(RULES[kind], name), f"{kind}: {name}"
        assert environment in name, f"{kind}: {name} is the same in every environment"
    assert {kind for kind, rule in data("names").items() if "{suffix}" in rule["name"]} == WORLD_WIDE
    assert len(set(found.values())) == len(found)


def test_existing_names_replace_the_rule() -> None:
    from mlops_runtime import infrastructure

    found = infrastructure.names(
        TEMPLATE / SLUG_FOLDER, "dev", "abc", "x7k", {"key_vault": "kv-ours", "workspace": True}
    )
    assert found["key_vault"] == "kv-ours"
    assert "workspace" not in found


def too_long(alert: Any) -> bool:
    """Whether Azure refuses an alert's window: two days are the most for logs."""
    days, hours, minutes = re.fullmatch(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?", alert["window"]).groups(
        default="0"
    )
    return int(days) * 1440 + int(hours) * 60 + int(minutes) > 2880


def test_alerts() -> None:
    from mlops_runtime.infrastructure import Alerts, People, SizeClass

    alerts = data("alerts")
    limits = {*Alerts.model_fields, *SizeClass.model_fields}
    for name, alert in {**alerts["logs"], **alerts["metrics"]}.items():
        assert alert["limit"] in limits, name
        assert set(alert["tell"]) <= set(People.model_fields), name
        assert set(alert["in"]) <= {"dev", "staging", "prod"}, name
        assert ("days" in alert) != ("window" in alert), name
        assert "window" not in alert or not too_long(alert), name
        assert "days" not in alert or alert["days"] in limits, name
        assert alert["when"] in ("GreaterThan", "LessThan", "LessThanOrEqual"), name
    queries = {path.stem for path in (FOLDER / "queries").glob("*.kql")}
    assert {alert["query"] for alert in alerts["logs"].values()} == queries
    assert {who for told in alerts["budget"].values() for who in told} <= set(People.model_fields)


def test_a_window_of_more_than_two_days_is_seen() -> None:
    assert too_long({"window": "P2DT1M"})
    assert too_long({"window": "P3D"})
    assert not too_long({"window": "P2D"})
    assert not too_long({"window": "PT48H"})


def test_policies_are_known_and_named_once() -> None:
    policies = data("policies")
    assert "a451c1ef-c6ca-483d-87ed-f49761e3ffb5" in {one["id"] for one in policies.values()}, (
        "custom roles are audited"
    )
    assert len({one["id"] for one in policies.values()}) == len(policies)
