"""Make the documentation's pictures of a real run: a terminal session as SVG, the two reports as PNG.

    python scripts/make_pictures.py PROJECT PYTHON

PROJECT is a project generated with default answers in which nothing has run, PYTHON the interpreter of an environment
with its dependencies; Chromium must be on the path. How long steps took is left out: that is the machine's
(docs/performance.md).
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import textwrap
from html import escape
from pathlib import Path

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"
COLUMNS = 104
NO_BREAK = "\u00a0"  # a blank that browsers keep at the beginning of a line
LARGEST = 200_000  # bytes of a picture
COMMANDS = [["run"], ["run"], ["monitor", "--data", "data/flights-new.parquet"]]


def session(project: Path, python: str) -> list[str]:
    """What a terminal shows: each command, what it printed, and its exit code where that is not 0."""
    lines = []
    environment = {**os.environ, "PYTHONPATH": "src", "MLFLOW_DISABLE_TELEMETRY": "true"}
    for words in COMMANDS:
        command = [python, "-m", "mlops_runtime.cli", *words]
        done = subprocess.run(command, cwd=project, env=environment, capture_output=True, encoding="utf-8", check=False)
        if done.returncode not in (0, 1):
            sys.exit(f"mlops {' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        printed = done.stdout.replace(f"{project}{os.sep}", "")
        printed = re.sub(r"^(\[\d+/\d+\] \w+): [\d.]+ s$", r"\1", printed, flags=re.MULTILINE)
        lines += [f"$ uv run mlops {' '.join(words)}", *printed.splitlines()]
        lines += [f"(exit code {done.returncode})"] if done.returncode else []
        lines.append("")
    return lines[:-1]


def terminal(lines: list[str]) -> str:
    """Those lines as a dark window, which reads the same on a light and on a dark page."""
    wrapped = [part for line in lines for part in textwrap.wrap(line, COLUMNS, subsequent_indent=" " * 6) or [""]]
    colours = {"$": "#7dd3fc", "F": "#fca5a5", "o": "#86efac", "R": "#fde68a", "A": "#fde68a"}
    height = 44 + 18 * len(wrapped)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {COLUMNS * 8 + 40} {height}" role="img">',
        "<title>A terminal: mlops run and mlops monitor</title>",
        '<rect width="100%" height="100%" rx="10" fill="#0f172a"/>',
        *(
            f'<circle cx="{20 + 18 * n}" cy="16" r="5" fill="{c}"/>'
            for n, c in enumerate(("#f87171", "#fbbf24", "#34d399"))
        ),
        '<g font-family="ui-monospace, \'DejaVu Sans Mono\', Menlo, Consolas, monospace" font-size="13">',
    ]
    for n, line in enumerate(wrapped):
        word = line.strip().split(" ", 1)[0] if re.match(r"\$|  FIRED|    ok|Registered|Action", line) else ""
        colour = colours.get(word[:1], "#e2e8f0")
        parts.append(f'<text x="20" y="{46 + 18 * n}" fill="{colour}">{escape(line).replace(" ", NO_BREAK)}</text>')
    return "\n".join([*parts, "</g>", "</svg>"]) + "\n"


def photograph(page: Path, picture: Path) -> None:
    """The top of an HTML page as PNG."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=900,1000"]
    with tempfile.TemporaryDirectory() as profile:
        command = ["chromium", *options, f"--user-data-dir={profile}", f"--screenshot={picture}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=lambda text: Path(text).resolve())
    parser.add_argument("python")
    args = parser.parse_args()
    if (args.project / ".mlops").exists():
        sys.exit(f"{args.project} has been used: generate a new one, so that the picture shows a first run.")
    lines = session(args.project, args.python)
    (PICTURES / "session.svg").write_text(terminal(lines), encoding="utf-8", newline="\n")
    (evaluation,) = args.project.glob(".mlops/steps/evaluate/[0-9a-f]*/outputs/evaluation/report.html")
    photograph(evaluation, PICTURES / "evaluation.png")
    photograph(args.project / ".mlops" / "monitor" / "report.html", PICTURES / "monitor.png")
    for picture in PICTURES.iterdir():
        if picture.stat().st_size > LARGEST:
            sys.exit(f"{picture} has {picture.stat().st_size} bytes, more than {LARGEST}.")


if __name__ == "__main__":
    main()
