"""GitLab for jobs: who approved and who wrote, issues of what has happened, what was tried, the next release, outputs.

What is read comes with the job's own token. Issues need another: `TELL_TOKEN`, a project access token with the scope
`api` and the role Planner. Without it a job that has something to tell fails, and GitLab mails its schedule's owner.
"""

import json
import os
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from mlops_runtime import config, web
from mlops_runtime.errors import Problem, Refusal
from mlops_runtime.happened import Choice, Event, release_name

NAME = "GitLab"
OUTPUTS = Path("outputs.env")  # a dotenv report makes variables of later jobs of it
UNFINISHED = ("blocked", "created", "running")  # states of deployments
LABEL = "mlops"
RELEASE = Path(".gitlab", "release")  # pipelines that a release can be
NEXT = "next.yml"  # the one that GitLab then starts
SECONDS = 30  # that GitLab may take to answer


class Denied(Problem):
    """What GitLab does not tell who asks."""


def approvals(environment: str) -> tuple[list[str], str]:
    """Who approved the deployment that this job is, and where that can be read."""
    job, project = _variable("CI_JOB_ID"), _variable("CI_PROJECT_URL")
    name = os.environ.get("CI_ENVIRONMENT_NAME") or environment  # one workspace: staging is in that of prod
    for one in _deployments(environment=name, order_by="id", sort="desc", per_page="50"):
        if str((one.get("deployable") or {}).get("id")) == job:
            break
    else:
        raise Problem(f"GitLab knows no deployment to {name} of job {job}: run this in a job of that environment.")
    full = _get(f"deployments/{one['id']}")
    rules = (full.get("approval_summary") or {}).get("rules") or []
    given = [*(full.get("approvals") or []), *(one for rule in rules for one in rule.get("deployment_approvals") or [])]
    people = [one["user"]["username"] for one in given if one["status"] == "approved"]
    return list(dict.fromkeys(people)), f"{project}/-/environments/{one['environment']['id']}/deployments/{one['iid']}"


def authors(commit: str) -> list[str]:
    """Who opened the merge requests that brought a commit; nobody where GitLab does not tell that to jobs."""
    try:
        requests = _get(f"repository/commits/{commit}/merge_requests")
    except Denied:
        return []
    return list(dict.fromkeys(str(one["author"]["username"]) for one in requests if one["state"] == "merged"))


def tried(event: Event) -> str:
    """Why the release of this version is not started by itself; empty when it is.

    The jobs of a release have its name in theirs.
    """
    staging = os.environ.get("ENVIRONMENT_STAGING") or "staging"
    for name in dict.fromkeys((staging, "prod")):
        for one in _deployments(environment=name, order_by="id", sort="desc", per_page="100"):
            job = one.get("deployable") or {}
            kind, _, what = str(job.get("name", "")).partition(" ")
            where = (job.get("pipeline") or {}).get("web_url") or f"{_variable('CI_PROJECT_URL')}/-/environments"
            if kind in ("staging", "prod") and one["status"] in UNFINISHED:
                return f"the release of {what} waits or runs: {where}"
            if kind == "staging" and what == release_name(event):
                return f"it was refused or has failed: {where}"
    return ""


def release(choice: Choice) -> None:
    """Write down the pipeline that is started next."""
    root = config.find_root()
    text = (root / RELEASE / ("deploy.yml" if choice.version else "nothing.yml")).read_text(encoding="utf-8")
    values = {
        **{"NAME": choice.name, "VERSION": choice.version, "COMMIT": choice.commit},
        **{"PROMOTED": "yes" if choice.promoted else "", "RETRAINED": "--retrained" if choice.retrained else ""},
    }
    text = "\n".join(line for line in text.split("\n") if not line.startswith("#"))
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    (root / NEXT).write_text(text, encoding="utf-8", newline="\n")


def tell(event: Event) -> str:
    """Open an issue for this event, or bring the open one with its key up to date; its address."""
    token = os.environ.get("TELL_TOKEN")
    if not token:
        raise Refusal(
            f"{event['title']}\n\n{event['body']}\n\nThis is told here only. Make a project access token with the role "
            "Planner and the scope api, and a variable TELL_TOKEN of it, masked, protected, for the environment tell: "
            "then it becomes an issue."
        )
    mark = f"<!-- {event['key']} -->"
    body = {"title": event["title"], "description": f"{event['body']}\n\n{mark}"}
    query = {"state": "opened", "labels": LABEL, "search": event["key"], "in": "description", "per_page": "100"}
    issues = _ask("GET", f"issues?{urlencode(query)}", token=token)
    there = next((one for one in issues if mark in (one["description"] or "")), None)
    if there is None:
        labels = ",".join((LABEL, event["kind"]))
        there = _ask("POST", "issues", {**body, "labels": labels}, token=token)
    elif (there["title"], there["description"]) != (body["title"], body["description"]):
        there = _ask("PUT", f"issues/{there['iid']}", body, token=token)
    return str(there["web_url"])


def output(name: str, value: str) -> None:
    """Give a value to the jobs that follow."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or "\n" in value:
        raise Problem(f"{name}={value!r} cannot be an output: a name of letters, digits and _, a value on one line.")
    with OUTPUTS.open("a", encoding="utf-8", newline="\n") as file:
        file.write(f"{name}={value}\n")


def _deployments(**query: str) -> Any:
    return _get(f"deployments?{urlencode(query)}")


def _get(path: str) -> Any:
    """Read with the job's own token."""
    return _ask("GET", path, job_token=_variable("CI_JOB_TOKEN"))


def _ask(method: str, path: str, body: Any = None, *, token: str = "", job_token: str = "") -> Any:
    url = f"{_variable('CI_API_V4_URL')}/projects/{quote(_variable('CI_PROJECT_ID'), safe='')}/{path}"
    request = urllib.request.Request(url, method=method, data=json.dumps(body).encode() if body is not None else None)
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("PRIVATE-TOKEN", token)
    else:
        request.add_header("JOB-TOKEN", job_token)
    what = path.partition("?")[0]
    try:
        with web.ask(request, SECONDS) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if token and error.code in (401, 403):
            raise Problem(
                f"GitLab answered {error.code} to {method} {what}: TELL_TOKEN has expired, or lacks the role Planner "
                "or the scope api. Make a new project access token and put it into the variable."
            ) from None
        if error.code in (401, 403, 404):
            raise Denied(f"GitLab answered {error.code} to {method} {what}: its job token may not read that.") from None
        said = error.read(500).decode(errors="replace")
        raise Problem(f"GitLab answered {error.code} to {method} {what}: {said}") from None
    except (OSError, ValueError) as error:
        raise Problem(f"GitLab cannot be asked ({method} {what}): {error}. Run the job again.") from None


def _variable(name: str) -> str:
    """What GitLab tells every job."""
    value = os.environ.get(name)
    if not value:
        raise Problem(f"The variable {name} is not set: this runs in jobs on GitLab.")
    return value
