"""Ask `mlops serve` many times, one request in a hundred hostile: statuses, memory over time, and what was collected.

    uv run --no-project python benchmarks/soak.py PROJECT PYTHON [--requests N]

PROJECT is a generated project in which `mlops run` has registered a model, PYTHON the interpreter of an environment
with its dependencies. Ends with 1 when an answer is a 5xx, a request is not accounted for, or memory grew.
"""

import argparse
import collections
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import psutil

CLIENTS = 4
HOSTILE = [
    b"",
    b"{",
    b"[1]",
    b"\xff\xfe\x00",
    b'{"input_data": []}',
    b'{"input_data": NaN}',
    b'{"input_data": [{"x": 1}]}',
    b"[" * 10_000,
    b'{"input_data": "' + b"x" * 1_000_000 + b'"}',
]
GROWTH = 1.1  # memory at the end against that after a tenth of the requests


def memory(process: int) -> float:
    """Resident memory of a process and its children, in MiB."""
    parent = psutil.Process(process)
    return sum(one.memory_info().rss for one in [parent, *parent.children(recursive=True)]) / 2**20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("project", type=Path, help="generated project with a registered model")
    parser.add_argument("python", help="interpreter with the project's dependencies")
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--port", type=int, default=5780)
    args = parser.parse_args()

    collected = Path(tempfile.mkdtemp())
    server = subprocess.Popen(
        [args.python, "-m", "mlops_runtime.cli", "serve", "--port", str(args.port)],
        cwd=args.project,
        env={**os.environ, "PYTHONPATH": str(args.project.resolve() / "src"), "MLOPS_COLLECT_TO": str(collected)},
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    assert server.stdout
    for line in server.stdout:
        if line.startswith("Ctrl-C"):
            break
    valid = (args.project / ".mlops/serve/example-request.json").read_bytes()
    statuses: collections.Counter[int] = collections.Counter()
    sizes: list[float] = []

    def work(number: int) -> None:
        chance = random.Random(number)
        client = http.client.HTTPConnection("127.0.0.1", args.port, timeout=60)
        for one in range(args.requests // CLIENTS):
            body = chance.choice(HOSTILE) if chance.random() < 0.01 else valid
            client.request("POST", "/score", body, {"Content-Type": "application/json"})
            answer = client.getresponse()
            answer.read()
            statuses[answer.status] += 1
            if number == 0 and (one + 1) % (args.requests // CLIENTS // 10) == 0:
                sizes.append(memory(server.pid))
                print(f"{(one + 1) * CLIENTS:>8,} requests  {sizes[-1]:.0f} MiB", flush=True)
        client.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.send_signal(signal.SIGINT)
    server.wait()
    lines = sum(1 for path in collected.glob("*.jsonl") for line in path.open("rb") if json.loads(line))
    shutil.rmtree(collected)
    print(f"statuses {dict(sorted(statuses.items()))}, collected {lines:,}")
    whole = lines == sum(statuses.values()) and max(statuses) < 500 and sizes[-1] < sizes[0] * GROWTH
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
