"""What the estate costs in a month: quantities from config and infrastructure/costs.yml, prices from Azure.

The list is public: https://learn.microsoft.com/rest/api/cost-management/retail-prices/azure-retail-prices
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_runtime import quota
from mlops_runtime.errors import Problem
from mlops_runtime.files import read_yaml
from mlops_runtime.infrastructure import EnvironmentInfrastructure

if TYPE_CHECKING:
    from mlops_runtime.config import Config
    from mlops_runtime.infrastructure import Place

SOURCE = "https://prices.azure.com/api/retail/prices"
QUANTITIES = Path("infrastructure/costs.yml")
KEPT = Path(".mlops/prices.json")  # today's answers
TIMEOUT = 30.0  # seconds, for a page
MONTH = {"1 Hour": 730.0, "1 Day": 365 / 12, "1 Month": 1.0, "1 GB/Month": 1.0, "1 GB": 1.0}  # units in a month
SHARED = "shared"
FROM_THE_WORKSPACE = 8  # private endpoints: to itself, vault, images, storage (2), lake (2) and the registry of models
POOL = 3 * 4  # vCores of the Spark pool at its smallest


@dataclass(frozen=True)
class Item:
    """Something that is billed: `count` of it, all the time or for `hours` of a month."""

    what: str
    meter: str
    count: float
    hours: float | None = None
    size: str = ""


@dataclass(frozen=True)
class Cost:
    """An item with the units of a month, the price of the last of them and what all of them cost; None if not found."""

    item: Item
    units: float
    unit: str
    price: float | None = None
    month: float | None = None


@dataclass(frozen=True)
class Estimate:
    """The costs of an environment in a month, and what config allows for it."""

    environment: str
    costs: list[Cost]
    budget: int

    @property
    def month(self) -> float:
        """Without what has no price."""
        return sum(cost.month or 0.0 for cost in self.costs)


def items(environment: str, settings: list[Config], assumed: dict[str, dict[str, float]]) -> Iterator[Item]:
    """What is billed in shared, dev, staging or prod; nothing that `existing` names, for it is paid already."""
    own = [one for one in settings if one.environment == environment]
    if settings[0].infrastructure.workspaces == "one" and own:  # prod makes it, with what runs for all of them
        own = settings if environment == "prod" else []
        if not own:
            return
    much = {name: by_environment.get(environment, 0) for name, by_environment in assumed.items()}
    for one in own:
        yield from _machines(one, much["cluster_hours"])
    place = _places(settings)[environment][0]
    for kind, billed in _made(environment, place, much).items():
        yield from billed if kind not in place.existing else ()


def _places(settings: list[Config]) -> dict[str, tuple[Place, str]]:
    """Settings and region of shared and the environments."""
    shared = {SHARED: (settings[0].infrastructure, settings[0].registry.location)}
    return {**shared, **{one.environment: (one.estate, one.azure.location) for one in settings}}


def _machines(one: Config, hours: float) -> Iterator[Item]:
    """Those that are always there, and those of clusters for some hours."""
    for need in quota.machines(one):
        count = need.always or need.most
        if need.always or need.what in one.estate.clusters:
            what = f"{need.what}: {count} × {need.size}"
            yield Item(what, "machine", count, None if need.always else hours, need.size)
        if need.counted_by == quota.COMPUTE:
            yield Item("kubernetes: cluster", "kubernetes", 1)
            yield Item("kubernetes: disks of nodes", "disk", count)


def _made(environment: str, place: Place, much: dict[str, float]) -> dict[str, list[Item]]:
    """What `infrastructure/` makes besides machines, by its kind in infrastructure/names.yml."""
    made = {"log_analytics": [Item("logs", "logs", much["logs"])]}
    if isinstance(place, EnvironmentInfrastructure):
        made["workspace"] = [
            Item(f"firewall: {place.firewall}", "firewall", 1, size=place.firewall),
            Item("private endpoints of the managed network", "private_endpoint", FROM_THE_WORKSPACE),
        ]
        made["container_registry"] = [Item("images", "images", 1)]
        made["storage_account"] = [Item("storage of the workspace", "storage", much["storage"])]
    else:
        made["registry"] = [Item("images of the registry of models", "images", 1)]
    if environment in (SHARED, "dev"):
        made["lake"] = [Item("lake", "lake", much["lake"])]
    if place.event_hubs:
        made["event_hubs"] = [Item("event hub", "events", 1), Item("event hub: capture", "capture", 1)]
    if place.spark:
        made["synapse"] = [Item("Spark pool", "spark", POOL, much["spark_hours"])]
    if place.private_endpoints.subnet:
        count = {SHARED: 3, "dev": 7}.get(environment, 5)  # docs: the resources that have one
        made["private_endpoint"] = [Item("private endpoints", "private_endpoint", count)]
    return made


def estimate(environments: list[str], settings: list[Config], currency: str) -> Iterator[Estimate]:
    """The costs of each environment, in `currency`."""
    root = settings[0].root
    data = read_yaml(root / QUANTITIES)
    prices = _Prices(root, currency, data["without"])
    for environment in environments:
        place, location = _places(settings)[environment]
        found = []
        for item in items(environment, settings, data["assumed"]):
            meter = {key: str(value).format(size=item.size) for key, value in data["meters"][item.meter].items()}
            unit, region = meter.pop("unit"), meter.pop("in", location)
            units = item.count * (MONTH[unit] if item.hours is None else item.hours)
            tiers = prices.tiers({**meter, "armRegionName": region}, unit)
            price = [price for above, price in tiers if units >= above]
            found.append(Cost(item, units, unit, price[-1], _paid(units, tiers)) if tiers else Cost(item, units, unit))
        yield Estimate(environment, found, place.budget.monthly)


def _paid(units: float, tiers: list[tuple[float, float]]) -> float:
    """What so many units cost when each tier's price is for the units above its own minimum."""
    ends = [above for above, _ in tiers[1:]] + [float("inf")]
    return sum(max(min(units, end) - above, 0) * price for (above, price), end in zip(tiers, ends, strict=True))


