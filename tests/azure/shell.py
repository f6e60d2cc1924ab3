"""Run the `mlops` of generated projects many times without importing the Azure SDK, which takes seconds, many times.

    shell = Shell(python)                                           # imports it once
    done = shell.run("mlops", "deploy", "--env", "dev", cwd=project, **cloud.environment())
    running = shell.start("mlops", …); running.kill(); running.wait()

Each command is a process of its own: a copy of one that has imported the SDK. POSIX only.
"""

import json
import os
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

SERVER = r"""
import inspect, json, os, signal, sys, traceback
import azure.ai.ml, azure.ai.ml.entities, azure.identity, azure.storage.blob, pandas, psutil, pydantic, requests
import azureml.mlflow, mlflow, scipy.stats

inspect.stack = lambda *_: []  # half of the time: the SDK looks where it was called to decide on a warning

class NoCredential:
    def get_token(self, *scopes, **more):
        raise RuntimeError

client = azure.ai.ml.MLClient(NoCredential(), "s", "g", "w", enable_telemetry=False)  # imports what it needs lazily
for name in ("models", "environments", "online_deployments", "batch_deployments", "jobs"):
    getattr(client, name)

signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system buries the dead
for line in sys.stdin:
    job = json.loads(line)
    pid = os.fork()
    if pid:
        print(pid, flush=True)
        continue
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.update(job["environment"])
    os.chdir(job["cwd"])
    output = os.open(job["output"], os.O_WRONLY | os.O_CREAT)
    os.dup2(output, 1), os.dup2(output, 2), os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.path.insert(0, os.path.join(job["cwd"], "src"))
    code = 70
    try:
        if job["arguments"][0] == "mlops":
            from mlops_runtime import cli
            code = cli.main(job["arguments"][1:])
        else:
            exec(job["arguments"][1], {"__name__": "__main__"})
            code = 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush(), sys.stderr.flush()
    with open(job["output"] + ".code", "w") as file:
        file.write(str(code))
    os._exit(0)
"""


@dataclass
class Running:
    """A command that has been started."""

    pid: int
    output: Path

    @property
    def said(self) -> str:
        """What it has printed."""
        return self.output.read_text(encoding="utf-8", errors="replace") if self.output.is_file() else ""

    def kill(self) -> None:
        """End it as a crash would."""
        os.kill(self.pid, signal.SIGKILL)
        while self.alive():
            time.sleep(0.01)

    def alive(self) -> bool:
        """Whether it still runs."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def wait(self, seconds: float = 400) -> "Done":
        """Its end."""
        until = time.monotonic() + seconds
        while self.alive():
            if time.monotonic() > until:
                os.kill(self.pid, signal.SIGKILL)
                raise AssertionError(f"still running after {seconds} s:\n{self.said}")
            time.sleep(0.02)
        code = Path(f"{self.output}.code")
        return Done(int(code.read_text()) if code.is_file() else -signal.SIGKILL, self.said)


@dataclass
class Done:
    """How a command ended."""

    code: int
    said: str


class Shell:
    """Starts commands."""

    def __init__(self, python: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="shell-"))
        self.server = subprocess.Popen(
            [python, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )
        self.count = 0

    def start(self, *arguments: str, cwd: Path, **environment: str) -> Running:
        """Start `mlops …` or `python CODE` in a project."""
        self.count += 1
        output = self.folder / str(self.count)
        job = {"arguments": arguments, "cwd": str(cwd), "environment": environment, "output": str(output)}
        assert self.server.stdin
        assert self.server.stdout
        self.server.stdin.write(json.dumps(job) + "\n")
        self.server.stdin.flush()
        return Running(int(self.server.stdout.readline()), output)

    def run(self, *arguments: str, cwd: Path, **environment: str) -> Done:
        """Run to its end."""
        return self.start(*arguments, cwd=cwd, **environment).wait()

    def stop(self) -> None:
        """No more commands."""
        assert self.server.stdin
        self.server.stdin.close()
        self.server.wait(10)
