"""Run an Azure ML pipeline on this machine, reusing steps whose code, inputs, parameters and environment are unchanged.

Every finished step is a folder .mlops/steps/<step>/<key>/ with its outputs, its log and record.json. The key is a hash
of everything that went in. A step works in a temporary folder that gets its final name only when it has succeeded, so
an interrupted run leaves nothing that looks finished.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mlops_runtime.config import Scalar
from mlops_runtime.errors import Problem, Refusal
from mlops_runtime.files import write_json
from mlops_runtime.pipeline import FromStep, Pipeline, Step
from mlops_runtime.register import REFUSED

UNFINISHED = "running-"  # how the folder of a step that runs begins
KEPT = 5  # finished results kept per step; older ones are removed
NOT_CODE = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".ipynb_checkpoints"}


@dataclass(frozen=True)
class Done:
    """A finished step: where its outputs are and whether they were there before."""

    step: str
    folder: Path
    reused: bool
    seconds: float

    def output(self, name: str) -> Path:
        """The path of one output."""
        return self.folder / "outputs" / name


def run(pipeline: Pipeline, root: Path, *, reuse: bool = True, say: Callable[[str], None] = print) -> dict[str, Done]:
    """Run the steps in order and return them by name.

    Raises Refusal when a step ends with the exit code for "no", Problem (with step, command and log) when it fails.
    """
    from mlops_runtime.tracking import PIPELINE_RUN, local_store

    store = root / ".mlops"
    environment = {**local_store(root), **os.environ, PIPELINE_RUN: uuid.uuid4().hex[:12]}
    environment["PYTHONUNBUFFERED"] = "1"
    environment["PYTHONUTF8"] = "1"
    installed = _installed()
    done: dict[str, Done] = {}
    with _lock(store):
        for killed in store.glob(f"steps/*/{UNFINISHED}*"):
            shutil.rmtree(killed)
        for number, step in enumerate(pipeline.steps, 1):
            label = f"[{number}/{len(pipeline.steps)}] {step.name}"
            inputs = {
                name: done[value.step].output(value.output) if isinstance(value, FromStep) else value
                for name, value in step.inputs.items()
            }
            key = _key(step, inputs, installed)
            folder = store / "steps" / step.name / key
            if reuse and pipeline.reuse and step.deterministic and (folder / "record.json").is_file():
                os.utime(folder)
                done[step.name] = Done(step.name, folder, reused=True, seconds=0.0)
                say(f"{label}: unchanged, reused")
            else:
                done[step.name] = _execute(step, inputs, folder, environment, label, say)
                _forget_old(folder.parent)
            for report in sorted(folder.glob("outputs/*/report.html")):
                say(f"      report: {report}")
    return done


def _execute(
    step: Step,
    inputs: dict[str, Scalar | Path | None],
    folder: Path,
    environment: dict[str, str],
    label: str,
    say: Callable[[str], None],
) -> Done:
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=folder.parent))
    log = folder.parent / f"{folder.name}.log"
    outputs = {name: work / "outputs" / name for name in step.outputs}
    (work / "outputs").mkdir()
    for name, kind in step.outputs.items():
        if kind != "uri_file":  # as Azure ML does
            outputs[name].mkdir()
    command = step.arguments(inputs, outputs)
    started = time.monotonic()
    try:
        with log.open("w", encoding="utf-8") as stream, _progress(label):
            stream.write(f"$ {subprocess.list2cmdline(command)}\n")
            stream.flush()
            code = _call(command, step.code, environment, stream)
        seconds = time.monotonic() - started
        if code == REFUSED:
            raise Refusal(_last_lines(log, 20))
        if code != 0:
            raise Problem(
                f"{label} failed with exit code {code} after {seconds:.1f} s.\n"
                f"Command: {subprocess.list2cmdline(command)}\nLog: {log}\n{_reason(log)}"
            )
        missing = [name for name, path in outputs.items() if not any(_files(path))]
        if missing:
            raise Problem(f"{label} ended well but wrote no {', '.join(missing)}.\nLog: {log}")
        shutil.move(log, work / "log.txt")
        record = {"step": step.name, "command": command, "seconds": round(seconds, 3)}
        write_json(work / "record.json", record)
        if folder.exists():
            shutil.rmtree(folder)
        work.rename(folder)
    finally:
        if work.exists():
            shutil.rmtree(work)
    say(f"{label}: {seconds:.1f} s")
    return Done(step.name, folder, reused=False, seconds=seconds)


def _call(command: list[str], folder: Path, environment: dict[str, str], log: IO[str]) -> int:
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            close_fds=False,  # the run's lock, which is inheritable, stays with the step
        )
    except OSError as error:
        raise Problem(f"{command[0]} cannot be started: {error}.") from None
    try:
        return process.wait()
    except BaseException:  # interrupted: the step must not go on alone
        process.terminate()
        process.wait()
        raise


def _last_lines(log: Path, count: int) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[1:]
    return "\n".join(lines[-count:])


def _reason(log: Path) -> str:
    """What the step's Problem says, without the traceback to it; the end of the log when it failed otherwise."""
    marker = f"\n{Problem.__module__}.{Problem.__qualname__}: "
    _, found, said = log.read_text(encoding="utf-8", errors="replace").rpartition(marker)
    return said.strip() if found else _last_lines(log, 12)


