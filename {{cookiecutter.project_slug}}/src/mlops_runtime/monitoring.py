"""From monitoring signals to an action: thresholds in config, the decision, metrics.json and the report.

What is measured belongs to the scenario (`<package>/monitor.py`); what follows from it is decided here.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import pandas as pd

from mlops_runtime import config, tracking
from mlops_runtime.collecting import Collected
from mlops_runtime.contract import Column, Contract
from mlops_runtime.drift import FALSE_ALARMS, Drift, excess_share, psi
from mlops_runtime.errors import Problem
from mlops_runtime.files import write_json
from mlops_runtime.report import Report
from mlops_runtime.serving import read_table, required, write_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Action = Literal["none", "retrain", "investigate"]
Status = Literal["ok", "fired", "not measured"]
BEFORE, NOW = "#8a94a6", "#c2410c"  # colours
HOW_TO_READ = (
    "PSI: population stability index; it counts only where it exceeds what chance alone would give (by_chance). "
    "KS: largest gap between the cumulative shares. Last: the values whose share changed most, before and now."
)
WINDOWS = 8  # parts of the period for which drift over time is shown
WINDOW_ROWS = 50  # a part has at least this many rows

ADVICE: dict[Action, str] = {
    "none": "Nothing to do: no signal is above its threshold.",
    "retrain": "Run `mlops run` on data that include this period; the gates judge the result.",
    "investigate": "A person should look before anything is retrained: a model learns broken data just as well.",
}


@dataclass(frozen=True)
class Signal:
    """One monitored number, higher is worse; None where it could not be measured."""

    name: str
    value: float | None
    found: str  # what lies behind it
    advice: str = ""  # what to do if it fires


@dataclass(frozen=True)
class Judged:
    """A signal against its threshold: `action` is what config asks for when it fires."""

    name: str
    value: float | None
    threshold: float
    action: Action
    status: Status
    found: str
    advice: str


@dataclass(frozen=True)
class Findings:
    """What a scenario measured: the signals, and whatever its `illustrate` needs to explain them."""

    signals: list[Signal]
    details: dict[str, Any] = field(default_factory=dict)  # JSON values, kept in metrics.json
    evidence: dict[str, Any] = field(default_factory=dict)  # anything, for the report only
    files: dict[str, pd.DataFrame] = field(default_factory=dict)  # name → rows for people, written beside the report


class Scenario(Protocol):
    """The two functions of `<package>/monitor.py`."""

    def measure(self, watched: "Watched") -> Findings:
        """Compute the signals."""

    def illustrate(self, report: Report, findings: Findings) -> None:
        """Add the sections that explain them."""


@dataclass(frozen=True)
class Watched:
    """What is compared: a model, its reference from registration, and the rows it meets now."""

    settings: config.Shared
    version: tracking.Version
    model: Any  # what `<package>.model.load` returns
    contract: Contract
    reference: pd.DataFrame  # (rows, inputs + targets + outputs) on which the model was accepted
    current: pd.DataFrame  # the same columns, but targets only where they are known by now
    outputs: list[str]  # the prediction columns
    time: str | None  # the column of `current` that says when
    source: str
    refused: int = 0  # requests that broke the contract and got no prediction

    @property
    def facts(self) -> dict[str, object]:
        """What the report and metrics.json say about it."""
        facts: dict[str, object] = {"model": self.version.name, "version": self.version.version, "data": self.source}
        facts["rows"] = len(self.current)
        if self.time:
            times = self.current[self.time].dropna()
            facts["from"], facts["until"] = str(times.min())[:16], str(times.max())[:16]
        return facts

    def threshold(self, signal: str) -> float:
        """Above which value the signal fires; infinite if config does not watch it."""
        found = self.settings.monitoring.signals.get(signal)
        return found.threshold if found else math.inf


def watch(
    settings: config.Shared,
    contract: Contract,
    version: tracking.Version,
    folder: Path,
    model: Any,
    data: Path | Collected,
    labels: Path | None,
) -> Watched:
    """Bring together what is compared: rows of a file, or collected requests; `labels` joined by id.

    `folder` is the registered MLflow model's, `model` what was loaded from it.
    """
    reference = as_contract(pd.read_parquet(folder / "evaluation" / "reference.parquet"), contract)
    inputs = Contract.load(tracking.model_data(folder) / "inputs.yml")
    if isinstance(data, Collected):
        current, outputs = data.requests, [name for name in data.outputs if name not in contract.columns]
        source, refused = "collected requests", len(data.refused)
        time: str | None = "request_time"
        hint = f"; other versions answered {data.others}" if data.others else ""
    else:
        current = read_table(data)
        lacking = [name for name in required(inputs, ()).columns if name not in current]
        if lacking:
            raise Problem(
                f"{data} lacks the column {', '.join(lacking)}; it has {', '.join(map(str, current.columns))}."
            )
        source, refused, outputs, hint = data.name, 0, [], ""
        time = next((name for name in contract.names("time") if name in current), None)
    if len(current) < settings.monitoring.min_rows:
        needed = f"{settings.monitoring.min_rows} (monitoring.min_rows in config/shared.yml)"
        raise Problem(
            f"{source}: {len(current)} rows of {version.name} version {version.version}{hint}; "
            f"monitoring needs {needed}. Wait for more requests, or give rows with --data."
        )
    current = as_contract(current, contract)
    if not outputs and getattr(model, "row_wise", True):  # a forecast has other rows: its scenario makes them
        predictions = model.predict(current[list(required(inputs, current.columns).columns)])
        outputs = list(predictions.columns)
        current = current.drop(columns=outputs, errors="ignore").join(predictions.set_axis(current.index))
    if labels is not None:
        current = join_labels(current, as_contract(read_table(labels), contract), contract, labels)
    return Watched(settings, version, model, contract, reference, current, outputs, time, source, refused)


def as_contract(frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """`frame` with the contract's types; a value that cannot have its column's type is missing.

    Monitoring looks at broken data too, so this does not refuse it as the contract does.
    """
    frame = frame.copy()
    for name, column in contract.columns.items():
        if name not in frame:
            continue
        if column.type in ("integer", "number"):
            frame[name] = pd.to_numeric(frame[name], errors="coerce").astype(float)
        elif column.type == "datetime":
            frame[name] = pd.to_datetime(frame[name], errors="coerce")
        else:
            frame[name] = frame[name].astype(object)
    return frame


def join_labels(current: pd.DataFrame, labels: pd.DataFrame, contract: Contract, file: Path) -> pd.DataFrame:
    """`current` with the target columns of `labels`, joined by the contract's id columns."""
    ids, targets = contract.names("id"), [name for name in contract.names("target") if name in labels]
    lacking = [name for name in ids if name not in labels or name not in current]
    if not ids or lacking:
        raise Problem(
            f"{file} cannot be joined by the contract's id columns ({', '.join(ids) or 'there are none'}): "
            "requests and labels must both have them."
        )
    if not targets:
        raise Problem(f"{file} has none of the target columns {', '.join(contract.names('target'))}.")
    if labels.duplicated(ids).any():
        raise Problem(f"{file} has several rows for the same {', '.join(ids)}.")
    return current.drop(columns=targets, errors="ignore").merge(labels[[*ids, *targets]], on=ids, how="left")


