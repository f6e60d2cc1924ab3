"""The trial of a candidate in staging, on production data: what is tried, and the verdict as record and page."""

import importlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_runtime import cloud, config, register
from mlops_runtime.cloud import jobs, models, schedules
from mlops_runtime.cloud.assets import Assets
from mlops_runtime.errors import Problem
from mlops_runtime.gates import Gate, Verdict
from mlops_runtime.promotion import PROMOTED, VERDICT, require_commit
from mlops_runtime.report import Report
from mlops_runtime.tracking import COPIED

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

RECORD, PAGE = "verdict.json", "verdict.html"
TRAIN = Path("mlops", "azureml", "train", "pipeline.yml")
EVALUATE = Path("mlops", "azureml", "stage", "pipeline.yml")
EVALUATION = "evaluation"  # the folder of what the evaluate step found
FOUND = "model and bias on production data"
DATA = "prepare"  # the step that holds the data against the contract
BROKEN = ("ContractError: ", "mlops_runtime.errors.Problem: ")  # what its log says then


def write(folder: Path, facts: Mapping[str, object], checks: Mapping[str, Sequence[Gate]]) -> bool:
    """Write the record and the page into `folder`; True when every check passed.

    `facts` say what was tried and where; `checks` is kind of check → its results. A kind without results fails: what
    was not tried was not shown.
    """
    passed = all(gates and all(gate.passed for gate in gates) for gates in checks.values())
    folder.mkdir(parents=True, exist_ok=True)
    record = {
        "passed": passed,
        **facts,
        "checks": {kind: [asdict(gate) for gate in gates] for kind, gates in checks.items()},
    }
    (folder / RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8", newline="\n")
    verdict = "It may go to production when people approve." if passed else "It stays in staging."
    report = Report("Trial in staging", verdict, facts)
    for kind, gates in checks.items():
        report.section(kind.capitalize(), "" if gates else "Not tried, which counts as failed.")
        report.checks([(gate.name, gate.passed, gate.reason) for gate in gates])
    report.write(folder / PAGE)
    return passed


def stage(version: str | None, *, retrained: bool = False, patience: float | None = None) -> bool | None:
    """The whole trial; True when the verdict is yes. The verdict becomes a tag of what may go to production.

    `version` is the candidate's in the registry, by default the newest that is promoted to staging; `retrained` takes
    instead the newest that the scheduled training has registered on production data. None when the job is not over
    after `patience` minutes: the next trial of the same candidate goes on with it.
    """
    settings = config.load("staging")
    workspace = cloud.workspace(settings)
    tried = _retrained(settings, workspace) if retrained else _candidate(settings, workspace, version, patience)
    if tried is None:
        return None
    passed = write(tried.folder, {**tried.facts, "tried": tried.model.version}, tried.checks)
    tags = {VERDICT: "passed" if passed else "failed", "stage_job": str(tried.facts["job"])}
    models.tag(tried.client, tried.model, tags)
    for kind, gates in tried.checks.items():
        for gate in gates:
            print(f"  {'ok' if gate.passed else 'NO':<3} {kind}: {gate.reason}")
    if passed:
        schedules.train(settings, workspace)
    said = f"{tried.model.name} {tried.model.version}"
    print(f"{'Passed' if passed else 'Failed'}: {said}. {tried.folder / PAGE}")
    return passed


@dataclass(frozen=True)
class _Tried:
    """What was tried, where it is registered, and what was found."""

    model: models.Registered
    client: "MLClient"
    facts: Mapping[str, object]
    checks: dict[str, Sequence[Gate]]
    folder: Path  # for the record and the page


def _candidate(
    settings: config.Config, workspace: "MLClient", version: str | None, patience: float | None
) -> _Tried | None:
    """Try what was promoted to staging: by training it again, or by evaluating it, on production data."""
    name, registry = settings.project.name, cloud.registry(settings)
    candidate = models.choose(registry, name, version, **{f"{PROMOTED}staging": None})
    if candidate is None:
        which = f"version {version}" if version else "version that is promoted to staging"
        raise Problem(f"The registry {settings.registry.name} has no {which} of {name}: run `mlops promote` first.")
    require_commit(candidate)
    job = _job(settings, workspace, candidate, patience)
    if not job.over:
        print(f"{job.name} is not over: run the same command again, which goes on with it.")
        return None
    subject, client = candidate, registry
    checks: dict[str, Sequence[Gate]]
    bad_data = job.step == DATA and any(word in job.log for word in BROKEN)  # and not a quota, a permission or an image
    if job.refused or bad_data:
        checks = {"data" if bad_data else "model": [Gate(job.step, False, None, 0.0, job.log)]}
    elif job.status != "Completed":
        raise Problem(f"The job {job.name} ended as {job.status} in the step {job.step or 'unknown'}:\n{job.log}")
    else:
        if settings.staging.retrain:
            trained = models.choose(workspace, name, None, parent=candidate.version)
            if trained is None:
                raise Problem(f"{job.name} registered no version of {name} whose parent is {candidate.version}.")
            subject, client = trained, workspace
        with tempfile.TemporaryDirectory() as scratch:
            folder = jobs.fetch_artifacts(workspace, job.name, "evaluate", EVALUATION, Path(scratch))
            checks = {FOUND: Verdict.read(folder / "verdict.json").gates}
        checks |= _trial(settings, subject)
    facts = {"model": name, "candidate": candidate.version, "job": job.name}
    return _Tried(subject, client, facts, checks, settings.root / ".mlops" / "stage" / candidate.version)


def untried_retraining(workspace: "MLClient", name: str) -> models.Registered | None:
    """The newest version that the scheduled training has registered, unless it or a later one was tried."""
    for model in models.versions(workspace, name):
        if VERDICT in model.tags:  # older ones are out of date
            return None
        if model.tags.get("gates") == "passed" and not {"parent", "retired", COPIED} & model.tags.keys():
            return model
    return None


def _retrained(settings: config.Config, workspace: "MLClient") -> _Tried:
    """Try what the scheduled training has registered: it has been evaluated on production data already."""
    releases = importlib.import_module("mlops_runtime.cloud.releases")
    name, untried = settings.project.name, untried_retraining(workspace, settings.project.name)
    if untried is None:
        raise Problem(f"The workspace of staging has no version of {name} from scheduled training that is untried.")
    require_commit(untried)
    with tempfile.TemporaryDirectory() as scratch:
        folder = releases.fetch(settings, untried, Path(scratch))
        checks: dict[str, Sequence[Gate]] = {FOUND: Verdict.read(folder / EVALUATION / "verdict.json").gates}
    checks |= _trial(settings, untried)
    facts = {"model": name, "candidate": untried.version, "job": "scheduled training"}
    return _Tried(
        untried, workspace, facts, checks, settings.root / ".mlops" / "stage" / f"retrained-{untried.version}"
    )


def _trial(settings: config.Config, model: models.Registered) -> dict[str, Sequence[Gate]]:
    """What the target finds when the model is deployed and put under load."""
    found: dict[str, Sequence[Gate]] = importlib.import_module("mlops_runtime.target").trial(settings, model)
    return found


def _job(
    settings: config.Config, workspace: "MLClient", candidate: models.Registered, patience: float | None
) -> jobs.Ended:
    """The trial's job, a new one or the one that an interrupted trial had sent: over, or as it is after `patience`."""
    file = settings.root / (TRAIN if settings.staging.retrain else EVALUATE)
    job, sent = jobs.unfinished(workspace, f"stage-{settings.project.name}-{candidate.version}")
    if not sent:
        values: dict[str, config.Scalar] = dict(settings.training)
        if not settings.staging.retrain:
            values = {name: values[name] for name in values if name in config.read_yaml(file)["inputs"]}
            values["model"] = candidate.reference
        variables = {**register.provenance(), register.PARENT: candidate.version}
        changed = jobs.overrides(settings, file, values, Assets(workspace), variables)
        print(f"Submitted {jobs.submit(workspace, file, changed, {'candidate': candidate.version}, job).studio_url}")
    return jobs.wait(workspace, job, patience)
