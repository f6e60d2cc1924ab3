"""Requests with a token go to the address that they were made for and nowhere else."""

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from mlops_runtime import probes, web


class Redirecting(BaseHTTPRequestHandler):
    """Sends whoever asks for /<status> to the same server under another name."""

    def do_GET(self) -> None:
        status = int(self.path.strip("/"))
        if status == 200:
            self.server.reached.append(self.headers["Authorization"])  # type: ignore[attr-defined]
        self.send_response(status)
        self.send_header("Location", f"http://localhost:{self.server.server_port}/200")  # type: ignore[attr-defined]
        self.end_headers()

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    """Where it goes on; `reached` has the tokens that arrived there."""
    started = ThreadingHTTPServer(("127.0.0.1", 0), Redirecting)
    started.reached = []  # type: ignore[attr-defined]
    threading.Thread(target=started.serve_forever, daemon=True).start()
    yield started
    started.shutdown()
    started.server_close()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_token_goes_where_a_redirect_points(server: ThreadingHTTPServer, status: int) -> None:
    address = f"http://127.0.0.1:{server.server_port}/{status}"
    request = urllib.request.Request(address, headers={"Authorization": "Bearer secret"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        web.ask(request, 5)
    assert caught.value.code == status
    assert probes.asker(address, "blue", lambda: "secret")(b"{}").status == status
    assert not server.reached  # type: ignore[attr-defined]
    with urllib.request.urlopen(request, timeout=5):  # what Python does by itself
        pass
    assert server.reached == ["Bearer secret"]  # type: ignore[attr-defined]


def test_only_http_is_asked(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    with pytest.raises(ValueError, match="only http"):
        web.ask((tmp_path / "secret").as_uri(), 5)
