"""How an environment is used over weeks: the queries of infrastructure/alerts.yml that look back too far for alerts."""

from collections.abc import Callable, Iterator
from typing import Any

from mlops_runtime import infrastructure
from mlops_runtime.config import Config, read_yaml

Ask = Callable[[str, int], list[dict[str, Any]]]  # a query and the days to look back → rows
FIRES: dict[str, tuple[str, Callable[[float, float], bool]]] = {
    "GreaterThan": ("above", lambda value, limit: value > limit),
    "LessThan": ("below", lambda value, limit: value < limit),
    "LessThanOrEqual": ("not above", lambda value, limit: value <= limit),
}


def findings(settings: Config, ask: Ask) -> Iterator[tuple[str, list[str]]]:
    """Each question about usage that concerns the environment, with what was found: nothing when all is well."""
    folder = settings.root / infrastructure.FOLDER
    limits = infrastructure.limits(settings.infrastructure)
    for alert in read_yaml(folder / "alerts.yml")["logs"].values():
        concerned = settings.environment in alert["in"]
        serving = alert.get("serving", [settings.infrastructure.serving])
        if "days" in alert and concerned and settings.infrastructure.serving in serving:
            query = (folder / "queries" / f"{alert['query']}.kql").read_text(encoding="utf-8")
            days = limits[alert["days"]]
            word, fires = FIRES[alert["when"]]
            limit, measure = limits[alert["limit"]], alert["measure"]
            told = ", ".join(alert["tell"]).replace("_", " ")
            yield (
                alert["text"],
                [
                    f"{_what(row, measure)}{row[measure]:g} is {word} {limit} within {days} days: tell {told}"
                    for row in ask(query, days)
                    if fires(row[measure], limit)
                ],
            )


def _what(row: dict[str, Any], measure: str) -> str:
    """What the row is about, by its texts."""
    texts = [value for name, value in row.items() if name != measure and isinstance(value, str)]
    return f"{', '.join(texts)}: {measure} " if texts else f"{measure} "
