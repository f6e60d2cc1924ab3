"""What is watched in production and how it is explained: drift, quality, performance, attributions, cohorts.

Thresholds and actions are in config/shared.yml (`monitoring`); `mlops monitor` decides and writes the report.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from mlops_runtime import drift, monitoring
from mlops_runtime.monitoring import Findings, Signal, Watched
from mlops_runtime.report import Report

from . import metrics

Array = np.ndarray[Any, Any]
SAMPLE_ROWS = 500  # on which attributions are measured
GROUP_ROWS = 50  # smaller cohorts are not compared
QUARTERS = 4  # a numeric column becomes this many cohorts
PICTURES = 4  # columns that get one
ADVICE = {
    "data_drift": "If the column's source or unit changed, correct that; if the world did, retrain.",
    "prediction_drift": "Look at the inputs first: predictions rarely move alone. If they are right, retrain.",
    "data_quality": "Find out where the values are lost or broken before anything learns from them.",
    "performance": "Check some of the labels; if they are right, retrain on data that include this period.",
    "attribution_drift": "The model leans on other inputs than it was accepted with: check those, then retrain.",
    "cohort_bias": "Look at this group's rows and labels; the report of the next training shows it by cohort.",
}


def measure(watched: Watched) -> Findings:
    """Compute the signals; `evidence` is what `illustrate` shows."""
    inputs, before, now = watched.model.inputs, watched.reference, watched.current
    data = compare_inputs(watched)
    predictions = drift.compare_columns(before, now, watched.outputs)
    faults = monitoring.quality(before, now, watched.contract, inputs)
    shares = attribute(watched, before), attribute(watched, now)
    attributions = pd.DataFrame({"column": inputs, "before": shares[0], "now": shares[1]})
    scores = compare_scores(watched)
    cohorts = compare_cohorts(watched)

    refused = watched.refused / (watched.refused + len(now))
    signals = [
        monitoring.drift_signal("data_drift", data),
        monitoring.drift_signal("prediction_drift", predictions),
        Signal("data_quality", max(refused, faults["value"].max()), _describe_faults(faults, refused)),
        _performance_signal(watched),
        Signal("attribution_drift", drift.rank_change(*shares), _describe_ranks(attributions)),
        _cohort_signal(cohorts),
    ]
    tables = {"quality": faults, "attributions": attributions, "performance": scores, "cohorts": cohorts}
    details: dict[str, Any] = {name: table.to_dict(orient="records") for name, table in tables.items()}
    details["inputs"] = [monitoring.summary(one) for one in data]
    details["predictions"] = [monitoring.summary(one) for one in predictions]
    signals = [replace(signal, advice=ADVICE[signal.name]) for signal in signals]
    return Findings(signals, details, {**tables, "data": data, "predictions": predictions, "watched": watched})


def spell_out(frame: pd.DataFrame, inputs: list[str]) -> pd.DataFrame:
    """The inputs as the model understands them: of a time only its hour and its weekday."""
    columns = {}
    for name in inputs:
        if pd.api.types.is_datetime64_any_dtype(frame[name]):
            columns[f"{name}:hour"] = frame[name].dt.hour.astype(float)
            columns[f"{name}:weekday"] = frame[name].dt.day_name()
        else:
            columns[name] = frame[name]
    return pd.DataFrame(columns)


def compare_inputs(watched: Watched) -> list[drift.Drift]:
    """How far each input moved, the most first."""
    before, now = (spell_out(frame, watched.model.inputs) for frame in (watched.reference, watched.current))
    return drift.compare_columns(before, now, [str(name) for name in before])


def score_columns(outputs: list[str]) -> list[str]:
    """The predictions that are numbers: probabilities of a classification, the value of a regression."""
    return [name for name in outputs if name.startswith("probability_")] or ["prediction"]


def attribute(watched: Watched, frame: pd.DataFrame) -> Array:
    """How much predictions depend on each input, (inputs,): their mean change when the input's values are shuffled."""
    sample = frame[watched.model.inputs].sample(min(len(frame), SAMPLE_ROWS), random_state=0, ignore_index=True)
    names = score_columns(watched.outputs)
    usual = watched.model.predict(sample)[names].to_numpy(dtype=float)
    generator = np.random.default_rng(0)
    changes = []
    for name in watched.model.inputs:
        shuffled = sample.assign(**{name: sample[name].to_numpy()[generator.permutation(len(sample))]})
        changes.append(np.abs(watched.model.predict(shuffled)[names].to_numpy(dtype=float) - usual).mean())
    return np.array(changes)