def quality(reference: pd.DataFrame, current: pd.DataFrame, contract: Contract, columns: Sequence[str]) -> pd.DataFrame:
    """Broken values per column: the columns column, fault, before, now (shares of rows), value; the worst first.

    `value` is by how much the share grew where that is more than chance, else 0 (`FALSE_ALARMS` over all checks).
    """
    checks = []
    for name in columns:
        known = set(reference[name].dropna())
        before, now = (faults(frame[name], contract.columns[name], known) for frame in (reference, current))
        checks += [(name, fault, int(before[fault].sum()), int(now[fault].sum())) for fault in now]
    rows = []
    for name, fault, marked_before, marked_now in checks:
        shares = (marked_before, len(reference)), (marked_now, len(current))
        value = excess_share(*shares, FALSE_ALARMS / len(checks))
        rows.append([name, fault, marked_before / len(reference), marked_now / len(current), value])
    table = pd.DataFrame(rows, columns=["column", "fault", "before", "now", "value"])
    return table.sort_values(["value", "now"], ascending=False, kind="stable", ignore_index=True)


def faults(values: "pd.Series[Any]", column: Column, known: set[Any]) -> "dict[str, pd.Series[bool]]":
    """Which values are missing, out of the contract's range, or of a category that neither contract nor `known` has."""
    found = {"missing": values.isna()}
    if column.min is not None or column.max is not None:
        low = -math.inf if column.min is None else column.min
        high = math.inf if column.max is None else column.max
        found["out of range"] = values.notna() & ~values.between(low, high)
    if column.type in ("string", "boolean") or column.values is not None:
        found["unknown value"] = values.notna() & ~values.isin(known if column.values is None else column.values)
    return found


