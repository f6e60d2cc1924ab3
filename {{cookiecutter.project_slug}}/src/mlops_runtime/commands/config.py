"""Write the files that are derived from others, or say which are out of date."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-commands."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    render = actions.add_parser("render", help="bring derived files up to date", description=__doc__)
    render.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is out of date")


def run(args: argparse.Namespace) -> int:
    """Render, or with --check only compare."""
    from mlops_runtime import config, derived
    from mlops_runtime.errors import Refusal

    root = config.find_root()
    for environment in config.ENVIRONMENTS:
        config.load(environment, root)  # says what is wrong in words
    if args.check:
        stale = derived.stale(root)
        if stale:
            names = ", ".join(path.relative_to(root).as_posix() for path in stale)
            raise Refusal(f"Out of date: {names}. Run `mlops config render`.")
        print("Derived files are up to date.")
        return 0
    written = derived.render(root)
    for path in written:
        print(f"Wrote {path.relative_to(root).as_posix()}.")
    if not written:
        print("Derived files are up to date.")
    return 0
