"""`mlops bootstrap` against stand-ins of `az` and `gh`: plan, run, run again, undo, and all that may go wrong."""

import copy
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlops_runtime import cli, config, derived, infrastructure
from mlops_runtime.bootstrap import tools
from mlops_runtime.errors import Problem

from ..conftest import SLUG_FOLDER, TEMPLATE, some_quick
from . import fake
from .conftest import INDEX, World, on_path

ENVIRONMENTS = ("shared", "dev", "staging", "prod")
IDENTITIES = (*ENVIRONMENTS, "plan", "monitor")
RECORD = "infrastructure/bootstrap.json"
PERSONAS = 9  # with a group in rbac.yml
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
BLOB_READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def filled(world: World) -> list[str]:
    """What the estate still lacks."""
    return list(infrastructure.missing(world.root, [config.load(name, world.root) for name in config.ENVIRONMENTS]))


def read(world: World, name: str) -> Any:
    return config.read_yaml(world.root / "config" / f"{name}.yml")


def test_a_plan_changes_nothing(world: World) -> None:
    before = world.texts()
    code, printed = world.run("--plan", *INDEX)
    assert code == 0
    assert world.texts() == before
    assert world.state["changes"] == 0
    for line in (
        "+ Entra group taxi-fares-model-tester for model_tester",
        "+ environment prod of acme/taxi-fares, approved by product owner, for branch main only",
        "+ federated credential for repo:acme/taxi-fares:environment:prod",
        "package_index: packages.example.com, files.example.com, from the command line",
        "+ will be made",
    ):
        assert line in printed


def test_everything_is_made(world: World) -> None:
    assert filled(world)
    printed = world.make()
    assert "Done. Commit config/ and infrastructure/." in printed
    assert filled(world) == []
    state = world.state
    assert len(state["ad_groups"]) == PERSONAS
    assert len(state["groups"]) == len(ENVIRONMENTS)
    assert len(state["apps"]) == len(state["principals"]) == len(IDENTITIES)
    for name in ENVIRONMENTS:
        settings = read(world, name)["infrastructure"]
        assert settings["existing"] == {"resource_group": True}
        principal = state["principals"][settings["groups"]["cicd_processes"]]
        (credential,) = state["credentials"][principal["appId"]]
        assert credential["subject"] == f"repo:acme/taxi-fares:environment:{name}"
        assert credential["issuer"] == "https://token.actions.githubusercontent.com"
        assert credential["audiences"] == ["api://AzureADTokenExchange"]
        variables = state["environments"][name]["variables"]
        assert variables == {"AZURE_CLIENT_ID": principal["appId"], "AZURE_SUBSCRIPTION_ID": state["account"]["id"]}
    assert state["variables"] == {"AZURE_TENANT_ID": state["account"]["tenantId"], "WORKSPACES": "separate"}


def test_who_approves(world: World) -> None:
    """One approval for each persona: GitHub asks for one in each environment that a job passes."""
    world.make()
    people, environments = world.state["people"], world.state["environments"]
    wanted = {"staging": "tess", "prod-project-lead": "acme/leads", "prod": "olaf"}
    wanted |= {"shared-project-lead": "acme/leads", "shared": "olaf"}
    assert environments.keys() == {*wanted, "dev", "plan", "monitor"}
    plan = environments.pop("plan")
    assert (plan["reviewers"], plan["branches"], plan["deployment_branch_policy"]) == ([], [], None)
    for name, environment in environments.items():
        who = wanted.get(name, "")
        kind = "Team" if "/" in who else "User"
        assert environment["reviewers"] == ([{"type": kind, "id": people[who]}] if who else [])
        assert environment["prevent_self_review"] == bool(who)
        assert environment["branches"] == ["main"]
        assert environment["deployment_branch_policy"] == {"protected_branches": False, "custom_branch_policies": True}


def test_comments_and_order_of_config_stay(world: World) -> None:
    before = world.texts()
    world.make()
    for name, text in world.texts().items():
        if name.startswith("config/"):
            lines = list(zip(before[name].splitlines(), text.splitlines(), strict=True))
            changed = [(old, new) for old, new in lines if old != new]
            for old, new in changed:
                assert old.partition(":")[0] == new.partition(":")[0]
                assert old.partition(" #")[2] == new.partition(" #")[2]


def test_the_record_has_no_secret(world: World) -> None:
    world.make()
    text = (world.root / RECORD).read_text(encoding="utf-8")
    assert json.loads(text)["begun"] == []
    assert not re.search("secret|password|token", text, re.IGNORECASE)
    for call in world.state["calls"]:
        assert not re.search("secret|password|credential reset|--key-value", " ".join(call), re.IGNORECASE)


def test_a_second_run_changes_nothing(world: World) -> None:
    world.make()
    made, texts, changes = world.made(), world.texts(), world.state["changes"]
    code, printed = world.run()  # nobody is asked, because nothing is to be done
    assert code == 0
    assert "Everything is there." in printed
    assert (world.made(), world.texts(), world.state["changes"]) == (made, texts, changes)


def test_an_undo_is_complete(world: World) -> None:
    texts, made = world.texts(), world.made()
    world.make()
    code, printed = world.run("--undo", "--yes")
    assert code == 0, printed
    assert world.texts() == texts
    assert "Everything that was made here is gone." in printed
    assert world.made() == {**made, "providers": world.state["providers"]}
    assert "it costs nothing and others may use it" in printed
    code, printed = world.run("--undo")
    assert (code, printed.splitlines()[0]) == (0, "Nothing was made from here.")


