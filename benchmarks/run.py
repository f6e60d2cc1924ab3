"""Time and memory of `mlops run`, cold, reused and against its commands started by hand; time of `mlops --help`.

    uv run python benchmarks/run.py PYTHON [--scenario SCENARIO] [--task TASK] [--repeat N]

PYTHON is the interpreter of an environment in which a generated project's dependencies are installed.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import psutil
from cookiecutter.main import cookiecutter

TEMPLATE = Path(__file__).resolve().parents[1]
INTERVAL = 0.05  # seconds between two looks at the memory


def measure(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Wall seconds of the command, and the most MiB that it and its children had in memory at once."""
    peak = 0
    started = time.perf_counter()
    process = psutil.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(INTERVAL):
            try:
                family = [process, *process.children(recursive=True)]
                peak = max(peak, sum(member.memory_info().rss for member in family))
            except psutil.NoSuchProcess:  # ended between two looks
                continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    if code != 0:
        raise SystemExit(f"{command} ended with exit code {code}")
    return seconds, peak / 2**20


def commands_by_hand(project: Path, scratch: Path) -> list[list[str]]:
    """The steps' commands as `mlops run` recorded them, in order, writing under `scratch` instead."""
    records = sorted((project / ".mlops/steps").glob("*/*/record.json"), key=lambda path: path.stat().st_mtime)
    places = {}
    commands = []
    for path in records:
        record = json.loads(path.read_text(encoding="utf-8"))
        target = scratch / record["step"]
        written = next(Path(word).parent for word in record["command"] if "/running-" in Path(word).as_posix())
        places[str(written)] = places[str(path.parent / "outputs")] = str(target)
        for word in record["command"]:
            if str(written) in word:
                (target / Path(word).name).mkdir(parents=True)
        command = record["command"]
        for old, new in places.items():
            command = [word.replace(old, new) for word in command]
        commands.append(command)
    return commands


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("python", help="interpreter with the project's dependencies")
    parser.add_argument("--scenario", default="classical")
    parser.add_argument("--task", default="classification")
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        answers = {"scenario": args.scenario, "task": args.task}
        project = Path(cookiecutter(str(TEMPLATE), no_input=True, output_dir=folder, extra_context=answers))
        environment = {**os.environ, "PYTHONPATH": str(project / "src"), "MLFLOW_DISABLE_TELEMETRY": "true"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        mlops = [args.python, "-m", "mlops_runtime.cli"]

        seconds, memory = measure([*mlops, "run"], project, environment)
        print(f"mlops run, cold: {seconds:.1f} s, peak {memory:.0f} MiB")
        reused = [measure([*mlops, "run"], project, environment) for _ in range(args.repeat)]
        print(f"mlops run, all reused: {statistics.median(s for s, _ in reused):.2f} s, {reused[0][1]:.0f} MiB")
        started = [measure([*mlops, "--help"], project, environment)[0] for _ in range(10)]
        print(f"mlops --help: {statistics.median(started):.2f} s")

        # In turn, so that a machine whose speed drifts treats both alike.
        store = {
            "MLFLOW_TRACKING_URI": f"sqlite:///{(project / '.mlops/mlflow.db').as_posix()}",
            "MLFLOW_EXPERIMENT_NAME": project.name,
        }
        ratios, runner, by_hand = [], [], []
        for number in range(args.repeat):
            commands = commands_by_hand(project, Path(folder, f"by-hand-{number}"))
            by_hand.append(sum(measure(c, project / "src", {**environment, **store})[0] for c in commands))
            runner.append(measure([*mlops, "run", "--force"], project, environment)[0])
            ratios.append(runner[-1] / by_hand[-1])
        print(
            f"mlops run --force: {statistics.median(runner):.1f} s, its commands by hand: "
            f"{statistics.median(by_hand):.1f} s, overhead {statistics.median(ratios) - 1:+.1%}"
        )


if __name__ == "__main__":
    main()
