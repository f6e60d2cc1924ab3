"""Questions to an environment's logs, in Kusto's language."""

from typing import Any

from mlops_runtime import infrastructure
from mlops_runtime.cloud import rest
from mlops_runtime.cloud.rest import MANAGEMENT
from mlops_runtime.config import Config

LOGS = "https://api.loganalytics.azure.com"
VERSION = "2025-02-01"


def ask(settings: Config, query: str, days: int) -> list[dict[str, Any]]:
    """The rows that a query finds in what the environment has logged within the last `days`."""
    content = {"query": query, "timespan": f"P{days}D"}
    table = _send(f"{LOGS}/v1/workspaces/{_number(settings)}/query", content)["tables"][0]
    names = [column["name"] for column in table["columns"]]
    return [dict(zip(names, row, strict=True)) for row in table["rows"]]


def _number(settings: Config) -> str:
    """The id under which the environment's Log Analytics workspace answers questions."""
    suffix, existing = settings.infrastructure.name_suffix, settings.estate.existing
    names = infrastructure.names(settings.root, settings.environment, settings.project.name, suffix, existing)
    group = f"/subscriptions/{settings.azure.subscription}/resourceGroups/{settings.azure.resource_group}"
    place = f"{group}/providers/Microsoft.OperationalInsights/workspaces/{names['log_analytics']}"
    return str(_send(f"{MANAGEMENT}{place}?api-version={VERSION}")["properties"]["customerId"])


def _send(url: str, content: Any = None) -> Any:
    helps = "Who runs this needs Log Analytics Reader there; infrastructure/rbac.yml says who has it."
    return rest.send(url, content, what="The environment's logs", helps=helps)
