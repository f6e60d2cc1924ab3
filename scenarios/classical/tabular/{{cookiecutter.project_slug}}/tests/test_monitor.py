"""Monitoring is silent while nothing changes, and each signal fires for what it is there for."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_runtime import config, monitoring
from mlops_runtime.contract import Contract
from mlops_runtime.monitoring import Judged, Watched
from mlops_runtime.tracking import Version

from .conftest import ROOT
from {{ cookiecutter.package_name }} import model, monitor
from {{ cookiecutter.package_name }}.data import Table

Change = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture(scope="module")
def fitted(tables: tuple[Table, Table]) -> model.Model:
    return model.fit(tables[0].inputs, tables[0].targets, "gradient_boosting", {}, 0)


@pytest.fixture(scope="module")
def unchanged(fitted: model.Model, contract: Contract) -> Watched:
    """A model, half of some rows as its reference, the other half as what it meets now."""
    rows = pd.read_parquet(ROOT / "data" / "flights.parquet").tail(4000).sample(frac=1, random_state=0)
    both = predicted(fitted, monitoring.as_contract(rows.reset_index(drop=True), contract))
    return Watched(
        settings=config.load(root=ROOT),
        version=Version("test", "1", {}),
        model=fitted,
        contract=contract,
        reference=both[:2000],
        current=both[2000:].reset_index(drop=True),
        outputs=[str(name) for name in fitted.predict(both.head(1))],
        time="scheduled_departure",
        source="test",
    )


def predicted(fitted: model.Model, rows: pd.DataFrame) -> pd.DataFrame:
    predictions = fitted.predict(rows[fitted.inputs])
    return rows.drop(columns=list(predictions), errors="ignore").join(predictions)


def fired(watched: Watched) -> set[str]:
    return {signal.name for signal in judge(watched).values() if signal.status == "fired"}


def judge(watched: Watched) -> dict[str, Judged]:
    signals = monitor.measure(watched).signals
    return {judged.name: judged for judged in monitoring.judge(signals, watched.settings.monitoring.signals)}


def test_silent_while_nothing_changes(unchanged: Watched) -> None:
    assert not fired(unchanged)
    for seed in range(3):
        few = unchanged.current.sample(unchanged.settings.monitoring.min_rows, random_state=seed, ignore_index=True)
        assert not fired(replace(unchanged, current=few))


def test_the_season_is_noticed(unchanged: Watched, fitted: model.Model) -> None:
    rows = monitoring.as_contract(pd.read_parquet(ROOT / "data" / "flights-new.parquet"), unchanged.contract)
    judged = judge(replace(unchanged, current=predicted(fitted, rows)))
    assert judged["data_drift"].status == "fired"
    assert judged["data_drift"].found.startswith("temperature")
    assert monitoring.decide(list(judged.values())) != "none"


def every_fifth(column: str, value: Any) -> Change:
    return lambda rows: rows.assign(**{column: rows[column].mask(rows.index % 5 == 0, value)})


PLANTED: dict[str, tuple[str, Change]] = {
    "degrees Celsius": ("data_drift", lambda rows: rows.assign(temperature=(rows["temperature"] - 32) / 1.8)),
    "a sensor fails": ("data_quality", every_fifth("temperature", np.nan)),
    "a new airline": ("data_quality", every_fifth("carrier", "??")),
    "impossible": ("data_quality", every_fifth("humidity", 400.0)),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_broken_inputs_are_noticed(unchanged: Watched, fitted: model.Model, fault: str) -> None:
    signal, change = PLANTED[fault]
    assert signal in fired(replace(unchanged, current=predicted(fitted, change(unchanged.current))))


def test_refused_requests_are_noticed(unchanged: Watched) -> None:
    judged = judge(replace(unchanged, refused=len(unchanged.current)))
    assert judged["data_quality"].value == 0.5
    assert "50.0% of the requests were refused" in judged["data_quality"].found


def test_other_predictions_are_noticed(unchanged: Watched) -> None:
    scores = monitor.score_columns(unchanged.outputs)
    middle = {name: unchanged.current[name].median() for name in scores}
    assert "prediction_drift" in fired(replace(unchanged, current=unchanged.current.assign(**middle)))


def test_wrong_answers_are_noticed(unchanged: Watched, fitted: model.Model) -> None:
    target = fitted.targets[0]
    values = unchanged.current[target]
    known = sorted(values.unique())
    mirrored = values.map(dict(zip(known, reversed(known), strict=True)))
    judged = judge(replace(unchanged, current=unchanged.current.assign(**{target: mirrored})))
    assert judged["performance"].status == "fired"


def test_performance_waits_for_the_truth(unchanged: Watched, fitted: model.Model) -> None:
    judged = judge(replace(unchanged, current=unchanged.current.drop(columns=fitted.targets)))
    assert judged["performance"].status == "not measured"
    assert monitoring.decide(list(judged.values())) == "none"


def test_an_input_that_stops_to_matter_is_noticed(unchanged: Watched) -> None:
    attributions = monitor.attribute(unchanged, unchanged.reference)
    most_used = unchanged.model.inputs[int(np.argmax(attributions))]
    stuck = unchanged.current.assign(**{most_used: unchanged.current[most_used].iloc[0]})
    assert "attribution_drift" in fired(replace(unchanged, current=stuck))


def test_a_group_treated_differently_is_noticed(unchanged: Watched) -> None:
    scores = monitor.score_columns(unchanged.outputs)
    rows = unchanged.current.copy()
    rows.loc[rows["origin"] == "JFK", scores] += 1.5 * unchanged.reference[scores].std()
    judged = judge(replace(unchanged, current=rows))
    assert judged["cohort_bias"].status == "fired"
    assert "JFK" in judged["cohort_bias"].found


def test_the_report_shows_it(unchanged: Watched, tmp_path: Path) -> None:
    changed = replace(unchanged, current=unchanged.current.assign(temperature=0.0))
    findings = monitor.measure(changed)
    judged = monitoring.judge(findings.signals, changed.settings.monitoring.signals)
    monitoring.write(tmp_path, changed, findings, judged, monitor)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert html.count("<svg") >= 4
    for signal in judged:
        assert signal.name in html
