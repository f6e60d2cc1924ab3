"""All 81 combinations of scenario, CI system, IaC tool and target are rendered, and each file of any of them is valid.

That pipelines and the estate work is shown elsewhere, for one project of each CI system and of each scenario, tool and
target: here it is shown that the other answers change nothing in them.
"""

import itertools
import json
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest
import yaml
from cookiecutter.main import cookiecutter

from .conftest import TEMPLATE
from .tasks import ANSWERS, SCENARIOS
from .test_lint import CHECKS, run
from .test_structure import files

KEYS = ("scenario", "ci_system", "iac_tool", "deployment")
OF_CI = (".github/", "azure-pipelines/", ".gitlab")
PARSERS = {".json": json.loads, ".toml": tomllib.loads, ".yml": yaml.safe_load, ".yaml": yaml.safe_load}


@pytest.mark.full
def test_every_combination(tmp_path: Path) -> None:
    values = [list(SCENARIOS), *(ANSWERS[key] for key in KEYS[1:])]
    combinations = [dict(zip(KEYS, chosen, strict=True)) for chosen in itertools.product(*values)]
    assert len(combinations) == 81
    variants: dict[str, dict[bytes, list[dict[str, str]]]] = defaultdict(lambda: defaultdict(list))
    for number, chosen in enumerate(combinations):
        answers = {**chosen, "task": SCENARIOS[chosen["scenario"]][0], "project_name": "Taxi Fares"}
        made = cookiecutter(str(TEMPLATE), no_input=True, output_dir=str(tmp_path / str(number)), extra_context=answers)
        for path in files(Path(made)):
            variants[path.relative_to(made).as_posix()][path.read_bytes()].append(chosen)

    for name in ("ruff check", "ruff format"):
        done = run(*CHECKS[name], cwd=tmp_path)
        assert done.returncode == 0, f"{name}:\n{done.stdout}{done.stderr}"
    for name, contents in variants.items():
        if name.startswith(OF_CI) and name != ".github/dependabot.yml":  # which knows of Terraform
            assert len(contents) == len({one["ci_system"] for all_of in contents.values() for one in all_of}), name
        if name.startswith("infrastructure/"):
            of_estate = [
                {tuple(one[key] for key in KEYS if key != "ci_system") for one in of} for of in contents.values()
            ]
            assert sum(map(len, of_estate)) == len(set.union(*of_estate)), f"{name} depends on the CI system"
        for number, content in enumerate(contents):
            parse = PARSERS.get(Path(name).suffix)
            if parse:
                parse(content.decode())
            if Path(name).suffix in (".yml", ".yaml"):
                copy = tmp_path / "yaml" / str(number) / name
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(content)
    done = run(*CHECKS["yamllint"][:-1], "yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
