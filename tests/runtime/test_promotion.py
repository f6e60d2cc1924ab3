"""A model goes on only with its gates, its lineage, its trial and other people's approval."""

import pytest
from mlops_runtime import promotion

GOOD = {
    "gates": "passed",
    "model_digest": "0123456789abcdef",
    "data_version": "d1",
    "git_commit": "c1",
    "git_author": "ann@example.com",
    "environment": "python 3.11",
    "verdict": "passed",
}


def test_good_ones_go_on() -> None:
    assert promotion.refusals(GOOD, "staging", ["ben@example.com"], 1) == []
    assert promotion.refusals(GOOD, "prod", ["ben@example.com", "Ann@example.com"], 2) == []


FAULTS = {
    "gates": ({"gates": "failed"}, "has not passed the gates"),
    "no data version": ({"data_version": ""}, None),
    "unknown commit": ({"git_commit": "unknown"}, "git_commit is missing"),
    "uncommitted": ({"git_commit": "c1+changes"}, "not committed"),
    "not tried": ({"verdict": "failed"}, "tag verdict is failed"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_refused(fault: str) -> None:
    changed, said = FAULTS[fault]
    found = promotion.refusals(GOOD | changed, "prod", ["ben@example.com", "cat@example.com"], 2)
    assert len(found) == 1
    assert (said or "data_version is missing") in found[0]


@pytest.mark.parametrize("approvers", [[], [" "], ["ben@example.com"], ["ben@example.com", "BEN@example.com "]])
def test_too_few_people(approvers: list[str]) -> None:
    assert "the approval of 2" in promotion.refusals(GOOD, "prod", approvers, 2)[0]


def test_the_author_alone_does_not_suffice() -> None:
    assert "somebody else" in promotion.refusals(GOOD, "staging", ["Ann@example.com"], 1)[0]


def test_the_author_alone_does_not_suffice_by_the_names_of_the_host() -> None:
    """Approvers are logins there, and the commit has an e-mail: who wrote it is compared by login."""
    assert promotion.refusals(GOOD, "staging", ["ann"], 1) == [], "nobody was asked who wrote it: by hand"
    assert "ann wrote the code" in promotion.refusals(GOOD, "staging", ["Ann"], 1, ["ann"])[0]
    assert "ann, ben wrote the code" in promotion.refusals(GOOD, "prod", ["ann", "ben"], 2, ["ann", "ben"])[0]
    assert promotion.refusals(GOOD, "staging", ["ben"], 1, ["ann"]) == []
    assert promotion.refusals(GOOD, "prod", ["ann", "ben"], 2, ["ann"]) == []


def test_where_nobody_knows_who_wrote_it_one_person_does_not_suffice() -> None:
    (reason,) = promotion.refusals(GOOD, "staging", ["ben"], 1, [])
    assert "does not say who wrote commit c1" in reason
    assert "--approved-by" in reason
    assert promotion.refusals(GOOD, "prod", ["ben", "cat"], 2, []) == []
    assert promotion.refusals(GOOD, "staging", [], 0, []) == [], "config says who decided to go on without"


def test_the_trial_is_for_production() -> None:
    tags = {key: value for key, value in GOOD.items() if key != "verdict"}
    assert promotion.refusals(tags, "staging", ["ben@example.com"], 1) == []
    assert promotion.refusals(tags, "prod", ["ben@example.com", "cat@example.com"], 2)
