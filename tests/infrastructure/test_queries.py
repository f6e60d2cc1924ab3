"""The queries mean something to Kusto, and each alert fires on rows that should trip it and on no others."""

import json
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock

from ..conftest import Environment
from .test_data import FOLDER, HERE, data

TABLES = yaml.safe_load((HERE / "tables.yml").read_text(encoding="utf-8"))
NOW = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
Row = dict[str, Any]
pytestmark = pytest.mark.full


@pytest.fixture(scope="session")
def kusto(shared: Path, tools: Environment) -> Callable[..., dict[str, Any]]:
    """Kusto's language service: files → faults and columns by the file's name."""
    folder = shared / "kusto"
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            folder.mkdir()
            install = [tools.bin / "npm", "install", "--no-audit", "--no-fund", "@kusto/language-service-next@12.4.1"]
            path = f"{tools.bin}{os.pathsep}{os.environ['PATH']}"
            subprocess.run(install, cwd=folder, env={**os.environ, "PATH": path}, check=True, capture_output=True)

    def ask(*files: Path) -> dict[str, Any]:
        done = subprocess.run(
            [tools.bin / "node", HERE / "kusto.js", *files],
            input=json.dumps(TABLES),
            env={**os.environ, "NODE_PATH": str(folder / "node_modules")},
            capture_output=True,
            check=True,
            text=True,
        )
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return ask


def test_queries_mean_something(kusto: Callable[..., dict[str, Any]]) -> None:
    found = kusto(*sorted((FOLDER / "queries").glob("*.kql")))
    assert len(found) == len(data("alerts")["logs"])
    for name, result in found.items():
        assert result["faults"] == [], name
    for alert in data("alerts")["logs"].values():
        columns = found[f"{alert['query']}.kql"]["columns"]
        assert columns.get(alert["measure"]) in ("long", "real", "int"), f"{alert['query']}: {columns}"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ResponseCode", "ResponseKode"),
        ("AmlOnlineEndpointTrafficLog", "OnlineTraffic"),
        ("countif", "countwhen"),
        (">= 500", ">= "),
    ],
)
def test_a_wrong_query_is_seen(kusto: Callable[..., dict[str, Any]], tmp_path: Path, old: str, new: str) -> None:
    text = (FOLDER / "queries" / "server_errors.kql").read_text(encoding="utf-8")
    assert old in text
    wrong = tmp_path / "wrong.kql"
    wrong.write_text(text.replace(old, new), encoding="utf-8")
    assert kusto(wrong)["wrong.kql"]["faults"]


def requests(count: int, over: timedelta = timedelta(minutes=10), **values: Any) -> list[Row]:
    """So many requests, evenly over a time."""
    usual = {"EndpointName": "e", "DeploymentName": "blue", "ResponseCode": 200, "ModelStatusCode": 200}
    usual |= {"ModelStatusReason": "OK", "ResponseCodeReason": "OK", "TotalDurationMs": 20, "AuthType": "AADToken"}
    usual |= {"RequestThrottlingDelayMs": 0, "ResponseThrottlingDelayMs": 0}
    return [
        {
            **usual,
            "TimeGenerated": str(NOW - over * i / count),
            "XRequestId": f"r{i}",
            "XMSClientRequestId": f"c{i}",
            **values,
        }
        for i in range(count)
    ]


def job(*states: tuple[str, int], run: str = "a") -> list[Row]:
    """A job's states, each with the minutes since its beginning three hours ago."""
    start = NOW - timedelta(hours=3)
    return [
        {
            "TimeGenerated": str(start + timedelta(minutes=at)),
            "Status": state,
            "RunId": run,
            "RootRunId": run,
            "WorkspaceName": "w",
        }
        for state, at in states
    ]


def cluster(errors: str, target: int, current: int) -> list[Row]:
    """An event of a cluster."""
    row = {
        "ClusterName": "cpu-cluster",
        "ClusterErrorCodes": errors,
        "TargetNodeCount": target,
        "CurrentNodeCount": current,
    }
    return [{"TimeGenerated": str(NOW), **row}]


def cores(*counts: float) -> list[Row]:
    """Minutes with so many cores in use."""
    return [{"TimeGenerated": str(NOW), "MetricName": "Active Cores", "Maximum": count} for count in counts]


