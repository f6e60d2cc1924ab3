"""Step 1: check the raw data against its contract, normalize and mask the texts, split them by time."""

import argparse
from pathlib import Path

import pandas as pd

from mlops_runtime.contract import Contract
from mlops_runtime.tracking import start_step

from . import data, tables
from .tables import Table


def prepare(
    raw_data: Path, hard_data: Path, contract: Contract, target: str, test_fraction: float
) -> tuple[Table, Table, Table]:
    """The training, the test and the hard table. Columns that the contract does not name and
    texts without a label are left out."""
    contract = tables.for_target(contract, target)
    labelled = [data.load(path, contract).dropna(subset=[target]) for path in (raw_data, hard_data)]
    contract = tables.without_gaps(contract, labelled[0])
    frame, hard = (cleaned(rows.reset_index(drop=True), contract) for rows in labelled)
    version = tables.version(raw_data, hard_data)
    train, test = tables.split(frame, tables.time_column(contract), test_fraction)
    return Table(train, contract, version), Table(test, contract, version), Table(hard, contract, version)


def cleaned(frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """The same rows with normalized, masked texts: what is stored from here on holds no contact data."""
    columns = {
        str(name): [None if gone else value for value, gone in zip(frame[name], frame[name].isna(), strict=True)]
        for name in frame
    }
    fitted = data.cleaned(columns, contract.names("target"))
    return frame.assign(**{name: pd.Series(values, frame.index) for name, values in fitted.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--raw-data", type=Path, required=True, help="the texts to learn from and to test on")
    parser.add_argument("--hard-data", type=Path, required=True, help="harder texts, only for tests")
    parser.add_argument("--contract", type=Path, required=True, help="what is promised of their columns")
    parser.add_argument("--target", required=True, help="the column to predict")
    parser.add_argument("--test-fraction", type=float, required=True, help="share of the latest rows to test on")
    for name in ("train", "test", "hard"):
        parser.add_argument(f"--{name}-table", type=Path, required=True, help="folder to write")
    args = parser.parse_args()

    contract = Contract.load(args.contract)
    prepared = prepare(args.raw_data, args.hard_data, contract, args.target, args.test_fraction)
    for name, table in zip(("train", "test", "hard"), prepared, strict=True):
        table.save(getattr(args, f"{name}_table"))
        print(f"{name}: {len(table.frame):,} texts, {table.period}")
    train, test, hard = prepared
    with start_step("prepare"):
        import mlflow

        mlflow.log_params({"data_version": train.version, "train_period": train.period, "test_period": test.period})
        counts = {"train_rows": len(train.frame), "test_rows": len(test.frame), "hard_rows": len(hard.frame)}
        mlflow.log_metrics(counts)


if __name__ == "__main__":
    main()