def _key(step: Step, inputs: dict[str, Scalar | Path | None], installed: str) -> str:
    """A hash of what the step's result depends on; folders made by earlier steps count by their own key."""
    total = hashlib.sha256()
    for part in (step.command, installed, _content(step.code), _content(step.environment) if step.environment else ""):
        total.update(part.encode() + b"\0")
    for name in sorted(inputs):
        value = inputs[name]
        text = _content(value) if isinstance(value, Path) else repr(value)
        total.update(f"{name}={text}\0".encode())
    return total.hexdigest()[:16]


def _content(path: Path) -> str:
    """A hash of a file's bytes or of a folder's names and bytes."""
    record = next((p / "record.json" for p in path.parents if p.parent.parent.name == "steps"), None)
    if record is not None and record.is_file():  # an earlier step's output: its key says it all
        return f"{record.parent.parent.name}/{record.parent.name}/{path.name}"
    total = hashlib.sha256()
    for file in _files(path):
        total.update(file.relative_to(path).as_posix().encode() + b"\0")
        with file.open("rb") as stream:
            total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(name for name in folders if name not in NOT_CODE and not name.endswith(".egg-info"))
        for name in sorted(files):
            if not name.endswith(".pyc"):
                yield Path(folder, name)


def _installed() -> str:
    """Python and the installed distributions with their versions: the environment in which the steps run."""
    names = sorted(p.name for entry in sys.path if Path(entry).is_dir() for p in Path(entry).glob("*.dist-info"))
    return f"{sys.version_info[:3]} {sys.platform} {' '.join(names)}"


def _forget_old(folder: Path) -> None:
    """Keep a step's newest results: going back to an earlier setting is quick and the disk does not fill."""
    finished = sorted((p for p in folder.iterdir() if (p / "record.json").is_file()), key=lambda p: p.stat().st_mtime)
    for old in finished[:-KEPT]:
        shutil.rmtree(old)


@contextmanager
def _lock(store: Path) -> Iterator[None]:
    """Let one run at a time work in the store; the lock ends with its process and with the step that it had begun."""
    store.mkdir(parents=True, exist_ok=True)
    with (store / "run.lock").open("a", encoding="utf-8") as file:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Problem(
                f"Another run, or a step of one that was killed, works in {store}: wait for its end."
            ) from None
        os.set_inheritable(file.fileno(), True)
        yield


@contextmanager
def _progress(label: str) -> Iterator[None]:
    """Show the step and its time while it runs, where somebody is watching."""
    if not sys.stdout.isatty():
        yield
        return
    stop = threading.Event()
    started = time.monotonic()

    def show() -> None:
        while not stop.wait(0.2):
            sys.stdout.write(f"\r{label}: running, {time.monotonic() - started:.0f} s ")
            sys.stdout.flush()

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        sys.stdout.write("\r\033[K")
