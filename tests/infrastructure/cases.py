"""What every tool makes of the options in config, whatever the tool.

Each case takes `estate`, a function that makes a project with changes to config, and `make`, one that says what the
tool makes of an environment of a project.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from mlops_runtime.bootstrap import stacks

from . import expected
from .conftest import PRIVATE, Estate

Make = Callable[[Path, str], expected.Found]
Case = Callable[[Estate, Make], None]

OPTIONS: dict[str, Any] = {
    "shared.infrastructure.event_hubs": True,
    "shared.infrastructure.spark": True,
    "shared.infrastructure.defender": ["Containers", "KeyVaults"],
    "dev.infrastructure.event_hubs": True,
    "dev.infrastructure.spark": True,
    "prod.infrastructure.endpoint": True,
    "prod.infrastructure.allowed_addresses": ["203.0.113.0/24"],
    **{f"{name}.infrastructure.private_endpoints": PRIVATE for name in ("shared", "dev", "prod")},
}


def rbac_of(root: Path) -> Any:
    """rbac.yml of a project."""
    return yaml.safe_load((root / "infrastructure" / "rbac.yml").read_text(encoding="utf-8"))


def roles_of(root: Path) -> dict[str, str]:
    """The names of built-in roles by id."""
    content = yaml.safe_load((root / "infrastructure" / "roles.yml").read_text(encoding="utf-8"))
    return {id_: name for name, id_ in content.items()}


def check_estate(estate: Estate, make: Make, scenario: str, target: str) -> None:
    """The estate without options is that of the inventory."""
    root = estate(scenario, target)
    for environment in expected.ENVIRONMENTS:
        made = make(root, environment)
        wrong = expected.differences(made, environment, scenario, target, rbac_of(root))
        wrong += wrong_identities(made, environment)
        assert wrong == [], f"{environment}: " + "\n".join(wrong)


def wrong_identities(made: expected.Found, environment: str) -> list[str]:
    """Jobs run as what their cluster is, serverless ones as the workspace: `system:` gives the data to these two."""
    found = []
    for (kind, name), body in made.resources.items():
        who = {"workspaces": "workspace", "workspaces/computes": "compute"}.get(kind.partition("Services/")[2])
        if who:
            identity = body.get("identity") or {}
            ids = [*(identity.get("userAssignedIdentities") or ()), *(identity.get("ids") or ())]
            given = [one.rsplit("/", 1)[-1] for one in ids]
            if given != [f"id-taxifares-{environment}-{who}"]:
                found.append(f"{kind} {name} is {given}")
    return found


def check_options(estate: Estate, make: Make) -> None:
    """What is off by default is there when it is asked for, and only then."""
    root, plain = estate(**OPTIONS), estate()
    made = {name: make(root, name) for name in expected.ENVIRONMENTS}
    more = {name: set(made[name].resources) - set(make(plain, name).resources) for name in made}
    lake = {kind for kind, _ in more["shared"]}
    assert lake == {
        *("Microsoft.EventHub/namespaces", "Microsoft.EventHub/namespaces/eventhubs", "Microsoft.Security/pricings"),
        *("Microsoft.Synapse/workspaces", "Microsoft.Synapse/workspaces/bigDataPools"),
        *("Microsoft.Network/privateEndpoints", "Microsoft.Network/privateEndpoints/privateDnsZoneGroups"),
        "Microsoft.Insights/diagnosticSettings",
    }
    assert {kind for kind, _ in more["dev"]} == lake - {"Microsoft.Security/pricings"}
    assert more["staging"] == set()
    assert ("Microsoft.Insights/metricAlerts", "alert-taxifares-prod-endpoint-latency") in more["prod"]
    assert ("Microsoft.Insights/diagnosticSettings", "mlw-taxi-fares-prod/taxi-fares-prod/to-logs") in more["prod"]
    endpoints = {
        "shared": {"lake-blob", "lake-dfs", "registry"},
        "prod": {"workspace", "vault", "images", "storage-blob", "storage-file"},
    }
    for name, wanted in endpoints.items():
        prefix = f"pe-taxifares-{name}-"
        found = {one for kind, one in more[name] if kind == "Microsoft.Network/privateEndpoints"}
        assert found == {f"{prefix}{one}" for one in wanted}
    for name, one in made.items():
        assert expected.wrong_properties(one) == []
        for resource, body in one.resources.items():
            access = expected.property_of(body, "properties.publicNetworkAccess")
            assert access in (None, "Enabled" if name == "staging" else "Disabled"), resource
    own = {
        (name, one.resource, one.role, one.principal)
        for name, found_ in made.items()
        for one in found_.assignments
        if one.principal.startswith(("evh-", "syn-"))
    }
    role = "Storage Blob Data Contributor"
    assert own == {
        (name, f"dltaxifares{name}x7k2", role, f"{kind}-taxifares-{name}-x7k2")
        for name in ("shared", "dev")
        for kind in ("evh", "syn")
    }


def check_allowed_addresses(estate: Estate, make: Make) -> None:
    """With addresses, everything else is refused."""
    changes = {f"{name}.infrastructure.allowed_addresses": ["203.0.113.7"] for name in expected.ENVIRONMENTS}
    root = estate(**changes)
    for environment in expected.ENVIRONMENTS:
        for (kind, name), body in make(root, environment).resources.items():
            for rules in ("properties.networkAcls", "properties.networkRuleSet"):
                if expected.property_of(body, rules):
                    assert expected.property_of(body, f"{rules}.defaultAction") == "Deny", f"{kind} {name}"


def check_what_is_there(estate: Estate, make: Make) -> None:
    """What is there already is used and not made."""
    ours = {"resource_group": True, "workspace": True, "key_vault": "kv-ours", "storage_account": "stours"}
    ours |= {"container_registry": "crours", "log_analytics": "log-ours", "application_insights": "appi-ours"}
    theirs = {"registry": True, "lake": "dlours"}
    root = estate(**{"prod.infrastructure.existing": ours, "shared.infrastructure.existing": theirs})
    made = make(root, "prod")
    not_made = {
        *("Microsoft.Resources/resourceGroups", "Microsoft.KeyVault/vaults", "Microsoft.Storage/storageAccounts"),
        *("Microsoft.ContainerRegistry/registries", "Microsoft.MachineLearningServices/workspaces"),
        *("Microsoft.OperationalInsights/workspaces", "Microsoft.Insights/components"),
    }
    assert not not_made & {kind for kind, _ in made.resources}
    on = {one.resource for one in made.assignments}
    assert {"kv-ours", "stours", "crours", "log-ours", "appi-ours", "mlw-taxi-fares-prod"} <= on
    rules = [body for (kind, _), body in made.resources.items() if kind == "Microsoft.Insights/scheduledQueryRules"]
    assert rules
    assert all(one["properties"]["scopes"][0].endswith("/workspaces/log-ours") for one in rules)
    stores = [body for (kind, _), body in made.resources.items() if kind.endswith("/datastores")]
    assert {one["properties"]["accountName"] for one in stores} == {"dlours"}
    shared = make(root, "shared")
    kinds = {kind for kind, _ in shared.resources}
    assert not {"Microsoft.MachineLearningServices/registries", "Microsoft.Storage/storageAccounts"} & kinds
    assert {"dlours", "mlr-taxi-fares"} <= {one.resource for one in shared.assignments}


def check_one_workspace(estate: Estate, make: Make) -> None:
    """A single workspace has the rights of all environments."""
    home = {"subscription": expected.SUBSCRIPTIONS["prod"], "location": "westeurope"}
    home |= {"resource_group": "rg-taxi-fares-prod", "workspace": "mlw-taxi-fares-prod"}
    root = estate(
        **{"shared.infrastructure.workspaces": "one", "dev.azure": home, "staging.azure": home, "prod.azure": home}
    )
    for environment in ("dev", "staging"):
        assert make(root, environment) == expected.Found()
    made = make(root, "prod")
    resources = expected.resources("prod", "classical", "online")
    assert set(made.resources) == resources
    lines = [
        {**line, "in": ["prod"], "of": ["prod"]}
        for line in rbac_of(root)["system"]
        if {"dev", "staging", "prod"} & set(line["in"])
    ]
    wanted = expected.from_tables("prod", resources, ["production", "pre_production"])
    wanted |= expected.from_system("prod", resources, lines)
    assert set(made.assignments) == wanted
    assert len(made.assignments) == len(wanted), "each once"
    identities = {one for kind, one in make(root, "shared").resources if kind.endswith("Identities")}
    assert identities == {f"id-taxifares-prod-{one}" for one in expected.IDENTITIES.values()}


def check_just_in_time(estate: Estate, make: Make) -> None:
    """Eligible roles are left to `mlops bootstrap`."""
    root = estate(**{"shared.infrastructure.just_in_time": True})
    support = expected.group("platform_technical_support")
    for environment in expected.ENVIRONMENTS:
        given = make(root, environment).assignments
        assert given
        assert support not in {one.principal for one in given}
    assert support in {one.principal for one in make(estate(), "prod").assignments}


def check_no_group(estate: Estate, make: Make) -> None:
    """Without a group nobody has its rights, nor those of another environment's pipelines."""
    root = estate(**{"shared.infrastructure.groups.data_scientist": "", "dev.infrastructure.groups.cicd_processes": ""})
    principals = {one.principal for one in make(root, "dev").assignments}
    assert principals
    assert expected.group("data_scientist") not in principals
    assert not {one for one in principals if one == "" or one.startswith("0008")}


