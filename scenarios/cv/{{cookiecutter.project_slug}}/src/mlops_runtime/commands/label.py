"""Hand images to people for labelling, and take their labels back as a new version of the data."""

import argparse
import re
from pathlib import Path
from typing import Any

from mlops_runtime.errors import Problem
from mlops_runtime.files import replacing

FORMATS = ("label-studio", "azureml", "coco")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="export|import")
    export = actions.add_parser("export", help="choose images to label: unsure ones that differ from each other")
    export.add_argument("--format", choices=FORMATS, required=True, help="what the labelling tool reads")
    export.add_argument("--count", type=int, default=50, metavar="N", help="how many images (default: 50)")
    export.add_argument(
        "--data", type=Path, metavar="FILE", help="images to choose from (default: the review file of `mlops monitor`)"
    )
    export.add_argument("--output", type=Path, metavar="FOLDER", help="where to write (default: .mlops/label)")
    taken = actions.add_parser("import", help="add labels to the training data")
    taken.add_argument("file", type=Path, metavar="FILE", help="the labelling tool's export")
    taken.add_argument("--format", choices=FORMATS, required=True, help="what the labelling tool writes")
    taken.add_argument("--exported", type=Path, metavar="FOLDER", help="what `export` wrote (default: .mlops/label)")


def run(args: argparse.Namespace) -> int:
    """Export or import: 0 done, 1 imported, but some labels are missing or conflict."""
    import importlib

    from mlops_runtime import config, pipeline
    from mlops_runtime.commands.run import TRAINING
    from mlops_runtime.contract import Contract

    settings = config.load()
    inputs = pipeline.load(settings.root / TRAINING).inputs
    labelling: Any = importlib.import_module(f"{settings.project.package}.labelling")
    folder: Path = (args.output if args.action == "export" else args.exported) or settings.root / ".mlops" / "label"
    if args.action == "export":
        before = labelling.exported(folder)
        contract = Contract.load(Path(str(inputs["contract"])))
        images = labelling.export(candidates(settings, args.data), folder, args.format, args.count, contract)
        if before:
            print(f"The export that was in {folder} is replaced: its labels can no longer be imported.")
        print(f"{len(images):,} images to label in {folder}; give your labelling tool {labelling.file(args.format)}")
        return 0
    if not args.file.is_file():
        raise Problem(f"{args.file} does not exist or is not a file.")
    data = training_data(Path(str(inputs["raw_data"])))
    added, faults = labelling.take(args.file, args.format, folder, data)
    for fault in faults:
        print(f"  {fault}")
    if added.empty:
        print("No image has a new label; the data stay as they are.")
        return 1
    path = free_name(data)
    with replacing(path) as file:
        added.to_parquet(file, index=False)
    print(f"{len(added):,} labelled images → {path}: the next `mlops run` learns from them.")
    return 1 if faults else 0


def candidates(settings: Any, data: Path | None) -> Any:
    """The images to choose from, scored."""
    import pandas as pd

    from mlops_runtime import serving

    if data is None:
        review = settings.root / ".mlops" / "monitor" / "review.parquet"
        if not review.is_file():
            raise Problem("There are no images for review: run `mlops monitor` first, or give images with --data.")
        return pd.read_parquet(review)
    model, frame = serving.champion_for(settings, data)
    predictions = model.predict(frame)
    return frame.drop(columns=list(predictions), errors="ignore").join(predictions)


def training_data(folder: Path) -> Path:
    """The folder that the training pipeline reads; Problem when a file cannot be added to it."""
    if not folder.is_dir() or not any(folder.glob("*.parquet")):
        raise Problem(f"{folder} is no folder of Parquet files, so labels cannot be added there as one more.")
    return folder


def free_name(folder: Path) -> Path:
    """The next of labelled-001.parquet, labelled-002.parquet …"""
    numbers = [int(found[1]) for file in folder.iterdir() if (found := re.fullmatch(r"labelled-(\d+)", file.stem))]
    return folder / f"labelled-{max(numbers, default=0) + 1:03d}.parquet"
