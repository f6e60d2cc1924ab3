"""The Bicep layer makes the estate that is expected, with properties that Azure knows."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ..conftest import TEMPLATE, Environment, some_quick
from . import bicep, cases, expected
from .azure_types import Types
from .bicep_syntax import BicepError
from .conftest import Estate

LAYER = TEMPLATE / "iac" / "bicep"
SCENARIOS, TARGETS = ("classical", "cv", "nlp"), ("online", "batch", "kubernetes")
IGNORED = ("Microsoft.Authorization/roleAssignments",)


def deploy(root: Path, environment: str) -> list[bicep.Resource]:
    """What `az stack sub create --parameters environment=…` would make."""
    main = root / "infrastructure" / "main.bicep"
    return bicep.deploy(main, expected.SUBSCRIPTIONS[environment], "westeurope", environment=environment).resources


def found(root: Path, resources: list[bicep.Resource]) -> expected.Found:
    """The same in the words that all tools share."""
    roles = {id: name for name, id in yaml.safe_load((root / "infrastructure/roles.yml").read_text()).items()}
    all_ = expected.Found()
    for one in resources:
        if one.type == "Microsoft.Authorization/roleAssignments":
            all_.assignments.append(assignment(one, roles))
            continue
        extension = one.scope.split("/providers/")[1:] and one.type.startswith(EXTENSIONS)
        owner = "/".join(one.scope.rsplit("/providers/", 1)[-1].split("/")[2::2]) if extension else ""
        name = f"{owner}/{one.name}" if owner else one.name
        name = {
            "Microsoft.Insights/workbooks": "workbook",
            "Microsoft.Authorization/roleDefinitions": "Endpoint Caller",
        }.get(one.type, name)
        assert (one.type, name) not in all_.resources, f"{one.id} twice"
        all_.resources[one.type, name] = one.body
    return all_


def make(root: Path, environment: str) -> expected.Found:
    """What Bicep makes of an environment, in the words that all tools share."""
    return found(root, deploy(root, environment))


EXTENSIONS = (
    "Microsoft.Insights/diagnosticSettings",
    "Microsoft.Authorization/locks",
    "Microsoft.KubernetesConfiguration",
)


def assignment(one: bicep.Resource, roles: dict[str, str]) -> expected.Assignment:
    """A role assignment with names."""
    properties = one.body["properties"]
    role = properties["roleDefinitionId"].rsplit("/", 1)[-1]
    principal = properties["principalId"]
    if isinstance(principal, bicep.Runtime):
        assert principal.endswith(("#properties.principalId", "#identity.principalId")), principal
        principal = principal.split("#")[0].rsplit("/", 1)[-1]
        assert properties["principalType"] == "ServicePrincipal"
    return expected.Assignment(one.scope.rsplit("/", 1)[-1], roles.get(role, "Endpoint Caller"), principal)


@pytest.mark.parametrize("target", some_quick(TARGETS))
@pytest.mark.parametrize("scenario", some_quick(SCENARIOS))
def test_the_estate_is_the_expected_one(estate: Estate, scenario: str, target: str) -> None:
    cases.check_estate(estate, make, scenario, target)


def too_early(root: Path, environment: str) -> list[str]:
    main = root / "infrastructure" / "main.bicep"
    made = bicep.deploy(main, expected.SUBSCRIPTIONS[environment], "westeurope", environment=environment)
    return bicep.too_early(made)


@pytest.mark.parametrize("target", some_quick(TARGETS))
def test_nothing_is_made_before_what_it_needs(estate: Estate, target: str) -> None:
    root = estate("cv", target, **cases.OPTIONS)
    assert [fault for environment in expected.ENVIRONMENTS for fault in too_early(root, environment)] == []


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "environment",
            "dependsOn: [logging, storage, ownLakeAccount, vault, images]",
            "",
            "access does not wait for vault",
        ),
        ("environment", "  dependsOn: [access]\n", "", "workspace does not wait for storage"),
        ("shared", "  dependsOn: [people, lake, registry, logging]\n", "", "access does not wait for lake"),
    ],
)
def test_a_missing_order_is_seen(estate: Estate, file: str, old: str, new: str, message: str) -> None:
    root = estate()
    path = root / "infrastructure" / "modules" / f"{file}.bicep"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    faults = too_early(root, "shared" if file == "shared" else "prod")
    assert any(message in fault for fault in faults), faults


@pytest.mark.full
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("changes", [{}, cases.OPTIONS], ids=["default", "options"])
def test_azure_knows_every_property(estate: Estate, types: Types, target: str, changes: dict[str, Any]) -> None:
    root = estate("cv", target, **changes)
    for environment in expected.ENVIRONMENTS:
        resources = deploy(root, environment)
        faults = [
            f"{one.name}: {fault}" for one in resources for fault in types.faults(one.type, one.version, one.body)
        ]
        assert faults == []


@pytest.mark.parametrize("case", some_quick([*cases.EVERY_TOOL, cases.check_caller_role], 3))
def test_options(estate: Estate, case: cases.Case) -> None:
    case(estate, make)


def test_access_to_what_is_shared_is_missed(estate: Estate) -> None:
    cases.check_access_to_shared(estate, make, plant)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shared.infrastructure.name_suffix": ""}, "name_suffix is empty"),
        ({"shared.infrastructure.approved_outbound.package_index": []}, "package_index is empty"),
        ({"shared.infrastructure.log_days": "many"}, "context.logDays is 'many' and no int"),
        ({"shared.infrastructure.serving": "fax"}, "context.serving is 'fax' and none of"),
        ({"shared.infrastructure.lake.colour": "blue"}, "context.lake.colour is not known"),
        (
            {"shared.infrastructure.lake": {"zones": ["gold"], "cool_after_days": 1}},
            "delete_bronze_after_days is missing",
        ),
    ],
)
def test_what_is_empty_or_of_another_type_is_refused(estate: Estate, changes: dict[str, Any], message: str) -> None:
    root = estate(**changes)
    for environment in ("shared", "prod"):
        with pytest.raises(BicepError, match=message):
            deploy(root, environment)


def test_only_known_environments(estate: Estate) -> None:
    with pytest.raises(BicepError, match="test"):
        bicep.deploy(estate() / "infrastructure/main.bicep", "s", "westeurope", environment="test")


def plant(root: Path, file: str, old: str, new: str) -> None:
    """Write a fault into a file of the project."""
    path = root / "infrastructure" / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


FAULTS = {
    "public access": ("modules/storage.bicep", "allowBlobPublicAccess: false", "allowBlobPublicAccess: true"),
    "keys": ("modules/storage.bicep", "allowSharedKeyAccess: false", "allowSharedKeyAccess: true"),
    "open network": ("modules/workspace.bicep", "'AllowOnlyApprovedOutbound'", "'AllowInternetOutbound'"),
    "missing role": ("rbac.yml", "      key_vault: [Reader, Key Vault Reader]\n      container", "      container"),
    "another role": ("rbac.yml", "container_registry: [AcrPush]", "container_registry: [AcrPull]"),
    "wrong scope": ("modules/access.bicep", "scope: vault\n", "scope: storage\n"),
    "missing resource": ("modules/images.bicep", "scope: images\n  name: 'to-logs'", "scope: images\n  name: 'to-log'"),
    "vault without roles": ("modules/vault.bicep", "enableRbacAuthorization: true", "enableRbacAuthorization: false"),
    "another name": ("names.yml", "kv-{project}", "ky-{project}"),
    "somebody else's jobs": ("modules/workspace.bicep", "'${identities.compute}': {}", "'${identities.workspace}': {}"),
    "no lock": ("main.bicep", "protect: isShared || (settings.?protect ?? false)", "protect: false"),
}


@pytest.mark.parametrize("fault", some_quick(FAULTS, 4))
def test_a_planted_fault_is_seen(estate: Estate, fault: str) -> None:
    root = estate()
    rbac = cases.rbac_of(root)
    file, old, new = FAULTS[fault]
    path = root / "infrastructure" / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    wrong = []
    for environment in expected.ENVIRONMENTS:
        made = make(root, environment)
        wrong += expected.differences(made, environment, "classical", "online", rbac)
        wrong += cases.wrong_identities(made, environment)
    assert wrong


UNKNOWN = {
    "property": ("modules/vault.bicep", "enablePurgeProtection: true", "purgeProtection: true", "does not exist"),
    "value": ("modules/logs.bicep", "IngestionMode: 'LogAnalytics'", "IngestionMode: 7", "is 7"),
    "version": ("modules/images.bicep", "registries@2025-04-01' =", "registries@2025-04-02' =", "does not exist"),
    "own description": ("modules/alerts.bicep", "criterionType: 'Static", "criterionType: 'Statics", "none of"),
    "missing": ("modules/governance.bicep", "    category: 'Cost'\n", "", "category is missing"),
    "kind of cluster": ("modules/workspace.bicep", "'AmlCompute'", "'Amlcompute'", "choose among"),
}


@pytest.mark.full
@pytest.mark.parametrize("fault", UNKNOWN)
def test_what_azure_does_not_know_is_seen(estate: Estate, types: Types, fault: str) -> None:
    root = estate()
    file, old, new, message = UNKNOWN[fault]
    path = root / "infrastructure" / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    faults = [fault for one in deploy(root, "dev") for fault in types.faults(one.type, one.version, one.body)]
    assert faults
    assert all(message in fault for fault in faults)


CHECK_SYNTAX = """
import sys, tree_sitter_bicep
from tree_sitter import Language, Parser
parser = Parser(Language(tree_sitter_bicep.language()))
for name in sys.argv[1:]:
    if parser.parse(open(name, "rb").read()).root_node.has_error:
        print(name)
