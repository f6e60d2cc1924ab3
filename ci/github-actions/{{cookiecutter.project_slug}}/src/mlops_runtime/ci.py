"""GitHub Actions for the bootstrap: the repository's environments, who approves in them, and its variables."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from mlops_runtime.bootstrap.context import PLAN, Context
from mlops_runtime.bootstrap.steps import BEFORE, STALE, Facts, Refused, Step
from mlops_runtime.bootstrap.tools import Denied, found, gh
from mlops_runtime.errors import Problem

HERE = "repos/{owner}/{repo}"  # gh knows which
WITH_APPROVALS = ("enterprise", "business_plus")  # plans on which a private repository has required reviewers
WITHOUT_APPROVALS = ("free", "pro", "team")
MOST_REVIEWERS = 6  # of one environment; GitHub's limit
NO_PLAN = "billing plan"  # what GitHub says of a protection that the plan does not have
ADMIN = "an administrator of the repository"


class Host:
    """This repository on GitHub."""

    issuer = "https://token.actions.githubusercontent.com"

    def __init__(self, context: Context) -> None:
        self.context = context
        self._gates: dict[str, list[Step]] = {}

    @cached_property
    def repository(self) -> dict[str, Any]:
        """What GitHub says of the repository."""
        answer: dict[str, Any] = gh(HERE)
        return answer

    @cached_property
    def subject_prefix(self) -> str:
        """How the subject of this repository's tokens begins: with ids in it where GitHub says so."""
        rule = found(gh, f"{HERE}/actions/oidc/customization/sub") or {"use_default": True}
        if not rule["use_default"] and rule.get("include_claim_keys") != ["repo", "context"]:
            raise Problem(
                f"{self.repository['full_name']} has its own form of OIDC subjects ({rule.get('include_claim_keys')}): "
                f"set it back with `gh api --method PUT {HERE}/actions/oidc/customization/sub -F use_default=true`."
            )
        return str(rule.get("sub_claim_prefix") or f"repo:{self.repository['full_name']}")

    def subject(self, environment: str) -> str:
        """The subject of tokens that a job in this environment gets."""
        return f"{self.subject_prefix}:environment:{environment}"

    def gates(self, environment: str) -> list[Step]:
        """The environments on GitHub that a job passes before it acts in `environment`, which is the last of them.

        GitHub asks for one approval in each, so that there is one for each persona that must approve.
        """
        if environment not in self._gates:
            personas = self.context.reviewers(environment)
            names = [*(f"{environment}-{persona.replace('_', '-')}" for persona in personas[:-1]), environment]
            self._gates[environment] = [
                self._gate(environment, name, persona) for name, persona in zip(names, personas or [""], strict=True)
            ]
        return self._gates[environment]

    @cached_property
    def has_approvals(self) -> bool | None:
        """Whether environments here can ask for approval; None when GitHub does not tell."""
        if self.repository["visibility"] == "public":
            return True
        owner = self.repository["owner"]
        whose = found(gh, f"orgs/{owner['login']}" if owner["type"] == "Organization" else "user") or {}
        own = whose.get("login") == owner["login"]  # not that of a guest of somebody's repository
        plan = str((whose.get("plan") or {}).get("name", "")) if own else ""
        return True if plan in WITH_APPROVALS else False if plan in WITHOUT_APPROVALS else None

    def _gate(self, environment: str, name: str, persona: str) -> Step:
        path = f"{HERE}/environments/{name}"
        branch = "" if environment == PLAN else self.repository["default_branch"]  # a plan is for changes of any branch
        policy = {"protected_branches": False, "custom_branch_policies": True} if branch else None

        def wanted() -> dict[str, Any]:
            reviewers = self._reviewers(environment, persona) if persona else []
            return {"reviewers": reviewers, "prevent_self_review": bool(reviewers)}

        def protected(there: dict[str, Any]) -> bool:
            own = bool((there["deployment_branch_policy"] or {}).get("custom_branch_policies"))
            return own == bool(branch) and all(there[key] == value for key, value in wanted().items())

        def entered(there: dict[str, Any] | None) -> bool:
            """Whether the branch gets in."""
            if not branch:
                return True
            listed = found(gh, f"{path}/deployment-branch-policies") if there else None
            return branch in [one["name"] for one in (listed or {"branch_policies": []})["branch_policies"]]

        def find() -> Facts | None:
            wanted()  # refused even if it is there
            there = _protection(found(gh, path))
            return there and {"name": name, STALE: not (protected(there) and entered(there))}

        def make() -> Facts:
            there = _protection(found(gh, path))
            if not (there and protected(there)):
                protect()
            if not entered(there):
                gh(f"{path}/deployment-branch-policies", "POST", {"name": branch, "type": "branch"})
            return {"name": name, BEFORE: there}

        def protect() -> None:
            try:
                gh(path, "PUT", {**wanted(), "deployment_branch_policy": policy})
            except Problem as problem:
                if NO_PLAN in str(problem):
                    raise Refused(self._no_approvals()) from None
                raise

        def undo(facts: Facts) -> None:
            if BEFORE in facts:
                gh(path, "PUT", facts[BEFORE])
            else:
                _remove(path)

        approval = f", approved by {persona.replace('_', ' ')}," if persona else ""
        who = f"for branch {branch} only" if branch else "for every branch"
        what = f"environment {name} of {self.repository['full_name']}{approval} {who}"
        return Step(f"ci/environment/{name}", what, find, make, undo, right=ADMIN)

    def _reviewers(self, environment: str, persona: str) -> list[dict[str, Any]]:
        """Who approves, as GitHub knows them; none where that was decided in writing."""
        approvals = self.context.shared.approvals
        if approvals.unprotected:
            return []
        if self.has_approvals is False:
            raise Refused(self._no_approvals())
        names = approvals.reviewers.of(environment)[persona]
        key = f"config/shared.yml: approvals.reviewers.{approvals.reviewers.key(environment)}.{persona}"
        if not names:
            raise Refused(f"{key} is empty: write who approves, user names or organization/team")
        if len(names) > MOST_REVIEWERS:
            raise Refused(f"{key} names {len(names)}: GitHub takes {MOST_REVIEWERS}; make a team of them")
        return [self._reviewer(name, key) for name in names]

    def _reviewer(self, name: str, key: str) -> dict[str, Any]:
        organization, _, team = name.partition("/")
        who = found(gh, f"orgs/{organization}/teams/{team}" if team else f"users/{name}")
        if who is None:
            raise Problem(f"{key}: GitHub knows no {'team' if team else 'user'} {name!r}: correct the name.")
        return {"type": "Team" if team else "User", "id": who["id"]}

    def _no_approvals(self) -> str:
        name = self.repository["full_name"]
        return (
            f"environments of {name} cannot ask for approval: that needs GitHub Enterprise or a public repository. "
            "To go on without, write into approvals.unprotected in config/shared.yml who decided that and why"
        )

    def variables(self) -> list[Step]:
        """What jobs read to sign in without a secret."""
        context = self.context
        workspaces = context.shared.infrastructure.workspaces
        steps = [
            self._variable(HERE + "/actions", "repository", "AZURE_TENANT_ID", lambda: context.tenant, ()),
            self._variable(HERE + "/actions", "repository", "WORKSPACES", lambda: workspaces, ()),
        ]
        for environment in context.identities:
            place = f"{HERE}/environments/{environment}"
            app, credential = f"app/{environment}", f"federation/{environment}"
            client = lambda app=app: str(context.known[app]["appId"])  # noqa: E731
            steps.append(self._variable(place, environment, "AZURE_CLIENT_ID", client, (app, credential)))
            subscription = lambda environment=environment: context.subscription(environment)  # noqa: E731
            steps.append(self._variable(place, environment, "AZURE_SUBSCRIPTION_ID", subscription, (app, credential)))
        return steps

    def _variable(self, place: str, where: str, name: str, value: Callable[[], str], needs: tuple[str, ...]) -> Step:
        path, step = f"{place}/variables", f"ci/variable/{where}/{name}"

        def find() -> Facts | None:
            there = found(gh, f"{path}/{name}")
            return {"value": there["value"], STALE: there["value"] != value()} if there else None

        def make() -> Facts:
            there = find()
            if there:
                gh(f"{path}/{name}", "PATCH", {"name": name, "value": value()})
            else:
                gh(path, "POST", {"name": name, "value": value()})
            return {"value": value(), BEFORE: there and there["value"]}

        def undo(facts: Facts) -> None:
            if BEFORE in facts:
                gh(f"{path}/{name}", "PATCH", {"name": name, "value": facts[BEFORE]})
            else:
                _remove(f"{path}/{name}")

        return Step(step, f"variable {name} of {where}", find, make, undo, needs, ADMIN)


def _protection(environment: dict[str, Any] | None) -> dict[str, Any] | None:
    """The protection of an environment, as it is written; None without one."""
    if environment is None:
        return None
    rules = {rule["type"]: rule for rule in environment.get("protection_rules") or []}
    reviews = rules.get("required_reviewers", {})
    reviewers = [{"type": one["type"], "id": one["reviewer"]["id"]} for one in reviews.get("reviewers", [])]
    return {
        "reviewers": reviewers,
        "prevent_self_review": bool(reviews.get("prevent_self_review", False)),
        "deployment_branch_policy": environment.get("deployment_branch_policy"),
    }


def _remove(path: str) -> None:
    """Delete what may be gone already; GitHub answers alike to who may not and to nothing there."""
    try:
        gh(path, "DELETE")
    except Denied:
        if found(gh, path) is not None:
            raise
