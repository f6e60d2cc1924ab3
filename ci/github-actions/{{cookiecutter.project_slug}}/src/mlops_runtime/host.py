"""GitHub Actions for the commands that pipelines call: who approved and who wrote, issues for people, outputs."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlops_runtime import config
from mlops_runtime.bootstrap.tools import gh
from mlops_runtime.errors import Problem
from mlops_runtime.happened import Choice, Event, release_key, release_name

NAME = "GitHub Actions"
HERE = "repos/{owner}/{repo}"  # gh knows which
ROBOT = "github-actions%5Bbot%5D"  # who opens these issues: nobody else can write one that is taken for them
PAGE = 100  # issues of one answer; GitHub's limit
LONGEST_TITLE, LONGEST_BODY = 250, 60_000  # characters; GitHub takes a few more


def approvals(environment: str) -> tuple[list[str], str]:
    """Who approved that this run acts in `environment`, and where that can be read."""
    run = _variable("GITHUB_RUN_ID")
    where = "/".join((_variable("GITHUB_SERVER_URL"), _variable("GITHUB_REPOSITORY"), "actions", "runs", run))
    single = config.load(environment).infrastructure.workspaces == "one"
    gate = "prod" if single else environment  # with one workspace there is no other environment on GitHub
    people = [
        str(review["user"]["login"])
        for review in gh(f"{HERE}/actions/runs/{run}/approvals")
        if review["state"] == "approved" and any(_is_gate(one["name"], gate) for one in review["environments"])
    ]
    return list(dict.fromkeys(people)), where


def authors(commit: str) -> list[str]:
    """Who wrote what a commit brought: who opened its pull request, and its author unless all that it does is merge."""
    pulls = [one["user"] for one in gh(f"{HERE}/commits/{commit}/pulls") if one["merged_at"]]
    made = gh(f"{HERE}/commits/{commit}")
    people = pulls if pulls and len(made["parents"]) > 1 else [*pulls, made["author"]]
    return list(dict.fromkeys(str(one["login"]) for one in people if one))  # without an account it is none


def tell(event: Event) -> str:
    """Open an issue, or bring the open one with this key up to date; its address."""
    mark = _mark(event["key"])
    text = event["body"].replace("<!--", "<!-\u200b-")  # what is told cannot pretend to be another issue
    content = {"title": " ".join(event["title"].split())[:LONGEST_TITLE], "body": f"{text[:LONGEST_BODY]}\n\n{mark}"}
    there = _issue(event["key"])
    if there is None:
        return str(gh(f"{HERE}/issues", "POST", {**content, "labels": [event["kind"]]})["html_url"])
    if any(there[key] != value for key, value in content.items()):
        gh(f"{HERE}/issues/{there['number']}", "PATCH", content)
    return str(there["html_url"])


def tried(event: Event) -> str:
    """Why the release of this version is not started by itself; empty when it is."""
    there = _issue(release_key(release_name(event)))
    return f"it was refused or has failed, and {there['html_url']} is open" if there else ""


def release(choice: Choice) -> None:
    """Give what is released next to the jobs that follow."""
    for name, value in choice.outputs().items():
        output(name, value)


def output(name: str, value: str) -> None:
    """Give a value to the jobs that follow; nothing in it can become another output."""
    end = uuid.uuid4().hex
    with Path(_variable("GITHUB_OUTPUT")).open("a", encoding="utf-8") as file:
        file.write(f"{name}<<{end}\n{value}\n{end}\n")


def _is_gate(name: str, environment: str) -> bool:
    """Whether jobs pass this environment on GitHub on their way to `environment`."""
    return name == environment or name.startswith(f"{environment}-")


def _mark(key: str) -> str:
    return f"<!-- {key} -->"


def _issue(key: str) -> Any:
    """The open issue with this key; None where there is none."""
    return next((issue for issue in _open() if _mark(key) in (issue["body"] or "").splitlines()), None)


def _open() -> Iterator[Any]:
    """The open issues that workflows have opened, the newest first."""
    number = 0
    while True:
        number += 1
        page = gh(f"{HERE}/issues?state=open&creator={ROBOT}&per_page={PAGE}&page={number}")
        yield from page
        if len(page) < PAGE:
            return


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise Problem(f"{name} is not set: this works in a job of {NAME}, which sets it.")
    return value
