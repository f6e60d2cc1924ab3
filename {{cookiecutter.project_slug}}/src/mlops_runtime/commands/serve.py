"""Serve the registered model behind the Azure ML inference server on this machine."""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from mlops_runtime import web
from mlops_runtime.errors import Problem

BOOT_SECONDS = 120
STOP_SECONDS = 15
LOG_LINES = 15  # shown when the server does not start

# The server listens on all addresses and outlives a parent that was killed: this changes the one and the other.
LAUNCH = """
import os, signal, sys, threading
from azureml_inference_server_http import amlserver

def stop_with_parent():
    os.read(0, 1)  # returns when the parent, which never writes, is gone
    os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=stop_with_parent, daemon=True).start()
if sys.platform != "win32":
    import gunicorn.config
    if hasattr(gunicorn.config, "ControlSocketDisable"):  # a socket in the home folder that nobody needs
        os.environ["GUNICORN_CMD_ARGS"] = "--no-control-socket"
amlserver.DEFAULT_HOST = sys.argv.pop(1)
amlserver.run()
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--port", type=_port, default=5001, metavar="N", help="port to listen on (default: 5001)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--model-version", metavar="V", help="registered version to serve (default: the champion)")


def run(args: argparse.Namespace) -> int:
    """Start the server, say how to use it, and wait for Ctrl-C."""
    from mlops_runtime import config, serving, tracking
    from mlops_runtime.collecting import DAYS, MASK, local_folder

    settings = config.load()
    collection = getattr(settings.deployment, "collection", None)
    if collection:
        os.environ |= {MASK: ",".join(collection.mask), DAYS: str(collection.retention_days)}
    check_free(args.host, args.port)
    version = serving.choose(settings.project.name, args.model_version)
    model = tracking.fetch(version)
    state = settings.root / ".mlops" / "serve"
    state.mkdir(parents=True, exist_ok=True)
    log, example = state / f"{args.port}.log", state / "example-request.json"
    request = json.dumps({"input_data": serving.example_rows(model)}, indent=2, ensure_ascii=False)
    example.write_text(request + "\n", encoding="utf-8", newline="\n")

    print(f"Starting {version.name} version {version.version} …", flush=True)
    previous = {number: signal.signal(number, _interrupt) for number in _stop_signals()}
    try:
        root, package = settings.root, settings.project.package
        with running(root, package, model, version.version, log, args.port, args.host) as server:
            url = f"http://{args.host}:{args.port}"
            print(
                f"Serving at {url}/score; Swagger at {url}/swagger.json?version=3; log in {log}.\n"
                f"Requests are collected in {local_folder(settings.root)} for `mlops monitor`.\n"
                f"Try, in another terminal:\n\n"
                f'  curl {url}/score -H "Content-Type: application/json" -d "@{example.as_posix()}"\n\n'
                f"Ctrl-C stops.",
                flush=True,
            )
            code = server.wait()
        raise Problem(f"The server ended by itself with exit code {code}. The end of {log}:\n{_tail(log)}")
    except KeyboardInterrupt:
        print("Stopped.", flush=True)
        return 0
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def running(
    root: Path, package: str, model: Path, version: str, log: Path, port: int, host: str = "127.0.0.1"
) -> "Iterator[subprocess.Popen[bytes]]":
    """The server, healthy, for the scoring script of `package` and the MLflow model in `model`; stopped at the end."""
    server = _start(root, package, model, version, log, port, host)
    try:
        _wait_until_healthy(server, f"http://{host}:{port}", log)
        yield server
    finally:
        _stop(server)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: give a number from 1 to 65535")
    return int(text)


def check_free(host: str, port: int) -> None:
    """Problem unless the address can be listened on."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            if sys.platform != "win32":  # there the option would let two servers share the port
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise Problem(
            f"Cannot listen on {host}:{port} ({error.strerror or error}): "
            "stop what uses that port, or choose another with --port."
        ) from None


def _start(
    root: Path, package: str, model: Path, version: str, log: Path, port: int, host: str
) -> "subprocess.Popen[bytes]":
    from mlops_runtime.collecting import FOLDER, VERSION, local_folder

    laid_out = log.with_suffix("")
    shutil.rmtree(laid_out, ignore_errors=True)
    mounted = laid_out / package / version  # as Azure ML mounts a model: name, then version
    shutil.copytree(model, mounted)
    source = root / "src"
    environment = {
        **os.environ,
        "AML_APP_ROOT": str(source),
        VERSION: version,
        FOLDER: str(local_folder(root)),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(source), os.environ.get("PYTHONPATH")])),
        "PYTHONUTF8": "1",
    }
    script = source / package / "score.py"
    command = [sys.executable, "-c", LAUNCH, host, "--entry_script", str(script), "--model_dir", str(mounted)]
    with log.open("wb") as output:
        return subprocess.Popen(
            [*command, "--port", str(port)],
            cwd=root,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def _wait_until_healthy(server: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    """Poll the health route; a server that ends or takes too long is a Problem with the end of its log."""
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise Problem(f"The server did not start. The end of {log}:\n{_tail(log)}")
        try:
            with web.ask(url, 5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):  # not listening yet
            time.sleep(0.2)
    raise Problem(f"The server was not healthy after {BOOT_SECONDS} s. The end of {log}:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:])


def _stop_signals() -> list[int]:
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # the third is not on Windows, the fourth only there
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _stop(server: "subprocess.Popen[bytes]") -> None:
    """End the server and wait for it, by force if it does not listen."""
    server.terminate()
    while True:
        try:
            server.wait(STOP_SECONDS)
            return
        except KeyboardInterrupt:  # a second Ctrl-C must not leave it running
            continue
        except subprocess.TimeoutExpired:
            server.kill()
