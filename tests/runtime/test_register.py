"""Registration: only what passed, with its lineage, once; and the champion is found again."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from mlops_runtime import register, serving, tracking
from mlops_runtime.errors import Problem, Refusal
from mlops_runtime.gates import Gate, Verdict


def candidate(
    root: Path, factor: float, passed: bool = True, champion: str | None = None, asked: str = "latest"
) -> tuple[Path, Path]:
    folder, model, evaluation = root / f"plain{factor}", root / f"model{factor}", root / f"evaluation{factor}"
    folder.mkdir()
    (folder / "factor.json").write_text(json.dumps(factor))
    example = pd.DataFrame({"x": [1.0, 2.0]})
    tracking.save_model(model, folder, "toymodel", example, example.rename(columns={"x": "y"}) * factor)
    evaluation.mkdir()
    metrics = {
        "data_version": "abc",
        "rows": 2,
        "metrics": {"score": {"value": 0.9, "low": 0.8, "high": 1.0}},
        "champion": champion,
        "champion_asked_for": asked,
    }
    (evaluation / "metrics.json").write_text(json.dumps(metrics))
    Verdict([Gate("score", passed, 0.9, 0.5, "score is 0.9")]).write(evaluation / "verdict.json")
    return model, evaluation


def test_registration(project: Path) -> None:
    assert tracking.champion("toy") is None
    model, evaluation = candidate(project, 2.0)
    record = register.register(model, evaluation, "toy")
    assert record["version"] == "1"
    assert record["data_version"] == "abc"
    assert record["git_commit"]
    assert register.register(model, evaluation, "toy")["version"] == "1", "the same model is not registered twice"

    found = tracking.champion("toy")
    assert found is not None
    folder = tracking.fetch(found)
    assert folder.is_relative_to(project / ".mlops")
    assert (folder / "evaluation" / "metrics.json").is_file()
    mlmodel = (folder / "MLmodel").read_text()
    assert "signature" in mlmodel
    assert "input_example" in mlmodel
    assert found.tags["model_digest"] == tracking.digest(tracking.model_data(folder))

    with pytest.raises(Refusal, match="compared with no champion, but the champion is version 1 by now"):
        register.register(*candidate(project, 2.5), "toy")
    assert register.register(*candidate(project, 3.0, champion="1"), "toy")["version"] == "2"
    newest = tracking.champion("toy")
    assert newest is not None
    assert newest.version == "2"
    tracking.connect().MlflowClient().set_model_version_tag("toy", "2", "retired", "true")
    assert tracking.champion("toy") == found


@pytest.mark.full
def test_a_file_for_the_champion(project: Path) -> None:
    register.register(*candidate(project, 2.0), "toy")
    pd.DataFrame({"x": [4.0], "z": [1]}).to_csv("rows.csv", index=False)
    settings: Any = SimpleNamespace(project=SimpleNamespace(name="toy", package="toymodel"))
    model, frame = serving.champion_for(settings, Path("rows.csv"))
    assert model.predict(frame)["y"].tolist() == [8.0]
    pd.DataFrame({"z": [1]}).to_csv("rows.csv", index=False)
    with pytest.raises(Problem, match=r"rows.csv lacks the column x; it has z"):
        serving.champion_for(settings, Path("rows.csv"))


@pytest.mark.full
def test_the_registered_model_carries_its_code(project: Path) -> None:
    register.register(*candidate(project, 2.0), "toy")
    script = (
        "import mlflow, pandas as pd; "
        "print(mlflow.pyfunc.load_model('models:/toy/1').predict(pd.DataFrame({'x': [4.0]}))['y'][0])"
    )
    environment = {**os.environ, **tracking.local_store(project), "PYTHONPATH": ""}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("8.0")


@pytest.mark.full
@pytest.mark.parametrize("statement", [50, 200])
def test_a_store_whose_making_was_killed_is_made_anew(project: Path, statement: int) -> None:
    script = (
        "import os, sqlalchemy\n"
        "executed = 0\n"
        "@sqlalchemy.event.listens_for(sqlalchemy.Engine, 'after_cursor_execute')\n"
        "def count(*_):\n"
        "    global executed\n"
        "    executed += 1\n"
        f"    if executed == {statement}: os._exit(9)\n"
        "from mlops_runtime import tracking\n"
        "tracking.connect()"
    )
    environment = {**os.environ, **tracking.local_store(project), "PYTHONPATH": str(project / "src")}
    assert subprocess.run([sys.executable, "-c", script], env=environment, cwd=project).returncode == 9
    assert tracking.versions("toy") == []


@pytest.mark.full
def test_a_project_that_was_moved_keeps_its_models(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    register.register(*candidate(project, 2.0), "toy")
    elsewhere = tmp_path_factory.mktemp("moved") / "it's here"
    shutil.copytree(project, elsewhere)
    shutil.rmtree(project / ".mlops")
    script = (
        "from mlops_runtime import tracking; print(tracking.fetch(tracking.champion('toy')))\n"
        "with tracking.start_step('next') as run: print(run.info.artifact_uri)"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    environment["PYTHONPATH"] = str(elsewhere / "src")
    command = [sys.executable, "-c", script]
    said = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, text=True, check=True).stdout
    model, artifacts = said.splitlines()[-2:]
    assert Path(model).is_relative_to(elsewhere)
    assert artifacts.startswith((elsewhere / ".mlops/artifacts").as_uri())
    assert not (project / ".mlops").exists()


@pytest.mark.full
def test_a_refused_candidate_is_not_registered(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model, evaluation = candidate(project, 2.0, passed=False)
    arguments = ["register", "--model", model, "--evaluation", evaluation, "--name", "toy", "--registration", "out"]
    monkeypatch.setattr(sys, "argv", list(map(str, arguments)))
    assert register.main() == register.REFUSED
    assert "score is 0.9" in capsys.readouterr().out
    assert not Path("out").exists()
    assert tracking.versions("toy") == []


def test_a_model_whose_files_have_changed_is_not_loaded(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, evaluation = candidate(project, 2.0)
    register.register(model, evaluation, "toy")
    champion = tracking.champion("toy")
    assert champion
    stored = tracking.fetch(champion)
    (stored / "MLmodel").write_text("of no account: {nobody: reads it}")
    assert tracking.fetch(champion) == stored

    recorded = champion.tags["model_digest"]
    monkeypatch.setenv(serving.MODEL_DIR, str(stored.parent))  # as a deployment has it
    monkeypatch.setenv(tracking.DIGEST, recorded)
    factor, other = tracking.model_data(stored) / "factor.json", tracking.model_data(stored) / "other.json"
    changes: list[Callable[[], object]] = [
        lambda: factor.write_text("3.0"),
        lambda: other.write_text("1"),
        lambda: factor.rename(other),
        factor.unlink,
    ]
    for change in changes:
        change()
        with pytest.raises(Problem, match=f"not those that were registered.*recorded is {recorded[:12]}"):
            tracking.fetch(champion)
        with pytest.raises(Problem, match="Nothing was loaded"):
            serving.model_folder()
        other.unlink(missing_ok=True)
        factor.write_text("2.0")
    assert serving.model_folder() == tracking.model_data(tracking.fetch(champion))
    with pytest.raises(Problem, match="recorded is nothing"):
        tracking.verify(stored, None)


def test_copies_from_the_registry_are_no_versions_of_this_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment that cannot take a model from the registry has it copied, with a digest as its version."""
    passed = {"gates": "passed"}
    there = [
        SimpleNamespace(name="toy", version="9", tags=passed),
        SimpleNamespace(name="toy", version="0a1b2c3d4e5f", tags={**passed, tracking.COPIED: "azureml://registries/r"}),
        SimpleNamespace(name="toy", version="10", tags=passed),
    ]
    client = SimpleNamespace(search_model_versions=lambda _: there)
    monkeypatch.setattr(tracking, "connect", lambda: SimpleNamespace(MlflowClient=lambda: client))
    assert [one.version for one in tracking.versions("toy")] == ["10", "9"]
    champion = tracking.champion("toy")
    assert champion
    assert champion.version == "10"


def test_the_same_model_from_another_candidate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Staging looks for the model by its candidate, also when an earlier candidate led to the same."""
    (tmp_path / "data/model").mkdir(parents=True)
    (tmp_path / "data/model/weights.json").write_text("1")
    there = tracking.Version("toy", "3", {"model_digest": tracking.digest(tmp_path / "data/model"), "parent": "a"})
    told: list[tuple[str, str, str]] = []
    monkeypatch.setattr(tracking, "versions", lambda _: [there])
    monkeypatch.setattr(tracking, "tag", lambda version, key, value: told.append((version.version, key, value)))
    register.register(tmp_path, tmp_path, "toy")
    assert not told, "nobody asked for it as another's"
    monkeypatch.setenv(register.PARENT, "b")
    record = register.register(tmp_path, tmp_path, "toy")
    assert record["version"] == "3"
    assert told == [("3", "parent", "b")]
