"""The security gate: packages by pip-audit, the image by trivy; what fails is recorded, barred and removed.

trivy and not Microsoft Defender, which is off by default, is paid for by the subscription, and reports after hours.
"""

import datetime
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_runtime import config, happened, programs, promotion, register, release
from mlops_runtime.bootstrap.tools import az
from mlops_runtime.cloud import models, rest
from mlops_runtime.errors import Problem
from mlops_runtime.files import write_json

if TYPE_CHECKING:
    from mlops_runtime.config import Config

RECORD = Path(".mlops", "scan", "audit.json")
TRIVY = (  # where there is no trivy, docker fetches this one
    "docker.io/aquasec/trivy:0.74.0@sha256:62b1e65e8869bc4b4c6aa4fa2b21595256c7c2f6018a9d9ad61caf87187c1969"
)
LOOKED_FOR = ("--scanners", "vuln", "--severity", "HIGH,CRITICAL", "--ignore-unfixed")
EXPORT = ("--quiet", "--format", "requirements-txt", "--no-hashes", "--no-emit-project", "--no-header", "--no-annotate")
STUDIO = "https://ml.azure.com/api"
TOKEN_USER = "00000000-0000-0000-0000-000000000000"  # nosec B105 - says that a token comes
Finding = dict[str, str]  # where, id, package, version, fixed


def scan(report: Path, environment: str | None) -> bool:
    """Scan, record and, on findings, bar the version and remove the image; True when nothing was found."""
    root = config.find_root()
    accepted = _accepted(root)
    findings = [one for one in _packages(root) if one["id"] not in accepted]
    settings = config.load(environment, root) if environment else None
    image, removed, barred = "", "", ""
    if settings:
        image = _image(settings)
        findings += [one for one in _in_image(root, image) if one["id"] not in accepted]
        barred = _tag(settings, "failed" if findings else "passed")
        removed = _remove(image) if findings else ""
    record = {
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": register.provenance()[register.COMMIT],
        "environment": environment or "",
        "image": image,
        "decision": "refused" if findings else "passed",
        "findings": findings,
        "accepted": accepted,
        "model": barred,
        "image_removed": removed,
    }
    (root / RECORD).parent.mkdir(parents=True, exist_ok=True)
    write_json(root / RECORD, record)
    happened.write(report, [_event(record)] if findings else [])
    for one in findings:
        print(_line(one))
    print(f"{len(findings)} known vulnerabilities. {root / RECORD}")
    return not findings


def _accepted(root: Path) -> dict[str, str]:
    """Advisories that the team lives with: id → until when and why; one whose time is over counts again."""
    today = datetime.date.today().isoformat()
    accepted = config.load_shared(root / "config" / "shared.yml").accepted_vulnerabilities
    return {name: why for name, why in accepted.items() if why[:10] >= today}


def _packages(root: Path) -> Iterator[Finding]:
    """What pip-audit knows of the exact versions that are installed for any purpose."""
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "requirements.txt")
        programs.run(["uv", "export", *EXPORT, "--all-extras", "--all-groups", "--output-file", str(file)], root)
        words = ("--requirement", str(file), "--no-deps", "--disable-pip", "--format", "json")
        said = programs.tool(programs.PIP_AUDIT, *words, "--progress-spinner", "off", root=root, codes=(0, 1))
    packages = json.loads(said)["dependencies"]
    unknown = [one["name"] for one in packages if "skip_reason" in one]
    if unknown:
        print(f"Not known to PyPI, and not looked at: {', '.join(unknown)}")
    if len(unknown) == len(packages):
        raise Problem("pip-audit could look up none of the packages: it needs https://pypi.org.")
    for one in packages:
        for found in one.get("vulns", []):
            fixed = ", ".join(found["fix_versions"])
            about = {"package": one["name"], "version": one["version"], "fixed": fixed}
            yield {"where": "packages", "id": found["id"], **about}


