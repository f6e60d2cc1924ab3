"""Tell people what has happened: one issue or work item for each event, brought up to date while it is open."""

import argparse
from pathlib import Path

from mlops_runtime.happened import KINDS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("file", type=Path, metavar="FILE", help="events, as `mlops events` and `mlops scan` write them")
    parser.add_argument(
        "--but", action="append", default=[], choices=KINDS, metavar="KIND", help="not of these; may be repeated"
    )


def run(args: argparse.Namespace) -> int:
    """Tell of each event, the same one never twice: 0 all are told."""
    from mlops_runtime import happened

    for event in happened.read(args.file):
        if event["kind"] not in args.but:
            print(f"{event['key']}: {happened.host().tell(event)}")
    return 0
