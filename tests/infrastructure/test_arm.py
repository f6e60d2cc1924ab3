"""The ARM layer makes the estate that is expected, property by property what the Bicep layer makes."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from cookiecutter.main import cookiecutter
from filelock import FileLock

from .. import test_structure
from ..conftest import SLUG_FOLDER, TEMPLATE, some_quick
from . import arm, cases, expected, test_bicep
from .arm import ArmError
from .azure_types import Types
from .bicep import Resource, Scope
from .conftest import ARM as LAYER
from .conftest import ARM_FILE as FILE
from .conftest import Deploy, Estate

SCENARIOS, TARGETS = ("classical", "cv", "nlp"), ("online", "batch", "kubernetes")


@pytest.fixture
def project(arm_project: Estate) -> Estate:
    """A project with the template, whose parameters are not written yet."""
    return arm_project


@pytest.fixture
def deploy(arm_deploy: Deploy) -> Deploy:
    """What `az stack sub create` would make of an environment."""
    return arm_deploy


@pytest.fixture
def make(deploy: Deploy) -> cases.Make:
    """The same in the words that all tools share."""
    return lambda root, environment: test_bicep.found(root, deploy(root, environment).resources)


@pytest.mark.parametrize("target", some_quick(TARGETS))
@pytest.mark.parametrize("scenario", some_quick(SCENARIOS))
def test_the_estate_is_the_expected_one(project: Estate, make: cases.Make, scenario: str, target: str) -> None:
    cases.check_estate(project, make, scenario, target)


@pytest.mark.parametrize("case", some_quick([*cases.EVERY_TOOL, cases.check_caller_role], 3))
def test_options(project: Estate, make: cases.Make, case: cases.Case) -> None:
    case(project, make)


def by_id(resources: list[Resource]) -> dict[str, tuple[str, Any]]:
    """Version and properties by id; an empty list is what a missing one is."""
    found = {f"{one.type} {one.id}": (one.version, without_empty(one.body)) for one in resources}
    assert len(found) == len(resources)
    return found


def without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_empty(one) for key, one in value.items() if one != []}
    return [without_empty(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("target", some_quick(TARGETS))
@pytest.mark.parametrize("changes", [{}, cases.OPTIONS], ids=["default", "options"])
def test_a_team_can_go_on_with_the_other_tool(
    project: Estate, deploy: Deploy, target: str, changes: dict[str, Any]
) -> None:
    """Every id, version and property is what Bicep makes, the names of role assignments too."""
    root = project("cv", target, **changes)
    for environment in expected.ENVIRONMENTS:
        ours, bicep = by_id(deploy(root, environment).resources), by_id(test_bicep.deploy(root, environment))
        assert ours.keys() == bicep.keys()
        different = [one for one in ours if ours[one] != bicep[one]]
        assert not different, f"{different[0]}: {ours[different[0]]} instead of {bicep[different[0]]}"


@pytest.mark.parametrize("target", some_quick(TARGETS))
def test_nothing_is_made_before_what_it_needs(project: Estate, deploy: Deploy, target: str) -> None:
    root = project("cv", target, **cases.OPTIONS)
    faults = [fault for environment in expected.ENVIRONMENTS for fault in arm.too_early(deploy(root, environment))]
    assert faults == []


def replace(root: Path, file: str, old: str, new: str) -> None:
    path = root / "infrastructure" / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"insights", "accounts", "vault", "images", "registry"]', '"insights"]', "grants does not wait for vault"),
        ('"dependsOn": ["grants", "insights", "accounts", "vault", "images"]', '"dependsOn": []', "wait for accounts"),
        ('"receivers", "logAlerts", "metricAlerts"]', '"receivers", "logAlerts"]', "does not wait for metricAlerts"),
        (
            '"dependsOn": ["eventHubs", "captureWrites", "zones"]',
            '"dependsOn": []',
            "events does not wait for eventHubs",
        ),
    ],
)
def test_a_missing_order_is_seen(project: Estate, deploy: Deploy, old: str, new: str, message: str) -> None:
    root = project(**cases.OPTIONS)
    replace(root, "azuredeploy.json", old, new)
    faults = arm.too_early(deploy(root, "dev"))
    assert any(message in fault for fault in faults), faults


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shared.infrastructure.name_suffix": ""}, "nameSuffix is '': minLength 3"),
        ({"shared.infrastructure.approved_outbound.package_index": []}, "packageIndex is .*: minLength 1"),
        ({"shared.infrastructure.budget_start": ""}, "budget.start is '': minLength 10"),
        ({"shared.registry.subscription": ""}, "subscription is '': minLength 36"),
        ({"prod.infrastructure.kubernetes.tls": {"host": "", "secret": ""}}, "tlsHost is '': minLength 1"),
    ],
)
def test_what_is_empty_is_refused(project: Estate, deploy: Deploy, changes: dict[str, Any], message: str) -> None:
    root = project("classical", "kubernetes", **changes)
    with pytest.raises(ArmError, match=message):
        deploy(root, "prod")


def test_access_to_what_is_shared_is_missed(project: Estate, make: cases.Make) -> None:
    cases.check_access_to_shared(project, make, replace)


FAULTS = {
    "public access": ("azuredeploy.json", '"allowBlobPublicAccess": false', '"allowBlobPublicAccess": true'),
    "keys": ("azuredeploy.json", '"allowSharedKeyAccess": false', '"allowSharedKeyAccess": true'),
    "open network": ("azuredeploy.json", '"AllowOnlyApprovedOutbound"', '"AllowInternetOutbound"'),
    "vault without roles": ("azuredeploy.json", '"enableRbacAuthorization": true', '"enableRbacAuthorization": false'),
    "another diagnostic setting": ("azuredeploy.json", '"name": "to-logs"', '"name": "to-log"'),
    "wrong scope": (
        "azuredeploy.json",
        '"scope": "[parameters(\'estate\').grants[copyIndex()].on]"',
        '"scope": "[parameters(\'estate\').grants[0].on]"',
    ),
    "one too few": (
        "azuredeploy.json",
        '"count": "[length(parameters(\'estate\').diagnostics)]"',
        '"count": 1',
    ),
    "somebody else": (
        "azuredeploy.json",
        "principals[parameters('estate').grants[copyIndex('grants')].to]",
        "principals.workspace",
    ),
    "missing role": ("rbac.yml", "      key_vault: [Reader, Key Vault Reader]\n      container", "      container"),
    "another role": ("rbac.yml", "container_registry: [AcrPush]", "container_registry: [AcrPull]"),
    "another name": ("names.yml", "kv-{project}", "ky-{project}"),
    "another alert": ("alerts.yml", "  queue_time:\n", "  queue_times:\n"),
}


@pytest.mark.parametrize("fault", some_quick(FAULTS, 4))
def test_a_planted_fault_is_seen(project: Estate, make: cases.Make, fault: str) -> None:
    root = project()
    rbac = cases.rbac_of(root)
    replace(root, *FAULTS[fault])
    assert any(
        expected.differences(make(root, environment), environment, "classical", "online", rbac)
        for environment in ("prod", "dev", "shared")
    )


REFUSED = {
    "another environment": ('"value": "dev"', '"value": "test"', "environment is 'test': none of"),
    "no such parameter": ('"apply":', '"applied":', "unknown applied"),
    "no number": ('"logDays": 90', '"logDays": "90"', "logDays is '90': no int"),
    "no such number": ('"logDays": 90', '"logDays": 91', "logDays is 91: none of"),
    "half a number": ('"threshold": 90', '"threshold": 90.5', "threshold is 90.5: no int"),
    "unknown key": ('"firewall": "Basic"', '"fire": "Basic"', "estate.fire does not exist"),
    "a size that nobody sells": ('"firewall": "Basic"', '"firewall": "Large"', "firewall is 'Large': none of"),
    "too long": ('"key_vault": "', '"key_vault": "a-very-long-name-', "maxLength 24"),
    "no such role": ('"role": "Owner"', '"role": "King"', "no 'King'"),
    "nobody": ('"to": "compute"', '"to": "computer"', "no 'computer'"),
}


@pytest.mark.parametrize("fault", some_quick(REFUSED, 4))
def test_wrong_parameters_are_refused(project: Estate, deploy: Deploy, fault: str) -> None:
    root = project(**{"dev.infrastructure.firewall": "Basic"})
    deploy(root, "dev")
    old, new, message = REFUSED[fault]
    replace(root, "azuredeploy.parameters.dev.json", old, new)
    with pytest.raises(ArmError, match=re.escape(message)):
        arm.deploy(root / FILE, root / "infrastructure/azuredeploy.parameters.dev.json", expected.SUBSCRIPTIONS["dev"])


EXPRESSIONS = {
    "[nothing('a')]": "unknown function nothing",
    "[concat('a', 'b'": "neither an expression nor a text",
    "[concat('a', 'b']": "is missing",
    "[concat('a') concat('b')]": "is too much",
    "[concat('a' ? 'b')]": "cannot read",
    "[parameters('missing')]": "no 'missing'",
    "[createObject('a', 1).b]": "no 'b'",
    "[createArray(1)[1]]": "no 1",
    "[copyIndex()]": "no ''",
    "[resourceGroup().id]": "in a subscription",
    "[reference('nothing', '2024-01-01').id]": "not made before",
    f"[concat('{'a' * arm.CHARACTERS}')]": "characters",
}


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=[text[:30] for text in EXPRESSIONS])
def test_wrong_expressions_are_refused(expression: str) -> None:
    content = {
        "$schema": f"https://schema.management.azure.com/schemas/{arm.SCHEMAS[True]}",
        "languageVersion": "2.0",
        "contentVersion": "1.0.0.0",
        "resources": {},
        "outputs": {"one": {"type": "string", "value": expression}},
    }
    with pytest.raises(ArmError, match=re.escape(EXPRESSIONS[expression])):
        arm.Template(content, Scope("s"), {}).deploy()


def test_expressions() -> None:
    content = {
        "$schema": f"https://schema.management.azure.com/schemas/{arm.SCHEMAS[False]}",
        "languageVersion": "2.0",
        "contentVersion": "1.0.0.0",
        "parameters": {"names": {"type": "array", "metadata": {"description": "Names."}}},
        "variables": {"copy": [{"name": "twice", "count": 2, "input": "[copyIndex('twice')]"}]},
        "resources": {},
    }
    template = arm.Template(content, Scope("s", "g"), {"names": ["it's", "b"]})
    for text, value in {
        "plain [text]": "plain [text]",
        "[[not an expression]": "[[not an expression]",
        "[parameters('names')[0]]": "it's",
        "[concat('it''s', ' me')]": "it's me",
        "[if(empty(parameters('names')), parameters('none'), variables('twice'))]": [0, 1],
        "[map(parameters('names'), lambda('one', format('{0}-{1}', lambdaVariables('one'), 7)))]": ["it's-7", "b-7"],
        "[toObject(createArray('a'), lambda('one', lambdaVariables('one')), lambda('one', true()))]": {"a": True},
        "[resourceId('Microsoft.X/a', 'n')]": "/subscriptions/s/resourceGroups/g/providers/Microsoft.X/a/n",
        "[resourceId('t', 'h', 'Microsoft.X/a', 'n')]": "/subscriptions/t/resourceGroups/h/providers/Microsoft.X/a/n",
        "[reference('/x', '2024-01-01').principalId]": "/x#properties.principalId",
        "[reference('/x', '2024-01-01', 'full').identity.principalId]": "/x#identity.principalId",
    }.items():
        assert template.value(text, {}, {}) == value, text


def test_circles_and_unknown_keys_are_refused(project: Estate, deploy: Deploy) -> None:
    for old, new, message in (
        ('"dependsOn": ["logs"]', '"dependsOn": ["log"]', "wait for each other, or for what does not exist"),
        ('"apiVersion": "2024-11-30"', '"apiVersions": "2024-11-30"', "unknown apiVersions"),
        ('"scope": "inner"', '"scope": "outer"', "not on its own"),
        ("2018-05-01/subscriptionDeploymentTemplate.json#", "2019-04-01/deploymentTemplate.json#", "not that of this"),
    ):
        root = project()
        replace(root, "azuredeploy.json", old, new)
        with pytest.raises(ArmError, match=message):
            deploy(root, "dev")


@pytest.mark.full
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("changes", [{}, cases.OPTIONS], ids=["default", "options"])
def test_azure_knows_every_property(
    project: Estate, deploy: Deploy, types: Types, target: str, changes: dict[str, Any]
) -> None:
    root = project("cv", target, **changes)
    for environment in expected.ENVIRONMENTS:
        made = deploy(root, environment).resources
        assert [fault for one in made for fault in types.faults(one.type, one.version, one.body)] == []
    kind = "Microsoft.Resources/deployments"
    versions = re.findall(rf'"type": "{kind}",\s*"apiVersion": "([^"]+)"', (root / FILE).read_text(encoding="utf-8"))
    assert len(versions) == 1
    assert f"{kind}@{versions[0]}".lower() in types.index


UNKNOWN = {
    "property": ('"enablePurgeProtection": true', '"purgeProtection": true', "does not exist"),
    "value": ('"IngestionMode": "LogAnalytics"', '"IngestionMode": 7', "is 7"),
    "version": (
        '"apiVersion": "2025-04-01",\n              "name": "[variables',
        '"apiVersion": "2025-04-02",\n              "name": "[variables',
        "does not exist",
    ),
    "missing": ('"category": "Cost",', "", "category is missing"),
    "kind of cluster": ('"AmlCompute"', '"Amlcompute"', "choose among"),
}


@pytest.mark.full
@pytest.mark.parametrize("fault", UNKNOWN)
def test_what_azure_does_not_know_is_seen(project: Estate, deploy: Deploy, types: Types, fault: str) -> None:
    root = project()
    *change, message = UNKNOWN[fault]
    replace(root, "azuredeploy.json", *change)
    faults = [one for made in deploy(root, "dev").resources for one in types.faults(made.type, made.version, made.body)]
    assert faults
    assert all(message in fault for fault in faults)


def test_everything_declared_is_used() -> None:
    text = (LAYER / FILE).read_text(encoding="utf-8")
    outer = json.loads(text)
    inner = outer["resources"]["estate"]["properties"]["template"]
    for name in {*outer["parameters"], *inner["parameters"]}:
        assert f"parameters('{name}')" in text, name
    loops = [one["name"] for one in inner["variables"]["copy"]]
    for name in {*inner["variables"], *loops} - {"copy"}:
        assert f"variables('{name}')" in text, name
    for name in outer["definitions"]:
        assert f'"#/definitions/{name}"' in text, name
    for name in outer["definitions"]["estate"]["properties"]:
        assert f"parameters('estate').{name}" in text, name
    used = re.findall(r"variables\('names'\)\.(\w+)", text)
    assert {*used} <= {*outer["definitions"]["names"]["properties"]}


@pytest.fixture(scope="session")
def generated(shared: Path) -> Path:
    """A project with ARM templates, generated once a session: only read it."""
    with FileLock(shared / "arm.lock"):
        if not (shared / "arm").exists():
            answers = {"project_name": "Taxi Fares", "iac_tool": "arm"}
            cookiecutter(str(TEMPLATE), no_input=True, output_dir=str(shared / "arm"), extra_context=answers)
    return shared / "arm" / "taxi-fares"


def test_a_project_has_these_files(generated: Path) -> None:
    files = {path.relative_to(generated).as_posix() for path in (generated / "infrastructure").iterdir()}
    derived = {f"infrastructure/azuredeploy.parameters.{name}.json" for name in expected.ENVIRONMENTS}
    layers = (TEMPLATE / SLUG_FOLDER, TEMPLATE / "ci" / SLUG_FOLDER)
    others = {f"infrastructure/{path.name}" for layer in layers for path in (layer / "infrastructure").iterdir()}
    assert files == {FILE, "infrastructure/README.md", "infrastructure/ps-rule.yaml", *derived, *others}
    test_structure.test_no_trace_of_other_tasks(lambda task: generated, "classification")


def mlops(root: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run `mlops` of a generated project."""
    command = [sys.executable, "-m", "mlops_runtime.cli", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(root / "src"), "PYTHONUTF8": "1", **more}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, encoding="utf-8", check=False)