def labelled(watched: Watched, frame: pd.DataFrame) -> pd.DataFrame | None:
    """The rows whose targets are known, with the targets' own types; None where there are too few."""
    targets = watched.model.targets
    if not set(targets) <= set(frame):
        return None
    known = frame.dropna(subset=targets)
    whole = {name: "int64" for name in targets if watched.contract.columns[name].type == "integer"}
    return known.astype(whole) if len(known) >= watched.settings.monitoring.min_rows else None


def losses(watched: Watched, known: pd.DataFrame) -> "pd.Series[Any]":
    """The loss of each labelled row, with the rows' index."""
    return pd.Series(metrics.loss(known[watched.model.targets], known[watched.outputs]), known.index, name="loss")


def compare_scores(watched: Watched) -> pd.DataFrame:
    """Each metric at registration and now: metric, before, now; empty while the targets are unknown."""
    frames = [labelled(watched, frame) for frame in (watched.reference, watched.current)]
    known = [frame for frame in frames if frame is not None]
    if len(known) < 2:
        return pd.DataFrame(columns=["metric", "before", "now"])
    before, now = (metrics.evaluate(frame[watched.model.targets], frame[watched.outputs]) for frame in known)
    return pd.DataFrame([{"metric": name, "before": before[name], "now": now[name]} for name in now])


def compare_cohorts(watched: Watched) -> pd.DataFrame:
    """How far each group's predictions, and losses where known, moved apart from all others, the most moved first.

    The columns column, measure and those of `drift.group_shifts`, for the columns that config's gates.cohorts names.
    """
    before, now = watched.reference.copy(), watched.current.copy()
    measures = score_columns(watched.outputs)
    old, new = labelled(watched, before), labelled(watched, now)
    if old is not None and new is not None:
        before["loss"], now["loss"] = losses(watched, old), losses(watched, new)
        measures = [*measures, "loss"]
    tables = []
    for column in watched.settings.gates.cohorts.columns:
        if column not in now:
            continue
        groups = _groups(before[column], now[column])
        for measure in measures:
            shifts = drift.group_shifts(before[measure].dropna(), now[measure].dropna(), groups, GROUP_ROWS)
            if len(shifts):
                tables.append(shifts.assign(column=column, measure=measure))
    found = pd.concat(tables) if tables else pd.DataFrame(columns=["group", "value"])
    return found.sort_values("value", ascending=False, kind="stable", ignore_index=True)


def _groups(before: "pd.Series[Any]", now: "pd.Series[Any]") -> "tuple[pd.Series[Any], pd.Series[Any]]":
    """The group of each row; numbers are cut at the quartiles of the reference."""
    if pd.api.types.is_numeric_dtype(before) and before.nunique() > QUARTERS:
        inner = np.unique(before.quantile([0.25, 0.5, 0.75]))
        cuts = [-np.inf, *inner, np.inf]
        return pd.cut(before, cuts).astype(str), pd.cut(now, cuts).astype(str)
    return before.astype(str), now.astype(str)


def _performance_signal(watched: Watched) -> Signal:
    """The metric that config compares cohorts by; a minimum in gates.metrics says that more is better."""
    before, now = labelled(watched, watched.reference), labelled(watched, watched.current)
    if before is None or now is None:
        needed = watched.settings.monitoring.min_rows
        return Signal("performance", None, f"{', '.join(watched.model.targets)} must be known for {needed} rows")
    gates, targets = watched.settings.gates, watched.model.targets
    name = gates.cohorts.metric
    more_is_better = name in gates.metrics and gates.metrics[name].min is not None
    old, new = (metrics.outcome(frame[targets], frame[watched.outputs]) for frame in (before, now))
    metric, sizes = metrics.METRICS[name], (len(before), len(now))
    worse = drift.metric_worse_by(
        lambda rows: metric(old.take(rows)), lambda rows: metric(new.take(rows)), sizes, more_is_better
    )
    if np.isnan(worse):
        return Signal("performance", None, f"{name} is undefined on these {len(now):,} rows")
    return Signal("performance", worse, f"{name} is {metric(new):.3g}, it was {metric(old):.3g} ({len(now):,} rows)")


