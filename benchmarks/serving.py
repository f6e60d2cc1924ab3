"""Requests per second of `mlops serve` against other servers: the same model, one worker, one row per request.

    uv run --no-project python benchmarks/serving.py PROJECT PYTHON [--mlflow MLFLOW] [--requests N] [--seconds S] …

PROJECT is a generated project in which `mlops run` has registered a model, PYTHON the interpreter of an environment
with its dependencies, fastapi and uvicorn; MLFLOW the `mlflow` command of an environment with the same and the full
mlflow package. Everything stays on the loopback interface. The servers take turns, so that a machine whose speed drifts
treats both alike.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil

BOOT_SECONDS = 180
ROUNDS = 3
FETCH = """
from mlops_runtime import config, serving, tracking
project = config.load().project
print(project.package)
print(tracking.fetch(serving.choose(project.name)))
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Client:
    """Sends the same request again and again, over one connection as long as the server keeps it open."""

    def __init__(self, port: int, path: str, body: bytes) -> None:
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        self.port = port
        self.request = head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
        self.connection: socket.socket | None = None

    def send(self) -> None:
        """One request and its whole answer; an answer other than 200 ends the benchmark."""
        if self.connection is None:
            self.connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection.sendall(self.request)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._receive()
        head, _, body = received.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"{head.decode()}\n{body.decode()}")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        missing = int(fields[b"content-length"]) - len(body)
        while missing > 0:
            missing -= len(self._receive())
        if fields.get(b"connection") == b"close":
            self.connection.close()
            self.connection = None

    def _receive(self) -> bytes:
        assert self.connection is not None
        data = self.connection.recv(65536)
        if not data:
            raise SystemExit("The server closed the connection in the middle of an answer.")
        return data


def load(port: int, path: str, body: bytes, requests: int, seconds: float, clients: int) -> tuple[float, list[float]]:
    """Requests per second, and the latency of each request in milliseconds, with `clients` sending at the same time."""
    latencies: list[float] = []
    deadline = time.perf_counter() + seconds

    def work() -> None:
        client = Client(port, path, body)
        for _ in range(requests // clients):
            started = time.perf_counter()
            if started > deadline:
                break
            client.send()
            latencies.append((time.perf_counter() - started) * 1000)

    threads = [threading.Thread(target=work) for _ in range(clients)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(latencies) / (time.perf_counter() - started), latencies


def start(command: list[str], health: str, project: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a server and wait until it is healthy."""
    server = subprocess.Popen(
        command,
        cwd=project,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(health, timeout=5):
                return server
        except (urllib.error.URLError, OSError):  # not listening yet
            time.sleep(0.2)
    raise SystemExit(f"{command} did not become healthy.")


def memory(process: subprocess.Popen[bytes]) -> float:
    """Resident memory of a server and its children, in MiB."""
    parent = psutil.Process(process.pid)
    return sum(one.memory_info().rss for one in [parent, *parent.children(recursive=True)]) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("project", type=Path, help="generated project with a registered model")
    parser.add_argument("python", help="interpreter with the project's dependencies, fastapi and uvicorn")
    parser.add_argument("--mlflow", help="the mlflow command of an environment with the full mlflow as well")
    parser.add_argument("--requests", type=int, default=2000, help="per round and server (default: 2000)")
    parser.add_argument("--seconds", type=float, default=20, help="most seconds per round and server (default: 20)")
    parser.add_argument("--clients", type=int, default=1, help="senders at the same time (default: 1)")
    args = parser.parse_args()

    environment = {**os.environ, "PYTHONPATH": str(args.project.resolve() / "src"), "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    fetch = [args.python, "-c", FETCH]
    fetched = subprocess.run(fetch, cwd=args.project, env=environment, stdout=subprocess.PIPE, check=True)
    *_, package, folder = fetched.stdout.decode().splitlines()
    example = json.loads((Path(folder) / "input_example.json").read_text(encoding="utf-8"))
    split = {"columns": example["columns"], "data": example["data"][:1]}
    record = dict(zip(split["columns"], split["data"][0], strict=True))

    ours, plain, theirs = free_port(), free_port(), free_port()
    mlops = [args.python, "-m", "mlops_runtime.cli", "serve", "--port", str(ours)]
    uvicorn = [args.python, "-m", "uvicorn", "--app-dir", str(Path(__file__).parent), "plain_fastapi:app"]
    options = ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(theirs), "--workers", "1"]
    mlflow = [str(args.mlflow), "models", "serve", "--model-uri", folder, *options]
    search_path = f"{Path(str(args.mlflow)).parent}{os.pathsep}{os.environ['PATH']}"  # it starts `uvicorn` by its name
    (data,) = {path.parent for path in Path(folder).rglob("inputs.yml")}
    servers = {
        "mlops serve": (ours, "/score", json.dumps({"input_data": split}).encode()),
        "plain FastAPI": (plain, "/score", json.dumps({"input_data": [record]}).encode()),
        "mlflow models serve": (theirs, "/invocations", json.dumps({"dataframe_split": split}).encode()),
    }
    commands = {
        "mlops serve": (mlops, f"http://127.0.0.1:{ours}/", environment),
        "plain FastAPI": (
            [*uvicorn, "--port", str(plain), "--log-level", "warning"],
            f"http://127.0.0.1:{plain}/openapi.json",
            {**environment, "MODEL": str(data), "PACKAGE": package},
        ),
        "mlflow models serve": (mlflow, f"http://127.0.0.1:{theirs}/ping", {**environment, "PATH": search_path}),
    }
    if args.mlflow is None:
        del servers["mlflow models serve"]
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name in servers:
            command, health, variables = commands[name]
            running[name] = start(command, health, args.project, variables)
        rates: dict[str, list[float]] = {name: [] for name in servers}
        latencies: dict[str, list[float]] = {name: [] for name in servers}
        for target in servers.values():
            load(*target, requests=100, seconds=args.seconds, clients=args.clients)
        for _ in range(ROUNDS):
            for name, target in servers.items():
                rate, found = load(*target, requests=args.requests, seconds=args.seconds, clients=args.clients)
                rates[name].append(rate)
                latencies[name] += found
        resident = {name: memory(server) for name, server in running.items()}
    finally:
        for server in running.values():
            os.killpg(server.pid, signal.SIGINT)
            server.wait(30)

    for name in servers:
        cuts = statistics.quantiles(latencies[name], n=100)
        rate, count = statistics.median(rates[name]), len(latencies[name])
        times = f"p50 {cuts[49]:.2f} ms, p99 {cuts[98]:.2f} ms"
        print(f"{name}: {rate:.0f} requests/s, {times}, {resident[name]:.0f} MiB, {count:,} requests")


if __name__ == "__main__":
    main()
