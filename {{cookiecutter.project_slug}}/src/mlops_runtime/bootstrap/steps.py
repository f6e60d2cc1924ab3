"""A plan of steps: what each makes, how to see whether it is there, and how to take it away again.

What was made is recorded in a file that the team commits, so that anybody can run it again or undo it. A step is
recorded as begun before it is made, so that a run that broke off is finished by the next one.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlops_runtime.bootstrap.tools import Denied, Missing
from mlops_runtime.errors import Problem
from mlops_runtime.files import replacing, write_json

RECORD = Path("infrastructure", "bootstrap.json")
Facts = dict[str, Any]
STALE = "stale"  # fact: it is there, but not as it should be; making it again puts that right
BEFORE = "before"  # fact: how what others had made was before it was put right


class Refused(Problem):
    """A step that must not be done as things are; the message says what would change that."""


class Later(Problem):
    """A step that cannot be done yet and will be by a later run; the message says after what."""


@dataclass(frozen=True)
class Step:
    """One thing that is there or not.

    `find` gives its facts, None when it is not there; `make` makes it (or puts it right) and gives its facts; `undo`
    takes away what these facts describe. `needs` are steps whose facts it reads, `right` is what one needs to do it.
    """

    name: str
    what: str
    find: Callable[[], Facts | None]
    make: Callable[[], Facts]
    undo: Callable[[Facts], None] | None = None
    needs: tuple[str, ...] = ()
    right: str = ""
    own: bool = False  # what somebody else has made under this name must not be taken over


@dataclass
class Record:
    """What was made, by the names of the steps in their order; without secrets."""

    path: Path
    made: dict[str, Facts] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)

    @classmethod
    def load(cls, root: Path) -> "Record":
        """The record of this repository; empty before the first run."""
        path = root / RECORD
        if not path.is_file():
            return cls(path)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls(path, content["made"], content["begun"])
        except (ValueError, KeyError, TypeError):
            raise Problem(
                f"{path} is not what `mlops bootstrap` wrote: take the last version that was (`git log`)."
            ) from None

    def knows(self, name: str) -> bool:
        """Whether this step was done or begun here."""
        return name in self.made or name in self.begun

    @property
    def known(self) -> list[str]:
        """The steps that were done or begun here."""
        return [*self.made, *self.begun]

    def begin(self, name: str) -> None:
        """Note that the step is about to be made."""
        if not self.knows(name):
            self.begun.append(name)
            self._save()

    def done(self, name: str, facts: Facts) -> None:
        """Note what was made."""
        self.made[name] = {**self.made.get(name, {}), **{k: v for k, v in facts.items() if k != STALE}}
        self.begun = [one for one in self.begun if one != name]
        self._save()

    def abandon(self, name: str) -> None:
        """Note that nothing came of what was begun."""
        self.begun = [one for one in self.begun if one != name]
        self._save()

    def forget(self, name: str) -> None:
        """Note that it is gone; an empty record leaves no file."""
        self.made.pop(name, None)
        self.abandon(name)

    def _save(self) -> None:
        if self.made or self.begun:
            with replacing(self.path) as file:
                write_json(file, {"made": self.made, "begun": self.begun})
        else:
            self.path.unlink(missing_ok=True)


THERE, MAKE, CHANGE, REFUSED, LATER, DENIED = "✓", "+", "~", "✗", "…", "?"
LEGEND = {
    THERE: "is there",
    MAKE: "will be made",
    CHANGE: "will be put right",
    REFUSED: "will not be made",
    LATER: "not yet",
    DENIED: "is for an administrator",
}


@dataclass(frozen=True)
class Planned:
    """A step with what is to be done about it and why."""

    step: Step
    state: str
    why: str = ""


Known = dict[str, Facts]


def plan(steps: list[Step], record: Record, known: Known) -> list[Planned]:
    """Look at every step, change nothing; the facts of what is there go into `known`."""
    states: dict[str, str] = {}
    planned = []
    for step in steps:
        one = _look(step, record, known, states)
        states[step.name] = one.state
        planned.append(one)
    return planned


def _look(step: Step, record: Record, known: Known, states: dict[str, str]) -> Planned:
    blocked = [name for name in step.needs if states[name] in (REFUSED, LATER, DENIED)]
    if blocked:
        state = REFUSED if states[blocked[0]] == REFUSED else LATER
        return Planned(step, state, f"after {blocked[0]}")
    if any(name not in known for name in step.needs):
        return Planned(step, MAKE)  # what it belongs to is not there yet
    try:
        facts = step.find()
    except Refused as refused:
        return Planned(step, REFUSED, str(refused))
    except Later as later:
        return Planned(step, LATER, str(later))
    except Denied as denied:
        return Planned(step, DENIED, denied.request)
    if facts is None:
        known.pop(step.name, None)
        return Planned(step, MAKE)
    if step.own and not record.knows(step.name):
        return Planned(step, REFUSED, "something of this name is there already, and it was not made here")
    known[step.name] = facts
    return Planned(step, CHANGE if facts.get(STALE) else THERE)


def lines(planned: list[Planned]) -> Iterator[str]:
    """The plan for a person."""
    for one in planned:
        why = f" ({one.why})" if one.why else ""
        yield f"{one.state} {one.step.what}{why}"
    used = {one.state for one in planned}
    yield "  ".join(f"{state} {meaning}" for state, meaning in LEGEND.items() if state in used)


def apply(planned: list[Planned], record: Record, known: Known, say: Callable[[str], None]) -> list[Planned]:
    """Do what the plan says; what is left to do, by others or later. What is there is not looked at again.

    What somebody lacks the right for stops only the steps that need it. Any other failure ends the run; all that was
    made until then is recorded.
    """
    states: dict[str, str] = {}
    left = []
    for one in planned:
        step = one.step
        one = one if one.state == THERE else _look(step, record, known, states)
        if one.state in (MAKE, CHANGE):
            one = _make(one, record, known)
            if one.state == THERE:
                say(f"{MAKE} {step.what}")
        elif one.state == THERE and step.name in record.begun:
            record.done(step.name, known[step.name])
        states[step.name] = one.state
        if one.state != THERE:
            left.append(one)
    return left


def _make(one: Planned, record: Record, known: Known) -> Planned:
    step = one.step
    existed = one.state == CHANGE and not record.knows(step.name)
    if not existed:
        record.begin(step.name)
    try:
        facts = step.make()
    except Denied as denied:
        return Planned(step, DENIED, denied.request)
    except (Refused, Later) as not_now:
        record.abandon(step.name)
        return Planned(step, LATER if isinstance(not_now, Later) else REFUSED, str(not_now))
    known[step.name] = facts
    record.done(step.name, facts if existed else {k: v for k, v in facts.items() if k != BEFORE})
    return Planned(step, THERE)


def undo(steps: list[Step], record: Record, known: Known, say: Callable[[str], None]) -> list[Planned]:
    """Take away what was made here, the last first; what is left, by whom it could be done or why it stays."""
    by_name = {step.name: step for step in steps}
    for name in record.known:
        if name not in by_name:
            raise Problem(
                f"{RECORD.as_posix()} has {name}, which config no longer asks for: put that back, undo, then remove it."
            )
    left: list[Planned] = []
    for step in [one for one in reversed(steps) if record.knows(one.name)]:
        name = step.name
        if any(name in one.step.needs for one in left):
            left.append(Planned(step, LATER, "after what needs it"))
            continue
        try:
            whole = all(need in known for need in step.needs)
            facts = record.made.get(name) or (step.find() if whole else None)
            if facts is not None and step.undo is not None:
                step.undo(facts)
            say(f"- {step.what}" if step.undo else f"· {step.what}: stays, it costs nothing and others may use it")
            record.forget(name)
        except Missing:
            record.forget(name)  # somebody took it away already
        except Denied as denied:
            left.append(Planned(step, DENIED, denied.request))
        except Refused as refused:
            left.append(Planned(step, REFUSED, str(refused)))
    return left
