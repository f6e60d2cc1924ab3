"""Generate one project for each task, so that every answer of every question with choices appears in some project.

uv run --no-default-groups python scripts/render_examples.py FOLDER
"""

import argparse
import ast
import json
from collections.abc import Iterator
from pathlib import Path

from cookiecutter.main import cookiecutter

TEMPLATE = Path(__file__).resolve().parents[1]


def tasks() -> dict[str, list[str]]:
    """What the hook accepts: scenario → tasks."""
    hook = (TEMPLATE / "hooks" / "pre_gen_project.py").read_text(encoding="utf-8")
    text = hook.partition("TASKS = ")[2].partition("\n}")[0]
    found: dict[str, list[str]] = ast.literal_eval(f"{text}\n}}")
    return found


def examples() -> Iterator[dict[str, str]]:
    """The answers for each: the choices take turns."""
    asked = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
    choices = {key: found for key, found in asked.items() if isinstance(found, list) and not key.startswith("_")}
    del choices["scenario"]
    every = [(scenario, task) for scenario, of in tasks().items() for task in of]
    for number, (scenario, task) in enumerate(every):
        round_ = number // 3  # else the same answers would always come together
        turns = {
            key: found[(number + place * round_) % len(found)] for place, (key, found) in enumerate(choices.items())
        }
        name = f"Example {task.replace('-', ' ')}"
        yield {"project_name": name, "project_slug": f"example-{task}", "scenario": scenario, "task": task, **turns}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where to generate them")
    folder = parser.parse_args().folder
    for answers in examples():
        made = cookiecutter(str(TEMPLATE), no_input=True, output_dir=str(folder), extra_context=answers)
        print(f"{made}: {', '.join(value for key, value in answers.items() if not key.startswith('project'))}")


if __name__ == "__main__":
    main()
