"""Unusual answers are rendered as they are or refused with one clear message, before anything is written."""

import ast
import json
import keyword
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from cookiecutter.exceptions import FailedHookException
from cookiecutter.main import cookiecutter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .conftest import TEMPLATE, Bake, some_quick

REFUSED = {
    "newline": ({"description": "two\nlines"}, "one line"),
    "tab": ({"author": "a\tb"}, "one line"),
    "null": ({"author": "a\0b"}, "one line"),
    "bidirectional": ({"project_name": "abc\u202edef"}, "invisible"),
    "line separator": ({"description": "a\u2028b"}, "invisible"),
    "template marker": ({"description": "{{ 7*7 }}"}, "template marker"),
    "template block": ({"description": "{% raw %}"}, "template marker"),
    "blank name": ({"project_name": "  "}, "is empty"),
    "long name": ({"project_name": "n" * 61}, "60 at most"),
    "slug with capitals": ({"project_slug": "Taxi"}, "for example 'taxi-fares'"),
    "slug with a path": ({"project_slug": "../taxi"}, "for example 'taxi-fares'"),
    "slug too short": ({"project_slug": "ab"}, "for example 'taxi-fares'"),
    "slug too long": ({"project_slug": "a" * 41}, "for example 'taxi-fares'"),
    "slug ends with hyphen": ({"project_slug": "taxi-"}, "for example 'taxi-fares'"),
    "slug is a device": ({"project_slug": "com1"}, "device on Windows"),
    "package is a device": ({"package_name": "aux"}, "device on Windows"),
    "package with hyphen": ({"package_name": "taxi-fares"}, "for example 'taxi_fares'"),
    "package is a keyword": ({"package_name": "class"}, "try 'class_ml'"),
    "package is in the standard library": ({"package_name": "json"}, "try 'json_ml'"),
    "package is a dependency": ({"package_name": "mlflow"}, "try 'mlflow_ml'"),
    "package is the machinery": ({"package_name": "mlops_runtime"}, "try 'mlops_runtime_ml'"),
    "unknown task": ({"task": "segmentation"}, "choose one of classification"),
    "region": ({"azure_region": "West Europe"}, "for example 'westeurope'"),
    "region with code": ({"azure_region": "$(id)"}, "for example 'westeurope'"),
    "e-mail": ({"owner_email": "nobody"}, "team@example.com"),
    "e-mail with code": ({"owner_email": "a@b.c'; rm"}, "team@example.com"),
}


@pytest.mark.parametrize("case", some_quick(REFUSED, 12))
def test_refused(case: str, tmp_path: Path) -> None:
    answers, message = REFUSED[case]
    # As answers to prompts come: not rendered first, which `--no-input` does.
    script = (
        "import json, sys; from cookiecutter.generate import generate_context, generate_files; "
        "from cookiecutter.prompt import prompt_for_config; "
        "template, folder, answers = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]); "
        "context = generate_context(template + '/cookiecutter.json'); "
        "typed = lambda *a, **k: None; "
        "full = prompt_for_config(context, no_input=True); full.update(answers); "
        "generate_files(template, {'cookiecutter': full}, output_dir=folder)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, TEMPLATE, tmp_path, json.dumps(answers)],
        cwd=TEMPLATE,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode != 0
    lines = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1
    assert message in lines[0]
    (key,) = answers
    assert key in lines[0], "the message names the question"
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_through_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(FailedHookException):
        cookiecutter(str(TEMPLATE), no_input=True, output_dir=str(tmp_path), extra_context={"task": "nothing"})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    some_quick(
        [
            "a" * 60,
            "3D Printing 24/7",
            "🚀",
            "Ωμέγα",
            "class",
            "json",
            "test",
            "mlflow",
            "tests",
            "x",
            "数据",
            "--",
            "é" * 60,
            "Ab",
            "Con",
        ],
        5,
    ),
)
def test_derived_defaults_are_always_valid(name: str, bake: Bake) -> None:
    project = bake(project_name=name)
    assert re.fullmatch(r"[a-z][a-z0-9-]{1,38}[a-z0-9]", project.name)
    (package,) = [p.name for p in (project / "src").iterdir() if p.is_dir() and p.name != "mlops_runtime"]
    assert package.isidentifier()
    assert not keyword.iskeyword(package)
    assert package not in sys.stdlib_module_names


KEYS = ("project_name", "description", "author")
HOSTILE = [
    'Say "hi": it\'s',
    'O"Brien',
    r"C:\Users\new",
    '"""',
    "'''",
    "José 🚀",
    "$(id)",
    "'; rm -rf",
    "#",
    "a: b",
    "- x",
    "\\",
]


def values_that_come_out(project: Path) -> dict[str, list[str]]:
    """Where each answer ends up, read with the parser of each file's format; every file must parse."""
    content = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    devcontainer = json.loads((project / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
    for path in project.rglob("*"):
        if path.suffix in (".yml", ".yaml"):
            yaml.safe_load(path.read_text(encoding="utf-8"))
        elif path.suffix == ".py":
            ast.parse(path.read_text(encoding="utf-8"))
        elif path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
    readme = (project / "README.md").read_text(encoding="utf-8").replace("&lt;", "<")
    license_lines = (project / "LICENSE").read_text(encoding="utf-8").split("\n")
    recorded = json.loads((project / ".cruft.json").read_text(encoding="utf-8"))["context"]["cookiecutter"]
    return {
        "project_name": [devcontainer["name"], readme.splitlines()[0].removeprefix("# "), recorded["project_name"]],
        "description": [content["project"]["description"], readme.splitlines()[2], recorded["description"]],
        "author": [
            content["project"]["authors"][0]["name"],
            license_lines[0].removeprefix("Copyright (c) "),
            recorded["author"],
        ],
    }


@pytest.mark.parametrize("text", some_quick(HOSTILE))
def test_hostile_answers_come_out_as_they_went_in(text: str, bake: Bake) -> None:
    project = bake(**dict.fromkeys(KEYS, text), project_slug="taxi-fares")
    assert values_that_come_out(project) == {key: [text] * len(v) for key, v in values_that_come_out(project).items()}


# Of text with control characters nearly every example would be refused; here nearly every one is rendered and compared.
visible = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]) | st.sampled_from("\"'\\#:{}[]%$&<>`|*!?-")
text = st.text(visible, min_size=1, max_size=60)
anything = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


@pytest.mark.full
@given(name=text, description=text, author=text | anything)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_answer_is_rendered_or_refused(
    name: str, description: str, author: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    given_answers = {"project_name": name, "description": description, "author": author}
    if any("{{" in v or "{%" in v or "{#" in v for v in given_answers.values()):
        return  # `--no-input` renders such answers before any hook; through prompts they are refused
    folder = tmp_path_factory.mktemp("any")
    try:
        project = Path(cookiecutter(str(TEMPLATE), no_input=True, output_dir=str(folder), extra_context=given_answers))
    except FailedHookException:
        assert list(folder.iterdir()) == []
        return
    found = values_that_come_out(project)
    assert found == {key: [given_answers[key]] * len(found[key]) for key in KEYS}
