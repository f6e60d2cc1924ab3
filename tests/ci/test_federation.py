"""Pipelines sign in again and again while they wait, by what each CI system says of the job."""

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from mlops_runtime.cloud import federation
from mlops_runtime.errors import Problem

WHO = {"AZURE_CLIENT_ID": "client", "AZURE_TENANT_ID": "tenant"}
TASK = {
    "AZURESUBSCRIPTION_CLIENT_ID": "client",
    "AZURESUBSCRIPTION_TENANT_ID": "tenant",
    "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID": "connection",
    "SYSTEM_ACCESSTOKEN": "system",
    "SYSTEM_OIDCREQUESTURI": "https://dev.example.com",
}


@pytest.fixture(autouse=True)
def identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """azure-identity as far as it is used; and none of the variables of whoever runs this."""
    module: Any = ModuleType("azure.identity")
    module.ClientAssertionCredential = lambda tenant, client, func: SimpleNamespace(who=(tenant, client), func=func)
    module.AzurePipelinesCredential = lambda **given: SimpleNamespace(**given)
    monkeypatch.setitem(sys.modules, "azure.identity", module)
    for name in (*WHO, *TASK, *federation.GITHUB, federation.GITLAB):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """GitHub's service of tokens: a new one each time."""
    state = SimpleNamespace(asked=[])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append((self.path, self.headers["Authorization"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"value": f"token {len(state.asked)}"}).encode())

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/token?api-version=2"
    for name, value in {**WHO, **dict(zip(federation.GITHUB, (url, "job"), strict=True))}.items():
        monkeypatch.setenv(name, value)
    yield state
    server.shutdown()
    server.server_close()


def test_github_is_asked_each_time(github: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    one = federation.credential()
    assert one.who == ("tenant", "client")
    assert [one.func(), one.func()] == ["token 1", "token 2"], "the first is good for minutes only"
    assert github.asked[0] == ("/token?api-version=2&audience=api://AzureADTokenExchange", "Bearer job")
    monkeypatch.setenv(federation.GITHUB[0], "http://127.0.0.1:9/?x=1")
    with pytest.raises(Problem, match="permission id-token"):
        one.func()


def test_gitlab_gives_one_for_the_whole_job(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**WHO, federation.GITLAB: "token"}.items():
        monkeypatch.setenv(name, value)
    assert federation.credential().func() == "token"


def test_azure_pipelines(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in TASK.items():
        monkeypatch.setenv(name, value)
    one = federation.credential()
    assert (one.service_connection_id, one.system_access_token) == ("connection", "system")


@pytest.mark.parametrize("missing", [*WHO, "everything"])
def test_everywhere_else_people_sign_in(github: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name in (missing,) if missing in WHO else (*WHO, *federation.GITHUB):
        monkeypatch.delenv(name)
    assert federation.credential() is None
