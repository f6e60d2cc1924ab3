"""`mlops infrastructure`: what was shown, and only that, is applied."""

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlops_runtime import config, derived, programs
from mlops_runtime.errors import Problem

from ..bootstrap.conftest import World
from ..conftest import SLUG_FOLDER, TEMPLATE
from ..infrastructure import terraform
from .conftest import change, filled

Mlops = Callable[..., tuple[int, str]]
TOOLS = {name: TEMPLATE / "iac" / name / SLUG_FOLDER for name in ("bicep", "arm", "terraform")}


@pytest.fixture(params=["bicep", "arm"])
def stack(
    request: pytest.FixtureRequest, world: World, plug_ins: Callable[[str, str], None], audits: dict[str, Any]
) -> World:
    """A project that Azure's own deployments make, ready for Azure."""
    plug_ins("github-actions", request.param)
    shutil.copytree(TOOLS[request.param] / "infrastructure", world.root / "infrastructure", dirs_exist_ok=True)
    filled(world)
    return world


def calls(world: World, *words: str) -> list[list[str]]:
    return [one for one in world.state["calls"] if one[1 : 1 + len(words)] == list(words)]


def test_nothing_to_change(stack: World, mlops: Mlops) -> None:
    stack.state["what_if"] = [change("NoChange", "st1"), change("Ignore", "others")]
    code, said = mlops("infrastructure", "plan", "--env", "dev")
    assert (code, "Nothing to change." in said) == (0, True), said
    assert "### dev: nothing to change" in (stack.root / ".mlops/infrastructure/dev.md").read_text(encoding="utf-8")
    code, said = mlops("infrastructure", "apply", "--env", "dev")
    assert (code, "nothing to change" in said) == (0, True)
    assert not stack.state["stacks"]


def test_what_was_shown_is_applied(stack: World, mlops: Mlops, tmp_path: Path) -> None:
    delta = [{"path": "properties.sku", "propertyChangeType": "Modify", "before": "a", "after": "b", "children": None}]
    stack.state["what_if"] = [change("Create", "st1"), change("Modify", "st2", delta=delta)]
    code, said = mlops("infrastructure", "plan", "--env", "prod", "--report", str(tmp_path / "plan.md"))
    assert code == 1, said
    assert re.search(r'~ .*/st2: properties\.sku: "a" → "b"', said)
    assert "### prod: 2 changes" in (tmp_path / "plan.md").read_text(encoding="utf-8")
    assert not calls(stack, "stack", "sub", "create"), "a plan changes nothing"
    code, said = mlops("infrastructure", "apply", "--env", "prod")
    assert code == 0, said
    options = stack.state["stacks"]["taxi-fares-prod"]["options"]
    assert options["--action-on-unmanage"] == "detachAll"
    assert options["--deny-settings-mode"] == "denyDelete"


def test_something_else_is_not_applied(stack: World, mlops: Mlops, tmp_path: Path) -> None:
    code, said = mlops("infrastructure", "apply", "--env", "dev")
    assert (code, "plan --env dev` writes it" in said) == (2, True), said
    stack.state["what_if"] = [change("Create", "st1")]
    report = str(tmp_path / "plan.md")
    assert mlops("infrastructure", "plan", "--env", "dev", "--report", report)[0] == 1
    stack.state["what_if"].append(change("Delete", "st2"))
    code, said = mlops("infrastructure", "apply", "--env", "dev", "--report", report)
    assert (code, "what would be done now is not what" in said) == (2, True), said
    assert mlops("infrastructure", "apply", "--env", "staging", "--report", report)[0] == 2, "of another environment"
    assert not stack.state["stacks"]


