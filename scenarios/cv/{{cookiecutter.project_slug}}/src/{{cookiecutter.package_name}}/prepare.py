"""Step 1: check the images against their contract and split them."""

import argparse
from pathlib import Path

import pandas as pd

from mlops_runtime.contract import Contract
from mlops_runtime.errors import Problem
from mlops_runtime.tracking import start_step

from . import answers, data

SALT = "test"


def prepare(
    raw_data: Path, contract: Contract, test_fraction: float, hold_out: str
) -> tuple[data.Table, data.Table, data.Table]:
    """The training table, the test table, and the table of the images that have the held-out condition.

    Images whose truth is not known yet are in none of them.
    """
    frame, version = data.load(raw_data, contract), data.version(raw_data)
    target = answers.TARGET
    wanted = [*contract.names("id", "time", "feature", "cohort"), data.LABEL, target]
    contract = contract.only(dict.fromkeys(wanted))
    known = frame[frame[target].notna()]
    if known.empty:
        raise Problem(f"no image in {raw_data.name} has its {target} yet: label some first.")
    if len(known) < len(frame):
        print(f"left out because their {target} is missing: {len(frame) - len(known):,} images")
    hard = data.held_out(known, hold_out)
    soft = known[~hard]
    # All of them, to evaluate a model that was trained elsewhere.
    train, test = (soft[:0], soft) if test_fraction == 1 else data.split(soft, test_fraction, SALT)
    parts = [train, test, known[hard].reset_index(drop=True)]
    return tuple(data.Table(_kept(part, contract), contract, version) for part in parts)  # type: ignore[return-value]


def _kept(frame: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    return frame[list(contract.columns)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--raw-data", type=Path, required=True, help="folder of Parquet files, or of images")
    parser.add_argument("--contract", type=Path, required=True, help="what is promised of them")
    parser.add_argument("--test-fraction", type=float, required=True, help="share of the images to test on; 1: all")
    parser.add_argument("--hold-out", required=True, help="condition to keep from training: column=value, or none")
    parser.add_argument("--train-data", type=Path, required=True, help="folder to write")
    parser.add_argument("--test-data", type=Path, required=True, help="folder to write")
    args = parser.parse_args()

    train, test, hard = prepare(args.raw_data, Contract.load(args.contract), args.test_fraction, args.hold_out)
    train.save(args.train_data)
    test.save(args.test_data)
    hard.save(args.test_data / "hard")
    sizes = {"train": len(train.frame), "test": len(test.frame), "hard": len(hard.frame)}
    print(", ".join(f"{name}: {size:,} images" for name, size in sizes.items()))
    with start_step("prepare"):
        import mlflow

        mlflow.log_params({"data_version": train.version, "hold_out": args.hold_out})
        mlflow.log_metrics({f"{name}_images": size for name, size in sizes.items()})


if __name__ == "__main__":
    main()
