"""Look for known vulnerabilities in the locked packages and, before a deployment, in the image that it would run."""

import argparse
from pathlib import Path

from mlops_runtime.config import ENVIRONMENTS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--report", type=Path, required=True, metavar="FILE", help="where to write the event, as JSON")
    parser.add_argument("--env", choices=ENVIRONMENTS, help="also scan the image of what this environment would deploy")


def run(args: argparse.Namespace) -> int:
    """Scan, keep a record in .mlops/scan: 0 clean; 1 vulnerable: with --env image and version are barred."""
    from mlops_runtime import scan

    return 0 if scan.scan(args.report, args.env) else 1
