"""Let a model go on: a candidate into the registry for staging, what passed staging for production."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--env", required=True, choices=("staging", "prod"), help="environment that it is for")
    parser.add_argument("--version", metavar="V", help="version where it comes from (default: the newest that may)")
    parser.add_argument(
        "--approved-by", action="append", default=[], metavar="PERSON", help="who approves; may be repeated"
    )
    parser.add_argument("--approval", default="", metavar="URL", help="where the approval can be read")


def run(args: argparse.Namespace) -> int:
    """Check, copy with all it needs, tag: 0 promoted, now or before; 1 refused."""
    from mlops_runtime import promotion

    print(promotion.promote(args.env, args.version, args.approved_by, args.approval))
    return 0
