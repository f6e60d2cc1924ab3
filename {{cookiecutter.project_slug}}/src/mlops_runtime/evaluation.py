"""What evaluations have in common, whatever they measure: intervals, cohorts, the champion, what `register` reads."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

import numpy as np
import pandas as pd

from mlops_runtime import serving, tracking
from mlops_runtime.config import CohortGate
from mlops_runtime.errors import Problem
from mlops_runtime.files import write_json
from mlops_runtime.gates import Verdict
from mlops_runtime.report import Report
from mlops_runtime.statistics import bootstrap_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESAMPLES = 200  # for confidence intervals
Array = np.ndarray[Any, Any]


class Outcome(Protocol):
    """Truth and predictions of rows, of which some can be taken by number; a data frame is one."""

    def take(self, rows: Array, /) -> Self:
        """Those of some rows."""


Seen = TypeVar("Seen", bound=Outcome)
Model = TypeVar("Model")
Metric = Callable[[Seen], float]


@dataclass(frozen=True)
class Evaluation:
    """What is known about every candidate; a scenario adds what it knows besides."""

    metrics: pd.DataFrame  # metric, value, low, high
    cohorts: dict[str, pd.DataFrame]  # column → group, rows, compared, low, high, and every metric
    champion: str | None  # the version compared with
    improvement: tuple[float, float] | None  # mean and lower bound of champion's minus candidate's loss
    verdict: Verdict

    def write(self, folder: Path, asked: str, facts: Mapping[str, Any], reference: pd.DataFrame) -> None:
        """Write metrics.json, verdict.json and reference.parquet, and log them.

        `asked` is the setting `champion`, `facts` what metrics.json has besides (data_version among them), `reference`
        the test rows with their predictions, which monitoring compares with.
        """
        import mlflow

        folder.mkdir(parents=True, exist_ok=True)
        record = {
            **facts,
            "metrics": self.metrics.set_index("metric").to_dict(orient="index"),
            "champion": self.champion,
            "champion_asked_for": asked,
            "improvement": dict(zip(("mean", "low"), self.improvement, strict=True)) if self.improvement else None,
            "cohorts": {column: table.to_dict(orient="records") for column, table in self.cohorts.items()},
        }
        write_json(folder / "metrics.json", record)
        self.verdict.write(folder / "verdict.json")
        reference.to_parquet(folder / "reference.parquet", index=False)
        mlflow.log_params({"data_version": facts["data_version"], "champion": self.champion or "none"})
        values = zip(self.metrics["metric"], self.metrics["value"], strict=True)
        mlflow.log_metrics({name: value for name, value in values if math.isfinite(value)})


def interval(metric: Metric[Seen], found: Seen, rows: Array) -> tuple[float, float]:
    """The 95 % bootstrap interval of a metric over some rows, given by number."""
    return bootstrap_interval(lambda drawn: metric(found.take(drawn)), rows, resamples=RESAMPLES)


def measure(
    metrics: Mapping[str, Metric[Seen]], found: Seen, rows: int, interval: Callable[..., tuple[float, float]] = interval
) -> pd.DataFrame:
    """Every metric with its interval: metric, value, low, high; `rows` is how many `found` has."""
    table = []
    for name, metric in metrics.items():
        low, high = interval(metric, found, np.arange(rows))
        table.append({"metric": name, "value": metric(found), "low": low, "high": high})
    return pd.DataFrame(table)


def cohort_columns(frame: pd.DataFrame, gate: CohortGate, metrics: Mapping[str, Any]) -> "dict[str, pd.Series[Any]]":
    """The columns by which config compares cohorts; Problem where it names a column or a metric that there is not."""
    if gate.metric not in metrics:
        raise Problem(f"gates.cohorts.metric {gate.metric!r} does not exist: choose one of {', '.join(metrics)}.")
    for name in gate.columns:
        if name not in frame:
            known = ", ".join(map(str, frame.columns))
            raise Problem(f"gates.cohorts.columns: {name!r} is no column of the test data, which has {known}.")
    return {name: frame[name] for name in gate.columns}


def compare_cohorts(
    frame: pd.DataFrame,
    metrics: Mapping[str, Metric[Seen]],
    found: Seen,
    gate: CohortGate,
    interval: Callable[..., tuple[float, float]] = interval,
) -> dict[str, pd.DataFrame]:
    """For each column by which config compares cohorts every metric of every group, the largest first.

    `frame` has the rows of `found`. Only groups with enough rows are `compared`.
    """
    cohorts = {}
    for column, groups in cohort_columns(frame, gate, metrics).items():
        names = groups.astype(str).to_numpy()
        table = []
        for group in pd.unique(names):
            rows = np.flatnonzero(names == group)
            compared = len(rows) >= gate.min_rows
            low, high = interval(metrics[gate.metric], found, rows) if compared else (math.nan, math.nan)
            part = found.take(rows)
            values = {name: metric(part) for name, metric in metrics.items()}
            table.append({"group": group, "rows": len(rows), "compared": compared, **values, "low": low, "high": high})
        ordered = pd.DataFrame(table).sort_values("rows", ascending=False, kind="stable", ignore_index=True)
        cohorts[column] = ordered
    return cohorts


def cohort_gaps(cohorts: Mapping[str, pd.DataFrame], gate: CohortGate) -> dict[str, float]:
    """Column → the largest difference of the gate's metric between two groups with enough rows."""
    gaps = {}
    for column, table in cohorts.items():
        values = table.loc[table["compared"], gate.metric].dropna()
        if len(values) < 2:
            raise Problem(
                f"gates.cohorts: {column} has no two groups with {gate.min_rows} test rows to compare: "
                "lower min_rows or take the column out of columns."
            )
        gaps[column] = float(values.max() - values.min())
    return gaps


