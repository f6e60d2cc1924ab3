"""Add the layers that the answers chose to the base, then record the answers so that the project can be updated."""

import json
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from fnmatch import fnmatch
from pathlib import Path

from jinja2 import Environment, StrictUndefined

# Single quotes: tojson escapes those, not double ones.
ANSWERS = json.loads(r'{{ cookiecutter | tojson }}')  # fmt: skip
# Hooks are rendered in the template's folder by Cookiecutter and cruft alike; a running hook is not told where that is.
TEMPLATE = Path(json.loads(r'{{ lipsum.__globals__.os.getcwd() | tojson }}'))  # fmt: skip
PROJECT = Path.cwd()
MARK = re.compile(rb"\{[{" + rb"%#]")  # in two parts, so that this file has none
SLUG = "{% raw %}{{cookiecutter.project_slug}}{% endraw %}"  # the folder in each layer that holds its files


def nested(folder: Path, name: str) -> list[Path]:
    """The layer `name` somewhere in `folder`, after all that contain it, `folder` first; none when it is not there."""
    found = [layer for layer in sorted(folder.rglob(name)) if layer.is_dir() and SLUG not in layer.parts]
    return [one for layer in found for one in [*reversed(layer.parents), layer] if one.is_relative_to(folder)]


def chosen_layers() -> list[Path]:
    """The layer folders in the order in which they apply; a nested layer comes after those that contain it."""
    return [
        *nested(TEMPLATE / "scenarios" / ANSWERS["scenario"], ANSWERS["task"]),
        *nested(TEMPLATE / "ci", ANSWERS["ci_system"]),
        TEMPLATE / "iac" / ANSWERS["iac_tool"],
        *nested(TEMPLATE / "deployments", ANSWERS["deployment"]),
        TEMPLATE / "licenses" / ANSWERS["license"],
    ]


def collect_fragments(layers: list[Path], environment: Environment) -> dict[str, str]:
    """What the layers contribute to files that several of them share: fragment name → rendered lines."""
    fragments: dict[str, str] = defaultdict(str)
    for layer in layers:
        for file in sorted((layer / "fragments").glob("*")):
            text = environment.from_string(file.read_text(encoding="utf-8")).render()
            fragments[file.name] += "\n" + text.rstrip("\n")
    return fragments


def write_files(folder: Path, environment: Environment) -> None:
    """Render one folder's files into the project, next to those already there, as Cookiecutter does.

    Importing Cookiecutter and having it render what holds nothing to render takes twice as long.
    """
    for source in (folder / SLUG).rglob("*"):
        if source.is_dir() or source.parent.name == "__pycache__":
            continue
        name, content = source.relative_to(folder / SLUG).as_posix(), source.read_bytes()
        target = PROJECT / environment.from_string(name).render()
        target.parent.mkdir(parents=True, exist_ok=True)
        binary = b"\0" in content
        if binary or not MARK.search(content) or any(fnmatch(name, one) for one in ANSWERS["_copy_without_render"]):
            target.write_bytes(content)
        else:
            target.write_bytes(environment.from_string(content.decode()).render().encode())


def template_git(*arguments: str) -> str:
    """What git prints in the template's folder; empty when that is not a git repository of its own (a zip, a copy)."""
    if not (TEMPLATE / ".git").exists():
        return ""
    try:
        done = subprocess.run(["git", "-C", TEMPLATE, *arguments], capture_output=True, encoding="utf-8", check=False)
    except OSError:  # git is not installed
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def template_version() -> str:
    """The template's version, which its pyproject.toml says."""
    return str(tomllib.loads((TEMPLATE / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def write_derived_files() -> None:
    """Write what `mlops config render` would, with the same code."""
    from mlops_runtime import derived

    derived.render(PROJECT)


def record_answers() -> None:
    """Write what `mlops update` and ``cruft update`` read, unless cruft itself is running and writes it."""
    from mlops_runtime import template

    if "_commit" in ANSWERS:
        return
    of_this_machine = ("_output_dir", "_repo_dir", "_template")
    context = {"cookiecutter": {key: value for key, value in ANSWERS.items() if key not in of_this_machine}}
    commit = template_git("rev-parse", "HEAD")
    if not commit:
        template.write_record(PROJECT / template.UNLINKED, {"context": context})
        return
    address = template_git("remote", "get-url", "origin") or TEMPLATE.as_posix()
    place = {"template": template.without_credentials(address), "commit": commit, "checkout": ANSWERS.get("_checkout")}
    template.write_record(PROJECT / template.LINKED, {**place, "context": context, "directory": None})


def main() -> None:
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)  # nosec B701 - no pages
    environment.globals |= {"cookiecutter": ANSWERS, "template_version": template_version()}
    layers = chosen_layers()
    environment.globals["fragments"] = collect_fragments(layers, environment)
    for layer in [*layers, TEMPLATE / "composed"]:
        write_files(layer, environment)
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(PROJECT / "src"))  # the machinery that was just written
    write_derived_files()
    record_answers()
    (PROJECT / ".unfinished").unlink(missing_ok=True)  # what pre_gen_project.py wrote


if __name__ == "__main__":
    main()