def fresh(world: World) -> bool:
    """Whether `mlops config render --check` finds nothing."""
    code = cli.main(["config", "render", "--check"])
    world.capture.readouterr()
    return code == 0


def test_what_is_derived_from_config_is_up_to_date_afterwards(of_each_tool: World) -> None:
    world, texts = of_each_tool, of_each_tool.texts()
    assert fresh(world)
    world.make()
    assert fresh(world)
    assert world.run("--undo", "--yes")[0] == 0
    assert fresh(world)
    assert world.texts() == texts


def test_parameters_that_nobody_wrote_are_seen(
    world: World, plug_ins: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plug_ins("github-actions", "arm")
    derived.render(world.root)
    with monkeypatch.context() as patched:
        patched.setattr(derived, "render", lambda root: [])
        assert world.run("--yes", *INDEX)[0] == 0
    assert not fresh(world)
    code, printed = world.run()  # as after a run that broke off
    assert (code, "~ infrastructure/azuredeploy.parameters.prod.json" in printed) == (0, True)
    assert fresh(world)
    suffix = read(world, "shared")["infrastructure"]["name_suffix"]
    assert f'"nameSuffix": {{"value": "{suffix}"}}' in world.texts()["infrastructure/azuredeploy.parameters.prod.json"]


def test_a_planned_undo_changes_nothing(world: World) -> None:
    code, printed = world.run("--plan", "--undo")
    assert (code, printed.splitlines()[0]) == (0, "Nothing was made from here.")
    world.make()
    made = world.made()
    code, printed = world.run("--plan", "--undo")
    assert code == 0
    assert "- Entra group taxi-fares-model-tester" in printed
    with_no = world.run("--undo")
    assert with_no[0] == 2
    assert "add --yes" in with_no[1]
    assert world.made() == made


@pytest.mark.full
@pytest.mark.parametrize(
    ("iac", "when", "first"), [("bicep", "after", 1), ("arm", "before", 2), ("terraform", "after", 3)]
)
def test_a_run_that_broke_off_is_finished_by_the_next(
    world: World, plug_ins: Callable[[str, str], None], iac: str, when: str, first: int
) -> None:
    """At every eleventh change, others in each case, before or after its effect; undo then takes everything away."""
    plug_ins("github-actions", iac)
    derived.render(world.root)
    texts, empty = world.texts(), copy.deepcopy(world.state)
    world.make()
    whole, whole_texts, changes = world.made(), world.texts(), world.state["changes"]
    assert changes > 60
    for number in range(first, changes + 1, 11):
        for name in set(whole_texts) - set(texts):
            (world.root / name).unlink(missing_ok=True)
        for name, text in texts.items():
            (world.root / name).write_text(text, encoding="utf-8")
        world.state = {**copy.deepcopy(empty), "break": number, "when": when}
        code, printed = world.run("--yes", *INDEX)
        assert code == 2, printed
        assert "the connection was reset" in printed
        world.make()
        assert world.made() == whole, number
        assert world.texts() == whole_texts, number
        if number % 3 == 0:
            assert world.run("--undo", "--yes")[0] == 0
            assert world.texts() == texts


@pytest.mark.full
def test_an_undo_that_broke_off_is_finished_by_the_next(world: World) -> None:
    texts = world.texts()
    world.make()
    first = world.state["changes"]
    made, made_texts = copy.deepcopy(world.state), world.texts()
    world.run("--undo", "--yes")
    changes = world.state["changes"] - first
    for number in range(1, changes + 1, 11):
        for name, text in made_texts.items():
            (world.root / name).write_text(text, encoding="utf-8")
        world.state = {**copy.deepcopy(made), "break": first + number, "when": "after"}
        assert world.run("--undo", "--yes")[0] == 2
        code, printed = world.run("--undo", "--yes")
        assert code == 0, printed
        assert world.texts() == texts


DENIED = {
    "groups": ("ad group create", "Groups Administrator"),
    "apps": ("ad app create", "Application Developer"),
    "principals": ("ad sp create", "Application Developer"),
    "credentials": ("federated-credential create", "Application Administrator"),
    "roles": ("role assignment create", "Owner or User Access Administrator"),
    "custom roles": ("role definition create", "Owner or User Access Administrator"),
    "resource groups": ("group create --name rg", "Contributor on the subscription"),
    "providers": ("provider register", "Contributor on the subscription"),
    "repository": ("PUT /repos", "an administrator of the repository"),
    "variables": ("POST /repos/acme/taxi-fares/actions/variables", "an administrator of the repository"),
}


@pytest.mark.parametrize("right", some_quick(DENIED, 3))
def test_what_an_administrator_must_do_is_said_exactly(world: World, right: str) -> None:
    """The printed commands are run as they are, by an administrator; after a few rounds everything is there."""
    word, who = DENIED[right]
    world.state["denied"] = [word]
    code, printed = world.run("--yes", *INDEX)
    assert code == 1
    assert "An administrator must do this" in printed
    assert f"With {who}" in printed or f"With the Entra role {who}" in printed or who in printed
    for _ in range(4):
        if code == 0:
            break
        requests = [line.strip() for line in printed.splitlines() if re.match(r"    (az|gh|echo) ", line)]
        assert requests
        for request in requests:
            as_administrator(world, request)
        code, printed = world.run("--yes", *INDEX)
    assert code == 0, printed
    assert filled(world) == []
    texts = world.texts()
    world.state["denied"] = []
    assert world.run("--yes")[0] == 0
    assert world.texts() == texts


def as_administrator(world: World, request: str) -> None:
    """Run a printed line as a shell would, with every right."""
    denied, world.state["denied"] = world.state["denied"], []
    words = shlex.split(request.partition("  # ")[0])
    given = ""
    if words[0] == "echo":
        given, words = words[1], words[3:]
    body = world.root.parent / "body.json"
    for position, word in enumerate(words):
        if word.startswith("{"):  # az takes JSON in place of a file
            body.write_text(word, encoding="utf-8")
            words[position] = str(body)
    code, _, said = fake.answer(words[0], words[1:], given, world.state)
    assert code == 0, (request, said)
    world.state["denied"] = denied


def test_what_is_for_an_administrator_holds_up_nothing_else(world: World) -> None:
    world.state["denied"] = ["ad app create"]
    code, printed = world.run("--yes", *INDEX)
    assert code == 1
    assert len(world.state["groups"]) == len(ENVIRONMENTS)
    assert len(world.state["ad_groups"]) == PERSONAS
    assert "For later:" in printed
    assert "after app/prod" in printed
    code, printed = world.run("--plan", *INDEX)
    assert code == 0
    assert "✓ Entra group taxi-fares-model-tester" in printed


def test_an_undo_that_lacks_rights_goes_on_later(world: World) -> None:
    texts = world.texts()
    world.make()
    world.state["denied"] = ["ad app delete"]
    code, printed = world.run("--undo", "--yes")
    assert code == 1
    assert "az ad app delete --id" in printed
    world.state["denied"] = []
    assert world.run("--undo", "--yes")[0] == 0
    assert world.texts() == texts


PLANS = {
    "known": {"visibility": "private", "plan": "team", "owner": "Organization", "prefix": ""},
    "a person's": {"visibility": "private", "plan": "pro", "owner": "User", "prefix": ""},
    "a guest's": {
        **{"visibility": "private", "plan": "enterprise", "real": "team", "owner": "User", "prefix": ""},
        "login": "guest",
    },
    "not told": {"visibility": "private", "plan": "", "real": "team", "owner": "Organization", "prefix": ""},
}


@pytest.mark.parametrize("plan", some_quick(PLANS, 2))
def test_without_approvals_there_is_no_production(world: World, plan: str) -> None:
    world.state["repository"] = PLANS[plan]
    code, printed = world.run("--yes", *INDEX)
    assert code == 1
    assert "cannot ask for approval: that needs GitHub Enterprise or a public repository" in printed
    assert "approvals.unprotected" in printed
    names = [f"taxi-fares-{name}-pipelines" for name in ("dev", "plan", "monitor")]
    assert [app["displayName"] for app in world.state["apps"].values()] == names
    assert world.state["environments"].keys() == {"dev", "plan", "monitor"}
    reading = (READER, BLOB_READER)
    given = [one for one in world.state["assignments"].values() if not one["roleDefinitionId"].endswith(reading)]
    scopes = {one["scope"].rpartition("/")[2] for one in given}
    assert not {"rg-taxi-fares-prod", "rg-taxi-fares-staging"} & scopes
    world.set(**{"shared.approvals.unprotected": "CTO, 2030-01-15: one person works on it"})
    world.make()
    assert {"shared", "staging", "prod", "dev"} <= world.state["environments"].keys()
    assert all(not one["reviewers"] for one in world.state["environments"].values())
    assert len(world.state["apps"]) == len(IDENTITIES)


def test_a_plan_says_that_there_will_be_no_production(world: World) -> None:
    world.state["repository"] = PLANS["known"]
    code, printed = world.run("--plan", *INDEX)
    assert code == 0
    assert "✗ environment prod-project-lead" in printed
    assert "✗ app registration taxi-fares-prod-pipelines" in printed
    assert "✗ will not be made" in printed


def test_enterprise_has_approvals_in_private(world: World) -> None:
    world.state["repository"] = {"visibility": "private", "plan": "enterprise", "owner": "Organization", "prefix": ""}
    world.make()
    assert world.state["environments"]["prod"]["reviewers"]


def test_nobody_named_to_approve(world: World) -> None:
    world.set(**{"shared.approvals.reviewers.prod.product_owner": []})
    code, printed = world.run("--yes", *INDEX)
    assert code == 1
    assert "approvals.reviewers.prod.product_owner is empty: write who approves" in printed
    assert "prod" not in world.state["environments"]
    assert "staging" in world.state["environments"]


def test_an_unknown_approver(world: World) -> None:
    world.set(**{"shared.approvals.reviewers.staging.model_tester": ["nobody"]})
    code, printed = world.run("--plan", *INDEX)
    assert code == 2
    assert "approvals.reviewers.staging.model_tester: GitHub knows no user 'nobody'" in printed


def test_too_many_approvers(world: World) -> None:
    world.set(**{"shared.approvals.reviewers.staging.model_tester": ["tess"] * 7})
    assert "GitHub takes 6; make a team" in world.run("--plan", *INDEX)[1]


def test_other_approvers_are_put_right(world: World) -> None:
    world.make()
    world.set(**{"shared.approvals.reviewers.staging.model_tester": ["lea"]})
    code, printed = world.run("--plan")
    assert (code, "~ environment staging" in printed) == (0, True)
    assert world.run("--yes")[0] == 0
    assert world.state["environments"]["staging"]["reviewers"] == [{"type": "User", "id": 12}]
    assert world.run("--undo", "--yes")[0] == 0
    assert world.state["environments"] == {}


def test_what_a_person_wrote_stays(world: World) -> None:
    other, group = "00000000-0000-0000-0000-00000000000b", "00000000-0000-0000-0000-0000000000aa"
    world.state["ad_groups"][group] = {"id": group, "displayName": "Testers"}
    values = {
        "prod.azure.subscription": other,
        "shared.infrastructure.name_suffix": "ours1",
        "shared.infrastructure.budget_start": "2030-01-01",
        "shared.infrastructure.approved_outbound.package_index": ["mirror.example.com"],
        "shared.infrastructure.groups.model_tester": group,
    }
    world.set(**values)
    before = world.texts()
    world.make()
    shared = read(world, "shared")["infrastructure"]
    assert read(world, "prod")["azure"]["subscription"] == other
    assert read(world, "dev")["azure"]["subscription"] == world.state["account"]["id"]
    assert (shared["name_suffix"], shared["budget_start"]) == ("ours1", "2030-01-01")
    assert shared["approved_outbound"]["package_index"] == ["mirror.example.com"]
    assert shared["groups"]["model_tester"] == group
    assert len(world.state["ad_groups"]) == PERSONAS
    assert f"/subscriptions/{other}/resourceGroups/rg-taxi-fares-prod" in world.state["groups"]
    assert world.state["environments"]["prod"]["variables"]["AZURE_SUBSCRIPTION_ID"] == other
    assert world.run("--undo", "--yes")[0] == 0
    assert world.texts() == before
    assert list(world.state["ad_groups"]) == [group]


def test_a_value_changed_since_stays_at_undo(world: World) -> None:
    world.make()
    world.set(**{"shared.infrastructure.name_suffix": "other"})
    assert world.run("--undo", "--yes")[0] == 0
    assert read(world, "shared")["infrastructure"]["name_suffix"] == "other"


def test_an_identity_of_ones_own(world: World) -> None:
    app, principal = "00000000-0000-0000-0000-0000000000b1", "00000000-0000-0000-0000-0000000000b2"
    world.state["apps"][app] = {"appId": app, "id": app, "displayName": "ours"}
    world.state["principals"][principal] = {"id": principal, "appId": app}
    world.state["credentials"][app] = []
    world.set(**{"prod.infrastructure.groups.cicd_processes": principal})
    world.make()
    assert [one["subject"] for one in world.state["credentials"][app]] == ["repo:acme/taxi-fares:environment:prod"]
    assert world.state["environments"]["prod"]["variables"]["AZURE_CLIENT_ID"] == app
    assert world.run("--undo", "--yes")[0] == 0
    assert list(world.state["apps"]) == [app]
    assert world.state["credentials"] == {app: []}


def test_a_group_that_config_names_and_nobody_has(world: World) -> None:
    world.set(**{"shared.infrastructure.groups.model_tester": "00000000-0000-0000-0000-0000000000aa"})
    code, printed = world.run("--plan", *INDEX)
    assert code == 2
    assert "infrastructure.groups.model_tester: there is no group" in printed


def test_what_was_taken_away_by_hand_is_made_again(world: World) -> None:
    world.make()
    made = world.made()
    groups = read(world, "shared")["infrastructure"]["groups"]
    world.state["ad_groups"] = {k: v for k, v in world.state["ad_groups"].items() if k != groups["model_tester"]}
    world.state["salt"] = "new"
    assert world.run("--yes")[0] == 0
    again = read(world, "shared")["infrastructure"]["groups"]
    assert again["model_tester"] != groups["model_tester"]
    assert again["model_tester"] in world.state["ad_groups"]
    assert {**again, "model_tester": ""} == {**groups, "model_tester": ""}
    assert len(world.state["assignments"]) == len(made["assignments"])
    assert world.run("--undo", "--yes")[0] == 0
    assert world.state["ad_groups"] == {}


def test_a_stranger_of_the_same_name_gets_no_rights(world: World) -> None:
    """Anybody in the directory may have made a group of this name, with themselves as a member."""
    name = "taxi-fares-platform-technical-support"
    world.state["ad_groups"]["x"] = {"id": "x", "displayName": name}
    code, printed = world.run("--yes", *INDEX)
    assert code == 1
    assert "something of this name is there already, and it was not made here" in printed
    assert read(world, "shared")["infrastructure"]["groups"]["platform_technical_support"] == ""
    limited = [one for one in world.state["assignments"].values() if one["condition"]]
    assert limited == []


def test_a_resource_group_that_was_there_stays(world: World) -> None:
    key = f"/subscriptions/{world.state['account']['id']}/resourceGroups/rg-taxi-fares-dev"
    world.state["groups"][key] = {"id": key}
    world.make()
    assert world.run("--undo", "--yes")[0] == 0
    assert list(world.state["groups"]) == [key]


def test_a_resource_group_with_an_estate_is_not_removed(world: World) -> None:
    world.make()
    key = f"/subscriptions/{world.state['account']['id']}/resourceGroups/rg-taxi-fares-dev"
    world.state["resources"][key] = [{"id": f"{key}/providers/x/y", "type": "x/y", "name": "y"}]
    code, printed = world.run("--undo", "--yes")
    assert code == 1
    assert "it holds 1 resources: remove that environment's estate first" in printed
    assert list(world.state["groups"]) == [key]
    world.state["resources"] = {}
    assert world.run("--undo", "--yes")[0] == 0
    assert not (world.root / RECORD).exists()


def test_an_environment_that_was_there_gets_its_protection_back(world: World) -> None:
    before = {"reviewers": [], "prevent_self_review": False, "deployment_branch_policy": None}
    world.state["environments"]["prod"] = {**before, "branches": [], "variables": {}}
    assert "~ environment prod of" in world.run("--plan", *INDEX)[1]
    world.make()
    assert world.state["environments"]["prod"]["reviewers"]
    assert world.run("--undo", "--yes")[0] == 0
    there = world.state["environments"]["prod"]
    assert {key: there[key] for key in before} == before
    assert there["variables"] == {}


def test_subjects_have_the_form_that_github_says(world: World) -> None:
    world.state["repository"]["prefix"] = "repo:acme@123/taxi-fares@456"
    world.make()
    subjects = [one["subject"] for listed in world.state["credentials"].values() for one in listed]
    assert "repo:acme@123/taxi-fares@456:environment:prod" in subjects
    world.state["repository"]["prefix"] = ""  # somebody chose the other form since
    assert world.run("--yes")[0] == 0
    subjects = [one["subject"] for listed in world.state["credentials"].values() for one in listed]
    assert sorted(subjects) == sorted(f"repo:acme/taxi-fares:environment:{name}" for name in IDENTITIES)


def test_subjects_of_a_form_of_their_own_are_refused(world: World) -> None:
    world.state["subjects"] = {"use_default": False, "include_claim_keys": ["repo", "job_workflow_ref"]}
    code, printed = world.run("--plan", *INDEX)
    assert code == 2
    assert "has its own form of OIDC subjects" in printed


# What the pipelines may assign: the condition on their right, evaluated.
def allowed(condition: str, action: str, role: str, principal: str, kind: str) -> bool:
    """Whether a role assignment passes a condition, read as Azure documents its operators."""
    values = {"RoleDefinitionId": role, "PrincipalId": principal, "PrincipalType": kind}
    source = {"write": "@Request", "delete": "@Resource"}[action]
    text = re.sub(
        r"ActionMatches\{'Microsoft\.Authorization/roleAssignments/(\w+)'\}", lambda m: str(m[1] == action), condition
    )

    def decide(match: re.Match[str]) -> str:
        where, name, operator, listed = match.groups()
        assert operator == {"PrincipalType": "StringEqualsIgnoreCase"}.get(name, "GuidEquals")
        options = [one.strip().strip("'").casefold() for one in listed.split(",")]
        return str(where == source and values[name].casefold() in options)

    text = re.sub(
        r"(@\w+)\[Microsoft\.Authorization/roleAssignments:(\w+)\] ForAnyOfAnyValues:(\w+) \{([^}]*)\}", decide, text
    )
    assert re.fullmatch(r"(True|False|AND|OR|!|[() ])+", text), text
    return bool(eval(text.replace("!", " not ").replace("AND", "and").replace("OR", "or")))


ROLES = {
    "Reader": "acdd72a7-3385-48ef-bd42-f606fba81ae7",
    "Owner": "8e3af657-a8ff-443c-a75c-2fe8c4bcb635",
    "AcrPush": "8311e382-0749-4cb8-b61a-304f252e45ec",
    "AzureML Data Scientist": "f6c7c914-8db3-469d-8ca1-694a8f32e121",
    "Role Based Access Control Administrator": "f58310d9-a9f6-439a-9e8d-f62e7b41a168",
    "User Access Administrator": "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
    "Storage Account Key Operator Service Role": "81a9662b-bebf-436f-a333-f67b29880f12",
}


@pytest.mark.parametrize("iac", some_quick(["bicep", "terraform", "arm"]))
def test_pipelines_assign_only_what_rbac_says(world: World, plug_ins: Callable[[str, str], None], iac: str) -> None:
    plug_ins("github-actions", iac)
    world.make()
    groups = read(world, "shared")["infrastructure"]["groups"]
    for name in ENVIRONMENTS:
        own = read(world, name)["infrastructure"]["groups"]["cicd_processes"]
        (limited,) = [
            one for one in world.state["assignments"].values() if one["principalId"] == own and one["condition"]
        ]
        assert limited["roleDefinitionId"].endswith(ROLES["Role Based Access Control Administrator"])
        assert limited["scope"].endswith(f"/resourceGroups/rg-taxi-fares-{name}")
        assert limited["conditionVersion"] == "2.0"
        assert len(limited["condition"]) < 8000
        for action in ("write", "delete"):

            def may(role: str, principal: str = "someone", kind: str = "Group") -> bool:
                return allowed(limited["condition"], action, ROLES.get(role, role), principal, kind)  # noqa: B023

            assert may("Reader")
            assert may("Reader", kind="ServicePrincipal")
            assert not may("Reader", kind="User")
            assert not may("User Access Administrator")
            assert not may("Role Based Access Control Administrator")
            assert not may("Storage Account Key Operator Service Role")
            assert not may("Owner")
            assert may("Owner", groups["platform_technical_support"])
            assert may("Owner", own, "ServicePrincipal")
            assert may("AzureML Data Scientist") == (name != "shared")
            role = callers_role(iac, world.state["account"]["id"], f"rg-taxi-fares-{name}")
            assert may(role) == (name in ("staging", "prod"))


def callers_role(iac: str, subscription: str, group: str) -> str:
    """The id of the custom role as the tool's own files compute it."""
    import uuid

    if iac == "terraform":
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"/subscriptions/{subscription}/{group}/Endpoint Caller"))
    namespace = uuid.UUID("11fb06fb-712d-4ddd-98c7-e71bbd588830")
    return str(uuid.uuid5(namespace, "-".join((f"/subscriptions/{subscription}", group, "Endpoint Caller"))))