def test_what_config_no_longer_names_is_shown(stack: World, mlops: Mlops) -> None:
    """A what-if alone does not say that the stack deletes it."""
    stack.state["what_if"] = [change("Create", "st1"), change("Create", "st2")]
    for environment in ("dev", "prod"):
        mlops("infrastructure", "plan", "--env", environment)
        assert mlops("infrastructure", "apply", "--env", environment)[0] == 0
    stack.state["what_if"] = [change("NoChange", "st1"), change("Ignore", "st2")]
    code, said = mlops("infrastructure", "plan", "--env", "dev")
    assert (code, bool(re.search("- .*/st2: will be deleted", said))) == (1, True), said
    code, said = mlops("infrastructure", "plan", "--env", "prod")
    assert (code, bool(re.search("- .*/st2: will no longer be looked after", said))) == (1, True), said


def test_what_has_no_effect_is_no_change(stack: World, mlops: Mlops) -> None:
    delta = [{"path": "properties.x", "propertyChangeType": "NoEffect", "before": 1, "after": None}]
    stack.state["what_if"] = [change("Modify", "st1", delta=delta), change("Unsupported", "st2")]
    code, said = mlops("infrastructure", "plan", "--env", "dev")
    assert (code, "? /subscriptions" in said) == (0, True), said


def test_a_policy_that_would_be_broken_stops(stack: World, mlops: Mlops, audits: dict[str, Any]) -> None:
    excepted = yaml.safe_load((stack.root / "infrastructure/checkov.yml").read_text(encoding="utf-8"))["always"]
    found = [{"check_id": name, "check_name": "Ensure", "resource": "st1"} for name in ("CKV_AZURE_44", *excepted)]
    audits["checkov"] = {"results": {"failed_checks": found}}
    stack.state["what_if"] = [change("Create", "st1")]
    code, said = mlops("infrastructure", "plan", "--env", "dev")
    assert (code, "CKV_AZURE_44: Ensure: st1" in said) == (2, True), said
    assert not any(name in said for name in excepted)
    assert "--framework" in audits["calls"][0]


def test_one_workspace_has_two_environments(stack: World, mlops: Mlops) -> None:
    for name in ("dev", "staging"):
        stack.set(**{f"{name}.azure.{key}": value for key, value in config_of(stack, "prod")["azure"].items()})
    stack.set(**{"shared.infrastructure.workspaces": "one"})
    derived.render(stack.root)
    assert mlops("infrastructure", "plan", "--env", "prod")[0] == 0
    code, said = mlops("infrastructure", "plan", "--env", "dev")
    assert (code, "choose shared or prod" in said) == (2, True)


def config_of(world: World, name: str) -> Any:
    return config.read_yaml(world.root / "config" / f"{name}.yml")


def test_what_is_missing_is_said(world: World, mlops: Mlops, audits: dict[str, Any]) -> None:
    code, said = mlops("infrastructure", "plan", "--env", "dev")
    assert (code, "name_suffix is empty" in said) == (2, True)
    assert not calls(world, "deployment")


