"""Hand texts to people for labelling, and take their labels back as a new version of the data."""

import argparse
from pathlib import Path
from typing import Any

from mlops_runtime.errors import Problem


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="export|import")
    export = actions.add_parser("export", help="choose texts to label: unsure ones that differ from each other")
    export.add_argument("--count", type=int, default=50, metavar="N", help="how many texts (default: 50)")
    export.add_argument(
        "--data", type=Path, metavar="FILE", help="texts to choose from (default: the review file of `mlops monitor`)"
    )
    export.add_argument("--output", type=Path, metavar="FOLDER", help="where to write (default: .mlops/label)")
    taken = actions.add_parser("import", help="add labels to the training data")
    taken.add_argument("file", type=Path, metavar="FILE", help="the labelling tool's export")
    for action in (export, taken):  # which formats there are depends on the task
        action.add_argument(
            "--format", required=True, metavar="FORMAT", help="the labelling tool's: label-studio, azureml …"
        )


def run(args: argparse.Namespace) -> int:
    """Export or import: 0 done, 1 imported, but some labels are missing or people disagree."""
    import importlib

    from mlops_runtime import config, pipeline
    from mlops_runtime.commands.run import TRAINING
    from mlops_runtime.contract import Contract

    settings = config.load()
    labelling: Any = importlib.import_module(f"{settings.project.package}.labelling")
    if args.format not in labelling.FORMATS:
        raise Problem(f"--format {args.format}: choose one of {', '.join(labelling.FORMATS)}.")
    inputs = pipeline.load(settings.root / TRAINING, settings.training).inputs
    raw, contract = Path(str(inputs["raw_data"])), Contract.load(Path(str(inputs["contract"])))
    target = str(settings.training["target"])
    if raw.suffix != ".jsonl":
        raise Problem(f"{raw.name} is no .jsonl file: labels are added to such files only.")
    if args.action == "export":
        folder = args.output or settings.root / ".mlops" / "label"
        proposed = candidates(settings, labelling, contract, args)
        texts = labelling.export(proposed, folder, args.format, target, labelling.read_lines(raw))
        print(f"{len(texts):,} texts to label in {folder}; give your labelling tool {labelling.file(args.format)}")
        return 0
    if not args.file.is_file():
        raise Problem(f"{args.file} does not exist or is not a file.")
    found, added = labelling.take(args.file, args.format, target, raw, contract)
    print(f"{len(found.records):,} labels taken over: {added:,} new texts, {len(found.records) - added:,} known ones.")
    print(f"{raw.name} is a new version of the data: the next `mlops run` learns from it.")
    for fault in [*(f"{one}: it has no label" for one in found.missing), *found.conflicts]:
        print(f"  left out: {fault}")
    return 1 if found.missing or found.conflicts else 0


def candidates(settings: Any, labelling: Any, contract: Any, args: argparse.Namespace) -> Any:
    """The rows to label, with the model's answers."""
    from mlops_runtime import serving

    if args.count < 1:
        raise Problem(f"--count {args.count}: give at least 1.")
    if args.data is None:
        review = settings.root / ".mlops" / "monitor" / "review.jsonl"
        if not review.is_file():
            raise Problem("There are no texts for review: run `mlops monitor` first, or give texts with --data.")
        return labelling.read_lines(review)[: args.count]
    model, frame = serving.champion_for(settings, args.data)
    return labelling.propose(model, frame, contract, args.count)
