"""What several tests need: a few easy images, prepared once, and a model that has just begun to learn."""

from pathlib import Path

import pytest
import torch

from mlops_runtime import evaluation
from mlops_runtime.config import Shared, load_shared
from mlops_runtime.contract import Contract

from {{ cookiecutter.package_name }} import data, fitting, model, synthetic, train
from {{ cookiecutter.package_name }}.prepare import prepare

ROOT = Path(__file__).resolve().parents[1]
SIZE = 32
SETTINGS = fitting.Settings(epochs=6, batch_size=16, learning_rate=0.005, seed=0)
Tables = tuple[data.Table, data.Table, data.Table]


@pytest.fixture(autouse=True)
def _quick_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "RESAMPLES", 20)


@pytest.fixture(scope="session", autouse=True)
def _few_threads() -> None:
    torch.set_num_threads(1)  # small networks: more cost more than they bring


@pytest.fixture(scope="session")
def contract() -> Contract:
    """The data contract."""
    return Contract.load(ROOT / "data" / "contract.yml")


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 480 easy images in a Parquet file."""
    folder = tmp_path_factory.mktemp("raw") / "images"
    folder.mkdir()
    synthetic.make(480, 7, synthetic.World(difficulty=0.0)).to_parquet(folder / "images.parquet", index=False)
    return folder


@pytest.fixture(scope="session")
def settings() -> Shared:
    """config/shared.yml, with cohorts small enough for the small data and limits that any model keeps."""
    shared = load_shared(ROOT / "config" / "shared.yml")
    cohorts = shared.gates.cohorts.model_copy(update={"columns": ["background"], "min_rows": 10, "max_gap": 10.0})
    return shared.model_copy(update={"gates": shared.gates.model_copy(update={"metrics": {}, "cohorts": cohorts})})


@pytest.fixture(scope="session")
def tables(raw: Path, contract: Contract) -> Tables:
    """The training table, the test table, and that of the held-out background."""
    return prepare(raw, contract, 0.3, "background=tiles")


@pytest.fixture(scope="session")
def fitted(tables: Tables, tmp_path_factory: pytest.TempPathFactory) -> model.Model:
    """A model after few epochs."""
    return train.train(tables[0], SIZE, SETTINGS, tmp_path_factory.mktemp("checkpoints"))[0]
