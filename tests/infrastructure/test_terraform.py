"""The Terraform layer makes the estate that is expected: real Terraform plans, applies and destroys it."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ..conftest import SLUG_FOLDER, TEMPLATE, Environment
from . import cases, expected, terraform_resources
from .azure_types import Types
from .conftest import PRIVATE, Estate
from .terraform import Terraform, TerraformError, prepare, serving

pytestmark = pytest.mark.full
LAYER = TEMPLATE / "iac" / "terraform" / SLUG_FOLDER
SCENARIOS, TARGETS = ("classical", "cv", "nlp"), ("online", "batch", "kubernetes")
EXCEPTIONS = expected.read("checkov", TEMPLATE / "ci" / SLUG_FOLDER / "infrastructure")
OWN_EXCEPTIONS = expected.read("checkov-terraform", LAYER / "infrastructure")
QUIET = ("-input=false", "-no-color")


@pytest.fixture(scope="session")
def prepared(shared: Path) -> tuple[Terraform, Path]:
    """Terraform, which starts its providers by itself, and the folder of these."""
    return prepare(shared, LAYER)


@pytest.fixture(scope="session")
def terraform(prepared: tuple[Terraform, Path]) -> Iterator[Terraform]:
    """Terraform whose providers foresee what Azure would answer: a plan shows everything."""
    with serving(*prepared, "foresee") as ready:
        yield ready


@pytest.fixture(scope="session")
def real(prepared: tuple[Terraform, Path]) -> Iterator[Terraform]:
    """Terraform that knows what Azure answers when it is applied, as in reality."""
    with serving(*prepared) as ready:
        yield ready


@pytest.fixture
def project(estate: Estate) -> Estate:
    """The same as `estate` with Terraform's files."""

    def make(*answers: str, **changes: Any) -> Path:
        root = estate(*answers, **changes)
        for file in (root / "infrastructure").rglob("*.bicep"):
            file.unlink()
        shutil.copytree(LAYER / "infrastructure", root / "infrastructure", dirs_exist_ok=True)
        return root

    return make


@pytest.fixture
def make(terraform: Terraform) -> cases.Make:
    """What Terraform makes of an environment."""

    def planned(root: Path, environment: str) -> expected.Found:
        made = terraform.plan(root / "infrastructure", environment)
        return terraform_resources.found(made, cases.roles_of(root))

    return planned


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_estate_is_the_expected_one(project: Estate, make: cases.Make, scenario: str, target: str) -> None:
    cases.check_estate(project, make, scenario, target)


@pytest.mark.parametrize("case", cases.EVERY_TOOL)
def test_options(project: Estate, make: cases.Make, case: cases.Case) -> None:
    case(project, make)


def test_files_are_formatted_and_valid(project: Estate, prepared: tuple[Terraform, Path]) -> None:
    """With providers of the real ones' versions, which the constraints in versions.tf must allow."""
    folder = project() / "infrastructure"
    terraform, _ = prepared
    terraform.run(folder, ("fmt", "-check", "-recursive", *QUIET[1:]), ("init", *QUIET), ("validate", *QUIET[1:]))
    lock = (folder / ".terraform.lock.hcl").read_text(encoding="utf-8")
    assert re.findall(r'provider "[\w.]+/(\w+/\w+)" \{\s+version +=', lock) == ["azure/azapi", "hashicorp/azurerm"]
    (folder / "outputs.tf").write_text('output "x" {\nvalue = 1\n}\n', encoding="utf-8")
    with pytest.raises(TerraformError):
        terraform.run(folder, ("fmt", "-check", *QUIET[1:]))


