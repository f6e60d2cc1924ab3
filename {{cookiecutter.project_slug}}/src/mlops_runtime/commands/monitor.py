"""Compare what the registered model meets now with what it was accepted on: drift, quality, performance, fairness."""

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_runtime.config import ENVIRONMENTS

if TYPE_CHECKING:
    from mlops_runtime.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--data", type=Path, metavar="FILE", help="rows to look at (default: the requests that `mlops serve` collected)"
    )
    parser.add_argument(
        "--labels", type=Path, metavar="FILE", help="what turned out to be true: the contract's id and target columns"
    )
    parser.add_argument(
        "--env", choices=ENVIRONMENTS, help="what Azure ML's newest look at this environment's deployment has found"
    )
    parser.add_argument(
        "--usage", action="store_true", help="with --env: whether anybody still uses what is there, over weeks"
    )
    parser.add_argument("--model-version", metavar="V", help="registered version to watch (default: the champion)")


def run(args: argparse.Namespace) -> int:
    """Measure, decide, report: 0 nothing to do, 1 action needed."""
    import importlib

    from mlops_runtime import collecting, config, monitoring, serving, tracking
    from mlops_runtime.contract import Contract

    root = config.find_root()
    if args.usage:
        return _usage(args.env)
    if args.env:
        return 0 if _found_on_azure(config.load(args.env), root / ".mlops" / f"monitor-{args.env}") == "none" else 1
    settings = config.load_shared(root / "config" / "shared.yml")
    version = serving.choose(settings.project.name, args.model_version)
    folder = tracking.fetch(version)
    package = settings.project.package
    model = importlib.import_module(f"{package}.model").load(tracking.model_data(folder))
    scenario: Any = importlib.import_module(f"{package}.monitor")

    contract = Contract.load(root / "data" / "contract.yml")
    data = args.data or collecting.load_collected(collecting.local_folder(root), version.version)
    watched = monitoring.watch(settings, contract, version, folder, model, data, args.labels)
    action = monitoring.report(watched, scenario, root / ".mlops" / "monitor")
    return 0 if action == "none" else 1


def _usage(environment: str | None) -> int:
    """Say how the environment is used; 1 when somebody should be told."""
    from mlops_runtime import cloud, config, usage
    from mlops_runtime.errors import Problem

    if environment is None:
        raise Problem("--usage is about an environment: say which with --env.")
    settings = config.load(environment)
    if not cloud.available():
        raise Problem("The Azure SDK is not installed: run `uv sync --extra azure`.")
    from mlops_runtime.cloud import logs

    told = 0
    for text, found in usage.findings(settings, lambda query, days: logs.ask(settings, query, days)):
        print(f"{'✗' if found else '✓'} {text}")
        for line in found:
            print(f"    {line}")
        told += len(found)
    return 1 if told else 0


def _found_on_azure(settings: "Config", folder: Path) -> str:
    """Fetch and say what the scheduled job has found; the action that it asks for."""
    from mlops_runtime import cloud, monitoring
    from mlops_runtime.cloud import schedules

    shutil.rmtree(folder, ignore_errors=True)
    found = schedules.findings(settings, cloud.workspace(settings), folder)
    return monitoring.say(found)
