"""A repository over HTTP as GitLab serves it: Git's own server behind a password, with push options kept."""

import base64
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

NAME = "acme/taxi-fares"
PASSED = {"CONTENT_TYPE": "Content-Type", "HTTP_CONTENT_ENCODING": "Content-Encoding", "GIT_PROTOCOL": "Git-Protocol"}
HOOK = """#!/bin/sh
n=0
while [ $n -lt "${GIT_PUSH_OPTION_COUNT:-0}" ]; do
  eval "printf '%s\\n' \\"\\$GIT_PUSH_OPTION_$n\\""
  n=$((n + 1))
done > options
"""


@dataclass
class Repository:
    """What is served, its address as CI_PROJECT_URL has it, and the options of the last push."""

    bare: Path
    url: str

    @property
    def options(self) -> list[str]:
        return (self.bare / "options").read_text(encoding="utf-8").splitlines()


@contextmanager
def served(root: Path, password: str) -> Iterator[Repository]:
    """The repository of this folder as a remote one that jobs may read and write with this token alone."""
    folder = root.parent / "served"
    bare = folder / f"{NAME}.git"
    subprocess.run(["git", "clone", "-q", "--bare", root, bare], check=True)
    subprocess.run(["git", "-C", bare, "config", "receive.advertisePushOptions", "true"], check=True)
    (bare / "hooks" / "pre-receive").write_text(HOOK, encoding="utf-8")
    (bare / "hooks" / "pre-receive").chmod(0o755)
    allowed = "Basic " + base64.b64encode(f"gitlab-ci-token:{password}".encode()).decode()

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Authorization") != allowed:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="GitLab"')
                self.end_headers()
                return
            path, _, query = self.path.partition("?")
            asked = {"REQUEST_METHOD": self.command, "PATH_INFO": path, "QUERY_STRING": query, "REMOTE_USER": "job"}
            asked |= {name: self.headers[header] for name, header in PASSED.items() if header in self.headers}
            asked |= {"GIT_PROJECT_ROOT": str(folder), "GIT_HTTP_EXPORT_ALL": "1", "CONTENT_LENGTH": str(len(body))}
            command = ["git", "http-backend"]
            answer = subprocess.run(command, input=body, env={**os.environ, **asked}, capture_output=True, check=True)
            head, _, content = answer.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
            self.send_response(int(headers.pop("Status", "200").split()[0]))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Repository(bare, f"http://127.0.0.1:{server.server_port}/{NAME}")
    finally:
        server.shutdown()
        server.server_close()
