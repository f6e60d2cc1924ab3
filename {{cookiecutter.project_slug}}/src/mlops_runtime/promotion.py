"""A model goes on to the next environment: whether it may, and how it gets there with all it needs."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_runtime import cloud, config, register
from mlops_runtime.cloud import models
from mlops_runtime.cloud.assets import Assets
from mlops_runtime.errors import Problem, Refusal

if TYPE_CHECKING:
    from azure.ai.ml import MLClient

LINEAGE = ("model_digest", "data_version", "git_commit", "environment")
VERDICT = "verdict"  # tag of a version that staging has tried: passed or failed
SCAN = "scan"  # tag of a version whose image or packages were scanned: passed or failed
PROMOTED = "promoted_"  # tag + environment: who approved
DECLINED = "declined"  # tag of a candidate that people did not want, and where that can be read: nobody is asked again
COMMIT = "[0-9a-f]{40}([0-9a-f]{24})?"  # what may be asked about; others are refused anyway
SOURCES = {"staging": "dev", "prod": "staging"}


def refusals(
    tags: dict[str, str], environment: str, approvers: Sequence[str], needed: int, authors: Sequence[str] | None = None
) -> list[str]:
    """Every reason why a version with these tags may not be promoted to `environment`; empty when it may.

    `authors` wrote the code, by names of the same kind as the approvers' (none: the CI system does not know); where
    nobody was asked for them it is the author of the commit, by e-mail.
    """
    found = []
    if tags.get("gates") != "passed":
        found.append("it has not passed the gates of training (tag gates is not passed)")
    missing = [name for name in LINEAGE if tags.get(name) in (None, "", "unknown")]
    if missing:
        found.append(f"it is not known where it comes from: {', '.join(missing)} is missing")
    if "+changes" in tags.get("git_commit", ""):
        found.append("it was trained from files that were not committed: commit, and train again")
    if environment == "prod" and tags.get(VERDICT) != "passed":
        found.append(f"it has not passed its trial in staging (tag {VERDICT} is {tags.get(VERDICT, 'missing')})")
    if tags.get(SCAN) == "failed":
        found.append("its scan found known vulnerabilities (tag scan is failed; `mlops scan` scans again)")
    people = {name.strip().casefold() for name in approvers if name.strip()}
    wrote = {name.strip().casefold() for name in authors or [tags.get("git_author", "")]}
    if len(people) < needed:
        found.append(
            f"it needs the approval of {needed} (approvals.{environment} in config) and has that of {len(people)}"
        )
    elif people and people <= wrote:
        found.append(f"{', '.join(sorted(people))} wrote the code: somebody else must approve it")
    elif len(people) == 1 and authors is not None and not authors:
        found.append(
            f"{', '.join(people)} alone approved, and may have written it: the CI system does not say who wrote commit "
            f"{tags.get('git_commit', 'unknown')}. Bring code by a reviewed change, have a second person approve, or "
            "promote it by hand with `--approved-by`"
        )
    return found


def promote(
    environment: str,
    version: str | None,
    approvers: Sequence[str],
    approval: str = "",
    waived: str = "",
    authors: Callable[[str], Sequence[str]] | None = None,
) -> str:
    """Copy the model into the registry and tag it for `environment`; a sentence that says what is true then.

    `version` is that of where it comes from, by default the newest that may; `approval` is where the approval can be
    read; `waived` says who decided to go on without any, where the CI system has none; `authors` says who wrote a
    commit, by names such as the approvers'. A model that is promoted already stays as it is. Refusal with every reason
    why it may not be promoted.
    """
    settings = config.load(environment)
    name, place = settings.project.name, settings.registry.name
    registry, source_name = cloud.registry(settings), SOURCES[environment]
    model, source, where = waiting(settings, registry, version)
    copy = models.choose(registry, name, model.registry_version)
    tag = PROMOTED + environment
    if copy and tag in copy.tags:
        return f"{name} {copy.version} is promoted to {environment} already, approved by {copy.tags[tag]}."
    needed = 0 if waived else getattr(settings.approvals, environment)
    commit = model.tags.get("git_commit", "")
    wrote = authors(commit) if authors and approvers and re.fullmatch(COMMIT, commit) else None
    reasons = refusals({**model.tags, **(copy.tags if copy else {})}, environment, approvers, needed, wrote)
    if reasons:
        raise Refusal(f"{name} {model.version} of {where} is not promoted:\n  " + "\n  ".join(reasons))
    require_commit(model)
    _register(Assets(registry, place), settings.root / "mlops" / "azureml")
    copy = copy or models.share(source, registry, place, model)
    evidence = {f"approval_{environment}": approval} if approval else {}
    lineage = {**model.tags, f"source_{environment}": f"{source_name}/{model.version}"}
    # The tag comes last: a version without it was not promoted.
    who = ", ".join(approvers) or f"nobody: {waived}"
    models.tag(registry, copy, {**lineage, **evidence, tag: who})
    return f"Promoted {name} {copy.version} to {environment}, approved by {who}."


def waiting(
    settings: config.Config, registry: "MLClient", version: str | None
) -> tuple[models.Registered, "MLClient", str]:
    """What would be promoted to the environment of `settings`, the client of where it is, and what that is called."""
    environment, name = settings.environment, settings.project.name
    # What staging did not train again is the version that the registry has already.
    in_registry = environment == "prod" and not settings.staging.retrain
    source = registry if in_registry else cloud.workspace(config.load(SOURCES[environment]))
    where = f"the registry {settings.registry.name}" if in_registry else f"the workspace of {SOURCES[environment]}"
    proof = VERDICT if environment == "prod" else "gates"
    model = models.choose(source, name, version, **{proof: "passed"})
    if model is None:
        which = f"version {version}" if version else f"version whose tag {proof} is passed"
        raise Problem(f"{name} has no {which} in {where}.")
    return model, source, where


def decline(environment: str, version: str | None, where: str) -> str:
    """Note that people do not want this version, so that they are not asked again."""
    settings = config.load(environment)
    model, source, _ = waiting(settings, cloud.registry(settings), version)
    models.tag(source, model, {DECLINED: where or "yes"})
    return f"{model.name} {model.version} is declined: it is no candidate any more."


def require_commit(model: models.Registered) -> None:
    """Problem unless the commit that made the model is checked out: code, environments and components go with it."""
    here, made_by = register.provenance()[register.COMMIT], model.tags.get("git_commit", "unknown")
    if here != made_by:
        raise Problem(
            f"{model.name} {model.version} was made by commit {made_by}; here is {here}: check that commit out, so "
            "that its code, environments and components go with it."
        )


def _register(assets: Assets, folder: Path) -> None:
    """Register every environment and every step of the training pipeline."""
    for file in sorted([*(folder / "environments").glob("*.yml"), *(folder / "train").glob("*.yml")]):
        schema = str(config.read_yaml(file).get("$schema", ""))
        if schema.endswith("/environment.schema.json"):
            assets.environment(file)
        elif schema.endswith("/commandComponent.schema.json"):
            assets.component(file)
