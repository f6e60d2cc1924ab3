"""Adopt a newer version of the template, or other answers; what you changed and deleted stays so."""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlops_runtime.merging import Merge


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--plan", action="store_true", help="only say what would be done; exit 1 when there is any")
    parser.add_argument("--to", default="", metavar="VERSION", help="version, tag, branch or commit (default: newest)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="ANSWER=VALUE", help="answer otherwise than before; repeatable"
    )
    parser.add_argument("--template", default="", metavar="URL", help="address of the template, when it has another")
    parser.add_argument("--version", default="", metavar="V", help="version that the project has, when not recorded")


def run(args: argparse.Namespace) -> int:
    """Render both versions aside, merge, say it and, without --plan, write it: 1 when something is left for a person.

    Everything is imported before anything is written, which may be another version of it.
    """
    from mlops_runtime import config, merging

    root = config.find_root()
    merging.check_git(root)
    if not args.plan:
        if merging.recover(root):
            print("An earlier update was killed while it wrote; all files are as before it again.")
        merging.refuse_uncommitted(root)
    folder = Path(tempfile.mkdtemp(prefix="mlops-update-")).resolve()
    try:
        merge = _merge(root, args, folder)
        if merge is None or args.plan:
            return 0 if merge is None else 1
        merge.apply()
    finally:
        merging.remove(folder)
    print("\n".join(_next_steps(merge)))
    return 1 if merge.conflicts else 0


def _merge(root: Path, args: argparse.Namespace, folder: Path) -> "Merge | None":
    """The merge, after saying what it does; None when there is nothing to adopt."""
    from mlops_runtime.merging import Merge
    from mlops_runtime.template import Update

    update = Update(root, args.template, args.version, args.to, args.set, folder)
    if not update.waiting:
        print(f"Up to date with template {update.from_}.")
        return None
    rendered = update.render()
    if rendered is None:
        print(f"Up to date: template {update.to} changes nothing here.")
        return None
    merge = Merge(root, *rendered, update.label, folder)
    print(f"Template {update.from_} → {update.to}")
    print("\n".join([*update.notes(), *_lines(merge)]))
    return merge


def _lines(merge: "Merge") -> Iterator[str]:
    """Every file that changes, and what is left for a person."""
    from mlops_runtime.merging import ADDED, CHANGED, CONFLICT, GONE, REMOVED

    words = {ADDED: "new", CHANGED: "changed", REMOVED: "removed", CONFLICT: "conflict", GONE: "stays deleted"}
    found = {change.kind for change in merge.changes.values()}
    yield "  ".join(f"{sign} {word}" for sign, word in words.items() if sign in found)
    for _, change in sorted(merge.changes.items()):
        yield f"{change.kind} {change.path}{': ' if change.why else ''}{change.why}"


def _next_steps(merge: "Merge") -> Iterator[str]:
    yield ""
    if merge.conflicts:
        number = len(merge.conflicts)
        yield f"{number} conflict{'s' if number > 1 else ''} to resolve: edit, then `git add` each file, then"
        yield "`uv run mlops config render`, test and commit. `git reset --hard` takes the update back."
    else:
        yield "Look at it with `git diff --staged`, test and commit. `git reset --hard` takes the update back."
