"""Send texts to people for annotation, and take their labels into the data that the next run learns from."""

import argparse
import importlib
import json
from pathlib import Path
from typing import Any

from mlops_runtime.errors import Problem

FORMATS = ("label-studio", "azureml")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    export = actions.add_parser("export", help="write the texts that `mlops monitor` proposed, for a labelling tool")
    export.add_argument("--output", type=Path, metavar="FILE", required=True, help="file to write")
    export.add_argument(
        "--review", type=Path, metavar="FILE", help="texts to export (default: .mlops/monitor/review.jsonl)"
    )
    imported = actions.add_parser("import", help="add what people labelled to the training data")
    imported.add_argument("file", type=Path, metavar="FILE", help="what the labelling tool exported")
    for action in (export, imported):
        action.add_argument(
            "--format", choices=FORMATS, default=FORMATS[0], help="the labelling tool's (default: label-studio)"
        )


def run(args: argparse.Namespace) -> int:
    """0 done; 1 labels are missing or people disagree: those texts were left out and are named."""
    from mlops_runtime import config
    from mlops_runtime.commands.run import TRAINING
    from mlops_runtime.pipeline import load

    settings = config.load()
    labels = importlib.import_module(f"{settings.project.package}.labels")
    raw = Path(str(load(settings.root / TRAINING, settings.training).inputs["raw_data"]))
    target = str(settings.training["target"])
    if args.action == "export":
        review = args.review or settings.root / ".mlops" / "monitor" / "review.jsonl"
        return _export(labels, args, review, raw, target)
    return _import(labels, args, settings, raw, target)


def _export(labels: Any, args: argparse.Namespace, review: Path, raw: Path, target: str) -> int:
    if not review.is_file():
        raise Problem(f"{review} does not exist: run `mlops monitor` first, or name a file with --review.")
    records = labels.read_lines(review)
    args.output.write_text(labels.FORMATS[args.format][0](records, target), encoding="utf-8", newline="\n")
    print(f"{len(records)} texts → {args.output}")
    if args.format == "label-studio":
        known = sorted({row[target] for row in labels.read_lines(raw) if row.get(target)})
        interface = args.output.with_suffix(".xml")
        interface.write_text(labels.interface(target, known), encoding="utf-8", newline="\n")
        print(f"Labelling interface, for the project's settings in Label Studio → {interface}")
    return 0


def _import(labels: Any, args: argparse.Namespace, settings: Any, raw: Path, target: str) -> int:
    from mlops_runtime.contract import Contract

    if not args.file.is_file():
        raise Problem(f"{args.file} does not exist or is not a file.")
    if raw.suffix != ".jsonl":
        raise Problem(f"{raw.name} is no .jsonl file: labels are added to such files only.")
    try:
        found = labels.FORMATS[args.format][1](args.file.read_text(encoding="utf-8"), target)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Problem(f"{args.file} is not what {args.format} exports: {error!r}") from None
    except Problem as problem:
        raise Problem(f"{args.file}: {problem}") from None
    contract = Contract.load(settings.root / "data" / "contract.yml")
    rows, added = labels.merge(labels.read_lines(raw), found.records, list(contract.columns))
    proposed = raw.with_name(raw.stem + "-proposed.jsonl")
    try:
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        proposed.write_text("".join(lines), encoding="utf-8", newline="\n")
        importlib.import_module(f"{settings.project.package}.data").load(proposed, contract)  # a broken row stays out
        proposed.replace(raw)
    finally:
        proposed.unlink(missing_ok=True)
    print(f"{len(found.records)} labels taken over: {added} new texts, {len(found.records) - added} known ones.")
    print(f"{raw.name} is a new version of the data; `mlops run` learns from it.")
    for reason, ids in (("without a label", found.missing), ("people disagree", found.conflicts)):
        if ids:
            print(f"Left out, {reason}: {'; '.join(ids)}")
    return 1 if found.missing or found.conflicts else 0
