"""Choose from what has happened what is released next, hand it to the CI system, and keep the rest for people."""

import argparse
import re
from pathlib import Path

from mlops_runtime import happened, programs
from mlops_runtime.errors import Problem
from mlops_runtime.happened import Choice, Event

ORDER = (("staging", "candidate"), ("dev", "candidate"), ("staging", "retrained"))  # what was begun is finished first
VERSION = "[A-Za-z0-9._-]+"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("events", nargs="+", type=Path, metavar="FILE", help="events, as `mlops events` writes them")
    parser.add_argument("--told", type=Path, required=True, metavar="FILE", help="where to write those for people")
    parser.add_argument(
        "--version", default="", metavar="V", help="this version of dev, tried or not (default: what waits)"
    )


def run(args: argparse.Namespace) -> int:
    """Choose the first that may go on and was not tried, and have the CI system release it: 0 chosen, or nothing."""
    from mlops_runtime import config

    root, host = config.find_root(), happened.host()
    events = [event for file in args.events for event in happened.read(file)]
    waiting = [one for place in ORDER for one in events if (one["environment"], one["kind"]) == place]
    faults = {one["key"]: _fault(root, one["version"], one["commit"]) for one in waiting}
    blocked: list[Event] = [
        {**one, "body": f"{one['body']}\n\n{faults[one['key']]}"} for one in waiting if faults[one["key"]]
    ]
    happened.write(args.told, [*(one for one in events if one not in waiting), *blocked])
    if args.version:
        choice = _by_hand(root, args.version, waiting)
    else:
        choice = _first([one for one in waiting if not faults[one["key"]]])
    host.release(choice)
    again = ", trained again on production data" if choice.retrained else ""
    print(f"{choice.name} is released next{again}." if choice.version else "Nothing is released.")
    return 0


def _first(waiting: list[Event]) -> Choice:
    """The first that may be started; one that may not does not keep the others from it."""
    for event in waiting:
        name, why = happened.release_name(event), happened.host().tried(event)
        if not why:
            there, retrained = event["environment"] == "staging", event["kind"] == "retrained"
            return Choice(name, event["version"], event["commit"], there, retrained)
        print(f"{name} is left alone: {why}.")
    return Choice()


def _by_hand(root: Path, version: str, waiting: list[Event]) -> Choice:
    """A version of dev, by the commit that made it; of one that does not wait, promoting it says if it is another."""
    made = (one["commit"] for one in waiting if (one["environment"], one["version"]) == ("dev", version))
    head = programs.run(["git", "rev-parse", "HEAD"], root)[1].strip()
    commit = next(made, head)
    if fault := _fault(root, version, commit):
        raise Problem(f"Version {version!r} is not released: {fault}")
    return Choice(f"dev-{version}", version, commit)


def _fault(root: Path, version: str, commit: str) -> str:
    """Why nothing with this version and commit is released: its code would run with the rights of staging and prod."""
    from mlops_runtime import promotion

    if not re.fullmatch(VERSION, version):
        return f"the version {version!r} does not look like one ({VERSION})."
    if not re.fullmatch(promotion.COMMIT, commit):
        return f"it is not known which commit made it ({commit!r}): commit, merge, and train again."
    asked = ["git", "merge-base", "--is-ancestor", commit, "HEAD"]
    if programs.run(asked, root, programs.ALL)[0]:
        return f"it was made by commit {commit}, which is not in this branch: merge it first."
    return ""
