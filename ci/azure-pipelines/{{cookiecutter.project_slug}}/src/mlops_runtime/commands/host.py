"""For pipelines: ask Azure DevOps what only it knows, and tell people there."""

import argparse
from pathlib import Path
from typing import Any

RELEASED = ("candidate", "retrained")  # kinds of events that a pipeline acts on; people are told of the others
TOLD = "told.json"  # these others
NEWEST = "newest"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("alone", help="whether no other run of this pipeline is under way: 0 none is, 1 one is")
    found = actions.add_parser("found", help="make outputs of what `mlops events` wrote")
    found.add_argument("folder", type=Path, metavar="FOLDER", help="with its files")
    found.add_argument("--version", default=NEWEST, metavar="V", help="candidate to take (default: the newest)")
    told = actions.add_parser("tell", help="open a work item, or bring it up to date")
    told.add_argument("--key", required=True, help="the same for the same thing")
    told.add_argument("--kind", required=True, help="of event")
    told.add_argument("--title", required=True)
    told.add_argument("--env", default="", help="environment that it is about")
    text = told.add_mutually_exclusive_group(required=True)
    text.add_argument("--text")
    text.add_argument("--body", type=Path, metavar="FILE", help="with the text")
    comment = actions.add_parser("comment", help="show files in the run's pull request")
    comment.add_argument("folder", type=Path, metavar="FOLDER", help="with the files")
    unproposed = actions.add_parser("unproposed", help="whether no such change waits: 0 none does, 1 one does")
    unproposed.add_argument("prefix", metavar="PREFIX", help="of its branch")
    propose = actions.add_parser("propose", help="open a pull request")
    propose.add_argument("branch", metavar="BRANCH")
    propose.add_argument("--title", required=True)
    propose.add_argument("--body", type=Path, required=True, metavar="FILE")
    keep = actions.add_parser("keep", help="keep this run longer than the project's settings say")
    keep.add_argument("--days", type=int, required=True, metavar="N", help="from now")


def run(args: argparse.Namespace) -> int:
    """Do what is asked: 0 done, or yes; 1 no."""
    from mlops_runtime import host

    if args.action == "alone":
        return _none(host.others(), "Another run is not over yet")
    if args.action == "unproposed":
        return _none(host.proposals(args.prefix), "There is a change that nobody has answered yet")
    if args.action == "found":
        return _found(args.folder, args.version)
    if args.action == "comment":
        for file in sorted(args.folder.glob("*.md")):
            host.comment(f"plan {file.stem}", f"### {file.stem}\n\n{file.read_text(encoding='utf-8')}")
    elif args.action == "propose":
        print(host.propose(args.branch, args.title, args.body.read_text(encoding="utf-8")))
    elif args.action == "keep":
        host.keep(args.days)
    else:
        body = args.body.read_text(encoding="utf-8") if args.body else args.text
        texts = {"key": args.key, "kind": args.kind, "environment": args.env, "title": args.title}
        print(host.tell({**texts, "body": body, "version": "", "commit": ""}))  # type: ignore[typeddict-item]
    return 0


def _none(addresses: list[str], message: str) -> int:
    if addresses:
        print(f"{message}: {addresses[0]}")
    return 1 if addresses else 0


def _found(folder: Path, wanted: str) -> int:
    """Outputs of what is released next, if anything; the rest of the events is for people."""
    import os

    from mlops_runtime import happened, host

    events = [event for file in sorted(folder.glob("*.json")) for event in happened.read(file)]
    happened.write(folder / TOLD, [event for event in events if event["kind"] not in RELEASED])
    waiting = [event for event in events if event["kind"] in RELEASED]
    if wanted != NEWEST:
        chosen = next(
            (event for event in waiting if event["version"] == wanted and event["environment"] == "dev"), None
        )
        commit = chosen["commit"] if chosen else os.environ["BUILD_SOURCEVERSION"]  # promoting it says if that is wrong
        return _release(wanted, commit, promoted=False, retrained=False)
    waiting = [event for event in waiting if not host.told(f"release/{event['version']}")]  # it was refused, or failed
    if not waiting:
        print("Nothing is to be released.")
        return 0
    event = max(waiting, key=_urgency)
    there, retrained = event["environment"] == "staging", event["kind"] == "retrained"
    return _release(event["version"], event["commit"], promoted=there, retrained=retrained)


def _urgency(event: Any) -> tuple[bool, bool]:
    """What staging has begun comes first, then candidates."""
    return (event["kind"] == "candidate" and event["environment"] == "staging", event["kind"] == "candidate")


def _release(version: str, commit: str, *, promoted: bool, retrained: bool) -> int:
    """Outputs of the version to release."""
    from mlops_runtime import host

    print(f"Version {version} is released next.")
    values = {"version": version, "commit": commit, "promoted": str(promoted), "retrained": str(retrained)}
    for name, value in {**values, "found": "true"}.items():
        host.output(name, value.lower() if name in ("promoted", "retrained") else value)
    return 0
