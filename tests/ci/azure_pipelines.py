"""What Azure Pipelines does with the YAML, as far as the generated pipelines use it: expand templates, then run.

`expand` resolves templates and `${{ }}` as the service does before a run. `Run` goes through stages, jobs and steps: it
evaluates conditions and `$[ ]`, asks for the approvals on service connections, puts variables into `$( )`, executes
every script with bash on recording stand-ins, and obeys the logging commands that these print. What it does not know is
an error, never ignored.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

Scope = dict[str, Any]
KINDS: dict[str, Any] = {"string": str, "number": (int, float), "boolean": bool, "object": object}
TOKEN = re.compile(r"\s*(?:('(?:[^']|'')*')|(-?\d+(?:\.\d+)?)|([A-Za-z_][\w-]*)|([().,\[\]]))")


class Wrong(Exception):
    """The YAML is not as Azure Pipelines takes it."""


# Expressions
def evaluate(text: str, names: Scope, functions: dict[str, Callable[..., Any]]) -> Any:
    """The value of an expression. A name that is not known is an error."""
    tokens: list[tuple[int, str]] = []
    position = 0
    while position < len(text.rstrip()):
        match = TOKEN.match(text, position)
        if not match:
            raise Wrong(f"{text!r} is no expression")
        tokens.append((match.lastindex or 0, match[match.lastindex or 0]))
        position = match.end()

    def value(at: int) -> tuple[Any, int]:
        kind, word = tokens[at]
        if kind == 1:
            return word[1:-1].replace("''", "'"), at + 1
        if kind == 2:
            return float(word) if "." in word else int(word), at + 1
        if kind != 3:
            raise Wrong(f"{text!r}: {word!r} is not expected")
        if at + 1 < len(tokens) and tokens[at + 1][1] == "(":
            arguments, at = [], at + 2
            while tokens[at][1] != ")":
                one, at = value(at)
                arguments.append(one)
                at += tokens[at][1] == ","
            if word not in functions:
                raise Wrong(f"{text!r}: there is no function {word}")
            return functions[word](*arguments), at + 1
        if word.casefold() in ("true", "false"):
            return word.casefold() == "true", at + 1
        if word not in names:
            raise Wrong(f"{text!r}: {word} is not known; known are {', '.join(names)}")
        found, at = names[word], at + 1
        while at < len(tokens) and tokens[at][1] in (".", "["):
            if tokens[at][1] == ".":
                key, at = tokens[at + 1][1], at + 2
            else:
                key, at = value(at + 1)
                at += 1
            found = found(key) if callable(found) else found[key] if key in found else missing(text, key)
        return found, at

    result, end = value(0)
    if end != len(tokens):
        raise Wrong(f"{text!r}: {tokens[end][1]!r} is not expected")
    return result


def missing(text: str, key: str) -> Any:
    raise Wrong(f"{text!r}: there is no {key}")


def same(left: Any, right: Any) -> bool:
    """Compare as Azure Pipelines does: without case, what is not there like an empty text."""
    left, right = ("" if one is None else one for one in (left, right))
    return str(left).casefold() == str(right).casefold()


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "eq": same,
    "ne": lambda left, right: not same(left, right),
    "and": lambda *all_of: all(all_of),
    "or": lambda *any_of: any(any_of),
    "not": lambda one: not one,
    "in": lambda one, *others: any(same(one, other) for other in others),
    "format": lambda text, *parts: str(text).format(*("" if part is None else part for part in parts)),
    "contains": lambda text, part: str(part or "").casefold() in str(text or "").casefold(),
    "lower": lambda text: str(text).lower(),
    "join": lambda between, parts: str(between).join(str(part) for part in parts),
}


# Templates
def expand(file: Path, given: Scope | None = None) -> Any:
    """A pipeline with everything in it that its templates bring."""
    content = read(file)
    names: Scope = {"parameters": parameters(file, content.pop("parameters", []), given or {})}
    return substitute(content, names, file)


def read(file: Path) -> Any:
    if not file.is_file():
        raise Wrong(f"there is no file {file}")
    return yaml.load(file.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def parameters(file: Path, declared: list[Scope], given: Scope) -> Scope:
    """Values of a template's parameters: every one has one of its type, and no other is given."""
    values = {}
    for one in declared:
        name = one["name"]
        if name not in given and "default" not in one:
            raise Wrong(f"{file.name} needs the parameter {name}")
        value = given.get(name, one.get("default"))
        if not isinstance(value, KINDS[one["type"]]) or (one["type"] == "string" and isinstance(value, bool)):
            raise Wrong(f"{file.name}: {name} is {value!r}, not a {one['type']}")
        values[name] = value
    if unknown := set(given) - set(values):
        raise Wrong(f"{file.name} has no parameter {', '.join(sorted(unknown))}")
    return values


