"""What `mlops label` writes and reads, against a real Label Studio: `uv run pytest -m label_studio`.

Label Studio is large (0.8 GB) and starts slowly: uv gives it an environment of its own, and only these tests want it.
"""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import Environment
from .tasks import ALL, BY_NAME

pytestmark = [pytest.mark.full, pytest.mark.label_studio]
TOKEN = "0123456789abcdef0123456789abcdef01234567"  # of this server only, which nobody else reaches
PORT = 5899
LABELLED = [task.name for task in ALL if task.scenario in ("cv", "nlp")]
STARTS_WITHIN = 400  # seconds: it makes its database first


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """A running Label Studio, as a function that calls its REST API."""
    folder = tmp_path_factory.mktemp("label-studio")
    settings = {
        "LABEL_STUDIO_BASE_DATA_DIR": str(folder),
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
    }
    command = [
        *(sys.executable, "-m", "uv", "tool", "run", "label-studio", "start", "--no-browser", "--port", str(PORT)),
        *("--username", "test@example.com", "--password", "for-this-test-only", "--user-token", TOKEN),
    ]

    def call(method: str, path: str, content: Any = None) -> Any:
        body = None if content is None else json.dumps(content).encode()
        headers = {"Authorization": f"Token {TOKEN}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{PORT}/api/{path}", body, headers, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.loads(answer.read())

    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(
            command, env={**os.environ, **settings}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        for _ in range(STARTS_WITHIN // 2):
            try:
                call("GET", "projects/")
                break
            except OSError:
                assert process.poll() is None, (folder / "log.txt").read_text()[-3000:]
                time.sleep(2)
        else:
            pytest.fail(f"Label Studio did not start:\n{(folder / 'log.txt').read_text()[-3000:]}")
        yield call
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.parametrize("task", LABELLED)
def test_there_and_back(
    used: Callable[[str], Path], installed: Environment, server: Callable[..., Any], task: str, tmp_path: Path
) -> None:
    """Exported, imported into a project with the exported interface, answered, exported there, imported here."""
    root = used(task)
    installed.mlops("monitor", "--data", f"data/{BY_NAME[task].new}", cwd=root, check=False)
    folder = tmp_path / "label"
    installed.mlops(*("label", "export", "--format", "label-studio", "--count", 5, "--output", folder), cwd=root)
    interface = (folder / "to-label.xml").read_text(encoding="utf-8")
    project = server("POST", "projects/", {"title": task, "label_config": interface})["id"]
    tasks = json.loads((folder / "to-label.json").read_text(encoding="utf-8"))
    assert server("POST", f"projects/{project}/import", tasks)["task_count"] == 5

    there = server("GET", f"tasks?project={project}&page_size=100&fields=all")["tasks"]
    suggested = [one for one in there if one["predictions"]]
    assert len(suggested) == 5, "the model's answers are shown to people"
    for one in suggested[1:]:  # the first stays without a label
        server("POST", f"tasks/{one['id']}/annotations/", {"result": one["predictions"][0]["result"]})
    exported = tmp_path / "exported.json"
    exported.write_text(json.dumps(server("GET", f"projects/{project}/export?exportType=JSON&download_all_tasks=true")))

    taken = ["label", "import", exported, "--format", "label-studio"]
    taken += ["--exported", folder] if BY_NAME[task].scenario == "cv" else []
    done = installed.mlops(*taken, cwd=root, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "4 label" in done.stdout, done.stdout
    assert done.stdout.count("it has no label") == 1
