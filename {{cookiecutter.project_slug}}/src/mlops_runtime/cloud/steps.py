"""A step of a pipeline as config wants it: where it runs, on how many machines, as a sweep, or with Spark."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from mlops_runtime import pipeline
from mlops_runtime.cloud.assets import Assets
from mlops_runtime.config import Config, StepCompute, read_yaml
from mlops_runtime.errors import Problem

EXECUTORS = "spark.executor.instances"


def overrides(
    settings: Config, file: Path, step: str, assets: Assets, variables: dict[str, str], remote: Collection[str]
) -> Iterator[tuple[str, Any]]:
    """What differs from the step in the pipeline's YAML: dotted key → value.

    A sweep and a Spark job are another kind of step, so that they replace all of it. `variables` are environment
    variables, which only a command has; `remote` names the pipeline's inputs that are not the repository's own files.
    """
    content = read_yaml(file)
    job = content["jobs"][step]
    where = f"config/{settings.environment}.yml: compute.steps.{step}"
    chosen = settings.compute.steps.get(step, StepCompute())
    own = file.parent / job["component"]
    component = own.parent / (chosen.component or own.name)
    if not component.is_file():
        raise Problem(f"{where}.component: {component} does not exist.")
    said = read_yaml(component)
    if component != own:
        yield from _other_types(content, step, own, said, remote, where)
    reference = assets.component(component)
    if said["type"] == "spark":
        yield f"jobs.{step}", _spark(job, said, reference, chosen, where)
    elif chosen.sweep:
        _require_sweep(settings, chosen, said, where)
        yield f"jobs.{step}", _sweep(job, reference, chosen)
    else:
        yield f"jobs.{step}.component", reference
        for name, value in variables.items():
            yield f"jobs.{step}.environment_variables.{name}", value
        if step in settings.compute.steps:
            for key, value in _place(chosen).items():
                yield f"jobs.{step}.{key}", value
            if chosen.processes_per_instance:
                if not _named(settings, "WORLD_SIZE"):
                    raise Problem(
                        f"{where}.processes_per_instance: nothing in src/{settings.project.package} reads WORLD_SIZE: "
                        "each process would do the whole work by itself; remove it."
                    )
                yield f"jobs.{step}.distribution.type", "pytorch"
                yield f"jobs.{step}.distribution.process_count_per_instance", chosen.processes_per_instance


def compute(name: str) -> str:
    """A compute as YAML names it: a cluster, an attached pool, or serverless."""
    return f"azureml:{name}"


def _place(chosen: StepCompute) -> dict[str, Any]:
    """Where a command or a sweep runs."""
    place: dict[str, Any] = {"compute": compute(chosen.compute)} if chosen.compute else {}
    if chosen.identity:
        place["identity"] = {"type": chosen.identity}
    machines = {"instance_type": chosen.instance_type} if chosen.instance_type else {}
    return {**place, "resources": {**machines, "instance_count": chosen.instances}}


def _other_types(
    content: dict[str, Any], step: str, own: Path, said: dict[str, Any], remote: Collection[str], where: str
) -> Iterator[tuple[str, Any]]:
    """The types of the pipeline's inputs that another component wants; a Problem where it is no stand-in."""
    for ports in ("inputs", "outputs"):
        if differing := read_yaml(own)[ports].keys() ^ said[ports].keys():
            names = ", ".join(sorted(differing))
            raise Problem(f"{where}.component: its {ports} must be those of {own.name}; they differ in {names}.")
    for name, bound in content["jobs"][step]["inputs"].items():
        source = pipeline.BINDING.match(str(bound))
        given = content["inputs"].get(source[1]) if source else None
        kind = said["inputs"][name]["type"]
        if source and isinstance(given, dict) and given["type"] != kind:
            if source[1] not in remote:
                raise Problem(
                    f"{where}.component reads a {kind}, and {source[1]} is the repository's own {given['path']}: "
                    f"name a folder of the lake as data.{source[1]} in the same file."
                )
            yield f"inputs.{source[1]}.type", kind


def _spark(job: dict[str, Any], said: dict[str, Any], reference: str, chosen: StepCompute, where: str) -> Any:
    """The step as a Spark job, on Azure ML's serverless Spark or an attached pool."""
    if chosen.sweep or chosen.processes_per_instance:
        raise Problem(f"{where}: a Spark step has neither sweep nor processes_per_instance: remove them.")
    if not chosen.compute and not chosen.instance_type:
        raise Problem(f"{where}: Spark needs an instance_type, for example standard_e8s_v3, or an attached pool.")
    resources = {"instance_type": chosen.instance_type, "runtime_version": chosen.runtime_version}
    return {
        "type": "spark",
        "component": reference,
        "inputs": job["inputs"],
        **({"compute": compute(chosen.compute)} if chosen.compute else {"resources": resources}),
        "conf": {**said["conf"], EXECUTORS: chosen.instances, **chosen.conf},
        # not the person's, who is not there when a schedule starts it
        "identity": {"type": chosen.identity or "managed"},
    }


def _require_sweep(settings: Config, chosen: StepCompute, said: dict[str, Any], where: str) -> None:
    """A Problem for what Azure ML would find only after hours of trials."""
    assert chosen.sweep
    if chosen.processes_per_instance:
        raise Problem(f"{where}: a sweep has no processes_per_instance: its trials are the step as it is; remove it.")
    literal = [name for name, given in said["inputs"].items() if given["type"] in pipeline.LITERAL_TYPES]
    for name in chosen.sweep.search_space:
        if name not in literal:
            raise Problem(
                f"{where}.sweep.search_space.{name}: the step has no such setting; it has {', '.join(literal)}."
            )
    metric = chosen.sweep.objective.primary_metric
    if not _named(settings, metric):
        raise Problem(
            f"{where}.sweep.objective.primary_metric: nothing in src/{settings.project.package} logs {metric!r}: "
            "take the name of a metric that the step logs with mlflow.log_metric."
        )


def _named(settings: Config, name: str) -> bool:
    """Whether the team's code has this text anywhere: as far as can be known without running it."""
    files = (settings.root / "src" / settings.project.package).rglob("*.py")
    texts = (path.read_text(encoding="utf-8") for path in files)
    return any(f"{quote}{name}{quote}" in text for text in texts for quote in "\"'")


def _sweep(job: dict[str, Any], reference: str, chosen: StepCompute) -> Any:
    """The step as a sweep; its outputs are those of the best trial."""
    assert chosen.sweep
    searched = chosen.sweep.search_space
    return {
        "type": "sweep",
        "trial": reference,
        "inputs": {name: given for name, given in job["inputs"].items() if name not in searched},
        **chosen.sweep.model_dump(exclude_none=True),
        **_place(chosen),
    }
