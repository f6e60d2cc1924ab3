"""What has happened in an environment, found from what Azure says: the same thing is found again at each look."""

import json
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from mlops_runtime import cloud, infrastructure, promotion, staging, usage
from mlops_runtime.cloud import jobs, logs, models, rest, schedules
from mlops_runtime.cloud.errors import explained
from mlops_runtime.config import Config, read_yaml
from mlops_runtime.happened import Event, event
from mlops_runtime.monitoring import ADVICE

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

ALERTS = "Microsoft.AlertsManagement/alerts?api-version=2023-07-12-preview&monitorCondition=Fired&timeRange=30d"
BUDGETS, BUDGET_VERSION = "Microsoft.Consumption/budgets", "2023-05-01"
SECURITY = ("key_use", "refused_callers")  # alerts that are about more than how well it runs
RECENT = 50  # jobs that are looked at


def find(settings: Config) -> list[Event]:
    """All events of an environment."""
    client = cloud.workspace(settings)
    # A single workspace's estate is that of prod.
    own = settings.environment == "prod" or settings.infrastructure.workspaces == "separate"
    found = [*_alerts(settings), *_budget(settings), *_usage(settings)] if own else []
    if settings.environment == "dev":
        found += [*_candidate(settings, client), *_failed(settings, _trainings(settings, client), client)]
    if settings.environment == "staging":
        started = schedules.started(settings, client, schedules.TRAIN)
        found += [*_untried(settings, client), *_retrained(settings, client), *_failed(settings, started, client)]
    if settings.environment == "prod":
        found += _monitored(settings, client)
    return found


def _candidate(settings: Config, client: "MLClient") -> Iterator[Event]:
    """The newest version that may be promoted, unless it is."""
    name, registry = settings.project.name, cloud.registry(settings)
    for model in models.versions(client, name):
        known = "retired" in model.tags or promotion.DECLINED in model.tags
        if known or promotion.refusals(model.tags, "staging", ["somebody"], 1):
            continue
        copy = models.choose(registry, name, model.registry_version)
        if copy is None or f"{promotion.PROMOTED}staging" not in copy.tags:
            title = f"{name} {model.version} of dev is a candidate for staging"
            yield _model_event("candidate", settings, model, title)
        return  # older ones are out of date


def _untried(settings: Config, client: "MLClient") -> Iterator[Event]:
    """What is promoted to staging and has no verdict: its trial was left, and the next run of it goes on."""
    name = settings.project.name
    model = models.choose(cloud.registry(settings), name, None, **{f"{promotion.PROMOTED}staging": None})
    if model is None or promotion.VERDICT in model.tags:
        return
    trained = models.choose(client, name, None, parent=model.version)
    if trained is None or promotion.VERDICT not in trained.tags:
        title = f"{name} {model.version} is promoted to staging and its trial is not over"
        yield _model_event("candidate", settings, model, title)


def _retrained(settings: Config, client: "MLClient") -> Iterator[Event]:
    model = staging.untried_retraining(client, settings.project.name)
    if model:
        title = f"{model.name} {model.version} of staging was trained again and waits for its trial"
        yield _model_event("retrained", settings, model, title)


def _model_event(kind: str, settings: Config, model: models.Registered, title: str) -> Event:
    """An event about a version, with where that comes from."""
    known = [f"- {key}: {model.tags[key]}" for key in (*promotion.LINEAGE, "git_author") if key in model.tags]
    commit = model.tags.get("git_commit", "")
    return event(kind, settings.environment, model.version, title, known, model.version, commit)


def _trainings(settings: Config, client: "MLClient") -> list[Any]:
    """The newest trainings of the workspace."""
    with explained("To list the jobs"):
        listed = [job for _, job in zip(range(RECENT), client.jobs.list(), strict=False)]
    ours = [job for job in listed if job and job.experiment_name == settings.project.name]
    return sorted(ours, key=lambda job: str(job.creation_context.created_at), reverse=True)


def _failed(settings: Config, started: list[Any], client: "MLClient") -> Iterator[Event]:
    """The newest job that has ended, if it failed."""
    ended = next((job for job in started if cloud.word(job.status) in jobs.ENDED), None)
    if ended is None or cloud.word(ended.status) == "Completed":
        return
    job = jobs.look(client, str(ended.name))
    what = "did not pass its gates" if job.refused else f"ended as {job.status}"
    title = f"Training in {settings.environment} {what}"
    lines = [
        f"Job {job.name}{f', step {job.step}' if job.step else ''}: {ended.studio_url or ''}",
        "",
        *_quoted(job.log),
    ]
    yield event("failed", settings.environment, job.name, title, lines)


def _quoted(text: str) -> list[str]:
    """A log as Markdown shows it unchanged."""
    return [f"    {line}" for line in text.splitlines()]


