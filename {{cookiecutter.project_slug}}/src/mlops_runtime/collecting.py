"""Collecting what a model was asked and what it answered, for monitoring.

On Azure ML, where the deployment's `data_collector` is on, through azureml-ai-monitoring into the collections
model_inputs, model_outputs and refused, correlated by request id. Elsewhere as JSON lines, one per request, in the
folder that MLOPS_COLLECT_TO names (default: .mlops/collected in the repository). A failure to collect never fails a
request.
"""

import json
import logging
import os
import threading
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_runtime.config import find_root
from mlops_runtime.contract import Contract
from mlops_runtime.errors import Problem

if TYPE_CHECKING:
    import pandas as pd

INPUTS, OUTPUTS, REFUSED = "model_inputs", "model_outputs", "refused"  # collections of Azure ML's data collector
TABLES = "collected"  # folder in the output of a batch job
FOLDER = "MLOPS_COLLECT_TO"
VERSION = "MLOPS_MODEL_VERSION"  # which registered version answers; set by `mlops serve`
MASK = "MLOPS_COLLECT_MASK"  # columns, separated by commas, whose values are not kept
DAYS = "MLOPS_COLLECT_DAYS"  # files that are older are removed
LARGEST_FILE = 256 * 2**20  # bytes per process and day
logger = logging.getLogger("azmlinfsrv.collecting")  # a child of the logger that the inference server shows


def local_folder(root: Path) -> Path:
    """Where requests to the model of the repository `root` are collected on this machine."""
    return Path(os.environ.get(FOLDER) or root / ".mlops" / "collected")


def masked(columns: list[str], rows: list[list[Any]]) -> list[list[Any]]:
    """The rows with null in place of what MLOPS_COLLECT_MASK names."""
    names = _not_kept()
    hidden = {place for place, name in enumerate(columns) if name in names}
    if not hidden:
        return rows
    return [[None if place in hidden else value for place, value in enumerate(row)] for row in rows]


