"""Time to generate a project: this template, the same files as one flat template without hooks, and other templates.

    uv run python benchmarks/generation.py [--repeat N] [OTHER_TEMPLATE ...]

OTHER_TEMPLATE is the folder of another Cookiecutter template. Templates take turns, so that a busy moment of the
machine strikes all alike. Prints a Markdown table with the fastest turn of each, the one least disturbed.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cookiecutter.generate
from cookiecutter.main import cookiecutter as generate

TEMPLATE = Path(__file__).resolve().parents[1]
SLUG = "{{cookiecutter.project_slug}}"
# What the default answers choose, in the order in which the hook applies it.
LAYERS = [
    ".",
    "scenarios/classical",
    "scenarios/classical/tabular",
    "scenarios/classical/tabular/classification",
    "ci",
    "ci/github-actions",
    "iac/bicep",
    "deployments",
    "deployments/live",
    "deployments/live/online",
    "licenses/Proprietary",
    "composed",
]
VERSION = tomllib.loads((TEMPLATE / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
# The hook makes them: the record for updates, and a file computed from config and dependencies.
MADE_BY_HOOK = {".cruft.json", *(f"mlops/azureml/environments/{one}conda.yml" for one in ("", "serve-", "spark-"))}


def flatten(target: Path) -> Path:
    """Write the template as somebody without layers would: one folder, no hooks, no fragments."""
    for layer in LAYERS:
        source = TEMPLATE / layer / SLUG
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", ".*_cache")
            shutil.copytree(source, target / SLUG, dirs_exist_ok=True, ignore=ignored)
    for path in (target / SLUG).rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        if b" fragments['" in content or b"{{ template_version" in content:
            text = re.sub(r"(?:\s*\{\{-|\{\{) fragments\['(.+?)'\] \}\}", fragment, content.decode())
            path.write_text(text.replace("{{ template_version }}", VERSION), encoding="utf-8", newline="\n")
    shutil.copy2(TEMPLATE / "cookiecutter.json", target)
    return target


def fragment(slot: re.Match[str]) -> str:
    """The lines of every layer for one slot, not rendered yet."""
    files = [TEMPLATE / layer / "fragments" / slot[1] for layer in LAYERS]
    return "".join("\n" + path.read_text(encoding="utf-8").rstrip("\n") for path in files if path.is_file())


@contextmanager
def hooks_timed() -> Iterator[list[float]]:
    """Collect the seconds that Cookiecutter spends in each hook."""
    original: Callable[..., Any] = cookiecutter.generate.run_hook_from_repo_dir
    seconds: list[float] = []

    def timed(*arguments: Any, **more: Any) -> Any:
        started = time.perf_counter()
        result = original(*arguments, **more)
        seconds.append(time.perf_counter() - started)
        return result

    cookiecutter.generate.run_hook_from_repo_dir = timed
    try:
        yield seconds
    finally:
        cookiecutter.generate.run_hook_from_repo_dir = original


def in_process(template: Path, output: Path) -> tuple[Path, float, float]:
    """The generated project, seconds in all, seconds in hooks."""
    with hooks_timed() as hooks:
        started = time.perf_counter()
        project = generate(str(template), no_input=True, output_dir=str(output))
        return Path(project), time.perf_counter() - started, sum(hooks)


def whole_process(template: Path, output: Path) -> float:
    """Seconds of the command as a user types it."""
    command = [sys.executable, "-m", "cookiecutter", str(template), "--no-input", "--output-dir", str(output)]
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def contents(project: Path) -> dict[str, bytes]:
    """The project's files: path → bytes."""
    files = [path for path in project.rglob("*") if path.is_file() and ".git" not in path.relative_to(project).parts]
    return {path.relative_to(project).as_posix(): path.read_bytes() for path in files}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("others", nargs="*", type=Path, metavar="OTHER_TEMPLATE")
    parser.add_argument("--repeat", type=int, default=15, help="how often each template is used (default: 15)")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        templates = {"this template": TEMPLATE, "the same files, flat": flatten(scratch / "flat")}
        templates |= {path.resolve().name: path for path in arguments.others}
        times: dict[str, list[tuple[float, float, float]]] = {name: [] for name in templates}
        made: dict[str, dict[str, bytes]] = {}
        for turn in range(arguments.repeat + 1):
            for number, (name, template) in enumerate(templates.items()):
                output = scratch / f"{turn}-{number}"
                project, seconds, hooks = in_process(template, output / "in")
                if turn == 0:  # also fills the caches
                    made[name] = contents(project)
                else:
                    times[name].append((seconds, hooks, whole_process(template, output / "whole")))
                shutil.rmtree(output)

    ours, flat = made["this template"], made["the same files, flat"]
    different = {name for name in ours.keys() | flat.keys() if ours.get(name) != flat.get(name)} - MADE_BY_HOOK
    if different:
        raise SystemExit(f"The flat template gives other files, so the comparison is void: {sorted(different)}")

    print("| Template | Files | In process | of which hooks | Whole command | per file |\n|---|---|---|---|---|---|")
    for name, measured in times.items():
        seconds, hooks, whole = (1000 * min(column) for column in zip(*measured, strict=True))
        each = whole / len(made[name])
        found = " | ".join([*(f"{one:.0f} ms" for one in (seconds, hooks, whole)), f"{each:.1f} ms"])
        print(f"| {name} | {len(made[name])} | {found} |")


if __name__ == "__main__":
    main()
