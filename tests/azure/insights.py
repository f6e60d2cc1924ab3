"""Azure Monitor: autoscale settings, kept when complete and for a deployment that exists; and what it has seen."""

import re
from typing import TYPE_CHECKING, Any

from .wire import Answer, AzureError, Json, Request

if TYPE_CHECKING:
    from .arm import Arm

PROVIDER = "/providers/Microsoft.Insights/autoscaleSettings/"
# What Azure's specification (Microsoft.Insights, 2022-10-01) requires.
TRIGGER = {"metricName", "metricResourceUri", "operator", "statistic", "threshold", "timeAggregation", "timeGrain"}
TRIGGER |= {"timeWindow"}
ACTION = {"cooldown", "direction", "type"}


class Autoscale:
    """The settings by name."""

    def __init__(self, arm: "Arm") -> None:
        self.arm = arm
        self.settings: dict[str, Json] = {}

    def __call__(self, request: Request) -> Answer:
        """Store or show settings."""
        name = request.path.rpartition("/")[2]
        if request.method != "PUT":
            raise AzureError(405, "MethodNotAllowed", "Only PUT is modelled.")
        body = request.json
        for profile in body["properties"]["profiles"]:
            if {"minimum", "maximum", "default"} - profile["capacity"].keys() or "name" not in profile:
                raise AzureError(400, "BadRequest", "A profile needs a name and a complete capacity.")
            for rule in profile["rules"]:
                missing = (TRIGGER - rule["metricTrigger"].keys()) | (ACTION - rule["scaleAction"].keys())
                if missing:
                    raise AzureError(400, "BadRequest", f"A rule lacks {sorted(missing)}.")
        self.arm.get(body["properties"]["targetResourceUri"])
        self.settings[name] = body
        return Answer({**body, "id": request.path, "name": name, "location": body["location"]})


SEEN = re.compile(r"/subscriptions/[^/]+/resourceGroups/([^/]+)/providers/([\w.]+/\w+)(?:/([\w-]+))?$", re.I)


class Monitor:
    """Fired alerts by resource group, budgets by name, and rows of logs; each is what a test says."""

    def __init__(self) -> None:
        self.alerts: dict[str, list[Json]] = {}
        self.budgets: dict[str, Json] = {}
        self.rows: dict[str, list[Json]] = {}  # by a word of the query

    def knows(self, path: str) -> bool:
        """Whether this path of Resource Manager is its."""
        found = SEEN.match(path)
        return bool(found) and found[2] in (
            "Microsoft.AlertsManagement/alerts",
            "Microsoft.Consumption/budgets",
            "Microsoft.OperationalInsights/workspaces",
        )

    def manage(self, request: Request) -> Answer:
        """What Resource Manager says: alerts two at a time, a budget, the id of a workspace of logs."""
        found = SEEN.match(request.path)
        assert found
        group, kind, name = found.groups()
        if kind.endswith("/workspaces"):
            return Answer({"properties": {"customerId": name}})
        if kind.endswith("/budgets"):
            if name not in self.budgets:
                raise AzureError(404, "NotFound", f"Budget {name} was not found.")
            return Answer({"name": name, "properties": self.budgets[name]})
        assert request.query["api-version"] == "2023-07-12-preview"
        assert request.query["monitorCondition"] == "Fired"
        assert request.query["timeRange"] in ("1h", "1d", "7d", "30d")
        start = int(request.query.get("skip", 0))
        listed = self.alerts.get(group, [])
        more = "&".join(f"{key}={value}" for key, value in {**request.query, "skip": str(start + 2)}.items())
        link = {"nextLink": f"https://{request.host}{request.path}?{more}"} if listed[start + 2 :] else {}
        return Answer({"value": [{"properties": {"essentials": one}} for one in listed[start : start + 2]], **link})

    def logs(self, request: Request, _: Any) -> Answer:
        """The rows whose word is in the query."""
        rows = next((rows for word, rows in self.rows.items() if word in request.json["query"]), [])
        columns = [{"name": name, "type": "string"} for name in (rows[0] if rows else {})]
        return Answer(
            {"tables": [{"name": "PrimaryResult", "columns": columns, "rows": [[*r.values()] for r in rows]}]}
        )
