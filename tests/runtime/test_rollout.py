"""A rollout gets where it should from wherever it is, and never gives requests to what has not been tried."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlops_runtime import rollout
from mlops_runtime.rollout import Action, Answer, Deployed, State

STEPS = [10, 50, 100]
OLD, NEW = "old", "new"
TWO = {"blue": Deployed(OLD), "green": Deployed(NEW)}


def drive(state: State, mirror: int = 0) -> list[Action]:
    """All actions of a rollout in which everything works."""
    done: list[str] = []
    actions: list[Action] = []
    while len(actions) < 30:
        action = rollout.plan(state, NEW, STEPS, mirror, done)
        actions.append(action)
        if action.do in ("nothing", "finish"):
            return actions
        done.append(rollout.trace(action, state))
        state = rollout.after(state, action, NEW)
    raise AssertionError(actions)


def words(actions: list[Action]) -> str:
    return " ".join(action.do for action in actions)


def test_first_deployment() -> None:
    actions = drive(State())
    assert words(actions) == "create smoke shift watch finish"
    assert actions[2].traffic == {"blue": 100}
    assert drive(State(), 20) == actions, "there are no requests to copy"


def test_update() -> None:
    actions = drive(State({"blue": 100}, {"blue": Deployed(OLD)}))
    assert words(actions) == "create smoke shift watch shift watch shift watch finish"
    assert [one.traffic for one in actions if one.do == "shift"] == [
        {"blue": 90, "green": 10},
        {"blue": 50, "green": 50},
        {"green": 100},
    ]
    assert words(drive(State({"blue": 100}, {"blue": Deployed(OLD)}), 20)).startswith("create smoke mirror shift watch")


def test_nothing_to_do() -> None:
    assert drive(State({"green": 100}, TWO)) == [Action("nothing", "green")]
    assert words(drive(State({"green": 100}, TWO, NEW))) == "smoke watch finish", "its last watch did not end"


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (State({}, {"blue": Deployed(NEW, "Creating")}, NEW), "wait smoke shift watch finish"),
        (State({"blue": 100}, {**TWO, "green": Deployed(OLD, "Failed")}), "create smoke shift"),
        (State({"blue": 100}, {**TWO, "green": Deployed("x", "Updating")}), "wait create smoke shift"),
        (State({"blue": 100}, TWO), "smoke shift watch shift"),
        (State({"blue": 50, "green": 50}, TWO, NEW), "smoke watch shift watch finish"),
        (State({"blue": 50, "green": 50}, {**TWO, "green": Deployed("x")}, "x"), "shift create smoke shift"),
    ],
)
def test_interrupted(state: State, expected: str) -> None:
    actions = drive(state)
    assert words(actions).startswith(expected)
    assert actions[-1] == Action("finish", actions[0].name)
    assert actions[0].name == ("blue" if not state.traffic else "green")


states = st.builds(
    lambda digests, ready, share, rollout: State(
        {name: part for name, part in (("blue", share), ("green", 100 - share)) if part and name in digests},
        {name: Deployed(digests[name], ready.get(name, "Succeeded")) for name in digests},
        rollout,
    ),
    st.dictionaries(st.sampled_from(["blue", "green"]), st.sampled_from([OLD, NEW, "x"])),
    st.dictionaries(st.sampled_from(["blue", "green"]), st.sampled_from(["Failed", "Creating", "Updating"])),
    st.sampled_from([0, 10, 50, 90, 100]),
    st.sampled_from(["", OLD, NEW, "x"]),
)


@given(states)
def test_from_anywhere(state: State) -> None:
    """It ends with everything on what was asked for, and shifts nothing to it before it was tried."""
    tried = False
    done: list[str] = []
    for number in itertools.count():
        assert number < 30, "it never ends"
        action = rollout.plan(state, NEW, STEPS, 0, done)
        if action.do in ("nothing", "finish"):
            break
        tried = tried or action.do == "smoke"
        if action.do == "shift":
            assert sum(action.traffic.values()) == 100
            more = [name for name in action.traffic if action.traffic[name] > state.share(name)]
            live = [name for name in more if state.deployments[name].digest == NEW]
            assert tried or not live or len(state.traffic) > 1
        if action.do == "create":
            others = [name for name in state.traffic if name != action.name]
            assert not state.share(action.name) or not others, "what gets requests is not replaced"
        done.append(rollout.trace(action, state))
        state = rollout.after(state, action, NEW)
    assert state.traffic == {action.name: 100}
    assert state.deployments[action.name] == Deployed(NEW)


def test_previous() -> None:
    assert rollout.previous(State()) is None
    assert rollout.previous(State({"blue": 100}, {"blue": Deployed(OLD)})) is None
    assert rollout.previous(State({"green": 100}, TWO)) == "blue"
    assert rollout.previous(State({"green": 90, "blue": 10}, TWO, NEW)) == "blue", "it gives back what it has"
    assert rollout.previous(State({"blue": 90, "green": 10}, TWO, NEW)) == "blue"
    assert rollout.previous(State({"green": 100}, {**TWO, "blue": Deployed(OLD, "Failed")})) is None
    assert rollout.previous(State({"blue": 100}, TWO, NEW)) is None, "it was never tried"
    assert rollout.previous(State({"blue": 100}, TWO, refused=NEW)) is None, "it was not good enough"
    assert rollout.previous(State({"green": 100}, TWO, NEW)) == "blue"


def test_superseded() -> None:
    three = {"blue": Deployed("x"), "green": Deployed(OLD)}
    for share in (10, 50, 90):
        assert rollout.superseded(State({"blue": share, "green": 100 - share}, three, "x"), NEW) == "green"
    assert rollout.superseded(State({"blue": 100}, three, "x"), NEW) == "green"
    assert rollout.superseded(State({"blue": 50, "green": 50}, three, "x"), "x") is None, "it is the same"
    assert rollout.superseded(State({"green": 100}, three, "x"), NEW) is None, "it has nothing to give back"
    assert rollout.superseded(State({"green": 100}, three), NEW) is None
    assert rollout.superseded(State({"blue": 100}, {"blue": Deployed("x")}, "x"), NEW) is None, "nobody to give it to"


def test_stable() -> None:
    assert rollout.stable(State({"blue": 10, "green": 90}, TWO, NEW)) == "blue"
    assert rollout.stable(State({"blue": 10, "green": 90}, TWO)) == "green"
    assert rollout.stable(replace(State({"green": 100}, TWO), rollout=NEW)) == "green"
    assert rollout.stable(State()) is None


def test_complaints() -> None:
    good, bad = [Answer(200, 0.1)] * 99, [Answer(503, 0.1)]
    assert rollout.complaints(good, 0.0, 500) == []
    assert rollout.complaints(good + bad, 0.01, 500) == []
    (said,) = rollout.complaints(good + bad * 2, 0.01, 500)
    assert said == "2 of 101 requests failed (HTTP 503); at most 1.0% may"
    assert "no answer" in rollout.complaints([Answer(0, 0.1)], 0.0, 500)[0]
    slow = [Answer(200, 0.1)] * 94 + [Answer(200, 0.9)] * 6
    assert rollout.complaints(slow, 0.0, 500) == ["95 % of the answers took up to 900 ms; at most 500 may be"]
    assert rollout.complaints(slow[1:] + slow[:1] * 2, 0.0, 900) == []
