"""Deploy a model to an environment: tried beside the one that serves, then in its place, or back again."""

import argparse

from mlops_runtime.config import ENVIRONMENTS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--env", required=True, choices=ENVIRONMENTS, help="environment to deploy to")
    parser.add_argument("--version", metavar="V", help="version of the model (default: the newest that may go there)")
    parser.add_argument("--dry-run", action="store_true", help="change nothing: print what would be done")
    parser.add_argument(
        "--take-over", action="store_true", help="go on although somebody else's deployment has not said its end"
    )


def run(args: argparse.Namespace) -> int:
    """Deploy: 0 it serves, now or before; 1 it was not good enough and what served before still does; 2 failed.

    What an interrupted one had begun is taken up again.
    """
    from mlops_runtime import config, target

    target.deploy(config.load(args.env), args.version, dry_run=args.dry_run, take_over=args.take_over)
    return 0