def _describe_faults(faults: pd.DataFrame, refused: float) -> str:
    worst = faults.iloc[0]
    if refused >= worst["value"] and refused > 0:
        return f"{refused:.1%} of the requests were refused for breaking the contract"
    if worst["value"] == 0:
        return "no more broken values than before"
    return f"{worst['column']}: {worst['now']:.1%} of the values are {worst['fault']}, it was {worst['before']:.1%}"


def _cohort_signal(cohorts: pd.DataFrame) -> Signal:
    if cohorts.empty:
        return Signal("cohort_bias", None, f"no cohort has {GROUP_ROWS} rows, then and now")
    worst = cohorts.iloc[0]
    if worst["value"] == 0:
        return Signal("cohort_bias", 0.0, "no cohort moved apart from all others by more than chance")
    change = f"{worst['now']:.3g}, it was {worst['before']:.3g}, unlike the others"
    return Signal("cohort_bias", worst["value"], f"{worst['measure']} of {worst['column']} {worst['group']}: {change}")


def _describe_ranks(attributions: pd.DataFrame) -> str:
    then, now = (attributions.nlargest(3, when)["column"] for when in ("before", "now"))
    return f"the predictions depend most on {', '.join(now)}; it was {', '.join(then)}"


def illustrate(report: Report, findings: Findings) -> None:
    """The sections of the report that explain the signals."""
    evidence: dict[str, Any] = findings.evidence
    watched: Watched = evidence["watched"]
    threshold = watched.threshold("data_drift")

    report.section("Inputs", "Do the rows look like those that the model was accepted on?")
    report.table([monitoring.summary(one) for one in evidence["data"]], "Most drifted first. " + monitoring.HOW_TO_READ)
    moved = [one for one in evidence["data"] if one.value > 0][:PICTURES]
    if moved and watched.time:
        spelled, times = spell_out(watched.current, watched.model.inputs), watched.current[watched.time]
        windows = {one.name: monitoring.over_time(one, spelled[one.name], times) for one in moved}
        starts = {name: monitoring.since(window, threshold) for name, window in windows.items()}
        said = [f"{name} since {start}" for name, start in starts.items() if start] or ["none at the end"]
        report.figure(monitoring.time_figure(windows, threshold), f"Above the threshold: {', '.join(said)}.")
    for one in moved:
        report.figure(monitoring.distribution_figure(one), monitoring.describe_drift(one))

    report.section("Predictions", "Does the model answer as it used to?")
    report.table([monitoring.summary(one) for one in evidence["predictions"]], monitoring.HOW_TO_READ)
    for one in evidence["predictions"][:1]:
        report.figure(monitoring.distribution_figure(one), monitoring.describe_drift(one))

    report.section("Data quality", "Are there more missing, impossible or unknown values?")
    report.table(evidence["quality"].head(10), "Shares of rows; value: the growth where it is more than chance.")

    report.section("Performance", "Is the model still as good, where the truth is known by now?")
    if len(evidence["performance"]):
        report.table(evidence["performance"], "Each metric at registration and now.")
    else:
        report.text("The truth is not known yet: give it with `mlops monitor --labels FILE`.")

    report.section("Attributions", "Do the predictions depend on the same inputs?")
    picture = attribution_figure(evidence["attributions"])
    report.figure(picture, "How much the predictions change, on average, when the values of an input are shuffled.")

    report.section("Cohorts", "Is a group treated differently than before, beyond what changed for everybody?")
    if len(evidence["cohorts"]):
        columns = ["column", "group", "measure", "rows", "before", "now", "shift", "value"]
        caption = "shift: in standard deviations, beyond everyone's; value: its size where it is more than chance."
        report.table(evidence["cohorts"][columns].head(15), caption)
    else:
        report.text(f"No cohort has {GROUP_ROWS} rows, then and now.")


def attribution_figure(attributions: pd.DataFrame) -> Any:
    """The inputs by how much predictions depend on them, before and now."""
    from matplotlib.figure import Figure

    table = attributions.sort_values("before", kind="stable").tail(12)
    figure = Figure(figsize=(7, 0.8 + 0.3 * len(table)))
    axes = figure.subplots()
    places = np.arange(len(table))
    axes.barh(places + 0.2, table["before"], 0.4, label="reference", color=monitoring.BEFORE)
    axes.barh(places - 0.2, table["now"], 0.4, label="now", color=monitoring.NOW)
    axes.set_yticks(places, table["column"])
    axes.set_xlabel("mean change of the prediction")
    axes.legend(frameon=False)
    return figure
