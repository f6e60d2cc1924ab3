"""Try a promoted candidate in staging on production data: train it again or evaluate it, deploy it, load it."""

import argparse

NOT_OVER = 3  # exit code


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--env", required=True, choices=("staging",), help="environment of the trial")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--version", metavar="V", help="version in the registry (default: the newest promoted one)")
    which.add_argument("--retrained", action="store_true", help="the newest that the scheduled training has registered")
    parser.add_argument(
        "--patience", type=float, metavar="MINUTES", help="how long to wait for the job (default: until it is over)"
    )


def run(args: argparse.Namespace) -> int:
    """Try it: 0 passed, 1 the verdict is no, 3 its job is not over yet. What was begun is taken up by the next run."""
    from mlops_runtime import staging

    passed = staging.stage(args.version, retrained=args.retrained, patience=args.patience)
    return NOT_OVER if passed is None else 0 if passed else 1
