"""Compare what the registered model meets now with what it was accepted on: drift, quality, performance, fairness."""

import argparse
from pathlib import Path
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--data", type=Path, metavar="FILE", help="rows to look at (default: the requests that `mlops serve` collected)"
    )
    parser.add_argument(
        "--labels", type=Path, metavar="FILE", help="what turned out to be true: the contract's id and target columns"
    )
    parser.add_argument("--model-version", metavar="V", help="registered version to watch (default: the champion)")


def run(args: argparse.Namespace) -> int:
    """Measure, decide, report: 0 nothing to do, 1 action needed."""
    import importlib

    from mlops_runtime import config, monitoring, serving, tracking

    settings = config.load()
    version = serving.choose(settings.project.name, args.model_version)
    folder = tracking.fetch(version)
    package = settings.project.package
    model = importlib.import_module(f"{package}.model").load(tracking.model_data(folder))
    scenario: Any = importlib.import_module(f"{package}.monitor")

    watched = monitoring.watch(settings, version, folder, model, args.data, args.labels)
    findings = scenario.measure(watched)
    judged = monitoring.judge(findings.signals, settings.monitoring.signals)
    output = settings.root / ".mlops" / "monitor"
    action = monitoring.write(output, watched, findings, judged, scenario)
    print(f"{version.name} version {version.version}, {len(watched.current):,} rows from {watched.source}")
    for signal in judged:
        mark = {"ok": "  ok  ", "fired": "FIRED ", "not measured": "  –   "}[signal.status]
        print(f"  {mark} {signal.name}: {monitoring.describe(signal)}")
    for name, rows in findings.files.items():
        print(f"For people: {len(rows):,} rows in {output / name}")
    print(f"Action: {action}. {monitoring.ADVICE[action]}\nReport: {output / 'report.html'}")
    return 0 if action == "none" else 1
