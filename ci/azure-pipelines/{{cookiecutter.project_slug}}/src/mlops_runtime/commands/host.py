"""For pipelines: ask Azure DevOps what only it knows, and tell people there."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("alone", help="whether no other run of this pipeline is under way: 0 none is, 1 one is")
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