def _monitored(settings: Config, client: "MLClient") -> Iterator[Event]:
    """What the newest look at what is deployed asks for; nothing while nobody has looked."""
    looks = schedules.started(settings, client, schedules.WATCH)
    yield from _failed(settings, looks, client)
    if not any(cloud.word(job.status) == "Completed" for job in looks):
        return
    folder = settings.root / ".mlops" / f"monitor-{settings.environment}"
    shutil.rmtree(folder, ignore_errors=True)
    found = json.loads((schedules.findings(settings, client, folder) / "metrics.json").read_text(encoding="utf-8"))
    action, version = found["action"], str(found["version"])
    if action == "none":
        return
    labels = find_spec("mlops_runtime.commands.label") is not None
    kind = "retrain" if action == "retrain" else "label" if labels else "failed"
    fired = [f"- {name}: {one['found']}" for name, one in found["signals"].items() if one["status"] == "fired"]
    title = f"{found['model']} {version} in {settings.environment}: {action}"
    yield event(kind, settings.environment, version, title, [ADVICE[action], "", *fired], version)


def _alerts(settings: Config) -> Iterator[Event]:
    """What Azure Monitor sees wrong now, one event for each rule."""
    watched = read_yaml(settings.root / infrastructure.FOLDER / "alerts.yml")
    known = {name.replace("_", "-"): (name, one) for kind in ("logs", "metrics") for name, one in watched[kind].items()}
    rules: dict[str, list[str]] = {}
    for alert in _fired(settings):
        rule = str(alert["alertRule"]).rpartition("/")[2]
        rules.setdefault(rule, []).append(f"- {alert.get('targetResourceName', '')} since {alert['startDateTime']}")
    for rule, lines in sorted(rules.items()):
        short, about = known.get(rule.removeprefix(f"{_names(settings)['alert']}-"), (rule, {}))
        kind = "security" if short in SECURITY else "infrastructure"
        told = ", ".join(about.get("tell", [])).replace("_", " ")
        title = f"{settings.environment}: {about.get('text', rule)}"
        yield event(kind, settings.environment, rule, title, [*sorted(lines), *([f"For {told}."] if told else [])])


def _fired(settings: Config) -> Iterator[dict[str, Any]]:
    url = f"{rest.MANAGEMENT}{_group(settings)}/providers/{ALERTS}"
    while url:
        page = rest.send(url, what="Fired alerts", helps=_helps("Monitoring Reader"))
        for one in page["value"]:
            if one["properties"]["essentials"]["alertState"] != "Closed":  # by a person, who knows of it
                yield one["properties"]["essentials"]
        url = page.get("nextLink") or ""


def _budget(settings: Config) -> Iterator[Event]:
    """The highest tier of the budget that is reached, in each month and year."""
    name = _names(settings)["budget"]
    url = f"{rest.MANAGEMENT}{_group(settings)}/providers/{BUDGETS}/{name}?api-version={BUDGET_VERSION}"
    try:
        budget = rest.send(url, what="The budget", helps=_helps("Reader"))["properties"]
    except rest.NotThere:
        return  # the estate is not there yet
    amount, tiers = float(budget["amount"]), settings.estate.budget
    for what, limits, key in (("spent", tiers.spent, "currentSpend"), ("forecast", tiers.forecast, "forecastSpend")):
        share = 100 * float((budget.get(key) or {}).get("amount", 0)) / amount
        reached = [limit for limit in limits if share >= limit]
        if reached:
            title = f"{settings.environment}: {share:.0f} % of the month's budget is {what}"
            review = "Review what is running, and its size, before the month ends." if what == "forecast" else ""
            about = f"{what}-{max(reached)}-{_month()}"
            yield event("usage", settings.environment, about, title, [f"Budget {name}: {amount:g}.", review])


def _month() -> str:
    import datetime

    return f"{datetime.datetime.now(datetime.UTC):%Y-%m}"


def _usage(settings: Config) -> Iterator[Event]:
    """What is not used any more, or used although it is only in development."""
    for text, found in usage.findings(settings, lambda query, days: logs.ask(settings, query, days)):
        if found:
            about = "-".join(text.lower().replace(";", "").replace(",", "").split()[:6])
            yield event("usage", settings.environment, about, f"{settings.environment}: {text}", found)


def _group(settings: Config) -> str:
    return f"/subscriptions/{settings.azure.subscription}/resourceGroups/{settings.azure.resource_group}"


def _names(settings: Config) -> dict[str, str]:
    suffix, existing = settings.infrastructure.name_suffix, settings.estate.existing
    return infrastructure.names(settings.root, settings.environment, settings.project.name, suffix, existing)


def _helps(role: str) -> str:
    return f"Who runs this needs {role} there; infrastructure/rbac.yml says who has it."
