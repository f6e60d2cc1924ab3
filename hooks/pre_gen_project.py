"""Refuse answers that could not give a working project, before anything is written."""

from __future__ import annotations  # so that an old Python gets as far as the message about its age

import json
import keyword
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

# Single quotes: tojson escapes those, not double ones.
ANSWERS = json.loads(r'{{ cookiecutter | tojson }}')  # fmt: skip

TASKS = {
    "classical": ["classification", "regression", "forecasting"],
    "cv": ["image-classification", "segmentation"],
    "nlp": ["text-classification", "token-classification", "text-generation"],
}
UNFINISHED = "Generating this project was interrupted: delete the folder and generate it again.\n"
# Characters that a parser or an editor folds, drops or reorders: controls, separators, surrogates, BOM, bidirectional.
UNSAFE_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
UNSAFE_CHARACTERS = set("\ufeff\ufffe\uffff\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def problem(answers: dict[str, str]) -> str | None:
    """The first broken rule, as a sentence that names the value, the rule and the fix; None when all is well."""
    for key in ("project_name", "description", "author"):
        value = answers[key]
        if not value.strip():
            return f"{key} is empty: give it at least one visible character."
        bad = [c for c in value if unicodedata.category(c) in UNSAFE_CATEGORIES or c in UNSAFE_CHARACTERS]
        if bad:
            return f"{key} {value!r} contains the invisible character {bad[0]!r}: write it on one line of visible text."
        if any(mark in value for mark in ("{" + "{", "{" + "%", "{" + "#")):
            return f"{key} {value!r} contains a template marker (a brace and a brace, % or #): put a space between."
    if len(answers["project_name"]) > 60:
        return f"project_name has {len(answers['project_name'])} characters: shorten it to 60 at most."

    slug = answers["project_slug"]
    if not re.fullmatch(r"[a-z][a-z0-9-]{1,38}[a-z0-9]", slug):
        return (
            f"project_slug {slug!r} is not allowed: use 3 to 40 lower-case letters, digits and hyphens, "
            "starting with a letter and ending with a letter or digit, for example 'taxi-fares'."
        )
    package = answers["package_name"]
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", package):
        return (
            f"package_name {package!r} is not allowed: use up to 40 lower-case letters, digits and underscores, "
            "starting with a letter, for example 'taxi_fares'."
        )
    for key in ("project_slug", "package_name"):
        if answers[key] in answers["_windows_devices"]:
            return f"{key} {answers[key]!r} is the name of a device on Windows: choose another."
    taken = keyword.iskeyword(package) or package in sys.stdlib_module_names or package in answers["_reserved_packages"]
    if taken:
        return (
            f"package_name {package!r} is already the name of something Python code here imports: try '{package}_ml'."
        )

    tasks = TASKS[answers["scenario"]]
    if answers["task"] not in tasks:
        return f"task {answers['task']!r} does not exist for {answers['scenario']!r}: choose one of {', '.join(tasks)}."
    if not re.fullmatch(r"[a-z0-9]{3,40}", answers["azure_region"]):
        region = answers["azure_region"]
        return f"azure_region {region!r} is not allowed: lower-case letters and digits, for example 'westeurope'."
    if not re.fullmatch(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", answers["owner_email"]):
        return f"owner_email {answers['owner_email']!r} is not an e-mail address: write it like 'team@example.com'."
    return None


def only_copy() -> bool:
    """Whether this runs over a project (``cookiecutter -f``) with files that nobody could get back from git."""
    if all(path.name == ".git" for path in Path.cwd().iterdir()):
        return False
    committed, changed = (
        subprocess.run(["git", *command, "."], capture_output=True, text=True, check=False).stdout.strip()
        for command in (["ls-files"], ["status", "--porcelain"])
    )
    return bool(changed) if committed else not Path(".unfinished").exists()  # what is half made has no work in it


if __name__ == "__main__":
    message = (
        problem(ANSWERS)
        if sys.version_info >= (3, 11)
        else "Python 3.11 or newer is needed: run Cookiecutter with one."
    )
    if message is None and only_copy():
        message = (
            f"{Path.cwd().name} has uncommitted changes, which generating again would overwrite: commit them, or "
            "delete the folder. To adopt a newer template and keep your edits, run `uv run mlops update` there instead."
        )
    if message:
        sys.exit(f"Error: {message}")
    Path(".unfinished").write_text(UNFINISHED, encoding="utf-8")  # the other hook removes it at its end