def _image(settings: "Config") -> str:
    """The image of what would be deployed, as Azure ML has built it for the registry or the workspace."""
    own: Any = settings.deployment
    shared = settings.environment != "dev" and own.assets == "registry"
    name = settings.registry.name if shared else ""
    reference = _reference(settings.root, name)
    where: Any = settings.registry if shared else settings.azure
    service = f"{STUDIO}/{where.location}/environment/v1.0"
    helps = "Azure ML builds it at the trial in staging; `mlops stage` comes first."
    told: dict[str, Any] = {"what": f"The image of {reference}", "helps": helps, "audience": rest.MANAGEMENT}
    if shared:
        said = rest.send(f"{service}/consume/imageDetails", {"assetId": reference}, **told)
    else:
        _, environment, version = reference.split(":")
        group = f"subscriptions/{where.subscription}/resourceGroups/{where.resource_group}"
        workspace = f"{group}/providers/Microsoft.MachineLearningServices/workspaces/{where.workspace}"
        place = f"{workspace}/environments/{environment}/versions/{version}/image?secrets=false"
        said = rest.send(f"{service}/{place}", **told)
    if not said["imageExistsInRegistry"]:
        raise Problem(f"{told['what']} is not built. {helps}")
    image, address = said["dockerImage"]["name"], said["dockerImage"]["registry"]["address"]
    return str(image if image.startswith(f"{address}/") else f"{address}/{image}")


def _reference(root: Path, registry: str) -> str:
    """The environment of deployments, as the registry or, without its name, the workspace has it."""
    from mlops_runtime.cloud.assets import Assets

    return Assets(None, registry).environment(root / release.IMAGE)


def _in_image(root: Path, image: str) -> Iterator[Finding]:
    """What trivy knows of an image's system and packages, of what can be helped."""
    host = image.partition("/")[0]
    token = az("acr", "login", "--name", host.partition(".")[0], "--expose-token")["accessToken"]
    login = {"TRIVY_USERNAME": TOKEN_USER, "TRIVY_PASSWORD": token}  # not among the words, which others can see
    given = [word for name in login for word in ("--env", name)]
    trivy = ["trivy"] if shutil.which("trivy") else ["docker", "run", "--rm", *given, TRIVY]
    words = [*trivy, "image", "--quiet", "--format", "json", *LOOKED_FOR, image]
    report = json.loads(programs.run(words, root, **login)[1])
    for part in report.get("Results") or []:
        for found in part.get("Vulnerabilities") or []:
            about = {"package": found["PkgName"], "version": found["InstalledVersion"]}
            yield {"where": "image", "id": found["VulnerabilityID"], **about, "fixed": found.get("FixedVersion", "")}


def _tag(settings: "Config", found: str) -> str:
    """Write what was found to the version that would be deployed next, where the registry has it; that version."""
    from mlops_runtime import cloud

    if settings.environment == "dev":
        return ""
    registry = cloud.registry(settings)
    model = promotion.waiting(settings, registry, None)[0]
    copy = models.choose(registry, model.name, model.registry_version)
    if copy is None:
        return ""  # it never gets there: the release ends here
    when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    models.tag(registry, copy, {promotion.SCAN: found, "scanned": when})
    return f"{copy.name} {copy.version}"


def _remove(image: str) -> str:
    """Take the image away, so that nobody starts it; what came of that."""
    host, _, inside = image.partition("/")
    by_name = "@" in inside or ":" in inside
    which = ("--image", inside) if by_name else ("--repository", inside)
    try:
        az("acr", "repository", "delete", "--name", host.partition(".")[0], *which, "--yes")
    except Problem as problem:  # the version is barred all the same, and people are told
        return f"no: {problem}"
    return "yes"


def _line(one: Finding) -> str:
    fix = f"fixed in {one['fixed']}" if one["fixed"] else "not fixed yet"
    return f"- {one['id']}: {one['package']} {one['version']} ({one['where']}), {fix}"


def _event(record: dict[str, Any]) -> happened.Event:
    """What people are told: the same findings are told once."""
    findings: list[Finding] = record["findings"]
    where = record["environment"] or "dev"
    count = f"{len(findings)} known vulnerabilit{'y' if len(findings) == 1 else 'ies'}"
    barred = f"Nothing was deployed to {where}." if record["image"] else "Found in the locked packages."
    image = [f"Image {record['image']}; removed: {record['image_removed']}."] if record["image"] else []
    about = "image" if record["image"] else "packages"
    lines = [barred, *image, "", *map(_line, findings)]
    return happened.event("security", where, about, f"{count} in what would run in {where}", lines)
