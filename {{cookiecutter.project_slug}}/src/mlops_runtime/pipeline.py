"""Azure ML pipeline YAML, read for this machine: which steps there are, in which order, and the commands they run.

Supported: pipeline jobs of command steps with a component file each; file, folder, model and literal inputs; outputs of
earlier steps; optional arguments. Anything else is refused by name, so that nothing is silently different on Azure ML.
"""

import re
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_runtime.config import Scalar, read_yaml
from mlops_runtime.errors import Problem

PATH_TYPES = {"uri_file", "uri_folder", "mltable", "mlflow_model", "custom_model"}
LITERAL_TYPES: dict[str, type[str] | type[int] | type[float] | type[bool]] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
}
# Keys with no meaning on one machine are passed over; keys that would change what runs are refused.
IGNORED = {"$schema", "type", "name", "version", "display_name", "description", "tags", "compute", "resources"}
PIPELINE_KEYS = IGNORED | {"experiment_name", "inputs", "outputs", "settings", "jobs"}
JOB_KEYS = IGNORED | {"component", "inputs", "outputs"}
COMPONENT_KEYS = IGNORED | {"inputs", "outputs", "code", "environment", "command", "is_deterministic"}
SETTINGS = {"default_compute", "default_datastore", "continue_on_step_failure", "force_rerun"}
BINDING = re.compile(r"^\$\{\{\s*parent\.(?:inputs\.(\w+)|jobs\.(\w+)\.outputs\.(\w+))\s*\}\}$")
PLACEHOLDER = re.compile(r"\$\{\{\s*(inputs|outputs)\.(\w+)\s*\}\}")
OPTIONAL = re.compile(r"\$\[\[(.*?)\]\]", re.DOTALL)
SHELL = re.compile(r"&&|\|\||[|;<>&`]|\$\(|\$\w+")


@dataclass(frozen=True)
class FromStep:
    """An input that is another step's output."""

    step: str
    output: str


Value = Scalar | Path | FromStep | None


@dataclass(frozen=True)
class Step:
    """One command with what it reads; `code` is its working directory."""

    name: str
    code: Path
    environment: Path | None
    command: str
    inputs: dict[str, Value]
    outputs: dict[str, str]
    deterministic: bool = True
    needs: list[str] = field(default_factory=list)

    def arguments(self, inputs: dict[str, Scalar | Path | None], outputs: dict[str, Path]) -> list[str]:
        """The command as an argument list, `python` being this interpreter; values are never split or interpreted."""
        values: dict[tuple[str, str], Scalar | Path | None] = {("inputs", k): v for k, v in inputs.items()}
        values |= {("outputs", k): v for k, v in outputs.items()}

        def bound(text: str) -> bool:
            return all(values.get((kind, name)) is not None for kind, name in PLACEHOLDER.findall(text))

        def fill(match: re.Match[str]) -> str:
            value = values[match[1], match[2]]
            return str(value).lower() if isinstance(value, bool) else str(value)

        command = OPTIONAL.sub(lambda match: match[1] if bound(match[1]) else "", self.command)
        # Placeholders are joined first and filled after splitting, so that a path with spaces stays one argument.
        words = shlex.split(PLACEHOLDER.sub(lambda match: "${{" + match[1] + "." + match[2] + "}}", command))
        filled = [PLACEHOLDER.sub(fill, word) for word in words]
        return [sys.executable, *filled[1:]] if filled[0] in ("python", "python3") else filled


@dataclass(frozen=True)
class Pipeline:
    """A pipeline job: its steps in an order in which they can run."""

    path: Path
    name: str
    inputs: dict[str, Scalar | Path]
    steps: list[Step]
    reuse: bool


