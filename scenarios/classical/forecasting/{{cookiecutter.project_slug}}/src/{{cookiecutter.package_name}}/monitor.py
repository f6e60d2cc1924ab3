"""What is watched in production and how it is explained: drift, quality, performance, attributions, airports.

Each request brings the latest counts, so the truth about earlier forecasts arrives by itself. Of a file with counts the
forecasts that could have been made on each of its days are made now. Neighbouring days are alike and forecasts for one
day go wrong together, so what is compared are weeks: a few weeks are little evidence, however many rows they have.
Thresholds and actions are in config/shared.yml (`monitoring`); `mlops monitor` decides and writes the report.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from mlops_runtime import drift, monitoring
from mlops_runtime.monitoring import Findings, Signal, Watched
from mlops_runtime.report import Report

from . import importance, metrics, pictures
from .data import AIRPORT, DATE, TARGET, WEEK, Array, names, to_frame

FEWEST_WEEKS = 3  # of known truth, to say anything about errors
MOST_CUTOFFS = 14  # on which attributions are measured
ADVICE = {
    "data_drift": "If counting or the airports changed, correct that; if traffic did, retrain.",
    "prediction_drift": "Look at the counts first: forecasts follow them. If they are right, retrain.",
    "data_quality": "Find out why days are missing or broken: a forecast needs every one of the last weeks.",
    "performance": "Look at the worst days below: storms pass, a new timetable stays and needs retraining.",
    "interval_coverage": "Plans that rely on the interval are at risk: retrain, so that it learns the new errors.",
    "attribution_drift": "The forecasts follow other weeks than when the model was accepted: look at the last ones.",
    "cohort_bias": "Ask what changed at this airport alone.",
}


def measure(watched: Watched) -> Findings:
    """Compute the signals; `evidence` is what `illustrate` shows."""
    before = watched.reference
    series, missing = known_series(watched)
    first = first_new_day(watched)
    now = collected(watched, series) if "forecast" in watched.current else rolled(watched, series, first)
    now["scale"] = now[AIRPORT].map(before.groupby(AIRPORT)["scale"].first())
    told = now[now[TARGET].notna()].reset_index(drop=True)

    airports = names(series)
    counts_drift = drift.compare_columns(whole_weeks(truth(before)), whole_weeks(series.loc[first:]), airports)
    forecasts_drift = drift.compare_columns(whole_weeks(per_day(before)), whole_weeks(per_day(now)), airports)
    faults = monitoring.quality(before, _given(watched), watched.contract, [DATE, AIRPORT, TARGET])
    weeks = compare_weeks(watched, series, first)
    cohorts = compare_airports(before, told)
    scores = compare_scores(before, told)
    signals = [
        monitoring.drift_signal("data_drift", counts_drift),
        monitoring.drift_signal("prediction_drift", forecasts_drift),
        _quality_signal(watched, faults, missing),
        _performance_signal(before, told),
        _coverage_signal(watched.model.coverage, told),
        _attribution_signal(weeks),
        _cohort_signal(cohorts),
    ]
    tables = {"quality": faults, "performance": scores, "weeks": weeks, "cohorts": cohorts}
    details: dict[str, Any] = {name: table.to_dict(orient="records") for name, table in tables.items()}
    details["counts"] = [monitoring.summary(one) for one in counts_drift]
    details["forecasts"] = [monitoring.summary(one) for one in forecasts_drift]
    details["missing_days"] = missing
    signals = [replace(signal, advice=ADVICE[signal.name]) for signal in signals]
    evidence = {**tables, "counts": counts_drift, "forecasts": forecasts_drift, "told": told, "series": series}
    return Findings(signals, details, {**evidence, "first": first, "model": watched.model})


def truth(rows: pd.DataFrame) -> pd.DataFrame:
    """The counts that rows of a back-test are about: (days, airports)."""
    return rows.pivot_table(index=DATE, columns=AIRPORT, values=TARGET, aggfunc="last")


def per_day(rows: pd.DataFrame) -> pd.DataFrame:
    """The mean of all forecasts for a day: (days, airports)."""
    return rows.pivot_table(index=DATE, columns=AIRPORT, values="forecast", aggfunc="mean")


def whole_weeks(series: pd.DataFrame) -> pd.DataFrame:
    """The latest whole weeks, so that all weekdays count the same; everything if there is no whole week."""
    return series.iloc[len(series) % WEEK :] if len(series) >= WEEK else series


def _given(watched: Watched) -> pd.DataFrame:
    """The counts that came in, without the rows that hold forecasts."""
    if "forecast" in watched.current:
        return watched.current[watched.current["forecast"].isna()]
    return watched.current


def first_new_day(watched: Watched) -> pd.Timestamp:
    """From when on counts are new; the first histories that come in reach back into the reference."""
    given = _given(watched).dropna(subset=[DATE, TARGET])[DATE]
    new = given[given > watched.reference[DATE].max()]
    first: pd.Timestamp = (new if len(new) else given).min()
    return first


def known_series(watched: Watched) -> tuple[pd.DataFrame, int]:
    """All counts known by now, with those of the reference before them, and how many days of an airport are missing.

    (days, airports) of the model's airports; a missing day is what it was a week before, so that the rest can be used.
    """
    given = _given(watched).dropna(subset=[DATE, TARGET])
    both = pd.concat([watched.reference[[DATE, AIRPORT, TARGET]].dropna(), given[[DATE, AIRPORT, TARGET]]])
    series = both.pivot_table(index=DATE, columns=AIRPORT, values=TARGET, aggfunc="last")
    days = pd.date_range(series.index.min(), series.index.max(), name=DATE)
    series = series.reindex(index=days, columns=watched.model.airports)
    missing = int(series.loc[first_new_day(watched) :].isna().to_numpy().sum())
    for start in range(WEEK, len(series)):
        series.iloc[start] = series.iloc[start].fillna(series.iloc[start - WEEK])
    return series.bfill(), missing


def rolled(watched: Watched, series: pd.DataFrame, first: pd.Timestamp) -> pd.DataFrame:
    """The forecasts that the model would have made on each day from `first` on, with the truth where it is known."""
    start = max(int(series.index.searchsorted(first)), watched.model.history_days)
    rows: pd.DataFrame = watched.model.roll(series, range(start, len(series)))
    return rows


def collected(watched: Watched, series: pd.DataFrame) -> pd.DataFrame:
    """The forecasts that were given, with the truth where later requests told it."""
    current = watched.current
    until = current[current["forecast"].isna()].groupby("request_id")[DATE].max()
    rows = current[current["forecast"].notna()].drop(columns=TARGET)
    rows = rows.assign(known_until=rows["request_id"].map(until))
    rows["day_ahead"] = (rows[DATE] - rows["known_until"]).dt.days
    return rows.merge(to_frame(series), on=[DATE, AIRPORT], how="left")


def compare_weeks(watched: Watched, series: pd.DataFrame, first: pd.Timestamp) -> pd.DataFrame:
    """How much forecasts depend on each week of the history, then and now: week, before, now; the mean change of a
    forecast, in scaled units, when the week is exchanged for another one. Empty when there are too few days for it."""
    history = watched.model.history_days
    split = int(series.index.searchsorted(first))
    cutoffs = range(history, split + 1), range(max(split, history), len(series) + 1)
    if min(map(len, cutoffs)) < 2 * WEEK:
        return pd.DataFrame(columns=["week", "before", "now"])
    scale = watched.reference.groupby(AIRPORT)["scale"].first().reindex(watched.model.airports).to_numpy()
    columns = [attribute(watched, series, list(some)[-MOST_CUTOFFS:], scale) for some in cutoffs]
    return pd.DataFrame({"week": importance.week_names(watched.model), "before": columns[0], "now": columns[1]})


def attribute(watched: Watched, series: pd.DataFrame, cutoffs: Sequence[int], scale: Array) -> Array:
    """The dependence on each week of the history, (weeks,)."""
    model = watched.model
    usual = np.stack([model.forecaster.forecast(series.iloc[c - model.history_days : c]) for c in cutoffs])
    weeks = range(1, len(importance.week_names(model)) + 1)
    changed = [importance.exchanged(model, series, cutoffs, week) for week in weeks]
    return np.array([float((np.abs(forecast - usual) / scale).mean()) for forecast in changed])


def compare_scores(before: pd.DataFrame, told: pd.DataFrame) -> pd.DataFrame:
    """The metrics at registration and now: metric, before, now; empty while no truth is known."""
    if told.empty:
        return pd.DataFrame(columns=["metric", "before", "now"])
    wanted = ["mae", "mape", "mase", "bias", "coverage", "width"]
    table = [{"metric": m, "before": metrics.METRICS[m](before), "now": metrics.METRICS[m](told)} for m in wanted]
    return pd.DataFrame(table)


def compare_airports(before: pd.DataFrame, told: pd.DataFrame) -> pd.DataFrame:
    """How far each airport's weekly errors moved apart from the others': the columns of `drift.group_shifts`."""
    old, new = _weekly(before), _weekly(told)
    groups = old[AIRPORT], new[AIRPORT]
    return drift.group_shifts(old["loss"], new["loss"], groups, FEWEST_WEEKS).sort_values("value", ascending=False)


def _weekly(rows: pd.DataFrame) -> pd.DataFrame:
    """The mean loss of each airport and week: origin, week, loss."""
    if rows.empty:
        return pd.DataFrame({AIRPORT: [], "week": [], "loss": []})
    table = rows.assign(loss=metrics.loss(rows), week=metrics.weeks(rows))
    return table.groupby([AIRPORT, "week"])["loss"].mean().reset_index()


def _quality_signal(watched: Watched, faults: pd.DataFrame, missing: int) -> Signal:
    requests = watched.current["request_id"].nunique() if "request_id" in watched.current else 0
    refused = watched.refused / max(1, watched.refused + requests)
    lost = missing / (missing + len(_given(watched)))
    worst = faults.iloc[0]
    values: dict[str, float] = {
        f"{refused:.1%} of the requests were refused": refused,
        f"{missing} days of an airport are missing": lost,
        f"{worst['column']}: {worst['now']:.1%} of the values are {worst['fault']}": float(worst["value"]),
    }
    found, value = max(values.items(), key=lambda pair: pair[1])
    return Signal("data_quality", value, found if value > 0 else "no missing days, no broken values")


def _performance_signal(before: pd.DataFrame, told: pd.DataFrame) -> Signal:
    if told.empty or metrics.weeks(told).max() + 1 < FEWEST_WEEKS:
        return Signal("performance", None, f"the truth must be known for forecasts of {FEWEST_WEEKS} weeks")
    old, new = metrics.by_week(before), metrics.by_week(told)
    found = f"the mean scaled error is {new.mean():.3g}, it was {old.mean():.3g} ({len(new)} and {len(old)} weeks)"
    return Signal("performance", drift.worse_by(old, new), found)


def _coverage_signal(promised: float, told: pd.DataFrame) -> Signal:
    if told.empty or metrics.weeks(told).max() + 1 < FEWEST_WEEKS:
        return Signal("interval_coverage", None, f"the truth must be known for forecasts of {FEWEST_WEEKS} weeks")
    weekly = np.array([metrics.coverage(part) for _, part in told.groupby(metrics.weeks(told))])
    short = promised - float(weekly.mean())
    error = float(weekly.std(ddof=1)) / np.sqrt(len(weekly))
    limit = float(stats.t.ppf(1 - drift.FALSE_ALARMS, len(weekly) - 1))  # one-sided test of the weekly means
    found = f"{weekly.mean():.1%} of the days were within the interval, which promises {promised:.0%}"
    return Signal("interval_coverage", short if short > limit * error else 0.0, found)


def _attribution_signal(weeks: pd.DataFrame) -> Signal:
    if weeks.empty:
        return Signal("attribution_drift", None, "there are too few days to measure it")
    value = drift.rank_change(weeks["before"].to_numpy(), weeks["now"].to_numpy())
    most = [weeks.nlargest(1, when)["week"].iloc[0] for when in ("now", "before")]
    return Signal("attribution_drift", value, f"forecasts depend most on {most[0]}; it was {most[1]}")


def _cohort_signal(cohorts: pd.DataFrame) -> Signal:
    if cohorts.empty:
        return Signal("cohort_bias", None, f"the truth must be known for forecasts of {FEWEST_WEEKS} weeks")
    worst = cohorts.iloc[0]
    if worst["value"] == 0:
        return Signal("cohort_bias", 0.0, "no airport's errors moved apart from the others' by more than chance")
    found = f"the scaled error of {worst['group']} is {worst['now']:.3g}, it was {worst['before']:.3g}, unlike others"
    return Signal("cohort_bias", float(worst["value"]), found)


def illustrate(report: Report, findings: Findings) -> None:
    """The sections of the report that explain the signals."""
    evidence: dict[str, Any] = findings.evidence
    report.section("Counts", "Is there as much traffic as when the model was accepted?")
    report.figure(*pictures.history(evidence["series"], evidence["first"]))
    report.table([monitoring.summary(one) for one in evidence["counts"]], monitoring.HOW_TO_READ)

    report.section("Forecasts", "Does the model answer as it used to?")
    report.table([monitoring.summary(one) for one in evidence["forecasts"]], monitoring.HOW_TO_READ)

    report.section("Data quality", "Are there missing days, or more broken values?")
    report.table(evidence["quality"], "Shares of rows; value: the growth where it is more than chance.")

    report.section("Performance", "Is the model still as good, where the truth is known by now?")
    if len(evidence["performance"]):
        told = evidence["told"]
        report.table(evidence["performance"], "Each metric at registration and now.")
        report.figure(*pictures.days(told, pd.Series(metrics.loss(told), told.index)))
    else:
        report.text("The truth is not known yet: it comes with the history in later requests.")

    report.section("Attributions", "Do the forecasts depend on the same weeks of the history?")
    report.table(evidence["weeks"], "Mean change of a forecast, in scaled units, when the week is exchanged.")

    report.section("Airports", "Is one airport forecast worse than before, beyond what changed for all?")
    report.table(evidence["cohorts"], "Weekly scaled errors; shift: in standard deviations, beyond everyone's.")
