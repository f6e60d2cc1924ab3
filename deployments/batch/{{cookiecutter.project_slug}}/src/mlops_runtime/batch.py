"""What a batch deployment runs: the project's own scoring script, whose answers are also kept for monitoring.

They stay in the lake, in the output folder of the job: collected/<date>/<name>.parquet, one row per answer with the
inputs beside it, without the columns that config masks.
"""

import importlib
import os
import random
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # workers start this file by its path

from mlops_runtime.collecting import MASK, TABLES, VERSION

if TYPE_CHECKING:
    import pandas as pd

PACKAGE, SHARE = "MLOPS_PACKAGE", "MLOPS_COLLECT_SHARE"
OUTPUT = "AZUREML_BI_OUTPUT_PATH"  # set by Azure ML: the job's output folder
TIME, MODEL = "request_time", "model_version"

script: Any


def init() -> None:
    """Load the model: called once per worker."""
    global script
    script = importlib.import_module(f"{os.environ[PACKAGE]}.score")
    script.init()


def run(mini_batch: list[str]) -> "pd.DataFrame":
    """The predictions for some files."""
    tables: list[pd.DataFrame] = []
    if hasattr(script.service, "scored"):  # it knows more of its input than it answers
        script.service.scored = tables.append
    answers: pd.DataFrame = script.run(mini_batch)
    output = os.environ.get(OUTPUT)
    if output and random.random() < float(os.environ.get(SHARE, "1")):
        keep(tables[0] if tables else answers, Path(output))
    return answers


def keep(table: "pd.DataFrame", output: Path) -> None:
    """Write a table of inputs and predictions below `output`, as it may be kept."""
    import pandas as pd

    clean = getattr(script.service, "keep", None)
    kept = pd.DataFrame(clean(table.to_dict("list"))) if clean else table.copy()
    masked = {name.strip() for name in os.environ.get(MASK, "").split(",")}
    kept = kept.drop(columns=[name for name in kept if name in masked])
    now = datetime.now(UTC)
    kept[TIME], kept[MODEL] = pd.Timestamp(now), os.environ.get(VERSION, "")
    folder = output / TABLES / f"{now:%Y-%m-%d}"
    folder.mkdir(parents=True, exist_ok=True)
    kept.to_parquet(folder / f"{uuid4().hex}.parquet", index=False)
