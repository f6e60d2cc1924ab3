"""`mlops check --cost`: quantities, prices and what is wrong with either, with a stand-in for Azure's price list."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlops_runtime import cli, config, costs

from . import expected
from .conftest import PRIVATE, Estate
from .price_list import LINUX, PriceList, row

DEV = {  # a month of classical, online, worked out by hand
    "endpoint: 2 × Standard_F4s_v2": 2 * 730 * 0.2,
    "cpu-cluster: 4 × Standard_DS3_v2": 4 * 60 * 0.3,
    "logs": (10 - 5) * 3.0,
    "firewall: Basic": 730 * 0.4,
    "private endpoints of the managed network": 8 * 730 * 0.01,
    "images": 365 / 12 * 1.2,
    "storage of the workspace": 50 * 0.02,
    "lake": 100 * 0.03,
}
SHARED = {"logs": 0.0, "images of the registry of models": 365 / 12 * 1.2, "lake": 500 * 0.03}
ENOUGH = {f"{name}.infrastructure.budget.monthly": 9999 for name in expected.ENVIRONMENTS}


@pytest.fixture
def prices(monkeypatch: pytest.MonkeyPatch) -> Iterator[PriceList]:
    with PriceList() as found:
        monkeypatch.setattr(costs, "SOURCE", found.address)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield found


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def command(*options: str) -> tuple[int, str]:
        code = cli.main(["check", "--cost", *options])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return command


Run = Callable[..., tuple[int, str]]


def estimated(root: Path, environment: str, currency: str = "USD") -> dict[str, float | None]:
    """What is billed, by its name."""
    settings = [config.load(name, root) for name in config.ENVIRONMENTS]
    found = next(costs.estimate([environment], settings, currency))
    return {cost.item.what: cost.month for cost in found.costs}


def test_a_month_is_what_it_is_by_hand(project: Estate, prices: PriceList, run: Run) -> None:
    root = project(**ENOUGH)
    assert estimated(root, "dev") == pytest.approx(DEV)
    assert estimated(root, "shared") == pytest.approx(SHARED)
    assert estimated(root, "dev", "EUR") == pytest.approx({name: price / 2 for name, price in DEV.items()})
    code, printed = run()
    assert code == 0, printed
    lines = [line.split() for line in printed.splitlines()]
    assert ["endpoint:", "2", "×", "Standard_F4s_v2", "1460", "1", "Hour", "0.2000", "292.00"] in lines
    assert ["logs", "10", "1", "GB", "3.0000", "15.00"] in lines
    assert f"together, of 9999 USD in its budget {sum(DEV.values()):>16.2f}".split() in lines
    total = sum(sum(filter(None, estimated(root, name).values())) for name in expected.ENVIRONMENTS)
    assert f"All of it: {total:.2f} USD a month" in printed
    assert "infrastructure/costs.yml" in printed


@pytest.mark.parametrize("target", ["online", "batch", "kubernetes"])
@pytest.mark.parametrize("scenario", ["classical", "cv", "nlp"])
def test_every_scenario_and_target(project: Estate, prices: PriceList, run: Run, scenario: str, target: str) -> None:
    root = project(scenario, target)
    code, printed = run()
    assert code == 0, printed  # what is made by default fits its budgets
    own: dict[str, dict[str, float]] = {
        "online": {"endpoint: 4 × Standard_F4s_v2": 4 * 730 * LINUX["F4s_v2"]},
        "batch": {},
        "kubernetes": {
            "kubernetes: 2 × Standard_D4s_v5": 2 * 730 * LINUX["D4s_v5"],
            "kubernetes: cluster": 73.0,
            "kubernetes: disks of nodes": 40.0,
        },
    }
    gpu = {} if scenario == "classical" else {"gpu-cluster: 2 × Standard_NC4as_T4_v3": 2 * 30 * LINUX["NC4as_T4_v3"]}
    shared_by_all = {
        name: price for name, price in DEV.items() if not name.startswith(("endpoint", "firewall", "lake"))
    }
    production = {
        **shared_by_all,
        "cpu-cluster: 4 × Standard_DS3_v2": 4 * 30 * LINUX["DS3_v2"],
        "firewall: Standard": 730 * 1.25,
        "logs": (30 - 5) * 3.0,
    }
    assert estimated(root, "prod") == pytest.approx({**own[target], **gpu, **production})


D4 = "Standard_D4s_v5"
MORE = {
    "events": ("shared", {"infrastructure.event_hubs": True}, {"event hub": 730 * 0.03, "event hub: capture": 73.0}),
    "spark": ("dev", {"infrastructure.spark": True}, {"Spark pool": 12 * 20 * 0.15}),
    "private": ("dev", {"infrastructure.private_endpoints": PRIVATE}, {"private endpoints": 7 * 7.3}),
    "private shared": ("shared", {"infrastructure.private_endpoints": PRIVATE}, {"private endpoints": 3 * 7.3}),
    "firewall": (
        "dev",
        {"infrastructure.firewall": "Standard"},
        {"firewall: Standard": 730 * 1.25, "firewall: Basic": None},
    ),
    "no autoscaling": (
        "dev",
        {"deployment.autoscale": None, "deployment.settings": {"instance_type": D4, "instance_count": 3}},
        {f"endpoint: 6 × {D4}": 6 * 730 * 0.25, "endpoint: 2 × Standard_F4s_v2": None},
    ),
    "size of the YAML": ("dev", {"deployment.settings": {"instance_count": 1}}, {}),
    "existing": (
        "dev",
        {"infrastructure.existing": {"workspace": True, "lake": "ours", "log_analytics": "ours"}},
        {"firewall: Basic": None, "private endpoints of the managed network": None, "lake": None, "logs": None},
    ),
}  # fmt: skip


@pytest.mark.parametrize("option", MORE)
def test_options(project: Estate, prices: PriceList, option: str) -> None:
    environment, changes, differences = MORE[option]
    root = project(**{f"{environment}.{key}": value for key, value in changes.items()})
    wanted: dict[str, float | None] = {**(SHARED if environment == "shared" else DEV), **differences}
    assert estimated(root, environment) == pytest.approx({k: v for k, v in wanted.items() if v is not None})


def test_a_cluster_of_arc_is_paid_elsewhere(project: Estate, prices: PriceList) -> None:
    arc = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Kubernetes/connectedClusters/ours"
    found = estimated(project("classical", "kubernetes", **{"dev.infrastructure.kubernetes.arc": arc}), "dev")
    assert not [name for name in found if "kubernetes" in name]


def test_one_workspace_is_paid_once(project: Estate, prices: PriceList) -> None:
    root = project(**{"shared.infrastructure.workspaces": "one"})
    assert estimated(root, "dev") == estimated(root, "staging") == {}
    found = estimated(root, "prod")
    assert {"endpoint: 2 × Standard_F4s_v2", "endpoint: 4 × Standard_F4s_v2", "firewall: Standard"} <= set(found)
    assert [name for name in found if name.startswith("cpu-cluster")] == ["cpu-cluster: 4 × Standard_DS3_v2"]


def test_prices_are_asked_once_a_day(project: Estate, prices: PriceList, run: Run) -> None:
    root = project(**ENOUGH)
    first = run()
    asked = len(prices.asked)
    assert run() == first
    assert len(prices.asked) == asked > 0
    assert run("--currency", "EUR")[1] != first[1]
    assert len(prices.asked) > asked
    kept = root / ".mlops" / "prices.json"
    for text in (json.dumps({"2020-01-01": {}}), "not JSON"):
        kept.write_text(text, encoding="utf-8")
        before = len(prices.asked)
        assert run() == first
        assert len(prices.asked) > before


def test_only_one_environment(project: Estate, prices: PriceList, run: Run) -> None:
    project(**ENOUGH)
    code, printed = run("--env", "shared")
    assert code == 0
    assert "shared\n" in printed
    assert "firewall" not in printed
    code, printed = run("--env", "test")
    assert code == 2
    assert "--env test does not exist: choose shared, dev, staging, prod" in printed


def test_other_checks_are_of_all_environments(project: Estate, capsys: pytest.CaptureFixture[str]) -> None:
    project()
    assert cli.main(["check", "--env", "dev"]) == 2
    assert "--env goes with --quota or --cost" in capsys.readouterr().err


def test_each_region_has_its_prices(project: Estate, prices: PriceList) -> None:
    prices.prices = [
        {**one, "armRegionName": "northeurope"} for one in prices.prices if one["armRegionName"] != "Global"
    ]
    root = project(**{"shared.registry.location": "northeurope"})
    assert estimated(root, "shared") == pytest.approx(SHARED)
    assert set(estimated(root, "dev").values()) == {None}


def test_over_the_budget(project: Estate, prices: PriceList, run: Run) -> None:
    project(**ENOUGH | {"dev.infrastructure.budget.monthly": 700})
    code, printed = run()
    assert code == 1
    assert f"✗ dev: {sum(DEV.values()):.0f} USD are more than its budget of 700: change what costs most" in printed
    assert printed.count("✗") == 1


def test_an_unknown_size(project: Estate, prices: PriceList, run: Run) -> None:
    project(**ENOUGH | {"dev.infrastructure.clusters": {"cpu-cluster": {"size": "Standard_D3", "nodes": 4}}})
    code, printed = run()
    assert code == 1
    assert "no price, or no single one, for cpu-cluster: 4 × Standard_D3: is the size right" in printed
    assert printed.count("✗") == 1


@pytest.mark.parametrize("fault", ["missing", "another unit", "two"])
def test_a_meter_that_is_not_found_is_said(project: Estate, prices: PriceList, run: Run, fault: str) -> None:
    project(**ENOUGH)
    [basic] = [one for one in prices.prices if one["meterName"] == "Basic Deployment"]
    prices.prices.remove(basic)
    if fault == "another unit":
        prices.prices.append({**basic, "unitOfMeasure": "1/Day"})
    if fault == "two":
        prices.prices += [basic, {**basic, "retailPrice": 9.0}]
    code, printed = run("--env", "dev")
    assert code == 1
    assert "for firewall: Basic: correct meters.firewall in infrastructure/costs.yml" in printed
    assert f"{sum(DEV.values()) - DEV['firewall: Basic']:.2f}" in printed


def test_the_same_price_twice_is_one(project: Estate, prices: PriceList) -> None:
    prices.prices.append(row("Azure Firewall", "Azure Firewall", "Basic", "Basic Deployment", "1 Hour", 0.4))
    assert estimated(project(), "dev") == pytest.approx(DEV)


FAILURES: dict[str, Callable[[PriceList], object]] = {
    "error": lambda there: setattr(there, "broken", 503),
    "no JSON": lambda there: setattr(there, "broken", b"<html>"),
    "elsewhere": lambda there: setattr(there, "next_at", "http://prices.example.com/api/retail/prices"),
}


@pytest.mark.parametrize("fault", FAILURES)
def test_a_failing_price_list(project: Estate, prices: PriceList, run: Run, fault: str) -> None:
    project()
    FAILURES[fault](prices)
    code, printed = run()
    assert code == 2
    wanted = "continues at another place" if fault == "elsewhere" else "Azure's price list did not answer"
    assert wanted in printed


def test_no_network(project: Estate, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    project()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(costs, "SOURCE", "http://127.0.0.1:9/api/retail/prices")
    code, printed = run()
    assert code == 2
    assert "must be reachable from here, through HTTPS_PROXY if need be; it needs no sign-in" in printed


@pytest.mark.parametrize(("currency", "message"), [("euro", "three capital letters"), ("XXX", "did not answer")])
def test_a_wrong_currency(project: Estate, prices: PriceList, run: Run, currency: str, message: str) -> None:
    project()
    code, printed = run("--currency", currency)
    assert code == 2
    assert message in printed


def test_another_currency_than_asked_for(project: Estate, prices: PriceList, run: Run) -> None:
    prices.broken = json.dumps({"BillingCurrency": "USD", "Items": [], "NextPageLink": None}).encode()
    project()
    code, printed = run("--currency", "EUR")
    assert code == 2
    assert "no prices in EUR" in printed