def test_pipelines_have_rights_on_their_own_environment_only(world: World) -> None:
    world.make()
    for name in ENVIRONMENTS:
        own = read(world, name)["infrastructure"]["groups"]["cicd_processes"]
        given = [one for one in world.state["assignments"].values() if one["principalId"] == own]
        groups = {one["scope"].rpartition("/")[2] for one in given if "/resourceGroups/" in one["scope"]}
        source = {"staging": {"rg-taxi-fares-dev"}, "prod": {"rg-taxi-fares-staging"}}.get(name, set())
        assert groups == {f"rg-taxi-fares-{name}", "rg-taxi-fares-shared"} | source
        there = [one for one in given if one["scope"].rpartition("/")[2] in source]
        assert all(one["roleDefinitionId"].endswith(READER) for one in there), "models are read there, nothing else"
        contributor = [one for one in given if one["roleDefinitionId"].endswith("b24988ac-6180-42a0-ab88-20f7382dd24c")]
        assert [one["scope"].rpartition("/")[2] for one in contributor] == [f"rg-taxi-fares-{name}"]


def principal(world: World, name: str) -> str:
    """The principal of an identity."""
    apps = {app["appId"]: app["displayName"] for app in world.state["apps"].values()}
    principals = world.state["principals"]
    return next(key for key, one in principals.items() if apps[one["appId"]] == f"taxi-fares-{name}-pipelines")