def check_access_to_shared(estate: Estate, make: Make, plant: Callable[[Path, str, str, str], None]) -> None:
    """A line that `system:` lacks is missed in what a tool makes, though every tool reads it there."""
    root = estate()
    line = "{principal: cicd_processes, resource: registry, role: AzureML Registry User"
    plant(root, "rbac.yml", line, line.replace("registry, role: AzureML Registry User", "lake, role: Reader"))
    wrong = expected.differences(make(root, "shared"), "shared", "classical", "online", rbac_of(root))
    lost = expected.Assignment("mlr-taxi-fares", "AzureML Registry User", expected.group("cicd_processes", "prod"))
    assert f"missing: {lost}" in wrong


def check_caller_role(estate: Estate, make: Make) -> None:
    """The id of the custom role is the one that `mlops bootstrap` lets pipelines assign."""
    root = estate()
    for environment in ("staging", "prod"):
        made = make(root, environment).resources["Microsoft.Authorization/roleDefinitions", "Endpoint Caller"]
        known = stacks.caller_role(expected.SUBSCRIPTIONS[environment], f"rg-taxi-fares-{environment}")
        assert made["name"] == known


def check_arc(estate: Estate, make: Make) -> None:
    """A cluster that Azure Arc knows is attached, and none is made."""
    arc = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Kubernetes/connectedClusters/ours"
    root = estate("classical", "kubernetes", **{"dev.infrastructure.kubernetes.arc": arc})
    made = make(root, "dev")
    kinds = {kind for kind, _ in made.resources}
    assert "Microsoft.ContainerService/managedClusters" not in kinds
    assert "Microsoft.KubernetesConfiguration/extensions" not in kinds
    attached = made.resources["Microsoft.MachineLearningServices/workspaces/computes", "mlw-taxi-fares-dev/kubernetes"]
    assert attached["properties"]["resourceId"] == arc


EVERY_TOOL: list[Case] = [
    *(check_options, check_allowed_addresses, check_what_is_there, check_one_workspace),
    *(check_just_in_time, check_no_group, check_arc),
]
