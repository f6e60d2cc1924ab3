"""Connect this repository, its identities and environments to Azure; says first what it will do."""

import argparse
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--plan", action="store_true", help="only say what would be done; change nothing")
    parser.add_argument("--undo", action="store_true", help="take away everything that was made by this command")
    parser.add_argument("--yes", action="store_true", help="do it without asking")
    parser.add_argument("--package-index", metavar="URL", help="address of the Python package index your team uses")
    parser.add_argument("--package-files", metavar="URL", help="address that serves its files, when it is another")


def run(args: argparse.Namespace) -> int:
    """Plan, ask, do: 0 all is there, 1 something is left for others or for later, or the answer was no."""
    from mlops_runtime import derived
    from mlops_runtime.bootstrap import run as bootstrap
    from mlops_runtime.bootstrap import steps
    from mlops_runtime.errors import Problem, Refusal

    context, wanted = bootstrap.prepare(args.package_index, args.package_files)
    planned = steps.plan(wanted, context.record, context.known)
    if args.undo:
        print("\n".join(bootstrap.to_undo(wanted, context.record)))
    else:
        print("\n".join(steps.lines(planned)))
    if args.plan:
        return 0
    idle = not context.record.known if args.undo else bootstrap.idle(planned)
    if not idle and not args.yes:
        _ask(Problem, Refusal)
    if args.undo:
        left = steps.undo(wanted, context.record, context.known, print)
    else:
        left = steps.apply(planned, context.record, context.known, print)
    for path in derived.render(context.root):  # from the values that were just written, or taken away
        print(f"{steps.CHANGE} {path.relative_to(context.root).as_posix()}, derived from config")
    print("\n".join(bootstrap.summary(left, undone=args.undo, idle=idle)))
    return 1 if left else 0


def _ask(problem: Any, refusal: Any) -> None:
    """Go on only after a yes."""
    import sys

    if not sys.stdin.isatty():
        raise problem("Nobody is there to say yes: add --yes, or --plan to change nothing.")
    if input("Do this? [y/N] ").strip().casefold() not in ("y", "yes"):
        raise refusal("Nothing was done.")
