"""Each tool's files stand beside the data that all tools read, and nothing of another tool does."""

import json
import re
from pathlib import Path

import pytest
import yaml
from cookiecutter.main import cookiecutter

from ..command_lines import fault, mentions, shell_lines
from ..conftest import SLUG_FOLDER, TEMPLATE
from . import expected

TOOLS = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))["iac_tool"]
TERRAFORM = TEMPLATE / "iac" / "terraform" / SLUG_FOLDER / "infrastructure"
DECLARED = (
    (r'^variable "(\w+)"', "var.{}"),
    (r"^  (\w+) += ", "local.{}"),
    (r'^(?:resource|data) "(\w+" "\w+)"', "{}"),
    (r'^module "(\w+)"', "module.{}"),
)
# Nothing refers to what is made for its own sake.
LAST = (
    *("azapi_resource.attached", "azurerm_application_insights_workbook.this", "azurerm_eventhub.events"),
    *("azurerm_consumption_budget_resource_group.this", "azurerm_kubernetes_cluster_extension.azureml"),
    *("azurerm_machine_learning_compute_cluster.this", "azurerm_machine_learning_datastore_datalake_gen2.zone"),
    *("azurerm_management_lock.keep", "azurerm_monitor_diagnostic_setting.to_logs", "azurerm_private_endpoint.this"),
    *("azurerm_resource_group_policy_assignment.this", "azurerm_role_assignment.reads"),
    *("azurerm_role_assignment.workspace", "azurerm_security_center_subscription_pricing.plan"),
    *("azurerm_storage_management_policy.lake", "azurerm_synapse_spark_pool.this", "terraform_data.protected"),
)


def files(folder: Path) -> set[str]:
    """The files below a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module", params=TOOLS)
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A tool and a project with it: only read it."""
    folder = tmp_path_factory.mktemp(request.param)
    cookiecutter(str(TEMPLATE), no_input=True, output_dir=str(folder), extra_context={"iac_tool": request.param})
    return request.param, next(folder.iterdir())


def test_files(project: tuple[str, Path]) -> None:
    tool, root = project
    own = files(TEMPLATE / "iac" / tool / SLUG_FOLDER / "infrastructure")
    assert "README.md" in own
    data = files(TEMPLATE / SLUG_FOLDER / "infrastructure")
    assert not own & data
    made = files(root / "infrastructure")
    assert own | data <= made
    for other in TOOLS:
        theirs = files(TEMPLATE / "iac" / other / SLUG_FOLDER / "infrastructure") - own
        assert other == tool or not theirs & made, f"{other} has left files"
    for name in own:
        text = (root / "infrastructure" / name).read_text(encoding="utf-8")
        assert text.strip(), f"{name} is empty"
        assert text.endswith("\n"), name
        assert not re.search(r"[ \t]+$", text, re.MULTILINE), f"{name} has trailing blanks"
        assert not re.search(r"(?<!\$)\{\{|\{%|\{#|cookiecutter", text), f"{name} has leftover template marks"


def test_new_versions_of_providers_are_looked_for(project: tuple[str, Path]) -> None:
    """Where a tool has any: Dependabot reads the folder that says which versions are allowed."""
    tool, root = project
    updates = yaml.safe_load((root / ".github" / "dependabot.yml").read_text(encoding="utf-8"))["updates"]
    folders = {one["package-ecosystem"]: one["directory"].lstrip("/") for one in updates if "directory" in one}
    constrained = {
        file.parent.relative_to(root).as_posix()
        for file in root.rglob("*.tf")
        if re.search(r"^ +version +=", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert constrained == ({folders.pop("terraform")} if tool == "terraform" else set())
    assert folders == {"uv": "", "pre-commit": ""}


def wrong_commands(text: str) -> list[str]:
    """The calls of the Azure CLI in a README that it does not know, or that lack something."""
    whole = [line for line in shell_lines(text) if line.startswith("az ")]
    inline = [line for line in mentions(text) if line.startswith("az ")]
    return [line for line in [*whole, *inline] if fault(line, whole=True)]


def test_commands_in_readmes_exist(project: tuple[str, Path]) -> None:
    text = (project[1] / "infrastructure" / "README.md").read_text(encoding="utf-8")
    assert wrong_commands(text) == []
    for old, new in ("--name", "--nam"), ("--location REGION", ""), ("stack sub", "stacks sub"):
        assert old not in text or wrong_commands(text.replace(old, new)), new


def terraform_modules() -> list[Path]:
    return [TERRAFORM, *sorted((TERRAFORM / "modules").iterdir())]


@pytest.mark.parametrize("folder", terraform_modules(), ids=lambda folder: folder.name)
def test_every_declared_name_is_used(folder: Path) -> None:
    """Terraform's: a variable, a local value, a resource to which others refer."""
    text = "\n".join(file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.tf")))
    text = re.sub(r"^\s*#.*", "", text, flags=re.MULTILINE)
    locals_ = "\n".join(re.findall(r"^locals \{\n(.*?)^\}", text, re.DOTALL | re.MULTILINE))
    for pattern, use in DECLARED:
        for name in re.findall(pattern, locals_ if use == "local.{}" else text, re.MULTILINE):
            words = use.format(name.replace('" "', "."))
            assert words in LAST or re.search(rf"\b{re.escape(words)}\b", text), f"{words} is not used"


@pytest.mark.parametrize("folder", terraform_modules(), ids=lambda folder: folder.name)
def test_variables_and_outputs_are_described_and_typed(folder: Path) -> None:
    for name in ("variables", "outputs"):
        text = (folder / f"{name}.tf").read_text(encoding="utf-8")
        blocks = re.findall(r'^(variable|output) "(\w+)" \{\n(.*?)^\}', text, re.DOTALL | re.MULTILINE)
        assert blocks
        for kind, block, body in blocks:
            assert re.search(r'^  description = "[^"]+\."$', body, re.MULTILINE), block
            assert kind == "output" or re.search(r"^  type +=", body, re.MULTILINE), block


def test_all_data_are_read() -> None:
    text = "\n".join(file.read_text(encoding="utf-8") for file in TERRAFORM.rglob("*.tf"))
    for file in (Path(name) for name in files(TEMPLATE / SLUG_FOLDER / "infrastructure") - expected.OURS):
        assert f'"${{path.module}}/{file.name}"' in text or file.parent.name == "queries", file
    assert "queries/${each.value.query}.kql" in text