@pytest.mark.parametrize(
    ("target", "changes"), [("kubernetes", {}), ("online", cases.OPTIONS)], ids=["kubernetes", "options"]
)
def test_what_is_applied_stays_and_goes(project: Estate, real: Terraform, target: str, changes: dict[str, Any]) -> None:
    """A second plan is empty; what is not protected can be destroyed."""
    folder = project("cv", target, **changes) / "infrastructure"
    for environment in expected.ENVIRONMENTS:
        state = (f"-var=environment={environment}", f"-state={environment}.tfstate")
        out = real.run(
            folder,
            ("init", *QUIET),
            ("apply", "-auto-approve", *QUIET, *state),
            ("plan", "-detailed-exitcode", *QUIET, *state),
            ("output", "-json", state[1]),
        )
        assert "No changes." in out[2], out[2]
        outputs = json.loads(out[3])
        assert outputs["resource_group"]["value"] == f"rg-taxi-fares-{environment}"
        assert outputs["names"]["value"]["key_vault"] == f"kv-taxifar-{environment}-x7k2"
        destroy = ("destroy", "-auto-approve", *QUIET, *state)
        if environment in ("shared", "prod"):
            with pytest.raises(TerraformError, match="cannot be destroyed"):
                real.run(folder, destroy)
            real.run(folder, ("state", "rm", state[1], "terraform_data.protected[0]"))
        assert "Destroy complete!" in real.run(folder, destroy)[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shared.infrastructure.name_suffix": ""}, "name_suffix is empty"),
        ({"shared.infrastructure.approved_outbound.package_index": []}, "package_index is empty"),
        ({"shared.infrastructure.budget_start": ""}, "budget_start is empty"),
        ({"shared.registry.subscription": ""}, "subscription is empty"),
    ],
)
def test_what_is_empty_is_refused(project: Estate, real: Terraform, changes: dict[str, Any], message: str) -> None:
    folder = project(**changes) / "infrastructure"
    for environment in ("shared", "dev"):
        with pytest.raises(TerraformError, match=message):
            real.run(folder, ("init", *QUIET), ("plan", *QUIET, f"-var=environment={environment}"))


def test_an_address_is_a_range_where_azurerm_wants_one(project: Estate, terraform: Terraform) -> None:
    root = project("cv", "kubernetes", **{"dev.infrastructure.allowed_addresses": ["203.0.113.7", "198.51.100.0/24"]})
    made = {one.type: one.values for one in terraform.plan(root / "infrastructure", "dev")}
    ranges = ["203.0.113.7/32", "198.51.100.0/24"]
    rules = made["azurerm_container_registry"]["network_rule_set"][0]["ip_rule"]
    assert sorted(one["ip_range"] for one in rules) == sorted(ranges)
    profile = made["azurerm_kubernetes_cluster"]["api_server_access_profile"][0]
    assert sorted(profile["authorized_ip_ranges"]) == sorted(ranges)
    assert made["azurerm_key_vault"]["network_acls"][0]["ip_rules"] == ["198.51.100.0/24", "203.0.113.7"]


def faults(root: Path, terraform: Terraform, types: Types) -> list[str]:
    """What Azure does not know of that which azapi sends as it is."""
    found = []
    for environment in expected.ENVIRONMENTS:
        for one in terraform.plan(root / "infrastructure", environment):
            if one.type == "azapi_resource":
                kind, _, version = one.values["type"].partition("@")
                identity = {"type": one.values["identity"][0]["type"]}
                body = {key: one.values[key] for key in ("name", "location", "tags")} | {"identity": identity}
                found += types.faults(kind, version, body | one.values["body"])
    return found


def test_azure_knows_what_azapi_sends(project: Estate, terraform: Terraform, types: Types) -> None:
    root = project("cv", "kubernetes", **cases.OPTIONS)
    assert faults(root, terraform, types) == []
    plant(root, "workspace.tf", "provisionNetworkNow ", "provisionNetwork ")
    assert any("provisionNetwork does not exist" in fault for fault in faults(root, terraform, types))


def test_kubernetes_needs_a_certificate(project: Estate, make: cases.Make) -> None:
    root = project("cv", "kubernetes", **{"dev.infrastructure.kubernetes.tls": {"host": "", "secret": ""}})
    with pytest.raises(TerraformError, match=r"kubernetes\.tls is empty"):
        make(root, "dev")


def test_only_known_environments(project: Estate, make: cases.Make) -> None:
    with pytest.raises(TerraformError, match="There is no environment test"):
        make(project(), "test")


