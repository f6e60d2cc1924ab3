"""Try a promoted candidate in staging on production data: train it again or evaluate it, deploy it, load it."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--env", required=True, choices=("staging",), help="environment of the trial")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--version", metavar="V", help="version in the registry (default: the newest promoted one)")
    which.add_argument("--retrained", action="store_true", help="the newest that the scheduled training has registered")


def run(args: argparse.Namespace) -> int:
    """Try it: 0 passed, 1 the verdict is no. What an interrupted trial had begun is taken up again."""
    from mlops_runtime import staging

    return 0 if staging.stage(args.version, retrained=args.retrained) else 1
