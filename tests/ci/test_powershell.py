"""The PowerShell scripts: read by a grammar of the language, and their calls against what the modules publish."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ..conftest import SLUG_FOLDER, TEMPLATE, install

HERE = Path(__file__).parent
SCRIPTS = {path.name: path for path in (TEMPLATE / "ci" / SLUG_FOLDER / "infrastructure").glob("*.ps1")}
PUBLISHED = json.loads((HERE / "powershell.json").read_text(encoding="utf-8"))
Read = Callable[[str], Any]


@pytest.fixture(scope="session")
def read(shared: Path) -> Read:
    """What a script calls."""
    tools = install(shared / "powershell", ["tree-sitter>=0.24", "tree-sitter-powershell==0.26.4"])

    def run(text: str) -> Any:
        command = [tools.python, HERE / "powershell_read.py"]
        done = subprocess.run(command, input=text, capture_output=True, check=True, encoding="utf-8")
        return json.loads(done.stdout)

    return run


def faults(found: Any) -> list[str]:
    """What is wrong with the calls of a script."""
    wrong = ["no PowerShell"] if found["wrong"] else []
    for name, pairs in found["calls"]:
        if name == "az":  # not PowerShell
            continue
        known = PUBLISHED["commands"].get(name)
        if known is None:
            wrong.append(f"{name} is not known")
            continue
        for parameter, value in pairs:
            if parameter not in known and parameter not in PUBLISHED["common"]:
                wrong.append(f"{name} has no -{parameter}")
            elif value and known.get(parameter) and value not in known[parameter]:
                wrong.append(f"{name} -{parameter} takes no {value}")
    return wrong


@pytest.mark.full
@pytest.mark.parametrize("name", SCRIPTS)
def test_calls_are_those_that_are_published(name: str, read: Read) -> None:
    found = read(SCRIPTS[name].read_text(encoding="utf-8"))
    assert faults(found) == []
    called = {command for command, _ in found["calls"]}
    wanted = {
        "psrule.ps1": {"Assert-PSRule"},
        "policy-as-code.ps1": {"Build-DeploymentPlans", "Deploy-PolicyPlan", "Deploy-RolesPlan", "Connect-AzAccount"},
    }
    assert called >= wanted[name]
    installed = {
        dict(pairs)["Name"]: dict(pairs)["Version"] for name, pairs in found["calls"] if name.startswith("Inst")
    }
    assert installed
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in installed.values())
    for command, pairs in found["calls"]:
        if command == "Import-Module":
            assert installed[dict(pairs)["Name"]] == dict(pairs)["RequiredVersion"]


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("psrule.ps1", "-OutputFormat", "-OutFormat", "Assert-PSRule has no -OutFormat"),
        ("psrule.ps1", "'Sarif'", "'Html'", "takes no Html"),
        ("psrule.ps1", "Tee-Object", "Tee-File", "Tee-File is not known"),
        ("psrule.ps1", "if ($Gate) {", "if ($Gate)", "no PowerShell"),
        ("policy-as-code.ps1", "-OutputFolder", "-InputFolder", "Build-DeploymentPlans has no -InputFolder"),
        ("policy-as-code.ps1", "-AccessToken", "-Token", "Connect-AzAccount has no -Token"),
    ],
)
def test_a_planted_fault_is_found(name: str, old: str, new: str, said: str, read: Read) -> None:
    text = SCRIPTS[name].read_text(encoding="utf-8")
    assert old in text
    assert any(said in one for one in faults(read(text.replace(old, new, 1))))


@pytest.mark.parametrize("name", SCRIPTS)
def test_errors_end_the_script(name: str) -> None:
    text = SCRIPTS[name].read_text(encoding="utf-8")
    assert "\n$ErrorActionPreference = 'Stop'\n" in text
    assert "SilentlyContinue" not in text


def test_a_token_stays_in_the_process() -> None:
    text = SCRIPTS["policy-as-code.ps1"].read_text(encoding="utf-8")
    assert "-Scope 'Process'" in text
    assert text.count("$token") == 2  # taken, and handed on
    assert "Write-" not in text


@pytest.mark.parametrize("tool", ["bicep", "arm", "terraform"])
def test_psrule_reads_what_there_is(tool: str) -> None:
    folder = TEMPLATE / "iac" / tool / SLUG_FOLDER / "infrastructure"
    if tool == "terraform":
        assert not (folder / "ps-rule.yaml").exists()
        return
    options = yaml.safe_load((folder / "ps-rule.yaml").read_text(encoding="utf-8"))
    settings = options["configuration"]
    if tool == "arm":
        assert settings == {"AZURE_PARAMETER_FILE_EXPANSION": True}
        return
    assert settings["AZURE_BICEP_FILE_EXPANSION"] is True
    declared = re.findall(r"(?m)^param (\w+)", (folder / "main.bicep").read_text(encoding="utf-8"))
    assert declared == list(settings["AZURE_PARAMETER_DEFAULTS"])
    (modules,) = options["input"]["pathIgnore"]
    assert (folder / modules).is_dir()
