"""Give everything back to the deployment that served before."""

import argparse

from mlops_runtime.config import ENVIRONMENTS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--env", required=True, choices=ENVIRONMENTS, help="environment to roll back")
    parser.add_argument("--dry-run", action="store_true", help="change nothing: print what would be done")
    parser.add_argument(
        "--take-over", action="store_true", help="go on although somebody else's deployment has not said its end"
    )


def run(args: argparse.Namespace) -> int:
    """Roll back: 0 the one before serves; 1 there is none, or it does not answer as it should."""
    from mlops_runtime import config, target

    target.rollback(config.load(args.env), dry_run=args.dry_run, take_over=args.take_over)
    return 0
