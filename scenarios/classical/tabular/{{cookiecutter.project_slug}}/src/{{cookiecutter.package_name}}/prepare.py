"""Step 1: check the raw data against its contract and split it by time."""

import argparse
from pathlib import Path

from mlops_runtime.contract import Contract
from mlops_runtime.tracking import start_step

from . import data


def prepare(raw_data: Path, contract: Contract, target: str, test_fraction: float) -> tuple[data.Table, data.Table]:
    """The training and the test table. Columns that the contract does not name, and other targets, are left out."""
    contract = data.narrowed(contract, target)
    frame, version = data.load(raw_data, contract), data.version(raw_data)
    train, test = data.split(frame, data.time_column(contract), test_fraction)
    return data.Table(train, contract, version), data.Table(test, contract, version)


def arguments() -> argparse.ArgumentParser:
    """The command line of this step, on one machine or with Spark: places are texts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--raw-data", required=True, help="Parquet or CSV")
    parser.add_argument("--contract", required=True, help="what is promised of its columns")
    parser.add_argument("--target", required=True, help="the column to predict; several separated by commas")
    parser.add_argument("--test-fraction", type=float, required=True, help="share of the latest rows to test on")
    parser.add_argument("--train-data", required=True, help="folder to write")
    parser.add_argument("--test-data", required=True, help="folder to write")
    return parser


def main() -> None:
    args = arguments().parse_args()
    train, test = prepare(Path(args.raw_data), Contract.load(Path(args.contract)), args.target, args.test_fraction)
    train.save(Path(args.train_data))
    test.save(Path(args.test_data))
    for name, table in (("train", train), ("test", test)):
        print(f"{name}: {len(table.frame):,} rows, {table.period}")
    with start_step("prepare"):
        import mlflow

        mlflow.log_params({"data_version": train.version, "train_period": train.period, "test_period": test.period})
        mlflow.log_metrics({"train_rows": len(train.frame), "test_rows": len(test.frame)})


if __name__ == "__main__":
    main()
