"""Generated projects are used as their users would use them: test, run, serve, score, monitor."""

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock

from .conftest import TEMPLATE, Environment
from .server import post, serving
from .tasks import ALL, BY_NAME, SCENARIOS

pytestmark = pytest.mark.full
Baked = Callable[..., Path]
TASKS = list(BY_NAME)
ACTION_NEEDED = 1


@contextmanager
def cohort_limit(root: Path, limit: str) -> Iterator[None]:
    """Let the cohort gate of a project allow this gap, until the block ends."""
    path = root / "config/shared.yml"
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"max_gap: [\d.]+", f"max_gap: {limit}", text), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("task", TASKS)
def test_generated_tests_pass(baked: Baked, installed: Environment, task: str, tmp_path: Path) -> None:
    root = tmp_path / "a folder with spaces é"
    shutil.copytree(baked(task), root)
    done = installed.run("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=root)
    assert re.search(r"\d+ passed", done.stdout)
    assert "skipped" not in done.stdout, "every model family is installed here, so all must run"


@pytest.mark.parametrize("task", TASKS)
def test_run(shared: Path, used: Callable[[str], Path], installed: Environment, task: str) -> None:
    root = used(task)
    said = (root / "ran").read_text(encoding="utf-8")
    assert "[4/4] register" in said
    assert said.splitlines()[-1] == "Registered taxi-fares version 1."
    with FileLock(shared / f"run-{task}.lock"):
        again = installed.mlops("run", cwd=root).stdout
    assert again.count("unchanged, reused") == 4
    (registration,) = (root / ".mlops/steps/register").glob("*/outputs/registration/registration.json")
    record = json.loads(registration.read_text(encoding="utf-8"))
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True)
    assert record["git_commit"].startswith(commit.stdout.strip())
    assert re.fullmatch(r"[0-9a-f]{12}", record["data_version"])


@pytest.mark.parametrize("task", [task.name for task in ALL if task.settings])
def test_other_settings(
    shared: Path, used: Callable[[str], Path], installed: Environment, task: str, tmp_path: Path
) -> None:
    """In a copy, which uses again what was prepared."""
    root = tmp_path / task
    with FileLock(shared / f"run-{task}.lock"):
        shutil.copytree(used(task), root)
    path = root / "config/shared.yml"
    before, gates, after = re.split(r"(?ms)(^gates:\n.*?)(?=^deployment:)", path.read_text(encoding="utf-8"))
    gates = re.sub(r"max(_gap)?: [\d.]+", r"max\1: 1e9", re.sub(r"min: [\d.]+", "min: -1e9", gates))
    path.write_text(before + gates + after, encoding="utf-8")  # how good they are is tried by the project's own tests
    for number, setting in enumerate(BY_NAME[task].settings, 2):
        settings = [word for one in setting.split() for word in ("--set", one)]
        said = installed.mlops("run", "--set", "champion=none", *settings, cwd=root).stdout
        assert f"Registered taxi-fares version {number}." in said
        if "target=" not in setting:
            continue  # monitoring sees what is predicted, not by what family
        installed.mlops("monitor", "--data", f"data/{BY_NAME[task].new}", cwd=root, check=False)
        metrics = json.loads((root / ".mlops/monitor/metrics.json").read_text(encoding="utf-8"))
        assert metrics["signals"]["performance"]["status"] in ("ok", "fired"), "the truth is in the file"


