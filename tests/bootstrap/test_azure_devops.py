"""`mlops bootstrap` of a repository on Azure Repos, against stand-ins of `az` and of Azure DevOps' REST API."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from . import devops
from .conftest import INDEX, World
from .test_bootstrap import as_administrator, filled, read

pytestmark = pytest.mark.full

APPROVERS = {
    "shared.approvals.reviewers.staging.model_tester": ["tess@example.com"],
    "shared.approvals.reviewers.prod.project_lead": ["Leads"],
    "shared.approvals.reviewers.prod.product_owner": ["olaf@example.com"],
}
ORIGINS = (
    "https://dev.azure.com/acme/Rides/_git/taxi-fares",
    "https://acme@dev.azure.com/acme/Rides/_git/taxi-fares",
    "git@ssh.dev.azure.com:v3/acme/Rides/taxi-fares",
    "https://acme.visualstudio.com/Rides/_git/taxi-fares",
    "https://acme.visualstudio.com/DefaultCollection/Rides/_git/taxi-fares",
)
IDENTITY = "id-taxifares-dev-monitoring"
POLICIES = (  # as Azure Repos knows them: build validation, minimum number of reviewers, required reviewers
    "0609b952-1397-4640-95ec-e00a01b2c241",
    "fa4e907d-c16b-4a4c-9dfa-4906e5d171dd",
    "fd2167ab-b0be-447a-8ec8-39368250530e",
)


@pytest.fixture
def here(world: World, plug_ins: Callable[[str, str], None]) -> World:
    """The project on Azure Repos, its estate not made yet but for the identity of the monitors."""
    plug_ins("azure-pipelines", "bicep")
    world.set(**APPROVERS)
    shared = world.root / "config/shared.yml"
    text = shared.read_text(encoding="utf-8")
    shared.write_text(f'{text}azure_devops:\n  feed: ""\n  pipelines_administer: false\n', encoding="utf-8")
    world.state["origin"] = ORIGINS[0]
    group = f"/subscriptions/{world.state['account']['id']}/resourceGroups/rg-taxi-fares-shared"
    identity = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{IDENTITY}"
    world.state["identities"] = {identity: "the-monitors"}
    return world


def tables(world: World) -> Any:
    return world.state["devops"]


def by_name(world: World, table: str) -> dict[str, Any]:
    return {one["name"]: one for one in tables(world)[table].values()}


def checks(world: World, connection: str) -> dict[str, Any]:
    endpoint = by_name(world, "endpoints")[connection]["id"]
    listed = [one for one in tables(world)["checks"].values() if one["resource"]["id"] == endpoint]
    return {one["type"]["name"]: one for one in listed}


def test_a_plan_changes_nothing(here: World) -> None:
    before = here.texts()
    code, printed = here.run("--plan", *INDEX)
    assert code == 0, printed
    assert (here.texts(), here.state["changes"]) == (before, 0)
    for line in (
        "+ service connection azure-prod of Rides, without a secret",
        "+ project lead and product owner approve each use of azure-prod, never their own",
        "+ federated credential for the service connection azure-prod",
        "+ branch policy: changes of the default branch pass ci",
    ):
        assert line in printed


def test_connections_are_made_without_a_secret(here: World) -> None:
    printed = here.make()
    assert "Done. Commit config/ and infrastructure/." in printed
    assert filled(here) == []
    endpoints = by_name(here, "endpoints")
    assert endpoints.keys() == {f"azure-{name}" for name in ("plan", "monitor", "shared", "dev", "staging", "prod")}
    for name in ("shared", "dev", "staging", "prod"):
        parameters = endpoints[f"azure-{name}"]["authorization"]["parameters"]
        principal = here.state["principals"][read(here, name)["infrastructure"]["groups"]["cicd_processes"]]
        (credential,) = here.state["credentials"][principal["appId"]]
        assert parameters["serviceprincipalid"] == principal["appId"]
        assert credential["issuer"] == parameters["workloadIdentityFederationIssuer"]
        assert credential["subject"] == parameters["workloadIdentityFederationSubject"]
    assert "serviceprincipalkey" not in json.dumps(tables(here))


def test_nobody_signs_in_before_the_connection_is_protected(here: World) -> None:
    here.make()
    made = list(json.loads((here.root / "infrastructure/bootstrap.json").read_text(encoding="utf-8"))["made"])
    for name in ("shared", "staging", "prod"):
        assert made.index(f"ci/approval/{name}") < made.index(f"federation/{name}")
        assert made.index(f"ci/branches/{name}") < made.index(f"federation/{name}")


def test_who_approves(here: World) -> None:
    here.make()
    people = {name: devops.identity(name)["id"] for name in devops.NAMES}
    wanted = {
        "azure-staging": ["tess@example.com"],
        "azure-prod": ["Leads", "olaf@example.com"],
        "azure-shared": ["Leads", "olaf@example.com"],
    }
    for connection in by_name(here, "endpoints"):
        found = checks(here, connection)
        names = wanted.get(connection, [])
        assert ("Approval" in found) == bool(names), connection
        if names:
            settings = found["Approval"]["settings"]
            assert [one["id"] for one in settings["approvers"]] == [people[name] for name in names]
            assert settings["minRequiredApprovers"] == len(names)
            assert settings["requesterCannotBeApprover"] is True
        branches = found["Task Check"]["settings"]["inputs"]["allowedBranches"]
        assert branches == ("refs/heads/main, refs/pull/*" if connection == "azure-plan" else "refs/heads/main")
        assert ("ExclusiveLock" in found) == (connection not in ("azure-plan", "azure-monitor"))


def test_pipelines_are_made_and_may_use_what_they_need(here: World) -> None:
    here.make()
    pipelines = by_name(here, "pipelines")
    names = ("ci", "infrastructure", "train", "release", "monitor", "template-update", "renovate")
    assert pipelines.keys() == {f"taxi-fares-{name}" for name in names}
    for name in names:
        made = pipelines[f"taxi-fares-{name}"]
        assert made["configuration"]["path"] == f"/azure-pipelines/{name}.yml"
        assert made["configuration"]["repository"] == {"id": devops.REPOSITORY_ID, "type": "azureReposGit"}
    called = {one["id"]: name.removeprefix("taxi-fares-") for name, one in pipelines.items()}
    permissions = tables(here)["permissions"]
    endpoints = by_name(here, "endpoints")

    def users(connection: str) -> set[str]:
        return {called[one["id"]] for one in permissions[f"endpoint/{endpoints[connection]['id']}"]}

    assert users("azure-prod") == {"infrastructure", "release"}
    assert users("azure-dev") == {"infrastructure", "train", "release"}
    assert users("azure-plan") == {"ci", "infrastructure"}
    assert users("azure-monitor") == {"release", "monitor"}
    (group,) = tables(here)["groups"].values()
    assert group["variables"] == {"environments": {"value": "shared dev staging prod", "isSecret": False}}


def policies(world: World) -> tuple[Any, Any, Any]:
    """The branch's: of the build, of reviews, and of who must be among the reviewers."""
    found = {one["type"]["id"]: one for one in tables(world)["policies"].values()}
    build, review, people = (found[one] for one in POLICIES)
    return build, review, people


