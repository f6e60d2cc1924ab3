"""Several processes learn what one learns."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from .conftest import ROOT, Tables
from {{ cookiecutter.package_name }} import parallel, train

pytest.importorskip("torch", reason="needs PyTorch")
OPTIONS = {"width": 32, "layers": 1, "epochs": 1, "dropout": 0.0}  # after few steps: each adds what rounding differs by
TEXTS = ["Where is my parcel?", "The invoice of March is wrong", "Bonjour"]
TOLERANCE = 1e-3


def test_two_processes_give_the_same(tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is one of the two; the other tracks and writes nothing."""
    table = tables[0].rows(0, 150)
    learnt = [train.train(table, "transformer", options=OPTIONS)[0].embed(TEXTS)]
    table.save(tmp_path / "data")
    names = {"train-table": tmp_path / "data", "family": "transformer", "base-model": "scratch", "trials": 1, "seed": 0,
             "options": ",".join(f"{name}={value}" for name, value in OPTIONS.items()),
             "model": tmp_path / "model"}  # fmt: skip
    words = [text for name, value in names.items() for text in (f"--{name}", str(value))]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    other = subprocess.Popen(
        [sys.executable, "-m", train.__name__, *words],
        env={**os.environ, **shared, "PYTHONPATH": str(ROOT / "src"), "RANK": "1", "LOCAL_RANK": "1"},
    )
    for name, value in {**shared, "RANK": "0", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    with parallel.group() as rank:
        learnt.append(train.train(table, "transformer", options=OPTIONS)[0].embed(TEXTS))
    assert (other.wait(120), rank) == (0, 0)
    assert not (tmp_path / "model").exists()
    monkeypatch.setenv("WORLD_SIZE", "1")
    np.testing.assert_allclose(learnt[1], learnt[0], atol=TOLERANCE)

    monkeypatch.setattr(parallel, "place", lambda: (0, 2))
    monkeypatch.setattr("torch.distributed.all_reduce", lambda _: None)
    monkeypatch.setattr(parallel, "agreed", float)
    half = train.train(table, "transformer", options=OPTIONS)[0].embed(TEXTS)
    assert np.abs(half - learnt[0]).max() > 5 * TOLERANCE, "one share of the batches gives something else"
