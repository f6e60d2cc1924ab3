"""What is watched in production and how it is explained: texts, words, answers, quality, performance, cohorts.

Thresholds and actions are in config/shared.yml (`monitoring`); `mlops monitor` decides and writes the report. No
signal retrains by itself: language that the model does not know needs labels first, and those come from people. So the
texts that they should read are written to review.jsonl.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from threadpoolctl import threadpool_limits

from mlops_runtime import drift, monitoring, signals
from mlops_runtime.contract import Column
from mlops_runtime.drift import FALSE_ALARMS
from mlops_runtime.monitoring import Findings, Signal, Watched
from mlops_runtime.report import Report

from . import data, metrics, review
from .features import presence
from .prepare import cleaned
from .tables import TEXT
from .text import words

Array = np.ndarray[Any, Any]
MOST_TEXTS = 2000  # of each side that embeddings are compared on
GROUP_ROWS = 50  # smaller cohorts are not compared
REVIEW = 50  # texts proposed for annotation
WORDS = 12  # shown of those that came and went
LEAST_LETTERS = 0.4  # of the characters; a text with fewer is hardly language
BROKEN = r"\ufffd|Ã[\x80-\xbf©¼¶¤]|â€"  # what is left of UTF-8 that was read as something else
ADVICE = {
    "text_drift": "Read review.jsonl: what do people write about that they did not before? Annotate it.",
    "embedding_drift": "The texts lie elsewhere in the space that the model learnt: is it another language or topic?",
    "vocabulary_drift": "New words are new products or typing errors: add texts with them to the training data.",
    "prediction_drift": "Read some texts with these answers: has the world changed, or is the model wrong?",
    "data_quality": "Find out where texts are lost or broken before anything learns from them.",
    "performance": "Check some of the labels; if they are right, annotate review.jsonl and go back to development.",
    "cohort_bias": "Read this group's texts; annotate more of them.",
}


def measure(watched: Watched) -> Findings:
    """Compute the signals; `evidence` is what `illustrate` shows."""
    raw = watched.current[TEXT]
    before, now = (cleaned(frame, watched.contract) for frame in _frames(watched))
    watched = replace(watched, reference=before, current=now)
    answers = metrics.summary(before[watched.outputs]), metrics.summary(now[watched.outputs])
    vocabulary = compare_words(watched)
    predictions = drift.compare_columns(*answers, answers[0].columns.tolist())
    faults = compare_faults(before[TEXT], raw, watched.contract.columns[TEXT])
    performance, scores = signals.performance(watched, metrics.METRICS, partial(_outcome, watched))
    cohorts = compare_cohorts(watched)
    texts = [sample(frame) for frame in (before, now)]
    by_words = tell_apart(presence, *texts)
    by_embeddings = tell_apart(watched.model.embed, *texts)

    refused = watched.refused / (watched.refused + len(now))
    found = [
        Signal("text_drift", by_words, _describe_shift(by_words, vocabulary)),
        Signal("embedding_drift", by_embeddings, _describe_shift(by_embeddings, vocabulary)),
        _vocabulary_signal(watched),
        monitoring.drift_signal("prediction_drift", predictions),
        Signal("data_quality", max(refused, faults["value"].max()), _describe_faults(faults, refused)),
        performance,
        signals.cohort_bias(cohorts, GROUP_ROWS),
    ]
    tables = {"words": vocabulary, "quality": faults, "performance": scores, "cohorts": cohorts}
    details: dict[str, Any] = {name: table.to_dict(orient="records") for name, table in tables.items()}
    details["predictions"] = [monitoring.summary(one) for one in predictions]
    found = [replace(signal, advice=ADVICE[signal.name]) for signal in found]
    proposed = review.choose(watched.model, _rows(watched), now[watched.outputs], REVIEW)
    evidence = {**tables, "predictions": predictions, "watched": watched, "review": proposed}
    return Findings(found, details, evidence, {"review.jsonl": proposed})


def _rows(watched: Watched) -> pd.DataFrame:
    """The new texts as rows of the data file."""
    frame, contract = watched.current, watched.contract
    if watched.time == "request_time":  # collected requests: they came when they came
        moments = frame["request_time"].dt.tz_localize(None)
        frame = frame.assign(**dict.fromkeys(contract.names("time"), moments))
    return review.as_rows(frame, contract)


def sample(frame: pd.DataFrame) -> list[str]:
    """The texts, or some of them where they are many."""
    return list(frame[TEXT].sample(min(len(frame), MOST_TEXTS), random_state=0))


def tell_apart(vectors: Callable[[list[str]], Any], before: list[str], now: list[str]) -> float:
    """How well a classifier tells old from new texts by their `vectors` (texts, dimensions): 0 not at all, 1 always.

    2·AUC - 1 of a cross-validated logistic regression (domain classifier; Rabanser, Günnemann & Lipton, Failing loudly,
    2019) where that is more than chance, else 0 (one-sided test at `FALSE_ALARMS`; Mann & Whitney 1947).
    """
    old, new = len(before), len(now)
    order = np.random.default_rng(0).permutation(old + new)  # folds without an order in time
    points, truth = vectors(before + now)[order], np.repeat([0, 1], [old, new])[order]
    classifier = LogisticRegression(class_weight="balanced", max_iter=500)
    with threadpool_limits(1):
        guessed = cross_val_predict(classifier, points, truth, cv=5, method="predict_proba")[:, 1]
    area = stats.mannwhitneyu(guessed[truth == 1], guessed[truth == 0]).statistic / (old * new)
    chance = stats.norm.ppf(1 - FALSE_ALARMS) * np.sqrt((old + new + 1) / (12 * old * new))
    return float(2 * area - 1) if area - 0.5 > chance else 0.0


def compare_words(watched: Watched) -> pd.DataFrame:
    """The words whose share of texts changed most: word, before, now, value (standard errors), known (to the model)."""
    counts = [Counter(word for text in frame[TEXT] for word in set(words(text))) for frame in _frames(watched)]
    sizes = [len(frame) for frame in _frames(watched)]
    rows = []
    for word in counts[0].keys() | counts[1].keys():
        old, new = (count[word] / size for count, size in zip(counts, sizes, strict=True))
        both = (counts[0][word] + counts[1][word]) / sum(sizes)
        error = np.sqrt(both * (1 - both) * (1 / sizes[0] + 1 / sizes[1]))
        rows.append([word, old, new, (new - old) / error if error else 0.0, word in watched.model.features.known_words])
    table = pd.DataFrame(rows, columns=["word", "before", "now", "value", "known"])
    return table.sort_values(["value", "word"], ascending=[False, True], ignore_index=True)


def _frames(watched: Watched) -> tuple[pd.DataFrame, pd.DataFrame]:
    return watched.reference, watched.current


def _vocabulary_signal(watched: Watched) -> Signal:
    """By how much the share of texts with a word that no training text had grew."""
    marked = [sum(bool(watched.model.features.unknown(text)) for text in frame[TEXT]) for frame in _frames(watched)]
    before, now = ((count, len(frame)) for count, frame in zip(marked, _frames(watched), strict=True))
    value = drift.excess_share(before, now)
    shares = now[0] / now[1], before[0] / before[1]
    found = f"{shares[0]:.0%} of the texts have a word that the training had not, it was {shares[1]:.0%}"
    return Signal("vocabulary_drift", value, found)


def faults(texts: "pd.Series[Any]", column: Column) -> "dict[str, pd.Series[bool]]":
    """What can be wrong with a text: which of them are missing, too short, too long, no language, broken, repeated."""
    known = texts.fillna("").astype(str)
    length = known.str.strip().str.len()
    letters = known.str.count(r"[^\W\d_]") / length.clip(lower=1)
    return {
        "missing": texts.isna(),
        "too short": texts.notna() & (length < max(1, column.min_length)),
        "too long": known.str.len() > column.max_length,
        "hardly any letters": (length > 0) & (letters < LEAST_LETTERS),
        "broken encoding": known.str.contains(BROKEN),
        "repeated": (length > 0) & known.duplicated(),
    }


def compare_faults(before: "pd.Series[Any]", now: "pd.Series[Any]", column: Column) -> pd.DataFrame:
    """fault, before, now (shares of texts), value (growth where it is more than chance, else 0); the worst first."""
    old, new = faults(before, column), faults(now, column)
    rows = []
    for name in new:
        shares = (int(old[name].sum()), len(before)), (int(new[name].sum()), len(now))
        value = drift.excess_share(*shares, FALSE_ALARMS / len(new))
        rows.append([name, shares[0][0] / shares[0][1], shares[1][0] / shares[1][1], value])
    table = pd.DataFrame(rows, columns=["fault", "before", "now", "value"])
    return table.sort_values(["value", "now"], ascending=False, kind="stable", ignore_index=True)


def _outcome(watched: Watched, frame: pd.DataFrame) -> metrics.Outcome:
    return metrics.outcome(frame[watched.model.targets], frame[watched.outputs])


def compare_cohorts(watched: Watched) -> pd.DataFrame:
    """How far each group's confidence, and loss where known, moved apart from all others, the most moved first."""
    frames: list[pd.DataFrame] = []
    known = [signals.labelled(watched, frame) for frame in _frames(watched)]
    for frame, labels in zip(_frames(watched), known, strict=True):
        frame = frame.assign(confidence=metrics.confidence(frame[watched.outputs]))
        if all(one is not None for one in known) and labels is not None:
            losses = metrics.loss(labels[watched.model.targets], labels[watched.outputs])
            frame["loss"] = pd.Series(losses, labels.index)
        frames.append(frame)
    columns = watched.settings.gates.cohorts.columns
    return signals.compare_cohorts(frames[0], frames[1], columns, ["confidence", "loss"], GROUP_ROWS)


