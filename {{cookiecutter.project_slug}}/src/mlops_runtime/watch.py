"""The step of the monitoring pipeline: what `mlops monitor` does, over what a deployment collected on Azure ML."""

import argparse
import importlib
import os
from pathlib import Path
from typing import Any

from mlops_runtime import collecting, config, monitoring, tracking
from mlops_runtime.contract import Contract


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--collected", type=Path, required=True, help="folder of what the deployment has collected")
    parser.add_argument("--model", type=Path, required=True, help="MLflow model folder of the deployed model")
    parser.add_argument("--model-version", required=True, help="its version in the registry")
    parser.add_argument("--config", type=Path, required=True, help="config/shared.yml, for the thresholds")
    parser.add_argument("--contract", type=Path, required=True, help="what is promised of the columns")
    parser.add_argument("--days", type=int, required=True, help="how far to look back from the newest request")
    parser.add_argument("--labels", type=Path, help="what turned out to be true: the contract's id and target columns")
    parser.add_argument("--findings", type=Path, required=True, help="folder to write metrics.json and report.html to")
    args = parser.parse_args()

    settings = config.load_shared(args.config)
    package = settings.project.package
    if tracking.DIGEST in os.environ:
        tracking.verify(args.model, os.environ[tracking.DIGEST])
    model = importlib.import_module(f"{package}.model").load(tracking.model_data(args.model))
    scenario: Any = importlib.import_module(f"{package}.monitor")
    version = tracking.Version(settings.project.name, args.model_version, {})
    inputs = Contract.load(tracking.model_data(args.model) / "inputs.yml")
    collected = collecting.load_deployed(args.collected, args.days, inputs, args.model_version)
    watched = monitoring.watch(
        settings, Contract.load(args.contract), version, args.model, model, collected, args.labels
    )
    with tracking.start_step("watch"):
        import mlflow

        action = monitoring.report(watched, scenario, args.findings)
        mlflow.set_tag("action", action)
        mlflow.log_artifacts(str(args.findings), "findings")


if __name__ == "__main__":
    main()