@pytest.mark.parametrize("task", TASKS[::-1])  # so that two workers rarely want the same project
def test_worse_and_unfair_candidates_are_refused(
    shared: Path, used: Callable[[str], Path], installed: Environment, task: str
) -> None:
    root = used(task)
    worse = [word for setting in BY_NAME[task].worse for word in ("--set", setting)]
    with FileLock(shared / f"run-{task}.lock"), cohort_limit(root, "0.0000001"):
        done = installed.mlops("run", *worse, cwd=root, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Not registered:" in done.stderr
    assert "improves on the champion's by" in done.stderr
    assert "between groups of" in done.stderr, "unfair models are refused, and the reason says so"


def png(width: int, height: int) -> bytes:
    """A black PNG image, a thousandth of its size when it is unpacked."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(width + 1) * height, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


HOSTILE: dict[str, list[tuple[bytes, str]]] = {
    "classical": [],
    "cv": [
        (b"", "image/png"),
        (png(32, 32)[:48], "image/png"),
        (png(12_000, 12_000), "image/png"),
        (b"GIF89a" + bytes(50), "image/gif"),
        (b"GIF89a" + bytes(50), "image/png"),
        (b"plain text", "image/jpeg"),
        (b'{"input_data": [{"image": "bm90IGFuIGltYWdl"}]}', "application/json"),
        (b'{"input_data": [{"image": 7}]}', "application/json"),
    ],
    "nlp": [
        (b'{"input_data": [{"text": "caf\xe9"}]}', "application/json"),
        (b'{"input_data": [{"text": ""}]}', "application/json"),
        (b'{"input_data": [{"text": 7}]}', "application/json"),
        (b'{"input_data": [{"text": ["a", "b"]}]}', "application/json"),
        (json.dumps({"input_data": [{"text": "long " * 10_000}]}).encode(), "application/json"),
    ],
}


@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
@pytest.mark.parametrize(("task", "port"), [(task, 5801 + number) for number, task in enumerate(TASKS)])
def test_serve_then_monitor(used: Callable[[str], Path], installed: Environment, task: str, port: int) -> None:
    root = used(task)
    with serving(installed, root, port) as url:
        body = (root / ".mlops/serve/example-request.json").read_bytes()
        for _ in range(20):
            status, answer = post(url, body)
            assert status == 200, answer
        assert json.loads(answer)
        with urllib.request.urlopen(f"{url}/swagger.json?version=3", timeout=10) as described:
            assert "input_data" in described.read().decode()
        request = json.loads(body)
        hostile = [
            b"",
            b"{",
            b"[1]",
            b"\xff\xfe",
            b'{"input_data": []}',
            b'{"input_data": [{"x": 1}]}',
            b'{"input_data": NaN}',
            b"[" * 100_000,
            b'{"input_data": "' + b"x" * 20_000_000 + b'"}',
            json.dumps({**request, "input_data": None}).encode(),
        ]
        for bad, kind in [*((bad, "application/json") for bad in hostile), *HOSTILE[BY_NAME[task].scenario]]:
            status, answer = post(url, bad, kind)
            assert 400 <= status < 500, f"{bad[:60]!r} → {status} {answer[:200]}"
            assert "Traceback" not in answer
            assert json.loads(answer)["reasons"]
        assert post(url, body)[0] == 200, "the server still answers"
        if BY_NAME[task].scenario == "cv":
            assert post(url, png(40, 30), "image/png")[0] == 200, "an image as it is, without JSON"
    collected = list((root / ".mlops/collected").glob("*.jsonl"))
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in collected) >= 21


@pytest.mark.parametrize("task", TASKS)
def test_score(used: Callable[[str], Path], installed: Environment, task: str, tmp_path: Path) -> None:
    scored = tmp_path / "scored.csv"
    installed.mlops("score", f"data/{BY_NAME[task].new}", "--output", scored, cwd=used(task))
    assert len(scored.read_text(encoding="utf-8").splitlines()) > 10


@pytest.mark.parametrize("task", [tasks[0] for tasks in SCENARIOS.values()])
def test_what_is_no_data_is_not_scored(used: Callable[[str], Path], installed: Environment, task: str) -> None:
    done = installed.mlops("score", "README.md", cwd=used(task), check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: ")


@pytest.mark.parametrize("task", TASKS)
def test_monitor_new_data(used: Callable[[str], Path], installed: Environment, task: str) -> None:
    """The decision, and both reports in a browser: nothing on the console, no request leaves the page."""
    from selenium import webdriver

    root = used(task)
    done = installed.mlops("monitor", "--data", f"data/{BY_NAME[task].new}", cwd=root, check=False)
    assert done.returncode == ACTION_NEEDED, done.stdout + done.stderr
    assert re.search(r"Action: (retrain|investigate)", done.stdout)
    metrics = json.loads((root / ".mlops/monitor/metrics.json").read_text(encoding="utf-8"))
    assert metrics["action"] in ("retrain", "investigate")
    reports = [
        *root.glob(".mlops/steps/evaluate/[0-9a-f]*/outputs/evaluation/report.html"),
        root / ".mlops/monitor/report.html",
    ]
    options = webdriver.ChromeOptions()
    for argument in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--window-size=1100,1400",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    options.binary_location = str(shutil.which("chromium"))
    driver = webdriver.Chrome(options, webdriver.ChromeService(str(shutil.which("chromedriver"))))
    try:
        for report in reports:
            driver.get(report.as_uri())
            assert driver.find_elements("css selector", "figure svg"), f"{report} has no picture"
            assert driver.get_log("browser") == []
            events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
            asked = {e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"}
            assert {url for url in asked if not url.startswith("data:")} == {report.as_uri()}
            width = driver.execute_script("return document.documentElement.scrollWidth - window.innerWidth")
            assert width <= 0, "the page is wider than the window"
    finally:
        driver.quit()


def readme_commands(readme: Path, heading: str) -> str:
    """The shell block under a heading of a README."""
    section = readme.read_text(encoding="utf-8").split(f"## {heading}\n", 1)[1]
    return re.search(r"```sh\n(.*?)```", section, re.DOTALL)[1]


def test_first_command_of_the_readme(tmp_path: Path) -> None:
    """From a clone to a registered model, in an empty virtual environment."""
    clone = tmp_path / "mlops-template"
    subprocess.run(["git", "clone", "-q", TEMPLATE, clone], check=True)
    venv = tmp_path / "venv"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "venv" if shutil.which("pip") else "uv",
            *(() if shutil.which("pip") else ("venv",)),
            venv,
        ],
        check=True,
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "UV_PYTHON", "PYTHONPATH")}
    environment["PATH"] = f"{venv / 'bin'}{os.pathsep}{environment['PATH']}"
    started = time.monotonic()
    done = subprocess.run(
        ["bash", "-c", readme_commands(clone / "README.md", "Try")],
        cwd=clone,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    print(f"first command: {time.monotonic() - started:.0f} s")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "Registered ml-project version 1." in done.stdout
    assert (tmp_path / "ml-project" / ".mlops" / "mlflow.db").exists()


BATCH = """
import csv, io, os, sys
from pathlib import Path

scratch, model = Path(sys.argv[1]), Path(sys.argv[2])
os.environ |= {"AZUREML_MODEL_DIR": str(model), "MLOPS_PACKAGE": "taxi_fares", "MLOPS_MODEL_VERSION": "1"}
from mlops_runtime import batch, serving, target

batch.init()
files = [scratch / "a.parquet", scratch / "b.parquet"]
for file in files:
    target.sample(serving.example_rows(model), batch.script.service.inputs).to_parquet(file, index=False)
answers = batch.run([str(file) for file in files])
rows = list(csv.reader(io.StringIO(answers.to_csv(header=False, index=False))))
assert len(rows) == len(answers) and {len(row) for row in rows} == {len(answers.columns)}
os.environ["AZUREML_BI_OUTPUT_PATH"] = str(scratch)
answers = batch.run([str(file) for file in Path("data").glob("*-new.*")])
assert len(list((scratch / "collected").rglob("*.parquet"))) == 1
"""
LIVE = """
import sys
from pathlib import Path

from mlops_runtime import probes, rollout, serving
from mlops_runtime.commands import serve

scratch, model, port = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
with serve.running(Path.cwd(), "taxi_fares", model, "1", scratch / "server.log", port):
    ask = probes.asker(f"http://127.0.0.1:{port}/score", "blue", lambda: "token")
    rows = serving.example_rows(model)
    assert probes.smoke(ask, rows) == []
    assert rollout.failed(probes.watch(ask, probes.body(rows), 10, 0.0, 0.0)) == 0
"""


@pytest.mark.parametrize(("task", "port"), [(task, 5901 + number) for number, task in enumerate(TASKS)])
def test_scoring_scripts_of_all_targets(
    used: Callable[[str], Path],
    baked: Callable[..., Path],
    installed: Environment,
    task: str,
    port: int,
    tmp_path: Path,
) -> None:
    """With the real model: what batch workers run and how it is watched, and how a live deployment is tried."""
    model = next((used(task) / ".mlops/artifacts").rglob("MLmodel")).parent
    project = shutil.copytree(baked(task, "batch"), tmp_path / "project")
    kept = tmp_path / "kept"
    kept.mkdir()
    installed.run("-c", BATCH, kept, model, cwd=project)
    values = {"collected": kept, "model": model, "model_version": "1"}
    given = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
    installed.mlops("run", "--pipeline", "mlops/azureml/monitor/pipeline.yml", *given, cwd=project)
    (found,) = project.glob(".mlops/steps/watch/*/outputs/findings/metrics.json")
    assert json.loads(found.read_text(encoding="utf-8"))["action"] != "none"
    installed.run("-c", LIVE, tmp_path, model, port, cwd=shutil.copytree(baked(task, "kubernetes"), tmp_path / "live"))
