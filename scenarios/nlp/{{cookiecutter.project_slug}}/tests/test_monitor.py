"""Monitoring is silent while nothing changes, and each signal fires for what it is there for."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops_runtime import config, monitoring
from mlops_runtime.contract import Contract
from mlops_runtime.monitoring import Judged, Watched
from mlops_runtime.tracking import Version

from .conftest import ROOT, Tables
from .quick import damaged
from {{ cookiecutter.package_name }} import data, metrics, model, monitor, review, tables

Change = Callable[[pd.DataFrame], pd.DataFrame]


def predicted(fitted: model.Model, rows: pd.DataFrame) -> pd.DataFrame:
    predictions = fitted.predict(rows)
    return rows.drop(columns=list(predictions), errors="ignore").join(predictions)


@pytest.fixture(scope="module")
def production(contract: Contract) -> pd.DataFrame:
    """The tickets that stand for production."""
    return monitoring.as_contract(data.load(ROOT / "data" / f"tickets-new{data.SUFFIX}", contract), contract)


@pytest.fixture(scope="module")
def unchanged(fitted: model.Model, tables: Tables, contract: Contract, production: pd.DataFrame) -> Watched:
    """A model, the texts that it was accepted on, and those of the following month, when nothing had changed yet."""
    reference = predicted(fitted, monitoring.as_contract(tables[1].frame, contract))
    return Watched(
        settings=config.load(root=ROOT),
        version=Version("test", "1", {}),
        model=fitted,
        contract=contract,
        reference=reference,
        current=predicted(fitted, production.head(300)),
        outputs=list(fitted.predict(reference.head(1)).columns),
        time="created",
        source="test",
    )


def judge(watched: Watched) -> dict[str, Judged]:
    signals = monitor.measure(watched).signals
    return {judged.name: judged for judged in monitoring.judge(signals, watched.settings.monitoring.signals)}


def fired(watched: Watched) -> set[str]:
    return {signal.name for signal in judge(watched).values() if signal.status == "fired"}


def changed(watched: Watched, change: Change) -> Watched:
    rows = change(watched.current.drop(columns=watched.outputs))
    return replace(watched, current=predicted(watched.model, rows))


def test_silent_while_nothing_changes(unchanged: Watched) -> None:
    assert not fired(unchanged)
    for seed in range(2):
        few = unchanged.current.sample(unchanged.settings.monitoring.min_rows, random_state=seed, ignore_index=True)
        assert not fired(replace(unchanged, current=few))


def test_new_products_and_a_new_matter_are_noticed(unchanged: Watched, production: pd.DataFrame) -> None:
    later = production.iloc[300:].reset_index(drop=True)
    judged = judge(replace(unchanged, current=predicted(unchanged.model, later)))
    assert {"text_drift", "vocabulary_drift", "performance"} <= {n for n, j in judged.items() if j.status == "fired"}
    assert "glowtab" in judged["text_drift"].found
    assert monitoring.decide(list(judged.values())) == "investigate"


PLANTED: dict[str, tuple[str, Change]] = {
    "read as Latin-1": ("data_quality", lambda rows: rows.assign(text=[mojibake(text) for text in rows["text"]])),
    "texts are lost": ("data_quality", lambda rows: rows.assign(text=rows["text"].mask(rows.index % 5 == 0))),
    "only the id": ("data_quality", lambda rows: rows.assign(text=[f"#{i:08}" for i in rows.index])),
    "sent twice": ("data_quality", lambda rows: rows.assign(text=rows["text"].iloc[rows.index // 2].to_numpy())),
    "another language": (
        "embedding_drift",
        lambda rows: rows.assign(text="Il mio pacco non è " + rows["text"].str[:20]),
    ),
    "shouting": ("vocabulary_drift", lambda rows: rows.assign(text=rows["text"] + " PLEEEEASE")),
}


def mojibake(text: str) -> str:
    return (text + " ü").encode().decode("latin-1")


@pytest.mark.parametrize("fault", PLANTED)
def test_planted_changes_are_noticed(unchanged: Watched, fault: str) -> None:
    signal, change = PLANTED[fault]
    assert signal in fired(changed(unchanged, change))


def test_refused_requests_are_noticed(unchanged: Watched) -> None:
    judged = judge(replace(unchanged, refused=len(unchanged.current)))
    assert judged["data_quality"].value == 0.5
    assert "50.0% of the requests were refused" in judged["data_quality"].found


def test_performance_waits_for_the_truth(unchanged: Watched, fitted: model.Model) -> None:
    judged = judge(replace(unchanged, current=unchanged.current.drop(columns=fitted.targets)))
    assert judged["performance"].status == "not measured"
    assert monitoring.decide(list(judged.values())) == "none"


def test_wrong_answers_are_noticed(unchanged: Watched, fitted: model.Model) -> None:
    target = fitted.targets[0]
    wrong = damaged(unchanged.current[target])
    assert "performance" in fired(replace(unchanged, current=unchanged.current.assign(**{target: wrong})))


def test_a_language_read_worse_is_noticed(unchanged: Watched, fitted: model.Model) -> None:
    target, rows = fitted.targets[0], unchanged.current.copy()
    german = rows["language"] == "de"
    rows.loc[german, target] = damaged(rows.loc[german, target])
    judged = judge(replace(unchanged, current=rows))
    assert judged["cohort_bias"].status == "fired"
    assert "language de" in judged["cohort_bias"].found


def test_what_people_should_read(unchanged: Watched, production: pd.DataFrame) -> None:
    later = production.iloc[300:].reset_index(drop=True)
    watched = replace(unchanged, current=predicted(unchanged.model, later))
    proposed = monitor.measure(watched).files["review.jsonl"]
    assert len(proposed) == monitor.REVIEW
    assert proposed["text"].is_unique
    assert not proposed["text"].str.contains("@").any()
    assert (proposed["confidence"] <= 1).all()
    assert proposed["confidence"].mean() < metrics.confidence(watched.current[watched.outputs]).mean()


def test_unlike_points_are_chosen() -> None:
    points = np.array([[1.0, 0.0], [0.999, 0.04], [0.0, 1.0], [-1.0, 0.0]])
    assert review.spread(points, 3).tolist() == [0, 3, 2]
    assert sorted(review.spread(points, 9).tolist()) == [0, 1, 2, 3]


def test_the_report_shows_it(unchanged: Watched, tmp_path: Path) -> None:
    watched = changed(unchanged, PLANTED["shouting"][1])
    findings = monitor.measure(watched)
    judged = monitoring.judge(findings.signals, watched.settings.monitoring.signals)
    monitoring.write(tmp_path, watched, findings, judged, monitor)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert html.count("<svg") >= 3
    for signal in judged:
        assert signal.name in html
    lines = (tmp_path / "review.jsonl").read_text(encoding="utf-8").splitlines()
    assert {"ticket_id", "text"} <= json.loads(lines[0]).keys()
    assert tables.TEXT in json.loads(lines[-1])