def masked_outputs(outputs: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The answers by column with null in place of what MLOPS_COLLECT_MASK names."""
    names = _not_kept()
    return {name: [None] * len(values) if name in names else values for name, values in outputs.items()}


def _not_kept() -> list[str]:
    return os.environ.get(MASK, "").split(",")


class FileCollector:
    """Appends to <folder>/<date>-<process>.jsonl, each request as one line in one write."""

    def __init__(self, folder: Path | None) -> None:
        """Without a folder nothing is kept."""
        self.folder = folder
        self.version = os.environ.get(VERSION, "")
        self._lock = threading.Lock()
        self._file = -1
        self._day = ""
        self._size = 0
        self._warned = False

    def served(self, request_id: str, columns: list[str], rows: list[list[Any]], outputs: dict[str, list[Any]]) -> None:
        """Keep an answered request."""
        kept = {"columns": columns, "rows": masked(columns, rows), "outputs": masked_outputs(outputs)}
        self._append({"id": request_id, **kept})

    def refused(self, request_id: str, status: int, reasons: list[str]) -> None:
        """Keep that a request was refused, and why, without the values of masked columns."""
        names = [f"column {name}:" for name in _not_kept() if name]
        told = [reason.partition(": ")[0] if any(name in reason for name in names) else reason for reason in reasons]
        self._append({"id": request_id, "status": status, "reasons": told})

    def _append(self, record: dict[str, Any]) -> None:
        if self.folder is None:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        record = {"time": now, "version": self.version, **record}
        line = json.dumps(record, separators=(",", ":")).encode("ascii") + b"\n"
        with self._lock:
            try:
                if now[:10] != self._day:
                    self._open(self.folder, now[:10])
                if self._size + len(line) > LARGEST_FILE:
                    raise OSError(f"more than {LARGEST_FILE:,} bytes today")
                self._size += os.write(self._file, line)
            except OSError as error:
                if not self._warned:  # once: a full disk must not fill the log too
                    logger.warning("Requests are not collected in %s: %s", self.folder, error)
                self._warned = True

    def _open(self, folder: Path, day: str) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        folder.mkdir(parents=True, exist_ok=True)
        remove_old(folder, day)
        path = folder / f"{day}-{os.getpid()}.jsonl"
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self._file = os.open(path, flags, 0o600)  # requests can be personal data
        self._size = os.fstat(self._file).st_size
        self._day = day


def remove_old(folder: Path, today: str) -> None:
    """Remove the files of days that are longer ago than MLOPS_COLLECT_DAYS."""
    if os.environ.get(DAYS):
        first = (date.fromisoformat(today) - timedelta(days=int(os.environ[DAYS]))).isoformat()
        for path in folder.glob("????-??-??-*.jsonl"):
            if path.name[:10] < first:
                path.unlink(missing_ok=True)


class AzureCollector:
    """Hands inputs and outputs to Azure ML's data collector."""

    def __init__(self, inputs: Contract) -> None:
        """`inputs` gives the column types, which Azure ML's monitors want to be the same in every request."""
        from azureml.ai.monitoring import Collector as Collection

        numbers = ("integer", "number")
        self._types = {name: float if column.type in numbers else object for name, column in inputs.columns.items()}
        self._inputs = Collection(name=INPUTS, on_error=self._report)
        self._outputs = Collection(name=OUTPUTS, on_error=self._report)
        self._refused = Collection(name=REFUSED, on_error=self._report)

    def served(self, request_id: str, columns: list[str], rows: list[list[Any]], outputs: dict[str, list[Any]]) -> None:
        """Keep an answered request."""
        import pandas as pd
        from azureml.ai.monitoring.context import BasicCorrelationContext

        types = {name: self._types[name] for name in columns}
        frame = pd.DataFrame(masked(columns, rows), columns=columns).astype(types)
        context = self._inputs.collect(frame, BasicCorrelationContext(id=request_id))
        self._outputs.collect(pd.DataFrame(masked_outputs(outputs)), context)

    def refused(self, request_id: str, status: int, reasons: list[str]) -> None:
        """Keep that a request was refused; not why, as the reasons quote it."""
        import pandas as pd
        from azureml.ai.monitoring.context import BasicCorrelationContext

        self._refused.collect(pd.DataFrame({"status": [status]}), BasicCorrelationContext(id=request_id))

    def _report(self, error: Exception) -> None:
        logger.warning("A request was not collected: %s", error)


Collector = FileCollector | AzureCollector


def open_collector(inputs: Contract) -> Collector:
    """The collector for where this runs."""
    if os.environ.get("AZUREML_MDC_CONFIG_PATH") or os.environ.get("AZUREML_MDC_ENABLED", "").lower() == "true":
        return AzureCollector(inputs)
    if os.environ.get(FOLDER):
        return FileCollector(Path(os.environ[FOLDER]))
    try:
        return FileCollector(local_folder(find_root()))
    except Problem:  # outside a repository, such as on Azure ML without a data collector
        return FileCollector(None)


@dataclass(frozen=True)
class Collected:
    """What `load_collected` found."""

    requests: "pd.DataFrame"  # one row per prediction: request_id, request_time, the input columns, the output columns
    outputs: list[str]  # the output columns
    refused: list[dict[str, Any]]  # time, id, status, reasons
    unreadable: int  # lines cut short, for example by a crash
    others: dict[str, int]  # rows that other versions answered: version → count


def load_deployed(folder: Path, days: int, inputs: Contract, version: str) -> Collected:
    """What a deployment on Azure ML kept below `folder` in the last `days` before the newest request.

    Of batch jobs only what this version answered: a live deployment has a folder of its own.
    """
    import pandas as pd

    events = (folder / INPUTS).is_dir()
    found = _load_events(folder) if events else _load_tables(folder, set(inputs.columns), version)
    if not len(found.requests):
        return found
    requests = found.requests.assign(request_time=pd.to_datetime(found.requests["request_time"], utc=True))
    recent = requests["request_time"] > requests["request_time"].max() - pd.Timedelta(days=days)
    return replace(found, requests=requests[recent].sort_values("request_time", kind="stable", ignore_index=True))


def _load_events(folder: Path) -> Collected:
    """What Azure ML's data collector kept: a folder per collection, with JSON lines in the CloudEvents format.

    The events of one request have the same correlationid, and the `data` of its inputs and outputs the same number of
    rows. Events whose data were too large for the line (`datainblob`) are counted as unreadable.
    """
    import pandas as pd

    unreadable = 0
    found: dict[str, dict[str, Any]] = {}
    for collection in (INPUTS, OUTPUTS, REFUSED):
        for path in sorted((folder / collection).rglob("*.jsonl")):
            for line in path.read_bytes().splitlines():
                try:
                    event = json.loads(line)
                    rows = [dict(row) for row in event["data"]]
                    found.setdefault(event["correlationid"], {"time": event["time"]})[collection] = rows
                except (ValueError, KeyError, TypeError):
                    unreadable += 1
    rows, refused = [], []
    outputs: dict[str, None] = {}
    for number, request in found.items():
        asked, answered = request.get(INPUTS, []), request.get(OUTPUTS, [])
        refused += [{"id": number, "time": request["time"], **one} for one in request.get(REFUSED, [])]
        if len(asked) != len(answered):
            unreadable += 1
            continue
        for given, answer in zip(asked, answered, strict=True):
            outputs.update(dict.fromkeys(answer))
            rows.append({"request_id": number, "request_time": request["time"], **given, **answer})
    return Collected(pd.DataFrame(rows), list(outputs), refused, unreadable, {})


def _load_tables(folder: Path, inputs: set[str], version: str) -> Collected:
    """What batch jobs kept: Parquet files of inputs and answers, anywhere below `folder` in folders `collected`."""
    import pandas as pd

    tables = [pd.read_parquet(path) for path in sorted(folder.rglob(f"{TABLES}/*/*.parquet"))]
    if not tables:
        return Collected(pd.DataFrame(), [], [], 0, {})
    rows = pd.concat(tables, ignore_index=True)
    own = rows["model_version"] == version
    others = {str(name): int(count) for name, count in rows.loc[~own, "model_version"].value_counts().items()}
    outputs = [str(name) for name in rows if name not in {*inputs, "request_id", "request_time", "model_version"}]
    return Collected(rows[own].reset_index(drop=True), outputs, [], 0, others)


def load_collected(folder: Path, version: str) -> Collected:
    """The requests that FileCollector kept in `folder` and that the registered `version` answered, oldest first."""
    import pandas as pd

    tables: dict[tuple[str, ...], list[list[Any]]] = {}
    outputs: dict[str, None] = {}
    refused: list[dict[str, Any]] = []
    others: dict[str, int] = {}
    unreadable = 0
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_bytes().splitlines():
            try:
                record = json.loads(line)
                served = "status" not in record
                rows = list(zip(*record["outputs"].values(), strict=True)) if served else []
            except (ValueError, KeyError):
                unreadable += 1
                continue
            if record["version"] != version:
                others[record["version"]] = others.get(record["version"], 0) + len(rows)
            elif served:
                outputs.update(dict.fromkeys(record["outputs"]))
                names = ("request_id", "request_time", *record["columns"], *record["outputs"])
                lines = tables.setdefault(names, [])
                for row, output in zip(record["rows"], rows, strict=True):
                    lines.append([record["id"], record["time"], *row, *output])
            else:
                refused.append(record)
    frames = [pd.DataFrame(rows, columns=list(names)) for names, rows in tables.items()]
    requests = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    if len(requests):
        requests["request_time"] = pd.to_datetime(requests["request_time"], format="ISO8601", utc=True)
        requests = requests.sort_values("request_time", kind="stable", ignore_index=True)
    return Collected(requests, list(outputs), refused, unreadable, others)
