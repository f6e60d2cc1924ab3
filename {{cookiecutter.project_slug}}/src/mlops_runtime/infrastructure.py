"""What `infrastructure/` makes on Azure: the schema of its settings, names by rule, and what is missing to apply it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator

from mlops_runtime.naming import FOLDER as FOLDER
from mlops_runtime.naming import names as names
from mlops_runtime.schema import Section

if TYPE_CHECKING:
    from mlops_runtime.config import Config

DEVOPS = ("azure_devops", "azure_artifacts")  # columns that are no Azure resources
MOST_MINUTES = 2880  # that Azure Monitor looks back for an alert on logs
NAMED_IN_CONFIG = ("resource_group", "workspace", "registry")
Suffix = Annotated[str, StringConstraints(pattern="^$|^[a-z0-9]{3,5}$")]
Id = Annotated[str, StringConstraints(pattern="^$|^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
ResourceId = Annotated[str, StringConstraints(pattern="^$|^/subscriptions/[^/]+/resourceGroups/[^/]+(/providers/.+)?$")]
Host = Annotated[str, StringConstraints(pattern=r"^(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)+$")]
Address = Annotated[str, StringConstraints(pattern=r"^\d{1,3}(\.\d{1,3}){3}(/(3[0-2]|[12]?\d))?$")]
Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
FirstOfMonth = Annotated[str, StringConstraints(pattern=r"^$|^\d{4}-(0[1-9]|1[0-2])-01$")]
ClusterName = Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9-]{1,22}[a-z0-9]$")]
Container = Annotated[str, StringConstraints(pattern="^[a-z0-9]+(-[a-z0-9]+)*$", min_length=3, max_length=63)]
Percent = Annotated[int, Field(ge=1, le=1000)]


class Outbound(Section):
    """Hosts that jobs and containers may reach."""

    microsoft_artifact_registry: list[Host]
    conda: list[Host]
    package_index: list[Host]
    project: list[Host]


class Groups(Section):
    """Ids of Microsoft Entra groups and service principals by persona; an empty one is assigned nothing."""

    data_scientist: Id = ""
    data_analyst: Id = ""
    model_tester: Id = ""
    business_stakeholders: Id = ""
    project_lead: Id = ""
    product_owner: Id = ""
    platform_technical_support: Id = ""
    model_end_user: Id = ""
    cicd_processes: Id = ""
    data_governance_processes: Id = ""


class People(Section):
    """E-mail addresses by persona, of those whom alerts and budgets tell."""

    data_scientist: list[Email] = Field(min_length=1)
    project_lead: list[Email] = Field(min_length=1)
    product_owner: list[Email] = Field(min_length=1)
    platform_technical_support: list[Email] = Field(min_length=1)


class Lake(Section):
    """Containers of the data lake, and when their content gets cheaper or goes."""

    zones: list[Container] = Field(min_length=1)
    cool_after_days: int = Field(ge=1)
    delete_bronze_after_days: int = Field(ge=1)


class SizeClass(Section):
    """Limits that depend on how much an endpoint is meant for: counts per window, milliseconds; whole numbers."""

    requests_per_minute: int = Field(gt=0)
    throttling_ms: int = Field(ge=0)
    client_errors: int = Field(ge=0)
    server_errors: int = Field(ge=0)
    latency_ms: int = Field(gt=0)


class Alerts(Section):
    """Limits of infrastructure/alerts.yml."""

    size: str
    sizes: dict[str, SizeClass]
    unreached: int = Field(ge=0)
    refused_callers: int = Field(ge=0)
    key_use: int = Field(ge=0)
    failed_jobs: int = Field(ge=0)
    queue_minutes: int = Field(gt=0)
    missing_nodes: int = Field(ge=0)
    quota_percent: int = Field(gt=0, le=100)
    node_percent: int = Field(gt=0, le=100)
    availability_percent: int = Field(gt=0, le=100)
    active_cores: int = Field(ge=0)
    stale_days: int = Field(gt=0)
    ongoing_requests: int = Field(ge=0)
    ongoing_days: int = Field(gt=0)
    unused_requests: int = Field(ge=0)
    unused_days: int = Field(gt=0)

    @field_validator("sizes")
    @classmethod
    def known_size(cls, value: dict[str, SizeClass], info: Any) -> dict[str, SizeClass]:
        """Refuse a size class that is not described."""
        if info.data.get("size") not in value:
            raise ValueError(
                f"describe the size class {info.data.get('size')!r}, or choose one that is here as alerts.size"
            )
        return value


class Budget(Section):
    """What may be spent in a month, and at which shares of it people are told."""

    monthly: int = Field(gt=0)
    spent: list[Percent] = Field(min_length=1, max_length=4)
    forecast: list[Percent] = Field(max_length=1)


class PrivateEndpoints(Section):
    """Where private endpoints are made; both empty for none."""

    subnet: ResourceId
    zones: ResourceId

    @field_validator("zones")
    @classmethod
    def both(cls, value: str, info: Any) -> str:
        """Refuse one without the other."""
        if bool(value) != bool(info.data.get("subnet")):
            raise ValueError("give subnet and zones, or neither")
        return value


class Place(Section):
    """What shared and the environments have alike."""

    budget: Budget
    allowed_addresses: list[Address]
    private_endpoints: PrivateEndpoints
    event_hubs: bool = False
    spark: bool = False
    existing: dict[str, str | bool]


class SharedInfrastructure(Place):
    """config/shared.yml: infrastructure."""

    name_suffix: Suffix
    workspaces: Literal["separate", "one"]
    approved_outbound: Outbound
    labelling_origins: list[str] = Field(default_factory=list)
    serving: Literal["online", "batch", "kubernetes"]
    groups: Groups
    just_in_time: bool
    contacts: People
    lake: Lake
    log_days: Literal[30, 60, 90, 120, 180, 270, 365, 550, 730]
    alerts: Alerts
    defender: list[str]
    budget_start: FirstOfMonth


class Cluster(Section):
    """A cluster of virtual machines for jobs, with no node while nothing runs."""

    size: str = Field(pattern="^Standard_[A-Za-z0-9_]+$")
    nodes: int = Field(ge=1)


class Nodes(Section):
    """How many nodes a Kubernetes cluster has."""

    min: int = Field(ge=1)
    max: int = Field(ge=1)


class Tls(Section):
    """How callers reach a Kubernetes cluster's endpoints: by which name, with which secret's certificate."""

    host: str
    secret: str


class Kubernetes(Section):
    """The cluster that endpoints run on: one that is made, or one that Azure Arc knows."""

    size: str = Field(pattern="^Standard_[A-Za-z0-9_]+$")
    nodes: Nodes
    tls: Tls
    arc: ResourceId


class EnvironmentInfrastructure(Place):
    """config/<environment>.yml: infrastructure."""

    groups: Groups
    clusters: dict[ClusterName, Cluster]
    kubernetes: Kubernetes | None = None
    endpoint: bool
    firewall: Literal["Standard", "Basic"]
    protect: bool


def limits(shared: SharedInfrastructure) -> dict[str, int]:
    """The limits of infrastructure/alerts.yml by name, those of the size class among them."""
    alerts = shared.alerts
    return {**alerts.model_dump(exclude={"size", "sizes"}), **alerts.sizes[alerts.size].model_dump()}


def inconsistent(root: Path) -> Iterator[str]:
    """Where the data in infrastructure/*.yml contradict each other or Azure's limits."""
    from mlops_runtime.config import read_yaml

    rbac, roles, alerts = (read_yaml(root / FOLDER / f"{name}.yml") for name in ("rbac", "roles", "alerts"))
    known = {*roles, *rbac["custom_roles"]}
    for table, personas in rbac["assignments"].items():
        for persona, columns in personas.items():
            if persona not in rbac["personas"]:
                yield f"infrastructure/rbac.yml: assignments.{table}.{persona}: not one of personas."
            for column, given in columns.items():
                for role in sorted(set(given) - known) if column not in DEVOPS else ():
                    where = f"assignments.{table}.{persona}.{column}"
                    yield f"infrastructure/rbac.yml: {where}: {role} is not in roles.yml."
    for line in rbac["system"]:
        if line["role"] not in known:
            yield f"infrastructure/rbac.yml: system: {line['role']} is not in roles.yml."
        if line["principal"] not in {*rbac["personas"], *rbac["identities"]}:
            yield f"infrastructure/rbac.yml: system: {line['principal']} is neither a persona nor an identity."
    limits = {*Alerts.model_fields, *SizeClass.model_fields}
    for name, alert in {**alerts["logs"], **alerts["metrics"]}.items():
        where = f"infrastructure/alerts.yml: {name}"
        if alert["limit"] not in limits:
            yield f"{where}: limit: infrastructure.alerts in config/shared.yml has no {alert['limit']}."
        if "query" in alert and not (root / FOLDER / "queries" / f"{alert['query']}.kql").is_file():
            yield f"{where}: query: there is no infrastructure/queries/{alert['query']}.kql."
        if "window" in alert and not 0 < _minutes(alert["window"]) <= MOST_MINUTES:
            yield f"{where}: window: {alert['window']} is not PT1M to P2D; give `days` for what takes longer."
        for persona in sorted(set(alert["tell"]) - set(People.model_fields)):
            yield f"{where}: tell: infrastructure.contacts has no {persona}."


def _minutes(duration: str) -> int:
    """An ISO 8601 duration of days, hours and minutes; 0 for anything else."""
    found = re.fullmatch(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?", duration)
    days, hours, minutes = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    return days * 1440 + hours * 60 + minutes


def missing(root: Path, settings: list[Config]) -> Iterator[str]:
    """What keeps the estate from being applied, with what to do about it."""
    from mlops_runtime.config import read_yaml

    shared = settings[0].infrastructure
    where = "config/shared.yml: infrastructure."
    if not shared.name_suffix:
        yield (
            f"{where}name_suffix is empty: write 3 to 5 lower-case letters and digits that nobody else would choose, "
            "such as x7k2, or run `mlops bootstrap`, which does. Names are unique by it; never change it later."
        )
    if not shared.approved_outbound.package_index:
        yield (
            f"{where}approved_outbound.package_index is empty: write the host of your Python package index and the one "
            "that serves its files, such as [packages.example.com, files.example.com]. `pip config list` or "
            "UV_INDEX_URL say which your team uses; `mlops bootstrap --package-index URL --package-files URL` "
            "writes them."
        )
    if not shared.budget_start:
        yield f"{where}budget_start is empty: write the first day of this month, such as 2030-01-01."
    kinds = {*read_yaml(root / FOLDER / "names.yml"), *NAMED_IN_CONFIG}
    places = [("shared", settings[0].registry.subscription, shared.existing)]
    places += [(one.environment, one.azure.subscription, one.estate.existing) for one in settings]
    for environment, subscription, existing in places:
        key = "registry" if environment == "shared" else "azure"
        if not subscription:
            yield f"config/{environment}.yml: {key}.subscription is empty: write the id that `az account list` shows."
        for kind, name in existing.items():
            key = f"config/{environment}.yml: infrastructure.existing.{kind}"
            if kind not in kinds:
                yield f"{key}: no such kind; choose among {', '.join(sorted(kinds))}."
            elif kind in NAMED_IN_CONFIG and name is not True:
                yield f"{key}: write true; config gives its name elsewhere."
            elif kind not in NAMED_IN_CONFIG and not isinstance(name, str):
                yield f"{key}: write its name."
    for one in settings:
        cluster = one.estate.kubernetes
        if cluster and not cluster.arc and not (cluster.tls.host and cluster.tls.secret):
            yield (
                f"config/{one.environment}.yml: infrastructure.kubernetes.tls: write the host name that endpoints get "
                "and the Kubernetes secret that holds its certificate, for nothing is sent unencrypted."
            )
        if one.environment != "dev" and (one.estate.event_hubs or one.estate.spark):
            yield (
                f"config/{one.environment}.yml: infrastructure: event_hubs and spark belong where the lake is: "
                "set them in config/shared.yml for production's, in config/dev.yml for development's."
            )
    if shared.workspaces == "one":
        homes = {(one.azure.subscription, one.azure.resource_group, one.azure.workspace) for one in settings}
        if len(homes) > 1:
            yield f"{where}workspaces is one: give dev, staging and prod the same subscription, group and workspace."


def warnings(settings: list[Config]) -> Iterator[str]:
    """What works and should be known before it is applied."""
    shared = settings[0].infrastructure
    if shared.workspaces == "one":
        yield (
            "infrastructure.workspaces is one: everybody has the rights of development and production in the same "
            "workspace, so that who may develop may also change production."
        )
    nobody = [name for name, value in shared.groups if not value and name != "cicd_processes"]
    if nobody:
        yield f"infrastructure.groups: no id for {', '.join(nobody)}: these get no rights."
    addresses = [one for _, listed in shared.contacts for one in listed] + [one.contacts.owner for one in settings]
    unread = sorted({one for one in addresses if one.endswith("@example.com")})
    if unread:
        yield (
            f"Alerts and budgets go to {', '.join(unread)}, which nobody reads: write your addresses into "
            "infrastructure.contacts in config/shared.yml, and into contacts of the environments."
        )