def substitute(node: Any, names: Scope, file: Path) -> Any:
    if isinstance(node, str):
        return text_of(node, names)
    if isinstance(node, dict):
        return dict(entries(node, names, file))
    if isinstance(node, list):
        return [one for item in node for one in items(item, names, file)]
    return node


def text_of(text: str, names: Scope) -> Any:
    whole = re.fullmatch(r"\$\{\{(.*)\}\}", text.strip(), re.DOTALL)
    if whole and "${{" not in whole[1]:
        return evaluate(whole[1], names, FUNCTIONS)
    return re.sub(r"\$\{\{(.*?)\}\}", lambda match: str(evaluate(match[1], names, FUNCTIONS)), text)


def directive(key: Any) -> tuple[str, str] | None:
    match = re.fullmatch(r"\$\{\{\s*(if|else|each)\b(.*)\}\}", str(key).strip(), re.DOTALL)
    return (match[1], match[2].strip()) if match else None


def loop(rest: str, names: Scope) -> Iterator[Scope]:
    match = re.fullmatch(r"(\w+) in (.+)", rest)
    if not match:
        raise Wrong(f"each {rest}: not understood")
    over = evaluate(match[2], names, FUNCTIONS)
    for one in [{"key": k, "value": v} for k, v in over.items()] if isinstance(over, dict) else over:
        yield {**names, match[1]: one}


def entries(node: Scope, names: Scope, file: Path) -> Iterator[tuple[str, Any]]:
    taken = False
    for key, value in node.items():
        found = directive(key)
        if found is None:
            yield str(text_of(key, names)) if isinstance(key, str) else key, substitute(value, names, file)
        elif found[0] == "each":
            for inner in loop(found[1], names):
                yield from entries(value, inner, file)
        else:
            holds = not taken if found[0] == "else" else bool(evaluate(found[1], names, FUNCTIONS))
            taken = holds
            if holds:
                yield from entries(value, names, file)


def items(item: Any, names: Scope, file: Path) -> Iterator[Any]:
    """What an item of a list becomes: itself, nothing, or several, from a directive or from a template."""
    if isinstance(item, dict) and len(item) == 1 and (found := directive(next(iter(item)))):
        (value,) = item.values()
        if found[0] == "else":
            raise Wrong("else in a list: not understood")
        if found[0] == "each":
            for inner in loop(found[1], names):
                yield from substitute(value, inner, file)
        elif evaluate(found[1], names, FUNCTIONS):
            yield from substitute(value, names, file)
    elif isinstance(item, dict) and "template" in item:
        if unknown := set(item) - {"template", "parameters"}:
            raise Wrong(f"a template has no {unknown}")
        target = file.parent / item["template"]
        content = expand(target, substitute(item.get("parameters", {}), names, file))
        (part,) = content.values()
        yield from [{"name": k, "value": v} for k, v in part.items()] if isinstance(part, dict) else part
    else:
        yield substitute(item, names, file)


# Runs
@dataclass
class Call:
    """One call of a stand-in: by which job, as which identity."""

    stage: str
    job: str
    connection: str  # service connection; empty outside Azure steps
    words: list[str]
    token: bool  # whether the step had the job's token

    @property
    def text(self) -> str:
        return " ".join(self.words)


