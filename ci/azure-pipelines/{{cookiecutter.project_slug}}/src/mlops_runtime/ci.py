"""Azure DevOps for the bootstrap: service connections and who approves their use, pipelines, and people's rights.

The service connection is what is protected: whoever uses `azure-prod`, in whichever pipeline and stage, waits for the
approvals on it, and does so from the default branch only.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any
from urllib.parse import quote, unquote, urlencode

from mlops_runtime import infrastructure
from mlops_runtime.bootstrap import tools
from mlops_runtime.bootstrap.context import MONITOR, PLAN, READERS, SHARED, Context
from mlops_runtime.bootstrap.steps import BEFORE, STALE, Facts, Later, Refused, Step
from mlops_runtime.bootstrap.tools import Body, az, found
from mlops_runtime.errors import Problem

RESOURCE = "499b84ac-1321-427f-aa17-267ca6975798"  # Azure DevOps, in every directory
SERVERS = {
    "core": "https://dev.azure.com",
    "people": "https://vssps.dev.azure.com",
    "feeds": "https://feeds.dev.azure.com",
}
PREVIEW = {"pipelines/checks": "7.1-preview.1", "pipelines/environments": "7.2-preview.1", "graph": "7.1-preview.1"}
PREVIEW |= {"pipelines/pipelinepermissions": "7.1-preview.1"}
REMOTES = (
    r"https://(?:[^@/]+@)?dev\.azure\.com/(?P<organization>[^/]+)/(?P<project>[^/]+)/_git/(?P<repository>[^/]+)",
    r"git@ssh\.dev\.azure\.com:v3/(?P<organization>[^/]+)/(?P<project>[^/]+)/(?P<repository>[^/]+)",
    r"https://(?:[^@/]+@)?(?P<organization>[^./]+)\.visualstudio\.com/(?:DefaultCollection/)?(?P<project>[^/]+)"
    r"/_git/(?P<repository>[^/]+)",
)
PIPELINES = ("ci", "infrastructure", "train", "release", "monitor", "template-update", "renovate")
USES = {  # which pipelines may use what belongs to an environment
    PLAN: ("ci", "infrastructure"),
    MONITOR: ("release", "monitor"),
    SHARED: ("infrastructure",),
    "dev": ("infrastructure", "train", "release"),
    "staging": ("infrastructure", "release", "monitor"),
    "prod": ("infrastructure", "release"),
}
GROUP, GROUP_USES = "mlops", ("ci", "infrastructure")  # the variable group
APPROVAL = {"id": "8c6f20a7-a545-4486-9777-f762fafe0d4d", "name": "Approval"}
TASK_CHECK = {"id": "fe1de3ee-a436-41b4-bb20-f6eb4cb879a7", "name": "Task Check"}
LOCK = {"id": "2ef31ad6-baa0-403a-8b45-2cbc9b4e5563", "name": "ExclusiveLock"}
BRANCHES = {"id": "86b05a0c-73e6-4f7d-b3cf-e38f3b39a75b", "name": "evaluatebranchProtection", "version": "0.0.1"}
DAYS = 24 * 60  # minutes; what a check waits at most is in days of these
APPROVAL_DAYS, LOCK_DAYS = 14, 3
BUILD_POLICY, REVIEW_POLICY = "0609b952-1397-4640-95ec-e00a01b2c241", "fa4e907d-c16b-4a4c-9dfa-4906e5d171dd"
REVIEWERS_POLICY = "fd2167ab-b0be-447a-8ec8-39368250530e"
REPOSITORIES, AREAS = "2e9eb7ed-3c0a-47d4-87c1-0ffdd275fd87", "83e28ad4-2d72-4ceb-97b0-c7726d5502c3"  # of rights
RUNS = "33344d9c-fc72-4d6f-aba5-fa317101a7e9"
CONTRIBUTE, CREATE_BRANCH, PULL_REQUESTS = 4, 16, 16384
READ_ITEMS, WRITE_ITEMS = 16, 32
RETAIN = 4
KEPT_DAYS = 90
KEPT = {"purgeRuns": "runRetention", "purgeArtifacts": "artifactsRetention"}  # as it is told: as it is changed
# The words of rbac.yml, the weakest first, as Azure DevOps calls groups and Azure Artifacts calls roles.
GROUPS = {
    "Reader": "[{project}]\\Readers",
    "Contributor": "[{project}]\\Contributors",
    "DevOps Project Collection Administrators": "[{organization}]\\Project Collection Administrators",
}
FEED_ROLES = {"Reader": "reader", "Contributor": "contributor", "Owner": "administrator"}
PROJECT_ADMIN = "a project administrator in Azure DevOps"
COLLECTION_ADMIN = "a Project Collection Administrator in Azure DevOps"
JSON = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where the repository is on Azure DevOps."""

    organization: str
    project: str
    repository: str


