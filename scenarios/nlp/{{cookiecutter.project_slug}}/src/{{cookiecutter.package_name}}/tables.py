"""Texts with what is known of them, handed from step to step; the split never lets a training text into the test."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mlops_runtime.contract import Contract
from mlops_runtime.errors import Problem

TEXT = "text"  # the column that the model reads


@dataclass(frozen=True)
class Table:
    """Rows in order of time, with the contract that says what their columns are for."""

    frame: pd.DataFrame
    contract: Contract  # of these columns: those with the role target are what is predicted here
    version: str  # of the raw file they come from

    @property
    def inputs(self) -> pd.DataFrame:
        """What the model sees: (rows, features)."""
        return self.frame[self.contract.names("feature")]

    @property
    def targets(self) -> pd.DataFrame:
        """The truth: (rows, 1)."""
        return self.frame[self.contract.names("target")]

    @property
    def period(self) -> str:
        """From when to when, for people."""
        time = time_column(self.contract)
        if time is None:
            return "no time column"
        return f"{self.frame[time].min():%Y-%m-%d} to {self.frame[time].max():%Y-%m-%d}"

    def rows(self, first: int, last: int | None = None) -> "Table":
        """A part of the rows, from `first` to before `last`."""
        return Table(self.frame.iloc[first:last].reset_index(drop=True), self.contract, self.version)

    def save(self, folder: Path) -> None:
        """Write data.parquet, contract.yml and data.json."""
        folder.mkdir(parents=True, exist_ok=True)
        self.frame.to_parquet(folder / "data.parquet", index=False)
        self.contract.save(folder / "contract.yml")
        facts = json.dumps({"version": self.version, "rows": len(self.frame)}, indent=2)
        (folder / "data.json").write_text(facts + "\n", encoding="utf-8", newline="\n")

    @classmethod
    def load(cls, folder: Path) -> "Table":
        """Read what `save` wrote."""
        facts = json.loads((folder / "data.json").read_text(encoding="utf-8"))
        return cls(pd.read_parquet(folder / "data.parquet"), Contract.load(folder / "contract.yml"), facts["version"])


def time_column(contract: Contract) -> str | None:
    """The column that orders the rows, if there is one."""
    return next(iter(contract.names("time")), None)


def version(*paths: Path) -> str:
    """The first 12 digits of the SHA-256 of the files together."""
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in paths)).hexdigest()[:12]


def for_target(contract: Contract, target: str) -> Contract:
    """The contract with `target` as the only target; a cohort column may be predicted too."""
    known = contract.names("target", "cohort")
    if target not in known:
        raise Problem(f"target {target!r} has not the role target or cohort in the contract: {', '.join(known)} have.")
    columns = {
        name: column.model_copy(update={"role": "target"}) if name == target else column
        for name, column in contract.columns.items()
        if name == target or column.role != "target"
    }
    return contract.model_copy(update={"columns": columns})


def without_gaps(contract: Contract, frame: pd.DataFrame) -> Contract:
    """The contract without the features that some rows of `frame` lack: what a model reads is never missing."""
    columns = {
        name: column.model_copy(update={"nullable": False}) if column.role == "feature" else column
        for name, column in contract.columns.items()
        if column.role != "feature" or frame[name].notna().all()
    }
    return contract.model_copy(update={"columns": columns})


def split(frame: pd.DataFrame, time: str | None, test_fraction: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The earlier rows to train on and the later ones, about `test_fraction` of all, to test on.

    Texts that appear in both are taken out of the test, where they would measure memory. Without a time column the
    order in the file counts as the order in time.
    """
    if not 0 < test_fraction < 1:
        raise Problem(f"test_fraction is {test_fraction}: give a number between 0 and 1, for example 0.25.")
    if time is not None:
        frame = frame.sort_values(time, kind="stable")
    first = int(len(frame) * (1 - test_fraction))
    train, test = frame.iloc[:first], frame.iloc[first:]
    test = test[~test[TEXT].isin(set(train[TEXT]))]
    if train.empty or test.empty:
        raise Problem(f"test_fraction {test_fraction} of {len(frame)} rows leaves no new texts to train or to test on.")
    return train.reset_index(drop=True), test.reset_index(drop=True)
