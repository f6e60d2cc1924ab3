"""Questions to an environment's logs, in Kusto's language."""

import json
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request

from mlops_runtime import cloud, infrastructure, web
from mlops_runtime.config import Config
from mlops_runtime.errors import Problem

MANAGEMENT = "https://management.azure.com"
LOGS = "https://api.loganalytics.azure.com"
VERSION = "2025-02-01"
SECONDS = 180


def ask(settings: Config, query: str, days: int) -> list[dict[str, Any]]:
    """The rows that a query finds in what the environment has logged within the last `days`."""
    table = _send(LOGS, f"/v1/workspaces/{_number(settings)}/query", {"query": query, "timespan": f"P{days}D"})[
        "tables"
    ][0]
    names = [column["name"] for column in table["columns"]]
    return [dict(zip(names, row, strict=True)) for row in table["rows"]]


def _number(settings: Config) -> str:
    """The id under which the environment's Log Analytics workspace answers questions."""
    suffix, existing = settings.infrastructure.name_suffix, settings.estate.existing
    names = infrastructure.names(settings.root, settings.environment, settings.project.name, suffix, existing)
    group = f"/subscriptions/{settings.azure.subscription}/resourceGroups/{settings.azure.resource_group}"
    place = f"{group}/providers/Microsoft.OperationalInsights/workspaces/{names['log_analytics']}"
    return str(_send(MANAGEMENT, f"{place}?api-version={VERSION}")["properties"]["customerId"])


def _send(service: str, path: str, content: Any = None) -> Any:
    """What a service answers; to `content` when there is some."""
    request = Request(
        service + path,
        data=None if content is None else json.dumps(content).encode(),
        headers={
            "Authorization": f"Bearer {cloud.credential().get_token(f'{service}/.default').token}",
            "Content-Type": "application/json",
        },
    )
    try:
        with web.ask(request, SECONDS) as answer:
            return json.load(answer)
    except HTTPError as error:
        said = error.read().decode(errors="replace")[:500]
        raise Problem(
            f"The environment's logs cannot be read ({error.code}): {said}. Who runs this needs Log Analytics Reader "
            "there; infrastructure/rbac.yml says who has it."
        ) from None
    except URLError as error:
        raise Problem(f"The environment's logs cannot be reached: {error.reason}.") from None