def load(path: Path, values: dict[str, Scalar] | None = None) -> Pipeline:
    """Read a pipeline job and its components; `values` replace inputs of the same names."""
    content = _mapping(read_yaml(path), path)
    if content.get("type") != "pipeline":
        raise Problem(f"{path}: type is {content.get('type')!r}: only a pipeline job can run here.")
    _refuse(content, PIPELINE_KEYS, path, "")
    settings = content.get("settings") or {}
    _refuse(settings, SETTINGS, path, "settings.")
    declared, values = content.get("inputs") or {}, values or {}
    for name in values:
        if name not in declared:
            raise Problem(f"{path} has no input {name!r}; its inputs are {', '.join(declared)}.")
    inputs = {
        name: _override(name, values[name], given) if name in values else _pipeline_input(path, name, given)
        for name, given in declared.items()
    }
    jobs = content.get("jobs") or {}
    if not jobs:
        raise Problem(f"{path}: jobs is empty: give the pipeline at least one step.")
    steps = {name: _step(path, name, _mapping(job, path, f"jobs.{name}"), inputs) for name, job in jobs.items()}
    for step in steps.values():
        for name, source in step.inputs.items():
            if isinstance(source, FromStep) and source.output not in getattr(steps.get(source.step), "outputs", {}):
                where = f"jobs.{step.name}.inputs.{name}"
                raise Problem(f"{path}: {where}: no step {source.step!r} has an output {source.output!r}.")
    return Pipeline(
        path=path,
        name=str(content.get("display_name") or path.stem),
        inputs=inputs,
        steps=_in_order(path, steps),
        reuse=not settings.get("force_rerun", False),
    )


def _mapping(value: Any, path: Path, where: str = "the file") -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Problem(f"{path}: {where} must be a mapping of keys to values.")
    return value


def _refuse(content: dict[str, Any], known: set[str], path: Path, where: str) -> None:
    for key in content:
        if key not in known:
            supported = ", ".join(sorted(known))
            raise Problem(f"{path}: {where}{key} is not supported on this machine; these keys are: {supported}.")


def _pipeline_input(path: Path, name: str, given: Any) -> Scalar | Path:
    if not isinstance(given, dict):
        if not isinstance(given, str | int | float | bool):
            raise Problem(f"{path}: inputs.{name} must be a text, a number, true or false, or a file or folder.")
        return given
    if given.get("type") not in PATH_TYPES or "path" not in given:
        raise Problem(f"{path}: inputs.{name}: type must be one of {', '.join(sorted(PATH_TYPES))}, with a path.")
    return _local(path, f"inputs.{name}", str(given["path"]))


def _local(path: Path, where: str, given: str) -> Path:
    if re.match(r"^(azureml|https?|wasbs?|abfss?|adl):", given):
        raise Problem(f"{path}: {where}: {given} is not on this machine; use `--set` with a local path.")
    target = (path.parent / given).resolve()
    if not target.exists():
        raise Problem(f"{path}: {where}: {target} does not exist.")
    return target


def _override(name: str, value: Scalar, given: Any) -> Scalar | Path:
    """`value` with the type of the input that it replaces; text (from the command line) is converted."""
    if not isinstance(given, dict):
        return convert(name, value, type(given))
    target = Path(str(value)).resolve()
    if not target.exists():
        raise Problem(f"{name}: {target} does not exist.")
    return target


def convert(name: str, value: Scalar, kind: type[Any]) -> Scalar:
    """`value` as `kind`; a Problem that says what is expected when it cannot be."""
    if type(value) is kind:
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is str:
        return str(value)
    try:
        if kind is int and isinstance(value, str):
            return int(value)
        if kind is float and isinstance(value, str):
            return float(value)
        if kind is bool and isinstance(value, str):
            return {"true": True, "false": False}[value.lower()]
    except (KeyError, ValueError):
        pass
    expected = {int: "a whole number", float: "a number", bool: "true or false"}[kind]
    raise Problem(f"{name}: {value!r} must be {expected}.")


