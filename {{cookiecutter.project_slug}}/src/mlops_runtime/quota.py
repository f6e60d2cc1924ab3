"""Whether the machines in config fit what Azure offers in their region and allows the subscription.

Azure ML counts its machines apart from those of Kubernetes, by VM family and in all:
https://learn.microsoft.com/azure/machine-learning/how-to-manage-quotas
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlops_runtime.errors import Problem
from mlops_runtime.files import read_yaml

if TYPE_CHECKING:
    from mlops_runtime.config import Config

Sizes = dict[str, tuple[str, int]]  # family and vCPUs by size, in lower case
Limits = dict[str, tuple[int, int]]  # used and allowed vCPUs by the key of a family
ML, COMPUTE = "Azure ML", "virtual machines"
PROVIDERS = {ML: "Machine learning", COMPUTE: "Compute"}  # where Azure's portal has their quotas
API = "api-version=2025-06-01"
UPGRADES = 1.2  # instances that an endpoint's deployment needs quota for, by instance that it has
TOTAL = "all families"
TOTALS = ("totaldedicatedcores", "totalclusterdedicatedregionalvcpus")  # as Azure ML has called it
UNLIMITED = -1
DEPLOYMENT, MONITOR = "mlops/azureml/deploy/deployment.yml", "mlops/azureml/monitor/monitor.yml"


@dataclass(frozen=True)
class Machines:
    """Machines of one size: how many there are always, how many at most, and what of Azure counts them."""

    what: str
    size: str
    always: int
    most: int
    counted_by: str = ML


def machines(one: Config) -> Iterator[Machines]:
    """What runs in an environment; with one workspace, clusters are those of prod."""
    if one.infrastructure.workspaces == "separate" or one.environment == "prod":
        for name, cluster in one.estate.clusters.items():
            yield Machines(name, cluster.size, 0, cluster.nodes)
        kubernetes = one.estate.kubernetes
        if kubernetes and not kubernetes.arc:
            nodes = kubernetes.nodes
            surge = math.ceil(nodes.max / 10)  # nodes that an upgrade adds, by default
            yield Machines("kubernetes", kubernetes.size, nodes.min, nodes.max + surge, COMPUTE)
    if one.infrastructure.serving == "online":
        own = one.deployment.model_dump()
        deployment = {**read_yaml(one.root / DEPLOYMENT), **own["settings"]}
        count, scale = int(deployment["instance_count"]), own.get("autoscale") or {}
        # The deployment that answers, and beside it the new one or the one before, which stays for `mlops rollback`.
        most = math.ceil(UPGRADES * scale.get("max", count)) + math.ceil(UPGRADES * count)
        yield Machines("endpoint", deployment["instance_type"], scale.get("min", count) + count, most)
    for name, step in one.compute.steps.items():
        if step.instance_type:
            yield Machines(f"step {name}", step.instance_type, 0, step.instances + (1 if step.component else 0))
    if one.infrastructure.serving != "batch" and (one.root / MONITOR).is_file():
        compute = read_yaml(one.root / MONITOR)["create_monitor"]["compute"]
        yield Machines("model monitor", compute["instance_type"], 0, 2)  # Spark's driver and an executor


def check(settings: list[Config]) -> Iterator[tuple[bool, str]]:
    """Whether what these environments need is there, and how much, in words; summed by subscription and region."""
    places: dict[tuple[str, str, str], list[tuple[Config, Machines]]] = defaultdict(list)
    for one in settings:
        if not one.azure.subscription:
            where = f"config/{one.environment}.yml: azure.subscription"
            raise Problem(f"{where} is empty: write the id that `az account list` shows, or run `mlops bootstrap`.")
        for need in machines(one):
            places[one.azure.subscription, one.azure.location, need.counted_by].append((one, need))
    for (subscription, location, counted_by), needs in places.items():
        if counted_by == ML:
            answers = _azure_ml(subscription, location, {one.azure.workspace.lower() for one, _ in needs})
        else:
            answers = _compute(subscription, location, {need.size for _, need in needs})
        yield from _compared(counted_by, location, needs, *answers)


def _compared(
    counted_by: str, location: str, needs: list[tuple[Config, Machines]], sizes: Sizes, limits: Limits
) -> Iterator[tuple[bool, str]]:
    where = f"{counted_by} in {location}"
    needed: dict[str, int] = defaultdict(int)
    whose: dict[str, list[str]] = defaultdict(list)
    for one, need in needs:
        who = f"{one.environment}'s {need.what}"
        if need.size.lower() not in sizes:
            yield False, f"{where}: {need.size}, for {who}, is not offered: choose another size or region."
            continue
        family, cores = sizes[need.size.lower()]
        for name in (family, TOTAL):
            needed[name] += need.most * cores
            whose[name].append(f"    {who}: {need.most} × {need.size}, {cores} vCPUs each")
    for family, cores in sorted(needed.items()):
        said = f"{where}: {family}: {cores} vCPUs needed"
        if _key(family) not in limits:
            yield False, f"{said}, and Azure lists no limit: ask for {cores}."
            continue
        used, limit = limits[_key(family)]
        fits = limit == UNLIMITED or used + cores <= limit
        advice = f"    Ask for a limit of {used + cores}: Azure portal, Quotas, {PROVIDERS[counted_by]}."
        said += f", {used} used, limit {'none' if limit == UNLIMITED else limit}"
        yield fits, said if fits else "\n".join([said, *whose[family], advice])


def _key(family: str) -> str:
    """A family's name as all of Azure's spellings have it: standardDSv2Family, Standard DSv2 Family Cluster …"""
    return re.sub("[^a-z0-9]", "", family.lower()).removesuffix("clusterdedicatedvcpus")


def _azure_ml(subscription: str, location: str, workspaces: set[str]) -> tuple[Sizes, Limits]:
    """What Azure ML says of a region; what these workspaces use themselves already is not in the way."""
    path = f"/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/locations/{location}"
    try:
        sizes = {one["name"].lower(): (one["family"], int(one["vCPUs"])) for one in _listed(f"{path}/vmSizes")}
    except Problem as problem:
        if "NoRegisteredProviderFound" in str(problem) or "LocationNotAvailable" in str(problem):
            raise Problem(f"Azure ML is not in {location}, says Azure: choose another region.") from None
        raise
    found: Limits = {}
    own: dict[str, int] = defaultdict(int)
    for one in _listed(f"{path}/usages"):
        key, id_, used = _key(one["name"]["value"]), one["id"].lower(), int(one["currentValue"])
        if "lowpriority" in _key(one["type"]) + key:  # may have the same name as dedicated machines
            continue
        workspace = re.search("/workspaces/([^/]+)/usages/", id_)
        if workspace and workspace[1] in workspaces:
            own[key] += used
            own[_key(TOTAL)] += used
        elif "/workspaces/" not in id_:
            found[_key(TOTAL) if key in TOTALS else key] = (used, int(one["limit"]))
    return sizes, {key: (max(used - own[key], 0), limit) for key, (used, limit) in found.items()}


def _listed(path: str) -> Iterator[Any]:
    from mlops_runtime.bootstrap.tools import az

    url: str | None = f"https://management.azure.com{path}?{API}"
    while url:
        answer = az("rest", "--method", "get", "--url", url)
        yield from answer["value"]
        url = answer.get("nextLink")


def _compute(subscription: str, location: str, sizes: set[str]) -> tuple[Sizes, Limits]:
    """What Microsoft.Compute says of a region."""
    from mlops_runtime.bootstrap.tools import az

    place = ("--location", location, "--subscription", subscription)
    offered: Sizes = {}
    for size in sizes:
        for one in az("vm", "list-skus", *place, "--resource-type", "virtualMachines", "--size", size):
            cores = [int(each["value"]) for each in one["capabilities"] if each["name"] == "vCPUs"]
            offered |= {one["name"].lower(): (one["family"], number) for number in cores}
    listed = az("vm", "list-usage", *place)
    limits = {_key(one["name"]["value"]): (int(one["currentValue"]), int(one["limit"])) for one in listed}
    return offered, {**limits, _key(TOTAL): limits["cores"]}
