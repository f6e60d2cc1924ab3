"""A newcomer in each scenario, from an empty folder to a served and monitored model and to an adopted update.

Nothing is typed but what the template's first page, its page on updates and the project's README say.
"""

import json
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .command_lines import shell_lines
from .conftest import TEMPLATE, Environment
from .server import post, serving
from .tasks import BY_NAME, SCENARIOS
from .test_entry_points import git
from .test_updates import TODAY, commit, from_gh, github, history

__all__ = ["github", "history"]
pytestmark = pytest.mark.full


def label(root: Path, typed: Callable[..., str]) -> None:
    """People answer what the model is unsure of as it suggests."""
    typed("uv run mlops label export --format label-studio")
    tasks = json.loads((root / ".mlops/label/to-label.json").read_text(encoding="utf-8"))
    for task in tasks:
        task["annotations"] = task["predictions"]
    (root / "labelled.json").write_text(json.dumps(tasks), encoding="utf-8")
    written = (root / "README.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"uv run mlops label import \S+ --format label-studio", written)
    typed(line, *(["labelled.json"] if "FILE" in line else []))
    assert git("status", "--porcelain", "data", cwd=root), "what they say is training data now"


@pytest.mark.parametrize(("scenario", "port"), [(name, 5795 + number) for number, name in enumerate(SCENARIOS)])
def test_a_newcomer(history: Path, installed: Environment, tmp_path: Path, scenario: str, port: int) -> None:
    task = SCENARIOS[scenario][0]
    answers = {"project_name": "Taxi Fares", "project_slug": "taxi-fares", "scenario": scenario, "task": task}
    root = from_gh(history, "0.0.3", tmp_path, answers)
    pages = [root / "README.md", TEMPLATE / "docs/index.md", TEMPLATE / "docs/updates.md"]
    written = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    to_type = {line for line in shell_lines(pages[0].read_text(encoding="utf-8")) if line.startswith("uv run mlops")}

    def typed(line: str, *more: str, code: int = 0) -> str:
        """What a documented command prints, with words in place of those in capitals."""
        assert re.search(rf"(?m)(^|`){re.escape(line)}( +#.*)?(`|$)", written), f"{line} is written nowhere"
        to_type.discard(line)
        words = [word for word in shlex.split(line) if not re.fullmatch("[A-Z]+", word)]
        if words[:3] == ["uv", "run", "mlops"]:
            done = installed.mlops(*words[3:], *more, cwd=root, check=False)
        else:
            done = subprocess.run([*words, *more], cwd=root, capture_output=True, encoding="utf-8", check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    typed("git init -b main")
    typed("git add -A")
    typed("git commit -m Start")
    assert "Registered taxi-fares version 1" in typed("uv run mlops run")
    to_type.remove("uv run mlops serve")
    with serving(installed, root, port) as url:
        for _ in range(5):
            assert post(url, (root / ".mlops/serve/example-request.json").read_bytes())[0] == 200
    assert "report" in typed(f"uv run mlops monitor --data data/{BY_NAME[task].new}", code=1)
    if scenario != "classical":
        label(root, typed)
        commit(root, "Learn from what people labelled")
    typed("uv run mlops config render")
    assert not {line for line in to_type if " --set " not in line}, "of those, tests/test_docs.py knows who runs them"
    assert f"→ {TODAY} (" in typed("uv run mlops update --plan", code=1)
    typed("uv run mlops update")
    typed("git commit -m UPDATE", "Adopt the newer template")
    typed("uv run mlops check")
    assert "Up to date" in typed("uv run mlops update --plan")
