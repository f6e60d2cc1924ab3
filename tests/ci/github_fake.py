"""Stand-ins for what jobs call, `uv`, `gh`, `curl` and `tar`: they record calls and refuse what the real tools would.

FAKE names a JSON file with `rules` ("mlops stage --env staging": {exit, outputs, files, prints}; the longest beginning
of a call counts) and `calls`, where each is recorded with the app that its job signs in as.
"""

import fcntl
import json
import os
import sys
from pathlib import Path
from typing import Any

TOOLS = ("ruff", "mypy", "pytest", "mlops")
# Options of each command; those with a value end in "=". Of `gh`, what https://cli.github.com/manual says.
COMMANDS: dict[str, tuple[str, ...]] = {
    "uv sync": ("--extra=",),
    "ruff check": (),
    "ruff format": ("--check",),
    "mypy": (),
    "pytest": ("-n=",),
    "gitleaks git": ("--no-banner", "--redact"),
    "gate": (),  # stands for the approval that an environment asks for
    "pwsh": ("-NoProfile", "-NonInteractive", "-File="),
    "gh api": ("--paginate", "--jq=", "--method=", "--input="),
    "gh auth setup-git": (),
    "gh pr comment": ("--edit-last", "--create-if-none", "--body-file="),
    "gh pr create": ("--head=", "--title=", "--body-file="),
    "curl": ("--fail", "--silent", "--show-error", "--location", "--retry=", "--output="),
    "tar": ("-xzf=", "-C="),
    "mlops check": (),
    "mlops run": (),
    "mlops config render": ("--check",),
    "mlops submit": ("--env=", "--scheduled"),
    "mlops promote": ("--env=", "--version=", "--approved-by-pipeline"),
    "mlops stage": ("--env=", "--retrained", "--patience="),
    "mlops deploy": ("--env=",),
    "mlops update": ("--plan",),
    "mlops tell": (),
    "mlops events": ("--env=", "--report="),
    "mlops scan": ("--env=", "--report="),
    "mlops infrastructure check": (),
    "mlops infrastructure plan": ("--env=", "--report="),
    "mlops infrastructure apply": ("--env=", "--report="),
}


def options(words: list[str]) -> dict[str, str]:
    """What stands after the names of the command; SystemExit for what the tool would refuse."""
    names = max((name for name in COMMANDS if words[: len(name.split())] == name.split()), key=len, default="")
    if not names:
        sys.exit(f"no such command: {words}")
    known = {option.rstrip("="): option.endswith("=") for option in COMMANDS[names]}
    found, rest = {}, words[len(names.split()) :]
    while rest:
        word = rest.pop(0)
        if word.startswith("-") and word not in known:
            sys.exit(f"{names}: unknown option {word}")
        if word.startswith("-"):
            found[word] = rest.pop(0) if known[word] else ""
    return found


def rule(rules: dict[str, Any], line: str) -> dict[str, Any]:
    """What was planned for a call."""
    names = [name for name in rules if f"{line} ".startswith(f"{name} ")]
    return dict(rules[max(names, key=len)]) if names else {}


def main(words: list[str]) -> int:
    """Record the call and do what was planned."""
    if words[:2] == ["uv", "run"]:
        words = words[2:]
        if words[0] not in TOOLS:
            sys.exit(f"uv run: {words[0]} is not there")
    given = options(words)
    report = given.get("--report") or given.get("--output")
    with Path(os.environ["FAKE"]).open("r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        state = json.load(file)
        planned = rule(state["rules"], " ".join(words))
        call: dict[str, Any] = {"line": " ".join(words), "client": os.environ.get("AZURE_CLIENT_ID", "")}
        call["token"] = bool(os.environ.get("GH_TOKEN"))
        head = Path(".git/HEAD")
        call["head"] = head.read_text(encoding="utf-8").strip() if head.exists() else ""
        if words[:2] == ["mlops", "tell"]:
            call["told"] = json.loads(Path(words[2]).read_text(encoding="utf-8"))
        if given.get("--body-file"):
            place = given["--body-file"]
            call["body"] = sys.stdin.read() if place == "-" else Path(place).read_text(encoding="utf-8")
        state["calls"].append(call)
        file.seek(0)
        file.truncate()
        json.dump(state, file)
    if words[:3] == ["mlops", "infrastructure", "apply"]:
        shown = Path(given["--report"]).read_text(encoding="utf-8")
        return 0 if f"for {given['--env']}" in shown else 2
    if report:
        content = planned.get("report", [])
        text = content.format(**given) if isinstance(content, str) else json.dumps(content)
        Path(report).write_text(text, encoding="utf-8")
    for name, value in planned.get("outputs", {}).items():
        with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as file:
            file.write(f"{name}={value}\n")
    for name, text in planned.get("files", {}).items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")
    print(planned.get("prints", ""))
    return int(planned.get("exit", 0))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
