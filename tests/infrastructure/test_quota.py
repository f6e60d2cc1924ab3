"""`mlops check --quota`: what the machines in config need, and what a stand-in for `az` says that Azure allows."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlops_runtime import cli
from mlops_runtime.bootstrap import tools

from ..bootstrap import fake
from .conftest import Estate
from .expected import SUBSCRIPTIONS

PREFIX = "Microsoft.MachineLearningServices"
SIZES = {
    "Standard_DS3_v2": ("standardDSv2Family", 4),
    "Standard_F4s_v2": ("standardFSv2Family", 4),
    "Standard_NC4as_T4_v3": ("Standard NCASv3_T4 Family", 4),
    "Standard_E4s_v3": ("standardESv3Family", 4),
    "Standard_E8s_v3": ("standardESv3Family", 8),
}
ONE = {f"{name}.azure.subscription": SUBSCRIPTIONS["dev"] for name in ("dev", "staging", "prod")}


def usage(name: str, used: int, limit: int, kind: str = "vmFamily/dedicatedCores", child: str = "") -> dict[str, Any]:
    """A line of what Azure ML counts; `child` is below a workspace."""
    return {
        "id": f"/subscriptions/s{child}/usages/{name.replace(' ', '_')}",
        "type": f"{PREFIX}/{kind}/usages",
        "unit": "Count",
        "currentValue": used,
        "limit": limit,
        "name": {"value": name, "localizedValue": name},
    }


def compute_usage(name: str, used: int, limit: int) -> dict[str, Any]:
    """A line of what `az vm list-usage` prints: numbers as texts."""
    return {"name": {"value": name}, "localName": name, "currentValue": str(used), "limit": str(limit)}


def region() -> dict[str, Any]:
    """A region in which everything fits."""
    families = ("standardDSv2Family", "standardFSv2Family", "standardNCASv3_T4Family", "standardESv3Family")
    vm = {"name": "Standard_D4s_v5", "family": "standardDSv5Family", "resourceType": "virtualMachines"}
    return {
        "vmSizes": [{"name": name, "family": family, "vCPUs": n} for name, (family, n) in SIZES.items()],
        "usages": [
            usage("Clusters", 3, 200, "totalCores"),
            *(usage(name, 0, 48) for name in families),
            *(usage(name, 0, 0, "vmFamily/lowPriorityCores") for name in families),
            usage("TotalDedicatedCores", 0, 200, "dedicatedCores"),
            usage("TotalLowPriorityCores", 0, 0, "lowPriorityCores"),
        ],
        "skus": [
            {**vm, "name": "Standard_D4s_v5_Promo", "capabilities": []},
            {**vm, "capabilities": [{"name": "MaxDataDisks", "value": "8"}, {"name": "vCPUs", "value": "4"}]},
        ],
        "vm usages": [compute_usage("cores", 0, 100), compute_usage("standardDSv5Family", 0, 32)],
    }


@pytest.fixture
def state() -> dict[str, Any]:
    return fake.new_state(regions={"westeurope": region()})


@pytest.fixture
def run(
    state: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    def execute(command: list[str], given: str | None) -> tuple[int, str, str]:
        return fake.answer(Path(command[0]).name, command[1:], given or "", state)

    def command(*options: str) -> tuple[int, str]:
        code = cli.main(["check", "--quota", *options])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    monkeypatch.setattr(tools, "execute", execute)
    monkeypatch.setattr(shutil, "which", lambda program: f"/bin/{program}")
    return command


Run = Callable[..., tuple[int, str]]


def set_usage(state: dict[str, Any], name: str, used: int, limit: int) -> None:
    """Change what Azure ML says of dedicated machines."""
    for one in state["regions"]["westeurope"]["usages"]:
        if one["name"]["value"] == name and "lowPriority" not in one["type"]:
            one.update(currentValue=used, limit=limit)


NEEDED = {  # prod's vCPUs by family
    ("classical", "online"): {"standardDSv2Family": 16, "standardFSv2Family": (8 + 3) * 4, "standardESv3Family": 8},
    ("classical", "batch"): {"standardDSv2Family": 16},
    ("classical", "kubernetes"): {"standardDSv2Family": 16, "standardDSv5Family": (6 + 1) * 4, "standardESv3Family": 8},
    ("cv", "online"): {"standardDSv2Family": 16, "standardFSv2Family": 44, "Standard NCASv3_T4 Family": 8},
    ("cv", "batch"): {"standardDSv2Family": 16, "Standard NCASv3_T4 Family": 8},
    ("cv", "kubernetes"): {"standardDSv2Family": 16, "standardDSv5Family": 28, "Standard NCASv3_T4 Family": 8},
    ("nlp", "online"): {"standardDSv2Family": 16, "standardFSv2Family": 44, "Standard NCASv3_T4 Family": 8},
    ("nlp", "batch"): {"standardDSv2Family": 16, "Standard NCASv3_T4 Family": 8},
    ("nlp", "kubernetes"): {"standardDSv2Family": 16, "standardDSv5Family": 28, "Standard NCASv3_T4 Family": 8},
}


@pytest.mark.parametrize(("scenario", "target"), NEEDED)
def test_every_scenario_and_target(
    project: Estate, state: dict[str, Any], run: Run, scenario: str, target: str
) -> None:
    project(scenario, target)
    code, printed = run("--env", "prod")
    assert code == 0, printed
    for family, cores in NEEDED[scenario, target].items():
        assert f"{family}: {cores} vCPUs needed, 0 used, limit" in printed
    totals = 2 if target == "kubernetes" else 1
    assert printed.count("✓") == len(NEEDED[scenario, target]) + totals
    assert {" ".join(call[1:3]) for call in state["calls"]} <= {"rest --method", "vm list-skus", "vm list-usage"}
    assert state["changes"] == 0
    assert run()[0] == 0  # each environment has a subscription of its own


def test_what_lacks_is_said(project: Estate, state: dict[str, Any], run: Run) -> None:
    project("cv")
    set_usage(state, "standardNCASv3_T4Family", 4, 6)
    code, printed = run("--env", "dev")
    assert code == 1
    assert "✗ Azure ML in westeurope: Standard NCASv3_T4 Family: 8 vCPUs needed, 4 used, limit 6" in printed
    assert "dev's gpu-cluster: 2 × Standard_NC4as_T4_v3, 4 vCPUs each" in printed
    assert "Ask for a limit of 12: Azure portal, Quotas, Machine learning." in printed
    assert printed.count("✗") == 1


def test_all_families_together(project: Estate, state: dict[str, Any], run: Run) -> None:
    project()
    set_usage(state, "TotalDedicatedCores", 160, 200)
    code, printed = run("--env", "dev")
    assert code == 1
    assert "✗ Azure ML in westeurope: all families: 48 vCPUs needed, 160 used, limit 200" in printed
    assert "Ask for a limit of 208" in printed


def test_environments_of_a_subscription_count_together(project: Estate, state: dict[str, Any], run: Run) -> None:
    project("classical", "batch", **ONE)
    assert "standardDSv2Family: 48 vCPUs needed, 0 used, limit 48" in run()[1]
    set_usage(state, "standardDSv2Family", 0, 47)
    assert run()[0] == 1
    assert run("--env", "dev")[0] == 0


def test_one_workspace_has_its_clusters_once(project: Estate, run: Run) -> None:
    project("classical", "batch", **ONE, **{"shared.infrastructure.workspaces": "one"})
    assert "standardDSv2Family: 16 vCPUs needed" in run()[1]


def test_what_the_workspace_uses_itself_is_not_in_the_way(project: Estate, state: dict[str, Any], run: Run) -> None:
    project()
    set_usage(state, "standardDSv2Family", 40, 48)
    set_usage(state, "TotalDedicatedCores", 190, 200)
    assert run("--env", "dev")[1].count("✗") == 2
    used = state["regions"]["westeurope"]["usages"]
    for workspace, cores in (("mlw-taxi-fares-dev", 38), ("mlw-other", 2)):
        child = f"/resourceGroups/g/providers/{PREFIX}/workspaces/{workspace}"
        used.append(usage("standardDSv2Family", cores, 48, "workspaces", child))
    code, printed = run("--env", "dev")
    assert code == 0, printed
    assert "standardDSv2Family: 16 vCPUs needed, 2 used, limit 48" in printed
    assert "all families: 48 vCPUs needed, 152 used" in printed


def test_names_and_limits_as_documented(project: Estate, state: dict[str, Any], run: Run) -> None:
    names = {
        "standardDSv2Family": "Standard DSv2 Family Cluster Dedicated vCPUs",
        "standardFSv2Family": "Standard FSv2 Family Cluster Dedicated vCPUs",
        "standardESv3Family": "Standard ESv3 Family Cluster Dedicated vCPUs",
        "TotalDedicatedCores": "Total Cluster Dedicated Regional vCPUs",
    }
    state["regions"]["westeurope"]["usages"] = [
        usage("Standard DSv2 Family Cluster LowPriority vCPUs", 0, -1, "vmFamily"),
        *(usage(name, 0, 200, "vmFamily") for name in names.values()),
    ]
    project()
    assert run("--env", "dev")[0] == 0
    set_usage(state, names["standardDSv2Family"], 500, -1)
    code, printed = run("--env", "dev")
    assert code == 0
    assert "16 vCPUs needed, 500 used, limit none" in printed


def test_a_size_that_is_not_offered(project: Estate, run: Run) -> None:
    project(**{"dev.infrastructure.clusters": {"cpu-cluster": {"size": "Standard_D99", "nodes": 1}}})
    code, printed = run("--env", "dev")
    assert code == 1
    assert "✗ Azure ML in westeurope: Standard_D99, for dev's cpu-cluster, is not offered: choose another" in printed


def test_a_family_without_a_limit(project: Estate, state: dict[str, Any], run: Run) -> None:
    there = state["regions"]["westeurope"]
    there["usages"] = [one for one in there["usages"] if one["name"]["value"] != "standardDSv2Family"]
    project()
    code, printed = run("--env", "dev")
    assert code == 1
    assert "standardDSv2Family: 16 vCPUs needed, and Azure lists no limit: ask for 16" in printed


def test_another_region(project: Estate, run: Run) -> None:
    project(**{"dev.azure.location": "moonbase"})
    code, printed = run("--env", "dev")
    assert code == 2
    assert "Azure ML is not in moonbase, says Azure: choose another region." in printed


@pytest.mark.parametrize(
    ("usages", "message"),
    [
        (
            [compute_usage("cores", 0, 100), compute_usage("standardDSv5Family", 20, 32)],
            "limit of 36: Azure portal, Quo",
        ),
        (
            [compute_usage("cores", 90, 100), compute_usage("standardDSv5Family", 0, 32)],
            "all families: 16 vCPUs needed",
        ),
    ],
)
def test_machines_of_kubernetes(
    project: Estate, state: dict[str, Any], run: Run, usages: list[dict[str, Any]], message: str
) -> None:
    project("classical", "kubernetes")
    state["regions"]["westeurope"]["vm usages"] = usages
    code, printed = run("--env", "dev")
    assert code == 1
    assert "✗ virtual machines in westeurope" in printed
    assert message in printed
    assert "dev's kubernetes: 4 × Standard_D4s_v5, 4 vCPUs each" in printed


def test_a_size_that_kubernetes_cannot_have(project: Estate, state: dict[str, Any], run: Run) -> None:
    project("classical", "kubernetes")
    state["regions"]["westeurope"]["skus"].pop()
    code, printed = run("--env", "dev")
    assert code == 1
    assert "Standard_D4s_v5, for dev's kubernetes, is not offered" in printed


def test_jobs_with_machines_of_their_own(project: Estate, run: Run) -> None:
    steps = {
        "prepare": {"component": "prepare-spark.yml", "instance_type": "standard_e8s_v3", "instances": 3},
        "train": {"instance_type": "Standard_DS3_v2"},
    }
    project(**{"dev.compute.steps": steps})
    code, printed = run("--env", "dev")
    assert code == 0, printed
    assert f"standardESv3Family: {(3 + 1) * 8 + 2 * 4} vCPUs needed" in printed
    assert f"standardDSv2Family: {16 + 4} vCPUs needed" in printed


def test_who_is_not_signed_in(project: Estate, state: dict[str, Any], run: Run) -> None:
    project()
    state["account"] = None
    code, printed = run()
    assert code == 2
    assert "az is not signed in: run `az login`" in printed


def test_no_subscription(project: Estate, run: Run) -> None:
    project(**{"staging.azure.subscription": ""})
    code, printed = run()
    assert code == 2
    assert "config/staging.yml: azure.subscription is empty" in printed
    assert run("--env", "dev")[0] == 0
