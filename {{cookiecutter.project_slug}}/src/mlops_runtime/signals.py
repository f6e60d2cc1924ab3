"""Signals that scenarios measure alike, and the sections of the report that explain them: performance and cohorts."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mlops_runtime import drift
from mlops_runtime.evaluation import Metric, Seen
from mlops_runtime.monitoring import Signal, Watched
from mlops_runtime.report import Report

QUARTERS = [0.25, 0.5, 0.75]  # where numbers are cut into groups


def labelled(watched: Watched, frame: pd.DataFrame) -> pd.DataFrame | None:
    """The rows whose targets are known; None where there are too few."""
    targets = watched.model.targets
    if not set(targets) <= set(frame):
        return None
    known = frame.dropna(subset=targets)
    return known if len(known) >= watched.settings.monitoring.min_rows else None


def performance(
    watched: Watched, metrics: Mapping[str, Metric[Seen]], outcome: Callable[[pd.DataFrame], Seen]
) -> tuple[Signal, pd.DataFrame]:
    """By what share the metric that config compares cohorts by got worse; and every metric: metric, before, now.

    `outcome` gives what the metrics take, of labelled rows. A minimum in gates.metrics says that more is better.
    """
    gates, settings = watched.settings.gates, watched.settings.monitoring
    frames = labelled(watched, watched.reference), labelled(watched, watched.current)
    if frames[0] is None or frames[1] is None:
        needed = f"{', '.join(watched.model.targets)} must be known for {settings.min_rows} rows"
        return Signal("performance", None, needed), pd.DataFrame(columns=["metric", "before", "now"])
    before, now = outcome(frames[0]), outcome(frames[1])
    scores = pd.DataFrame([{"metric": name, "before": m(before), "now": m(now)} for name, m in metrics.items()])
    name, rows = gates.cohorts.metric, (len(frames[0]), len(frames[1]))
    metric, limit = metrics[name], gates.metrics.get(name)
    worse = drift.metric_worse_by(
        lambda some: metric(before.take(some)),
        lambda some: metric(now.take(some)),
        rows,
        more_is_better=limit is not None and limit.min is not None,
    )
    if np.isnan(worse):
        return Signal("performance", None, f"{name} is undefined on these {rows[1]:,} rows"), scores
    found = f"{name} is {metric(now):.3g}, it was {metric(before):.3g} ({rows[1]:,} rows)"
    return Signal("performance", worse, found), scores


def show_scores(report: Report, scores: pd.DataFrame) -> None:
    """The section about performance."""
    report.section("Performance", "Is the model still as good, where the truth is known by now?")
    if len(scores):
        report.table(scores, "Each metric at registration and now.")
    else:
        report.text("The truth is not known yet: give it with `mlops monitor --labels FILE`.")


def compare_cohorts(
    before: pd.DataFrame, now: pd.DataFrame, columns: Sequence[str], measures: Sequence[str], min_rows: int
) -> pd.DataFrame:
    """How far each group's measures moved apart from all others', the most moved first.

    The columns column, measure and those of `drift.group_shifts`, for those of `columns` and `measures` that there are.
    """
    tables = []
    for column in [name for name in columns if name in now]:
        groups = _groups(before[column], now[column])
        for measure in [name for name in measures if name in now]:
            shifts = drift.group_shifts(before[measure].dropna(), now[measure].dropna(), groups, min_rows)
            if len(shifts):
                tables.append(shifts.assign(column=column, measure=measure))
    found = pd.concat(tables) if tables else pd.DataFrame(columns=["group", "value"])
    return found.sort_values("value", ascending=False, kind="stable", ignore_index=True)


def _groups(before: drift.Column, now: drift.Column) -> tuple[drift.Column, drift.Column]:
    """The group of each row; numbers are cut at the quartiles of the reference."""
    if pd.api.types.is_numeric_dtype(before) and before.nunique() > len(QUARTERS) + 1:
        cuts = [-np.inf, *np.unique(before.quantile(QUARTERS)), np.inf]
        return pd.cut(before, cuts).astype(str), pd.cut(now, cuts).astype(str)
    return before.astype(str), now.astype(str)


def cohort_bias(cohorts: pd.DataFrame, min_rows: int) -> Signal:
    """How far the group moved that moved most; `cohorts` is what `compare_cohorts` found."""
    if cohorts.empty:
        return Signal("cohort_bias", None, f"no cohort has {min_rows} rows, then and now")
    worst: Any = cohorts.iloc[0]
    if worst["value"] == 0:
        return Signal("cohort_bias", 0.0, "no cohort moved apart from all others by more than chance")
    change = f"{worst['now']:.3g}, it was {worst['before']:.3g}, unlike the others"
    return Signal("cohort_bias", worst["value"], f"{worst['measure']} of {worst['column']} {worst['group']}: {change}")


def show_cohorts(report: Report, cohorts: pd.DataFrame, min_rows: int) -> None:
    """The section about cohorts."""
    report.section("Cohorts", "Is a group treated differently than before, beyond what changed for everybody?")
    if len(cohorts):
        columns = ["column", "group", "measure", "rows", "before", "now", "shift", "value"]
        caption = "shift: in standard deviations, beyond everyone's; value: its size where it is more than chance."
        report.table(cohorts[columns].head(15), caption)
    else:
        report.text(f"No cohort has {min_rows} rows, then and now.")
