"""Where the model serves: a batch endpoint, whose new deployment must score a sample before it becomes the default."""

import base64
import importlib
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from mlops_runtime import cloud, release, serving
from mlops_runtime.config import Config, Section
from mlops_runtime.contract import Contract
from mlops_runtime.errors import Problem, Refusal
from mlops_runtime.gates import Gate

if TYPE_CHECKING:
    import pandas as pd

FILES = 20  # that a load is spread over
VARIABLES = "settings.environment_variables"
READY = "Succeeded"
OUTPUTS = "azureml://datastores/workspaceblobstore/paths/azureml"  # where jobs write, unless who starts them says else


class Objective(Section):
    """What a deployment must stand under load before it may go to production."""

    rows: int = Field(ge=1)  # scored at once, the model's example over and over
    minutes: float = Field(gt=0)  # within which their predictions must be there, waiting for machines included


class Deployment(release.Settings):
    """What is under deployment: in config."""

    objective: Objective


def deploy(settings: Config, version: str | None, *, dry_run: bool, take_over: bool) -> None:
    """Make a model the default of the endpoint once it has scored a sample; the one before stays for `rollback`.

    From then on what its jobs keep is looked at every day.
    """
    from mlops_runtime.cloud import releases, schedules

    model = releases.model_to_deploy(settings, version)
    _bring(settings, model, dry_run=dry_run, take_over=take_over)
    if not dry_run:
        schedules.watch(settings, cloud.workspace(settings), model, OUTPUTS)


def _bring(settings: Config, model: Any, *, dry_run: bool = False, take_over: bool = False) -> str:
    """Deploy this model; the name of its deployment, which says what it runs."""
    from mlops_runtime.cloud import releases
    from mlops_runtime.cloud.scoring import PREVIOUS, Batch

    own: Deployment = settings.deployment  # type: ignore[assignment]
    batch = Batch(settings, cloud.workspace(settings))
    more = {f"{VARIABLES}.MLOPS_COLLECT_SHARE": str(own.collection.share)}
    planned = releases.make(settings, model, None, VARIABLES, **more)
    name = f"m-{planned.digest}"
    there, default = batch.existing(), batch.default()
    said = f"{model.name} {model.version} on {batch.name}"
    if default == name and not batch.tag(releases.ROLLOUT):
        print(f"{said}: {name} is the default already; nothing to do.")
        return name
    ready = there.get(name) == (planned.digest, READY)
    if dry_run:
        print(f"{said}:")
        for key, value in planned.changes.items():
            print(f"  {key}: {value}")
        steps = [*([] if ready else [f"create {name}"]), f"let {name} score a sample", f"make {name} the default"]
        print("\n".join(f"  {number}. {step}" for number, step in enumerate(steps, 1)))
        return name
    with tempfile.TemporaryDirectory() as scratch:
        folder = releases.fetch(settings, model, Path(scratch, "model"))
        content = releases.make(settings, model, folder, VARIABLES, **more)
        print(f"{said}: content {content.digest}", flush=True)
        batch.hold(content.digest, take_over)
        try:
            if not ready:
                print(f"  create {name}", flush=True)
                batch.create(name, content)
            _try(batch, settings.project.package, name, folder, Path(scratch, "sample"))
            batch.make_default(name)
        except (Problem, Refusal, KeyboardInterrupt) as fault:
            batch.let_go()
            if isinstance(fault, Refusal):
                stays = f"{default} stays the default." if default else "The endpoint has no default."
                raise Refusal(f"{fault}\n{stays} What to do: try the model with `mlops score`.") from None
            raise
    print(f"  {name} is the default")
    ours = {one for one, (digest, _) in there.items() if digest}  # what somebody else made beside them stays
    for old in sorted(ours - {name, default or batch.tag(PREVIOUS), batch.tag(PREVIOUS)}):
        batch.delete(old)
        print(f"  removed {old}")
    return name


def sample(rows: list[dict[str, Any]], inputs: Contract) -> "pd.DataFrame":
    """A model's example, as a request has it, as the table that a file has: no base64 text, no times as text."""
    import pandas as pd

    table = pd.DataFrame(rows)
    for name in table.columns.intersection(list(inputs.columns)):
        if inputs.columns[name].type == "bytes":
            table[name] = [None if text is None else base64.b64decode(text) for text in table[name]]
        elif inputs.columns[name].type == "datetime":
            table[name] = pd.to_datetime(table[name])
    return table


