"""What is watched in production and how it is explained: image statistics, embeddings, predictions, quality, cohorts.

Thresholds and actions are in config/shared.yml (`monitoring`); `mlops monitor` decides and writes the report.
Nothing is trained again by itself: images that are poor or uncertain go to people (`review.py`).
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from mlops_runtime import drift, monitoring, signals
from mlops_runtime.monitoring import Findings, Signal, Watched
from mlops_runtime.report import Report

from . import data, embeddings, images, metrics, review

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = np.ndarray[Any, Any]
GROUP_IMAGES = 30  # smaller cohorts are not compared
PICTURES = 3  # columns that get one
SHOWN, ACROSS = 24, 8  # images for review
ADVICE = {
    "data_drift": "Look at the camera first: light, lens, focus. If the scene has changed, label such images.",
    "embedding_drift": "The images show something else than before: label some with `mlops label export`.",
    "prediction_drift": "Look at the images first: predictions rarely move alone.",
    "data_quality": "Find out where images are lost or broken before anything learns from them.",
    "performance": "Check some of the labels; if they are right, label more images of this period.",
    "cohort_bias": "Look at this group's images and labels; label more of them.",
}


def measure(watched: Watched) -> Findings:
    """Compute the signals; `evidence` is what `illustrate` shows."""
    before = watched.reference
    now = watched.current[watched.current["prediction"].notna()].reset_index(drop=True)
    watched = replace(watched, current=now, refused=watched.refused + len(watched.current) - len(now))
    drifts = {
        "data_drift": drift.compare_columns(before, now, images.STATISTICS),
        "embedding_drift": drift.compare_columns(before, now, [*embeddings.NAMES, embeddings.NOVELTY]),
        "prediction_drift": drift.compare_columns(before, now, watched.model.watched),
    }
    cohorts = compare_cohorts(watched)
    performance, scores = signals.performance(watched, metrics.METRICS, lambda frame: metrics.outcome(frame, frame))
    found = [
        monitoring.drift_signal("data_drift", drifts["data_drift"]),
        _embedding_signal(before, now),
        monitoring.drift_signal("prediction_drift", drifts["prediction_drift"]),
        _quality_signal(watched),
        performance,
        signals.cohort_bias(cohorts, GROUP_IMAGES),
    ]
    details: dict[str, Any] = {name: [monitoring.summary(one) for one in found] for name, found in drifts.items()}
    details |= {"performance": scores.to_dict(orient="records"), "cohorts": cohorts.to_dict(orient="records")}
    return Findings(
        signals=[replace(signal, advice=ADVICE[signal.name]) for signal in found],
        details=details,
        evidence={"drifts": drifts, "performance": scores, "cohorts": cohorts, "watched": watched},
        files={"review.parquet": for_review(watched)},
    )


def for_review(watched: Watched) -> pd.DataFrame:
    """The images that people should look at, the most urgent first; only those that are at hand."""
    wrong = None
    if watched.model.targets[0] in watched.current:
        known = watched.current[watched.model.targets[0]].notna()
        wrong = known & ~metrics.right(metrics.outcome(watched.current, watched.current))
    found = review.find(watched.current, wrong)
    return found[found[data.IMAGE].notna()].reset_index(drop=True) if data.IMAGE in found else found.head(0)


def compare_cohorts(watched: Watched) -> pd.DataFrame:
    """How far each group's confidence, and loss where known, moved apart from all others, the most moved first.

    The columns column, measure and those of `drift.group_shifts`, for the columns that config's gates.cohorts names.
    """
    before, now = watched.reference.copy(), watched.current.copy()
    old, new = signals.labelled(watched, before), signals.labelled(watched, now)
    if old is not None and new is not None and len(old) == len(before) and len(new) == len(now):
        for frame in (before, now):  # of what the model cannot know it can only be wrong, in whatever group
            outcome = metrics.outcome(frame, frame)
            frame["loss"] = np.where(metrics.possible(outcome), metrics.loss(outcome), np.nan)
    columns = watched.settings.gates.cohorts.columns
    return signals.compare_cohorts(before, now, columns, ["confidence", "loss"], GROUP_IMAGES)


def _embedding_signal(before: pd.DataFrame, now: pd.DataFrame) -> Signal:
    """How well the images of now can be told from those of then, where that is more than chance."""
    columns = [*embeddings.NAMES, embeddings.NOVELTY]
    parts = [frame[columns].dropna().to_numpy(float) for frame in (before, now)]
    if min(map(len, parts)) < GROUP_IMAGES:
        return Signal("embedding_drift", None, f"fewer than {GROUP_IMAGES} images have embeddings")
    value, by_chance = embeddings.separation(parts[0], parts[1], drift.FALSE_ALARMS)
    if value <= by_chance:
        return Signal("embedding_drift", 0.0, "the images cannot be told from those before by more than chance")
    pairs = f"{(value + 1) / 2:.0%} of the pairs of one image then and one now"
    return Signal("embedding_drift", value, f"a classifier tells which is which in {pairs}; chance gives 50 %")


def _quality_signal(watched: Watched) -> Signal:
    """The share of images that were refused or could not be read, where that is more than chance."""
    asked = watched.refused + len(watched.current)
    share = drift.excess_share((0, len(watched.reference)), (watched.refused, asked))
    if not share:
        return Signal("data_quality", 0.0, "no more broken or refused images than chance would give")
    return Signal("data_quality", share, f"{watched.refused:,} of {asked:,} images were refused or cannot be read")


def illustrate(report: Report, findings: Findings) -> None:
    """The sections of the report that explain the signals."""
    evidence: dict[str, Any] = findings.evidence
    watched: Watched = evidence["watched"]
    questions = {
        "data_drift": ("Image statistics", "Do the images look like those that the model was accepted on?"),
        "embedding_drift": ("Embeddings", "Does the network see in them what it used to see?"),
        "prediction_drift": ("Predictions", "Does the model answer as it used to?"),
    }
    for name, (title, question) in questions.items():
        found = evidence["drifts"][name]
        report.section(title, question)
        report.table([monitoring.summary(one) for one in found], "Most drifted first. " + monitoring.HOW_TO_READ)
        moved = [one for one in found if one.value > 0][:PICTURES]
        if moved and watched.time:
            times = watched.current[watched.time]
            windows = {one.name: monitoring.over_time(one, watched.current[one.name], times) for one in moved}
            threshold = watched.threshold(name)
            starts = {column: monitoring.since(window, threshold) for column, window in windows.items()}
            said = [f"{column} since {start}" for column, start in starts.items() if start] or ["none at the end"]
            report.figure(monitoring.time_figure(windows, threshold), f"Above the threshold: {', '.join(said)}.")
        for one in moved:
            report.figure(monitoring.distribution_figure(one), monitoring.describe_drift(one))
        if name == "embedding_drift":
            report.figure(embedding_figure(watched), "Each dot is an image. Dots where there were none: something new.")

    signals.show_scores(report, evidence["performance"])

    signals.show_cohorts(report, evidence["cohorts"], GROUP_IMAGES)

    report.section("For review", "Images that people should look at: `mlops label export` hands them over.")
    found = findings.files["review.parquet"]
    if len(found):
        counts = found["reason"].value_counts().rename_axis("reason").rename("images").reset_index()
        report.table(counts)
        report.figure(review_figure(found, watched.model.facts.size), "The most urgent, with what the model says.")
    else:
        report.text("None: the model is sure of all images at hand, and they are like those that it learnt from.")


def embedding_figure(watched: Watched) -> "Figure":
    """The first two numbers of the embeddings, at registration and now."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4))
    axes = figure.subplots()
    for frame, name, color in (
        (watched.reference, "reference", monitoring.BEFORE),
        (watched.current, "now", monitoring.NOW),
    ):
        shown = frame[embeddings.NAMES[:2]].head(1000)
        axes.scatter(shown.iloc[:, 0], shown.iloc[:, 1], s=8, alpha=0.6, label=name, color=color)
    axes.set(xlabel=embeddings.NAMES[0], ylabel=embeddings.NAMES[1])
    axes.legend(frameon=False)
    return figure


def review_figure(found: pd.DataFrame, size: int) -> "Figure":
    """The most urgent images."""
    from matplotlib.figure import Figure

    from . import pictures

    rows = found[found["reason"] != "unreadable"].head(SHOWN)
    figure = Figure(figsize=(10, 4.6))
    all_axes = figure.subplots(-(-max(1, len(rows)) // ACROSS), ACROSS, squeeze=False)
    for axes in all_axes.flat:
        axes.axis("off")
    for axes, row in zip(all_axes.flat, rows.to_dict(orient="records"), strict=False):
        said = pictures.show(axes, images.to_array(images.unpack(row[data.IMAGE]), size), row["prediction"])
        axes.set_title(f"{said} {row['confidence']:.0%}\n{row['reason']}", fontsize=6)
    return figure