class Host:
    """This repository on Azure DevOps."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._gates: dict[str, list[Step]] = {}

    @cached_property
    def place(self) -> Place:
        """Organization, project and repository, as git's `origin` names them."""
        try:
            code, out, _ = tools.execute(["git", "remote", "get-url", "origin"], None)
        except OSError:
            raise Problem("git is not installed: install it (https://git-scm.com).") from None
        for pattern in REMOTES if code == 0 else ():
            match = re.fullmatch(pattern, out.strip())
            if match:
                return Place(**{name: unquote(part) for name, part in match.groupdict().items()})
        raise Problem(
            "`git remote get-url origin` names no repository of Azure Repos: push this one there first, for example to "
            "https://dev.azure.com/ORGANIZATION/PROJECT/_git/REPOSITORY."
        )

    @cached_property
    def project(self) -> JSON:
        """Id and name of the project."""
        there = self._call("get", "core", f"projects/{quote(self.place.project)}", scope="organization")
        return {"id": there["id"], "name": there["name"]}

    @cached_property
    def repository(self) -> JSON:
        """Id, name and default branch of the repository."""
        answer: JSON = self._call("get", "core", f"git/repositories/{quote(self.place.repository)}")
        if not answer.get("defaultBranch"):
            raise Problem(f"{self.place.repository} is empty: push this repository first.")
        return answer

    # What the bootstrap of every CI system asks for
    @property
    def issuer(self) -> str:
        """Who signs the tokens of the service connections: told by Azure DevOps with the first of them."""
        told = {facts["issuer"] for name, facts in self.context.known.items() if name.startswith("ci/connection/")}
        if len(told) != 1:
            raise Problem(
                f"The service connections are of different kinds ({', '.join(sorted(told))}): delete the older ones in "
                "the project's settings, then run this again."
            )
        return str(next(iter(told)))

    def subject(self, environment: str) -> str:
        """The subject of tokens of an environment's connection: told by Azure DevOps when that is made."""
        known = self.context.known.get(f"ci/connection/{environment}")
        return str(known["subject"]) if known else f"the service connection {_connection(environment)}"

    def trusted(self, environment: str) -> list[str]:
        """The connections that stand for an identity: with one workspace those of dev and staging are production's."""
        return ["prod", "dev", "staging"] if self.context.single and environment == "prod" else [environment]

    def gates(self, environment: str) -> list[Step]:
        """The environments on Azure DevOps; refused where nobody is named who approves."""
        if environment not in self._gates:
            names = [] if environment in READERS else self.trusted(environment)
            self._gates[environment] = [self._environment(environment, name) for name in names]
        return self._gates[environment]

    def connections(self, environment: str) -> list[Step]:
        """The service connections of an environment with the checks on their use."""
        steps: list[Step] = []
        for name in self.trusted(environment):
            connection = self._connection(environment, name)
            steps += [connection, self._branches(name, connection.name)]
            if environment in READERS:
                continue
            if self.context.reviewers(environment) and not self.context.shared.approvals.unprotected:
                steps.append(self._approval(environment, name, connection.name))
            steps.append(self._lock(name, connection.name))
        return steps

    def variables(self) -> list[Step]:
        """What pipelines read, the pipelines themselves, and who may do what in Azure DevOps."""
        pipelines = [self._pipeline(name) for name in PIPELINES]
        steps = [self._variable_group(), *pipelines, *self._permissions(), *self._policies(), *self._service_rights()]
        return [*steps, self._retention(), *self._memberships(), *self._feed()]

    # Environments and service connections
    def _environment(self, environment: str, name: str) -> Step:
        path = "pipelines/environments"

        def find() -> Facts | None:
            self._approvers(environment)  # refused even if it is there
            listed = self._call("get", "core", path, {"name": name})["value"]
            return next(({"id": one["id"]} for one in listed if one["name"] == name), None)

        def make() -> Facts:
            body = {"name": name, "description": f"{name} of {self.context.project}"}
            return {"id": self._call("post", "core", path, body=body)["id"]}

        def undo(facts: Facts) -> None:
            self._call("delete", "core", f"{path}/{facts['id']}")

        what = f"environment {name} of {self.place.project}"
        return Step(f"ci/environment/{name}", what, find, make, undo, right=PROJECT_ADMIN)

    def _connection(self, environment: str, name: str) -> Step:
        app, path, called = f"app/{environment}", "serviceendpoint/endpoints", _connection(name)
        subscription = self.context.subscription(environment)

        def wanted() -> JSON:
            parameters = {"tenantid": self.context.tenant, "serviceprincipalid": self.context.known[app]["appId"]}
            data = {"subscriptionId": subscription, "subscriptionName": subscription, "environment": "AzureCloud"}
            return {
                "name": called,
                "type": "AzureRM",
                "url": "https://management.azure.com/",
                "description": f"{name} of {self.context.project}",
                "data": {**data, "scopeLevel": "Subscription", "creationMode": "Manual"},
                "authorization": {"scheme": "WorkloadIdentityFederation", "parameters": parameters},
                "isShared": False,
                "isReady": True,
                "serviceEndpointProjectReferences": [{"projectReference": self.project, "name": called}],
            }

        def facts(there: JSON) -> Facts:
            told = there["authorization"]["parameters"]
            issuer, subject = (told.get(f"workloadIdentityFederation{one}") for one in ("Issuer", "Subject"))
            if not (issuer and subject):
                raise Problem(
                    f"{called} signs in by a secret: delete it in the project's settings, then run this again."
                )
            return {"id": there["id"], "issuer": issuer, "subject": subject}

        def same(there: JSON, mine: JSON) -> bool:
            told, own = there["authorization"]["parameters"], mine["authorization"]["parameters"]
            of = there["data"].get("subscriptionId")
            return all(told.get(key) == value for key, value in own.items()) and of == subscription

        def find() -> Facts | None:
            listed = self._call("get", "core", path, {"endpointNames": called})["value"]
            return {**facts(listed[0]), STALE: not same(listed[0], wanted())} if listed else None

        def make() -> Facts:
            there = find()
            if there:
                changed = {**wanted(), "id": there["id"]}
                self._call("put", "core", f"{path}/{there['id']}", body=changed, scope="organization")
                return {key: value for key, value in there.items() if key != STALE}
            return facts(self._call("post", "core", path, body=wanted(), scope="organization"))

        def undo(made: Facts) -> None:
            where = {"projectIds": self.project["id"]}
            self._call("delete", "core", f"{path}/{made['id']}", where, scope="organization")

        what = f"service connection {called} of {self.place.project}, without a secret"
        needs = (f"principal/{environment}", *(gate.name for gate in self.gates(environment)))
        return Step(f"ci/connection/{name}", what, find, make, undo, (app, *needs), PROJECT_ADMIN, own=True)

    def _branches(self, name: str, connection: str) -> Step:
        def settings() -> JSON:
            branch = self.repository["defaultBranch"]
            allowed = f"{branch}, refs/pull/*" if name == PLAN else branch
            inputs = {
                "allowedBranches": allowed,
                "ensureProtectionOfBranch": "false",
                "allowUnknownStatusBranch": "false",
            }
            return {"displayName": "Branch control", "definitionRef": BRANCHES, "inputs": inputs}

        what = f"only the default branch uses {_connection(name)}" + (" besides pull requests" if name == PLAN else "")
        return self._check(f"ci/branches/{name}", what, connection, TASK_CHECK, settings, 1)

    def _approval(self, environment: str, name: str, connection: str) -> Step:
        def settings() -> JSON:
            approvers = self._approvers(environment)
            return {
                "approvers": [{"id": one} for one in approvers],
                "minRequiredApprovers": len(self.context.reviewers(environment)),
                "requesterCannotBeApprover": True,
                "executionOrder": "anyOrder",
                "instructions": f"Look at what this run has kept: the plan for {name}, or the verdict of the trial.",
                "blockedApprovers": [],
            }

        personas = " and ".join(one.replace("_", " ") for one in self.context.reviewers(environment))
        what = f"{personas} approve each use of {_connection(name)}, never their own"
        return self._check(f"ci/approval/{name}", what, connection, APPROVAL, settings, APPROVAL_DAYS)

    def _lock(self, name: str, connection: str) -> Step:
        what = f"one stage at a time uses {_connection(name)}"
        return self._check(f"ci/lock/{name}", what, connection, LOCK, dict, LOCK_DAYS)

    def _check(
        self, step: str, what: str, connection: str, kind: JSON, settings: Callable[[], JSON], days: int
    ) -> Step:
        """A check on the use of a service connection."""
        path = "pipelines/checks/configurations"

        def there() -> JSON | None:
            where = {
                "resourceType": "endpoint",
                "resourceId": self.context.known[connection]["id"],
                "$expand": "settings",
            }
            listed = self._call("get", "core", path, where)["value"]
            task = settings().get("definitionRef")
            for one in listed:
                of = (one.get("settings") or {}).get("definitionRef") or {}
                if one["type"]["id"].casefold() == kind["id"] and (not task or of.get("id") == task["id"]):
                    return dict(one)
            return None

        def find() -> Facts | None:
            one, mine = there(), settings()
            return one and {"id": one["id"], STALE: not _contains(one.get("settings") or {}, mine)}

        def make() -> Facts:
            one, endpoint = there(), self.context.known[connection]["id"]
            resource = {"type": "endpoint", "id": endpoint, "name": connection.rpartition("/")[2]}
            body = {"type": kind, "settings": settings(), "resource": resource, "timeout": days * DAYS}
            if one:
                self._call("patch", "core", f"{path}/{one['id']}", body={**body, "id": one["id"]})
                return {"id": one["id"]}
            return {"id": self._call("post", "core", path, body=body)["id"]}

        def undo(facts: Facts) -> None:
            self._call("delete", "core", f"{path}/{facts['id']}")

        return Step(step, what, find, make, undo, (connection,), PROJECT_ADMIN)

    def _approvers(self, environment: str) -> list[str]:
        """The ids of who approves; none where that was decided in writing."""
        approvals = self.context.shared.approvals
        if approvals.unprotected:
            return []
        personas = self.context.reviewers(environment)
        ids = []
        for persona in personas:
            names = approvals.reviewers.of(environment)[persona]
            key = f"config/shared.yml: approvals.reviewers.{approvals.reviewers.key(environment)}.{persona}"
            if not names:
                raise Refused(f"{key} is empty: write who approves, an e-mail address or the name of a group")
            if len(personas) > 1 and len(names) > 1:
                raise Refused(
                    f"{key} names {len(names)}: Azure DevOps counts approvals by name, and each persona must give one; "
                    "make a group of them"
                )
            ids += [str(self._identity(name, key)["id"]) for name in names]
        return ids

    # Pipelines and what they read
    def _variable_group(self) -> Step:
        path, value = "distributedtask/variablegroups", " ".join(self.context.environments)

        def wanted() -> JSON:
            reference = {"name": GROUP, "projectReference": self.project, "description": "From config/"}
            variables = {"environments": {"value": value, "isSecret": False}}
            return {
                "name": GROUP,
                "type": "Vsts",
                "variables": variables,
                "variableGroupProjectReferences": [reference],
            }

        def find() -> Facts | None:
            listed = self._call("get", "core", path, {"groupName": GROUP})["value"]
            if not listed:
                return None
            same = (listed[0]["variables"].get("environments") or {}).get("value") == value
            return {"id": listed[0]["id"], STALE: not same}

        def make() -> Facts:
            there = find()
            if there:
                self._call("put", "core", f"{path}/{there['id']}", body=wanted(), scope="organization")
                return {"id": there["id"]}
            return {"id": self._call("post", "core", path, body=wanted(), scope="organization")["id"]}

        def undo(facts: Facts) -> None:
            where = {"projectIds": self.project["id"]}
            self._call("delete", "core", f"{path}/{facts['id']}", where, scope="organization")

        what = f"variable group {GROUP}: the environments that there are"
        return Step("ci/variables", what, find, make, undo, right=PROJECT_ADMIN, own=True)

    def _pipeline(self, name: str) -> Step:
        called, file = f"{self.context.project}-{name}", f"/azure-pipelines/{name}.yml"

        def find() -> Facts | None:
            listed = self._call("get", "core", "pipelines")["value"]
            return next(({"id": one["id"]} for one in listed if one["name"] == called), None)

        def make() -> Facts:
            repository = {"id": self.repository["id"], "type": "azureReposGit"}
            configuration = {"type": "yaml", "path": file, "repository": repository}
            body = {"name": called, "folder": "\\", "configuration": configuration}
            return {"id": self._call("post", "core", "pipelines", body=body)["id"]}

        def undo(facts: Facts) -> None:
            self._call("delete", "core", f"build/definitions/{facts['id']}")

        return Step(f"ci/pipeline/{name}", f"pipeline {called}", find, make, undo, right=PROJECT_ADMIN, own=True)

    def _permissions(self) -> list[Step]:
        """Nothing protected is open to every pipeline: each use is allowed by name."""
        steps = [self._permission("variablegroup", "ci/variables", GROUP, GROUP_USES)]
        for environment in self.context.identities:
            for name in self.trusted(environment):
                connection = f"ci/connection/{name}"
                steps.append(self._permission("endpoint", connection, _connection(name), USES[name]))
                if environment not in READERS:
                    steps.append(self._permission("environment", f"ci/environment/{name}", name, USES[name]))
        return steps

    def _permission(self, kind: str, resource: str, called: str, pipelines: tuple[str, ...]) -> Step:
        needs = (resource, *(f"ci/pipeline/{name}" for name in pipelines))

        def path() -> str:
            return f"pipelines/pipelinepermissions/{kind}/{self.context.known[resource]['id']}"

        def wanted() -> list[int]:
            return [self.context.known[name]["id"] for name in needs[1:]]

        def find() -> Facts | None:
            listed = self._call("get", "core", path()).get("pipelines") or []
            allowed = {one["id"] for one in listed if one.get("authorized")}
            return {"pipelines": wanted()} if set(wanted()) <= allowed else None

        def make() -> Facts:
            body = {"pipelines": [{"id": one, "authorized": True} for one in wanted()]}
            self._call("patch", "core", path(), body=body)
            return {"pipelines": wanted()}

        def undo(_: Facts) -> None:
            """Nothing: it goes with the pipelines."""

        what = f"{', '.join(pipelines)} may use {called}"
        return Step(f"ci/permission/{kind}/{called}", what, find, make, undo, needs, PROJECT_ADMIN)

    def _policies(self) -> list[Step]:
        def build() -> JSON:
            return {
                "buildDefinitionId": self.context.known["ci/pipeline/ci"]["id"],
                "displayName": "ci",
                "manualQueueOnly": False,
                "queueOnSourceUpdateOnly": True,
                "validDuration": 0,
                "filenamePatterns": ["/*"],  # a secret may be in any of them
            }

        def review() -> JSON:
            return {
                "minimumApproverCount": 1,
                "creatorVoteCounts": False,
                "blockLastPusherVote": True,
                "allowDownvotes": False,
                "resetOnSourcePush": True,
            }

        def people() -> JSON:
            contributors = self._identity(self._group("Contributor"), "Azure DevOps")
            return {
                "requiredReviewerIds": [contributors["id"]],
                "minimumApproverCount": 1,
                "creatorVoteCounts": False,
                "message": "A contributor approves each change: what a pipeline votes does not count",
            }

        return [
            self._policy("build", "changes of the default branch pass ci", BUILD_POLICY, build, ("ci/pipeline/ci",)),
            self._policy("review", "somebody else than its author approves a change", REVIEW_POLICY, review, ()),
            self._policy("people", "and it is a contributor, not a pipeline", REVIEWERS_POLICY, people, ()),
        ]

    def _policy(self, name: str, what: str, kind: str, own: Callable[[], JSON], needs: tuple[str, ...]) -> Step:
        path, keys = "policy/configurations", ("buildDefinitionId", "requiredReviewerIds")

        def wanted() -> JSON:
            scope = {
                "repositoryId": self.repository["id"],
                "refName": self.repository["defaultBranch"],
                "matchKind": "Exact",
            }
            settings = {**own(), "scope": [scope]}
            return {"isEnabled": True, "isBlocking": True, "type": {"id": kind}, "settings": settings}

        def there() -> JSON | None:
            mine = wanted()["settings"]
            for one in self._call("get", "core", path, {"policyType": kind})["value"]:
                ours = [
                    scope
                    for scope in one["settings"].get("scope", [])
                    if all(scope.get(key) == value for key, value in mine["scope"][0].items())
                ]
                if ours and all(one["settings"].get(key) == mine.get(key) for key in keys):
                    return dict(one)
            return None

        def corrected(one: JSON) -> JSON:
            """What is wanted, on all branches that it is for, and by no fewer people."""
            mine = wanted()
            settings = {**mine["settings"], "scope": one["settings"]["scope"]}
            if "minimumApproverCount" in settings:
                fewest = one["settings"].get("minimumApproverCount") or 0
                settings["minimumApproverCount"] = max(settings["minimumApproverCount"], fewest)
            return {**mine, "settings": {**one["settings"], **settings}}

        def find() -> Facts | None:
            one = there()
            return one and {"id": one["id"], STALE: not _contains(one, corrected(one))}

        def make() -> Facts:
            one = there()
            if one:
                kept = {key: one[key] for key in ("isEnabled", "isBlocking", "type", "settings")}
                self._call("put", "core", f"{path}/{one['id']}", body=corrected(one))
                return {"id": one["id"], BEFORE: kept}
            return {"id": self._call("post", "core", path, body=wanted())["id"]}

        def undo(facts: Facts) -> None:
            if BEFORE in facts:
                self._call("put", "core", f"{path}/{facts['id']}", body=facts[BEFORE])
            else:
                self._call("delete", "core", f"{path}/{facts['id']}")

        return Step(f"ci/policy/{name}", f"branch policy: {what}", find, make, undo, needs, PROJECT_ADMIN)

    def _service_rights(self) -> list[Step]:
        """What pipelines do in Azure DevOps themselves: propose changes, open work items, keep runs."""

        def repository() -> str:
            return f"repoV2/{self.project['id']}/{self.repository['id']}"

        def area() -> str:
            node = self._call("get", "core", "wit/classificationnodes/areas")
            return f"vstfs:///Classification/Node/{node['identifier']}"

        changes = "pipelines push branches and open pull requests"
        return [
            self._service_right(
                "changes", changes, REPOSITORIES, repository, CONTRIBUTE | CREATE_BRANCH | PULL_REQUESTS
            ),
            self._service_right("work-items", "pipelines open work items", AREAS, area, READ_ITEMS | WRITE_ITEMS),
            self._service_right("runs", "pipelines keep their runs", RUNS, lambda: str(self.project["id"]), RETAIN),
        ]

    def _service_right(self, name: str, what: str, space: str, token: Callable[[], str], bits: int) -> Step:
        entries, lists = f"accesscontrolentries/{space}", f"accesscontrollists/{space}"
        service = f"{self.place.project} Build Service ({self.place.organization})"

        def descriptor() -> str:
            return str(self._identity(service, "Azure DevOps")["descriptor"])

        def allowed() -> int:
            where = {"token": token(), "descriptors": descriptor()}
            listed = self._call("get", "core", lists, where, scope="organization")["value"]
            aces = listed[0]["acesDictionary"] if listed else {}
            return int(aces.get(descriptor(), {}).get("allow", 0))

        def find() -> Facts | None:
            has = allowed()
            return {"given": bits} if has & bits == bits else None

        def make() -> Facts:
            before = allowed()
            entry = {"descriptor": descriptor(), "allow": bits, "deny": 0}
            body = {"token": token(), "merge": True, "accessControlEntries": [entry]}
            self._call("post", "core", entries, body=body, scope="organization")
            return {"given": bits & ~before}

        def undo(facts: Facts) -> None:
            left = allowed() & ~facts["given"]
            entry = {"descriptor": descriptor(), "allow": left, "deny": 0}
            body = {"token": token(), "merge": False, "accessControlEntries": [entry]}
            self._call("post", "core", entries, body=body, scope="organization")

        return Step(f"ci/right/{name}", f"{what} ({service})", find, make, undo, right=PROJECT_ADMIN)

    def _retention(self) -> Step:
        """How long runs are kept in which nobody had to decide; never less than the project says."""
        path = "build/retention"

        def short() -> JSON:
            there = self._call("get", "core", path)
            days = {name: min(KEPT_DAYS, there[name]["max"]) for name in KEPT}
            return {KEPT[name]: {"value": most} for name, most in days.items() if there[name]["value"] < most}

        def find() -> Facts | None:
            return None if short() else {"days": KEPT_DAYS}

        def make() -> Facts:
            self._call("patch", "core", path, body=short())
            return {"days": KEPT_DAYS}

        what = f"runs and artifacts of {self.place.project} stay for {KEPT_DAYS} days, or as many as it may"
        return Step("ci/retention", what, find, make, right=PROJECT_ADMIN)  # undone, what is kept would be deleted

    # People's rights: the columns azure_devops and azure_artifacts of rbac.yml
    def _roles(self, column: str, words: dict[str, str]) -> dict[str, str]:
        """The strongest word that any table gives to a persona: there is one project for all environments."""
        strongest: dict[str, str] = {}
        for table in self.context.rbac["assignments"].values():
            for persona, columns in table.items():
                for word in columns.get(column, []):
                    if word not in words:
                        raise Problem(f"infrastructure/rbac.yml: {column}: {word!r} is none of {', '.join(words)}.")
                    order = list(words)
                    strongest[persona] = max(strongest.get(persona, word), word, key=order.index)
        return strongest

    def _principals(self, persona: str) -> list[tuple[str, str, tuple[str, ...], Callable[[], str]]]:
        """Who stands for a persona in Entra: a name, the kind of object, the steps it needs, and its id."""
        kind = self.context.rbac["personas"][persona]["principal"]
        if kind == "group":
            step = f"group/{persona}"
            return [(persona, "groups", (step,), partial(self._id, step))]
        if kind == "managed":
            return [(persona, "serviceprincipals", (), lambda: self._managed_identity(persona))]
        if not self.context.shared.azure_devops.pipelines_administer:
            return []
        steps = {one: f"principal/{one}" for one in self.context.environments}
        return [
            (f"{persona}-{one}", "serviceprincipals", (step,), partial(self._id, step)) for one, step in steps.items()
        ]

    def _id(self, step: str) -> str:
        """The id of what a step found or made."""
        return str(self.context.known[step]["id"])

    def _managed_identity(self, persona: str) -> str:
        """The id of the managed identity that looks at dev."""
        environment = "prod" if self.context.single else "dev"
        suffix = self.context.shared.infrastructure.name_suffix or self.context.suffix()
        names = infrastructure.names(self.context.root, environment, self.context.project, suffix, {})
        path = f"providers/Microsoft.ManagedIdentity/userAssignedIdentities/{names[f'{persona}_identity']}"
        url = f"https://management.azure.com{self.context.scope(SHARED)}/{path}?api-version=2023-01-31"
        there = found(az, "rest", "--method", "get", "--url", url)
        if there is None:
            raise Later("its identity is not there yet: apply infrastructure/ for shared, then run this again")
        return str(there["properties"]["principalId"])

    def _memberships(self) -> list[Step]:
        steps = []
        for persona, word in self._roles("azure_devops", GROUPS).items():
            for principal in self._principals(persona):
                steps.append(self._membership(word, *principal))
        return steps

    def _membership(self, word: str, name: str, kind: str, needs: tuple[str, ...], who: Callable[[], str]) -> Step:
        group = self._group(word)
        step = f"ci/member/{name}"

        def container() -> str:
            return str(self._identity(group, "Azure DevOps")["subjectDescriptor"])

        def find() -> Facts | None:
            origin, made = who(), self.context.record.made.get(step, {})
            if made.get("origin") != origin or made.get("group") != group:
                return None  # joining twice does no harm
            path = f"graph/memberships/{made['descriptor']}/{container()}"
            there = found(lambda: self._call("get", "people", path, scope="organization"))
            return dict(made) if there is not None else None

        def make() -> Facts:
            where = {"groupDescriptors": container()}
            joined = self._call("post", "people", f"graph/{kind}", where, {"originId": who()}, scope="organization")
            return {"origin": who(), "group": group, "descriptor": joined["descriptor"]}

        def undo(facts: Facts) -> None:
            path = f"graph/memberships/{facts['descriptor']}/{container()}"
            self._call("delete", "people", path, scope="organization")

        right = COLLECTION_ADMIN if "organization" in GROUPS[word] else PROJECT_ADMIN
        return Step(step, f"{name} in {group}", find, make, undo, needs, right)

    def _feed(self) -> list[Step]:
        """The private feed for packages that nothing else may bring in, if config names one."""
        name = self.context.shared.azure_devops.feed
        if not name:
            return []
        path = f"packaging/feeds/{quote(name)}"

        def find() -> Facts | None:
            there = found(lambda: self._call("get", "feeds", path))
            return {"id": there["id"]} if there else None

        def make() -> Facts:
            words = "Packages that were looked at before they were let in"
            body = {"name": name, "description": words, "upstreamEnabled": False, "hideDeletedPackageVersions": True}
            return {"id": self._call("post", "feeds", "packaging/feeds", body=body)["id"]}

        def undo(_: Facts) -> None:
            self._call("delete", "feeds", path)

        what = f"feed {name} in Azure Artifacts, without upstream sources"
        feed = Step("ci/feed", what, find, make, undo, right=PROJECT_ADMIN, own=True)
        roles = self._roles("azure_artifacts", FEED_ROLES)
        return [
            feed,
            *(
                self._feed_role(path, FEED_ROLES[word], *principal)
                for persona, word in roles.items()
                for principal in self._principals(persona)
            ),
        ]

    def _feed_role(
        self, path: str, role: str, name: str, kind: str, needs: tuple[str, ...], who: Callable[[], str]
    ) -> Step:
        step, place = f"ci/feed/{name}", f"{path}/permissions"

        def descriptor() -> str:
            """Makes the principal known to Azure DevOps, which does no harm if it is."""
            known = self._call("post", "people", f"graph/{kind}", body={"originId": who()}, scope="organization")
            where = {"subjectDescriptors": known["descriptor"]}
            listed = self._call("get", "people", "identities", where, scope="organization")["value"]
            return str(listed[0]["descriptor"])

        def find() -> Facts | None:
            made = self.context.record.made.get(step, {})
            if made.get("origin") != who():
                return None
            for one in self._call("get", "feeds", place)["value"]:
                if one["identityDescriptor"] == made["descriptor"]:
                    return {**made, STALE: one["role"] != role}
            return None

        def make() -> Facts:
            own = descriptor()
            self._call("patch", "feeds", place, body=[{"identityDescriptor": own, "role": role}])
            return {"origin": who(), "descriptor": own}

        def undo(facts: Facts) -> None:
            self._call("patch", "feeds", place, body=[{"identityDescriptor": facts["descriptor"], "role": "none"}])

        what = f"{name} is {role} of the feed"
        return Step(step, what, find, make, undo, ("ci/feed", *needs), PROJECT_ADMIN)

    # Azure DevOps' REST API
    def _group(self, word: str) -> str:
        return GROUPS[word].format(project=self.place.project, organization=self.place.organization)

    def _identity(self, name: str, where: str) -> JSON:
        """A person or group that Azure DevOps knows by this name or address."""
        query = {"searchFilter": "General", "filterValue": name, "queryMembership": "None"}
        listed = self._call("get", "people", "identities", query, scope="organization")["value"]
        chosen = [one for one in listed if name.casefold() in _names(one)]
        if len(chosen) != 1:
            many = "several users or groups" if chosen else "no user or group"
            raise Problem(f"{where}: {self.place.organization} has {many} called {name!r}: correct the name.")
        return dict(chosen[0])

    def _call(
        self,
        method: str,
        server: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Any = None,
        *,
        scope: str = "project",
    ) -> Any:
        """What Azure DevOps answers; `path` comes after `_apis/`, in the project or in the organization."""
        place = quote(self.place.organization) + (f"/{quote(self.place.project)}" if scope == "project" else "")
        version = next((value for start, value in PREVIEW.items() if path.startswith(start)), "7.1")
        words = urlencode({**(query or {}), "api-version": version}, quote_via=quote)
        url = f"{SERVERS[server]}/{place}/_apis/{path}?{words}"
        given = () if body is None else ("--body", Body(body))
        return az("rest", "--method", method, "--url", url, "--resource", RESOURCE, *given)


def _connection(name: str) -> str:
    return f"azure-{name}"


def _names(identity: JSON) -> set[str]:
    """All that an identity is called."""
    properties = identity.get("properties", {})
    values = [properties.get(key, {}).get("$value", "") for key in ("Account", "Mail", "SignInAddress")]
    return {str(one).casefold() for one in (identity.get("providerDisplayName", ""), *values) if one}


def _contains(there: Any, wanted: Any) -> bool:
    """Whether all that is wanted is there as it should be; Azure DevOps adds keys of its own."""
    if isinstance(wanted, dict):
        return isinstance(there, dict) and all(_contains(there.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(there, list) and len(there) == len(wanted) and all(map(_contains, there, wanted))
    return bool(there == wanted)
