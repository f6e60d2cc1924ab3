"""Jobs that the workspace starts by itself: created where they are missing, replaced where they changed."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops_runtime import cloud, register, tracking
from mlops_runtime.cloud.assets import Assets, digest
from mlops_runtime.cloud.errors import explained
from mlops_runtime.cloud.jobs import ENDED, fetch_artifacts, overrides
from mlops_runtime.cloud.models import DIGEST, Registered
from mlops_runtime.config import Config, Scalar, read_yaml
from mlops_runtime.errors import Problem

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

WATCH = Path("mlops", "azureml", "monitor", "schedule.yml")
MONITOR = WATCH.with_name("monitor.yml")  # Azure ML's own signals
TRAIN = Path("mlops", "azureml", "train", "schedule.yml")  # where models are trained again by themselves
CONTENT = "content"  # tag: what the schedule was made from


def watch(settings: Config, client: "MLClient", model: Registered, collected: str) -> None:
    """Have what a deployment of this model collects at `collected` compared with what the model was accepted on."""
    values: dict[str, Scalar] = {"model": model.reference, "model_version": model.version, "collected": collected}
    _ensure(client, settings, WATCH, values, {tracking.DIGEST: model.tags.get(DIGEST, "")})


def monitor(settings: Config, client: "MLClient", deployment: str, reference: Path) -> None:
    """Have Azure ML's own signals computed too, if this repository wants that.

    `deployment` is <endpoint>:<deployment>, `reference` the Parquet file of the rows on which the model was accepted.
    """
    file = settings.root / MONITOR
    if not file.is_file():
        return
    table = Assets(client).table(f"{settings.project.name}-reference", reference)
    body = "create_monitor."
    changed: dict[str, Any] = {
        f"{body}monitoring_target.endpoint_deployment_id": f"azureml:{deployment}",
        f"{body}alert_notification.emails": [settings.contacts.owner],
    }
    for name, signal in read_yaml(file)["create_monitor"]["monitoring_signals"].items():
        if name not in settings.monitoring.signals:
            raise Problem(f"{file}: {name} is not in config: add it to monitoring.signals, or remove it here.")
        changed[f"{body}monitoring_signals.{name}.reference_data.input_data.path"] = table
        for kind, metrics in signal["metric_thresholds"].items():
            for metric in metrics:
                where = f"{body}monitoring_signals.{name}.metric_thresholds.{kind}.{metric}"
                changed[where] = settings.monitoring.signals[name].threshold
    _replace(client, file, [], changed, lambda: cloud.load(file, changed))


def train(settings: Config, client: "MLClient") -> None:
    """Have the model trained again on newer data, if this repository wants that."""
    if (settings.root / TRAIN).is_file():
        _ensure(client, settings, TRAIN, dict(settings.training), register.provenance())


def findings(settings: Config, client: "MLClient", folder: Path) -> Path:
    """Download what the newest look at the deployment has found into `folder`; where its metrics.json is."""
    name, jobs = read_yaml(settings.root / WATCH)["name"], started(settings, client, WATCH)
    ended = [job for job in jobs if cloud.word(job.status) == "Completed"]
    if not ended:
        when = read_yaml(settings.root / WATCH)["trigger"]["expression"]
        failed = f"; {len(jobs)} did not complete" if jobs else ""
        raise Problem(f"Nobody has looked yet: no job of {name} has completed{failed}. It runs at {when} (cron, UTC).")
    return fetch_artifacts(client, str(ended[0].name), "watch", "findings", folder)


def started(settings: Config, client: "MLClient", schedule: Path) -> list[Any]:
    """The jobs that a schedule has started, the newest first; none where the repository does not have it."""
    if not (settings.root / schedule).is_file():
        return []
    name = read_yaml(settings.root / schedule)["name"]
    experiment = name if schedule == WATCH else settings.project.name
    with explained(f"To list the jobs of {name}"):
        jobs = [job for job in client.jobs.list(scheduled_job_name=name) if job and job.experiment_name == experiment]
    return sorted(jobs, key=lambda job: str(job.creation_context.created_at), reverse=True)


def train_now(settings: Config, client: "MLClient") -> str:
    """Start the scheduled training before its time, unless it runs already; the name of its job."""
    name = read_yaml(settings.root / TRAIN)["name"]
    running = [job for job in started(settings, client, TRAIN)[:1] if cloud.word(job.status) not in ENDED]
    if running:
        return str(running[0].name)
    with explained(f"To start {name}"):
        return str(client.schedules.trigger(name).job_name)


def _ensure(
    client: "MLClient", settings: Config, schedule: Path, values: dict[str, Scalar], variables: dict[str, str]
) -> None:
    file = settings.root / schedule
    pipeline = file.parent / read_yaml(file)["create_job"]
    changed = overrides(settings, pipeline, values, Assets(client), variables)

    def made() -> Any:
        found = cloud.load(file)
        found.create_job = cloud.load(pipeline, changed)
        return found

    _replace(client, file, [pipeline], changed, made)


def _replace(
    client: "MLClient", file: Path, others: list[Path], changed: dict[str, Any], made: Callable[[], Any]
) -> None:
    """Create the schedule unless one with the same content is there and enabled."""
    from azure.core.exceptions import ResourceNotFoundError

    content = read_yaml(file)
    version = digest(file, *others, *(f"{key}={value}" for key, value in sorted(changed.items())))
    with explained(f"To schedule {content['name']}"):
        try:
            there = client.schedules.get(content["name"])
            if there.is_enabled and (there.tags or {}).get(CONTENT) == version:
                return
        except ResourceNotFoundError:
            pass
        schedule = made()
        schedule.tags = {CONTENT: version}
        client.schedules.begin_create_or_update(schedule).result()
    print(f"Scheduled {content['name']}: {content['trigger']['expression']}")
