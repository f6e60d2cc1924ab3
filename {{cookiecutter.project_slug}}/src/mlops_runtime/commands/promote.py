"""Let a model go on: a candidate into the registry for staging, what passed staging for production."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--env", required=True, choices=("staging", "prod"), help="environment that it is for")
    parser.add_argument("--version", metavar="V", help="version where it comes from (default: the newest that may)")
    who = parser.add_mutually_exclusive_group()
    who.add_argument(
        "--approved-by", action="append", default=[], metavar="PERSON", help="who approves; may be repeated"
    )
    who.add_argument(
        "--approved-by-pipeline", action="store_true", help="who has approved this run, as the CI system says"
    )
    who.add_argument(
        "--decline", action="store_true", help="note instead that people do not want it; nobody is asked again"
    )
    parser.add_argument("--approval", default="", metavar="URL", help="where the approval can be read")


def run(args: argparse.Namespace) -> int:
    """Check, copy with all it needs, tag: 0 promoted, now or before; 1 refused."""
    from mlops_runtime import promotion

    if args.decline:
        print(promotion.decline(args.env, args.version, args.approval))
        return 0
    people, approval, waived, authors = args.approved_by, args.approval, "", None
    if args.approved_by_pipeline:
        import importlib

        from mlops_runtime import config

        host = importlib.import_module("mlops_runtime.happened").host()
        (people, approval), authors = host.approvals(args.env), host.authors
        waived = "" if people else config.load(args.env).approvals.unprotected
    print(promotion.promote(args.env, args.version, people, approval, waived, authors))
    return 0
