"""The documentation: links lead somewhere, commands and paths exist, pictures are those that their scripts make."""

import importlib.util
import json
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from cookiecutter.cli import main as cookiecutter_command
from cookiecutter.main import cookiecutter

from .command_lines import KNOWN, PROGRAMS, fault, mentions, shell_lines, unsafe_blocks
from .conftest import SLUG_FOLDER, TEMPLATE, Bake, Environment
from .tasks import ALL, ANSWERS, BY_NAME, one_at_a_time

DOCS = TEMPLATE / "docs"
PAGES = sorted(DOCS.glob("*.md"))
READ = [*(TEMPLATE / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY", "CHANGELOG")), *PAGES]
names = [path.name for path in READ]


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]+`", "", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def rows(text: str) -> Iterator[list[str]]:
    """The rows of all tables, without headings; an empty first cell takes what stands above it."""
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        above = ""
        for line in table.splitlines()[2:]:
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            above = cells[0] = cells[0] or above
            yield cells


# Links and navigation


def anchors(path: Path) -> set[str]:
    """As Python-Markdown makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.S), re.M)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


def broken_links(path: Path) -> list[str]:
    broken = []
    for target in re.findall(r"!?\[[^\]]*\]\(([^)\s]+)\)", without_code(path.read_text(encoding="utf-8"))):
        if re.match(r"https?://|mailto:", target):
            continue
        name, _, anchor = target.partition("#")
        there = (path.parent / name) if name else path
        outside = path.parent == DOCS and not there.resolve().is_relative_to(DOCS)  # the site has no such page
        if outside or not there.is_file() or (anchor and anchor not in anchors(there)):
            broken.append(target)
    return broken


@pytest.mark.parametrize("path", READ, ids=names)
def test_links(path: Path) -> None:
    assert broken_links(path) == []


def test_planted_broken_links_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One\n[a](none.md) [b](#one) [c](page.md#two) ![d](e.svg) `[f](g.md)`\n", encoding="utf-8")
    assert broken_links(page) == ["none.md", "page.md#two", "e.svg"]


def test_a_link_that_leaves_the_site_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "DOCS", tmp_path / "docs")
    (tmp_path / "docs").mkdir()
    for name in ("SECURITY.md", "docs/other.md"):
        (tmp_path / name).write_text("# One\n", encoding="utf-8")
    page = tmp_path / "docs" / "page.md"
    page.write_text("[a](../SECURITY.md) [b](other.md)\n", encoding="utf-8")
    assert broken_links(page) == ["../SECURITY.md"]


def settings() -> dict[str, object]:
    loaded = yaml.safe_load((TEMPLATE / "mkdocs.yml").read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def test_every_page_is_in_the_navigation_once() -> None:
    listed = re.findall(r"\S+\.md", yaml.safe_dump(settings()["nav"], width=1000))
    assert sorted(listed) == [path.name for path in PAGES], "mkdocs.yml: nav"


@pytest.mark.parametrize("key", ["scenario", "ci_system", "iac_tool", "deployment"])
def test_every_answer_has_its_page(key: str) -> None:
    for value in ANSWERS[key]:
        assert (DOCS / f"{value}.md").is_file()


@pytest.mark.parametrize(("heading", "values"), [("Tasks", list(BY_NAME)), ("Licenses", ANSWERS["license"])])
def test_answers_without_a_page_are_in_a_section(heading: str, values: list[str]) -> None:
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", read("answers.md"), re.MULTILINE | re.DOTALL)[1]
    assert sorted(cells[0].strip("`") for cells in rows(section)) == sorted(values)


def test_every_question_has_its_rule_and_its_default() -> None:
    asked = [key for key in ANSWERS if not key.startswith("_")]
    table = [cells for cells in rows(read("answers.md")) if cells[0].strip("`") in asked]
    assert [cells[0].strip("`") for cells in table] == asked
    for key, rule, default in [(cells[0].strip("`"), *cells[1:]) for cells in table]:
        assert rule
        if isinstance(ANSWERS[key], list):
            assert default == f"`{ANSWERS[key][0]}`"
            assert all(f"`{value}`" in rule for value in ANSWERS[key])
        elif "{" not in ANSWERS[key]:
            assert f"`{ANSWERS[key]}`" in default, key


def build(root: Path, site: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    return subprocess.run(command, cwd=root, capture_output=True, encoding="utf-8", check=False)


@pytest.mark.full
def test_the_site(tmp_path: Path) -> None:
    """It builds without a warning, and its pages load nothing from another host."""
    done = build(TEMPLATE, tmp_path / "site")
    assert done.returncode == 0, done.stderr
    pages = list((tmp_path / "site").rglob("*.html"))
    assert {path.stem for path in pages} >= {path.stem for path in PAGES}
    for page in pages:
        html = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"?([^\s\">]+)", html)
        loaded += re.findall(
            r"<link\b(?=[^>]*rel=\"?(?:stylesheet|icon|preconnect|preload))[^>]*href=\"?([^\s\">]+)", html
        )
        assert not [url for url in loaded if re.match(r"(https?:)?//", url)], page
    for style in (tmp_path / "site").rglob("*.css"):
        assert not re.search(r"(url\(|@import )[\"']?(https?:)?//", style.read_text(encoding="utf-8")), style
    assert not [path for path in PAGES if "```mermaid" in path.read_text(encoding="utf-8")], "loads a script"

    copy = tmp_path / "copy"
    shutil.copytree(DOCS, copy / "docs")
    shutil.copy(TEMPLATE / "mkdocs.yml", copy)
    with (copy / "docs" / "index.md").open("a", encoding="utf-8") as page:
        page.write("\n[planted](operations.md#nowhere)\n")
    assert build(copy, tmp_path / "broken").returncode != 0


# What the pages name

PATH = re.compile(r"(?:[\w.<>*-]+/)+[\w.<>*-]*|[\w-]+\.(?:toml|md|yml)")


@pytest.fixture(scope="module")
def projects(baked: Callable[..., Path]) -> list[tuple[dict[str, str], Path]]:
    """A project for each task and each other answer: only read it."""
    return [(answers, baked(**answers)) for answers in one_at_a_time()]


def applies(condition: str, answers: dict[str, str]) -> bool:
    """Whether the last column of the page's tables means a project of these answers."""
    if condition == "all":
        return True
    wanted: dict[str, set[str]] = {}
    for word in condition.split(", "):
        key = next((k for k in ("scenario", "ci_system", "iac_tool", "deployment") if word in ANSWERS[k]), "task")
        assert key != "task" or word in BY_NAME, f"{word!r} is no answer"
        wanted.setdefault(key, set()).add(word)
    return all(answers[key] in values for key, values in wanted.items())


def wrong_paths(text: str, made: list[tuple[dict[str, str], Path]]) -> list[str]:
    wrong = []
    for cells in rows(text):
        for path in [word for word in re.findall(r"`([^`]+)`", cells[1]) if PATH.fullmatch(word)]:
            for answers, root in made:
                there = bool(list(root.glob(path.replace("<package>", "taxi_fares").rstrip("/"))))
                if there != applies(cells[-1], answers):
                    wrong.append(f"{path}: {'also' if there else 'not'} for {' '.join(answers.values())}")
    return wrong


def test_every_element_is_where_the_page_says(projects: list[tuple[dict[str, str], Path]]) -> None:
    assert wrong_paths(read("pattern.md"), projects) == []
    assert len(set(PATH.findall(read("pattern.md")))) > 60
    for planted in ("`src/<package>/nothing.py` | all", "`src/<package>/text.py` | all", "`data/` | cv"):
        assert wrong_paths(f"| E | P | In |\n|---|---|---|\n| x | {planted} |\n", projects), planted


def test_every_answer_changes_an_element() -> None:
    """It stands in a last column; a scenario also by its tasks."""
    named = {word for cells in rows(read("pattern.md")) for word in cells[-1].split(", ")}
    named |= {BY_NAME[word].scenario for word in named if word in BY_NAME}
    for key in ("scenario", "ci_system", "iac_tool", "deployment"):
        assert set(ANSWERS[key]) <= named, key


def test_keys_of_config_named_on_the_page_exist(projects: list[tuple[dict[str, str], Path]]) -> None:
    text = read("pattern.md")
    named = re.findall(r"`([\w.]+):?` in `((?:config|infrastructure)/\w+\.yml)`", text)
    assert len(named) > 8
    for key, name in named:
        for _, root in projects:
            content = (root / name).read_text(encoding="utf-8")
            for part in key.split("."):
                assert re.search(rf"\b{part}:", content), f"{key} is not in {name}"


# Personas

COLUMNS = {
    "Workspace": "workspace",
    "Key vault": "key_vault",
    "Container registry": "container_registry",
    "Storage": "storage_account",
    "Azure DevOps": "azure_devops",
    "Azure Artifacts": "azure_artifacts",
    "Log Analytics": "log_analytics",
    "Azure Monitor": "azure_monitor",
}


def access_on_the_page() -> dict[str, dict[str, dict[str, dict[str, list[str]]]]]:
    """Of each persona's table: environment → persona → resource → roles."""
    found: dict[str, dict[str, dict[str, dict[str, list[str]]]]] = {"pre_production": {}, "production": {}}
    sections = re.split(r"^### .*`(\w+)`.*$", read("personas.md"), flags=re.MULTILINE)[1:]
    for persona, section in zip(sections[::2], sections[1::2], strict=True):
        found["pre_production"][persona], found["production"][persona] = {}, {}
        for resource, dev, prod in [cells for cells in rows(section) if cells[0] in COLUMNS]:
            for environment, cell in (("pre_production", dev), ("production", prod)):
                if cell != "–":
                    found[environment][persona][COLUMNS[resource]] = cell.split(", ")
    return found


def test_personas_have_the_access_that_the_page_says() -> None:
    text = (TEMPLATE / SLUG_FOLDER / "infrastructure" / "rbac.yml").read_text(encoding="utf-8")
    assert access_on_the_page() == yaml.safe_load(text)["assignments"]


# What is proved


def missing_rows(text: str) -> list[str]:
    """CI systems of which the page does not say what accepts their files, or how they are executed."""
    files, executed = (text.split(f"\n## {heading}\n")[1].split("\n## ")[0] for heading in ("Files", "Executed"))
    where = {cells[-1]: re.findall(r"`([^`]+)`", cells[1]) for cells in rows(read("pattern.md")) if cells[0] == "CI/CD"}
    missing = []
    for value, label in ANSWERS["__prompts__"]["ci_system"].items():
        if value != "__prompt__":
            accepted = [cells for cells in rows(files) if set(where[value]) & set(re.findall(r"`([^`]+)`", cells[0]))]
            ran = [cells for cells in rows(executed) if cells[0].endswith(f" of {label}")]
            missing += [value] * (not accepted or not ran)
    return missing


def test_every_ci_system_has_its_rows() -> None:
    text = read("verification.md")
    assert missing_rows(text) == []
    for line in [line for line in text.splitlines() if re.match(r"\| (`azure-pipelines/`|every .* of )", line)]:
        assert missing_rows(text.replace(f"{line}\n", "")) != [], line


def test_stand_ins_are_those_that_the_pages_name() -> None:
    """Of each program that the bootstrap calls, and of the one service that it asks without a program."""
    for name in ("verification.md", "bootstrap.md"):
        (said,) = re.findall(r"stand-ins of ([^|.]*?) that (?:keep state|refuse what the published)", read(name))
        assert said == "`az`, `gh`, `glab` and Azure DevOps' REST API", name


# Adding a layer as the page says


def test_pages_name_the_plug_ins() -> None:
    """Those that a CI system and a tool bring; the examples of extending.md are tried below."""
    wanted = {"ci/github-actions": "bootstrap.md", "iac/bicep": "infrastructure.md"}
    for layer, page in wanted.items():
        for file in (TEMPLATE / layer / SLUG_FOLDER / "src" / "mlops_runtime").glob("*.py"):
            assert f"{file.name}`" in read(page), f"{page} does not name {file.name}"
            assert f"src/mlops_runtime/{file.name}`" in read("extending.md"), file.name


def offered(text: str) -> list[tuple[str, str, str]]:
    """Key of cookiecutter.json, new value, label."""
    return re.findall(r"^\| `(\w+)` \| `([\w-]+)` \| (.+) \|$", text, re.MULTILINE)


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[str]]]:
    """A copy of the template with the layers of docs/extending.md, and the files of each new value."""
    page = read("extending.md")
    copy = tmp_path_factory.mktemp("extended") / "template"
    copy.mkdir()
    for part in TEMPLATE.iterdir():
        if part.is_file():
            shutil.copy(part, copy)
        elif not part.name.startswith(".") and part.name not in ("benchmarks", "docs", "site", "tests"):
            shutil.copytree(part, copy / part.name, ignore=shutil.ignore_patterns("__pycache__"))
    layers: dict[str, list[str]] = {value: [] for _, value, _ in offered(page)}
    for name, text in re.findall(r"^\*\*`([^`]+)`\*\*\n\n```\w+\n(.*?)^```$", page, re.DOTALL | re.MULTILINE):
        file = copy / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")
        if SLUG_FOLDER in name:
            layers[name.split("/")[1]].append(name.partition(f"{SLUG_FOLDER}/")[2])
    questions = json.loads((copy / "cookiecutter.json").read_text(encoding="utf-8"))
    for key, value, label in offered(page):
        questions[key].append(value)
        questions["__prompts__"][key][value] = label
    tasks = re.search(r'^    "(\w+)": \["([\w-]+)"\],$', page, re.MULTILINE)
    questions["task"] = questions["task"].replace("}[", f", '{tasks[1]}': '{tasks[2]}'}}[")
    (copy / "cookiecutter.json").write_text(json.dumps(questions, ensure_ascii=False, indent=2), encoding="utf-8")
    hook = copy / "hooks" / "pre_gen_project.py"
    hook.write_text(
        hook.read_text(encoding="utf-8").replace("TASKS = {\n", f"TASKS = {{\n{tasks[0]}\n"), encoding="utf-8"
    )
    return copy, layers


