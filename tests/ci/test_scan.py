"""`mlops scan`: what is found ends the release, is recorded, told, barred and removed."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mlops_runtime import cloud, config, programs, promotion, scan
from mlops_runtime.cloud import models, rest
from mlops_runtime.cloud.models import Registered
from mlops_runtime.errors import Problem

from ..bootstrap.conftest import World

Mlops = Callable[..., tuple[int, str]]
CLEAN = {"dependencies": [{"name": "numpy", "version": "2.1", "vulns": []}], "fixes": []}
BAD = {"name": "jinja2", "version": "3.1.2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.1.6"], "aliases": []}]}
IMAGE = "crtaxi.azurecr.io/azureml/azureml_abc@sha256:0123"
HOLE = {"VulnerabilityID": "CVE-2030-1", "PkgName": "openssl", "InstalledVersion": "3.0", "FixedVersion": "3.1"}


@pytest.fixture
def gate(world: World, audits: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The gate with clean packages and a clean image in the registry of containers, and a version that is next."""
    for part in ("mlops", "src"):
        (world.root / part).mkdir()
    import shutil

    source = SimpleNamespace(ran=[], holes=[], tags={}, asked=[], world=world, audits=audits)
    source.version = Registered("taxi-fares", "7", {models.DIGEST: "7" * 64}, "id")
    audits["pip-audit"] = CLEAN
    world.state["images"] = [IMAGE.replace(".azurecr.io", "")]
    shutil.rmtree(world.root / "src")

    def run(command: list[str], root: Path, codes: Any = (0,), **variables: str) -> tuple[int, str, str]:
        source.ran.append((command, variables))
        if command[0] == "uv":
            Path(command[-1]).write_text("numpy==2.1\n", encoding="utf-8")
        report = {"Results": [{"Vulnerabilities": source.holes}, {"Target": "nothing"}]}
        return 0, json.dumps(report) if "image" in command else "", ""

    def send(url: str, content: Any = None, **_: Any) -> Any:
        source.asked.append((url, content))
        address = {"address": "crtaxi.azurecr.io"}
        return {"imageExistsInRegistry": True, "dockerImage": {"name": IMAGE.partition("/")[2], "registry": address}}

    def tag(client: Any, model: Registered, tags: dict[str, str]) -> None:
        source.tags |= tags

    monkeypatch.setattr(programs, "run", run)
    monkeypatch.setattr(rest, "send", send)
    monkeypatch.setattr(cloud, "registry", lambda settings: None)
    monkeypatch.setattr(promotion, "waiting", lambda *_: (source.version, None, ""))
    monkeypatch.setattr(models, "choose", lambda *_, **__: source.version)
    monkeypatch.setattr(models, "tag", tag)
    monkeypatch.setattr(scan, "_reference", lambda root, name: f"azureml://registries/{name}/environments/e/versions/1")
    return source


def record(gate: SimpleNamespace) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((gate.world.root / scan.RECORD).read_text(encoding="utf-8"))
    return found


def test_nothing_found(gate: SimpleNamespace, mlops: Mlops) -> None:
    code, said = mlops("scan", "--report", "scan.json")
    assert code == 0, said
    assert json.loads(Path("scan.json").read_text(encoding="utf-8")) == []
    assert record(gate)["decision"] == "passed"
    assert not any("image" in command for command, _ in gate.ran)
    code, said = mlops("scan", "--report", "scan.json", "--env", "prod")
    assert (code, gate.tags["scan"]) == (0, "passed"), said
    assert gate.asked[0][1] == {"assetId": f"azureml://registries/{registry(gate)}/environments/e/versions/1"}
    assert gate.world.state["images"], "it stays"


def registry(gate: SimpleNamespace) -> str:
    return str(config.read_yaml(gate.world.root / "config/shared.yml")["registry"]["name"])


def test_a_vulnerable_package_is_told(gate: SimpleNamespace, mlops: Mlops) -> None:
    gate.audits["pip-audit"] = {"dependencies": [*CLEAN["dependencies"], BAD], "fixes": []}
    code, said = mlops("scan", "--report", "scan.json")
    assert (code, "PYSEC-1: jinja2 3.1.2 (packages), fixed in 3.1.6" in said) == (1, True), said
    (event,) = json.loads(Path("scan.json").read_text(encoding="utf-8"))
    assert (event["key"], event["kind"]) == ("dev-security-packages", "security")
    assert not gate.tags, "nothing was to be deployed"