TRAFFIC, JOBS, CLUSTERS, METRICS = TABLES
late, waiting = [("Queued", 0), ("Running", 90)], [("Queued", 0)]
# alert → its table, rows that must trip it, rows that must not (limits of the size class small in config/shared.yml)
CASES: dict[str, tuple[str, list[list[Row]], list[list[Row]]]] = {
    "requests": (TRAFFIC, [requests(8000)], [requests(5000), []]),
    "throttling": (
        TRAFFIC,
        [requests(60, RequestThrottlingDelayMs=100, ResponseThrottlingDelayMs=100)],
        [requests(60, RequestThrottlingDelayMs=80, ResponseThrottlingDelayMs=80), requests(500), []],
    ),
    "client_errors": (
        TRAFFIC,
        [requests(61, ResponseCode=400, ModelStatusCode=400, ModelStatusReason="Bad request")],
        [requests(60, ResponseCode=422, ModelStatusCode=422), requests(500), requests(100, ResponseCode=403), []],
    ),
    "server_errors": (
        TRAFFIC,
        [requests(6, ResponseCode=500, ModelStatusCode=500), requests(6, ResponseCode=504, ModelStatusCode=None)],
        [requests(5, ResponseCode=500), requests(500), requests(50, ResponseCode=404), []],
    ),
    "latency": (
        TRAFFIC,
        [requests(90) + requests(10, TotalDurationMs=2000)],
        [requests(98) + requests(2, TotalDurationMs=9000), requests(9, TotalDurationMs=5000, ResponseCode=500), []],
    ),
    "network": (
        TRAFFIC,
        [requests(4, ResponseCode=503, ModelStatusCode=None), requests(4, ResponseCode=502, ModelStatusCode=0)],
        [requests(3, ResponseCode=503, ModelStatusCode=None), requests(50, ResponseCode=503, ModelStatusCode=503), []],
    ),
    "refused_callers": (
        TRAFFIC,
        [requests(21, ResponseCode=401), requests(21, ResponseCode=403)],
        [requests(20, ResponseCode=401), requests(50, ResponseCode=404), []],
    ),
    "key_use": (TRAFFIC, [requests(1, AuthType="Key"), requests(1, AuthType="key")], [requests(50), []]),
    "failed_jobs": (
        JOBS,
        [job(("Running", 0), ("Failed", 9))],
        [job(("Running", 0), ("Completed", 9)), job(("Canceled", 9)), []],
    ),
    "queue_time": (
        JOBS,
        [job(*late), job(*waiting), job(("Queued", 0), ("Running", 5)) + job(*late, run="b")],
        [
            job(("Queued", 0), ("Running", 30)),
            job(("Queued", 0), ("Running", 30), ("Completed", 170)),
            job(("Running", 0)),
            [],
        ],
    ),
    "capacity": (CLUSTERS, [cluster("QuotaExceeded", 4, 1)], [cluster("", 4, 1), cluster("Resized", 2, 2), []]),
    "staleness": (METRICS, [[], cores(0, 0)], [cores(0, 4, 0)]),
    "ongoing_service": (TRAFFIC, [requests(1001, timedelta(days=29))], [requests(1000, timedelta(days=29)), []]),
    "unused": (TRAFFIC, [[], requests(5, ResponseCode=401)], [requests(1, timedelta(days=29))]),
}
COMPARE: dict[str, Callable[[float, float], bool]] = {
    "GreaterThan": lambda value, limit: value > limit,
    "LessThanOrEqual": lambda value, limit: value <= limit,
}


def wrong_alerts(tools: Environment, config: Any, changed: dict[str, str]) -> list[str]:
    """Alerts that fire or keep silent against `CASES`, with some of the queries changed.

    As Azure does it: the worst row decides, and without a row nothing fires.
    """
    alerts = data("alerts")["logs"]
    limits = {**config["alerts"], **config["alerts"]["sizes"][config["alerts"]["size"]]}
    assert set(CASES) == set(alerts)
    asked = [
        (name, fires, {"tables": TABLES, "rows": {table: rows}, "query": changed.get(name) or query(name)})
        for name, (table, trip, silent) in CASES.items()
        for fires, cases in ((True, trip), (False, silent))
        for rows in cases
    ]
    done = subprocess.run(
        [tools.python, HERE / "run_queries.py"],
        input=json.dumps([case for _, _, case in asked]),
        capture_output=True,
        check=True,
        text=True,
    )
    wrong = []
    for (name, fires, _), rows in zip(asked, json.loads(done.stdout), strict=True):
        alert = alerts[name]
        fired = any(COMPARE[alert["when"]](row[alert["measure"]], limits[alert["limit"]]) for row in rows)
        if fired != fires:
            wrong.append(f"{name} {'keeps silent' if fires else 'fires'}: {rows[:3]}")
    return wrong


def settings(root: Path) -> Any:
    return yaml.safe_load((root / "config/shared.yml").read_text(encoding="utf-8"))["infrastructure"]


def test_alerts_fire_when_they_should(tools: Environment, baked: Callable[..., Path]) -> None:
    assert wrong_alerts(tools, settings(baked("classification")), {}) == []


def test_a_query_that_misses_or_invents_is_seen(tools: Environment, baked: Callable[..., Path]) -> None:
    misses = query("server_errors").replace(">= 500", "> 503 and ResponseCode != 504")
    invents = query("unused").replace("ResponseCode < 400", "ResponseCode < 200")
    wrong = wrong_alerts(tools, settings(baked("classification")), {"server_errors": misses, "unused": invents})
    assert {one.split(":")[0] for one in wrong} == {"server_errors keeps silent", "unused fires"}


def query(name: str) -> str:
    """The text of an alert's query."""
    return (FOLDER / "queries" / f"{data('alerts')['logs'][name]['query']}.kql").read_text(encoding="utf-8")
