"""GitLab CI/CD for the bootstrap: the project's environments, who approves in them, its variables and schedules."""

import re
from collections.abc import Callable
from functools import cached_property
from typing import Any
from urllib.parse import quote

from mlops_runtime.bootstrap.context import MONITOR, PLAN, SHARED, Context
from mlops_runtime.bootstrap.steps import BEFORE, STALE, Facts, Later, Refused, Step
from mlops_runtime.bootstrap.tools import Denied, found, glab
from mlops_runtime.errors import Problem

HERE = "projects/:id"  # glab knows which
WITH_APPROVALS = ("premium", "ultimate", "silver", "gold", "opensource")  # plans of gitlab.com; also as name_trial
# GitLab has five tiers; what tells `monitor` from `shared` in a subject is that it is not protected.
TIERS = {
    SHARED: "other",
    "dev": "development",
    "staging": "staging",
    "prod": "production",
    PLAN: "testing",
    MONITOR: "other",
}
SUBJECT = ("project_path", "ref_type", "ref")  # what subjects are made of, if nobody says otherwise
OWN_SUBJECT = (*SUBJECT, "environment_protected", "deployment_tier")
SINCE = (18, 7)  # GitLab puts the tier of the environment into subjects
NOBODY, DEVELOPERS, MAINTAINERS = 0, 30, 40  # GitLab's numbers of access levels
ADMIN = "the role Maintainer in the project"
SCHEDULES = {  # by the pipeline that they start
    "release": "*/30 * * * *",
    "monitor": "12 5 * * *",
    "drift": "42 4 * * 1",
    "template-update": "12 4 * * 1",
}
HOURLY = "7 * * * *"  # most often where a plan has no approvals
SETTINGS = {"restrict_user_defined_variables": True, "ci_pipeline_variables_minimum_override_role": "maintainer"}
NO_SELF_APPROVAL = {"allow_pipeline_trigger_approve_deployment": False}
PUSH = {"ci_push_repository_for_job_token_allowed": True}