@pytest.mark.parametrize("tool", ["bicep", "arm"])
def test_the_readme_says_what_is_done(tool: str) -> None:
    """The options of the stack in each table and example are those of the code."""
    from mlops_runtime import estate, stacks

    text = (TOOLS[tool] / "infrastructure/README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    found = 0
    for line in text.splitlines():
        if line.startswith("az stack sub create"):
            words = shlex.split(line)
            name = next(one for one in ("dev", "prod") if f"-{one}" in line.split("--location")[0])
            where = estate.Place(Path(), name, "p", "s", "l")
            assert words[words.index("--action-on-unmanage") :] == list(stacks.options_of(where))
            found += 1
    assert found == 2


def test_parameters_that_do_not_fit_are_found(world: World, plug_ins: Callable[[str, str], None], mlops: Mlops) -> None:
    plug_ins("github-actions", "arm")
    shutil.copytree(TOOLS["arm"] / "infrastructure", world.root / "infrastructure", dirs_exist_ok=True)
    filled(world)
    assert mlops("infrastructure", "check") == (0, "The files are right, as far as that can be known without Azure.\n")
    file = world.root / "infrastructure/azuredeploy.json"
    file.write_text(file.read_text(encoding="utf-8").replace('"nameSuffix": {', '"suffix": {', 1), encoding="utf-8")
    code, said = mlops("infrastructure", "check")
    assert (code, "nameSuffix is in only one of parameters and template" in said) == (1, True), said


def test_the_compiler_is_asked(world: World, plug_ins: Callable[[str, str], None], mlops: Mlops) -> None:
    plug_ins("github-actions", "bicep")
    az = Path(os.environ["PATH"].split(os.pathsep)[0], "az")
    assert az.is_file()
    for said, code in (("", 0), ("main.bicep(3,7) : Warning no-unused-params: x", 1), ("(1,1) : Error BCP018: y", 1)):
        az.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit {int('Error' in said)}\n", encoding="utf-8")
        done, printed = mlops("infrastructure", "check")
        assert done == code, printed
        assert said in printed


def test_a_program_that_is_not_there_or_fails_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Problem, match=r"ended with 3:\nno"):
        programs.run([sys.executable, "-c", "print('no'); raise SystemExit(3)"], tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Problem, match=r"terraform is not on the path: https://"):
        programs.run(["terraform", "version"], tmp_path)


# The team's own policies

PWSH = """\
#!{python}
import json, pathlib, sys
words = sys.argv[1:]
script = pathlib.Path("infrastructure/policy-as-code.ps1").resolve()
assert words[:4] == ["-NoProfile", "-NonInteractive", "-File", str(script)]
given = dict(zip(words[4::2], words[5::2]))
assert set(given) == {{"-Action", "-Definitions", "-Plans"}} and pathlib.Path(given["-Definitions"]).is_dir()
here, folder = pathlib.Path({folder!r}), pathlib.Path(given["-Plans"], "plans-shared")
calls = here / "pwsh.calls"
calls.write_text((calls.read_text() if calls.exists() else "") + given["-Action"] + "\\n")
if given["-Action"] == "plan":
    for name, content in json.loads((here / "pwsh.json").read_text()).items():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content), encoding="utf-8-sig")
else:
    assert list(folder.iterdir()), "there is no plan"
sys.exit(int((here / "pwsh.code").read_text()) if (here / "pwsh.code").exists() else 0)
"""
OWN = """\
{ // of this team
  "pacOwnerId": "6b8f1a52-4c39-4a5e-9d3e-0f6f4f1f8f2b", /* not that of
  others */
  "pacEnvironments": [{"pacSelector": "shared", "x": "http://a, ]", "desiredState": {"strategy": "ownedOnly"},}],
}
"""
ASSIGNED = "/subscriptions/s/providers/Microsoft.Authorization/policyAssignments/tags"


def policies(**new: Any) -> dict[str, Any]:
    """The files that Enterprise Policy as Code leaves where something is to be changed."""
    nothing = {"new": {}, "update": {}, "replace": {}, "delete": {}, "numberOfChanges": 0, "numberUnchanged": 3}
    plan = {
        "createdOn": "2026-01-01",
        "pacOwnerId": "6b",
        "policyDefinitions": nothing,
        "assignments": {**nothing, **new},
    }
    return {"policy-plan.json": plan}


@pytest.fixture
def governed(stack: World, tmp_path: Path) -> Callable[..., list[str]]:
    """Give the project policies, and say what would change of them; what PowerShell was asked for."""
    program = Path(os.environ["PATH"].split(os.pathsep)[0], "pwsh")
    program.write_text(PWSH.format(python=sys.executable, folder=str(tmp_path)), encoding="utf-8")
    program.chmod(0o755)
    (stack.root / "policies").mkdir()
    (stack.root / "policies/global-settings.jsonc").write_text(OWN, encoding="utf-8")

    def plan(files: dict[str, Any], code: int = 0) -> list[str]:
        (tmp_path / "pwsh.json").write_text(json.dumps(files), encoding="utf-8")
        (tmp_path / "pwsh.code").write_text(str(code), encoding="utf-8")
        calls = tmp_path / "pwsh.calls"
        return calls.read_text(encoding="utf-8").split() if calls.exists() else []

    plan({})
    return plan