def _script(package: str, model: Path) -> Any:
    """The project's scoring script with this model."""
    os.environ[serving.MODEL_DIR] = str(model)
    script = importlib.import_module(f"{package}.score")
    script.init()
    return script


def _try(batch: Any, package: str, name: str, model: Path, folder: Path) -> None:
    """Let a deployment score the model's example; Refusal unless it answers as the script does on this machine."""
    script = _script(package, model)
    folder.mkdir()
    file = folder / "sample.parquet"
    sample(serving.example_rows(model), script.service.inputs).to_parquet(file, index=False)
    expected = script.run([str(file)])
    rows = batch.score(name, folder)
    if len(rows) != len(expected):
        raise Refusal(f"{name} failed its test: it answered {len(rows)} rows and not {len(expected)}.")
    odd = [len(row) for row in rows if len(row) != len(expected.columns)]
    if odd:
        columns = ", ".join(map(str, expected.columns))
        raise Refusal(f"{name} failed its test: it answered {odd[0]} columns and not {columns}.")


def rollback(settings: Config, *, dry_run: bool, take_over: bool) -> None:
    """Make the deployment before the default again."""
    from mlops_runtime.cloud import schedules
    from mlops_runtime.cloud.scoring import PREVIOUS, Batch

    client = cloud.workspace(settings)
    batch = Batch(settings, client)
    before = batch.tag(PREVIOUS)
    if not before or batch.existing().get(before, ("", ""))[1] != READY:
        raise Refusal(f"{batch.name} has no deployment that was the default before: there is nothing to go back to.")
    print(f"{batch.name}: back to {before}", flush=True)
    if dry_run:
        return
    model = batch.model(before)
    batch.hold("", take_over)
    try:
        batch.make_default(before)
    except (Problem, KeyboardInterrupt):
        batch.let_go()
        raise
    print(f"{before} is the default.")
    schedules.watch(settings, client, model, OUTPUTS)


def trial(settings: Config, model: Any) -> dict[str, Sequence[Gate]]:
    """Deploy a candidate in staging and put it under load: the checks of staging."""
    try:
        name = _bring(settings, model)
    except Refusal as refusal:
        return {"test deployment": [Gate("deploy", False, None, 0.0, str(refusal))], "load": []}
    return {
        "test deployment": [Gate("deploy", True, None, 0.0, f"{name} scored the sample")],
        "load": _load(settings, model, name),
    }


def _load(settings: Config, model: Any, name: str) -> list[Gate]:
    """Whether a deployment scores as many rows as the objective says, in time."""
    import pandas as pd

    from mlops_runtime.cloud import releases
    from mlops_runtime.cloud.scoring import Batch

    own: Deployment = settings.deployment  # type: ignore[assignment]
    objective, batch = own.objective, Batch(settings, cloud.workspace(settings))
    with tempfile.TemporaryDirectory() as scratch:
        folder = releases.fetch(settings, model, Path(scratch, "model"))
        example = sample(serving.example_rows(folder), _script(settings.project.package, folder).service.inputs)
        rows = pd.concat([example] * -(-objective.rows // len(example)), ignore_index=True).head(objective.rows)
        place = Path(scratch, "load")
        place.mkdir()
        size = -(-len(rows) // FILES)
        for first in range(0, len(rows), size):
            rows.iloc[first : first + size].to_parquet(place / f"{first}.parquet", index=False)
        begun = time.monotonic()
        try:
            answered = len(batch.score(name, place))
        except Refusal as refusal:
            return [Gate("rows", False, None, objective.rows, str(refusal))]
        minutes = (time.monotonic() - begun) / 60
    said = f"{answered:,} rows of {len(rows):,} in {minutes:.1f} minutes"
    return [
        Gate("rows", answered == len(rows), answered, len(rows), said),
        Gate("minutes", minutes <= objective.minutes, minutes, objective.minutes, f"at most {objective.minutes:g}"),
    ]
