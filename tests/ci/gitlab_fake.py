"""Stand-ins for the programs that jobs on GitLab call: they record calls, refuse what they do not know, do as planned.

    python gitlab_fake.py PROGRAM ARGUMENT…

FAKE names a folder: calls.jsonl gets a line for each call, plan.json says how commands end and what they write.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

# What pipelines may call, by the first words; each with the flags that must or (?) may follow.
MLOPS = {
    "check": [],
    "config render": ["--check"],
    "run": [],
    "infrastructure check": [],
    "infrastructure plan": ["--env=", "--report="],
    "infrastructure apply": ["--env=", "--report="],
    "submit": ["--env=", "?--scheduled"],
    "events": ["--env=", "--report="],
    "tell": ["FILE"],
    "promote": ["--env=", "?--version=", "--approved-by-pipeline"],
    "stage": ["--env=", "?--retrained", "--patience="],
    "scan": ["?--env=", "--report="],
    "deploy": ["--env="],
    "update": ["?--plan"],
    "next": ["FILE", "?--version="],
}
OTHERS = {
    "uv": [r"sync( --extra azure)?", r"tool install azure-cli==[\d.]+", r"tool dir --bin"],
    "uv run": [r"ruff check", r"ruff format --check", r"mypy", r"pytest -n auto --junitxml=tests.xml"],
    "pip": [r"install --quiet --disable-pip-version-check --root-user-action=ignore uv==[\d.]+"],
    "az": [
        r"login --service-principal --username \S+ --tenant \S+ --federated-token \S+ --output none",
        r"account set --subscription \S+",
    ],
    "gitleaks": [r"dir --no-banner --redact \."],
    "pwsh": [r"-NoProfile -NonInteractive -File infrastructure/psrule\.ps1"],
    "curl": [r"-fsSL --remote-name-all https://releases\.hashicorp\.com/\S+\.zip https://\S+_SHA256SUMS"],
}
OTHERS["curl"].append(r"-fsSL --remote-name https://github\.com/PowerShell/\S+/powershell-[\d.]+-linux-x64\.tar\.gz")


def refused(words: list[str]) -> str:
    """What is wrong with a call of `mlops`; empty when nothing is."""
    name = next((name for name in MLOPS if words[: len(name.split())] == name.split()), None)
    if name is None:
        return f"there is no command {' '.join(words[:2])}"
    rest = words[len(name.split()) :]
    for rule in MLOPS[name]:
        optional, flag = rule.startswith("?"), rule.lstrip("?")
        word = flag.rstrip("=")
        if flag == "FILE":
            if not rest or rest[0].startswith("-"):
                return "a file is missing"
            rest = rest[1:]
        elif word in rest:
            at = rest.index(word)
            if flag.endswith("=") and (at + 1 == len(rest) or rest[at + 1].startswith("-")):
                return f"{word} lacks its value"
            del rest[at : at + (2 if flag.endswith("=") else 1)]
        elif not optional:
            return f"{word} is missing"
    return f"unknown: {rest}" if rest else ""


def known(program: str, words: list[str]) -> bool:
    """Whether a program knows these words."""
    return any(re.fullmatch(pattern, " ".join(words)) for pattern in OTHERS.get(program, []))


def record(folder: Path, program: str, words: list[str]) -> None:
    names = {"job": "CI_JOB_NAME", "environment": "CI_ENVIRONMENT_NAME", "identity": "AZURE_CLIENT_ID"}
    facts: dict[str, Any] = {key: os.environ.get(name, "") for key, name in names.items()}
    facts["trivy"] = bool(shutil.which("trivy"))
    facts["tell"] = bool(os.environ.get("TELL_TOKEN"))
    with (folder / "calls.jsonl").open("a", encoding="utf-8") as calls:
        calls.write(json.dumps({**facts, "program": program, "words": words}) + "\n")


def rsync(words: list[str]) -> int:
    """Of rsync what gitlab-ci-local uses: a folder's content, or files by their names, into another folder."""
    *sources, target = [word for word in words if not word.startswith("-") and "*" not in word and word != ".git/lfs"]
    listed = next((word.partition("=")[2] for word in words if word.startswith("--files-from=")), "")
    state = Path(".gitlab-ci-local").resolve()
    if "--delete" in words:  # what git knows, for a job's own folder
        names = [
            ".git",
            *subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout.splitlines(),
        ]
    elif listed:
        names = [name for name in Path(listed).read_text(encoding="utf-8").split() if Path(name).exists()]
    elif "-Ra" in words:
        names = [name for name in sources if Path(name).exists()]
    else:
        shutil.copytree(sources[0], target, dirs_exist_ok=True)
        return 0
    for name in names:
        source, copy = Path(name), Path(target) / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, dirs_exist_ok=True, ignore=lambda at, _: [state.name] if at == "." else [])
        else:
            shutil.copy2(source, copy)
    return 0


def main() -> int:
    program, *words = sys.argv[1:]
    if program == "rsync":
        return rsync(words)
    folder = Path(os.environ["FAKE"])
    if program == "uv" and words[:1] == ["run"]:
        program, words = ("mlops", words[2:]) if words[1] == "mlops" else ("uv run", words[1:])
    record(folder, program, words)
    wrong = refused(words) if program == "mlops" else "" if known(program, words) else "not known"
    if wrong:
        print(f"{program} {' '.join(words)}: {wrong}", file=sys.stderr)
        return 99
    if program == "mlops" and words[0] == "next":  # the real one
        os.environ["PYTHONPATH"] = "src"
        os.execv(sys.executable, [sys.executable, "-m", "mlops_runtime.cli", *words])
    if "--remote-name" in words:
        Path(words[-1].rpartition("/")[2]).write_text("not the published archive", encoding="utf-8")
    if words[:2] == ["tool", "dir"]:
        print(folder / "bin")
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    line = " ".join([program, *words])
    ends = next((ends for start, ends in plan.items() if line.startswith(start)), {})
    if "--report" in words:  # what such a command writes when nothing is to be said
        Path(words[words.index("--report") + 1]).write_text("[]", encoding="utf-8")
    if "events" in words:
        Path("outputs.env").write_text("kinds=\n", encoding="utf-8")
    for name, content in ends.get("files", {}).items():
        text = content if isinstance(content, str) else json.dumps(content)
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")
    return int(ends.get("exit", 0))


if __name__ == "__main__":
    sys.exit(main())