def test_policies_are_planned_and_deployed_with_shared(
    stack: World, governed: Callable[..., list[str]], mlops: Mlops
) -> None:
    stack.state["what_if"] = [change("NoChange", "st1")]
    role = {"assignmentId": ASSIGNED, "roleDisplayName": "Tag Contributor", "scope": "/subscriptions/s"}
    roles = {"createdOn": "x", "roleAssignments": {"numberOfChanges": 1, "added": [role], "updated": [], "removed": []}}
    files = {**policies(new={ASSIGNED: {"a": 1, "b": [1, 2]}}, numberOfChanges=1), "roles-plan.json": roles}
    governed(files)
    code, said = mlops("infrastructure", "plan", "--env", "shared")
    assert code == 1, said
    assert re.search(rf"(?m)^\+ assignments: {ASSIGNED} \(\w{{12}}\)$", said)
    assert f"+ roleAssignments: Tag Contributor on /subscriptions/s for {ASSIGNED} (" in said
    report = (stack.root / ".mlops/infrastructure/shared.md").read_text(encoding="utf-8")
    assert "### shared: 2 changes" in report
    again = policies(new={ASSIGNED: {"b": [2, 1], "a": 1}}, numberOfChanges=1)  # as PowerShell may order it
    again["policy-plan.json"]["createdOn"] = "later"
    governed({**again, "roles-plan.json": roles})
    code, said = mlops("infrastructure", "apply", "--env", "shared")
    assert code == 0, said
    assert governed({}) == ["plan", "plan", "deploy"]
    assert not stack.state["stacks"], "nothing else was to be changed"


def test_other_policies_than_shown_are_not_deployed(
    stack: World, governed: Callable[..., list[str]], mlops: Mlops
) -> None:
    stack.state["what_if"] = [change("Create", "st1")]
    governed(policies(update={ASSIGNED: {"effect": "Audit"}}))
    assert mlops("infrastructure", "plan", "--env", "shared")[0] == 1
    for other in (policies(update={ASSIGNED: {"effect": "Deny"}}), policies(delete={ASSIGNED: {}}), {}):
        governed(other)
        code, said = mlops("infrastructure", "apply", "--env", "shared")
        assert (code, "is not applied" in said) == (2, True), said
    assert not stack.state["stacks"]
    assert "deploy" not in governed({})


def test_policies_that_fail_are_said(stack: World, governed: Callable[..., list[str]], mlops: Mlops) -> None:
    governed({}, code=1)
    code, said = mlops("infrastructure", "plan", "--env", "shared")
    assert (code, "policy-as-code.ps1" in said, "ended with 1" in said) == (2, True, True), said


def test_only_shared_has_policies(stack: World, governed: Callable[..., list[str]], mlops: Mlops) -> None:
    governed(policies(new={ASSIGNED: {}}))
    assert mlops("infrastructure", "plan", "--env", "prod")[0] == 0
    (stack.root / "policies/global-settings.jsonc").unlink()
    assert mlops("infrastructure", "plan", "--env", "shared")[0] == 0
    assert governed({}) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("ownedOnly", "full", 'strategy is "full": write "ownedOnly"'),
        ('"pacSelector": "shared"', '"pacSelector": "tenant"', "pacEnvironments needs one with pacSelector shared"),
        ("6b8f1a52-4c39-4a5e-9d3e-0f6f4f1f8f2b", "00000000-0000-0000-0000-000000000000", "pacOwnerId is empty"),
        ("{ //", "[ //", "is not JSON with comments"),
    ],
)
def test_policies_of_others_are_safe(
    stack: World, governed: Callable[..., list[str]], mlops: Mlops, old: str, new: str, said: str
) -> None:
    file = stack.root / "policies/global-settings.jsonc"
    file.write_text(OWN.replace(old, new), encoding="utf-8")
    code, printed = mlops("infrastructure", "plan", "--env", "shared")
    assert (code, said in printed) == (2, True), printed
    assert governed({}) == []
    az = Path(os.environ["PATH"].split(os.pathsep)[0], "az")
    az.write_text("#!/bin/sh\n", encoding="utf-8")
    code, printed = mlops("infrastructure", "check")
    assert (code, said in printed) == (1, True), printed
    file.write_text(OWN, encoding="utf-8")
    assert mlops("infrastructure", "check")[0] == 0