FAULTS = {
    "public access": ("data.tf", "allow_nested_items_to_be_public  = false", "allow_nested_items_to_be_public  = true"),
    "keys": ("data.tf", "shared_access_key_enabled        = false", "shared_access_key_enabled        = true"),
    "open network": ("workspace.tf", '"AllowOnlyApprovedOutbound"', '"AllowInternetOutbound"'),
    "missing role": ("rbac.yml", "      key_vault: [Reader, Key Vault Reader]\n      container", "      container"),
    "another role": ("rbac.yml", "container_registry: [AcrPush]", "container_registry: [AcrPull]"),
    "wrong scope": ("access.tf", "key_vault            = local.key_vault_id", "key_vault = local.storage_id"),
    "missing resource": (
        "main.tf",
        '"container_registry" => { id = images.id, metrics',
        '"key_vault" => { id = images.id, metrics',
    ),
    "vault without roles": (
        "workspace.tf",
        "rbac_authorization_enabled    = true",
        "rbac_authorization_enabled = false",
    ),
    "another name": ("names.yml", "kv-{project}", "ky-{project}"),
    "no lock": ("settings.tf", "protect   = local.is_shared || try(local.settings.protect, false)", "protect = false"),
    "local accounts": (
        "modules/kubernetes/main.tf",
        "local_account_disabled            = true",
        "local_account_disabled = false",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_seen(project: Estate, make: cases.Make, fault: str) -> None:
    root = project("classical", "kubernetes")
    rbac = cases.rbac_of(root)
    plant(root, *FAULTS[fault])
    assert any(
        expected.differences(make(root, environment), environment, "classical", "kubernetes", rbac)
        for environment in ("dev", "prod", "shared", "staging")
    )


def test_rules_that_hold_whatever_config_says(project: Estate, real: Terraform) -> None:
    """`terraform test`, as README.md says."""
    root = project()
    test = (("init", "-backend=false", *QUIET), ("test", "-no-color"))
    assert "5 passed, 0 failed" in real.run(root / "infrastructure", *test)[1]
    plant(root, *FAULTS["keys"])
    with pytest.raises(TerraformError, match="Storage must have neither keys nor public blobs"):
        real.run(root / "infrastructure", *test)


REFUSED = {
    "argument": ("workspace.tf", "purge_protection_enabled      =", "purge_protection =", "purge_protection"),
    "type": ("monitoring.tf", "severity                = each.value.severity", "severity = [1]", "number required"),
    "missing": ("governance.tf", '  time_grain        = "Monthly"\n\n  time_period {\n', "  x {\n", "time_period"),
    "kind": ("main.tf", '"azurerm_management_lock"', '"azurerm_managment_lock"', "azurerm_managment_lock"),
    "reference": ("data.tf", "local.labelling_origins) == 0", "local.labeling_origins) == 0", "labeling_origins"),
    "version": ("versions.tf", '"~> 5.10"', '"~> 4.0"', "no available releases match"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_what_terraform_does_not_know_is_seen(project: Estate, prepared: tuple[Terraform, Path], fault: str) -> None:
    root = project()
    *change, message = REFUSED[fault]
    plant(root, *change)
    with pytest.raises(TerraformError, match=message):
        prepared[0].run(root / "infrastructure", ("init", *QUIET), ("validate", *QUIET[1:]))


def plant(root: Path, file: str, old: str, new: str) -> None:
    """Write a fault into a file of the project."""
    path = root / "infrastructure" / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


Ask = Callable[[Path], set[str]]


@pytest.fixture
def ask(checkov: Environment, terraform: Terraform) -> Ask:
    """The rules of checkov that the plans of all environments break."""

    def broken(root: Path) -> set[str]:
        folder = root / "plans"
        folder.mkdir()
        for environment in expected.ENVIRONMENTS:
            terraform.plan(root / "infrastructure", environment)
            shown = terraform.run(root / "infrastructure", ("show", "-json", f"{environment}.tfplan"))
            (folder / f"{environment}.json").write_text(shown[0], encoding="utf-8")
        command = ("-m", "checkov.main", "-d", folder, "--framework", "terraform_plan", "--output", "json", "--quiet")
        done = checkov.run(*command, "--compact", cwd=root, check=False)
        report = json.loads(done.stdout)
        assert report["summary"]["parsing_errors"] == 0
        assert report["summary"]["passed"] > 50
        return {one["check_id"] for one in report["results"]["failed_checks"]}

    return broken


def test_every_rule_is_kept_or_argued(project: Estate, ask: Ask) -> None:
    allowed = {rule for rules in EXCEPTIONS.values() for rule in rules}
    own = {rule for rules in OWN_EXCEPTIONS.values() for rule in rules}
    found = ask(project("cv", "kubernetes"))
    assert found <= allowed | own
    assert own <= found, "an exception is not needed any more"


def test_private_endpoints_keep_the_rest(project: Estate, ask: Ask) -> None:
    changes = {f"{name}.infrastructure.private_endpoints": PRIVATE for name in expected.ENVIRONMENTS}
    assert ask(project("cv", "kubernetes", **changes)) <= {*EXCEPTIONS["always"], *OWN_EXCEPTIONS["always"]}


def test_a_broken_rule_is_seen(project: Estate, ask: Ask) -> None:
    root = project()
    plant(root, "data.tf", '"TLS1_2"', '"TLS1_0"')
    assert "CKV_AZURE_44" in ask(root)
