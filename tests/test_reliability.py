"""What is killed, starved or misled loses nothing, says what to do, and goes on when it is started again."""

import http.client
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from .conftest import TEMPLATE, Environment
from .server import post, serving
from .tasks import SCENARIOS

pytestmark = [pytest.mark.full, pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals, sets limits")]
Used = Callable[[str], Path]
MARKER = ".unfinished"


def files(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def start(command: list[object], cwd: Path, **more: str) -> subprocess.Popen[str]:
    """A process with a group of its own, so that all of it can be killed at once."""
    return subprocess.Popen(
        list(map(str, command)),
        cwd=cwd,
        env={**os.environ, **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,
    )


def test_a_generation_that_was_killed(tmp_path: Path, baked: Callable[..., Path]) -> None:
    """At many moments: what is there is whole or says that it is not, and generating over it makes it whole."""
    command = [sys.executable, "-m", "cookiecutter", TEMPLATE, "--no-input", "project_name=Taxi Fares", "-f"]
    command += ["-o", tmp_path]
    project, whole = tmp_path / "taxi-fares", files(baked("classification"))
    halves = 0
    began = time.monotonic()
    assert start(command, tmp_path).wait() == 0
    took = time.monotonic() - began
    shutil.rmtree(project)
    for hundredths in range(30, 110, 8):
        process = start(command, tmp_path)
        time.sleep(took * hundredths / 100)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        found = files(project) if project.exists() else {}
        if found and found != whole:  # an empty folder, made before any hook runs, looks like nothing
            halves += 1
            assert (project / MARKER).is_file(), f"killed after {hundredths} % of its time, and looks finished"
            assert "generate it again" in (project / MARKER).read_text()
        elif found:
            shutil.rmtree(project)  # whole: it could be somebody's work, which is not generated over
    assert halves > 2, "no moment was in the middle"
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    assert files(project) == whole


def test_a_project_that_is_not_whole_is_named(
    baked: Callable[..., Path], installed: Environment, tmp_path: Path
) -> None:
    root = tmp_path / "project"
    shutil.copytree(baked("classification"), root)
    (root / MARKER).write_text("Generating this project was interrupted.")
    done = installed.mlops("check", cwd=root, check=False)
    assert done.returncode == 1
    assert "interrupted" in done.stdout


@pytest.fixture
def unregistered(used: Used, tmp_path: Path) -> Path:
    """A project whose pipeline has run, up to its last step."""
    root = tmp_path / "project"
    shutil.copytree(used("classification"), root)
    for path in (root / ".mlops").glob("mlflow.db*"):
        path.unlink()
    for folder in (".mlops/artifacts", ".mlops/steps/register"):
        shutil.rmtree(root / folder)
    return root


def versions(root: Path) -> int:
    """How many models are registered; the store must be whole."""
    with sqlite3.connect(root / ".mlops/mlflow.db") as store:
        assert store.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return int(store.execute("SELECT count(*) FROM model_versions").fetchone()[0])


@pytest.mark.parametrize("whole_machine", [True, False], ids=["with its steps", "alone"])
def test_a_run_that_was_killed(unregistered: Path, installed: Environment, whole_machine: bool) -> None:
    """While it registers, at moments that differ: the next run ends with one model, registered once."""
    root, chance = unregistered, random.Random(7)
    run: list[object] = [installed.python, "-m", "mlops_runtime.cli", "run"]
    for _ in range(3):
        process = start(run, root, PYTHONPATH=str(root / "src"))
        while not list((root / ".mlops/steps").glob("register/running-*")) and process.poll() is None:
            time.sleep(0.05)
        time.sleep(chance.uniform(0.5, 5))
        if whole_machine:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
    for _ in range(60):
        done = installed.mlops("run", cwd=root, check=False)
        if "a step of one that was killed" not in done.stderr:
            break
        time.sleep(1)
    assert done.returncode == 0, done.stdout + done.stderr
    assert versions(root) == 1
    assert not list((root / ".mlops/steps").glob("*/running-*"))


def test_a_run_in_a_poor_place(unregistered: Path, installed: Environment, tmp_path: Path) -> None:
    """Without git, without network, in the C locale, over files from the future."""
    root = unregistered
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone/sitecustomize.py").write_text(
        "import socket\n"
        "def refuse(*_): raise OSError('no network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
    )
    for path in root.rglob("*"):
        os.utime(path, (4_000_000_000, 4_000_000_000))
    environment = {"PATH": str(installed.bin), "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    environment["PYTHONPATH"] = f"{root / 'src'}{os.pathsep}{tmp_path / 'alone'}"
    for arguments in (["run", "--force"], ["run"], ["check"]):
        done = start([installed.python, "-m", "mlops_runtime.cli", *arguments], root, **environment)
        said, _ = done.communicate()
        assert done.returncode == 0, said
    assert versions(root) == 1


def limited(installed: Environment, root: Path, size: int, *arguments: object, killed: bool = False) -> str:
    """What `mlops` says when no file can become larger than `size` bytes: met as a full disk is, or killed there."""
    code = f"import resource, signal; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))\n"
    code += "signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n" if killed else ""
    code += "import sys; from mlops_runtime import cli; sys.exit(cli.main(sys.argv[1:]))"
    done = installed.run("-c", code, *arguments, cwd=root, check=False)
    assert done.returncode == (-signal.SIGXFSZ if killed else 2), done.stdout + done.stderr
    return done.stdout + done.stderr


def test_no_space_left(used: Used, installed: Environment, tmp_path: Path) -> None:
    root = tmp_path / "project"
    shutil.copytree(used("classification"), root)
    said = limited(installed, root, 10_000, "run", "--force")
    assert "[1/4] prepare failed" in said
    assert "File too large" in said
    output = root / "scored.csv"
    output.write_text("what was there before")
    score = ("score", "data/flights-new.parquet", "--output", output)
    for size, reason in ((10_000, "MLflow's store in .mlops cannot be used"), (1_000_000, "File too large")):
        said = limited(installed, root, size, *score)
        assert said.splitlines()[-1].startswith(f"Error: {reason}"), said  # MLflow itself may log more before
        assert output.read_text() == "what was there before"
    assert not list(root.glob(".*.unfinished"))
    assert installed.mlops("run", cwd=root).stdout.count("unchanged, reused") == 4, "nothing was lost"


def test_labels_that_cannot_be_written(baked: Callable[..., Path], installed: Environment, tmp_path: Path) -> None:
    """Refused or killed half-way through the file, the training data are as they were, and it works the next time."""
    root = tmp_path / "project"
    shutil.copytree(baked("text-classification"), root)
    raw = root / "data/tickets.jsonl"
    before = raw.read_bytes()
    new = [json.loads(line) for line in (root / "data/tickets-new.jsonl").read_text("utf-8").split("\n")[:3]]
    columns = ("ticket_id", "created", "language", "channel", "text")
    review = [{**{name: row[name] for name in columns}, "created": row["created"] + ":00"} for row in new]
    (root / ".mlops/monitor").mkdir(parents=True)
    (root / ".mlops/monitor/review.jsonl").write_text("".join(json.dumps(row) + "\n" for row in review))
    installed.mlops("label", "export", "--format", "azureml", cwd=root)
    target = yaml.safe_load((root / "config/shared.yml").read_text(encoding="utf-8"))["training"]["target"]
    lines = [json.loads(line) for line in (root / ".mlops/label/to-label.jsonl").read_text("utf-8").splitlines()]
    done = [json.dumps({**line, "label": row[target]}) for line, row in zip(lines, new, strict=True)]
    (root / "done.jsonl").write_text("\n".join(done), encoding="utf-8")
    words = ("label", "import", "done.jsonl", "--format", "azureml")
    assert "File too large" in limited(installed, root, len(before) // 2, *words)
    limited(installed, root, len(before) // 2, *words, killed=True)
    assert raw.read_bytes() == before
    installed.mlops(*words, cwd=root)
    assert raw.read_bytes().startswith(before)
    assert len(raw.read_bytes().splitlines()) == len(before.splitlines()) + len(new)


@pytest.mark.parametrize("words", ["run", "score data/flights-new.parquet --output scored.csv", "serve"])
def test_a_folder_that_cannot_be_written(
    baked: Callable[..., Path], installed: Environment, tmp_path: Path, words: str
) -> None:
    """A file stands where the folder should be: root, as whom tests may run, may write into any folder."""
    root = tmp_path / "project"
    shutil.copytree(baked("classification"), root)
    (root / ".mlops").touch()
    done = installed.mlops(*words.split(), cwd=root, check=False)
    assert done.returncode == 2
    assert re.fullmatch(r"Error: .*\.mlops.*\n", done.stderr)


def test_a_server_that_was_killed(used: Used, installed: Environment, tmp_path: Path) -> None:
    """Under load: what was answered is collected, and at most the requests under way are not whole."""
    root = tmp_path / "project"
    shutil.copytree(used("classification"), root)
    shutil.rmtree(root / ".mlops/collected", ignore_errors=True)
    answered = [0] * 4

    def ask(number: int, body: bytes) -> None:
        while True:
            try:
                answered[number] += post("http://127.0.0.1:5790", body)[0] == 200
            except (OSError, http.client.HTTPException):
                return

    command: list[object] = [installed.python, "-m", "mlops_runtime.cli", "serve", "--port", 5790]
    process = start(command, root, PYTHONPATH=str(root / "src"))
    assert process.stdout
    for line in process.stdout:
        if line.startswith("Ctrl-C"):
            break
    body = (root / ".mlops/serve/example-request.json").read_bytes()
    threads = [threading.Thread(target=ask, args=(number, body)) for number in range(len(answered))]
    for thread in threads:
        thread.start()
    time.sleep(3)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for thread in threads:
        thread.join()
    lines = [line for path in (root / ".mlops/collected").glob("*.jsonl") for line in path.read_bytes().splitlines()]
    whole = [line for line in lines if line.endswith(b"}") and json.loads(line)]
    assert sum(answered) > 100
    assert sum(answered) <= len(whole) <= sum(answered) + len(answered)
    assert len(lines) - len(whole) <= 1
    with serving(installed, root, 5790) as url:
        assert post(url, body)[0] == 200


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_requests_that_nobody_should_send(used: Used, installed: Environment, scenario: str) -> None:
    done = installed.run(TEMPLATE / "tests/fuzz_score.py", 300, cwd=used(SCENARIOS[scenario][0]))
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen.get("200", 0) > 0
    assert set(seen) >= {"400", "405", "422"}, seen


def test_many_requests(used: Used, installed: Environment) -> None:
    """No 5xx, flat memory, each request collected: the soak of docs/reliability.md, in short."""
    soak = [sys.executable, TEMPLATE / "benchmarks/soak.py", used("classification"), installed.python]
    options = ["--requests", "2000", "--port", "5791"]
    done = subprocess.run(list(map(str, [*soak, *options])), capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "collected 2,000" in done.stdout