def test_who_looks_at_what_has_happened_changes_nothing(world: World) -> None:
    """Nobody approves that, so that it is for the main branch and reads; what is shared, the lake, is not read."""
    world.make()
    given = [one for one in world.state["assignments"].values() if one["principalId"] == principal(world, "monitor")]
    assert {one["roleDefinitionId"].rpartition("/")[2] for one in given} == {READER, BLOB_READER}
    scopes = {one["scope"].rpartition("-")[2] for one in given if one["roleDefinitionId"].endswith(BLOB_READER)}
    assert scopes == {"dev", "staging", "prod"}
    environment = world.state["environments"]["monitor"]
    assert (environment["reviewers"], environment["branches"]) == ([], ["main"])


def test_who_plans_reads_and_changes_nothing(of_each_tool: World) -> None:
    """Reader on every group, one custom role, with Terraform its state: no role with a write, none on data."""
    world = of_each_tool
    world.make()
    given = [one for one in world.state["assignments"].values() if one["principalId"] == principal(world, "plan")]
    readers = {one["scope"].rpartition("/")[2] for one in given if one["roleDefinitionId"].endswith(READER)}
    assert readers == {f"rg-taxi-fares-{name}" for name in ENVIRONMENTS}
    others = [
        one for one in given if not one["roleDefinitionId"].endswith(READER) and "/containers/" not in one["scope"]
    ]
    (custom,) = (one for one in world.state["definitions"].values() if one["Name"].startswith("Estate Planner"))
    assert [one["roleDefinitionId"].rpartition("/")[2] for one in others] == [custom["name"]]
    allowed = re.compile(r"(/read|/whatIf/action|/validate/action)$")
    assert all(allowed.search(action) for action in custom["Actions"])
    (credential,) = world.state["credentials"][world.state["principals"][principal(world, "plan")]["appId"]]
    assert credential["subject"] == "repo:acme/taxi-fares:environment:plan"
    client = world.state["environments"]["plan"]["variables"]["AZURE_CLIENT_ID"]
    assert client == world.state["principals"][principal(world, "plan")]["appId"]