def test_main_is_protected(here: World) -> None:
    here.make()
    build, review, people = policies(here)
    scope = [{"repositoryId": devops.REPOSITORY_ID, "refName": "refs/heads/main", "matchKind": "Exact"}]
    assert build["settings"]["buildDefinitionId"] == by_name(here, "pipelines")["taxi-fares-ci"]["id"]
    assert build["settings"]["filenamePatterns"] == ["/*"]  # documentation, too, is scanned for secrets
    assert (review["settings"]["minimumApproverCount"], review["settings"]["creatorVoteCounts"]) == (1, False)
    for one in (build, review, people):
        assert one["settings"]["scope"] == scope
        assert one["isBlocking"]


def test_what_a_pipeline_votes_merges_nothing(here: World) -> None:
    """A pipeline may vote, as it may comment: the approval that is needed is of a group in which it is not."""
    here.make()
    _, review, people = policies(here)
    assert people["settings"]["requiredReviewerIds"] == [devops.identity("[Rides]\\Contributors")["id"]]
    assert people["settings"]["creatorVoteCounts"] is False
    assert review["settings"]["blockLastPusherVote"] is True
    service = devops.identity("Rides Build Service (acme)")["subjectDescriptor"]
    assert service not in [who for who, _ in tables(here)["members"]]


def test_weakened_policies_are_put_right_and_stronger_ones_stay(here: World) -> None:
    here.make()
    build, review, people = policies(here)
    elsewhere = {**review["settings"]["scope"][0], "refName": "refs/heads/support"}
    review["settings"]["scope"].append(elsewhere)
    review["settings"]["minimumApproverCount"] = 2
    code, printed = here.run("--yes")
    assert (code, "Everything is there." in printed) == (0, True), printed
    build["settings"]["filenamePatterns"] = ["/*", "!/docs/*"]
    review["settings"]["creatorVoteCounts"] = True
    people["isBlocking"] = False
    assert here.run("--yes")[0] == 0
    build, review, people = policies(here)
    assert build["settings"]["filenamePatterns"] == ["/*"]
    assert (review["settings"]["minimumApproverCount"], review["settings"]["creatorVoteCounts"]) == (2, False)
    assert elsewhere in review["settings"]["scope"]
    assert people["isBlocking"]


