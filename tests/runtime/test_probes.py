"""Probes understand what deployments answer, in Azure's words too."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from mlops_runtime import probes
from mlops_runtime.rollout import Answer

ROWS = [{"a": 1}]
Answers = Callable[[Any, dict[str, str]], tuple[int, Any, dict[str, str]]]


@pytest.fixture
def serve() -> Iterator[Callable[[Answers], probes.Ask]]:
    """An endpoint that answers as a function says."""
    servers = []

    def start(answers: Answers) -> probes.Ask:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, said, headers = answers(asked, dict(self.headers))
                self.send_response(status)
                for key, value in headers.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(json.dumps(said).encode())

            def log_message(self, *_: object) -> None:
                """Nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return probes.asker(f"http://127.0.0.1:{server.server_port}/score", "green", lambda: "secret")

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def script(asked: Any, headers: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
    """What a managed endpoint says for our scoring script."""
    assert headers["Azureml-Model-Deployment"] == "green"
    assert headers["Authorization"] == "Bearer secret"
    if asked["input_data"] == ROWS:
        return 200, {"predictions": [{"prediction": 1}]}, {}
    return 424, {"message": "refused"}, {probes.MODEL_STATUS: "400"}


def test_smoke(serve: Callable[[Answers], probes.Ask]) -> None:
    assert probes.smoke(serve(script), ROWS) == []
    empty = probes.smoke(serve(lambda *_: (200, {"predictions": []}, {})), ROWS)
    assert len(empty) == 2
    assert "no predictions" in empty[0]
    assert "got HTTP 200; it must get a 4xx" in empty[1]
    broken = probes.smoke(serve(lambda *_: (424, {}, {probes.MODEL_STATUS: "500"})), ROWS)
    assert "HTTP 500" in broken[0]
    assert "HTTP 500" in broken[1]
    nowhere = probes.smoke(probes.asker("http://127.0.0.1:9/score", "green", lambda: "x"), ROWS)
    assert "HTTP 0" in nowhere[0]


def test_watch_ends_early() -> None:
    calls = []

    def ask(body: bytes) -> Answer:
        calls.append(body)
        return Answer(500 if len(calls) > 2 else 200, 0.0)

    answers = probes.watch(ask, b"", 100, 0.0, 0.02)
    assert len(answers) == 5, "two failures are tolerated, the third ends it"
    assert len(probes.watch(lambda _: Answer(200, 0.0), b"", 7, 0.0, 0.0)) == 7


def test_load_counts_waiting() -> None:
    answers, rate = probes.load(lambda _: Answer(200, 0.0), b"", 50, 0.4)
    assert len(answers) == 20
    assert 35 < rate < 60
    lock = threading.Lock()

    def one_at_a_time(_: bytes) -> Answer:
        with lock:
            threading.Event().wait(0.05)
        return Answer(200, 0.0)

    answers, rate = probes.load(one_at_a_time, b"", 50, 0.4)
    assert max(answer.seconds for answer in answers) > 0.3, "it falls behind"
    assert rate < 25
