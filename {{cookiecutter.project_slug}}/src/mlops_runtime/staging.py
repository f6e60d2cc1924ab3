"""The trial of a candidate in staging, on production data: what is tried, and the verdict as record and page."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_runtime import cloud, config, register, target
from mlops_runtime.cloud import jobs, models, schedules
from mlops_runtime.cloud.assets import Assets
from mlops_runtime.errors import Problem
from mlops_runtime.gates import Gate, Verdict
from mlops_runtime.promotion import PROMOTED, VERDICT
from mlops_runtime.report import Report

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

RECORD, PAGE = "verdict.json", "verdict.html"
TRAIN = Path("mlops", "azureml", "train", "pipeline.yml")
EVALUATE = Path("mlops", "azureml", "stage", "pipeline.yml")
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


def stage(version: str | None) -> bool:
    """The whole trial; True when the verdict is yes. The verdict becomes a tag of what may go to production.

    `version` is the candidate's in the registry, by default the newest that is promoted to staging.
    """
    settings = config.load("staging")
    name = settings.project.name
    registry, workspace = cloud.registry(settings), cloud.workspace(settings)
    candidate = models.choose(registry, name, version, **{f"{PROMOTED}staging": None})
    if candidate is None:
        which = f"version {version}" if version else "version that is promoted to staging"
        raise Problem(f"The registry {settings.registry.name} has no {which} of {name}: run `mlops promote` first.")
    job = _job(settings, workspace, candidate)
    facts = {"model": name, "candidate": candidate.version, "job": job.name}
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
        checks = {"model and bias on production data": _gates(workspace, job.name)}
        checks |= target.trial(settings, subject)
    folder = settings.root / ".mlops" / "stage" / candidate.version
    passed = write(folder, {**facts, "tried": subject.version}, checks)
    models.tag(client, subject, {VERDICT: "passed" if passed else "failed", "stage_job": job.name})
    for kind, gates in checks.items():
        for gate in gates:
            print(f"  {'ok' if gate.passed else 'NO':<3} {kind}: {gate.reason}")
    if passed:
        schedules.train(settings, workspace)
    print(f"{'Passed' if passed else 'Failed'}: {name} {subject.version}. {folder / PAGE}")
    return passed


def _job(settings: config.Config, workspace: "MLClient", candidate: models.Registered) -> jobs.Ended:
    """The trial's job, over: a new one, or the one that an interrupted trial had sent."""
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
    return jobs.wait(workspace, job)


def _gates(workspace: "MLClient", job: str) -> list[Gate]:
    """What the evaluate step found on production data."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = jobs.fetch_artifacts(workspace, job, "evaluate", "evaluation", Path(scratch))
        return Verdict.read(folder / "verdict.json").gates