@pytest.mark.parametrize(("days", "wanted"), [((30, 30), (90, 60)), ((365, 60), (365, 60)), ((90, 30), (90, 60))])
def test_runs_are_kept_long_enough(here: World, days: tuple[int, int], wanted: tuple[int, int]) -> None:
    kept = tables(here)["retention"]
    kept["purgeRuns"]["value"], kept["purgeArtifacts"]["value"] = days
    here.make()
    kept = tables(here)["retention"]
    assert (kept["purgeRuns"]["value"], kept["purgeArtifacts"]["value"]) == wanted
    assert here.run("--undo", "--yes")[0] == 0
    assert (kept["purgeRuns"]["value"], kept["purgeArtifacts"]["value"]) == wanted  # what they keep is not deleted


def test_people_have_the_rights_of_the_tables(here: World) -> None:
    """Cell by cell: the strongest word of the two tables' columns, for there is one project for all environments."""
    here.make()
    groups = read(here, "shared")["infrastructure"]["groups"]
    containers = {devops.identity(name)["subjectDescriptor"]: name for name in devops.NAMES}
    given = {who: containers[group] for who, group in tables(here)["members"]}
    admins, contributors, readers = (
        "[acme]\\Project Collection Administrators",
        "[Rides]\\Contributors",
        "[Rides]\\Readers",
    )
    wanted = {
        "data_scientist": contributors,
        "model_tester": readers,
        "business_stakeholders": readers,
        "project_lead": contributors,
        "platform_technical_support": admins,
        "data_governance_processes": readers,
    }
    assert given == {f"aadgp.{groups[name]}": group for name, group in wanted.items()} | {"aadsp.the-monitors": readers}


def test_pipelines_administer_only_where_that_was_asked_for(here: World) -> None:
    here.set(**{"shared.azure_devops.pipelines_administer": True})
    here.make()
    admins = devops.identity("[acme]\\Project Collection Administrators")["subjectDescriptor"]
    given = {who for who, group in tables(here)["members"] if group == admins and who.startswith("aadsp")}
    own = {
        read(here, name)["infrastructure"]["groups"]["cicd_processes"] for name in ("shared", "dev", "staging", "prod")
    }
    assert given == {f"aadsp.{one}" for one in own}


def test_a_feed(here: World) -> None:
    here.set(**{"shared.azure_devops.feed": "vetted"})
    here.make()
    assert tables(here)["feeds"]["vetted"]["upstreamEnabled"] is False
    groups = {value: name for name, value in read(here, "shared")["infrastructure"]["groups"].items()}
    roles = {
        groups.get(who.rpartition(".")[2], who.rpartition(".")[2]): role for who, role in tables(here)["roles"].items()
    }
    assert roles == {
        **dict.fromkeys(("data_scientist", "project_lead"), "contributor"),
        **dict.fromkeys(
            ("model_tester", "business_stakeholders", "data_governance_processes", "the-monitors"), "reader"
        ),
        "platform_technical_support": "administrator",
    }
    made = here.made()
    assert here.run("--yes")[0] == 0
    assert here.made() == made
    assert here.run("--undo", "--yes")[0] == 0
    assert tables(here)["feeds"] == tables(here)["roles"] == {}


def test_the_build_service_may_propose_tell_and_keep(here: World) -> None:
    here.make()
    service = devops.identity("Rides Build Service (acme)")["descriptor"]
    rights = {key.split()[1]: bits for key, bits in tables(here)["rights"].items() if key.endswith(service)}
    repository = f"repoV2/{devops.PROJECT_ID}/{devops.REPOSITORY_ID}"
    items = {"vstfs:///Classification/Node/area-1": 16 | 32}
    assert rights == {repository: 4 | 16 | 16384, **items, devops.PROJECT_ID: 4}


def test_rights_that_were_there_stay(here: World) -> None:
    service = devops.identity("Rides Build Service (acme)")["descriptor"]
    key = f"2e9eb7ed-3c0a-47d4-87c1-0ffdd275fd87 repoV2/{devops.PROJECT_ID}/{devops.REPOSITORY_ID} {service}"
    tables(here)["rights"][key] = 2 | 4
    here.make()
    assert here.run("--undo", "--yes")[0] == 0
    assert tables(here)["rights"] == {key: 2 | 4}


