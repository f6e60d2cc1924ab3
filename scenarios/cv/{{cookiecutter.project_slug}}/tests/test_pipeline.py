"""The steps: evaluation, champion, and all of them one after the other."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from mlops_runtime import evaluation, register, tracking
from mlops_runtime.config import Shared
from mlops_runtime.contract import Contract
from mlops_runtime.errors import Problem

from .conftest import ROOT, SIZE, Tables
from {{ cookiecutter.package_name }} import answers, data, evaluate, metrics, model, prepare, train
from {{ cookiecutter.package_name }}.fitting import Settings

METRIC = next(iter(metrics.METRICS))


def damaged(table: data.Table, where: "pd.Series[bool]") -> data.Table:
    """The same table with the truth of some rows dealt out anew: nobody can predict those."""
    frame = table.frame.copy()
    rows = np.flatnonzero(where)
    dealt = np.random.default_rng(0).permutation(rows)
    frame.loc[rows, answers.TARGET] = frame.loc[dealt, answers.TARGET].to_numpy()
    return replace(table, frame=frame)


@pytest.fixture(scope="module")
def hopeless(tables: Tables, tmp_path_factory: pytest.TempPathFactory) -> model.Model:
    """A model that had nothing to learn from."""
    random = damaged(tables[0], pd.Series(True, index=tables[0].frame.index))
    return train.train(random, SIZE, Settings(1, 32, 1e-6, 1), tmp_path_factory.mktemp("hopeless"))[0]


@pytest.fixture(scope="module")
def few(tables: Tables) -> tuple[data.Table, data.Table]:
    """Some of the test images and some of the held-out background."""
    return replace(tables[1], frame=tables[1].frame.head(60)), replace(tables[2], frame=tables[2].frame.head(20))


@pytest.fixture(scope="module")
def evaluated(fitted: model.Model, tables: Tables, settings: Shared) -> tuple[evaluate.Evaluation, pd.DataFrame]:
    """What is found about the fitted model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluation, "RESAMPLES", 20)
        return evaluate.evaluate(fitted, *tables[1:], settings)


def test_evaluation(evaluated: tuple[evaluate.Evaluation, pd.DataFrame], tables: Tables) -> None:
    test, (found, prediction) = tables[1], evaluated
    assert len(prediction) == len(test.frame)
    assert found.verdict.passed
    for name in (METRIC, f"hard_{METRIC}"):
        (row,) = found.metrics[found.metrics["metric"] == name].to_dict(orient="records")
        assert row["low"] < row["value"] < row["high"]
    assert found.cohorts["background"]["rows"].sum() == len(test.frame)
    first = found.conditions.iloc[0]
    assert first["condition"] == "as they are"
    assert first[METRIC] == found.metrics.set_index("metric")["value"][METRIC]


def test_weak_metric_is_refused(fitted: model.Model, few: tuple[data.Table, data.Table], settings: Shared) -> None:
    strict = settings.gates.model_validate({**settings.gates.model_dump(), "metrics": {f"hard_{METRIC}": {"min": 2}}})
    found, _ = evaluate.evaluate(fitted, *few, settings.model_copy(update={"gates": strict}))
    assert f"hard_{METRIC}" in found.verdict.refusals[0]


def test_damaged_cohort_is_found(
    evaluated: tuple[evaluate.Evaluation, pd.DataFrame], fitted: model.Model, tables: Tables, settings: Shared
) -> None:
    _, test, hard = tables
    broken = damaged(test, test.frame["background"] == "plain")
    found = evaluated[0], evaluate.evaluate(fitted, broken, hard, settings)[0]
    before, after = (next(g.value for g in one.verdict.gates if g.name == "cohorts:background") for one in found)
    assert before is not None
    assert after is not None
    assert after > before


def test_champion_is_compared_on_the_same_images(
    fitted: model.Model, hopeless: model.Model, tables: Tables, settings: Shared
) -> None:
    better, _ = evaluate.evaluate(fitted, *tables[1:], settings, ("1", hopeless))
    worse, _ = evaluate.evaluate(hopeless, *tables[1:], settings, ("1", fitted))
    assert better.verdict.passed
    assert better.improvement is not None
    assert better.improvement[1] > 0
    assert [gate.name for gate in worse.verdict.gates if not gate.passed] == ["champion"]


def test_champion_of_other_classes_is_refused(
    fitted: model.Model, few: tuple[data.Table, data.Table], settings: Shared
) -> None:
    other = replace(fitted, facts=replace(fitted.facts, classes=["cat", "dog", "fox", "owl"]))
    with pytest.raises(Problem, match=r"version 4, knows the classes cat.*champion to none"):
        evaluate.evaluate(fitted, *few, settings, ("4", other))


def test_steps_run_one_after_the_other(
    raw: Path, settings: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{(tmp_path / 'mlflow.db').as_posix()}")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "test")
    monkeypatch.setenv(train.CHECKPOINTS, str(tmp_path / "checkpoints"))
    shared = tmp_path / "shared.yml"
    shared.write_text(yaml.safe_dump(settings.model_dump(mode="json")), encoding="utf-8")
    folders = {name: tmp_path / name for name in ("train", "test", "model", "evaluation")}

    def run(step: object, *arguments: object) -> None:
        monkeypatch.setattr(sys, "argv", ["step", *map(str, arguments)])
        step.main()  # type: ignore[attr-defined]  # every step has one

    run(prepare, "--raw-data", raw, "--contract", ROOT / "data" / "contract.yml", "--test-fraction", 0.3,
        "--hold-out", "background=tiles", "--train-data", folders["train"], "--test-data", folders["test"])  # fmt: skip
    run(train, "--train-data", folders["train"], "--image-size", 16, "--epochs", 1, "--batch-size", 32,
        "--learning-rate", 0.001, "--processes", 1, "--seed", 0,
        "--network", "small", "--weights", "none", "--model", folders["model"])  # fmt: skip
    run(evaluate, "--test-data", folders["test"], "--model", folders["model"], "--config", shared,
        "--champion", "latest", "--evaluation", folders["evaluation"])  # fmt: skip

    found = json.loads((folders["evaluation"] / "metrics.json").read_text(encoding="utf-8"))
    assert found["data_version"] == data.version(raw)
    assert found["champion"] is None
    page = (folders["evaluation"] / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") >= 3
    assert not [word for word in ("<script", "src=", "@import") if word in page]
    reference = pd.read_parquet(folders["evaluation"] / "reference.parquet")
    fitted = model.load(tracking.model_data(folders["model"]))
    test = data.Table.load(folders["test"]).frame
    pd.testing.assert_frame_equal(fitted.predict(test), reference[list(fitted.predict(test))])
    assert data.IMAGE not in reference
    served = Contract.load(tracking.model_data(folders["model"]) / "inputs.yml")
    assert served.names("feature") == fitted.inputs

    assert register.register(folders["model"], folders["evaluation"], "test")["registered"]
