"""What is watched in production and how it is explained: drift, quality, performance, attributions, cohorts.

Thresholds and actions are in config/shared.yml (`monitoring`); `mlops monitor` decides and writes the report.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from mlops_runtime import drift, monitoring, signals
from mlops_runtime.monitoring import Findings, Signal, Watched
from mlops_runtime.report import Report

from . import metrics

Array = np.ndarray[Any, Any]
SAMPLE_ROWS = 500  # on which attributions are measured
GROUP_ROWS = 50  # smaller cohorts are not compared
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
    performance, scores = signals.performance(watched, metrics.METRICS, partial(_outcome, watched))
    cohorts = compare_cohorts(watched)

    refused = watched.refused / (watched.refused + len(now))
    found = [
        monitoring.drift_signal("data_drift", data),
        monitoring.drift_signal("prediction_drift", predictions),
        Signal("data_quality", max(refused, faults["value"].max()), _describe_faults(faults, refused)),
        performance,
        Signal("attribution_drift", drift.rank_change(*shares), _describe_ranks(attributions)),
        signals.cohort_bias(cohorts, GROUP_ROWS),
    ]
    tables = {"quality": faults, "attributions": attributions, "performance": scores, "cohorts": cohorts}
    details: dict[str, Any] = {name: table.to_dict(orient="records") for name, table in tables.items()}
    details["inputs"] = [monitoring.summary(one) for one in data]
    details["predictions"] = [monitoring.summary(one) for one in predictions]
    found = [replace(signal, advice=ADVICE[signal.name]) for signal in found]
    return Findings(found, details, {**tables, "data": data, "predictions": predictions, "watched": watched})


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


def _truth(watched: Watched, known: pd.DataFrame) -> pd.DataFrame:
    """The targets of labelled rows, with their own types."""
    targets = watched.model.targets
    whole = {name: "int64" for name in targets if watched.contract.columns[name].type == "integer"}
    truth: pd.DataFrame = known[targets].astype(whole)
    return truth


def _outcome(watched: Watched, known: pd.DataFrame) -> metrics.Outcome:
    return metrics.outcome(_truth(watched, known), known[watched.outputs])


def losses(watched: Watched, known: pd.DataFrame) -> "pd.Series[Any]":
    """The loss of each labelled row, with the rows' index."""
    return pd.Series(metrics.loss(_truth(watched, known), known[watched.outputs]), known.index, name="loss")


def compare_cohorts(watched: Watched) -> pd.DataFrame:
    """How far each group's predictions, and losses where known, moved apart from all others, the most moved first.

    The columns column, measure and those of `drift.group_shifts`, for the columns that config's gates.cohorts names.
    """
    before, now = watched.reference.copy(), watched.current.copy()
    measures = score_columns(watched.outputs)
    old, new = signals.labelled(watched, before), signals.labelled(watched, now)
    if old is not None and new is not None:
        before["loss"], now["loss"] = losses(watched, old), losses(watched, new)
        measures = [*measures, "loss"]
    return signals.compare_cohorts(before, now, watched.settings.gates.cohorts.columns, measures, GROUP_ROWS)


def _describe_faults(faults: pd.DataFrame, refused: float) -> str:
    worst = faults.iloc[0]
    if refused >= worst["value"] and refused > 0:
        return f"{refused:.1%} of the requests were refused for breaking the contract"
    if worst["value"] == 0:
        return "no more broken values than before"
    return f"{worst['column']}: {worst['now']:.1%} of the values are {worst['fault']}, it was {worst['before']:.1%}"


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

    signals.show_scores(report, evidence["performance"])

    report.section("Attributions", "Do the predictions depend on the same inputs?")
    picture = attribution_figure(evidence["attributions"])
    report.figure(picture, "How much the predictions change, on average, when the values of an input are shuffled.")

    signals.show_cohorts(report, evidence["cohorts"], GROUP_ROWS)


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