"""


@pytest.mark.full
def test_syntax(tools: Environment, tmp_path: Path) -> None:
    """A second parser, which others wrote, reads every file."""
    files = sorted(LAYER.rglob("*.bicep"))
    assert len(files) > 15
    wrong = tmp_path / "wrong.bicep"
    wrong.write_text("param x string = {\n")
    done = tools.run("-c", CHECK_SYNTAX, *files, wrong, cwd=tmp_path)
    assert done.stdout.split() == [str(wrong)]


def test_every_query_and_module_is_used(estate: Estate) -> None:
    folder = estate() / "infrastructure"
    texts = {path: path.read_text(encoding="utf-8") for path in folder.rglob("*.bicep")}
    named = {Path(one).name for text in texts.values() for one in re.findall(r"'([^']+\.(?:kql|bicep|yml))'", text)}
    data = {path.name for path in folder.rglob("*") if path.suffix in (".kql", ".yml")}
    assert data - expected.OURS <= named
    assert {path.name for path in texts} - {"main.bicep"} <= named


def test_every_declared_name_is_used() -> None:
    for path in sorted(LAYER.rglob("*.bicep")):
        text = re.sub(r"//[^\n]*", "", path.read_text(encoding="utf-8"))
        for name in re.findall(r"^(?:param|var|func) (\w+)", text, re.MULTILINE):
            uses = re.findall(rf"(?<![\w'.]){name}\b", text)
            assert len(uses) > 1 or "@export()" in text, f"{path.name}: {name} is not used"
        parameters = re.findall(r"^param (\w+)", text, re.MULTILINE)
        assert text.count("@description(") >= len(parameters), f"{path.name}: a parameter without description"
