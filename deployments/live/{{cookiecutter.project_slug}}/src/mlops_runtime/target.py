"""Where the model serves: a live endpoint, whose two deployments, blue and green, take turns."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from pydantic import Field, field_validator

from mlops_runtime import cloud, probes, release, rollout, serving
from mlops_runtime.config import Config, Section
from mlops_runtime.errors import Problem, Refusal
from mlops_runtime.gates import Gate
from mlops_runtime.rollout import State

VARIABLES = "environment_variables"
COLLECTED = "azureml://datastores/workspaceblobstore/paths/modelDataCollector"  # where Azure ML's collector writes


class Traffic(Section):
    """How a new deployment takes over."""

    steps: list[int]  # its shares of the requests, in percent
    minutes: float = Field(ge=0)  # that each step is watched
    mirror: int = Field(default=0, ge=0, le=50)

    @field_validator("steps")
    @classmethod
    def rising(cls, value: list[int]) -> list[int]:
        """Refuse steps that do not lead to all requests."""
        if value != sorted(set(value)) or value[-1:] != [100] or value[0] < 1:
            raise ValueError("the steps must rise, from 1 at least to 100")
        return value


class Health(Section):
    """What a new deployment must keep while it takes over."""

    requests: int = Field(ge=2)  # sent to it on every step
    error_rate: float = Field(ge=0, lt=1)
    p95_ms: float = Field(gt=0)


class Objective(Section):
    """What a deployment must stand under load before it may go to production."""

    requests_per_second: float = Field(gt=0)
    seconds: float = Field(gt=0)
    p95_ms: float = Field(gt=0)
    error_rate: float = Field(ge=0, lt=1)


class Autoscale(Section):
    """How many instances a deployment has."""

    min: int = Field(ge=1)
    max: int = Field(ge=1)
    cpu_percent: int = Field(ge=10, le=95)


class Deployment(release.Settings):
    """What is under deployment: in config."""

    traffic: Traffic
    health: Health
    objective: Objective
    autoscale: Autoscale | None = None


def deploy(settings: Config, version: str | None, *, dry_run: bool, take_over: bool) -> None:
    """Bring a model to where it gets every request, in steps; what served before stays for `rollback`.

    Refusal when the new deployment is not good enough: what served before serves again.
    """
    from mlops_runtime.cloud import releases

    model = releases.model_to_deploy(settings, version)
    name = _bring(settings, model, dry_run=dry_run, take_over=take_over)
    if not dry_run:
        _watch_over(settings, model, name)


def _watch_over(settings: Config, model: Any, name: str) -> None:
    """Have what this deployment is asked, and what it answers, looked at every day."""
    from mlops_runtime.cloud import releases, schedules

    client, endpoint = cloud.workspace(settings), cast(Deployment, settings.deployment).name
    schedules.watch(settings, client, model, f"{COLLECTED}/{endpoint}/{name}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = releases.fetch(settings, model, Path(scratch))
        schedules.monitor(settings, client, f"{endpoint}:{name}", folder / "evaluation" / "reference.parquet")


def _bring(settings: Config, model: Any, *, dry_run: bool = False, take_over: bool = False) -> str:
    """Deploy this model; the name of its deployment."""
    from mlops_runtime.cloud import releases
    from mlops_runtime.cloud.live import Live

    own = cast(Deployment, settings.deployment)
    live = Live(settings, cloud.workspace(settings))
    sampling = {"data_collector.sampling_rate": own.collection.share}
    state = live.state()
    planned = releases.make(settings, model, None, VARIABLES, **sampling)
    first = rollout.plan(state, planned.digest, own.traffic.steps, own.traffic.mirror, ())
    said = f"{model.name} {model.version} on {live.name}"
    if first.do == "nothing":
        print(f"{said}: {first}; nothing to do.")
        return first.name
    if dry_run:
        print(f"{said}:")
        for key, value in planned.changes.items():
            print(f"  {key}: {value}")
        for number, sentence in enumerate(_sentences(state, planned.digest, own), 1):
            print(f"  {number}. {sentence}")
        return first.name
    with tempfile.TemporaryDirectory() as scratch:
        folder = releases.fetch(settings, model, Path(scratch))
        content = releases.make(settings, model, folder, VARIABLES, **sampling)
        rows = serving.example_rows(folder)
    print(f"{said}: content {content.digest}", flush=True)
    back = rollout.superseded(live.state(), content.digest)

    def begin(entity: Any) -> None:
        if back:  # in the write that forgets what was on its way: it must not be taken for what served
            print(f"  traffic: {back} 100 %, as something else was on its way", flush=True)
            entity.traffic = {back: 100}

    live.hold(content.digest, take_over, begin)
    try:
        live.token()  # now: minutes after a pipeline signed in, Entra gives it no other kind of token
        return _Rollout(live, own, content, rows).run()
    except (Problem, KeyboardInterrupt):
        live.let_go()
        raise


def _sentences(state: State, digest: str, own: Deployment) -> Iterator[str]:
    """What a rollout would do, if all goes well."""
    done: list[str] = []
    if back := rollout.superseded(state, digest):
        yield f"traffic: {back} 100 %, as something else is on its way"
        state = replace(state, traffic={back: 100}, rollout=digest)
    while not done or done[-1] != "finish":
        action = rollout.plan(state, digest, own.traffic.steps, own.traffic.mirror, done)
        yield str(action)
        done.append(rollout.trace(action, state))
        state = rollout.after(state, action, digest)


class _Rollout:
    """One rollout, held by this process."""

    def __init__(self, live: Any, own: Deployment, content: Any, rows: list[dict[str, Any]]) -> None:
        self.live, self.own, self.content, self.rows = live, own, content, rows
        self.done: list[str] = []
        self.before: State = live.state()

    def run(self) -> str:
        """Take one step after the other; the name of the deployment in the end."""
        while True:
            state = self.live.state()
            traffic = self.own.traffic
            action = rollout.plan(state, self.content.digest, traffic.steps, traffic.mirror, self.done)
            print(f"  {action}", flush=True)
            if action.do == "finish":
                self.live.shift(state.traffic, end=True)
                return action.name
            try:
                self._take(action, state)
            except Refusal as refusal:
                raise Refusal(f"{refusal}{self._back(action.name, state)}") from None
            self.done.append(rollout.trace(action, state))

    def _take(self, action: rollout.Action, state: State) -> None:
        name, live = action.name, self.live
        if action.do == "create":
            if "create" in self.done:
                raise Problem(f"Azure has created {name}, but says that it is not ready.{live.log(name)}")
            live.create(name, self.content)
        elif action.do == "wait":
            live.wait(name)
        elif action.do == "smoke":
            scale = self.own.autoscale
            if scale:
                live.scale(name, scale.min, scale.max, scale.cpu_percent)
            _smoke(live, name, self.rows)
        elif action.do == "shift":
            live.shift(action.traffic)
        elif action.do == "mirror":
            live.shift(state.traffic, mirror={name: self.own.traffic.mirror})
            self._watch(name)
            live.shift(state.traffic)
        else:
            self._watch(name)

    def _watch(self, name: str) -> None:
        """Refusal when the deployment does not keep the limits, or Azure does not call it ready."""
        health = self.own.health
        ask, request = _ask(self.live, name), probes.body(self.rows)
        answers = probes.watch(ask, request, health.requests, 60 * self.own.traffic.minutes, health.error_rate)
        found = rollout.complaints(answers, health.error_rate, health.p95_ms)
        state = self.live.provisioning(name)
        if state != rollout.READY:
            found.append(f"Azure says that it is {state}")
        if found:
            raise Refusal(f"{name} is not well: {'; '.join(found)}.")

    def _back(self, name: str, state: State) -> str:
        """Give the requests back to what served before; what to say of it."""
        old = rollout.stable(self.before)
        if old == name:  # it had everything already when this process took it up
            old = rollout.previous(self.before)
        log = self.live.log(name)
        if old:
            self.live.shift({old: 100}, end=True, refused=self.content.digest)
            moved = f"All requests went back to {old}." if state.share(name) else f"{old} still gets all requests."
        elif not self.before.share(name):
            self.live.shift({}, end=True, refused=self.content.digest)
            moved = "It gets no requests."
        else:
            self.live.let_go()
            moved = "It gets the requests all the same, as no other does: deploy a model that works."
        return f"\n{moved} What to do: read its log, and try the model with `mlops serve`.{log}"


def _ask(live: Any, name: str) -> probes.Ask:
    return probes.asker(live.uri, name, live.token)


def _smoke(live: Any, name: str, rows: list[dict[str, Any]]) -> None:
    found = probes.smoke(_ask(live, name), rows)
    if found:
        raise Refusal(f"{name} failed its test: {'; '.join(found)}.")


def rollback(settings: Config, *, dry_run: bool, take_over: bool) -> None:
    """Give every request back to the other deployment, if that answers as it should."""
    from mlops_runtime.cloud import releases
    from mlops_runtime.cloud.live import Live

    live = Live(settings, cloud.workspace(settings))
    state = live.state()
    other = rollout.previous(state)
    if other is None:
        raise Refusal(f"{live.name} has no other deployment that is ready: there is nothing to go back to.")
    model = live.model(other)
    print(f"{live.name}: back to {other}, which has {model.name} {model.version}", flush=True)
    if dry_run:
        return
    live.hold("", take_over)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            rows = serving.example_rows(releases.fetch(settings, model, Path(scratch)))
        _smoke(live, other, rows)
        live.shift({other: 100}, end=True, refused=state.rollout or state.refused)
    except (Problem, Refusal, KeyboardInterrupt):
        live.let_go()
        raise
    print(f"{other} gets all requests.")
    _watch_over(settings, model, other)


def trial(settings: Config, model: Any) -> dict[str, Sequence[Gate]]:
    """Deploy a candidate in staging and ask it as often as config's objective says: the checks of staging."""
    from mlops_runtime.cloud.live import Live

    own = cast(Deployment, settings.deployment)
    try:
        name = _bring(settings, model)
    except Refusal as refusal:
        return {"test deployment": [Gate("deploy", False, None, 0.0, str(refusal))], "load": []}
    checks: dict[str, Sequence[Gate]] = {
        "test deployment": [Gate("deploy", True, None, 0.0, f"{name} answers and takes requests")]
    }
    return checks | {"load": _load(own, Live(settings, cloud.workspace(settings)), name, settings, model)}


def _load(own: Deployment, live: Any, name: str, settings: Config, model: Any) -> list[Gate]:
    from mlops_runtime.cloud import releases

    live.state()
    goal = own.objective
    with tempfile.TemporaryDirectory() as scratch:
        request = probes.body(serving.example_rows(releases.fetch(settings, model, Path(scratch))))
    answers, rate = probes.load(_ask(live, name), request, goal.requests_per_second, goal.seconds)
    wrong, slow = rollout.failed(answers) / len(answers), rollout.percentile95(answers)
    least = 0.95 * goal.requests_per_second  # the last answers come after the last request
    return [
        Gate("p95_ms", slow <= goal.p95_ms, slow, goal.p95_ms, f"95 % of {len(answers)} answers within {slow:.0f} ms"),
        Gate("error_rate", wrong <= goal.error_rate, wrong, goal.error_rate, f"{wrong:.1%} of the requests failed"),
        Gate("requests_per_second", rate >= least, rate, least, f"{rate:.1f} answers per second"),
    ]
