"""Azure Monitor's autoscale settings: stored when they are complete and name a deployment that exists."""

from typing import TYPE_CHECKING

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
