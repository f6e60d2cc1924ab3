"""Step 1: check the raw data against its contract and split it by time."""

import argparse
from pathlib import Path

from mlops_runtime.contract import Contract
from mlops_runtime.tracking import start_step

from . import data


def prepare(raw_data: Path, contract: Contract, target: str, test_fraction: float) -> tuple[data.Table, data.Table]:
    """The training and the test table. Columns that the contract does not name, and other targets, are left out."""
    targets = data.parse_target(target, contract)
    contract = contract.only([*contract.names("id", "time", "feature", "cohort"), *targets])
    frame, version = data.load(raw_data, contract), data.version(raw_data)
    train, test = data.split(frame, data.time_column(contract), test_fraction)
    return data.Table(train, contract, version), data.Table(test, contract, version)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--raw-data", type=Path, required=True, help="Parquet or CSV file")
    parser.add_argument("--contract", type=Path, required=True, help="what is promised of its columns")
    parser.add_argument("--target", required=True, help="the column to predict; several separated by commas")
    parser.add_argument("--test-fraction", type=float, required=True, help="share of the latest rows to test on")
    parser.add_argument("--train-data", type=Path, required=True, help="folder to write")
    parser.add_argument("--test-data", type=Path, required=True, help="folder to write")
    args = parser.parse_args()

    train, test = prepare(args.raw_data, Contract.load(args.contract), args.target, args.test_fraction)
    train.save(args.train_data)
    test.save(args.test_data)
    for name, table in (("train", train), ("test", test)):
        print(f"{name}: {len(table.frame):,} rows, {table.period}")
    with start_step("prepare"):
        import mlflow

        mlflow.log_params({"data_version": train.version, "train_period": train.period, "test_period": test.period})
        mlflow.log_metrics({"train_rows": len(train.frame), "test_rows": len(test.frame)})


if __name__ == "__main__":
    main()
