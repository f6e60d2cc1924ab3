"""What keeps the estate on Azure from being made is said with what to do about it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from mlops_runtime import config, infrastructure
from mlops_runtime.errors import Problem

from ..conftest import SLUG_FOLDER, TEMPLATE
from . import toy

ENVIRONMENTS = ("dev", "staging", "prod")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    toy.write(tmp_path)
    shutil.copytree(TEMPLATE / SLUG_FOLDER / "infrastructure", tmp_path / "infrastructure")
    return tmp_path


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def missing(root: Path) -> list[str]:
    return list(infrastructure.missing(root, [config.load(name, root) for name in ENVIRONMENTS]))


def test_a_new_project_is_told_what_to_fill_in(root: Path) -> None:
    found = missing(root)
    for key, advice in {
        "name_suffix": "such as x7k2",
        "approved_outbound.package_index": "such as [packages.example.com, files.example.com]",
        "budget_start": "such as 2030-01-01",
        "registry.subscription": "az account list",
        "config/prod.yml: azure.subscription": "az account list",
    }.items():
        assert [one for one in found if key in one and advice in one], key
    assert len(found) == 7


def fill(root: Path) -> None:
    shared = root / "config" / "shared.yml"
    change(shared, 'name_suffix: ""', "name_suffix: x7k2")
    change(shared, "package_index: []", "package_index: [packages.example.com, files.example.com]")
    change(shared, 'budget_start: ""', 'budget_start: "2030-01-01"')
    for name in ("shared", *ENVIRONMENTS):
        change(
            root / "config" / f"{name}.yml", 'subscription: ""', "subscription: 00000000-0000-0000-0000-000000000001"
        )


def test_a_filled_in_project_lacks_nothing(root: Path) -> None:
    fill(root)
    assert missing(root) == []


BROKEN = {
    "kind": ("prod.yml", "existing: {}", "existing: {vault: kv}", "existing.vault: no such kind; choose among"),
    "flag": ("prod.yml", "existing: {}", "existing: {workspace: mlw}", "existing.workspace: write true"),
    "name": ("prod.yml", "existing: {}", "existing: {key_vault: true}", "existing.key_vault: write its name"),
    "spark": (
        "prod.yml",
        "protect: false",
        "protect: false\n  spark: true",
        "event_hubs and spark belong where the lake is",
    ),
    "one": ("dev.yml", "workspace: mlw-toy", "workspace: mlw-dev", "the same subscription, group and workspace"),
    "tls": (
        "prod.yml",
        "  clusters:",
        "  kubernetes: {size: Standard_D4s_v5, nodes: {min: 1, max: 2}, tls: {host: '', secret: ''}, arc: ''}"
        "\n  clusters:",
        "kubernetes.tls: write the host name",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_contradictions_are_named(root: Path, fault: str) -> None:
    fill(root)
    if fault == "one":
        change(root / "config/shared.yml", "workspaces: separate", "workspaces: one")
        assert missing(root) == []
    file, old, new, message = BROKEN[fault]
    change(root / "config" / file, old, new)
    found = missing(root)
    assert len(found) == 1
    assert message in found[0]


def test_warnings(root: Path) -> None:
    settings = [config.load(name, root) for name in ENVIRONMENTS]
    assert "no id for data_scientist" in "\n".join(infrastructure.warnings(settings))
    assert "workspaces is one" not in "\n".join(infrastructure.warnings(settings))
    change(root / "config/shared.yml", "workspaces: separate", "workspaces: one")
    settings = [config.load(name, root) for name in ENVIRONMENTS]
    assert "who may develop may also change production" in "\n".join(infrastructure.warnings(settings))
    assert "go to team@example.com, which nobody reads" in "\n".join(infrastructure.warnings(settings))
    for name in ("shared", *ENVIRONMENTS):
        change(root / "config" / f"{name}.yml", "team@example.com", "team@acme.org")
    settings = [config.load(name, root) for name in ENVIRONMENTS]
    assert "nobody reads" not in "\n".join(infrastructure.warnings(settings))


WRONG = {
    "suffix": ('name_suffix: ""', "name_suffix: TOO-LONG", "infrastructure.name_suffix"),
    "address of a page": (
        "package_index: []",
        "package_index: [https://packages.example.com/simple]",
        "package_index.0",
    ),
    "group": ("groups: {}", "groups: {data_scientist: team}", "infrastructure.groups.data_scientist"),
    "persona": ("groups: {}", "groups: {boss: ''}", "infrastructure.groups.boss: unknown key"),
    "size class": ("size: small", "size: huge", "describe the size class 'huge'"),
    "no index": (", package_index: []", "", "approved_outbound.package_index: this key is missing"),
    "day": ('budget_start: ""', 'budget_start: "2030-01-15"', "infrastructure.budget_start"),
    "tiers": ("spent: [50, 80, 100]", "spent: []", "infrastructure.budget.spent"),
    "container": ("zones: [bronze", "zones: [Bronze_1", "infrastructure.lake.zones.0"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_wrong_settings_are_named(root: Path, fault: str) -> None:
    old, new, message = WRONG[fault]
    change(root / "config/shared.yml", old, new)
    with pytest.raises(Problem, match=r"shared\.yml") as caught:
        config.load("dev", root)
    assert message in str(caught.value)


def test_the_data_fit_together(root: Path) -> None:
    assert list(infrastructure.inconsistent(root)) == []


UNFIT: dict[str, tuple[str, Callable[[dict], object], str]] = {
    "role": ("rbac", lambda d: d["system"][0].update(role="Boss"), "system: Boss is not in roles.yml"),
    "principal": ("rbac", lambda d: d["system"][0].update(principal="cat"), "cat is neither a persona nor an identity"),
    "cell": (
        "rbac",
        lambda d: d["assignments"]["production"]["data_scientist"].update(key_vault=["Boss"]),
        "Boss is not in",
    ),
    "persona": ("rbac", lambda d: d["assignments"]["production"].update(cat={}), "production.cat: not one of personas"),
    "window": ("alerts", lambda d: d["logs"]["latency"].update(window="P3D"), "latency: window: P3D"),
    "no window": ("alerts", lambda d: d["logs"]["latency"].update(window="soon"), "latency: window: soon"),
    "query": ("alerts", lambda d: d["logs"]["latency"].update(query="speed"), "no infrastructure/queries/speed.kql"),
    "limit": ("alerts", lambda d: d["metrics"]["quota"].update(limit="cats"), "has no cats"),
    "tell": ("alerts", lambda d: d["logs"]["latency"].update(tell=["model_tester"]), "contacts has no model_tester"),
}


@pytest.mark.parametrize("fault", UNFIT)
def test_data_that_do_not_fit_are_named(root: Path, fault: str) -> None:
    name, plant, message = UNFIT[fault]
    file = root / "infrastructure" / f"{name}.yml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    plant(content)
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    found = list(infrastructure.inconsistent(root))
    assert len(found) == 1
    assert message in found[0]