def judge(signals: Sequence[Signal], settings: Mapping[str, config.Signal]) -> list[Judged]:
    """Compare each configured signal with its threshold; one that the scenario does not know is a Problem."""
    measured = {signal.name: signal for signal in signals}
    unknown = sorted(settings.keys() - measured.keys())
    if unknown:
        raise Problem(
            f"config/shared.yml: monitoring.signals.{unknown[0]}: unknown signal; choose from {', '.join(measured)}."
        )
    judged = []
    for name, limit in settings.items():
        value = measured[name].value
        status: Status = "not measured" if value is None else "fired" if value > limit.threshold else "ok"
        judged.append(
            Judged(name, value, limit.threshold, limit.action, status, measured[name].found, measured[name].advice)
        )
    return judged


def decide(judged: Sequence[Judged]) -> Action:
    """The action of the signals that fired; a person's look goes before retraining."""
    wanted = {signal.action for signal in judged if signal.status == "fired"}
    return next((action for action in ("investigate", "retrain") if action in wanted), "none")


def report(watched: Watched, scenario: Scenario, folder: Path) -> Action:
    """Measure, decide, write into `folder` and say it; returns the action."""
    findings = scenario.measure(watched)
    judged = judge(findings.signals, watched.settings.monitoring.signals)
    write(folder, watched, findings, judged, scenario)
    return say(folder)


def say(folder: Path) -> Action:
    """Print what `write` has written into `folder`; returns the action."""
    record = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    print(f"{record['model']} version {record['version']}, {record['rows']:,} rows of {record['data']}")
    for name, values in record["signals"].items():
        signal = Judged(name, **values)
        mark = {"ok": "  ok  ", "fired": "FIRED ", "not measured": "  –   "}[signal.status]
        print(f"  {mark} {signal.name}: {describe(signal)}")
    for file in sorted(folder.iterdir()):
        if file.name not in ("metrics.json", "report.html"):
            print(f"For people: {file}")
    action: Action = record["action"]
    print(f"Action: {action}. {ADVICE[action]}\nReport: {folder / 'report.html'}")
    return action


def write(folder: Path, watched: Watched, findings: Findings, judged: list[Judged], scenario: Scenario) -> Action:
    """Write metrics.json, report.html and the findings' files into `folder`; returns the action."""
    action = decide(judged)
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        **watched.facts,
        "action": action,
        "signals": {signal.name: {k: v for k, v in asdict(signal).items() if k != "name"} for signal in judged},
        "details": findings.details,
    }
    write_json(folder / "metrics.json", record)
    for name, table in findings.files.items():
        write_table(table, folder / name)

    title = f"Monitoring of {watched.version.name}"
    report = Report(title, subtitle=ADVICE[action], facts={**watched.facts, "action": action})
    report.section("Signals", "One number for each question, higher is worse. The limits are in config/shared.yml.")
    report.checks([(signal.name, signal.status != "fired", describe(signal)) for signal in judged])
    scenario.illustrate(report, findings)
    report.write(folder / "report.html")
    return action


