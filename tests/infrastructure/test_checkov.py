"""The estate that Bicep and ARM make keeps checkov's rules, but for those that checkov.yml argues against.

checkov's own readers know older versions of both languages, so that it is given what would be deployed.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..conftest import SLUG_FOLDER, TEMPLATE, Environment
from .bicep import Resource
from .conftest import ARM_FILE, PRIVATE, Deploy, Estate
from .expected import ENVIRONMENTS, read
from .test_bicep import deploy

pytestmark = pytest.mark.full
EXCEPTIONS = read("checkov", TEMPLATE / "ci" / SLUG_FOLDER / "infrastructure")
Ask = Callable[[dict[str, list[Resource]]], set[str]]
Made = Callable[..., dict[str, list[Resource]]]


@pytest.fixture
def ask(checkov: Environment, tmp_path: Path) -> Ask:
    """The rules that the resources of some environments break."""

    def broken(estates: dict[str, list[Resource]]) -> set[str]:
        folder = tmp_path / f"templates-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        for name, resources in estates.items():
            (folder / f"{name}.json").write_text(json.dumps(template(resources)), encoding="utf-8")
        command = ("-m", "checkov.main", "-d", folder, "--framework", "arm", "--output", "json", "--quiet", "--compact")
        done = checkov.run(*command, cwd=tmp_path, check=False)
        report = json.loads(done.stdout)
        assert report["summary"]["parsing_errors"] == 0
        assert report["summary"]["passed"] > 10
        return {one["check_id"] for one in report["results"]["failed_checks"]}

    return broken


def template(resources: list[Resource]) -> dict[str, Any]:
    """Resources as an ARM template without parameters."""
    return {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "resources": [
            {"type": one.type, "apiVersion": one.version, **one.body}
            for one in resources
            if one.type != "Microsoft.Authorization/roleAssignments"
        ],
    }


@pytest.fixture(params=["bicep", "arm"])
def made(request: pytest.FixtureRequest, estate: Estate, arm_project: Estate, arm_deploy: Deploy) -> Made:
    """A function from changes to config to what each environment gets, and a place for a fault."""

    def make(target: str = "kubernetes", fault: bool = False, **changes: Any) -> dict[str, list[Resource]]:
        root = (arm_project if request.param == "arm" else estate)("cv", target, **changes)
        file = root / {"arm": ARM_FILE, "bicep": "infrastructure/modules/storage.bicep"}[request.param]
        text = file.read_text(encoding="utf-8")
        assert "TLS1_2" in text
        file.write_text(text.replace("TLS1_2", "TLS1_0") if fault else text, encoding="utf-8")
        if request.param == "arm":
            return {name: arm_deploy(root, name).resources for name in ENVIRONMENTS}
        return {name: deploy(root, name) for name in ENVIRONMENTS}

    return make


def test_every_rule_is_kept_or_argued(made: Made, ask: Ask) -> None:
    assert ask(made()) == {*EXCEPTIONS["always"], *EXCEPTIONS["public"]}, "or an exception is not needed any more"


def test_private_endpoints_keep_the_rest(made: Made, ask: Ask) -> None:
    private = {f"{name}.infrastructure.private_endpoints": PRIVATE for name in ENVIRONMENTS}
    assert ask(made(**private)) <= {*EXCEPTIONS["always"]}


def test_a_broken_rule_is_seen(made: Made, ask: Ask) -> None:
    assert "CKV_AZURE_44" in ask(made("online", fault=True))
