"""A newcomer in each scenario, from an empty folder to a served and monitored model and to an adopted update.

Nothing is typed but what the template's first page, its page on updates and the project's README say.
"""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from .conftest import TEMPLATE, Environment
from .server import post, serving
from .tasks import BY_NAME, SCENARIOS
from .test_updates import TODAY, from_gh, github, history

__all__ = ["github", "history"]
pytestmark = pytest.mark.full


@pytest.mark.parametrize(("scenario", "port"), [(name, 5795 + number) for number, name in enumerate(SCENARIOS)])
def test_a_newcomer(history: Path, installed: Environment, tmp_path: Path, scenario: str, port: int) -> None:
    task = SCENARIOS[scenario][0]
    answers = {"project_name": "Taxi Fares", "project_slug": "taxi-fares", "scenario": scenario, "task": task}
    root = from_gh(history, "0.0.3", tmp_path, answers)
    pages = [root / "README.md", TEMPLATE / "docs/index.md", TEMPLATE / "docs/updates.md"]
    written = "\n".join(page.read_text(encoding="utf-8") for page in pages)

    def typed(line: str, *more: str, code: int = 0) -> str:
        """What a documented command prints, with words in place of those in capitals."""
        assert re.search(rf"(?m)(^|`){re.escape(line)}( +#.*)?(`|$)", written), f"{line} is written nowhere"
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
    assert "uv run mlops serve" in written
    with serving(installed, root, port) as url:
        for _ in range(5):
            assert post(url, (root / ".mlops/serve/example-request.json").read_bytes())[0] == 200
    assert "report" in typed(f"uv run mlops monitor --data data/{BY_NAME[task].new}", code=1)
    assert f"→ {TODAY} (" in typed("uv run mlops update --plan", code=1)
    typed("uv run mlops update")
    typed("git commit -m UPDATE", "Adopt the newer template")
    typed("uv run mlops check")
    assert "Up to date" in typed("uv run mlops update --plan")