def _step(path: Path, name: str, job: dict[str, Any], parent: dict[str, Scalar | Path]) -> Step:
    where = f"jobs.{name}"
    if job.get("type", "command") != "command":
        raise Problem(f"{path}: {where}: type {job['type']} is not supported on this machine; only command is.")
    _refuse(job, JOB_KEYS, path, f"{where}.")
    reference = job.get("component")
    if not isinstance(reference, str) or reference.startswith("azureml:"):
        raise Problem(f"{path}: {where}.component must be a component file, like ./{name}.yml.")
    file = _local(path, f"{where}.component", reference.removeprefix("file:"))
    component = _mapping(read_yaml(file), file)
    _refuse(component, COMPONENT_KEYS, file, "")
    command = str(component.get("command", "")).strip()
    found = SHELL.search(OPTIONAL.sub(r"\1", PLACEHOLDER.sub("", command)))
    if found or not command:
        what = f"{found[0]!r} needs a shell" if found else "is empty"
        raise Problem(f"{file}: command: {what}; write one program with its arguments.")

    declared = component.get("inputs") or {}
    given = job.get("inputs") or {}
    for key in given:
        if key not in declared:
            raise Problem(f"{path}: {where}.inputs.{key}: {file.name} has no such input; it has {', '.join(declared)}.")
    inputs = {key: _step_input(path, file, where, key, spec, given, parent) for key, spec in declared.items()}
    outputs = {key: str(spec["type"]) for key, spec in (component.get("outputs") or {}).items()}
    for kind, key in PLACEHOLDER.findall(command):
        if key not in (inputs if kind == "inputs" else outputs):
            raise Problem(f"{file}: command names {kind}.{key}, which the component does not declare.")
    environment = component.get("environment")
    return Step(
        name=name,
        code=_local(file, "code", str(component.get("code", "."))),
        environment=_local(file, "environment", environment.removeprefix("file:"))
        if isinstance(environment, str) and not environment.startswith("azureml:")
        else None,
        command=command,
        inputs=inputs,
        outputs=outputs,
        deterministic=bool(component.get("is_deterministic", True)),
        needs=sorted({value.step for value in inputs.values() if isinstance(value, FromStep)}),
    )


def _step_input(
    path: Path, file: Path, where: str, key: str, spec: dict[str, Any], given: dict[str, Any], parent: dict[str, Any]
) -> Value:
    kind = spec.get("type")
    if kind not in PATH_TYPES and kind not in LITERAL_TYPES:
        raise Problem(f"{file}: inputs.{key}: type {kind!r} is not supported on this machine.")
    value = given.get(key, spec.get("default"))
    if value is None:
        if spec.get("optional"):
            return None
        raise Problem(f"{path}: {where}.inputs.{key} is missing: {file.name} needs it.")
    bound = BINDING.match(value) if isinstance(value, str) else None
    if bound and bound[1]:
        if bound[1] not in parent:
            raise Problem(f"{path}: {where}.inputs.{key}: the pipeline has no input {bound[1]!r}.")
        value = parent[bound[1]]
    elif bound:
        return FromStep(bound[2], bound[3])
    elif isinstance(value, dict):
        value = _pipeline_input(path, f"{where}.{key}", value)
    elif isinstance(value, str) and "${{" in value:
        raise Problem(f"{path}: {where}.inputs.{key}: {value} is not supported; bind one whole parent input or output.")
    if kind in LITERAL_TYPES and isinstance(value, str | int | float | bool):
        return convert(f"{where}.inputs.{key}", value, LITERAL_TYPES[kind])
    if not isinstance(value, Path):
        raise Problem(f"{path}: {where}.inputs.{key} must be a {kind} with a path, not {value!r}.")
    return value


def _in_order(path: Path, steps: dict[str, Step]) -> list[Step]:
    """Every step after those it needs, otherwise in the file's order."""
    done: list[Step] = []
    waiting = list(steps.values())
    while waiting:
        names = {step.name for step in done}
        ready = next((step for step in waiting if names.issuperset(step.needs)), None)
        if ready is None:
            raise Problem(f"{path}: the steps {', '.join(step.name for step in waiting)} wait for each other.")
        waiting.remove(ready)
        done.append(ready)
    return done
