"""The steps: search, evaluation, champion, and all of them one after the other."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml

from mlops_runtime import register, tracking
from mlops_runtime.config import Shared
from mlops_runtime.contract import Contract
from mlops_runtime.errors import Problem

from .conftest import ROOT, Tables
from .quick import FAMILY, damaged
from {{ cookiecutter.package_name }} import data, evaluate, metrics, model, prepare, train
from {{ cookiecutter.package_name }}.tables import Table, version


def damage(table: Table, where: "pd.Series[bool]") -> Table:
    """The same table with targets that nobody can predict in some rows."""
    frame, name = table.frame.copy(), str(table.targets.columns[0])
    frame.loc[where, name] = damaged(frame.loc[where, name])
    return replace(table, frame=frame)


def test_search_is_reproducible_and_sorted(tables: Tables) -> None:
    table = tables[0].rows(0, 500)
    first, trials = train.train(table, FAMILY, trials=2, seed=3)
    second, again = train.train(table, FAMILY, trials=2, seed=3)
    losses = [trial.loss for trial in trials]
    assert losses == sorted(losses) == [trial.loss for trial in again]
    assert {} in [trial.parameters for trial in trials]
    assert first.parameters == trials[0].parameters
    pd.testing.assert_frame_equal(first.predict(tables[1].inputs), second.predict(tables[1].inputs))


def test_another_seed_searches_elsewhere() -> None:
    family = next(name for name, one in model.FAMILIES.items() if one.space)
    assert train.candidates(family, 3, seed=1) != train.candidates(family, 3, seed=2)


def test_the_search_never_looks_ahead(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = []
    fit = model.fit

    def watched(past: Table, held_out: Table, *arguments: object) -> model.Model:
        ends.append((past.frame["created"].max(), held_out.frame["created"].min()))
        return fit(past, held_out, *arguments)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(model, "fit", watched)
    train.train(tables[0], FAMILY)
    assert ends[0][0] <= ends[0][1]
    assert ends[-1][0] == tables[0].frame["created"].max(), "the best is fitted to all training rows"


def test_senseless_settings_are_refused(tables: Tables) -> None:
    with pytest.raises(Problem, match=rf"'forest' does not exist.*{FAMILY}"):
        train.train(tables[0], "forest")
    with pytest.raises(Problem, match="at least 1"):
        train.train(tables[0], FAMILY, trials=0)


def test_options_are_read_as_what_they_are() -> None:
    read = train.read_options("epochs=3, learning_rate=4e-3,name=one, twice=true,")
    assert read == {"epochs": 3, "learning_rate": 0.004, "name": "one", "twice": True}
    with pytest.raises(Problem, match="'width' has no value"):
        train.read_options("width=")


def test_evaluation(fitted: model.Model, tables: Tables, settings: Shared) -> None:
    found, prediction = evaluate.evaluate(fitted, tables[1], tables[2], settings)
    assert len(prediction) == len(tables[1].frame)
    assert found.verdict.passed
    assert (found.metrics["low"] <= found.metrics["value"]).all()
    assert (found.metrics["value"] <= found.metrics["high"]).all()
    assert found.cohorts["language"]["rows"].sum() == len(tables[1].frame)
    assert found.errors["loss"].is_monotonic_decreasing
    values = (table.set_index("metric")["value"] for table in (found.metrics, found.hard))
    assert next(values).iloc[0] > next(values).iloc[0], "the hard texts are harder"


def test_weak_metrics_are_refused(fitted: model.Model, tables: Tables, settings: Shared) -> None:
    name = next(iter(metrics.METRICS))
    impossible = {gate: {"min": 1.01} for gate in (name, f"hard_{name}", "unheard_of")}
    strict = settings.gates.model_validate({**settings.gates.model_dump(), "metrics": impossible})
    found, _ = evaluate.evaluate(fitted, tables[1], tables[2], settings.model_copy(update={"gates": strict}))
    assert not found.verdict.passed
    for gate, refusal in zip(impossible, found.verdict.refusals, strict=True):
        assert gate in refusal.split()


def test_damaged_cohort_is_found(fitted: model.Model, tables: Tables, settings: Shared) -> None:
    broken = damage(tables[1], tables[1].frame["language"] == "de")
    before, after = (evaluate.evaluate(fitted, test, tables[2], settings)[0] for test in (tables[1], broken))
    gaps = [next(g for g in found.verdict.gates if g.name == "cohorts:language").value for found in (before, after)]
    assert gaps[0] is not None
    assert gaps[1] is not None
    assert gaps[1] > gaps[0] + 0.2


def test_champion_is_compared_on_the_same_rows(fitted: model.Model, tables: Tables, settings: Shared) -> None:
    everywhere = pd.Series(True, index=tables[0].frame.index)
    hopeless = model.fit(damage(tables[0], everywhere), tables[1], FAMILY, {}, seed=0)
    better, _ = evaluate.evaluate(fitted, tables[1], tables[2], settings, ("1", hopeless))
    worse, _ = evaluate.evaluate(hopeless, tables[1], tables[2], settings, ("1", fitted))
    assert better.verdict.passed
    assert better.improvement is not None
    assert better.improvement[1] > 0
    assert [gate.name for gate in worse.verdict.gates if not gate.passed] == ["champion"]


def test_champion_of_another_kind_is_refused(fitted: model.Model, tables: Tables, settings: Shared) -> None:
    other = replace(fitted, targets=["something_else"])
    with pytest.raises(Problem, match=r"version 4, predicts something_else.*champion to none"):
        evaluate.evaluate(fitted, tables[1], tables[2], settings, ("4", other))


def test_steps_run_one_after_the_other(
    raw: Path, settings: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{(tmp_path / 'mlflow.db').as_posix()}")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "test")
    shared = tmp_path / "shared.yml"
    shared.write_text(yaml.safe_dump(settings.model_dump(mode="json")), encoding="utf-8")
    folders = {name: tmp_path / name for name in ("train", "test", "hard", "model", "evaluation")}

    def run(step: object, *arguments: object) -> None:
        monkeypatch.setattr(sys, "argv", ["step", *map(str, arguments)])
        step.main()  # type: ignore[attr-defined]  # every step has one

    tables = [word for name in ("train", "test", "hard") for word in (f"--{name}-table", folders[name])]
    contract, target = ROOT / "data" / "contract.yml", settings.training["target"]
    hard = ROOT / "data" / f"tickets-hard{data.SUFFIX}"
    run(prepare, "--raw-data", raw, "--hard-data", hard, "--contract", contract, "--target", target,
        "--test-fraction", 0.25, *tables)  # fmt: skip
    run(train, "--train-table", folders["train"], "--family", FAMILY, "--base-model", "scratch", "--trials", 1,
        "--seed", 0, "--model", folders["model"])  # fmt: skip
    run(evaluate, *tables, "--model", folders["model"], "--config", shared, "--champion", "latest",
        "--evaluation", folders["evaluation"])  # fmt: skip

    found = json.loads((folders["evaluation"] / "metrics.json").read_text(encoding="utf-8"))
    assert found["data_version"] == version(raw, hard)
    assert found["champion"] is None
    page = (folders["evaluation"] / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") >= 3
    assert not [word for word in ("<script", "src=", "@import") if word in page]
    reference = pd.read_parquet(folders["evaluation"] / "reference.parquet")
    fitted = model.load(tracking.model_data(folders["model"]))
    predicted = fitted.predict(reference)
    pd.testing.assert_frame_equal(predicted, reference[list(predicted)])
    served = Contract.load(tracking.model_data(folders["model"]) / "inputs.yml")
    assert served.names("time", "feature") == list(fitted.inputs)

    assert register.register(folders["model"], folders["evaluation"], "test")["registered"]
