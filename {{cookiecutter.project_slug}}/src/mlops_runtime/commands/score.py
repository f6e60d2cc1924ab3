"""Score a file with the registered model: its rows, with the predictions joined."""

import argparse
from pathlib import Path

from mlops_runtime.errors import Problem, Refusal

WRITTEN = (".csv", ".parquet", ".jsonl")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("file", type=Path, metavar="FILE", help="rows to score: .csv, .parquet or .jsonl")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="where to write (default: FILE's name with -scored, as .csv)"
    )
    parser.add_argument("--model-version", metavar="V", help="registered version to use (default: the champion)")


def run(args: argparse.Namespace) -> int:
    """Run the deployment's own scoring script, as a batch endpoint does."""
    import importlib
    import os

    from mlops_runtime import config, serving, tracking
    from mlops_runtime.contract import ContractError

    settings = config.load()
    output = args.output or args.file.with_name(f"{args.file.stem}-scored.csv")
    if output.suffix.lower() not in WRITTEN:
        raise Problem(f"--output {output}: the name must end in {', '.join(WRITTEN)}.")
    if not args.file.is_file():
        raise Problem(f"{args.file} does not exist or is not a file.")
    if not output.parent.is_dir():
        raise Problem(f"--output {output}: the folder {output.parent} does not exist.")
    version = serving.choose(settings.project.name, args.model_version)
    os.environ[serving.MODEL_DIR] = str(tracking.fetch(version))
    script = importlib.import_module(f"{settings.project.package}.score")
    script.init()
    try:
        result = script.run([str(args.file)])
    except ContractError as error:
        raise Refusal(str(error)) from None
    serving.write_table(result, output)
    print(f"{len(result):,} rows scored by {version.name} version {version.version} → {output}")
    return 0