def test_pipelines_read_what_is_shared_and_use_its_identities(of_each_tool: World) -> None:
    """Every tool looks up identities there: the workspace, the clusters and the endpoint get theirs."""
    world = of_each_tool
    world.make()
    reader, operator = "acdd72a7-3385-48ef-bd42-f606fba81ae7", "f1a07417-d97a-45cb-824c-7a7467783830"
    for name in ENVIRONMENTS[1:]:
        own = read(world, name)["infrastructure"]["groups"]["cicd_processes"]
        given = [one for one in world.state["assignments"].values() if one["principalId"] == own]
        there = [one["roleDefinitionId"] for one in given if one["scope"].endswith("/rg-taxi-fares-shared")]
        assert {one.rpartition("/")[2] for one in there} == {reader, operator}, name


def test_the_right_to_assign_follows_the_groups(world: World) -> None:
    """Another group for platform support: the old one may no longer be given Owner."""
    world.make()
    group = "00000000-0000-0000-0000-0000000000aa"
    world.state["ad_groups"][group] = {"id": group, "displayName": "Ops"}
    old = read(world, "shared")["infrastructure"]["groups"]["platform_technical_support"]
    world.set(**{"shared.infrastructure.groups.platform_technical_support": group})
    assert world.run("--yes")[0] == 0
    conditions = [one["condition"] for one in world.state["assignments"].values() if one["condition"]]
    assert all(group in one and old not in one for one in conditions)