@pytest.mark.parametrize("kind", ["iac_tool", "ci_system", "scenario"])
def test_a_layer_is_added_as_the_page_says(
    extended: tuple[Path, dict[str, list[str]]], tmp_path: Path, kind: str
) -> None:
    template, layers = extended
    (value,) = (value for key, value, _ in offered(read("extending.md")) if key == kind)
    root = Path(cookiecutter(str(template), no_input=True, output_dir=str(tmp_path), extra_context={kind: value}))
    assert len(layers[value]) > 1
    for name in layers[value]:
        file = root / name.replace("{{cookiecutter.package_name}}", "ml_project")
        assert file.is_file(), name
        assert not re.search(r"cookiecutter|\{% raw", file.read_text(encoding="utf-8")), name
    assert not (root / ".unfinished").exists()
    if kind == "ci_system":
        assert "1. Push this repository to Toy CI.\n" in (root / "README.md").read_text(encoding="utf-8")
    if kind == "scenario":
        return
    event = dict.fromkeys(("key", "environment", "title", "body", "version", "commit"), "toy") | {"kind": "failed"}
    (tmp_path / "events.json").write_text(json.dumps([event]), encoding="utf-8")
    used = {"iac_tool": ("infrastructure", "check"), "ci_system": ("tell", str(tmp_path / "events.json"))}[kind]
    done = mlops(root, *used)
    assert done.returncode == 0, done.stderr
    assert kind == "iac_tool" or (root / "issues" / "toy").is_file()
    plug_in = root / "src" / "mlops_runtime" / {"iac_tool": "tool.py", "ci_system": "host.py"}[kind]
    plug_in.unlink()
    done = mlops(root, *used)
    assert (done.returncode, f"there is no src/mlops_runtime/{plug_in.name}" in done.stderr) == (2, True), done.stderr


