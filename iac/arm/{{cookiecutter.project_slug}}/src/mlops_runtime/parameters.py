"""The parameters of infrastructure/azuredeploy.json, from config/*.yml and the data beside it.

Names, roles and alerts are worked out here; the template only says how things are made.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlops_runtime.files import read_yaml
from mlops_runtime.naming import FOLDER, by_rules

SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentParameters.json#"
TEMPLATE = "./azuredeploy.json"  # by which PSRule for Azure finds it; Azure does not read this
ENVIRONMENTS = ("dev", "staging", "prod")
DATA = ("names", "rbac", "roles", "alerts", "policies")  # files in infrastructure/
IDENTITIES = ("workspace", "compute", "endpoint", "monitoring_processes")  # that `shared` makes for each environment
OWN = {"event_hubs": "event_hubs", "synapse": "spark"}  # whose identities are made with them: the option in config
LAST = ("workspace", "azure_monitor")  # need the workspace, which in turn needs the other roles
WIDTH = 160  # of a line in a parameter file
TYPES = {
    "key_vault": "Microsoft.KeyVault/vaults",
    "container_registry": "Microsoft.ContainerRegistry/registries",
    "storage_account": "Microsoft.Storage/storageAccounts",
    "lake": "Microsoft.Storage/storageAccounts",
    "log_analytics": "Microsoft.OperationalInsights/workspaces",
    "application_insights": "Microsoft.Insights/components",
    "workspace": "Microsoft.MachineLearningServices/workspaces",
    "registry": "Microsoft.MachineLearningServices/registries",
    "kubernetes": "Microsoft.ContainerService/managedClusters",
    "event_hubs": "Microsoft.EventHub/namespaces",
    "synapse": "Microsoft.Synapse/workspaces",
}
LOCKED = {"lake": "data", "storage_account": "data", "key_vault": "secrets", "container_registry": "images in use"}


def derive(root: Path) -> dict[Path, str]:
    """The parameter file of each environment and of what they share, with its content."""
    found, data = {}, {name: read_yaml(root / FOLDER / f"{name}.yml") for name in DATA}
    config = {name: read_yaml(root / "config" / f"{name}.yml") for name in ("shared", *ENVIRONMENTS)}
    queries = {
        path.stem: path.read_text(encoding="utf-8").split("\n")
        for path in sorted((root / FOLDER / "queries").glob("*.kql"))
    }
    for environment in config:
        place = _Place(environment, config, {**data, "queries": queries})
        content = {name: {"value": value} for name, value in place.parameters().items()}
        head = {"$schema": SCHEMA, "contentVersion": "1.0.0.0", "metadata": {"template": TEMPLATE}}
        document = {**head, "parameters": content}
        found[root / FOLDER / f"azuredeploy.parameters.{environment}.json"] = _text(document) + "\n"
    return found


def _text(value: Any, indent: int = 0) -> str:
    """JSON with what fits on a line in one line, so that a role or an alert is read and compared at a glance."""
    short = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, (dict, list)) or not value or (len(short) + indent <= WIDTH and _flat(value)):
        return short
    pad = " " * (indent + 2)
    if isinstance(value, dict):
        lines = [f"{json.dumps(key, ensure_ascii=False)}: {_text(one, indent + 2)}" for key, one in value.items()]
    else:
        lines = [_text(one, indent + 2) for one in value]
    start, end = "{}" if isinstance(value, dict) else "[]"
    return start + "\n" + ",\n".join(pad + line for line in lines) + "\n" + " " * indent + end


def _flat(value: Any) -> bool:
    """Whether nothing in a list or object is one itself."""
    return not any(isinstance(one, (dict, list)) for one in (value.values() if isinstance(value, dict) else value))


class _Place:
    """One environment, or what they share."""

    def __init__(self, environment: str, config: dict[str, Any], data: dict[str, Any]) -> None:
        self.environment, self.is_shared, self.config, self.data = environment, environment == "shared", config, data
        self.shared = self.config["shared"]["infrastructure"]
        self.registry = self.config["shared"]["registry"]
        self.settings = self.config[environment]["infrastructure"]
        self.azure = self.registry if self.is_shared else self.config[environment]["azure"]
        self.rbac, self.alerts = data["rbac"], data["alerts"]
        self.names = {
            **self._names(environment, self.settings["existing"]),
            "workspace": self.azure.get("workspace", ""),
            "registry": self.registry["name"],
        }
        # With a single workspace only shared and prod are applied, and prod has the rights of all environments.
        self.single = self.shared["workspaces"] == "one"
        self.serving = self.shared["serving"]
        self.endpoint = {} if self.is_shared else self.config[environment]["deployment"]["endpoint"]
        self.kubernetes = self.settings.get("kubernetes") or {}
        self.made = [kind for kind in self._kinds() if kind not in self.settings["existing"]]

    def _names(self, environment: str, existing: dict[str, Any]) -> dict[str, str]:
        project = self.config["shared"]["project"]["name"]
        return by_rules(self.data["names"], environment, project, self.shared["name_suffix"], existing)

    def _kinds(self) -> list[str]:
        """What belongs here, whether it is made or there already."""
        kinds = ["resource_group", "log_analytics"]
        if self.is_shared:
            kinds += ["lake", "registry"]
        else:
            kinds += ["application_insights", "storage_account", "key_vault", "container_registry", "workspace"]
            kinds += ["lake"] if self.environment == "dev" else []
            kinds += ["kubernetes"] if self.kubernetes and not self.kubernetes["arc"] else []
        if "lake" in kinds:
            kinds += [kind for kind, option in OWN.items() if self.settings.get(option)]
        return kinds

    def id(self, kind: str) -> str:
        """The part of a resource's id after that of its group."""
        return f"{TYPES[kind]}/{self.names[kind]}"

    def parameters(self) -> dict[str, Any]:
        """All parameters of the template."""
        owner = self.config["prod" if self.is_shared else self.environment]["contacts"]["owner"]
        project = self.config["shared"]["project"]["name"]
        return {
            "environment": self.environment,
            "apply": not self.single or self.environment in ("shared", "prod"),
            "location": self.azure["location"],
            "nameSuffix": self.shared["name_suffix"],
            "resourceGroup": {"name": self.azure["resource_group"], "make": "resource_group" in self.made},
            "tags": {
                "project": project,
                "environment": self.environment,
                "owner": owner,
                "managed_by": "infrastructure",
            },
            "defender": self.shared["defender"] if self.is_shared else [],
            "roles": self.data["roles"],
            "customRoles": [
                {"title": title, "description": role["description"], "actions": role["actions"]}
                for title, role in self.rbac["custom_roles"].items()
                if self.environment in ("staging", "prod")
            ],
            "estate": self.estate(),
        }

    def estate(self) -> dict[str, Any]:
        """What is made in the resource group."""
        grants, principals = self._grants()
        hosts = [*self._hosts()]
        tables = [] if self.is_shared else [*self._tables()]
        lake = self.environment == "dev" or self.is_shared
        return {
            "names": self.names,
            "make": [kind for kind in self.made if kind != "resource_group"],
            "shared": {
                "subscription": self.registry["subscription"],
                "resourceGroup": self.registry["resource_group"],
            },
            "identities": [*self._identities()] if self.is_shared else [],
            "principals": principals,
            "grants": [one for kind, one in grants if kind not in LAST and one["to"] not in OWN],
            "lateGrants": [one for kind, one in grants if kind in LAST],
            "ownGrants": {name: [one["role"] for _, one in grants if one["to"] == name] for name in OWN},
            "logDays": self.shared["log_days"],
            "accounts": [
                {
                    "name": self.names[kind],
                    "lake": kind == "lake",
                    "origins": self.shared.get("labelling_origins", []) if kind == "storage_account" else [],
                }
                for kind in ("storage_account", "lake")
                if kind in self.made
            ],
            "lake": {
                "subscription": self.azure["subscription"] if lake else self.registry["subscription"],
                "resourceGroup": self.azure["resource_group"] if lake else self.registry["resource_group"],
                "name": self.names["lake"] if lake else self._names("shared", self.shared["existing"])["lake"],
                "zones": self.shared["lake"]["zones"],
                "coolAfterDays": self.shared["lake"]["cool_after_days"],
                "deleteBronzeAfterDays": self.shared["lake"]["delete_bronze_after_days"],
            },
            "allowedAddresses": self.settings["allowed_addresses"],
            "subnet": self.settings["private_endpoints"]["subnet"],
            "privateZones": self.settings["private_endpoints"]["zones"],
            "privateEndpoints": [*self._private_endpoints()] if self.settings["private_endpoints"]["subnet"] else [],
            "packageIndex": [one for one in hosts if one["name"].startswith("package-index-")],
            "outbound": [one for one in hosts if not one["name"].startswith("package-index-")],
            "firewall": self.settings.get("firewall", "Standard"),
            "clusters": [{"name": name, **one} for name, one in sorted(self.settings.get("clusters", {}).items())],
            "datastores": [] if self.is_shared else self.shared["lake"]["zones"],
            "kubernetes": [
                {
                    "size": self.kubernetes["size"],
                    "minNodes": self.kubernetes["nodes"]["min"],
                    "maxNodes": self.kubernetes["nodes"]["max"],
                    "tlsHost": self.kubernetes["tls"]["host"],
                    "tlsSecret": self.kubernetes["tls"]["secret"],
                }
            ]
            if "kubernetes" in self.made
            else [],
            "attached": [
                {
                    "name": self.endpoint.get("compute", "kubernetes").replace("azureml:", ""),
                    "arc": self.kubernetes["arc"],
                }
            ]
            if self.kubernetes
            else [],
            "receivers": [
                {"name": self._receiver(persona), "shortName": persona.replace("_", "")[:12], "addresses": addresses}
                for persona, addresses in self.shared["contacts"].items()
            ],
            "budget": {
                "amount": self.settings["budget"]["monthly"],
                "start": self.shared["budget_start"],
                "tiers": [*self._tiers()],
            },
            "policies": [
                {
                    "name": f"{self.names['policy']}-{name.replace('_', '-')}",
                    "title": policy["title"],
                    "id": policy["id"],
                    "parameters": {key: {"value": value} for key, value in policy.get("parameters", {}).items()},
                }
                for name, policy in self.data["policies"].items()
            ],
            "queries": {one["query"]: self.data["queries"][one["query"]] for one in tables},
            "logAlerts": [*self._log_alerts()],
            "metricAlerts": [*self._metric_alerts()],
            "workbook": tables,
            "diagnostics": [*self._diagnostics()],
            "locks": [*self._locks()],
        }

    def _identities(self) -> Iterator[str]:
        for environment in ("prod",) if self.single else ENVIRONMENTS:
            found = self._names(environment, {})
            yield from (found[f"{kind}_identity"] for kind in IDENTITIES)

    # Roles

    def _grants(self) -> tuple[list[tuple[str, dict[str, str]]], dict[str, dict[str, str]]]:
        """Who gets which role on what, each once and with the kind of that; the principals by the names used there."""
        found: list[tuple[str, dict[str, str]]] = []
        principals: dict[str, dict[str, str]] = {}
        for kind, role, persona, of in [*self._from_tables(), *self._from_system()]:
            to = persona if of in ("shared", self.environment) else f"{persona} of {of}"
            principal = self._principal(persona, of)
            if not principal:
                continue
            if persona not in OWN:
                principals[to] = principal
            for resource in self._resources(kind):
                grant = (kind, {"role": role, "on": resource, "to": to})
                found += [] if grant in found else [grant]
        return found, principals

    def _from_tables(self) -> Iterator[tuple[str, str, str, str]]:
        """Kind, role, persona and environment of the tables' cells; Azure DevOps' columns are no Azure resources."""
        columns = {"log_analytics": ["log_analytics"], "storage_account": ["lake"], "azure_monitor": ["azure_monitor"]}
        if not self.is_shared:
            columns |= {kind: [kind] for kind in ("workspace", "key_vault", "container_registry")}
            columns["storage_account"] = ["storage_account", *(["lake"] if self.environment == "dev" else [])]
            columns["azure_monitor"] = ["application_insights", "azure_monitor"]
        stages = ["pre_production"] if self.environment == "dev" else ["production"]
        stages += ["pre_production"] if self.single and self.environment == "prod" else []
        for stage in stages:
            for persona, cells in self.rbac["assignments"][stage].items():
                about = self.rbac["personas"][persona]
                on_request = self.shared["just_in_time"] and about["access"] == "eligible"  # not assigned here
                if on_request or (self.is_shared and about["principal"] == "managed"):
                    continue
                for column, kinds in columns.items():
                    for role in cells.get(column, []):
                        yield from ((kind, role, persona, self.environment) for kind in kinds)

    def _from_system(self) -> Iterator[tuple[str, str, str, str]]:
        here = {*ENVIRONMENTS} if self.single and self.environment == "prod" else {self.environment}
        for line in self.rbac["system"]:
            if not here & {*line["in"]}:
                continue
            of = line.get("of", [self.environment])
            if self.single:
                of = ["shared" if self.is_shared and "of" not in line else "prod"]
            own_lake = self.is_shared or self.environment == "dev"
            if line["resource"] != "lake" or own_lake:
                yield from ((line["resource"], line["role"], line["principal"], one) for one in of)

    def _principal(self, persona: str, of: str) -> dict[str, str]:
        """An Entra id, or the name of an identity; nothing where there is neither."""
        if persona in OWN:
            return {"identity": self.names[persona]} if persona in self.made else {}
        if persona in IDENTITIES:
            return {"type": "ServicePrincipal", "id": "", "identity": self._names(of, {})[f"{persona}_identity"]}
        groups = {**self.shared["groups"], **self.config[of]["infrastructure"]["groups"]}
        kind = "Group" if self.rbac["personas"][persona]["principal"] == "group" else "ServicePrincipal"
        return {"type": kind, "id": groups[persona], "identity": ""} if groups.get(persona) else {}

    def _resources(self, kind: str) -> list[str]:
        """What a kind means here; for azure_monitor every alert and action group on its own."""
        if kind != "azure_monitor":
            return [self.id(kind)]
        alerts = [f"Microsoft.Insights/scheduledQueryRules/{one['name']}" for one in self._log_alerts()]
        alerts += [f"Microsoft.Insights/metricAlerts/{one['name']}" for one in self._metric_alerts()]
        people = self.shared["contacts"]
        return alerts + [f"Microsoft.Insights/actionGroups/{self._receiver(persona)}" for persona in people]

    # Network

    def _hosts(self) -> Iterator[dict[str, str]]:
        for purpose, hosts in self.shared["approved_outbound"].items():
            for number, host in enumerate(hosts, 1):
                yield {"name": f"{purpose.replace('_', '-')}-{number}", "host": host}

    def _private_endpoints(self) -> Iterator[dict[str, Any]]:
        """{storage} and {images} in a zone are what the cloud's own names end in, which the template knows."""
        machine_learning = ["privatelink.api.azureml.ms", "privatelink.notebooks.azure.net"]
        targets = []
        if not self.is_shared:
            targets = [
                ("workspace", "workspace", "amlworkspace", machine_learning),
                ("vault", "key_vault", "vault", ["privatelink.vaultcore.azure.net"]),
                ("images", "container_registry", "registry", ["privatelink{images}"]),
                ("storage-blob", "storage_account", "blob", ["privatelink.blob.{storage}"]),
                ("storage-file", "storage_account", "file", ["privatelink.file.{storage}"]),
            ]
        if self.is_shared or self.environment == "dev":
            targets += [("lake-blob", "lake", "blob", ["privatelink.blob.{storage}"])]
            targets += [("lake-dfs", "lake", "dfs", ["privatelink.dfs.{storage}"])]
        if self.is_shared:
            targets += [("registry", "registry", "amlregistry", machine_learning)]
        for name, kind, group, zones in targets:
            yield {"name": name, "to": self.id(kind), "group": group, "zones": zones}

    # Monitoring and cost

    def _receiver(self, persona: str) -> str:
        return f"{self.names['action_group']}-{persona.replace('_', '-')}"

    def _tiers(self) -> Iterator[dict[str, Any]]:
        for kind, key in (("Actual", "spent"), ("Forecasted", "forecast")):
            for percent in self.settings["budget"][key]:
                tell = [self._receiver(persona) for persona in self.alerts["budget"][key]]
                yield {"name": f"{kind}-{percent}", "kind": kind, "percent": percent, "tell": tell}

    def _watched(self, where: str) -> list[tuple[str, dict[str, Any]]]:
        """The alerts for how the model serves, whatever their environments."""
        ours = sorted(self.alerts[where].items())
        return [(name, one) for name, one in ours if self.serving in one.get("serving", [self.serving])]

    def _tables(self) -> Iterator[dict[str, str]]:
        for name, alert in self._watched("logs"):
            yield {"name": name, "title": alert["text"], "query": alert["query"]}

    def _alert(self, name: str, alert: dict[str, Any]) -> dict[str, Any]:
        limits = {**self.shared["alerts"], **self.shared["alerts"]["sizes"][self.shared["alerts"]["size"]]}
        return {
            "name": f"{self.names['alert']}-{name.replace('_', '-')}",
            "text": alert["text"],
            "severity": alert["severity"],
            "operator": alert["when"],
            "threshold": limits[alert["limit"]],
            "every": alert["every"],
            "window": alert["window"],
            "tell": [self._receiver(persona) for persona in alert["tell"]],
        }

    def _log_alerts(self) -> Iterator[dict[str, Any]]:
        for name, alert in self._watched("logs"):
            if self.environment in alert["in"] and "window" in alert:
                worst = "Maximum" if alert["when"] == "GreaterThan" else "Minimum"
                more = {"query": alert["query"], "measure": alert["measure"], "aggregation": worst}
                yield self._alert(name, alert) | more

    def _metric_alerts(self) -> Iterator[dict[str, Any]]:
        kinds = ("workspace", "storage_account", "kubernetes")
        there = {kind: self.id(kind) for kind in kinds if kind in self._kinds()}
        if self._watches_endpoint():
            there["endpoint"] = self._endpoint_id()
        for name, alert in self._watched("metrics"):
            if self.environment in alert["in"] and alert["of"] in there:
                more = {"criterion": name, "of": there[alert["of"]], "metric": alert["metric"]}
                yield self._alert(name, alert) | more | {"aggregation": alert["aggregation"]}

    def _watches_endpoint(self) -> bool:
        return bool(self.settings.get("endpoint")) and self.serving != "batch"

    def _endpoint_id(self) -> str:
        return f"{self.id('workspace')}/onlineEndpoints/{self.endpoint['name']}"

    def _diagnostics(self) -> Iterator[dict[str, str]]:
        """What sends its logs and metrics to Log Analytics; what was there already is left as it is."""
        for kind in ("storage_account", "lake"):
            if kind in self.made:
                yield {"on": f"{self.id(kind)}/blobServices/default", "logs": "allLogs", "metrics": "Transaction"}
        for kind in ("key_vault", "container_registry", "event_hubs"):
            if kind in self.made:
                yield {"on": self.id(kind), "logs": "allLogs", "metrics": "AllMetrics"}
        for kind in ("registry", "synapse"):
            if kind in self.made:
                yield {"on": self.id(kind), "logs": "allLogs", "metrics": ""}
        if "kubernetes" in self.made:
            yield {"on": self.id("kubernetes"), "logs": "audit", "metrics": "AllMetrics"}
        if not self.is_shared:
            yield {"on": self.id("workspace"), "logs": "allLogs", "metrics": "AllMetrics"}
        if self._watches_endpoint():
            yield {"on": self._endpoint_id(), "logs": "allLogs", "metrics": "AllMetrics"}

    def _locks(self) -> Iterator[dict[str, str]]:
        if self.is_shared or self.settings.get("protect"):
            for kind, holds in LOCKED.items():
                if kind in self.made:
                    yield {"on": self.id(kind), "notes": f"Holds {holds}: remove this lock first."}
