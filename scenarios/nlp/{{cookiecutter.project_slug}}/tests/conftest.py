"""What several tests need: the sample data in small, prepared once, and a model."""

from pathlib import Path

import pytest

from mlops_runtime import evaluation
from mlops_runtime.config import Shared, load_shared
from mlops_runtime.contract import Contract

from .quick import EVERY, FAMILY, FEWER
from {{ cookiecutter.package_name }} import bias, data, model, synthetic
from {{ cookiecutter.package_name }}.prepare import prepare
from {{ cookiecutter.package_name }}.tables import Table

ROOT = Path(__file__).resolve().parents[1]
Tables = tuple[Table, Table, Table]


@pytest.fixture(autouse=True)
def _quick_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "RESAMPLES", 20)
    for name, count in FEWER.items():
        monkeypatch.setattr(bias, name, count)


@pytest.fixture(scope="session")
def contract() -> Contract:
    """The data contract."""
    return Contract.load(ROOT / "data" / "contract.yml")


@pytest.fixture(scope="session")
def sample() -> dict[str, list[synthetic.Ticket]]:
    """The tickets of data/, generated anew."""
    return synthetic.sample()


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with some of the tickets."""
    name = f"tickets{data.SUFFIX}"
    lines = (ROOT / "data" / name).read_text(encoding="utf-8").splitlines(keepends=True)
    path = tmp_path_factory.mktemp("raw") / name
    path.write_text("".join(lines[::EVERY]), encoding="utf-8", newline="\n")
    return path


@pytest.fixture(scope="session")
def settings() -> Shared:
    """config/shared.yml, with limits that any model keeps."""
    shared = load_shared(ROOT / "config" / "shared.yml")
    cohorts = shared.gates.cohorts.model_copy(update={"columns": ["language"], "min_rows": 40, "max_gap": 10.0})
    return shared.model_copy(update={"gates": shared.gates.model_copy(update={"metrics": {}, "cohorts": cohorts})})


@pytest.fixture(scope="session")
def tables(raw: Path, contract: Contract, settings: Shared) -> Tables:
    """The training, the test and the hard table for the target in config/shared.yml."""
    hard = ROOT / "data" / f"tickets-hard{data.SUFFIX}"
    train, test, hard_texts = prepare(raw, hard, contract, str(settings.training["target"]), 0.25)
    return train, test, hard_texts.rows(0, 300)


@pytest.fixture(scope="session")
def fitted(tables: Tables) -> model.Model:
    """A model that was quickly learnt."""
    return model.fit(tables[0], tables[1], FAMILY, {}, seed=0)
