"""How a new deployment takes over from the one that serves: which step is next, from what Azure says there is.

Nothing here talks to Azure: a state goes in, an action comes out. So an interrupted rollout goes on where it was.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

COLOURS = ("blue", "green")
READY = "Succeeded"
IN_PROGRESS = ("Creating", "Updating", "Scaling", "Deleting")


@dataclass(frozen=True)
class Deployed:
    """A deployment: the digest of what it runs and Azure's word for its state."""

    digest: str
    state: str = READY


@dataclass(frozen=True)
class State:
    """An endpoint: the share of requests per deployment in percent, its deployments, what is or was on its way."""

    traffic: dict[str, int] = field(default_factory=dict)
    deployments: dict[str, Deployed] = field(default_factory=dict)
    rollout: str = ""  # the digest that is on its way
    refused: str = ""  # the digest that was not good enough

    def share(self, name: str) -> int:
        """What share of the requests a deployment gets."""
        return self.traffic.get(name, 0)

    def most(self, names: Collection[str]) -> str | None:
        """The one of `names` that gets most; None when none gets anything."""
        best = max(sorted(names), key=self.share, default=None)
        return best if best and self.share(best) else None

    def runs(self, digest: str) -> list[str]:
        """The deployments with this content."""
        return [name for name in self.deployments if digest and self.deployments[name].digest == digest]


@dataclass(frozen=True)
class Action:
    """The next step of a rollout, and the deployment that it is about."""

    do: Literal["nothing", "wait", "create", "smoke", "mirror", "watch", "shift", "finish"]
    name: str = ""
    traffic: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        """In words."""
        shares = ", ".join(f"{name} {share} %" for name, share in self.traffic.items())
        return {
            "nothing": f"{self.name} serves this already",
            "wait": f"wait until Azure has finished with {self.name}",
            "create": f"create {self.name} without traffic",
            "smoke": f"ask {self.name} with good and bad requests",
            "mirror": f"let {self.name} have a copy of live requests, and watch it",
            "watch": f"watch {self.name}",
            "shift": f"traffic: {shares}",
            "finish": f"{self.name} has taken over",
        }[self.do]


def plan(state: State, digest: str, steps: Sequence[int], mirror: int, done: Collection[str]) -> Action:
    """The next action on the way to a state in which what has this digest gets every request.

    `steps` are its shares of the traffic on the way, `mirror` the share of requests copied to it before the first, and
    `done` what this process has done already of that which leaves no trace in Azure.
    """
    new = _place(state, digest)
    others = [name for name in state.traffic if name != new]
    old = state.most(others)
    here, share = state.deployments.get(new), state.share(new)
    if here is None or here.digest != digest or here.state != READY:
        if here and here.state in IN_PROGRESS:
            return Action("wait", new)
        if share and old:
            return Action("shift", new, {old: 100})
        return Action("create", new)
    if share == 100 and not state.rollout:
        return Action("nothing", new)
    if "smoke" not in done:
        return Action("smoke", new)
    if mirror and old and not share and "mirror" not in done:
        return Action("mirror", new)
    if share and f"watch {share}" not in done:
        return Action("watch", new)
    if share == 100:
        return Action("finish", new)
    more = next(step for step in steps if step > share) if old else 100
    return Action("shift", new, {name: part for name, part in ((old, 100 - more), (new, more)) if name and part})


def _place(state: State, digest: str) -> str:
    """The deployment that has this content, or else the one that may be replaced."""
    same = state.runs(digest)
    if same:
        return state.most(same) or same[0]
    live = stable(state)
    return next(name for name in COLOURS if name != live)


def stable(state: State) -> str | None:
    """The deployment that serves: of several the one that is not on its way; None when nothing does."""
    on_its_way = state.runs(state.rollout)
    return state.most([name for name in state.traffic if name not in on_its_way]) or state.most(state.traffic)


def previous(state: State) -> str | None:
    """The deployment to go back to: ready, once good enough, and not the one that is on its way or gets most."""
    on_its_way = state.runs(state.rollout)
    left = state.most(on_its_way) or state.most(state.traffic)
    never_served = {left, *on_its_way, *state.runs(state.refused)}
    ready = [name for name, one in sorted(state.deployments.items()) if one.state == READY and name not in never_served]
    return max(ready, key=state.share, default=None)


def superseded(state: State, digest: str) -> str | None:
    """Which deployment gets back what another content on its way has; None when there is none or nobody else."""
    other = state.runs(state.rollout) if state.rollout != digest else []
    return previous(state) if state.most(other) else None


def after(state: State, action: Action, digest: str) -> State:
    """The state when an action has worked, for saying beforehand what will be done."""
    if action.do in ("create", "wait"):
        known = digest if action.do == "create" else state.deployments[action.name].digest
        return replace(state, deployments={**state.deployments, action.name: Deployed(known)}, rollout=digest)
    return replace(state, traffic=action.traffic, rollout=digest) if action.do == "shift" else state


def trace(action: Action, state: State) -> str:
    """What to remember of an action in `done`."""
    return f"watch {state.share(action.name)}" if action.do == "watch" else action.do


@dataclass(frozen=True)
class Answer:
    """What a deployment answered: the HTTP status (0: nothing), after how many seconds, and the body."""

    status: int
    seconds: float
    body: bytes = b""


def failed(answers: Sequence[Answer]) -> int:
    """How many were not 200."""
    return sum(answer.status != 200 for answer in answers)


def percentile95(answers: Sequence[Answer]) -> float:
    """The time in milliseconds within which 95 % of the answers came."""
    ordered = sorted(answer.seconds for answer in answers)
    return 1000 * ordered[math.ceil(0.95 * len(ordered)) - 1]


def complaints(answers: Sequence[Answer], error_rate: float, p95_ms: float) -> list[str]:
    """What is wrong with the answers of a deployment; nothing when they keep the limits."""
    found, wrong = [], failed(answers)
    if wrong > error_rate * len(answers):
        worst = next(answer for answer in answers if answer.status != 200)
        said = f"HTTP {worst.status}" if worst.status else "no answer"
        found.append(f"{wrong} of {len(answers)} requests failed ({said}); at most {error_rate:.1%} may")
    if percentile95(answers) > p95_ms:
        found.append(f"95 % of the answers took up to {percentile95(answers):.0f} ms; at most {p95_ms:.0f} may be")
    return found