def test_a_second_run_changes_nothing_and_an_undo_is_complete(here: World) -> None:
    texts, made = here.texts(), here.made()
    here.make()
    made["devops"]["retention"] = here.made()["devops"]["retention"]  # stays: it deletes nothing
    whole, changes = here.made(), here.state["changes"]
    code, printed = here.run()
    assert (code, "Everything is there." in printed) == (0, True), printed
    assert (here.made(), here.state["changes"]) == (whole, changes)
    code, printed = here.run("--undo", "--yes")
    assert code == 0, printed
    assert here.texts() == texts
    assert here.made() == {**made, "providers": here.state["providers"]}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_run_that_broke_off_is_finished_by_the_next(here: World, when: str) -> None:
    import copy

    texts, empty = here.texts(), copy.deepcopy(here.state)
    here.make()
    whole, whole_texts, changes = here.made(), here.texts(), here.state["changes"]
    for number in range(2 if when == "before" else 5, changes + 1, 11):
        for name in set(whole_texts) - set(texts):
            (here.root / name).unlink(missing_ok=True)
        for name, text in texts.items():
            (here.root / name).write_text(text, encoding="utf-8")
        here.state = {**copy.deepcopy(empty), "break": number, "when": when}
        assert here.run("--yes", *INDEX)[0] == 2
        here.make()
        assert here.made() == whole, number
        assert here.texts() == whole_texts, number


DENIED = {
    "connections": (
        "rest --method post --url https://dev.azure.com/acme/_apis/serviceendpoint",
        "project administrator",
    ),
    "checks": (
        "rest --method post --url https://dev.azure.com/acme/Rides/_apis/pipelines/checks",
        "project administrator",
    ),
    "collection": ("rest --method post --url https://vssps.dev.azure.com", "Project Collection Administrator"),
}


@pytest.mark.parametrize("right", DENIED)
def test_what_an_administrator_must_do_is_said_exactly(here: World, right: str) -> None:
    word, who = DENIED[right]
    here.state["denied"] = [word]
    code, printed = here.run("--yes", *INDEX)
    assert (code, who in printed) == (1, True), printed
    for _ in range(5):
        if code == 0:
            break
        requests = [line.strip() for line in printed.splitlines() if re.match(r"    az ", line)]
        assert requests, printed
        for request in requests:
            as_administrator(here, request)
        code, printed = here.run("--yes", *INDEX)
        here.state["denied"] = [] if right == "collection" else here.state["denied"]  # a member is known after joining
    assert code == 0, printed
    assert filled(here) == []


@pytest.mark.parametrize("origin", ORIGINS)
def test_every_form_of_address_is_read(here: World, origin: str) -> None:
    here.state["origin"] = origin
    assert here.run("--plan", *INDEX)[0] == 0


@pytest.mark.parametrize("origin", ["", "https://github.com/acme/taxi-fares.git", "https://dev.azure.com/acme/Rides"])
def test_a_repository_that_is_elsewhere(here: World, origin: str) -> None:
    here.state["origin"] = origin
    code, printed = here.run("--plan", *INDEX)
    assert (code, "names no repository of Azure Repos" in printed) == (2, True)


def test_an_empty_repository(here: World) -> None:
    tables(here)["default_branch"] = ""
    code, printed = here.run("--yes", *INDEX)
    assert (code, "is empty: push this repository first" in printed) == (2, True)


def test_nobody_named_to_approve(here: World) -> None:
    here.set(**{"shared.approvals.reviewers.prod.product_owner": []})
    code, printed = here.run("--yes", *INDEX)
    assert code == 1
    assert "approvals.reviewers.prod.product_owner is empty: write who approves" in printed
    assert "azure-prod" not in by_name(here, "endpoints")
    assert "azure-staging" in by_name(here, "endpoints")


def test_several_names_for_one_of_two_personas(here: World) -> None:
    here.set(**{"shared.approvals.reviewers.prod.product_owner": ["olaf@example.com", "lea@example.com"]})
    assert "make a group of them" in here.run("--plan", *INDEX)[1]
    here.set(**{"shared.approvals.reviewers.prod.product_owner": ["olaf@example.com"]})
    here.set(**{"shared.approvals.reviewers.staging.model_tester": ["tess@example.com", "lea@example.com"]})
    here.make()
    settings = checks(here, "azure-staging")["Approval"]["settings"]
    assert (len(settings["approvers"]), settings["minRequiredApprovers"]) == (2, 1)


