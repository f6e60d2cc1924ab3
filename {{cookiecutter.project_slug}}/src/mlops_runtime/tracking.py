"""Experiment tracking and the model registry, through MLflow alone.

On a laptop both live in .mlops/mlflow.db and .mlops/artifacts; in an Azure ML job MLFLOW_TRACKING_URI is set and
they are the workspace's. Azure ML has neither aliases nor logged models, so versions and tags are all that is used.
"""

import hashlib
import importlib
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_runtime.errors import Problem

if TYPE_CHECKING:
    import mlflow
    import pandas as pd

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
PIPELINE_RUN = "MLOPS_PIPELINE_RUN"  # set by the local runner: groups the steps' MLflow runs
DIGEST = "MLOPS_MODEL_DIGEST"  # what the files of the model that is to be loaded must add up to
# Of the local store: whether it is there, where artifacts are said to be that are not there, and what says so.
MADE = "SELECT name FROM sqlite_master WHERE name = 'model_versions'"
ELSEWHERE = """SELECT DISTINCT artifact_location FROM experiments
    WHERE artifact_location LIKE 'file://%/.mlops/artifacts' AND artifact_location <> ?"""
FOLLOW = (
    "UPDATE experiments SET artifact_location = replace(artifact_location, ?, ?)",
    "UPDATE runs SET artifact_uri = replace(artifact_uri, ?, ?)",
    "UPDATE model_versions SET source = replace(source, ?, ?)",
    "UPDATE model_versions SET storage_location = replace(storage_location, ?, ?)",
)
COPIED = "copied_from"  # tag of a version that comes from the registry: its version there, a digest, is no number


@dataclass(frozen=True)
class Version:
    """A registered model version."""

    name: str
    version: str
    tags: dict[str, str]


def connect(root: Path | None = None) -> Any:
    """MLflow, pointed at the store: MLFLOW_TRACKING_URI where it is set, else the SQLite file of the repository."""
    import mlflow

    if "MLFLOW_TRACKING_URI" not in os.environ:
        from mlops_runtime.config import find_root

        for name, value in local_store(root or find_root()).items():
            os.environ.setdefault(name, value)
    uri = os.environ["MLFLOW_TRACKING_URI"]
    mlflow.set_tracking_uri(uri)
    if uri.startswith("sqlite:"):
        store = Path(uri.removeprefix("sqlite:///"))
        folder = store.parent
        folder.mkdir(parents=True, exist_ok=True)
        if not _is_made(store):
            _make(store)
        _follow(store)
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "default")
        if mlflow.get_experiment_by_name(name) is None:  # the default location depends on the working directory
            mlflow.create_experiment(name, artifact_location=(folder / "artifacts").as_uri())
        mlflow.set_experiment(name)
    return mlflow


def _is_made(store: Path) -> bool:
    with closing(sqlite3.connect(store)) as database:
        return database.execute(MADE).fetchone() is not None


def _make(store: Path) -> None:
    """MLflow cannot go on where it was killed between its tables: they are made elsewhere, and copied at once."""
    from mlflow import MlflowClient

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:  # Windows keeps what MLflow has open
        made = Path(scratch, store.name)
        MlflowClient(f"sqlite:///{made.as_posix()}").search_experiments(max_results=1)
        with closing(sqlite3.connect(made)) as whole, closing(sqlite3.connect(store)) as database:
            if not _is_made(store):  # nor has another process made it meanwhile
                whole.backup(database)  # in one transaction


def _follow(store: Path) -> None:
    """MLflow writes down where artifacts are: let that follow a project whose folder was moved, renamed or copied."""
    place = (store.parent / "artifacts").as_uri()
    with closing(sqlite3.connect(store)) as database, database:
        for (before,) in database.execute(ELSEWHERE, (place,)).fetchall():
            for statement in FOLLOW:
                database.execute(statement, (before, place))


def local_store(root: Path) -> dict[str, str]:
    """The environment variables that point MLflow at the repository's own store."""
    return {
        "MLFLOW_TRACKING_URI": f"sqlite:///{(root / '.mlops' / 'mlflow.db').as_posix()}",
        "MLFLOW_EXPERIMENT_NAME": root.name,
    }


