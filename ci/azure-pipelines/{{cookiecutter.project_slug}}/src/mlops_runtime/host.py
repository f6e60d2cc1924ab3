"""Azure DevOps for the pipelines: who approved this run, who wrote what, work items, pull requests, outputs of jobs.

It asks Azure DevOps' REST API with the token of the job, which reaches a step only as SYSTEM_ACCESSTOKEN.
"""

import hashlib
import html
import json
import os
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote, urlencode

from mlops_runtime import web
from mlops_runtime.errors import Problem
from mlops_runtime.happened import Choice, Event, release_key, release_name

NAME = "Azure Pipelines"
VERSION = "7.1"
TAG = "mlops"  # of every work item that pipelines open
OVER = ("Closed", "Completed", "Done", "Removed", "Resolved")  # states, by the names of all of Azure Boards' processes
TYPE = "Task"  # the one type of work item that all of these processes have
LONGEST_TITLE = 255
TRIES = 4
PAUSE = 5.0  # seconds, doubled each time
AGAIN = (429, 500, 502, 503, 504)
NEEDS = {
    "SYSTEM_ACCESSTOKEN": "give the step `env: SYSTEM_ACCESSTOKEN: $(System.AccessToken)`",
    "SYSTEM_PULLREQUEST_PULLREQUESTID": "there is one only in runs for a pull request",
}


def approvals(environment: str) -> tuple[list[str], str]:
    """Who approved the stage that runs now, and where that can be read; nobody where nobody was asked."""
    build, stage = _own("BUILD_BUILDID"), _own("SYSTEM_STAGENAME")
    records = _project("GET", f"build/builds/{build}/timeline")["records"]
    stages = {one["id"] for one in records if one["type"] == "Stage" and one.get("identifier") == stage}
    checkpoints = {one["id"] for one in records if one["type"] == "Checkpoint" and one["parentId"] in stages}
    asked = [one["id"] for one in records if one["type"] == "Checkpoint.Approval" and one["parentId"] in checkpoints]
    if not asked:
        return [], run()
    query = {"approvalIds": ",".join(sorted(asked)), "$expand": "steps"}
    given = _project("GET", "pipelines/approvals", query)["value"]
    steps = [step for one in given if one["status"] == "approved" for step in one["steps"]]
    people = [_person(step["actualApprover"]) for step in steps if step["status"] == "approved"]
    return sorted(set(people)), run()


def authors(commit: str) -> list[str]:
    """Who wrote what a commit brought: who opened its pull request, or pushed it; its author unless it only merges."""
    path = f"git/repositories/{_own('BUILD_REPOSITORY_ID')}"
    queries = [{"type": kind, "items": [commit]} for kind in ("lastMergeCommit", "commit")]
    results = _project("POST", f"{path}/pullrequestquery", {}, {"queries": queries})["results"]
    requests = [one for result in results for found in result.values() for one in found]
    people = [_person(one["createdBy"]) for one in requests if one["status"] == "completed"]
    made = _project("GET", f"{path}/commits/{commit}")
    if len(made["parents"]) < 2:
        people.append(str(made["author"]["email"]))
    return sorted(set(people or [_person(made["push"]["pushedBy"])]))


def _person(who: dict[str, Any]) -> str:
    return str(who.get("uniqueName") or who["displayName"])


def run() -> str:
    """Where this run can be read."""
    return f"{_web()}/_build/results?buildId={_own('BUILD_BUILDID')}"


def _web() -> str:
    """Where people find the run's project."""
    return f"{_own('SYSTEM_COLLECTIONURI')}{quote(_own('SYSTEM_TEAMPROJECT'))}"


def tell(event: Event) -> str:
    """Open the work item with the event's key, or bring it up to date while it is open; its address."""
    there = _open(event["key"])
    values = {
        "System.Title": event["title"][:LONGEST_TITLE],
        "System.Description": f'<pre>{html.escape(event["body"])}</pre><p><a href="{html.escape(run())}">Run</a></p>',
    }
    if not there:
        values["System.Tags"] = "; ".join(filter(None, [TAG, event["kind"], event["environment"], _tag(event["key"])]))
    patch = [{"op": "add", "path": f"/fields/{name}", "value": value} for name, value in values.items()]
    path = f"wit/workitems/{there[0]}" if there else f"wit/workitems/${TYPE}"
    item = _project("PATCH" if there else "POST", path, {}, patch, "application/json-patch+json")
    return f"{_web()}/_workitems/edit/{item['id']}"


def tried(event: Event) -> str:
    """Why the release of this version is not started by itself; empty when it is."""
    there = _open(release_key(release_name(event)))
    return f"it was refused or has failed, and {_web()}/_workitems/edit/{there[0]} is open" if there else ""


def release(choice: Choice) -> None:
    """Give what is released next to the stages that follow."""
    for name, value in choice.outputs().items():
        output(name, value)


def _open(key: str) -> list[int]:
    states = ", ".join(f"'{state}'" for state in OVER)
    wiql = (
        "SELECT [System.Id] FROM WorkItems WHERE [System.TeamProject] = @project "
        f"AND [System.Tags] CONTAINS '{_tag(key)}' AND [System.State] NOT IN ({states}) ORDER BY [System.Id]"
    )
    return [one["id"] for one in _project("POST", "wit/wiql", {"$top": "1"}, {"query": wiql})["workItems"]]