def _describe_shift(shift: float, vocabulary: pd.DataFrame) -> str:
    if shift == 0:
        return "old and new texts cannot be told apart by more than chance"
    came, went = ", ".join(vocabulary["word"].head(4)), ", ".join(vocabulary["word"].tail(2))
    return f"old and new texts can be told apart (AUC {(shift + 1) / 2:.2f}): more of {came}, less of {went}"


def _describe_faults(faults: pd.DataFrame, refused: float) -> str:
    worst = faults.iloc[0]
    if refused >= worst["value"] and refused > 0:
        return f"{refused:.1%} of the requests were refused for breaking the contract"
    if worst["value"] == 0:
        return "no more broken texts than before"
    return f"{worst['now']:.1%} of the texts are {worst['fault']}, it was {worst['before']:.1%}"


def illustrate(report: Report, findings: Findings) -> None:
    """The sections of the report that explain the signals."""
    evidence: dict[str, Any] = findings.evidence
    watched: Watched = evidence["watched"]

    report.section("Words", "Do people write about the same things, in the same words?")
    vocabulary = evidence["words"]
    caption = "texts with the word, as a share; value: the change in standard errors; known: the training had it."
    report.table(vocabulary.head(WORDS), f"Words that came. {caption}")
    report.table(vocabulary.tail(WORDS).iloc[::-1], "Words that went")
    report.figure(map_figure(watched), "Embeddings in two dimensions: new dots where no old ones are need a reader.")

    report.section("Predictions", "Does the model answer as it used to?")
    report.table([monitoring.summary(one) for one in evidence["predictions"]], monitoring.HOW_TO_READ)
    for one in evidence["predictions"]:
        report.figure(monitoring.distribution_figure(one), monitoring.describe_drift(one))

    report.section("Data quality", "Are there more missing, broken or senseless texts?")
    report.table(evidence["quality"], "Shares of texts; value: the growth where it is more than chance.")

    signals.show_scores(report, evidence["performance"])

    signals.show_cohorts(report, evidence["cohorts"], GROUP_ROWS)

    report.section("For people", "The texts that the model is unsure of. All are in review.jsonl beside this report.")
    proposed = evidence["review"].drop(columns="unknown_words").head(10)
    answers = data.readable(proposed[TEXT].tolist(), proposed["prediction"].tolist())
    report.table(proposed.assign(prediction=answers), "Annotate them, then go back to development.")


def map_figure(watched: Watched) -> Any:
    """Old and new texts in the two directions in which old texts differ most."""
    from matplotlib.figure import Figure

    old, new = (watched.model.embed(frame[TEXT].head(800).tolist()) for frame in _frames(watched))
    center = old.mean(axis=0)
    axes_of_old = np.linalg.svd(old - center, full_matrices=False)[2][:2].T
    figure = Figure(figsize=(7, 4))
    axes = figure.subplots()
    for points, label, color in ((old, "reference", monitoring.BEFORE), (new, "now", monitoring.NOW)):
        across, up = ((points - center) @ axes_of_old).T
        axes.scatter(across, up, s=8, alpha=0.5, label=label, color=color, linewidths=0)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.legend(frameon=False)
    return figure
