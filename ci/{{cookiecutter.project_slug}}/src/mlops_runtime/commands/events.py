"""Say what has happened in an environment that a pipeline or a person must act on."""

import argparse
from pathlib import Path

from mlops_runtime.config import ENVIRONMENTS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--env", required=True, choices=ENVIRONMENTS, help="environment to look at")
    parser.add_argument("--report", type=Path, required=True, metavar="FILE", help="where to write the events, as JSON")


def run(args: argparse.Namespace) -> int:
    """Look, write and, in a pipeline, give the output `kinds`: 0 nothing, 1 some events."""
    from mlops_runtime import config, events, happened

    found = events.find(config.load(args.env))
    happened.write(args.report, found)
    for event in found:
        print(f"{event['kind']}: {event['title']}")
    if happened.in_pipeline():
        happened.host().output("kinds", " ".join(sorted({event["kind"] for event in found})))
    if not found:
        print(f"Nothing has happened in {args.env} that anybody must act on.")
    return 1 if found else 0
