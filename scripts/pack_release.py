"""Pack a tagged version for its release: the archive, the notes from CHANGELOG.md, and the digests of what is there.

It refuses a tag that is not the version in pyproject.toml, or of which CHANGELOG.md says nothing.
"""

import argparse
import hashlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[1]


def notes(changes: str, version: str) -> str:
    """The section of a version, without its heading; empty when there is none."""
    found = re.search(rf"^## {re.escape(version)}\b[^\n]*\n(.*?)(?=^## |\Z)", changes, re.MULTILINE | re.DOTALL)
    return found[1].strip() if found else ""


def faults(tag: str) -> str:
    """Why this tag cannot be released; empty when it can."""
    version = tomllib.loads((TEMPLATE / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    if tag != f"v{version}":
        return f"The tag is {tag}, but pyproject.toml has version {version}: tag v{version}, or change the version."
    if not notes((TEMPLATE / "CHANGELOG.md").read_text(encoding="utf-8"), version):
        return f"CHANGELOG.md says nothing of {version}: give it a section `## {version}` with what changed."
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tag", required=True, help="the tag, for example v1.2.0")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to")
    args = parser.parse_args()
    if reason := faults(args.tag):
        print(reason)
        return 1
    args.output.mkdir(parents=True, exist_ok=True)
    name = f"mlops-template-{args.tag.removeprefix('v')}"
    archive = args.output / f"{name}.zip"
    pack = ["git", "-C", TEMPLATE, "archive", "--format=zip", f"--prefix={name}/", "-o", archive.resolve(), "HEAD"]
    subprocess.run(pack, check=True)
    text = notes((TEMPLATE / "CHANGELOG.md").read_text(encoding="utf-8"), args.tag.removeprefix("v"))
    (args.output / "notes.md").write_text(text + "\n", encoding="utf-8", newline="\n")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    (args.output / f"{name}.zip.sha256").write_text(f"{digest}  {archive.name}\n", encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
