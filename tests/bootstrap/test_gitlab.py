"""`mlops bootstrap` with GitLab, against a stand-in of `glab` that knows only what is published."""

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from mlops_runtime import derived
from mlops_runtime.bootstrap import tools

from . import fake, glab
from .conftest import INDEX, World
from .test_bootstrap import RECORD, as_administrator, filled

pytestmark = pytest.mark.full

APPROVERS = {
    "shared.approvals.reviewers.staging.model_tester": ["tess"],
    "shared.approvals.reviewers.prod.project_lead": ["acme/leads"],
    "shared.approvals.reviewers.prod.product_owner": ["olaf"],
}
MAIN = "project_path:acme/taxi-fares:ref_type:branch:ref:main"
TIERS = {"shared": "other", "dev": "development", "staging": "staging", "prod": "production"}
TIERS |= {"plan": "testing", "monitor": "other"}
SCHEDULES = {"release", "monitor", "drift", "template-update"}


@pytest.fixture
def gitlab(world: World, plug_ins: Callable[[str, str], None]) -> World:
    """The same project on GitLab."""
    plug_ins("gitlab-ci", "bicep")
    world.state["gitlab"] = glab.new_state()
    return world


def here(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.state["gitlab"]
    return found


def subjects(world: World) -> dict[str, str]:
    """By the name of the credential."""
    listed = [one for credentials in world.state["credentials"].values() for one in credentials]
    return {one["name"].removeprefix("taxi-fares-"): one["subject"] for one in listed}


def protection(world: World, name: str) -> dict[str, list[dict[str, Any]]]:
    """Who may start and who must approve, without what is empty."""
    there = here(world)["protected"][name]
    return {
        key: [{k: v for k, v in one.items() if v is not None and k != "id"} for one in there[key]]
        for key in ("deploy_access_levels", "approval_rules")
    }


def test_a_plan_changes_nothing(gitlab: World) -> None:
    before = gitlab.texts()
    code, printed = gitlab.run("--plan", *INDEX)
    assert code == 0, printed
    assert gitlab.texts() == before
    assert gitlab.state["changes"] == 0
    for line in (
        "✓ protected branch main of acme/taxi-fares",
        "+ settings of acme/taxi-fares: subjects of its tokens name protection and tier of the environment",
        "+ environment prod of acme/taxi-fares, approved by project lead and product owner",
        f"+ federated credential for {MAIN}:environment_protected:true:deployment_tier:production",
        "+ schedule of pipeline release (*/30 * * * *)",
    ):
        assert line in printed


def test_everything_is_made(gitlab: World) -> None:
    printed = gitlab.make()
    assert "Done. Commit config/ and infrastructure/." in printed
    assert filled(gitlab) == []
    state, project = gitlab.state, here(gitlab)
    for name in TIERS:
        guarded = "false" if name == "monitor" else "true"
        assert subjects(gitlab)[name] == f"{MAIN}:environment_protected:{guarded}:deployment_tier:{TIERS[name]}"
        assert project["variables"][f"{name}/AZURE_SUBSCRIPTION_ID"]["value"] == state["account"]["id"]
    assert len(set(subjects(gitlab).values())) == len(TIERS)
    issuers = {one["issuer"] for listed in state["credentials"].values() for one in listed}
    assert issuers == {"https://gitlab.com"}
    assert len({project["variables"][f"{name}/AZURE_CLIENT_ID"]["value"] for name in TIERS}) == len(TIERS)
    assert project["variables"]["*/AZURE_TENANT_ID"]["value"] == state["account"]["tenantId"]
    assert all(one["protected"] for one in project["variables"].values())
    assert {one["name"]: one["tier"] for one in project["environments"].values()} == TIERS
    said = {one["description"]: one["variables"] for one in project["schedules"].values()}
    assert said == {f"taxi-fares: {name}": [{"key": "PIPELINE", "value": name}] for name in SCHEDULES}
    assert {one["ref"] for one in project["schedules"].values()} == {"main"}
    assert project["settings"]["ci_id_token_sub_claim_components"][-1] == "deployment_tier"
    assert project["settings"]["ci_pipeline_variables_minimum_override_role"] == "maintainer"
    assert project["settings"]["ci_push_repository_for_job_token_allowed"]


def test_who_approves(gitlab: World) -> None:
    """One environment asks for all approvals: a rule for each persona."""
    gitlab.make()
    both = [{"group_id": 21, "required_approvals": 1}, {"user_id": 13, "required_approvals": 1}]
    wanted = {
        "plan": [],
        "dev": [],
        "staging": [{"user_id": 11, "required_approvals": 1}],
        "prod": both,
        "shared": both,
    }
    for name, rules in wanted.items():
        assert protection(gitlab, name) == {"deploy_access_levels": [{"access_level": 40}], "approval_rules": rules}
    assert "monitor" not in here(gitlab)["protected"]
    assert here(gitlab)["settings"]["allow_pipeline_trigger_approve_deployment"] is False


def test_again_and_back(gitlab: World) -> None:
    texts, made = gitlab.texts(), gitlab.made()
    gitlab.make()
    whole, changes = gitlab.made(), gitlab.state["changes"]
    code, printed = gitlab.run()
    assert (code, "Everything is there." in printed) == (0, True)
    assert (gitlab.made(), gitlab.state["changes"]) == (whole, changes)
    text = (gitlab.root / RECORD).read_text(encoding="utf-8")
    assert json.loads(text)["begun"] == []
    assert not re.search("secret|password|glpat", text, re.IGNORECASE)
    code, printed = gitlab.run("--undo", "--yes")
    assert code == 0, printed
    assert gitlab.texts() == texts
    left = gitlab.made()
    ids = left["gitlab"].pop("ids")
    assert ids > made["gitlab"].pop("ids")
    assert left == {**made, "providers": gitlab.state["providers"]}


@pytest.mark.parametrize(("when", "first"), [("after", 1), ("before", 4)])
def test_a_run_that_broke_off_is_finished_by_the_next(gitlab: World, when: str, first: int) -> None:
    """At every eleventh change, before or after its effect."""
    derived.render(gitlab.root)
    texts, empty = gitlab.texts(), copy.deepcopy(gitlab.state)
    gitlab.make()
    whole, changes = gitlab.made(), gitlab.state["changes"]
    for number in range(first, changes + 1, 11):
        for name in set(gitlab.texts()) - set(texts):
            (gitlab.root / name).unlink(missing_ok=True)
        for name, text in texts.items():
            (gitlab.root / name).write_text(text, encoding="utf-8")
        gitlab.state = {**copy.deepcopy(empty), "break": number, "when": when}
        assert gitlab.run("--yes", *INDEX)[0] == 2
        gitlab.make()
        assert gitlab.made() == whole, number


DENIED = {
    "settings": "PUT /projects/7",
    "environments": "POST /projects/7/environments",
    "protection": "POST /projects/7/protected_environments",
    "variables": "POST /projects/7/variables",
    "schedules": "POST /projects/7/pipeline_schedules",
}


@pytest.mark.parametrize("right", DENIED)
def test_what_a_maintainer_must_do_is_said_exactly(gitlab: World, right: str) -> None:
    gitlab.state["denied"] = [DENIED[right]]
    code, printed = gitlab.run("--yes", *INDEX)
    assert code == 1
    assert "With the role Maintainer in the project" in printed
    for _ in range(5):
        if code == 0:
            break
        requests = [line.strip() for line in printed.splitlines() if re.match(r"    (az|glab|echo) ", line)]
        assert requests, printed
        for request in requests:
            as_administrator(gitlab, request)
        code, printed = gitlab.run("--yes", *INDEX)
    assert code == 0, printed


PLANS = {
    "free": {"plan": "free"},
    "not told, without a licence": {"plan": "", "real": "free"},
    "a trial that is over": {"plan": "free_trial"},
}


@pytest.mark.parametrize("plan", PLANS)
def test_without_approvals_there_is_no_production(gitlab: World, plan: str) -> None:
    here(gitlab).update(PLANS[plan])
    code, printed = gitlab.run("--yes", *INDEX)
    assert code == 1
    assert "environments of acme/taxi-fares cannot ask for approval: that needs GitLab Premium" in printed
    apps = [app["displayName"] for app in gitlab.state["apps"].values()]
    assert apps == [f"taxi-fares-{name}-pipelines" for name in ("dev", "plan", "monitor")]
    assert {one["name"] for one in here(gitlab)["environments"].values()} == {"dev", "plan", "monitor"}
    assert here(gitlab)["schedules"] == {}
    gitlab.set(**{"shared.approvals.unprotected": "CTO, 2030-01-15: one person works on it"})
    gitlab.make()
    assert here(gitlab)["protected"] == {}
    assert subjects(gitlab)["prod"] == f"{MAIN}:environment_protected:false:deployment_tier:production"
    assert {one["cron"] for one in here(gitlab)["schedules"].values()} >= {"7 * * * *"}  # the plan runs 24 a day


@pytest.mark.parametrize("plan", [{"plan": "ultimate_trial", "real": "ultimate"}, {"plan": "", "real": "premium"}])
def test_plans_with_approvals(gitlab: World, plan: dict[str, str]) -> None:
    here(gitlab).update(plan)
    gitlab.make()
    assert protection(gitlab, "prod")["approval_rules"]


def test_a_gitlab_of_ones_own_before_tiers(gitlab: World) -> None:
    """Its subjects name only the branch: every environment has the same, which docs/gitlab-ci.md says."""
    here(gitlab).update({"version": "18.6.2-ee", "url": "https://gitlab.example.com", "plan": "", "real": "premium"})
    gitlab.make()
    assert set(subjects(gitlab).values()) == {MAIN}
    issuers = {one["issuer"] for listed in gitlab.state["credentials"].values() for one in listed}
    assert issuers == {"https://gitlab.example.com"}
    assert here(gitlab)["settings"]["ci_id_token_sub_claim_components"] == ["project_path", "ref_type", "ref"]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "nobody": ({"prod.product_owner": []}, "approvals.reviewers.prod.product_owner is empty: write who approves"),
    "two": ({"prod.product_owner": ["olaf", "lea"]}, "names 2: GitLab would ask all of them; make a group of them"),
    "unknown user": ({"staging.model_tester": ["nobody"]}, "GitLab knows no user 'nobody': correct the name"),
    "unknown group": ({"staging.model_tester": ["acme/none"]}, "GitLab knows no group 'acme/none': correct the name"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_approvers_that_cannot_be(gitlab: World, case: str) -> None:
    changes, message = REFUSED[case]
    gitlab.set(**{f"shared.approvals.reviewers.{key}": value for key, value in changes.items()})
    code, printed = gitlab.run("--yes", *INDEX)
    assert code in (1, 2)
    assert message in printed
    assert not ({"prod", "staging"} <= here(gitlab)["protected"].keys())


def test_approvers_whom_gitlab_leaves_out(gitlab: World) -> None:
    """It says nothing when a group has no access to the project."""
    here(gitlab)["strangers"] = [21]
    code, printed = gitlab.run("--yes", *INDEX)
    assert code == 2
    assert "GitLab did not take all approvers of shared: invite them" in printed
    assert gitlab.state["apps"] == {}
    here(gitlab)["strangers"] = []
    gitlab.make()
    assert len(protection(gitlab, "prod")["approval_rules"]) == 2


def test_other_approvers_are_put_right(gitlab: World) -> None:
    gitlab.make()
    gitlab.set(**{"shared.approvals.reviewers.staging.model_tester": ["lea"]})
    assert "~ environment staging" in gitlab.run("--plan")[1]
    assert gitlab.run("--yes")[0] == 0
    assert protection(gitlab, "staging")["approval_rules"] == [{"user_id": 12, "required_approvals": 1}]


def test_a_protection_that_was_there_comes_back(gitlab: World) -> None:
    level = {"user_id": None, "group_id": None, "access_level": 30, "id": 1}
    here(gitlab)["environments"]["50"] = {"id": 50, "name": "prod", "tier": "production", "state": "available"}
    here(gitlab)["protected"]["prod"] = {"name": "prod", "deploy_access_levels": [level], "approval_rules": []}
    before = protection(gitlab, "prod")
    gitlab.make()
    assert protection(gitlab, "prod") != before
    assert gitlab.run("--undo", "--yes")[0] == 0
    assert protection(gitlab, "prod") == before
    assert list(here(gitlab)["environments"]) == ["50"]


def test_a_branch_that_developers_change(gitlab: World) -> None:
    here(gitlab)["branches"]["main"]["merge_access_levels"] = [{"access_level": 30}]
    code, printed = gitlab.run("--yes", *INDEX)
    assert code == 1
    assert "developers may change branch main without anybody" in printed
    assert gitlab.state["apps"] == {}


def test_a_branch_without_protection_gets_it(gitlab: World) -> None:
    here(gitlab)["branches"] = {}
    gitlab.make()
    assert here(gitlab)["branches"]["main"]["push_access_levels"] == [{"access_level": 0}]


def test_jobs_push_only_where_the_branch_is_closed(gitlab: World) -> None:
    here(gitlab)["branches"]["main"]["push_access_levels"] = [{"access_level": 40}]
    code, printed = gitlab.run("--yes", *INDEX)
    assert code == 1
    assert "jobs could then push to main too" in printed
    assert not here(gitlab)["settings"]["ci_push_repository_for_job_token_allowed"]


def test_one_workspace_for_all(gitlab: World) -> None:
    from .test_bootstrap import read

    gitlab.set(**{"shared.infrastructure.workspaces": "one"})
    for name in ("dev", "staging"):
        gitlab.set(**{f"{name}.azure.{key}": value for key, value in read(gitlab, "prod")["azure"].items()})
        gitlab.set(**{f"{name}.azure.subscription": ""})
    gitlab.make()
    assert {one["name"] for one in here(gitlab)["environments"].values()} == {"shared", "prod", "plan", "monitor"}
    assert here(gitlab)["variables"]["*/ENVIRONMENT_DEV"]["value"] == "prod"
    assert here(gitlab)["variables"]["*/ENVIRONMENT_STAGING"]["value"] == "prod"


def test_nobody_is_signed_in(gitlab: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real = tools.execute

    def execute(command: list[str], given: str | None) -> tuple[int, str, str]:
        if command[0].endswith("glab"):
            return 1, "", "glab: 401 Unauthorized (HTTP 401)"
        return real(command, given)

    monkeypatch.setattr(tools, "execute", execute)
    code, printed = gitlab.run("--plan")
    assert (code, "glab is not signed in: run `glab auth login`" in printed) == (2, True)


WRONG = {
    "route": (["api", "projects/:id/wishes"], "", "404"),
    "command": (["wish", "x"], "", "Unknown command"),
    "flag": (["api", "user", "--colour", "red"], "", "Unknown flag"),
    "key": (
        ["api", "projects/:id", "--method", "PUT", "--header", "Content-Type: application/json", "--input", "-"],
        '{"wishes": 1}',
        "wishes does not exist",
    ),
    "no JSON": (["api", "projects/:id", "--method", "PUT", "--input", "-"], '{"name": 1}', "is no JSON"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_the_stand_in_refuses_what_nobody_published(fault: str) -> None:
    words, given, message = WRONG[fault]
    code, _, said = fake.answer("glab", words, given, fake.new_state(gitlab=glab.new_state()))
    assert code != 0
    assert message in said


def test_every_published_route_is_used() -> None:
    assert glab.ROUTES.keys() == glab.rules().keys()
