"""The table: read it, hold it against its contract, split it by time, hand it from step to step."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mlops_runtime.contract import Contract
from mlops_runtime.errors import Problem


@dataclass(frozen=True)
class Table:
    """Rows in order of time, with the contract that says what their columns are for."""

    frame: pd.DataFrame
    contract: Contract  # of these columns: those with the role target are what is predicted here
    version: str  # of the raw file they come from

    @property
    def inputs(self) -> pd.DataFrame:
        """What the model sees: (rows, inputs)."""
        return self.frame[self.contract.names("time", "feature")]

    @property
    def targets(self) -> pd.DataFrame:
        """The truth: (rows, targets)."""
        return self.frame[self.contract.names("target")]

    @property
    def period(self) -> str:
        """From when to when, for people."""
        time = time_column(self.contract)
        if time is None:
            return "no time column"
        return f"{self.frame[time].min():%Y-%m-%d} to {self.frame[time].max():%Y-%m-%d}"

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


def load(path: Path, contract: Contract) -> pd.DataFrame:
    """Read a Parquet or CSV file: the contract's columns with its types; ContractError says what breaks it."""
    if path.suffix == ".parquet":
        frame = pd.read_parquet(path)
    elif path.suffix == ".csv":
        frame = pd.read_csv(path, encoding="utf-8")
    else:
        raise Problem(f"{path.name} is neither Parquet nor CSV by its name: teach data.load to read {path.suffix!r}.")
    return contract.validate_table(frame, source=path.name)


def version(path: Path) -> str:
    """The first 12 digits of the file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def parse_target(target: str, contract: Contract) -> list[str]:
    """The columns that `target` names, one or several separated by commas; each must be a target in the contract."""
    names = [name.strip() for name in target.split(",")]
    known = contract.names("target")
    for name in names:
        if name not in known:
            raise Problem(f"target {name!r} is no column with the role target in the contract: {', '.join(known)} are.")
    return names


def narrowed(contract: Contract, target: str) -> Contract:
    """The contract of the columns that are wanted for predicting `target`: other targets are left out."""
    return contract.only([*contract.names("id", "time", "feature", "cohort"), *parse_target(target, contract)])


def split(frame: pd.DataFrame, time: str | None, test_fraction: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The earlier rows to train on and the later ones, about `test_fraction` of all, to test on.

    Rows of the same moment stay together. Without a time column the order in the file counts as the order in time.
    """
    first = first_to_test(len(frame), test_fraction)
    if time is None:
        train, test = frame.iloc[:first], frame.iloc[first:]
    else:
        frame = frame.sort_values(time, kind="stable")
        is_test = frame[time] >= frame[time].iloc[first]
        train, test = frame[~is_test], frame[is_test]
    require_rows(len(train), len(test), test_fraction)
    return train.reset_index(drop=True), test.reset_index(drop=True)


def first_to_test(rows: int, test_fraction: float) -> int:
    """Which of so many rows in order of time is the first to test on, counted from 0."""
    if not 0 < test_fraction < 1:
        raise Problem(f"test_fraction is {test_fraction}: give a number between 0 and 1, for example 0.25.")
    return min(int(rows * (1 - test_fraction)), rows - 1)


def require_rows(train: int, test: int, test_fraction: float) -> None:
    """Refuse a split that leaves one side without rows."""
    if not train or not test:
        raise Problem(f"test_fraction {test_fraction} of {train + test} rows leaves no rows to train or to test on.")
