"""Write github_actions.json anew: the inputs and outputs that the pinned actions publish at their commits.

    python github_extract.py owner/name=GIT_DIRECTORY …

The directories are clones of the actions; which commits: those in the workflows and actions of ci/github-actions/.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__)
SOURCES = HERE.parents[2] / "ci" / "github-actions" / "{{cookiecutter.project_slug}}" / ".github"


def git(folder: str, *arguments: str) -> str:
    """What git says of a clone."""
    return subprocess.run(["git", "-C", folder, *arguments], capture_output=True, check=True, text=True).stdout


def facts(folder: str, commit: str) -> dict[str, Any]:
    """What an action publishes at a commit, and the versions that this commit is."""
    content = yaml.safe_load(git(folder, "show", f"{commit}:action.yml"))
    inputs = content.get("inputs", {})
    return {
        "versions": git(folder, "tag", "--points-at", commit).split(),
        "inputs": sorted(inputs),
        "required": sorted(name for name, rules in inputs.items() if rules.get("required") and "default" not in rules),
        "outputs": sorted(content.get("outputs", {})),
    }


def main() -> None:
    """Every action that some file uses."""
    clones = dict(argument.split("=", 1) for argument in sys.argv[1:])
    used = set()
    for path in sorted(SOURCES.rglob("*.yml")):
        lines = path.read_text(encoding="utf-8").splitlines()
        used |= {line.split("uses:")[1].split("#")[0].strip() for line in lines if "uses:" in line and "@" in line}
    found = {one: facts(clones[one.split("@")[0]], one.split("@")[1]) for one in sorted(used)}
    text = json.dumps(found, indent=1) + "\n"
    HERE.with_name("github_actions.json").write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
