"""Step 2: search the family's hyper-parameters by cross-validation in time, then fit the best on all training rows."""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import ParameterSampler, TimeSeriesSplit

from mlops_runtime.errors import Problem
from mlops_runtime.serving import request_contract
from mlops_runtime.tracking import save_model, start_step

from . import data, metrics, model
from .families import choose

PACKAGE = model.__name__.partition(".")[0]
FOLDS = 3


@dataclass(frozen=True)
class Trial:
    """One point of the search: its hyper-parameters and how they did on rows that they were not fitted on."""

    parameters: dict[str, Any]
    loss: float  # mean over the folds' rows
    truth: pd.DataFrame  # (rows, targets) of all folds
    prediction: pd.DataFrame


def candidates(family: str, trials: int, seed: int) -> list[dict[str, Any]]:
    """The hyper-parameters to try: the family's defaults, then `trials` - 1 random points of its space."""
    space = choose(model.FAMILIES, family).space
    if not space or trials == 1:
        return [{}]
    drawn = ParameterSampler(space, trials - 1, random_state=seed)
    return [{}, *({name: _plain(value) for name, value in point.items()} for point in drawn)]


def cross_validate(table: data.Table, family: str, parameters: dict[str, Any], seed: int) -> Trial:
    """Fit on the past and predict what follows, FOLDS times through the later half of the rows."""
    folds = TimeSeriesSplit(FOLDS, test_size=len(table.frame) // (2 * FOLDS))
    truths, predictions = [], []
    for past, following in folds.split(table.frame):
        fitted = model.fit(table.inputs.iloc[past], table.targets.iloc[past], family, parameters, seed)
        truths.append(table.targets.iloc[following])
        predictions.append(fitted.predict(table.inputs.iloc[following]))
    truth, prediction = pd.concat(truths, ignore_index=True), pd.concat(predictions, ignore_index=True)
    return Trial(parameters, float(metrics.loss(truth, prediction).mean()), truth, prediction)


def train(table: data.Table, family: str, trials: int = 1, seed: int = 0) -> tuple[model.Model, list[Trial]]:
    """The fitted model and all trials, the best first. The same arguments give the same model."""
    if trials < 1:
        raise Problem(f"trials is {trials}: give at least 1, which takes the family's default hyper-parameters.")
    done = [cross_validate(table, family, parameters, seed) for parameters in candidates(family, trials, seed)]
    done.sort(key=lambda trial: trial.loss)
    best = done[0]
    fitted = model.fit(table.inputs, table.targets, family, best.parameters, seed)
    return fitted.calibrated(best.truth, best.prediction), done


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's, which JSON and YAML know; floats keep four digits."""
    value = value.item() if isinstance(value, np.generic) else value
    return float(f"{value:.4g}") if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train-data", type=Path, required=True, help="folder that the prepare step wrote")
    parser.add_argument("--family", required=True, help=f"one of {', '.join(model.FAMILIES)}")
    parser.add_argument("--trials", type=int, required=True, help="hyper-parameter points to try; 1 takes the defaults")
    parser.add_argument("--seed", type=int, required=True, help="of all that is random")
    parser.add_argument("--model", type=Path, required=True, help="folder for the MLflow model")
    args = parser.parse_args()

    table = data.Table.load(args.train_data)
    fitted, trials = train(table, args.family, args.trials, args.seed)
    with start_step("train"), tempfile.TemporaryDirectory() as folder:
        import mlflow

        for trial in trials:
            with mlflow.start_run(run_name=args.family, nested=True):
                mlflow.log_params(trial.parameters)
                mlflow.log_metric("loss", trial.loss)
        mlflow.log_params({"family": args.family, "trials": args.trials, "seed": args.seed, "data": table.version})
        mlflow.log_params({f"best.{name}": value for name, value in trials[0].parameters.items()})
        mlflow.log_metric("loss", trials[0].loss)
        fitted.save(Path(folder, "model"))
        request_contract(table.contract, fitted.inputs).save(Path(folder, "model", "inputs.yml"))
        example = table.inputs.tail(20)
        save_model(args.model, Path(folder, "model"), PACKAGE, example, fitted.predict(example))
    for trial in trials:
        print(f"loss {trial.loss:.4f}  {trial.parameters or 'defaults'}")


if __name__ == "__main__":
    main()