class _Prices:
    """Azure's price list, each question asked once a day."""

    def __init__(self, root: Path, currency: str, without: list[str]) -> None:
        self._file, self._currency, self._without = root / KEPT, currency, without
        self._today = datetime.now(UTC).date().isoformat()
        try:
            kept = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            kept = {}
        self._answers: dict[str, list[dict[str, Any]]] = kept.get(self._today, {})

    def tiers(self, meter: dict[str, str], unit: str) -> list[tuple[float, float]]:
        """Prices by the units from which on they hold, lowest first; empty where none, or no single one, is listed."""
        found: dict[float, set[float]] = {}
        for one in self._listed(meter):
            names = " ".join(one[name] for name in ("productName", "skuName", "meterName"))
            if one["unitOfMeasure"].replace("1/", "1 ") == unit and not any(word in names for word in self._without):
                found.setdefault(float(one["tierMinimumUnits"]), set()).add(float(one["retailPrice"]))
        if 0.0 not in found or any(len(prices) > 1 for prices in found.values()):
            return []
        return sorted((above, prices.pop()) for above, prices in found.items())

    def _listed(self, meter: dict[str, str]) -> list[dict[str, Any]]:
        from urllib.parse import urlencode

        wanted = " and ".join(f"{name} eq '{value}'" for name, value in {**meter, "priceType": "Consumption"}.items())
        address = f"{SOURCE}?{urlencode({'currencyCode': repr(self._currency), '$filter': wanted})}"
        if address not in self._answers:
            self._answers[address] = list(self._pages(address))
            self._file.parent.mkdir(exist_ok=True)
            self._file.write_text(json.dumps({self._today: self._answers}), encoding="utf-8", newline="\n")
        return self._answers[address]

    def _pages(self, address: str | None) -> Iterator[dict[str, Any]]:
        while address:
            page = self._page(address)
            yield from page["Items"]
            address = page.get("NextPageLink")

    def _page(self, address: str) -> dict[str, Any]:
        from urllib.parse import quote, urlsplit

        from mlops_runtime import web

        to, known = urlsplit(address), urlsplit(SOURCE)
        if (to.scheme, to.hostname) != (known.scheme, known.hostname):
            raise Problem(f"Azure's price list continues at another place, which is not asked: {address}")
        try:
            with web.ask(quote(address, safe=":/?&=%$'+,"), TIMEOUT) as answer:
                page: dict[str, Any] = json.load(answer)
        except (OSError, ValueError) as error:
            advice = "must be reachable from here, through HTTPS_PROXY if need be; it needs no sign-in"
            raise Problem(f"Azure's price list did not answer ({error}): {SOURCE} {advice}.") from None
        if page["BillingCurrency"] != self._currency:
            raise Problem(f"Azure's price list has no prices in {self._currency}: choose another --currency.")
        return page


def table(one: Estimate, currency: str) -> str:
    """An estimate for people, with what is over the budget or has no price."""
    width = max((len(cost.item.what) for cost in one.costs), default=4)
    lines = [f"{one.environment}", f"  {'what':{width}} {'units':>9} {'':10} {'price':>10} {'a month':>10}"]
    for cost in one.costs:
        price, month = ("?", "?") if cost.price is None else (f"{cost.price:.4f}", f"{cost.month:.2f}")
        lines.append(f"  {cost.item.what:{width}} {cost.units:9.0f} {cost.unit:10} {price:>10} {month:>10}")
    lines.append(f"  {f'together, of {one.budget} {currency} in its budget':{width + 32}} {one.month:>10.2f}")
    return "\n".join(lines)


def faults(one: Estimate, currency: str) -> Iterator[str]:
    """Why an estimate is no good news."""
    for cost in one.costs:
        if cost.price is None:
            advice = f"correct meters.{cost.item.meter} in {QUANTITIES.as_posix()}."
            if cost.item.meter == "machine":
                advice = "is the size right, and offered in the region?"
            yield f"{one.environment}: the price list has no price, or no single one, for {cost.item.what}: {advice}"
    if one.month > one.budget:
        yield (
            f"{one.environment}: {one.month:.0f} {currency} are more than its budget of {one.budget}: change what "
            f"costs most, or infrastructure.budget.monthly in config/{one.environment}.yml."
        )
