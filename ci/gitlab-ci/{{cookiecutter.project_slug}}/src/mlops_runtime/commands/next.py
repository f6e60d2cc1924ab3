"""Choose from events what is released next, and write it down as the pipeline that GitLab then starts."""

import argparse
from pathlib import Path

FOLDER = Path(".gitlab", "release")
FORMS = {"VERSION": r"[A-Za-z0-9._-]+", "COMMIT": "[0-9a-f]{7,64}", "RETRAINED": r"(--retrained)?"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("events", type=Path, metavar="FILE", help="events, as `mlops events` writes them")
    parser.add_argument("--version", default="", metavar="V", help="this candidate, even if it was tried before")


def run(args: argparse.Namespace) -> int:
    """Write next.yml, and told.json with what is for people: 0 written."""
    from mlops_runtime import config, happened, host

    root = config.find_root()
    events = happened.read(args.events)
    found = [one for one in events if one["kind"] in ("candidate", "retrained")]
    happened.write(root / "told.json", [one for one in events if one not in found])
    version = args.version or next((one["version"] for one in found), "")
    why = "there is no candidate" if not version else "" if args.version else host.tried(version)
    if why:
        print(f"Nothing is started: {why}.")
        text = (root / FOLDER / "nothing.yml").read_text(encoding="utf-8")
    else:
        event = next((one for one in found if one["version"] == version), None)
        retrained = event is not None and event["kind"] == "retrained"
        values = {"VERSION": version, "COMMIT": _commit(root, version, event["commit"] if event else "")}
        text = _filled_in(root / FOLDER / "deploy.yml", {**values, "RETRAINED": "--retrained" if retrained else ""})
        print(f"Version {version} is next{', trained again on production data' if retrained else ''}.")
    (root / "next.yml").write_text(text, encoding="utf-8", newline="\n")
    return 0


def _commit(root: Path, version: str, commit: str) -> str:
    """The commit whose code releases the model: that which made it, if it is one of this branch."""
    import os
    import subprocess

    from mlops_runtime.errors import Problem

    if not commit:
        return os.environ.get("CI_COMMIT_SHA", "")
    asked = ["git", "merge-base", "--is-ancestor", commit, "HEAD"]
    if subprocess.run(asked, cwd=root, capture_output=True, check=False).returncode:
        raise Problem(f"Version {version} was made by commit {commit}, which is not in this branch: merge it first.")
    return commit


def _filled_in(path: Path, values: dict[str, str]) -> str:
    """The pipeline with these values; nothing in them can become part of its code."""
    import re

    from mlops_runtime.errors import Problem

    text = path.read_text(encoding="utf-8")
    text = "\n".join(line for line in text.split("\n") if not line.startswith("#"))
    for name, value in values.items():
        if not re.fullmatch(FORMS[name], value):
            raise Problem(f"{name} {value!r} does not look like one ({FORMS[name]}): nothing is released.")
        text = text.replace(f"@{name}@", value)
    return text
