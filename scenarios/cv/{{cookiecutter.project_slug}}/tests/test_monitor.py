"""Monitoring is silent while nothing changes, and each signal fires for what it is there for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops_runtime import config, monitoring
from mlops_runtime.contract import Contract
from mlops_runtime.monitoring import Judged, Watched
from mlops_runtime.tracking import Version

from .conftest import ROOT
from {{ cookiecutter.package_name }} import answers, model, monitor, synthetic

EASY = 0.0  # difficulty of the images that the model has learnt from


@pytest.fixture(scope="module")
def unchanged(fitted: model.Model, contract: Contract) -> Watched:
    """A model, some images as its reference, others of the same kind as what it meets now."""
    both = look(fitted, synthetic.make(700, 3, synthetic.World(EASY)))
    return Watched(
        settings=config.load(root=ROOT),
        version=Version("test", "1", {}),
        model=fitted,
        contract=contract,
        reference=both.iloc[::2].drop(columns="image").reset_index(drop=True),
        current=both.iloc[1::2].reset_index(drop=True),
        outputs=[str(name) for name in fitted.predict(both.head(1))],
        time="captured_at",
        source="test",
    )


def look(fitted: model.Model, frame: pd.DataFrame) -> pd.DataFrame:
    return frame.join(fitted.predict(frame))


def judge(watched: Watched) -> dict[str, Judged]:
    signals = monitor.measure(watched).signals
    return {judged.name: judged for judged in monitoring.judge(signals, watched.settings.monitoring.signals)}


def fired(watched: Watched) -> set[str]:
    return {signal.name for signal in judge(watched).values() if signal.status == "fired"}


def test_silent_while_nothing_changes(unchanged: Watched) -> None:
    assert not fired(unchanged)
    rows = unchanged.settings.monitoring.min_rows
    samples = [unchanged.current.sample(rows, random_state=seed, ignore_index=True) for seed in range(10)]
    alarms = [name for few in samples for name in fired(replace(unchanged, current=few))]
    assert len(alarms) <= 1, "each signal may be wrong once in a hundred times"


SHIFTS = {
    "dark": ("data_drift", synthetic.World(EASY, darkening=0.5)),
    "blurred": ("data_drift", synthetic.World(EASY, blur=1.2)),
    "noisy": ("data_drift", synthetic.World(1.0)),
    "a new background": ("data_drift", synthetic.World(EASY, backgrounds=[synthetic.NEW_BACKGROUND])),
    "a new class": ("embedding_drift", synthetic.World(EASY, classes=[synthetic.NEW_CLASS])),
    "one class only": ("prediction_drift", synthetic.World(EASY, classes=["star"])),
}


@pytest.mark.parametrize("shift", SHIFTS)
def test_shifts_are_noticed(unchanged: Watched, fitted: model.Model, shift: str) -> None:
    signal, world = SHIFTS[shift]
    judged = judge(replace(unchanged, current=look(fitted, synthetic.make(200, 4, world))))
    assert judged[signal].status == "fired", judged
    assert monitoring.decide(list(judged.values())) == "investigate"


def test_nothing_is_trained_again_by_itself(unchanged: Watched) -> None:
    assert {signal.action for signal in unchanged.settings.monitoring.signals.values()} <= {"none", "investigate"}


def test_broken_and_refused_images_are_noticed(unchanged: Watched, fitted: model.Model) -> None:
    frame = synthetic.make(200, 5, synthetic.World(EASY))
    broken = frame.assign(image=[b"nothing" if row < 20 else content for row, content in enumerate(frame["image"])])
    judged = judge(replace(unchanged, current=look(fitted, broken), refused=20))
    assert judged["data_quality"].value == pytest.approx(40 / 220)
    assert judged["data_quality"].status == "fired"


def test_wrong_answers_are_noticed(unchanged: Watched) -> None:
    wrong = np.roll(unchanged.current[answers.TARGET].to_numpy(), 1)
    findings = monitor.measure(replace(unchanged, current=unchanged.current.assign(**{answers.TARGET: wrong})))
    judged = {one.name: one for one in monitoring.judge(findings.signals, unchanged.settings.monitoring.signals)}
    assert judged["performance"].status == "fired"
    assert "wrong" in set(findings.files["review.parquet"]["reason"])


def test_performance_waits_for_the_truth(unchanged: Watched) -> None:
    judged = judge(replace(unchanged, current=unchanged.current.drop(columns=answers.TARGET)))
    assert judged["performance"].status == "not measured"


def test_a_group_treated_differently_is_noticed(unchanged: Watched) -> None:
    rows = unchanged.current.copy()
    rows.loc[rows["background"] == "plain", "confidence"] -= 2 * unchanged.reference["confidence"].std()
    judged = judge(replace(unchanged, current=rows))
    assert judged["cohort_bias"].status == "fired"
    assert "plain" in judged["cohort_bias"].found


def test_the_report_shows_it_and_the_review_file_is_written(
    unchanged: Watched, fitted: model.Model, tmp_path: Path
) -> None:
    dark = look(fitted, synthetic.make(200, 6, synthetic.World(EASY, darkening=0.6)))
    changed = replace(unchanged, current=dark)
    findings = monitor.measure(changed)
    judged = monitoring.judge(findings.signals, changed.settings.monitoring.signals)
    monitoring.write(tmp_path, changed, findings, judged, monitor)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert html.count("<svg") >= 4
    for signal in judged:
        assert signal.name in html
    review = pd.read_parquet(tmp_path / "review.parquet")
    assert {"image_id", "image", "reason", "urgency"} <= set(review)
    assert review["image"].notna().all()


def test_images_that_were_not_kept_are_not_for_review(unchanged: Watched) -> None:
    without = unchanged.current.assign(image=None, confidence=0.4)
    found = monitor.measure(replace(unchanged, current=without)).files["review.parquet"]
    assert found.empty