def _tag(key: str) -> str:
    """A tag for a key, which may have characters that no tag has."""
    return f"{TAG}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def output(name: str, value: str) -> None:
    """Make a value an output of the step, whatever it holds."""
    print(f"##vso[task.setvariable variable={name};isOutput=true]{escaped(value)}", flush=True)


def escaped(value: str) -> str:
    """A value that the agent reads back as it is."""
    for sign, code in (("%", "%AZP25"), ("\r", "%0D"), ("\n", "%0A")):
        value = value.replace(sign, code)
    return value


def others() -> list[str]:
    """The addresses of this pipeline's other runs that are not over, or will begin."""
    query = {"definitions": _own("SYSTEM_DEFINITIONID"), "statusFilter": "inProgress,notStarted,postponed"}
    listed = _project("GET", "build/builds", query)["value"]
    return [one["_links"]["web"]["href"] for one in listed if str(one["id"]) != _own("BUILD_BUILDID")]


def keep(days: int) -> None:
    """Keep this run and what it has kept, whatever the project's settings say; those that keep it longer still do."""
    run_of = {"definitionId": int(_own("SYSTEM_DEFINITIONID")), "runId": int(_own("BUILD_BUILDID"))}
    lease = {**run_of, "ownerId": f"{TAG}:{_own('BUILD_BUILDID')}", "daysValid": days, "protectPipeline": False}
    _project("POST", "build/retention/leases", {}, [lease])


def comment(key: str, text: str) -> None:
    """Write a comment into the run's pull request, or bring the one with this key up to date."""
    request = _own("SYSTEM_PULLREQUEST_PULLREQUESTID")
    path = f"git/repositories/{_own('BUILD_REPOSITORY_ID')}/pullRequests/{request}/threads"
    mark = f"<!-- {key} -->"
    body = {"content": f"{mark}\n{text}", "commentType": "text"}
    for thread in _project("GET", path)["value"]:
        for one in thread["comments"]:
            if str(one.get("content", "")).startswith(mark):
                _project("PATCH", f"{path}/{thread['id']}/comments/{one['id']}", {}, body)
                return
    _project("POST", path, {}, {"comments": [{**body, "parentCommentId": 0}], "status": "closed"})


def proposals(prefix: str) -> list[str]:
    """The addresses of open pull requests from branches whose names begin so."""
    path = f"git/repositories/{_own('BUILD_REPOSITORY_ID')}/pullrequests"
    listed = _project("GET", path, {"searchCriteria.status": "active", "$top": "1000"})["value"]
    chosen = [one for one in listed if one["sourceRefName"].startswith(f"refs/heads/{prefix}")]
    return [_pull_request(one) for one in chosen]


def propose(branch: str, title: str, text: str) -> str:
    """Open a pull request to the branch that this run is of; its address."""
    body = {
        "sourceRefName": f"refs/heads/{branch}",
        "targetRefName": _own("BUILD_SOURCEBRANCH"),
        "title": title,
        "description": text[:4000],  # its limit
    }
    return _pull_request(_project("POST", f"git/repositories/{_own('BUILD_REPOSITORY_ID')}/pullrequests", {}, body))


def _pull_request(one: dict[str, Any]) -> str:
    return f"{_own('BUILD_REPOSITORY_URI')}/pullrequest/{one['pullRequestId']}"


def _own(name: str) -> str:
    """A predefined variable of the run."""
    value = os.environ.get(name)
    if not value:
        raise Problem(f"{name} is not set: {NEEDS.get(name, 'this runs only in Azure Pipelines')}.")
    return value


def _project(
    method: str, path: str, query: dict[str, str] | None = None, body: Any = None, kind: str = "application/json"
) -> Any:
    """What Azure DevOps answers about the run's project; tried again while it is busy."""
    words = urlencode({**(query or {}), "api-version": VERSION})
    url = f"{_own('SYSTEM_COLLECTIONURI')}{_own('SYSTEM_TEAMPROJECTID')}/_apis/{path}?{words}"
    headers = {"Authorization": f"Bearer {_own('SYSTEM_ACCESSTOKEN')}", "Accept": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    if data:
        headers["Content-Type"] = kind
    request = urllib.request.Request(url, data, headers, method=method)
    for left in reversed(range(TRIES)):
        try:
            with web.ask(request, 60) as answer:
                return _json(answer.read(), path)
        except urllib.error.HTTPError as error:
            if not left or error.code not in AGAIN or method == "POST":  # which may have had its effect
                raise Problem(_said(method, path, error)) from None
        except urllib.error.URLError as error:
            if not left or method == "POST":
                raise Problem(f"Azure DevOps cannot be reached ({method} {path}): {error.reason}.") from None
        time.sleep(PAUSE * 2 ** (TRIES - 1 - left))
    raise AssertionError


def _json(text: bytes, path: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:  # a page to sign in
        raise Problem(f"Azure DevOps did not take the token of this job for {path}: is the step given it?") from None


def _said(method: str, path: str, error: urllib.error.HTTPError) -> str:
    try:
        message = json.loads(error.read())["message"]
    except (ValueError, KeyError, TypeError):
        message = error.reason
    who = f"{_own('SYSTEM_TEAMPROJECT')} Build Service"
    hint = f" `mlops bootstrap` gives {who!r} the rights that this needs." if error.code in (401, 403) else ""
    return f"Azure DevOps refused {method} {path} ({error.code}): {message}{hint}"