def describe(signal: Judged) -> str:
    """A signal in one line."""
    if signal.value is None:
        return f"not measured: {signal.found}"
    relation = "above" if signal.status == "fired" else "within"
    then = f" → {signal.action}" if signal.status == "fired" else ""
    advice = f". {signal.advice}" if signal.status == "fired" and signal.advice else ""
    return f"{signal.value:.3g}, {relation} the threshold {signal.threshold:g}{then}: {signal.found}{advice}"


def drift_signal(name: str, drifts: Sequence[Drift]) -> Signal:
    """The largest drift of several columns (most drifted first) as a signal."""
    moved = [drift for drift in drifts if drift.value]
    if not moved:
        return Signal(name, 0.0 if drifts else None, f"none of {len(drifts)} columns moved by more than chance")
    label, before, now = moved[0].most_changed
    others = f"; {len(moved) - 1} more of {len(drifts)} moved" if len(moved) > 1 else ""
    found = f"{moved[0].name} {label!r}: {now:.0%} of the rows, it was {before:.0%}{others}"
    return Signal(name, moved[0].value, found)


def describe_drift(drift: Drift) -> str:
    """What a picture of the drift says."""
    label, before, now = drift.most_changed
    than = "more" if drift.value else "no more"
    return f"{label!r}: {now:.0%} of the rows, it was {before:.0%}. PSI {drift.psi:.2g}, {than} than chance would give."


def summary(drift: Drift) -> dict[str, Any]:
    """A drift as one row of a table."""
    label, before, now = drift.most_changed
    return {
        "column": drift.name,
        "psi": drift.psi,
        "by_chance": drift.by_chance,
        "ks": drift.ks,
        "most_changed": label,
        "before": before,
        "now": now,
    }


def over_time(drift: Drift, current: "pd.Series[Any]", times: "pd.Series[Any]") -> pd.DataFrame:
    """The PSI of consecutive parts of the period with equally many rows: columns from, until, psi."""
    order = times.sort_values(kind="stable").index
    parts = np.array_split(np.arange(len(order)), max(1, min(WINDOWS, len(order) // WINDOW_ROWS)))
    rows = []
    for part in parts:
        index = order[part]
        values = current[index].dropna()
        if len(values):
            now = psi(drift.reference, drift.bins.count(values))
            rows.append({"from": times[index[0]], "until": times[index[-1]], "psi": now})
    return pd.DataFrame(rows, columns=["from", "until", "psi"])


def since(windows: pd.DataFrame, threshold: float) -> str:
    """When the last unbroken run of parts above the threshold began; empty when the last part is below."""
    above = (windows["psi"] > threshold).to_numpy()
    if not len(above) or not above[-1]:
        return ""
    below = np.flatnonzero(~above)
    return str(windows["from"].iloc[below[-1] + 1 if len(below) else 0])[:16]


def distribution_figure(drift: Drift) -> "Figure":
    """The shares of a column's bins in the reference and now, side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 2.6))
    axes = figure.subplots()
    places = np.arange(len(drift.bins.labels))
    axes.bar(places - 0.2, drift.reference / drift.reference.sum(), 0.4, label="reference", color=BEFORE)
    axes.bar(places + 0.2, drift.current / drift.current.sum(), 0.4, label="now", color=NOW)
    axes.set_xticks(places, drift.bins.labels, rotation=35, ha="right", fontsize=8)
    axes.set_ylabel("share of rows")
    axes.set_title(drift.name, loc="left")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def time_figure(windows: dict[str, pd.DataFrame], threshold: float) -> "Figure":
    """PSI over time, one line per column, with the threshold."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3))
    axes = figure.subplots()
    for name, parts in windows.items():
        axes.plot(parts["from"] + (parts["until"] - parts["from"]) / 2, parts["psi"], marker="o", label=name)
    if math.isfinite(threshold):
        axes.axhline(threshold, color="#b91c1c", linestyle="--", linewidth=1)
        axes.annotate("threshold", (1, threshold), xycoords=("axes fraction", "data"), ha="right", va="bottom")
    axes.set_ylabel("PSI against the reference")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.autofmt_xdate()
    return figure
