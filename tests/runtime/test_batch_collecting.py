"""What a batch deployment keeps for monitoring, and how monitors read it."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from mlops_runtime import batch, preprocess

SCORE = """
from types import SimpleNamespace
import pandas as pd

service = SimpleNamespace(keep=lambda columns: columns | {"text": ["***"] * len(columns["text"])})


def init():
    pass


def run(files):
    return pd.DataFrame({"text": ["call 555"] * len(files), "mail": ["a@b.c"] * len(files), "prediction": 1.0})
"""


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A worker's output folder."""
    package = tmp_path / "code/scored"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "score.py").write_text(SCORE, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    monkeypatch.setenv(batch.PACKAGE, "scored")
    monkeypatch.setenv(batch.OUTPUT, str(tmp_path / "job/score"))
    monkeypatch.setenv("MLOPS_COLLECT_MASK", "mail")
    monkeypatch.setenv("MLOPS_MODEL_VERSION", "7")
    batch.init()
    yield tmp_path / "job/score"
    for name in ("scored", "scored.score"):
        sys.modules.pop(name, None)


def test_keeps_what_may_be_kept(output: Path) -> None:
    answers = batch.run(["a", "b"])
    assert answers["text"].tolist() == ["call 555"] * 2, "the answer itself is whole"
    (file,) = output.rglob("*.parquet")
    kept = pd.read_parquet(file)
    assert list(kept) == ["text", "prediction", batch.TIME, batch.MODEL]
    assert kept["text"].tolist() == ["***"] * 2
    assert kept[batch.MODEL].tolist() == ["7"] * 2


def test_share(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(batch.SHARE, "0")
    batch.run(["a"])
    assert not output.exists()


def test_preprocess(output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    batch.run(["a", "b"])
    now = datetime.now(UTC)
    lake = tmp_path / "job"
    assert len(preprocess.collect(lake, now - timedelta(hours=1), now + timedelta(hours=1))) == 2
    assert len(preprocess.collect(lake, now - timedelta(days=9), now - timedelta(days=3))) == 0
    assert len(preprocess.collect(lake, now + timedelta(minutes=1), now + timedelta(hours=1))) == 0
    assert len(preprocess.collect(lake, now - timedelta(hours=1), now - timedelta(minutes=1))) == 0
    start, end = (now - timedelta(hours=1)).isoformat(), f"{now + timedelta(hours=1):%Y-%m-%dT%H:%M:%S}Z"
    arguments = ["--data-window-start", start, "--data-window-end", end, "--input-data", str(lake)]
    monkeypatch.setattr(sys, "argv", ["preprocess", *arguments, "--preprocessed-data", str(tmp_path / "out")])
    preprocess.main()
    assert len(pd.read_parquet(tmp_path / "out/rows.parquet")) == 2
    assert "read_parquet" in (tmp_path / "out/MLTable").read_text(encoding="utf-8")
