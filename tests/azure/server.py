"""The way in: a proxy on loopback that answers for Azure's own host names.

A process whose environment holds `Cloud.environment()` believes that it talks to `management.azure.com`,
`login.microsoftonline.com`, `*.blob.core.windows.net` and the rest: `HTTPS_PROXY` sends it here, the certificate of a
throw-away authority (`REQUESTS_CA_BUNDLE`, `SSL_CERT_FILE`) makes it trust what it finds, and the three `AZURE_…`
variables of workload identity federation sign it in, the way CI does it. The code under test is not patched, and
its requests carry the real host names. A host that nobody here answers for is refused and kept in `Server.strays`: no
test can reach the internet.
"""

import re
import socket
import ssl
import traceback
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import trustme

from .faults import Dropped, Faults
from .wire import Answer, AzureError, Request

Handler = Callable[[Request, Any], Answer]


class Server:
    """Listens, keeps a log of what arrived, and hands each request to whoever answers for its host."""

    def __init__(self, folder: Path) -> None:
        self.faults = Faults()
        self.log: list[Request] = []
        self.strays: list[str] = []
        self.broken: list[str] = []  # its own errors, each with the request that caused it
        self.hosts: list[tuple[re.Pattern[str], Handler]] = []
        self.lock = Lock()
        self.authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self.certificate = folder / "authority.pem"
        self.authority.cert_pem.write_to_path(str(self.certificate))
        self.contexts: dict[str, ssl.SSLContext] = {}
        self.listener = Listener(("127.0.0.1", 0), type("Connection", (Connection,), {"server_state": self}))
        self.port = int(self.listener.server_address[1])
        Thread(target=self.listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """Stop listening."""
        self.listener.shutdown()
        self.listener.server_close()

    def serve(self, hosts: str, handler: Handler) -> None:
        """Answer for the hosts that match this regular expression."""
        self.hosts.append((re.compile(hosts), handler))

    def handler_of(self, host: str) -> Handler | None:
        """Who answers for this host."""
        return next((handler for pattern, handler in self.hosts if pattern.fullmatch(host)), None)

    def context_of(self, host: str) -> ssl.SSLContext:
        """TLS under this host's name."""
        with self.lock:
            if host not in self.contexts:
                self.contexts[host] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                self.authority.issue_cert(host, key_type=trustme.KeyType.ECDSA).configure_cert(self.contexts[host])
            return self.contexts[host]

    def answer(self, request: Request) -> Answer:
        """Log a request and answer it, errors as Azure would word them."""
        self.log.append(request)
        handler = self.handler_of(request.host)
        if handler is None:
            self.strays.append(request.host)
            return AzureError(502, "BadGateway", f"Nobody here answers for {request.host}.").answer
        try:
            return self.faults.apply(request, lambda fault: handler(request, fault))
        except AzureError as error:
            return error.answer
        except Dropped:
            raise
        except Exception:
            self.broken.append(f"{request}: {traceback.format_exc()}")
            return AzureError(501, "Broken", "The stand-in itself is broken; see Server.broken.").answer


class Listener(ThreadingHTTPServer):
    """Takes as many connections at once as the SDK opens to upload a folder: one that is refused waits a second."""

    daemon_threads = True
    request_queue_size = 128


class Connection(BaseHTTPRequestHandler):
    """One connection: perhaps a CONNECT that becomes TLS, then requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # otherwise every answer waits 40 ms for the caller's acknowledgement
    server_state: Server
    host = ""

    def handle_one_request(self) -> None:
        """Acknowledge each packet at once: the SDK's sockets hold a body back until its headers have arrived."""
        if hasattr(socket, "TCP_QUICKACK"):  # Linux, which otherwise waits 40 ms; it forgets, so each time anew
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        super().handle_one_request()

    def do_CONNECT(self) -> None:
        """Become the host that is asked for, or refuse."""
        host = self.path.rpartition(":")[0]
        if self.server_state.handler_of(host) is None:
            self.server_state.strays.append(host)
            self.send_error(403, f"{host} is not Azure")
            return
        self.send_response(200, "Connection established")
        self.end_headers()
        self.connection = self.server_state.context_of(host).wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.host, self.close_connection = host, False

    def read_body(self) -> bytes:
        """The whole body, chunked or not."""
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def do_any(self) -> None:
        """Answer one request."""
        url = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        token = headers.pop("authorization", "").removeprefix("Bearer ")
        host = self.host or url.hostname or headers.get("host", "").partition(":")[0]
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        request = Request(self.command, host, unquote(url.path), query, headers, self.read_body(), token)
        try:
            answer = self.server_state.answer(request)
        except Dropped:
            # Half a status line: had it got nothing, requests would blame the proxy, and azure-core repeat even a POST.
            self.wfile.write(b"HTTP/1.1")
            self.close_connection = True
            return
        content, more = answer.encoded()
        self.send_response(answer.status)
        for name, value in more.items():
            self.send_header(name, value)
        if "Content-Length" not in more:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = do_any  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing: `Server.log` has it all."""