def test_a_vulnerable_image_is_barred_and_removed(gate: SimpleNamespace, mlops: Mlops) -> None:
    gate.holes = [HOLE]
    code, said = mlops("scan", "--report", "scan.json", "--env", "prod")
    assert (code, "CVE-2030-1: openssl 3.0 (image)" in said) == (1, True), said
    assert gate.tags["scan"] == "failed"
    assert gate.world.state["images"] == []
    assert (record(gate)["image"], record(gate)["image_removed"], record(gate)["model"]) == (
        IMAGE,
        "yes",
        "taxi-fares 7",
    )
    assert record(gate)["findings"] == [
        {"where": "image", "id": "CVE-2030-1", "package": "openssl", "version": "3.0", "fixed": "3.1"}
    ]
    (event,) = json.loads(Path("scan.json").read_text(encoding="utf-8"))
    assert "Nothing was deployed to prod." in event["body"]


def test_the_token_is_in_no_command(gate: SimpleNamespace, mlops: Mlops) -> None:
    mlops("scan", "--report", "scan.json", "--env", "prod")
    ((command, variables),) = [one for one in gate.ran if "image" in one[0]]
    assert variables["TRIVY_PASSWORD"] == "token"
    assert "token" not in command
    assert any("@sha256:" in word for word in command[:-1]), "the scanner itself is pinned"


def test_an_image_that_cannot_be_removed_is_still_barred(gate: SimpleNamespace, mlops: Mlops) -> None:
    gate.holes, gate.world.state["denied"] = [HOLE], ["acr repository delete"]
    code, said = mlops("scan", "--report", "scan.json", "--env", "prod")
    assert (code, gate.tags["scan"]) == (1, "failed"), said
    assert record(gate)["image_removed"].startswith("no: ERROR: (AuthorizationFailed)")
    assert "removed: no:" in json.loads(Path("scan.json").read_text(encoding="utf-8"))[0]["body"]


@pytest.mark.parametrize(("until", "code"), [("9999-01-01 not reachable", 0), ("2020-01-01 was thought so", 1)])
def test_what_is_accepted_is_so_for_a_time(gate: SimpleNamespace, mlops: Mlops, until: str, code: int) -> None:
    gate.audits["pip-audit"] = {"dependencies": [BAD], "fixes": []}
    file = gate.world.root / "config/shared.yml"
    text = file.read_text(encoding="utf-8")
    assert "accepted_vulnerabilities: {}" in text
    text = text.replace("accepted_vulnerabilities: {}", f'accepted_vulnerabilities: {{PYSEC-1: "{until}"}}')
    file.write_text(text, encoding="utf-8")
    assert mlops("scan", "--report", "scan.json")[0] == code
    file.write_text(text.replace(until, "some day"), encoding="utf-8")
    done, said = mlops("scan", "--report", "scan.json")
    assert (done, "accepted_vulnerabilities.PYSEC-1" in said) == (2, True), said


def test_a_scanner_that_knows_nothing_has_found_nothing(gate: SimpleNamespace, mlops: Mlops) -> None:
    """Without a connection pip-audit skips each package and says that all is well."""
    gate.audits["pip-audit"] = {"dependencies": [{"name": "numpy", "skip_reason": "not found on PyPI"}], "fixes": []}
    code, said = mlops("scan", "--report", "scan.json")
    assert (code, "could look up none of the packages" in said) == (2, True), said
    assert not Path("scan.json").exists()


def test_what_failed_its_scan_goes_nowhere() -> None:
    tags = {"gates": "passed", "verdict": "passed", **dict.fromkeys(promotion.LINEAGE, "x")}
    assert promotion.refusals(tags, "prod", ["ben", "cat"], 2) == []
    (reason,) = promotion.refusals({**tags, "scan": "failed"}, "prod", ["ben", "cat"], 2)
    assert "known vulnerabilities" in reason


def test_an_image_that_is_not_built(gate: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "send", lambda *_, **__: {"imageExistsInRegistry": False, "dockerImage": None})
    with pytest.raises(Problem, match="is not built"):
        scan._image(config.load("prod"))