@dataclass
class Run:
    """One run of an expanded pipeline in a repository."""

    pipeline: Scope
    repository: Path
    programs: Path  # folder with the stand-ins
    answers: Scope = field(default_factory=dict)  # of the stand-ins: command → [{code, out, files}]
    groups: dict[str, dict[str, str]] = field(default_factory=dict)
    predefined: dict[str, str] = field(default_factory=dict)
    refused: tuple[str, ...] = ()  # service connections whose approval is refused
    refusal: str = "Failed"  # what a stage without its approval results in: Skipped, when the time to give it is over
    cancel: str = ""  # stage in which somebody cancels the run
    indirect: bool = False  # whether status functions look at what stages and jobs depend on indirectly, too
    stages: dict[str, str] = field(default_factory=dict)  # results
    jobs: dict[str, dict[str, str]] = field(default_factory=dict)
    outputs: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)  # stage, job, step.variable
    calls: list[Call] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)  # connections on which somebody was asked, in order
    kept: list[str] = field(default_factory=list)  # artifacts
    paths: list[Path] = field(default_factory=list)  # what they were made of
    said: str = ""

    def start(self) -> Self:
        known: dict[str, list[str]] = {}
        for stage in self.pipeline["stages"]:
            name = stage["stage"]
            before = listed(stage.get("dependsOn", list(known)[-1:]))
            if unknown := set(before) - set(known):
                raise Wrong(f"stage {name} depends on {unknown}, which no stage before it is called")
            known[name] = before
            self.outputs[name], self.jobs[name] = {}, {}
            self.stages[name] = self._stage(stage, before, [self.stages[one] for one in self._reached(before, known)])
        return self

    def texts(self) -> list[str]:
        return [call.text for call in self.calls]

    def _reached(self, before: list[str], known: dict[str, list[str]]) -> list[str]:
        """What status functions look at: what something depends on, and what that depends on."""
        found = list(before)
        for name in found if self.indirect else ():
            found += [one for one in known[name] if one not in found]
        return found

    def _variables(self, *holders: Scope) -> dict[str, str]:
        found: dict[str, str] = dict(self.predefined)
        for holder in holders:
            given = holder.get("variables", {})
            for one in [{"name": k, "value": v} for k, v in given.items()] if isinstance(given, dict) else given:
                if "group" in one:
                    found |= self.groups[one["group"]]
                else:
                    found[one["name"]] = str(one["value"])
        return found

    def _stage(self, stage: Scope, before: list[str], results: list[str]) -> str:
        variables = self._variables(self.pipeline, stage)

        def dependency(name: str) -> Scope:
            if name not in before:
                raise Wrong(f"stage {stage['stage']} asks for {name}, on which it does not depend")
            flat = {f"{job}.{key}": v for job, found in self.outputs[name].items() for key, v in found.items()}
            return {"result": self.stages[name], "outputs": lambda key: self._output(name, key, flat)}

        if not self._holds(stage.get("condition"), variables, {"dependencies": dependency}, results):
            return "Skipped"
        connections = {one["inputs"]["azureSubscription"] for one in steps_of(stage) if one.get("task") == "AzureCLI@2"}
        for connection in sorted(connections):
            self.asked.append(connection)
            if connection in self.refused:
                return self.refusal
        if stage["stage"] == self.cancel:
            return "Canceled"
        for name, value in variables.items():
            variables[name] = self._runtime(value, stage["stage"], before)
        done: list[str] = []
        known: dict[str, list[str]] = {}
        for job in stage["jobs"]:
            for name, more in legs(job):
                known[name] = listed(job.get("dependsOn", []))
                self.jobs[stage["stage"]][name] = self._job(stage, job, name, {**variables, **more}, known)
                done.append(self.jobs[stage["stage"]][name])
        return "Failed" if "Failed" in done else "Succeeded"

    def _output(self, stage: str, key: str, flat: dict[str, str]) -> str | None:
        job, step, variable = key.split(".")
        for one in next(one for one in self.pipeline["stages"] if one["stage"] == stage)["jobs"]:
            if one.get("job") == job:
                allowed = [s for s in one["steps"] if s.get("name") == step and variable in settable(s)]
                if not allowed:
                    raise Wrong(f"no step {step} of {stage}/{job} sets {variable}")
                return flat.get(key)
        raise Wrong(f"there is no job {job} in {stage}")

    def _runtime(self, value: str, stage: str, before: list[str]) -> str:
        match = re.fullmatch(r"\$\[(.*)\]", value.strip(), re.DOTALL)
        if not match:
            return value

        def stage_of(name: str) -> Callable[[str], Scope]:
            if name not in before:
                raise Wrong(f"stage {stage} asks for {name}, on which it does not depend")
            return lambda job: {
                "outputs": lambda key: self._output(
                    name, f"{job}.{key}", {f"{job}.{k}": v for k, v in self.outputs[name].get(job, {}).items()}
                )
            }

        return str(evaluate(match[1], {"stageDependencies": stage_of}, FUNCTIONS) or "")

    def _holds(self, condition: Any, variables: dict[str, str], names: Scope, before: list[str]) -> bool:
        states = {
            "succeeded": lambda: all(one == "Succeeded" for one in before),
            "failed": lambda: "Failed" in before,
            "canceled": lambda: "Canceled" in self.stages.values(),
            "succeededOrFailed": lambda: "Skipped" not in before,
            "always": lambda: True,
        }
        scope = {"variables": variables.get, **names}
        return bool(evaluate(str(condition or "succeeded()"), scope, {**FUNCTIONS, **states}))

    def _job(self, stage: Scope, job: Scope, name: str, variables: dict[str, str], known: dict[str, list[str]]) -> str:
        of_stage, depends = stage["stage"], known[name]
        if unknown := set(depends) - set(self.jobs[of_stage]):
            raise Wrong(f"job {name} depends on {unknown}, which no job before it is called")
        if not 0 < job.get("timeoutInMinutes", 0) <= 360:
            raise Wrong(f"job {name} of {of_stage} has no timeout")
        variables |= self._variables({"variables": job.get("variables", {})})

        def dependency(other: str) -> Scope:
            if other not in depends:
                raise Wrong(f"job {name} asks for {other}, on which it does not depend")
            flat = {f"{other}.{key}": value for key, value in self.outputs[of_stage].get(other, {}).items()}
            result = self.jobs[of_stage][other]
            return {"result": result, "outputs": lambda key: self._output(of_stage, f"{other}.{key}", flat)}

        results = [self.jobs[of_stage][one] for one in self._reached(depends, known)]
        if not self._holds(job.get("condition"), variables, {"dependencies": dependency}, results):
            return "Skipped"
        self.outputs[of_stage].setdefault(name, {})
        steps = steps_of({"jobs": [job]})
        if job.get("pool") == "server":
            if any(one.get("task") != "Delay@1" for one in steps):
                raise Wrong(f"{name}: a job without an agent only waits")
            return "Succeeded"
        temporary = self.repository.parent / f"agent-{len(self.jobs[of_stage])}-{of_stage}"
        for folder in ("temp", "staging", "work"):
            (temporary / folder).mkdir(parents=True, exist_ok=True)
        variables |= {
            "Agent.TempDirectory": str(temporary / "temp"),
            "Build.ArtifactStagingDirectory": str(temporary / "staging"),
            "Pipeline.Workspace": str(temporary / "work"),
        }
        failed = False
        for step in steps:
            results = ["Failed" if failed else "Succeeded"]
            if self._holds(step.get("condition"), variables, {}, results):
                failed = not self._step(of_stage, name, step, variables, temporary) or failed
        return "Failed" if failed else "Succeeded"

    def _step(self, stage: str, job: str, step: Scope, variables: dict[str, str], folder: Path) -> bool:
        def filled(value: Any) -> str:
            return re.sub(r"\$\(([\w.]+)\)", lambda match: variables.get(match[1], match[0]), str(value))

        here = folder / "code"
        if "checkout" in step:
            if step["checkout"] == "self":
                depth = step.get("fetchDepth", 1)
                how = ["--depth", str(depth)] if depth else []
                url = f"file://{self.repository}"
                subprocess.run(["git", "clone", "-q", *how, url, here], check=True, capture_output=True)
                at = ["git", "-C", here, "checkout", "-q", "--detach"]
                subprocess.run(at, check=True, capture_output=True)
            else:
                here.mkdir()
            return True
        if step.get("task") == "PublishPipelineArtifact@1":
            path = here / filled(step["inputs"]["targetPath"])
            self.kept.append(filled(step["inputs"]["artifact"]))
            self.paths.append(path)
            if not path.exists():
                self.said += f"{step['displayName']}: there is no {path}\n"
            return path.exists()
        script = step.get("bash")
        connection = ""
        if step.get("task") == "AzureCLI@2":
            script, connection = step["inputs"]["inlineScript"], step["inputs"]["azureSubscription"]
        if script is None:
            return True  # a task that prepares or keeps what the stand-ins do not need
        plain = {name: value for name, value in variables.items() if name != "System.AccessToken"}  # a secret
        environment = {name.upper().replace(".", "_"): value for name, value in plain.items()}
        environment |= {name: filled(value) for name, value in step.get("env", {}).items()}
        record = folder / "calls.jsonl"
        record.unlink(missing_ok=True)
        state = self.repository.parent / "answers.json"
        if not state.exists():
            state.write_text(json.dumps(self.answers), encoding="utf-8")
        environment |= {"CALLS": str(record), "ANSWERS": str(state), "HOME": str(folder)}
        environment["PATH"] = f"{self.programs}{os.pathsep}/usr/bin{os.pathsep}/bin"
        command = [shutil.which("bash") or "bash", "--noprofile", "--norc", "-c", filled(script)]
        if connection:
            environment |= {"CONNECTION": connection}
        environment |= {
            f"GIT_{who}_{what}": "t@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        done = subprocess.run(
            command, cwd=here, env=environment, capture_output=True, encoding="utf-8", check=False, timeout=60
        )
        self.said += done.stdout + done.stderr
        for line in record.read_text(encoding="utf-8").splitlines() if record.exists() else []:
            token = any(self.predefined["System.AccessToken"] in value for value in environment.values())
            self.calls.append(Call(stage, job, connection, json.loads(line), token))
        for name, options, value in re.findall(
            r"^##vso\[task\.setvariable variable=(\w+)((?:;\w+=\w+)*)\](.*)$", done.stdout, re.MULTILINE
        ):
            if name not in settable(step):
                raise Wrong(f"{step['displayName']} sets {name}, which its target does not allow")
            own = f"{step.get('name', '')}.{name}"
            variables[own if "isOutput=true" in options else name] = value
            if "isOutput=true" in options:
                self.outputs[stage][job][own] = value
        return done.returncode == 0


def settable(step: Scope) -> list[str]:
    allowed = step.get("target", {}).get("settableVariables", "none")
    return [] if allowed == "none" else list(allowed)


def listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def legs(job: Scope) -> Iterator[tuple[str, dict[str, str]]]:
    """The jobs that a matrix makes of one."""
    name = job.get("job") or job["deployment"]
    matrix = job.get("strategy", {}).get("matrix")
    for leg, values in matrix.items() if matrix else [("", {})]:
        yield f"{name} {leg}".strip(), {key: str(value) for key, value in values.items()}


def steps_of(stage: Scope) -> list[Scope]:
    """All steps of a stage's jobs."""
    found = []
    for job in stage["jobs"]:
        found += job["strategy"]["runOnce"]["deploy"]["steps"] if "deployment" in job else job["steps"]
    return found