SOURCES: dict[str, tuple[dict[str, str], str]] = {
    "uv": ({"UV_INDEX_URL": "https://packages.example.com/simple"}, "UV_INDEX_URL"),
    "pip": ({"PIP_INDEX_URL": "https://me:hunter2@packages.example.com/simple"}, "PIP_INDEX_URL"),
}


@pytest.mark.parametrize("source", SOURCES)
def test_the_package_index_in_use_is_proposed(world: World, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    variables, name = SOURCES[source]
    for key, value in variables.items():
        monkeypatch.setenv(key, value)
    printed = world.run("--plan")[1]
    assert f"package_index: packages.example.com, from {name}" in printed
    assert world.run("--yes")[0] == 0
    assert read(world, "shared")["infrastructure"]["approved_outbound"]["package_index"] == ["packages.example.com"]
    assert not any("hunter2" in text for text in [printed, *world.texts().values()])


def test_pip_and_pyproject_are_asked(world: World) -> None:
    pip = Path(tools.shutil.which("az")).with_name("pip")  # type: ignore[arg-type]
    pip.write_text("#!/bin/sh\necho https://pip.example.com/simple\n", encoding="utf-8")
    pip.chmod(0o755)
    assert "package_index: pip.example.com, from `pip config`" in world.run("--plan")[1]
    project = world.root / "pyproject.toml"
    text = project.read_text(encoding="utf-8")
    index = '[[tool.uv.index]]\nurl = "https://uv.example.com/simple"\ndefault = true\n'
    project.write_text(f"{text}\n{index}", encoding="utf-8")
    assert "package_index: uv.example.com, from pyproject.toml" in world.run("--plan")[1]


def test_no_package_index_is_known(world: World) -> None:
    code, printed = world.run("--yes")
    assert code == 1
    assert "give --package-index URL --package-files URL" in printed
    assert len(world.state["apps"]) == len(IDENTITIES)  # everything else is done
    code, printed = world.run("--plan", "--package-index", "packages")
    assert (code, "'packages' is not an address" in printed) == (2, True)
    assert "needs --package-index" in world.run("--plan", "--package-files", "https://files.example.com")[1]


def estate(world: World, environment: str, names: dict[str, str]) -> None:
    """Put resources into an environment, as applying infrastructure/ would."""
    group = f"/subscriptions/{world.state['account']['id']}/resourceGroups/rg-taxi-fares-{environment}"
    world.state["resources"][group] = [
        {"id": f"{group}/providers/{kind}/{name}", "type": kind, "name": name} for name, kind in names.items()
    ]


def test_temporary_roles_are_made_eligible(world: World) -> None:
    world.set(**{"shared.infrastructure.just_in_time": True})
    code, printed = world.run("--yes", *INDEX)
    assert code == 1
    assert "its estate is not there yet: apply infrastructure/ for prod, then run this again" in printed
    suffix = read(world, "shared")["infrastructure"]["name_suffix"]
    for name in ENVIRONMENTS:
        estate(
            world,
            name,
            {
                f"kv-taxifar-{name}-{suffix}": "Microsoft.KeyVault/vaults",
                f"sttaxifares{name}{suffix}": "Microsoft.Storage/storageAccounts",
                f"log-taxifares-{name}": "Microsoft.OperationalInsights/workspaces",
                f"mlw-taxi-fares-{name}": "Microsoft.MachineLearningServices/workspaces",
                "alert-1": "Microsoft.Insights/scheduledQueryRules",
                "other": "Microsoft.Storage/storageAccounts",
            },
        )
    assert world.run("--yes")[0] == 0
    group = read(world, "shared")["infrastructure"]["groups"]["platform_technical_support"]
    given = {
        (one["scope"].split("/")[4].rpartition("-")[2], one["scope"].rpartition("/")[2].split(suffix)[0])
        for one in world.state["eligible"]
    }
    assert {one["principalId"] for one in world.state["eligible"]} == {group}
    wanted = {(name, place) for name in ENVIRONMENTS for place in (f"log-taxifares-{name}", "alert-1")}
    for name in ENVIRONMENTS[1:]:
        wanted |= {(name, f"kv-taxifar-{name}-"), (name, f"mlw-taxi-fares-{name}")}
    assert given == wanted | {("dev", "sttaxifaresdev")}
    vaults = [one for one in world.state["eligible"] if "/kv-" in one["scope"]]
    assert len(vaults) == 2 * 3  # Owner and Key Vault Administrator
    before = world.made()
    assert world.run("--yes")[0] == 0
    assert world.made() == before
    world.state["resources"] = {}
    assert world.run("--undo", "--yes")[0] == 0
    assert world.state["eligible"] == []


def test_temporary_roles_need_a_licence(world: World) -> None:
    world.make()
    world.set(**{"shared.infrastructure.just_in_time": True})
    estate(world, "prod", {"mlw-taxi-fares-prod": "Microsoft.MachineLearningServices/workspaces"})
    world.state["no_premium"] = True
    code, printed = world.run("--yes")
    assert code == 1
    assert "Entra ID P2 is needed: set infrastructure.just_in_time to false" in printed


def test_without_just_in_time_nobody_is_eligible(world: World) -> None:
    world.make()
    estate(world, "prod", {"mlw-taxi-fares-prod": "Microsoft.MachineLearningServices/workspaces"})
    assert world.run("--yes")[0] == 0
    assert world.state["eligible"] == []


def test_one_workspace_for_all(world: World) -> None:
    world.set(**{"shared.infrastructure.workspaces": "one"})
    for name in ("dev", "staging"):
        world.set(**{f"{name}.azure.{key}": value for key, value in read(world, "prod")["azure"].items()})
        world.set(**{f"{name}.azure.subscription": ""})
    world.make()
    assert {one["displayName"] for one in world.state["apps"].values()} == {
        "taxi-fares-shared-pipelines",
        "taxi-fares-prod-pipelines",
        "taxi-fares-plan-pipelines",
        "taxi-fares-monitor-pipelines",
    }
    assert "dev" not in world.state["environments"]
    assert filled(world) == []


def test_terraform_has_a_place_for_its_state(world: World, plug_ins: Callable[[str, str], None]) -> None:
    plug_ins("github-actions", "terraform")
    texts = world.texts()
    world.make()
    (account,) = world.state["accounts"].values()
    wanted = {"--allow-shared-key-access": "false", "--allow-blob-public-access": "false"}
    assert {key: account[key] for key in wanted} == wanted
    assert account["kept"]
    name = account["--name"]
    assert re.fullmatch("[a-z0-9]{3,24}", name)
    assert f'storage_account_name = "{name}"' in world.texts()["infrastructure/backend.tf"]
    assert {key.rpartition("/")[2] for key in world.state["containers"]} == set(ENVIRONMENTS)
    readme = (TEMPLATE / "iac/terraform" / SLUG_FOLDER / "infrastructure/README.md").read_text(encoding="utf-8")
    for environment in ENVIRONMENTS:
        assert f"init -reconfigure -backend-config=container_name={environment}`" in readme
    for container in world.state["containers"]:
        own = read(world, container.rpartition("/")[2])["infrastructure"]["groups"]["cicd_processes"]
        given = [one for one in world.state["assignments"].values() if one["scope"] == container]
        assert [one["principalId"] for one in given] == [own, principal(world, "plan")]
        assert given[1]["roleDefinitionId"].endswith("2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"), (
            "who plans reads the state"
        )
    made = world.made()
    assert world.run("--yes")[0] == 0
    assert world.made() == made
    assert world.run("--undo", "--yes")[0] == 0
    assert world.texts() == texts
    assert world.state["accounts"] == world.state["containers"] == {}


def test_a_state_in_use_is_not_removed(world: World, plug_ins: Callable[[str, str], None]) -> None:
    plug_ins("github-actions", "terraform")
    world.make()
    estate(world, "prod", {"mlw-taxi-fares-prod": "Microsoft.MachineLearningServices/workspaces"})
    code, printed = world.run("--undo", "--yes")
    assert code == 1
    assert "prod has 1 resources that Terraform knows by it: destroy them first" in printed
    assert [key.rpartition("/")[2] for key in world.state["containers"]] == ["prod"]
    assert world.state["accounts"]


def test_a_name_that_no_longer_occurs_is_said(world: World) -> None:
    world.make()
    world.set(**{"shared.infrastructure.workspaces": "one"})
    code, printed = world.run("--undo", "--yes")
    assert code == 2
    assert "which config no longer asks for" in printed


def test_nobody_is_signed_in(world: World) -> None:
    world.state["account"] = None
    code, printed = world.run("--plan")
    assert (code, "az is not signed in: run `az login`" in printed) == (2, True)


def test_a_tool_is_not_there(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    code, printed = world.run("--plan")
    assert (code, "az is not installed: install the Azure CLI" in printed) == (2, True)


def test_a_broken_record(world: World) -> None:
    (world.root / RECORD).write_text("{", encoding="utf-8")
    code, printed = world.run("--plan")
    assert (code, "is not what `mlops bootstrap` wrote" in printed) == (2, True)


def test_an_answer_that_is_no_json(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "execute", lambda command, given: (0, "hello", ""))
    code, printed = world.run("--plan")
    assert (code, "something that is not JSON" in printed) == (2, True)


def test_no_other_ci_system(world: World, plug_ins: Callable[[str, str], None]) -> None:
    plug_ins("none", "bicep")
    code, printed = world.run("--plan")
    assert (code, "no CI system that the bootstrap knows" in printed) == (2, True)


@pytest.mark.parametrize("answer", ["y", "n", ""])
def test_a_person_is_asked(world: World, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("builtins.input", lambda question: answer)
    code, printed = world.run(*INDEX)
    assert code == (0 if answer == "y" else 1)
    assert ("Nothing was done." in printed) == (answer != "y")
    assert bool(world.state["changes"]) == (answer == "y")


@pytest.mark.full
def test_as_processes_on_the_path(world: World, tmp_path: Path) -> None:
    """The same with the stand-ins as programs of their own, which read bodies from files and standard input."""
    variables = on_path(world, tmp_path)
    variables["PYTHONPATH"] = str(Path(tools.__file__).parents[2])
    code = (
        "import sys, mlops_runtime\n"
        f"mlops_runtime.__path__.append({str(sys.modules['mlops_runtime'].__path__[-1])!r})\n"
        "from mlops_runtime import cli\nsys.exit(cli.main(sys.argv[1:]))"
    )
    for options, last in (["--yes", *INDEX], "Done."), (["--undo", "--yes"], "is gone."):
        command = [sys.executable, "-c", code, "bootstrap", *options]
        done = subprocess.run(command, cwd=world.root, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert last in done.stdout


# The stand-ins themselves
WRONG = {
    "command": ("az", ["group", "make", "--name", "x"], "misspelled or not recognized"),
    "flag": ("az", ["group", "show", "--name", "x", "--colour", "red"], "unrecognized arguments: --colour"),
    "missing flag": ("az", ["group", "create", "--name", "x"], "required"),
    "route": ("gh", ["api", "repos/{owner}/{repo}/wishes"], "404"),
    "gh command": ("gh", ["wish", "x"], "unknown command"),
    "gh flag": ("gh", ["api", "user", "--colour", "red"], "unknown flag"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_stand_ins_refuse_what_nobody_published(fault: str) -> None:
    program, words, message = WRONG[fault]
    code, _, said = fake.answer(program, words, "", fake.new_state())
    assert code != 0
    assert message in said


def test_stand_ins_refuse_keys_that_github_does_not_know() -> None:
    state = fake.new_state()
    path = "repos/{owner}/{repo}/environments/prod"
    code, _, said = fake.answer("gh", ["api", path, "--method", "PUT", "--input", "-"], '{"approvers": 1}', state)
    assert (code, "approvers is not a permitted key" in said) == (1, True)


def test_every_published_command_is_used() -> None:
    assert fake.AZ.keys() == fake.REFERENCE["az"]["commands"].keys()  # those of mlops infrastructure and scan too
    assert fake.GH.keys() == fake.REFERENCE["gh"]["routes"].keys()


def test_a_denied_call_is_no_problem_of_the_tool() -> None:
    with pytest.raises(Problem, match="nothing"):
        raise tools.Denied("nothing", "az")
