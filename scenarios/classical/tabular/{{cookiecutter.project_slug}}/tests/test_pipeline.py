"""The steps: search, evaluation, champion, and all of them one after the other."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from mlops_runtime import register, tracking
from mlops_runtime.config import Shared
from mlops_runtime.contract import Contract
from mlops_runtime.errors import Problem

from {{ cookiecutter.package_name }} import data, evaluate, metrics, model, prepare, train

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def candidate(train_table: data.Table) -> model.Model:
    return train.train(train_table, "gradient_boosting")[0]


def damaged(table: data.Table, where: "pd.Series[bool]") -> data.Table:
    """The same table with the targets of some rows dealt out anew: nobody can predict those."""
    frame = table.frame.copy()
    rows = np.flatnonzero(where)
    for name in map(str, table.targets):
        frame.loc[rows, name] = frame.loc[np.random.default_rng(0).permutation(rows), name].to_numpy()
    return replace(table, frame=frame)


def test_search_is_reproducible_and_sorted(train_table: data.Table, test_table: data.Table) -> None:
    first, trials = train.train(train_table, "ridge", trials=3, seed=3)
    second, again = train.train(train_table, "ridge", trials=3, seed=3)
    losses = [trial.loss for trial in trials]
    assert losses == sorted(losses) == [trial.loss for trial in again]
    assert {} in [trial.parameters for trial in trials]
    assert len({str(trial.parameters) for trial in trials}) == 3
    assert first.parameters == trials[0].parameters
    pd.testing.assert_frame_equal(first.predict(test_table.inputs), second.predict(test_table.inputs))


def test_another_seed_searches_elsewhere() -> None:
    assert train.candidates("ridge", 4, seed=1) != train.candidates("ridge", 4, seed=2)


def test_cross_validation_never_looks_ahead(train_table: data.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = []
    fit = model.fit

    def watched(X: pd.DataFrame, *arguments: object) -> model.Model:
        spans.append(X["scheduled_departure"].max())
        return fit(X, *arguments)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(model, "fit", watched)
    trial = train.cross_validate(train_table, "ridge", {}, seed=0)
    predicted = train_table.frame["scheduled_departure"].tail(len(trial.truth))
    assert spans == sorted(spans)
    assert len(spans) == train.FOLDS
    assert spans[0] <= predicted.min()


def test_same_seed_same_model(train_table: data.Table, test_table: data.Table) -> None:
    sampled = {"subsample": 0.5, "subsample_freq": 1}
    known = train_table.inputs, train_table.targets
    fitted = [model.fit(*known, "gradient_boosting", sampled, seed) for seed in (1, 1, 2)]
    first, second, other = (one.predict(test_table.inputs) for one in fitted)
    pd.testing.assert_frame_equal(first, second)
    assert not first.equals(other)


def test_unknown_family_is_refused(train_table: data.Table) -> None:
    with pytest.raises(Problem, match=r"'forest' does not exist.*gradient_boosting"):
        train.train(train_table, "forest")


def test_less_than_one_trial_is_refused(train_table: data.Table) -> None:
    with pytest.raises(Problem, match="at least 1"):
        train.train(train_table, "ridge", trials=0)


def test_evaluation(candidate: model.Model, test_table: data.Table, settings: Shared) -> None:
    found, prediction = evaluate.evaluate(candidate, test_table, settings)
    assert len(prediction) == len(test_table.frame)
    assert found.verdict.passed
    assert (found.metrics["low"] <= found.metrics["value"]).all()
    assert (found.metrics["value"] <= found.metrics["high"]).all()
    assert found.cohorts["origin"]["rows"].sum() == len(test_table.frame)
    assert found.error_cohorts["rows"].sum() == len(test_table.frame)
    assert set(found.importance["column"]) == set(candidate.inputs)
    assert found.importance["increase"].iloc[0] > 0


def test_weak_metric_is_refused(candidate: model.Model, test_table: data.Table, settings: Shared) -> None:
    name = next(iter(metrics.METRICS))
    strict = settings.gates.model_validate({**settings.gates.model_dump(), "metrics": {name: {"min": 1e6}}})
    found, _ = evaluate.evaluate(candidate, test_table, settings.model_copy(update={"gates": strict}))
    assert not found.verdict.passed
    assert name in found.verdict.refusals[0]


def test_damaged_cohort_is_found(candidate: model.Model, test_table: data.Table, settings: Shared) -> None:
    broken = damaged(test_table, test_table.frame["origin"] == "EWR")
    before, _ = evaluate.evaluate(candidate, test_table, settings)
    after, _ = evaluate.evaluate(candidate, broken, settings)
    gaps = [next(g for g in found.verdict.gates if g.name == "cohorts:origin").value for found in (before, after)]
    assert gaps[0] is not None
    assert gaps[1] is not None
    assert gaps[1] > gaps[0]
    assert "origin is EWR" in after.error_cohorts["where"].iloc[0]


def test_champion_is_compared_on_the_same_rows(
    candidate: model.Model, train_table: data.Table, test_table: data.Table, settings: Shared
) -> None:
    everywhere = pd.Series(True, index=train_table.frame.index)
    hopeless, _ = train.train(damaged(train_table, everywhere), "ridge")
    better, _ = evaluate.evaluate(candidate, test_table, settings, ("1", hopeless))
    worse, _ = evaluate.evaluate(hopeless, test_table, settings, ("1", candidate))
    assert better.verdict.passed
    assert better.improvement is not None
    assert better.improvement[1] > 0
    assert [gate.name for gate in worse.verdict.gates if not gate.passed] == ["champion"]


def test_champion_of_another_kind_is_refused(candidate: model.Model, test_table: data.Table, settings: Shared) -> None:
    other = replace(candidate, targets=["something_else"])
    with pytest.raises(Problem, match=r"version 4, predicts something_else.*champion to none"):
        evaluate.evaluate(candidate, test_table, settings, ("4", other))
    hungry = replace(candidate, inputs=[*candidate.inputs, "tail_number"])
    with pytest.raises(Problem, match=r"needs the column tail_number"):
        evaluate.evaluate(candidate, test_table, settings, ("4", hungry))


def test_numeric_column_is_cut_into_cohorts(candidate: model.Model, test_table: data.Table, settings: Shared) -> None:
    found = metrics.outcome(test_table.targets, candidate.predict(test_table.inputs))
    table = evaluate.compare_cohorts(test_table.frame["distance"], found, settings.gates.cohorts)
    assert len(table) == evaluate.QUARTERS
    assert table["rows"].sum() == len(test_table.frame)


def test_steps_run_one_after_the_other(
    raw: Path, settings: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{(tmp_path / 'mlflow.db').as_posix()}")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "test")
    shared = tmp_path / "shared.yml"
    shared.write_text(yaml.safe_dump(settings.model_dump(mode="json")), encoding="utf-8")
    folders = {name: tmp_path / name for name in ("train", "test", "model", "evaluation")}

    def run(step: object, *arguments: object) -> None:
        monkeypatch.setattr(sys, "argv", ["step", *map(str, arguments)])
        step.main()  # type: ignore[attr-defined]  # every step has one

    tables = ["--train-data", folders["train"], "--test-data", folders["test"]]
    contract, target = ROOT / "data" / "contract.yml", settings.training["target"]
    run(prepare, "--raw-data", raw, "--contract", contract, "--target", target, "--test-fraction", 0.25,
        *tables)  # fmt: skip
    run(train, "--train-data", folders["train"], "--family", "ridge", "--trials", 2, "--seed", 0,
        "--model", folders["model"])  # fmt: skip
    run(evaluate, *tables, "--model", folders["model"], "--config", shared, "--champion", "latest",
        "--evaluation", folders["evaluation"])  # fmt: skip

    found = json.loads((folders["evaluation"] / "metrics.json").read_text(encoding="utf-8"))
    assert found["data_version"] == data.version(raw)
    assert found["champion"] is None
    page = (folders["evaluation"] / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") >= 4
    assert not [word for word in ("<script", "src=", "@import") if word in page]
    reference = pd.read_parquet(folders["evaluation"] / "reference.parquet")
    fitted = model.load(tracking.model_data(folders["model"]))
    pd.testing.assert_frame_equal(fitted.predict(reference), reference[list(fitted.predict(reference))])
    served = Contract.load(tracking.model_data(folders["model"]) / "inputs.yml")
    assert set(served.names("time", "feature")) == set(fitted.inputs)

    assert register.register(folders["model"], folders["evaluation"], "test")["registered"]
