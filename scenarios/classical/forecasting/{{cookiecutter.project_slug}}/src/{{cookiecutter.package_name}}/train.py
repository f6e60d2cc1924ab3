"""Step 2: search the family's settings by a rolling back-test, then fit the best on all training days."""

import argparse
import itertools
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlops_runtime.errors import Problem
from mlops_runtime.serving import request_contract
from mlops_runtime.tracking import save_model, start_step

from . import backtest, data, metrics, model
from .data import Array

PACKAGE = model.__name__.partition(".")[0]


@dataclass(frozen=True)
class Trial:
    """One point of the search: its settings and how they did on days that they were not fitted on."""

    settings: dict[str, Any]
    loss: float  # mean absolute scaled error
    residuals: Array  # (cutoffs, horizon, airports) actual minus forecast


def candidates(family: str, trials: int, seed: int) -> list[dict[str, Any]]:
    """The settings to try: the family's defaults, then up to `trials` - 1 random points of its space."""
    chosen = model.family(family)
    points = [dict(zip(chosen.space, values, strict=True)) for values in itertools.product(*chosen.space.values())]
    others = [point for point in points if point != chosen.defaults]
    return [chosen.defaults, *random.Random(seed).sample(others, min(trials - 1, len(others)))]


def try_out(series: pd.DataFrame, family: str, settings: dict[str, Any], horizon: int, seed: int) -> Trial:
    """Back-test these settings."""
    found = backtest.residuals(lambda: model.create(family, settings, horizon, seed), series, horizon)
    loss = np.abs(found) / metrics.scale(series).to_numpy()
    return Trial(settings, float(loss.mean()), found)


def train(
    table: data.Table, family: str, horizon: int, coverage: float, trials: int = 1, seed: int = 0
) -> tuple[model.Model, list[Trial]]:
    """The fitted model and all trials, the best first. The same arguments give the same model."""
    if trials < 1:
        raise Problem(f"trials is {trials}: give at least 1, which takes the family's default settings.")
    series = table.series
    done = [try_out(series, family, settings, horizon, seed) for settings in candidates(family, trials, seed)]
    done.sort(key=lambda trial: trial.loss)
    return model.fit(series, family, done[0].settings, horizon, coverage, seed, done[0].residuals), done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train-data", type=Path, required=True, help="folder that the prepare step wrote")
    parser.add_argument("--family", required=True, help=f"one of {', '.join(model.FAMILIES)}")
    parser.add_argument("--horizon", type=int, required=True, help="days that a forecast covers")
    parser.add_argument("--coverage", type=float, required=True, help="share of days within the prediction interval")
    parser.add_argument("--trials", type=int, required=True, help="settings to try; 1 takes the defaults")
    parser.add_argument("--seed", type=int, required=True, help="of all that is random")
    parser.add_argument("--model", type=Path, required=True, help="folder for the MLflow model")
    args = parser.parse_args()

    table = data.Table.load(args.train_data)
    fitted, trials = train(table, args.family, args.horizon, args.coverage, args.trials, args.seed)
    with start_step("train"), tempfile.TemporaryDirectory() as folder:
        import mlflow

        for trial in trials:
            with mlflow.start_run(run_name=args.family, nested=True):
                mlflow.log_params(trial.settings)
                mlflow.log_metric("loss", trial.loss)
        mlflow.log_params({"family": args.family, "horizon": args.horizon, "coverage": args.coverage})
        mlflow.log_params({"trials": args.trials, "seed": args.seed, "data_version": table.version})
        mlflow.log_params({f"best.{name}": value for name, value in trials[0].settings.items()})
        mlflow.log_metric("loss", trials[0].loss)
        fitted.save(Path(folder, "model"))
        request_contract(table.contract, table.contract.columns).save(Path(folder, "model", "inputs.yml"))
        example = data.to_frame(table.series.tail(fitted.history_days))
        save_model(
            args.model, Path(folder, "model"), PACKAGE, example, fitted.predict(example), example_rows=len(example)
        )
    for trial in trials:
        print(f"loss {trial.loss:.4f}  {trial.settings}")


if __name__ == "__main__":
    main()
