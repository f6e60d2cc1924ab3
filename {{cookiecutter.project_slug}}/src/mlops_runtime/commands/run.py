"""Run the training pipeline on this machine."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_runtime.errors import Problem

if TYPE_CHECKING:
    from mlops_runtime.config import Config, Scalar

TRAINING = Path("mlops", "azureml", "train", "pipeline.yml")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--pipeline", type=Path, metavar="FILE", help=f"pipeline job to run (default: {TRAINING.as_posix()})"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="value for one pipeline input; may be repeated"
    )
    parser.add_argument(
        "--force", action="store_true", help="run every step again, even if nothing it needs has changed"
    )


def run(args: argparse.Namespace) -> int:
    """Execute the pipeline; config's training values are the inputs of the training pipeline."""
    from mlops_runtime import config, pipeline, runner

    settings = config.load()
    path = args.pipeline or settings.root / TRAINING
    values = inputs(settings, path, args.set)
    job = pipeline.load(path, values)
    done = runner.run(job, settings.root, reuse=not args.force)
    last = done[job.steps[-1].name]
    print((last.folder / "log.txt").read_text(encoding="utf-8", errors="replace").splitlines()[-1])
    return 0


def inputs(settings: "Config", path: Path, given: list[str]) -> "dict[str, Scalar]":
    """The values for a pipeline's inputs: config's, where it is the training pipeline, then those of `--set`."""
    values = dict(settings.training) if path.resolve() == (settings.root / TRAINING).resolve() else {}
    for text in given:
        name, separator, value = text.partition("=")
        if not separator:
            raise Problem(f"--set {text}: write it as NAME=VALUE.")
        values[name] = value
    return values