# With the tool itself

WRAPPER = """\
#!{python}
import json, os, subprocess, sys
folder, words = os.getcwd(), sys.argv[1:]
if words[0].startswith("-chdir="):
    folder, words = os.path.join(folder, words[0].partition("=")[2]), words[1:]
done = subprocess.run([{terraform!r}, {runner!r}, folder], input=json.dumps([words]), capture_output=True, text=True)
code, out, error = json.loads(done.stdout)[0]
sys.stdout.write(out), sys.stderr.write(error)
sys.exit(code)
"""


@pytest.fixture
def terraformed(
    world: World,
    plug_ins: Callable[[str, str], None],
    audits: dict[str, Any],
    shared: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    """A project with Terraform's files, and Terraform on the path with providers that make nothing."""
    plug_ins("github-actions", "terraform")
    for file in (world.root / "infrastructure").rglob("*.bicep"):
        file.unlink()
    layer = TOOLS["terraform"]
    shutil.copytree(layer / "infrastructure", world.root / "infrastructure", dirs_exist_ok=True)
    filled(world)
    with terraform.serving(*terraform.prepare(shared, layer)) as ready:
        program = Path(os.environ["PATH"].split(os.pathsep)[0], "terraform")
        python, runner = str(ready.environment.python), str(Path(terraform.__file__).with_name("run_terraform.py"))
        text = WRAPPER.format(python=sys.executable, terraform=python, runner=runner)
        program.write_text(text, encoding="utf-8")
        program.chmod(0o755)
        for name, value in {**ready.variables, "CHECKPOINT_DISABLE": "1"}.items():
            monkeypatch.setenv(name, value)
        yield world


@pytest.mark.full
def test_terraform_applies_the_plan_that_was_shown(terraformed: World, mlops: Mlops) -> None:
    code, said = mlops("infrastructure", "plan", "--env", "shared")
    assert (code, "will be created" in said) == (1, True), said
    report = terraformed.root / ".mlops/infrastructure/shared.md"
    assert re.match(r"### shared: \d\d+ changes", report.read_text(encoding="utf-8"))
    assert not list(terraformed.root.rglob("*.tfplan")), "a plan holds secrets"
    terraformed.set(**{"shared.infrastructure.log_days": 30})
    code, said = mlops("infrastructure", "apply", "--env", "shared")
    assert (code, "is not what" in said) == (2, True), "config has changed since"
    assert mlops("infrastructure", "plan", "--env", "shared")[0] == 1
    code, said = mlops("infrastructure", "apply", "--env", "shared")
    assert (code, "Apply complete!" in said) == (0, True), said
    code, said = mlops("infrastructure", "plan", "--env", "shared")
    assert (code, "No changes" in said) == (0, True), said
    assert mlops("infrastructure", "apply", "--env", "shared")[0] == 0


@pytest.mark.full
def test_terraform_checks_its_files(terraformed: World, mlops: Mlops) -> None:
    code, said = mlops("infrastructure", "check")
    assert code == 0, said
    file = terraformed.root / "infrastructure/main.tf"
    file.write_text(file.read_text(encoding="utf-8") + 'output "x" {\n  value = local.nonsense\n}\n', encoding="utf-8")
    code, said = mlops("infrastructure", "check")
    assert (code, "nonsense" in said) == (1, True), said