def test_an_unknown_approver(here: World) -> None:
    here.set(**{"shared.approvals.reviewers.staging.model_tester": ["nobody@example.com"]})
    code, printed = here.run("--plan", *INDEX)
    assert (code, "no user or group called 'nobody@example.com'" in printed) == (2, True)


def test_other_approvers_are_put_right(here: World) -> None:
    here.make()
    here.set(**{"shared.approvals.reviewers.staging.model_tester": ["lea@example.com"]})
    assert "~ model tester approve each use of azure-staging" in here.run("--plan")[1]
    assert here.run("--yes")[0] == 0
    (approver,) = checks(here, "azure-staging")["Approval"]["settings"]["approvers"]
    assert approver["id"] == devops.identity("lea@example.com")["id"]


def test_a_weakened_check_is_put_right(here: World) -> None:
    here.make()
    checks(here, "azure-prod")["Approval"]["settings"]["requesterCannotBeApprover"] = False
    checks(here, "azure-prod")["Task Check"]["settings"]["inputs"]["allowedBranches"] = "*"
    assert here.run("--yes")[0] == 0
    assert checks(here, "azure-prod")["Approval"]["settings"]["requesterCannotBeApprover"] is True
    assert checks(here, "azure-prod")["Task Check"]["settings"]["inputs"]["allowedBranches"] == "refs/heads/main"


def test_without_approvals_only_in_writing(here: World) -> None:
    here.set(**{"shared.approvals.unprotected": "CTO, 2030-01-15: one person works on it"})
    here.make()
    assert all("Approval" not in checks(here, name) for name in by_name(here, "endpoints"))


def test_a_connection_of_somebody_else_is_not_taken_over(here: World) -> None:
    here.make()
    theirs = dict(by_name(here, "endpoints")["azure-prod"])
    assert here.run("--undo", "--yes")[0] == 0
    tables(here)["endpoints"][theirs["id"]] = theirs
    code, printed = here.run("--yes", *INDEX)
    assert code == 1
    assert "something of this name is there already, and it was not made here" in printed
    prod = next(
        app["appId"] for app in here.state["apps"].values() if app["displayName"] == "taxi-fares-prod-pipelines"
    )
    assert here.state["credentials"][prod] == []


def test_one_workspace_for_all(here: World) -> None:
    """Connections have fixed names in the pipelines: dev's and staging's act as production, with its approvals."""
    here.set(**{"shared.infrastructure.workspaces": "one"})
    for name in ("dev", "staging"):
        here.set(**{f"{name}.azure.{key}": value for key, value in read(here, "prod")["azure"].items()})
        here.set(**{f"{name}.azure.subscription": ""})
    group = f"/subscriptions/{here.state['account']['id']}/resourceGroups/rg-taxi-fares-shared"
    identity = f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-taxifares-prod-monitoring"
    here.state["identities"] = {identity: "the-monitors"}
    here.make()
    endpoints = by_name(here, "endpoints")
    prod = endpoints["azure-prod"]["authorization"]["parameters"]["serviceprincipalid"]
    for name in ("azure-dev", "azure-staging"):
        assert endpoints[name]["authorization"]["parameters"]["serviceprincipalid"] == prod
        assert checks(here, name)["Approval"]["settings"]["minRequiredApprovers"] == 2
    assert len(here.state["credentials"][prod]) == 3
    (group,) = tables(here)["groups"].values()
    assert group["variables"]["environments"]["value"] == "shared prod"


def test_rights_of_what_is_not_there_yet_come_later(here: World) -> None:
    here.state["identities"] = {}
    code, printed = here.run("--yes", *INDEX)
    assert code == 1
    assert "its identity is not there yet: apply infrastructure/ for shared, then run this again" in printed


def test_every_published_route_is_one_that_is_used() -> None:
    assert set(devops.HANDLERS) <= set(devops.ROUTES)


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("get", "Rides/_apis/wishes?api-version=7.1", None, "Not Found"),
        ("get", "Rides/_apis/pipelines/environments?api-version=7.1", None, "api-version"),
        ("get", "Rides/_apis/pipelines/environments?api-version=7.2-preview.1&colour=red", None, "has no"),
        ("post", "Rides/_apis/pipelines/environments?api-version=7.2-preview.1", {"title": "x"}, "the body has no"),
    ],
)
def test_the_stand_in_refuses_what_nobody_published(method: str, path: str, body: Any, said: str) -> None:
    with pytest.raises(devops.Failure, match=said):
        devops.answer(method, f"https://dev.azure.com/acme/{path}", body, devops.new_state())