def show_cohorts(page: Report, cohorts: Mapping[str, pd.DataFrame], gate: CohortGate) -> None:
    """The section of the report about cohorts."""
    page.section("Cohorts", "Does the model serve all groups alike? It can be good on average and bad for some.")
    for column, table in cohorts.items():
        page.figure(
            _cohort_figure(column, table, gate.metric),
            f"{gate.metric} for each {column} with at least {gate.min_rows} rows, with 95 % interval. "
            f"The gate allows {gate.max_gap:g} between the outermost dots.",
        )
        page.table(table.drop(columns=["compared", "low", "high"]), f"All metrics by {column}, smaller groups too")


def _cohort_figure(column: str, table: pd.DataFrame, metric: str) -> "Figure":
    from matplotlib.figure import Figure

    compared = table[table["compared"]].sort_values(metric)
    figure = Figure(figsize=(7, 0.8 + 0.3 * len(compared)))
    axes = figure.subplots()
    for place, row in enumerate(compared.to_dict(orient="records")):
        axes.plot([row["low"], row["high"]], [place, place], color="#9bb4cc", linewidth=4, solid_capstyle="round")
        axes.plot(row[metric], place, "o", color="#1f4e79")
    labels = [f"{group} ({rows:,})" for group, rows in zip(compared["group"], compared["rows"], strict=True)]
    axes.set_yticks(range(len(labels)), labels)
    axes.margins(y=0.5 / max(len(labels), 2))
    axes.set(xlabel=metric, title=f"{metric} by {column} (rows)")
    return figure


def load_champion(name: str, asked: str, load: Callable[[Path], Model]) -> tuple[str, Model] | None:
    """The version to beat and its model: `asked` is "latest", "none" or a version's number; None if there is none."""
    if asked == "none":
        return None
    found = tracking.champion(name) if asked == "latest" else serving.choose(name, asked)
    return (found.version, load(tracking.model_data(tracking.fetch(found)))) if found else None
