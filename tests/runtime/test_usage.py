"""What is not used any more, or used although it is only in development, is said."""

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlops_runtime import cloud, config, usage
from mlops_runtime.cloud import logs
from mlops_runtime.commands import monitor
from mlops_runtime.errors import Problem

from ..conftest import SLUG_FOLDER, TEMPLATE
from . import toy


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    toy.write(tmp_path)
    shutil.copytree(TEMPLATE / SLUG_FOLDER / "infrastructure", tmp_path / "infrastructure")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(root: Path, environment: str, rows: dict[str, list[dict[str, Any]]]) -> dict[str, list[str]]:
    asked: list[tuple[str, int]] = []

    def ask(query: str, days: int) -> list[dict[str, Any]]:
        asked.append((query, days))
        return next((value for key, value in rows.items() if key in query), [])

    result = dict(usage.findings(config.load(environment, root), ask))
    assert all(days in (14, 30) for _, days in asked)
    return result


def test_development(root: Path) -> None:
    idle = [{"ActiveCores": 0.0}]
    busy = [{"EndpointName": "toy-dev", "Requests": 1500, "Numbered": 3}]
    result = found(root, "dev", {"Active Cores": idle, "XMSClientRequestId": busy})
    assert list(result.values()) == [
        ["ActiveCores 0 is not above 0 within 14 days: tell project lead, product owner"],
        ["toy-dev: Requests 1500 is above 1000 within 30 days: tell project lead, product owner"],
    ]
    well = found(
        root, "dev", {"Active Cores": [{"ActiveCores": 4.0}], "XMSClientRequestId": [{**busy[0], "Requests": 9}]}
    )
    assert list(well.values()) == [[], []]


def test_production(root: Path) -> None:
    assert [len(one) for one in found(root, "prod", {"Requests = count()": [{"Requests": 0}]}).values()] == [1]
    assert [len(one) for one in found(root, "prod", {"Requests = count()": [{"Requests": 7}]}).values()] == [0]
    assert found(root, "staging", {}) == {}


def test_only_what_concerns_how_the_model_serves(root: Path) -> None:
    file = root / "config" / "shared.yml"
    file.write_text(file.read_text(encoding="utf-8").replace("serving: online", "serving: batch"), encoding="utf-8")
    assert len(found(root, "dev", {})) == 1
    assert found(root, "prod", {}) == {}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """Azure Monitor's answers on this machine."""
    state = SimpleNamespace(requests=[], status=200, rows=[[0.0]])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests.append((self.path, self.headers["Authorization"], None))
            self.answer({"properties": {"customerId": "number"}})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.requests.append((self.path, self.headers["Authorization"], body))
            columns = [{"name": "ActiveCores" if "Active Cores" in body["query"] else "Requests", "type": "real"}]
            self.answer({"tables": [{"name": "PrimaryResult", "columns": columns, "rows": state.rows}]})

        def answer(self, content: dict[str, Any]) -> None:
            content = content if state.status == 200 else {"error": {"message": "InsufficientAccessError"}}
            self.send_response(state.status)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name in ("MANAGEMENT", "LOGS"):
        monkeypatch.setattr(logs, name, f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(cloud, "available", lambda: True)
    token = SimpleNamespace(get_token=lambda scope: SimpleNamespace(token=f"for {scope.rsplit('/', 1)[-1]}"))
    monkeypatch.setattr(cloud, "credential", lambda: token)
    yield state
    server.shutdown()
    server.server_close()


def run(environment: str | None) -> int:
    return monitor.run(SimpleNamespace(usage=True, env=environment))  # type: ignore[arg-type]


def test_the_command_asks_azure_and_says_what_it_found(
    root: Path, service: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("dev") == 1
    said = capsys.readouterr().out
    assert "✗ Nothing has been computed in the workspace; is it still needed\n    ActiveCores 0" in said
    assert "✓ A model in development is used as a service" in said
    (path, token, _), (asked, _, body) = service.requests[:2]
    assert "/resourceGroups/rg-toy/providers/Microsoft.OperationalInsights/workspaces/log-toy-dev?" in path
    assert token == "Bearer for .default"
    assert asked == "/v1/workspaces/number/query"
    assert body["timespan"] == "P14D"
    service.rows = [[5.0]]
    assert run("dev") == 0


def test_trouble_is_said_with_what_helps(root: Path, service: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    service.status = 403
    with pytest.raises(Problem, match=r"cannot be read \(403\).*Log Analytics Reader"):
        run("dev")
    monkeypatch.setattr(logs, "MANAGEMENT", "http://127.0.0.1:9")
    with pytest.raises(Problem, match="cannot be reached"):
        run("dev")
    with pytest.raises(Problem, match="--env"):
        run(None)
