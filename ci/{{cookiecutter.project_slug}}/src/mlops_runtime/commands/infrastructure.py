"""Check the files of the estate, show what applying them would change, and apply what was shown."""

import argparse
from pathlib import Path

ENVIRONMENTS = ("shared", "dev", "staging", "prod")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="check|plan|apply")
    actions.add_parser("check", help="what can be known without Azure: 0 right, 1 something is wrong")
    planned = actions.add_parser("plan", help="say what would change: 0 nothing, 1 something, 2 it failed")
    planned.add_argument("--env", required=True, choices=ENVIRONMENTS, help="what to compare with config")
    planned.add_argument("--report", type=Path, metavar="FILE", help="write it there too, as Markdown")
    applied = actions.add_parser("apply", help="do what `plan` has shown, and nothing else")
    applied.add_argument("--env", required=True, choices=ENVIRONMENTS, help="what to bring up to date with config")
    applied.add_argument(
        "--report", type=Path, metavar="FILE", help="what was approved (default: what `plan` keeps in .mlops)"
    )


def run(args: argparse.Namespace) -> int:
    """Check, plan or apply."""
    from mlops_runtime import estate

    if args.action == "check":
        return 0 if estate.check() else 1
    if args.action == "plan":
        return 0 if estate.plan(args.env, args.report) else 1
    estate.apply(args.env, args.report)
    return 0
