"""Step 2: search the family's hyper-parameters on the latest training texts, then learn from all with the best."""

import argparse
import random
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from mlops_runtime.errors import Problem
from mlops_runtime.serving import request_contract
from mlops_runtime.tracking import save_model, start_step

from . import metrics, model, parallel
from .tables import Table

PACKAGE = model.__name__.partition(".")[0]
HELD_OUT = 0.2  # of the training rows, the latest ones
EXAMPLES = 3  # texts in the model's input example


@dataclass(frozen=True)
class Trial:
    """One point of the search: its hyper-parameters and how they did on texts that they were not fitted on."""

    parameters: dict[str, Any]
    loss: float
    fitted: model.Model


def candidates(family: str, trials: int, seed: int) -> list[dict[str, Any]]:
    """The hyper-parameters to try: the family's defaults, then `trials` - 1 random points of its space."""
    if family not in model.FAMILIES:
        raise Problem(f"family {family!r} does not exist: choose one of {', '.join(model.FAMILIES)}.")
    space = model.FAMILIES[family].space
    points = [dict(zip(space, values, strict=True)) for values in product(*space.values())]
    random.Random(seed).shuffle(points)
    return [{}, *points[: trials - 1]]


def read_options(text: str) -> dict[str, Any]:
    """Options written as `name=value,name=value`; a value is a number, true, false or a word."""
    pairs = [option.strip().partition("=") for option in text.split(",") if option.strip()]
    wrong = next((name for name, _, value in pairs if not name or not value), None)
    if wrong is not None:
        raise Problem(f"options: {wrong!r} has no value: write name=value, several apart by commas.")
    return {name: _value(value) for name, _, value in pairs}


def _value(text: str) -> Any:
    found = yaml.safe_load(text)
    try:
        return float(found) if isinstance(found, str) else found  # YAML takes 4e-3 for a word
    except ValueError:
        return found


def train(
    table: Table,
    family: str,
    trials: int = 1,
    seed: int = 0,
    base_model: str = "scratch",
    options: Mapping[str, Any] | None = None,
) -> tuple[model.Model, list[Trial]]:
    """The fitted model and all trials, the best first. The same arguments give the same model.

    `options` are hyper-parameters that every trial has.
    """
    if trials < 1:
        raise Problem(f"trials is {trials}: give at least 1, which takes the family's default hyper-parameters.")
    kept = int(len(table.frame) * (1 - HELD_OUT))
    past, held_out = table.rows(0, kept), table.rows(kept)
    done = []
    for drawn in candidates(family, trials, seed):
        parameters = {**drawn, **(options or {})}
        fitted = model.fit(past, held_out, family, parameters, seed, base_model)
        loss = metrics.loss(held_out.targets, fitted.predict(held_out.inputs)).mean()
        done.append(Trial(parameters, parallel.agreed(float(loss)), fitted))
    done.sort(key=lambda trial: trial.loss)
    best = done[0].fitted.calibrated(held_out)
    if model.FAMILIES[family].refit:
        again = model.fit(table, held_out, family, done[0].parameters, seed, base_model)
        best = again.with_calibration_of(best)
    return best, done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train-table", type=Path, required=True, help="folder that the prepare step wrote")
    parser.add_argument("--family", required=True, help=f"one of {', '.join(model.FAMILIES)}")
    parser.add_argument("--base-model", required=True, help="for transformers: scratch, or a pre-trained model's name")
    parser.add_argument("--trials", type=int, required=True, help="hyper-parameter points to try; 1 takes the defaults")
    parser.add_argument("--options", default="", help="hyper-parameters of every trial: name=value,name=value")
    parser.add_argument("--seed", type=int, required=True, help="of all that is random")
    parser.add_argument("--model", type=Path, required=True, help="folder for the MLflow model")
    args = parser.parse_args()

    table = Table.load(args.train_table)
    with parallel.group() as rank:
        fitted, trials = train(table, args.family, args.trials, args.seed, args.base_model, read_options(args.options))
    if rank:
        return  # all have learnt the same; one says so
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
        example = table.inputs.tail(20).reset_index(drop=True)
        save_model(args.model, Path(folder, "model"), PACKAGE, example, fitted.predict(example), EXAMPLES)
    for trial in trials:
        print(f"loss {trial.loss:.4f}  {trial.parameters or 'defaults'}")


if __name__ == "__main__":
    main()