class Host:
    """This project on GitLab."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._gates: dict[str, list[Step]] = {}

    @cached_property
    def project(self) -> dict[str, Any]:
        """What GitLab says of the project."""
        answer: dict[str, Any] = glab(HERE)
        return answer

    @property
    def name(self) -> str:
        """Its path, as people know it."""
        return str(self.project["path_with_namespace"])

    @property
    def branch(self) -> str:
        """The branch whose pipelines act on Azure."""
        return str(self.project["default_branch"])

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """What GitLab says of itself."""
        answer: dict[str, Any] = glab("metadata")
        return answer

    @cached_property
    def issuer(self) -> str:
        """Who issues the tokens of jobs: this GitLab."""
        return str(self.project["web_url"]).removesuffix("/" + self.name)

    @cached_property
    def has_own_subjects(self) -> bool:
        """Whether subjects can tell environments apart."""
        found_version = re.match(r"(\d+)\.(\d+)", str(self.metadata["version"]))
        return bool(found_version) and tuple(map(int, found_version.groups())) >= SINCE  # type: ignore[union-attr]

    @cached_property
    def has_approvals(self) -> bool:
        """Whether environments here can be protected and ask for approval."""
        namespace = found(glab, f"namespaces/{self.project['namespace']['id']}") or {}
        plan = str(namespace.get("plan") or "").removesuffix("_trial")
        if plan:
            return plan in WITH_APPROVALS
        try:  # a GitLab of one's own does not tell its plan
            return found(glab, f"{HERE}/protected_environments") is not None
        except Denied:
            return False

    def subject(self, environment: str) -> str:
        """The subject of tokens that a job in this environment gets on the default branch."""
        branch = f"project_path:{self.name}:ref_type:branch:ref:{self.branch}"
        if not self.has_own_subjects:
            return branch
        guarded = str(self._is_guarded(environment)).lower()
        return f"{branch}:environment_protected:{guarded}:deployment_tier:{TIERS[environment]}"

    def _is_guarded(self, environment: str) -> bool:
        """Whether an environment is protected: all are where the plan has that, but the one that only looks."""
        return self.has_approvals and environment != MONITOR

    def gates(self, environment: str) -> list[Step]:
        """What must be there before an identity trusts this environment; its protection is the last of it.

        GitLab asks for all approvals in the one environment: one rule for each persona that must approve.
        """
        if environment not in self._gates:
            first = [self._branch(), self._settings(), *([self._subjects()] if self.has_own_subjects else [])]
            needs = tuple(step.name for step in first)
            gate = self._environment(environment, needs)
            self._gates[environment] = [*(first if environment == SHARED else []), gate]
        return self._gates[environment]

    def _branch(self) -> Step:
        path = f"{HERE}/protected_branches/{quote(self.branch, safe='')}"

        def find() -> Facts | None:
            there = found(glab, path)
            if there is None:
                return None
            for what in ("push_access_levels", "merge_access_levels"):
                if any(one["access_level"] == DEVELOPERS for one in there[what]):
                    raise Refused(
                        f"developers may change branch {self.branch} without anybody: under Settings > Repository > "
                        "Protected branches allow merging to Maintainers and pushing to No one"
                    )
            return {"name": there["name"], "pushed": any(one["access_level"] for one in there["push_access_levels"])}

        def make() -> Facts:
            levels = {"push_access_level": NOBODY, "merge_access_level": MAINTAINERS, "allow_force_push": False}
            glab(f"{HERE}/protected_branches", "POST", {"name": self.branch, **levels})
            return {"name": self.branch, "pushed": False}

        def undo(_: Facts) -> None:
            _remove(path)

        what = f"protected branch {self.branch} of {self.name}: changed by merge requests that a maintainer merges"
        return Step("ci/branch", what, find, make, undo, right=ADMIN)

    def _settings(self) -> Step:
        wanted = {**SETTINGS, **(NO_SELF_APPROVAL if self.has_approvals else {})}
        approval = ", nobody approves the run that they have started" if self.has_approvals else ""
        return self._setting("settings", wanted, f"only maintainers set variables of a run{approval}")

    def _subjects(self) -> Step:
        wanted = {"ci_id_token_sub_claim_components": list(OWN_SUBJECT)}
        return self._setting("subjects", wanted, "subjects of its tokens name protection and tier of the environment")

    def _push(self) -> Step:
        step = self._setting("push", PUSH, "jobs may push branches, for template updates", needs=("ci/branch",))

        def find() -> Facts | None:
            if self.context.known.get("ci/branch", {}).get("pushed"):
                raise Later(
                    f"jobs could then push to {self.branch} too: under Settings > Repository > Protected branches "
                    "allow pushing to No one, then run this again"
                )
            return step.find()

        return Step(step.name, step.what, find, step.make, step.undo, step.needs, ADMIN)

    def _setting(self, name: str, wanted: dict[str, Any], what: str, needs: tuple[str, ...] = ()) -> Step:
        def now() -> dict[str, Any]:
            there = glab(HERE)
            return {key: there.get(key) for key in wanted}

        def find() -> Facts | None:
            return {} if now() == wanted else None

        def make() -> Facts:
            was = now()
            glab(HERE, "PUT", wanted)
            return {"was": was}

        def undo(facts: Facts) -> None:
            was = {key: value for key, value in facts.get("was", {}).items() if value is not None}
            if was and now() == wanted:
                glab(HERE, "PUT", was)

        return Step(f"ci/{name}", f"settings of {self.name}: {what}", find, make, undo, needs, ADMIN)

    def _environment(self, environment: str, needs: tuple[str, ...]) -> Step:
        place, tier = f"{HERE}/environments", TIERS[environment]
        path, guarded = f"{HERE}/protected_environments", self._is_guarded(environment)

        def wanted() -> dict[str, list[dict[str, Any]]]:
            rules = [{**one, "required_approvals": 1} for one in self._approvers(environment)]
            return {"deploy_access_levels": [{"access_level": MAINTAINERS}], "approval_rules": rules}

        def protection() -> dict[str, Any] | None:
            there: dict[str, Any] | None = found(glab, f"{path}/{environment}") if guarded else None
            return there

        def listed() -> dict[str, Any] | None:
            return next((one for one in glab(f"{place}?name={environment}") if one["name"] == environment), None)

        def find() -> Facts | None:
            rules, one, guard = wanted(), listed(), protection()  # refused even if it is there
            if one is None or (guard is None and guarded):
                return None
            stale = one["tier"] != tier or (guard is not None and _protected(guard) != rules)
            return {"id": one["id"], STALE: stale}

        def make() -> Facts:
            there, before = listed(), protection()
            one = there or glab(place, "POST", {"name": environment, "tier": tier})
            if one["tier"] != tier:
                glab(f"{place}/{one['id']}", "PUT", {"tier": tier})
            if guarded:
                protect(before)
            return {"id": one["id"], "new": there is None, BEFORE: before and _protected(before)}

        def protect(before: dict[str, Any] | None) -> None:
            rules = wanted()
            if before is None:
                made = glab(path, "POST", {"name": environment, **rules})
            elif _protected(before) != rules:
                made = glab(f"{path}/{environment}", "PUT", _change(before, rules))
            else:
                return
            if _protected(made)["approval_rules"] != rules["approval_rules"]:  # GitLab leaves out strangers silently
                raise Problem(
                    f"GitLab did not take all approvers of {environment}: invite them, with the role Developer at "
                    f"least, to {self.name}, then run this again."
                )

        def undo(facts: Facts) -> None:
            now = protection()
            if now and facts.get(BEFORE):
                glab(f"{path}/{environment}", "PUT", _change(now, facts[BEFORE]))
            elif now:
                _remove(f"{path}/{environment}")
            if facts.get("new"):
                glab(f"{place}/{facts['id']}/stop", "POST", {"force": True})  # only what is stopped can be deleted
                glab(f"{place}/{facts['id']}", "DELETE")

        who = " and ".join(persona.replace("_", " ") for persona in self.context.reviewers(environment))
        approval = f", approved by {who}" if who and self.has_approvals else ""
        what = f"environment {environment} of {self.name}{approval}"
        return Step(f"ci/environment/{environment}", what, find, make, undo, needs, ADMIN)

    def _approvers(self, environment: str) -> list[dict[str, Any]]:
        """One user or group for each persona; nobody where that was decided in writing."""
        approvals = self.context.shared.approvals
        personas = approvals.reviewers.of(environment)
        if not personas or approvals.unprotected:
            return []
        if not self.has_approvals:
            raise Refused(
                f"environments of {self.name} cannot ask for approval: that needs GitLab Premium. "
                "To go on without, write into approvals.unprotected in config/shared.yml who decided that and why"
            )
        found_ones = []
        for persona, names in personas.items():
            key = f"config/shared.yml: approvals.reviewers.{approvals.reviewers.key(environment)}.{persona}"
            if not names:
                raise Refused(f"{key} is empty: write who approves, a user name or the path of a group")
            if len(names) > 1:
                raise Refused(f"{key} names {len(names)}: GitLab would ask all of them; make a group of them")
            found_ones.append(self._approver(names[0], key))
        return found_ones

    def _approver(self, name: str, key: str) -> dict[str, Any]:
        """A name with a slash is a group."""
        if "/" in name:
            group = found(glab, f"groups/{quote(name, safe='')}?with_projects=false")
            if group:
                return {"group_id": group["id"]}
        else:
            users = glab(f"users?username={quote(name, safe='')}")
            if users:
                return {"user_id": users[0]["id"]}
        raise Problem(f"{key}: GitLab knows no {'group' if '/' in name else 'user'} {name!r}: correct the name.")

    def variables(self) -> list[Step]:
        """What jobs read to sign in without a secret, and, last, what starts the pipelines."""
        context = self.context
        steps = [self._variable("*", "AZURE_TENANT_ID", lambda: context.tenant, ())]
        for environment in context.identities:
            app, credential = f"app/{environment}", f"federation/{environment}"
            client = lambda app=app: str(context.known[app]["appId"])  # noqa: E731
            steps.append(self._variable(environment, "AZURE_CLIENT_ID", client, (app, credential)))
            subscription = lambda environment=environment: context.subscription(environment)  # noqa: E731
            steps.append(self._variable(environment, "AZURE_SUBSCRIPTION_ID", subscription, (app, credential)))
        if context.single:
            steps += [self._variable("*", f"ENVIRONMENT_{one}", lambda: "prod", ()) for one in ("DEV", "STAGING")]
        ready = (f"federation/{context.environments[-1]}",)  # of prod, the last that may be refused
        steps += [self._push(), *(self._schedule(name, cron, ready) for name, cron in SCHEDULES.items())]
        return steps

    def _variable(self, scope: str, name: str, value: Callable[[], str], needs: tuple[str, ...]) -> Step:
        place = f"{HERE}/variables"
        path = f"{place}/{name}?filter[environment_scope]={quote(scope, safe='')}"
        where = "project" if scope == "*" else scope

        def find() -> Facts | None:
            there = found(glab, path)
            if there is None:
                return None
            return {"value": there["value"], STALE: (there["value"], there["protected"]) != (value(), True)}

        def make() -> Facts:
            there = found(glab, path)
            facts = {"key": name, "value": value(), "environment_scope": scope, "protected": True, "raw": True}
            if there:
                glab(path, "PUT", {key: one for key, one in facts.items() if key != "key"})
            else:
                glab(place, "POST", facts)
            return {"value": value(), BEFORE: there and {"value": there["value"], "protected": there["protected"]}}

        def undo(facts: Facts) -> None:
            if facts.get(BEFORE):
                glab(path, "PUT", facts[BEFORE])
            elif BEFORE not in facts:
                _remove(path)

        what = f"variable {name} of {where}, for protected branches"
        return Step(f"ci/variable/{where}/{name}", what, find, make, undo, needs, ADMIN)

    def _schedule(self, pipeline: str, cron: str, needs: tuple[str, ...]) -> Step:
        path, title = f"{HERE}/pipeline_schedules", f"{self.context.project}: {pipeline}"
        often = HOURLY if cron.startswith("*/") and not self.has_approvals else cron

        def find() -> Facts | None:
            """One that was made but does not say its pipeline yet is not as it should be."""
            listed = [one for one in glab(f"{path}?per_page=100") if one["description"] == title]
            if not listed:
                return None
            said = {one["key"]: one["value"] for one in glab(f"{path}/{listed[0]['id']}")["variables"]}
            return {"id": listed[0]["id"], STALE: said.get("PIPELINE") != pipeline}

        def make() -> Facts:
            there = find()
            when = {"ref": self.branch, "cron": often, "cron_timezone": "UTC", "active": True}
            number = there["id"] if there else glab(path, "POST", {"description": title, **when})["id"]
            said = glab(f"{path}/{number}")["variables"]
            if any(one["key"] == "PIPELINE" for one in said):
                glab(f"{path}/{number}/variables/PIPELINE", "PUT", {"value": pipeline})
            else:
                glab(f"{path}/{number}/variables", "POST", {"key": "PIPELINE", "value": pipeline})
            return {"id": number}

        def undo(facts: Facts) -> None:
            _remove(f"{path}/{facts['id']}")

        what = f"schedule of pipeline {pipeline} ({often})"
        return Step(f"ci/schedule/{pipeline}", what, find, make, undo, needs, ADMIN)


def _protected(there: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The protection of an environment, as it is written."""
    levels = [_who(one) for one in there["deploy_access_levels"]]
    rules = [{**_who(one), "required_approvals": one["required_approvals"]} for one in there["approval_rules"]]
    return {"deploy_access_levels": levels, "approval_rules": rules}


def _who(one: dict[str, Any]) -> dict[str, Any]:
    """Of user, group and level the one that is given; the level beside a user or a group only says theirs."""
    return next({key: one[key]} for key in ("user_id", "group_id", "access_level") if one.get(key) is not None)


def _change(there: dict[str, Any], wanted: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """What makes of a protection another, in one call, so that there is no moment without."""
    body = {}
    for key, entries in wanted.items():
        gone = [{"id": one["id"], "_destroy": True} for one in there[key]]
        body[key] = [*entries, *gone]
    return body


def _remove(path: str) -> None:
    """Delete what may be gone already; GitLab may answer alike to who may not and to nothing there."""
    try:
        glab(path, "DELETE")
    except Denied:
        if found(glab, path) is not None:
            raise