@pytest.mark.full
def test_parameters_are_written_and_kept_fresh(generated: Path, tmp_path: Path) -> None:
    root = shutil.copytree(generated, tmp_path / "project")
    assert mlops(root, "config", "render", "--check").returncode == 0
    config = root / "config" / "dev.yml"
    content = yaml.safe_load(config.read_text(encoding="utf-8"))
    content["infrastructure"]["clusters"]["cpu-cluster"]["nodes"] = 7
    config.write_text(yaml.safe_dump(content), encoding="utf-8")
    stale = "infrastructure/azuredeploy.parameters.dev.json"
    done = mlops(root, "config", "render", "--check")
    assert done.returncode == 1
    assert stale in done.stderr + done.stdout
    done = mlops(root, "check")
    assert done.returncode == 1
    assert f"{stale} is out of date; run `mlops config render`." in done.stdout
    assert f"Wrote {stale}." in mlops(root, "config", "render", PYTHONHASHSEED="1").stdout
    assert '"nodes": 7' in (root / stale).read_text(encoding="utf-8")
    assert mlops(root, "config", "render", "--check", PYTHONHASHSEED="2").returncode == 0
    replace(root, "queries/latency.kql", "95", "99")
    done = mlops(root, "config", "render", "--check")
    assert all(name in done.stderr + done.stdout for name in ("parameters.staging.json", "parameters.prod.json"))
    content["infrastructure"]["clusters"] = "many"
    config.write_text(yaml.safe_dump(content), encoding="utf-8")
    done = mlops(root, "config", "render")
    assert done.returncode == 2
    assert "infrastructure.clusters" in done.stderr
    assert "Traceback" not in done.stderr


WITHOUT = """
import sys
sys.modules.update({name: None for name in ("pydantic", "jinja2", "cookiecutter")})
sys.path.insert(0, "src")
from pathlib import Path
from mlops_runtime import derived
print(derived.stale(Path.cwd()))
"""


def test_a_project_is_written_before_anything_is_installed(generated: Path) -> None:
    command = [sys.executable, "-B", "-c", WITHOUT]
    done = subprocess.run(command, cwd=generated, capture_output=True, encoding="utf-8", check=False)
    assert done.stderr == ""
    assert done.stdout == "[]\n"