def mlops(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A project's command with the template's own packages."""
    return subprocess.run(
        [sys.executable, "-m", "mlops_runtime.cli", *words],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_projects_without_the_added_layers_are_as_before(
    extended: tuple[Path, dict[str, list[str]]], tmp_path: Path, projects: list[tuple[dict[str, str], Path]]
) -> None:
    answers, before = projects[0]
    answers = {"project_name": "Taxi Fares", **answers}
    after = Path(cookiecutter(str(extended[0]), no_input=True, output_dir=str(tmp_path), extra_context=answers))
    for folder, other in ((before, after), (after, before)):
        for file in folder.rglob("*"):
            name = file.relative_to(folder)
            if file.is_file() and name.name not in (".cruft.json", ".template.json"):  # the copy is no repository
                assert (other / name).read_bytes() == file.read_bytes(), name


@pytest.mark.full
def test_the_added_scenario_passes_its_check(
    extended: tuple[Path, dict[str, list[str]]], tmp_path: Path, installed: Environment
) -> None:
    root = Path(
        cookiecutter(str(extended[0]), no_input=True, output_dir=str(tmp_path), extra_context={"scenario": "toy"})
    )
    done = installed.mlops("check", cwd=root, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (root / "data" / "counts.csv").write_text("day,count\n2026-01-01,-3\n", encoding="utf-8")
    assert "at least 0" in installed.mlops("check", cwd=root, check=False).stdout


# Bringing data and a model as the page says


def deliveries(path: Path) -> None:
    """Rows as on the page, with something to learn in them."""
    generator = random.Random(0)
    lines = ["delivery_id,ordered_at,district,weight,minutes"]
    for n in range(1200):
        district, weight = generator.choice(["north", "south"]), round(generator.uniform(0, 20), 1)
        minutes = 20 + 2 * weight + (15 if district == "south" else 0) + generator.gauss(0, 4)
        ordered = datetime(2026, 1, 1, 8) + timedelta(hours=n)
        lines.append(f"{n + 1},{ordered:%Y-%m-%d %H:%M:%S},{district},{weight},{max(minutes, 1):.0f}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def replace_sections(file: Path, text: str) -> None:
    """Put these top-level sections of a YAML file in place of those that it has."""
    content = file.read_text(encoding="utf-8")
    for section in re.split(r"^(?=\w)", text, flags=re.MULTILINE)[1:]:
        key = section.partition(":")[0]
        content, count = re.subn(rf"^{key}:.*\n(?:(?:[ ].*)?\n)*", lambda _, s=section: s, content, flags=re.MULTILINE)
        assert count == 1, key
    file.write_text(content, encoding="utf-8")


@pytest.mark.full
def test_own_data_and_model(tmp_path: Path, bake: Bake, installed: Environment) -> None:
    page = read("own-data.md")
    root = bake(task="regression")
    deliveries(root / "data" / "deliveries.csv")
    example = re.search(r"```text\n(.*?)```", page, re.DOTALL)[1].splitlines()
    written = (root / "data" / "deliveries.csv").read_text(encoding="utf-8").splitlines()
    assert written[0] == example[0]
    edits = dict(re.findall(r"^\*\*`([^`]+)`\*\*\n\n```\w+\n(.*?)^```$", page, re.DOTALL | re.MULTILINE))
    whole = ["mlops/azureml/data/flights.yml", "data/contract.yml"]
    assert {*whole, "config/shared.yml", "mlops/azureml/train/pipeline.yml"} == set(edits)
    for name in whole:
        (root / name).write_text(edits.pop(name), encoding="utf-8")
    before = installed.mlops("check", cwd=root, check=False)
    assert before.returncode == 1
    assert "lacks the column" in before.stdout
    for name, text in edits.items():
        replace_sections(root / name, text)
    assert installed.mlops("check", cwd=root, check=False).stdout.count("✗") == 0
    assert "Registered ml-project version 1" in installed.mlops("run", cwd=root).stdout

    model = root / "src" / "ml_project" / "model.py"
    code = model.read_text(encoding="utf-8")
    imported, family = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    code = code.replace("from sklearn.pipeline", imported + "from sklearn.pipeline", 1)
    model.write_text(code.replace("FAMILIES = {\n", "FAMILIES = {\n" + family, 1), encoding="utf-8")
    done = installed.mlops("run", "--set", "family=elastic_net", cwd=root, check=False)
    assert done.returncode in (0, 1), done.stderr  # registered or beaten, by what the gates say
    assert "2/4] train" in done.stdout


@pytest.mark.parametrize(
    "name", ["arm.md", "bicep.md", "migration.md", "operations.md", "own-data.md", "personas.md", "terraform.md"]
)
def test_paths_named_on_other_pages_exist(projects: list[tuple[dict[str, str], Path]], name: str) -> None:
    text = read(name)
    if name == "migration.md":  # the first column is of another template
        text = re.sub(r"^\|[^|]*\|", "|", text, flags=re.MULTILINE)
    named = {word for word in re.findall(r"`([^`]+)`", text) if PATH.fullmatch(word) and not word.startswith(".mlops/")}
    assert named
    for path in named - {"Azure/mlops-v2"}:
        pattern = path.replace("<package>", "taxi_fares").rstrip("/")
        found = [root for _, root in projects if list(root.glob(pattern if "/" in path else f"**/{pattern}"))]
        assert found or (TEMPLATE / pattern).exists() or path == "data/deliveries.csv", path


def test_the_example_of_an_existing_estate_is_understood(projects: list[tuple[dict[str, str], Path]]) -> None:
    example = yaml.safe_load(re.search(r"```yaml\n(.*?)```", read("migration.md"), re.DOTALL)[1])
    _, root = projects[0]
    comment = re.search(r"existing: .*", (root / "config" / "dev.yml").read_text(encoding="utf-8"))[0]
    assert all(f"{key}: true" in comment for key in example["infrastructure"]["existing"])
    assert "storage_account" in yaml.safe_load((root / "infrastructure" / "names.yml").read_text(encoding="utf-8"))


# Commands

FORMS = (
    r"uv run (ruff (check|format --check)|mypy|pytest( .*)?|pre-commit install|mkdocs (serve|build --strict))",
    r"export UV_FIND_LINKS=\S+|uv sync( --extra [\w-]+| --no-default-groups| --upgrade)?",
    r"(uv run (--no-project )?python|PYTHON|python) (benchmarks|scripts)/\w+\.py( .*)?",
    r"pip install uv|cd \.\./ml-project|uvx cruft update",
)
PARSE = """
import contextlib, io, json, sys
from mlops_runtime.cli import build_parser
parser = build_parser()
for words in json.load(sys.stdin):
    said, ignored = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(ignored), contextlib.suppress(SystemExit):
        parser.parse_args(words)
    print(json.dumps(said.getvalue().splitlines()[-1:]))
"""
# What an inline mention may leave open; a block must be whole.
OPEN = ("the following arguments are required", "expected one argument", "one of the arguments")


def refused(project: Path, commands: list[str]) -> list[str]:
    """What the project's own parser says against each of these commands; "" where nothing."""
    words = [shlex.split(command)[1:] for command in commands]
    done = subprocess.run(
        [sys.executable, "-c", PARSE],
        env={**os.environ, "PYTHONPATH": str(project / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        input=json.dumps(words),
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return ["".join(json.loads(line)) for line in done.stdout.splitlines()]


def extras_of(roots: Iterable[Path]) -> set[str]:
    """The extras that these projects have together."""
    contents = (tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8")) for root in roots)
    return {name for content in contents for name in content["project"].get("optional-dependencies", {})}


def wrong_commands(text: str, parsers: list[Path], extras: set[str]) -> list[str]:
    """What no program, no parser and no pyproject.toml of these projects knows."""
    wrong, ours = [], []
    lines = [(line, True) for line in shell_lines(text)] + [(line, False) for line in mentions(text)]
    for line, whole in lines:
        own = re.fullmatch(rf"(?:uv run (?:--extra [\w-]+ )?){'' if whole else '?'}(mlops .*)", line)
        made = re.fullmatch(r"uvx cookiecutter (\S+.*)", line)
        if own:
            ours.append((own[1], whole))
        elif made:
            wrong += [line] * wrong_generation(shlex.split(made[1]))
        elif line.split()[0] in PROGRAMS:
            wrong += [f"{line}: {why}" for why in [fault(line, whole=whole)] if why]
        elif not any(re.fullmatch(form, line) for form in FORMS):
            wrong.append(line)
        scripts = re.findall(r"(?:benchmarks|scripts)/\w+\.py", line)
        wrong += [f"{line}: no {name}" for name in re.findall(r"--extra ([\w-]+)", line) if name not in extras]
        wrong += [f"{line}: no {name}" for name in scripts if not (TEMPLATE / name).is_file()]
    said = [refused(project, [command for command, _ in ours]) for project in parsers]
    for (command, whole), *messages in zip(ours, *said, strict=True):
        faults = [one for one in messages if one and (whole or not any(words in one for words in OPEN))]
        if len(faults) == len(parsers):  # no project has such a command
            wrong.append(f"{command}: {faults[0]}")
    return wrong


def wrong_generation(words: list[str]) -> bool:
    """Whether Cookiecutter has no such option, or the template no such question or answer."""
    options = {one for parameter in cookiecutter_command.params for one in parameter.opts}
    given = [word.partition("=") for word in words if "=" in word]
    return any(word.startswith("-") and word not in options for word in words) or any(
        key not in ANSWERS or not allowed(key, value) for key, _, value in given
    )


def allowed(key: str, value: str) -> bool:
    return value in BY_NAME if key == "task" else not isinstance(ANSWERS[key], list) or value in ANSWERS[key]


@pytest.fixture(scope="module")
def parsers(projects: list[tuple[dict[str, str], Path]]) -> list[Path]:
    """Projects that together have every command: one with labels, and one of each other CI system."""
    labels = next(root for answers, root in projects if answers["scenario"] == "cv")
    return [labels, *(root for answers, root in projects if answers["ci_system"] != ANSWERS["ci_system"][0])]


def test_commands(parsers: list[Path], projects: list[tuple[dict[str, str], Path]]) -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in READ)
    assert wrong_commands(text, parsers, extras_of(root for _, root in projects)) == []
    assert [line for path in READ for line in unsafe_blocks(path.read_text(encoding="utf-8"))] == []


PLANTED = """
```sh
uv run mlops run --sett x
uvx cookiecutter . colour=red
uvx cookiecutter . --inputs no
mlopz run
uv run mlops score
az group creat --name x
az group delete --nam x
git commit --massage x
terraform -chdir=infrastructure plan
uv run --extra none mlops run
python benchmarks/none.py x
```
`mlops monitor --envv prod`, `mlops nothing`, `mlops deploy --env …`, `az login`, `az group`, `az grup`, `git comit x`
"""


def test_planted_wrong_commands_are_found(parsers: list[Path]) -> None:
    assert [line.split(":")[0] for line in wrong_commands(PLANTED, parsers, set())] == [
        *("uvx cookiecutter . colour=red", "uvx cookiecutter . --inputs no", "mlopz run", "az group creat --name x"),
        *("az group delete --nam x", "git commit --massage x", "terraform -chdir=infrastructure plan"),
        *("uv run --extra none mlops run", "python benchmarks/none.py x", "az grup", "git comit x"),
        *("mlops run --sett x", "mlops score", "mlops monitor --envv prod", "mlops nothing"),
    ]
    together = "```sh\nuv run mlops serve\nuv run mlops monitor\n```\n"
    assert unsafe_blocks(f"{together}```sh\nuv run mlops serve\n```\n") == ["uv run mlops serve"]


def markdown(root: Path) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(root.rglob("*.md")))


@pytest.mark.full
def test_commands_of_generated_pages(projects: list[tuple[dict[str, str], Path]]) -> None:
    """Each project's own parser has those of its own pages."""
    for answers, root in projects:
        text = markdown(root)
        assert len(mentions(text)) > 20
        assert wrong_commands(text, [root], extras_of([root])) == [], answers
        assert unsafe_blocks(text) == [], answers


def settings_nobody_runs(lines: Iterable[str]) -> list[str]:
    """Commands with a setting that is none of those of tests/test_projects.py, nor of own-data.md, run in this file."""
    run = {"family=elastic_net", "champion=none"}
    for settings in (one for task in ALL for one in (*task.settings, *task.worse)):
        run |= {*settings.split(), *settings.replace("options=", "").replace(",", " ").split()}

    def known(setting: str) -> bool:
        return setting in run or {*setting.removeprefix("options=").split(",")} <= run

    return [line for line in lines if not all(map(known, re.findall(r"--set (\S+)", line)))]


def test_every_setting_in_a_command_is_one_that_a_test_runs(projects: list[tuple[dict[str, str], Path]]) -> None:
    """But for what is fetched from the internet."""
    texts = [*(path.read_text(encoding="utf-8") for path in READ), *(markdown(root) for _, root in projects)]
    lines = {line for text in texts for line in shell_lines(text) if "--set" in line}
    fetched = {line for line in lines if "--extra torchvision" in line}
    assert len(fetched) == 2
    assert len(lines - fetched) > 8
    assert settings_nobody_runs(lines - fetched) == []
    planted = ["mlops run --set target=answer --set family=nobodys", "mlops run --set options=beams=4,width=7"]
    assert settings_nobody_runs(planted) == planted


def test_links_of_generated_pages(projects: list[tuple[dict[str, str], Path]]) -> None:
    for _, root in projects:
        assert [(path, broken_links(path)) for path in root.rglob("*.md") if broken_links(path)] == []


def test_every_known_command_is_used(projects: list[tuple[dict[str, str], Path]]) -> None:
    texts = [*(path.read_text(encoding="utf-8") for path in READ), *(markdown(root) for _, root in projects)]
    used = {line.replace(" -chdir=infrastructure", "") for text in texts for line in shell_lines(text) + mentions(text)}
    assert [name for name in KNOWN if not any(f"{line} ".startswith(f"{name} ") for line in used)] == []


def test_a_project_becomes_a_repository_as_its_readme_says(
    projects: list[tuple[dict[str, str], Path]], tmp_path: Path
) -> None:
    root = shutil.copytree(projects[0][1], tmp_path / "project")
    begin = re.search(r"```sh\n(git init .*?)\n```", (root / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    subprocess.run(["bash", "-ec", begin], cwd=root, capture_output=True, check=True)
    said = subprocess.run(["git", "status", "--porcelain", "--branch"], cwd=root, capture_output=True, check=True)
    assert said.stdout.decode().splitlines() == ["## main"]
    assert begin in read("index.md")


def test_who_may_deploy_is_the_same_on_the_page_and_in_the_readme() -> None:
    folder = TEMPLATE / SLUG_FOLDER / "infrastructure"
    known = yaml.safe_load((folder / "roles.yml").read_text(encoding="utf-8"))
    given = yaml.safe_load((folder / "pipelines.yml").read_text(encoding="utf-8"))["roles"]
    for layer in ("batch", "live/online", "live/kubernetes"):
        fragment = (TEMPLATE / "deployments" / layer / "fragments" / "deployment.md").read_text(encoding="utf-8")
        said = []
        for text in (fragment, read(f"{layer.split('/')[-1]}.md")):
            sentence = " ".join(text.split("Who deploys needs ")[1].split()).split(".")[0]
            said.append({name for name in {*known, *(one["role"] for one in given)} if name in sentence})
        assert said[0] == said[1] != set(), layer


def test_the_start_page_has_the_commands_of_the_readme(projects: list[tuple[dict[str, str], Path]]) -> None:
    start = shell_lines(read("index.md"))
    first = shell_lines((TEMPLATE / "README.md").read_text(encoding="utf-8").split("## Test")[0])
    assert start[: len(first)] == first
    generated = shell_lines((projects[0][1] / "README.md").read_text(encoding="utf-8"))
    nexts = shell_lines(read("index.md").split("what comes next")[1].split("## Your own")[0])
    assert len(nexts) == 2
    assert set(nexts) <= set(generated)


# Pictures


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, TEMPLATE / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_diagrams_are_those_that_the_script_draws() -> None:
    for name, draw in script("make_diagrams").DIAGRAMS.items():
        assert (DOCS / "pictures" / name).read_text(encoding="utf-8") == draw(), "run scripts/make_diagrams.py"


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(share * c for share, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_text_on_diagrams_can_be_read() -> None:
    """WCAG's contrast of 4.5, on their own card, so that the page behind it does not matter."""
    drawing = script("make_diagrams")
    for ink in (drawing.INK, drawing.SOFT):
        for fill in ("CARD", "DATA", "SETUP", "INNER", "REGISTRY", "OUTER", "WATCH"):
            light, dark = sorted((luminance(ink), luminance(getattr(drawing, fill))), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, fill)


def test_pictures_are_small_used_and_of_a_real_run() -> None:
    pages = "".join(path.read_text(encoding="utf-8") for path in PAGES)
    for picture in (DOCS / "pictures").iterdir():
        assert picture.stat().st_size < script("make_pictures").LARGEST, picture
        assert f"pictures/{picture.name}" in pages, f"{picture} is on no page"
    session = (DOCS / "pictures" / "session.svg").read_text(encoding="utf-8").replace("\u00a0", " ")
    assert "$ uv run mlops run<" in session
    assert "Registered taxi-fares version 1." in session
    assert not re.search(r">[^<]*(/tmp|/home|/root)", session), "the picture tells where it was made"


def test_every_alert_has_its_line_in_the_runbook() -> None:
    """With the personas that are told; those that look back over weeks are told by `mlops monitor --usage`."""
    alerts = yaml.safe_load((TEMPLATE / SLUG_FOLDER / "infrastructure" / "alerts.yml").read_text(encoding="utf-8"))
    section = read("operations.md").split("## When an alert fires")[1]
    told = {name: cells[1] for cells in rows(section) for name in re.findall(r"`(\w+)`", cells[0])}
    wanted = {
        name: ", ".join(alert["tell"]).replace("_", " ")
        for kind in ("logs", "metrics")
        for name, alert in alerts[kind].items()
        if "days" not in alert
    }
    assert told == wanted
    assert all(f"`{name}`" in section for name, alert in alerts["logs"].items() if "days" in alert)
