"""Time to generate a project against the number of layers: those that the answers choose, and those that they do not.

    uv run python benchmarks/layers.py [--repeat N]

A layer here has ten files of forty lines, each with two answers in it. Prints a Markdown table with the fastest turn.
"""

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

from generation import SLUG, TEMPLATE, in_process, whole_process

LINES = (
    "".join(f"line {number}\n" for number in range(38)) + "{{ cookiecutter.project_name }}\n{{ cookiecutter.task }}\n"
)
NUMBERS = (0, 10, 20, 40)  # of layers more
CHOSEN, OFFERED = Path("deployments", "live"), Path("iac")


def extended(folder: Path, chosen: int, offered: int) -> Path:
    """The template with more layers that contain that of the default target, and more beside the IaC tools."""
    listed = subprocess.run(["git", "ls-files"], cwd=TEMPLATE, capture_output=True, encoding="utf-8", check=True).stdout
    for name in listed.splitlines():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(TEMPLATE / name, folder / name)
    inner = folder / CHOSEN
    for number in range(chosen):
        inner /= f"more{number}"
        fill(inner, f"chosen{number}")
    if chosen:
        shutil.move(folder / CHOSEN / "online", inner / "online")
    for number in range(offered):
        fill(folder / OFFERED / f"offered{number}", f"offered{number}")
    return folder


def fill(layer: Path, name: str) -> None:
    """Give a layer its ten files."""
    for number in range(10):
        file = layer / SLUG / "more" / name / f"{number}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(LINES, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=7, help="how often each template is used (default: 7)")
    repeat = parser.parse_args().repeat
    kinds = [(number, 0) for number in NUMBERS] + [(0, number) for number in NUMBERS[1:]]
    with tempfile.TemporaryDirectory() as scratch:
        templates = {kind: extended(Path(scratch, "{}-{}".format(*kind)), *kind) for kind in kinds}
        times: dict[tuple[int, int], list[float]] = {kind: [] for kind in kinds}
        files: dict[tuple[int, int], int] = {}
        for turn in range(repeat):
            for number, kind in enumerate(kinds):
                output = Path(scratch, "out", f"{turn}-{number}")
                if turn == 0:
                    project, _, _ = in_process(templates[kind], output / "counted")
                    files[kind] = sum(path.is_file() for path in project.rglob("*"))
                times[kind].append(whole_process(templates[kind], output / "timed"))
                shutil.rmtree(output)
    print("| Layers more, chosen | offered | Files of the project | Whole command |\n|---|---|---|---|")
    for kind in kinds:
        print(f"| {kind[0]} | {kind[1]} | {files[kind]} | {1000 * min(times[kind]):.0f} ms |")


if __name__ == "__main__":
    main()