@contextmanager
def start_step(name: str) -> "Iterator[mlflow.ActiveRun]":
    """Track one step as an MLflow run; on Azure ML the job's own run, which MLFLOW_RUN_ID names, is resumed."""
    mlflow = connect()
    tags = {"step": name, "pipeline_run": os.environ.get(PIPELINE_RUN, "")}
    with mlflow.start_run(run_name=None if "MLFLOW_RUN_ID" in os.environ else name) as run:
        mlflow.set_tags({key: value for key, value in tags.items() if value})
        yield run


def save_model(
    path: Path,
    model_folder: Path,
    package: str,
    example: "pd.DataFrame",
    prediction: "pd.DataFrame",
    example_rows: int = 1,
) -> None:
    """Write `model_folder` (what `<package>.model.save` wrote) as an MLflow model that carries the code to load it.

    `example` (rows, inputs) and `prediction` (rows, outputs) give the signature; the first `example_rows` rows become
    the input example. `path` must not exist or be empty.
    """
    import mlflow.pyfunc
    from mlflow.models import infer_signature

    source = Path(str(importlib.import_module(package).__file__)).parent.parent
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch, "model")  # MLflow keeps the folder's name
        _copy(model_folder, data)
        code = [Path(scratch, "code", name) for name in (package, "mlops_runtime")]
        for folder in code:
            _copy(source / folder.name, folder)
        mlflow.pyfunc.save_model(
            path,
            loader_module=f"{package}.model",
            data_path=str(data),
            code_paths=[str(folder) for folder in code],
            signature=infer_signature(example, prediction),
            input_example=example.head(example_rows),
            pip_requirements=loaded_packages(without={package, "mlops_runtime"}),
            metadata={"model_digest": digest(data)},
        )


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))


def model_data(path: Path) -> Path:
    """The folder for `<package>.model.load` within an MLflow model's folder."""
    return path / "data" / "model"


def digest(folder: Path) -> str:
    """SHA-256 of a folder's relative names and bytes."""
    total = hashlib.sha256()
    for file in sorted(p for p in folder.rglob("*") if p.is_file()):
        total.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return total.hexdigest()


def verify(path: Path, recorded: str | None) -> None:
    """Problem unless the files of an MLflow model are those whose digest was recorded when it was registered."""
    found = digest(model_data(path))
    if found != recorded:
        raise Problem(
            f"The model's files in {path} are not those that were registered: their digest is {found[:12]}, recorded "
            f"is {(recorded or 'nothing')[:12]}. Nothing was loaded. Find out who changed them; `mlops run` or "
            f"`mlops submit` registers a model anew, and the tag `retired` takes this version out of use."
        )


def loaded_packages(without: set[str]) -> list[str]:
    """The distributions that this process has imported, pinned: the environment that the model was made in."""
    owners = packages_distributions()
    modules = {name.partition(".")[0] for name in sys.modules} - without - {"pip", "setuptools", "_distutils_hack"}
    names = {owner for module in modules for owner in owners.get(module, [])}
    return sorted(f"{name}=={installed_version(name).partition('+')[0]}" for name in names)


def versions(name: str) -> list[Version]:
    """All registered versions of a model, newest first, without those that were only copied there to be deployed."""
    client = connect().MlflowClient()
    found = [v for v in client.search_model_versions(f"name='{name}'") if COPIED not in v.tags]
    ordered = sorted(found, key=lambda v: int(v.version), reverse=True)
    return [Version(v.name, str(v.version), dict(v.tags)) for v in ordered]


def register(name: str, source: str, run_id: str, tags: dict[str, str]) -> str:
    """Register what a run has tracked at `source`, with its tags in one call; the version.

    `mlflow.register_model("runs:/…")` would look for logged models first, which Azure ML does not have.
    """
    from mlflow.exceptions import MlflowException

    client = connect().MlflowClient()
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    return str(client.create_model_version(name, source, run_id, tags=tags).version)


def tag(version: Version, key: str, value: str) -> None:
    """Set one tag of a registered version."""
    connect().MlflowClient().set_model_version_tag(version.name, version.version, key, value)


def champion(name: str) -> Version | None:
    """The newest version that passed its gates and is not retired (tag `retired`); None when there is none."""
    return next((v for v in versions(name) if v.tags.get("gates") == "passed" and "retired" not in v.tags), None)


def fetch(version: Version) -> Path:
    """The folder of a registered version's MLflow model; on the laptop the stored one itself, so only read it.

    Problem when its files have changed since it was registered.
    """
    mlflow = connect()
    folder = Path(mlflow.artifacts.download_artifacts(f"models:/{version.name}/{version.version}"))
    verify(folder, version.tags.get("model_digest"))
    return folder
