"""What pipelines ask of Azure DevOps: over HTTP, to a server that knows only published routes, queries and keys."""

import sys
import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from mlops_runtime import cli, commands
from mlops_runtime.errors import Problem
from mlops_runtime.happened import Choice

from ..bootstrap.devops import ROUTES, match
from ..conftest import SLUG_FOLDER, TEMPLATE

TOKEN = "the-token-of-this-job"
EVENT = {
    "key": "prod-failed-7; x",
    "kind": "failed",
    "environment": "prod",
    "title": "It <failed>" + "!" * 300,
    "body": "a < b\n##vso[task.setvariable variable=x]y",
    "version": "7",
    "commit": "",
}
Say = Callable[..., tuple[int, str]]


class Service:
    """The server: what it answers by method and path, and what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        self.broken: list[int] = []

    def answer(self, method: str, url: str, headers: Any, given: bytes) -> tuple[int, Any]:
        parts = urlsplit(url)
        path, query = unquote(parts.path), dict(parse_qsl(parts.query))
        if headers["Authorization"] != f"Bearer {TOKEN}":
            return 401, {"message": "TF400813: not authorized"}
        if self.broken:
            return self.broken.pop(0), {"message": "busy"}
        body = json.loads(given) if given else None
        for route, facts in ROUTES.items():
            verb, pattern = route.split(" ", 1)
            if verb != method or match(pattern, path) is None:
                continue
            keys = {key for one in (body if isinstance(body, list) else [body or {}]) for key in one}
            assert query.pop("api-version") == facts["version"], route
            assert set(query) <= set(facts["query"]), route
            assert keys <= {*facts["body"], *facts["more"]}, route
            kind = "application/json-patch+json" if "workitems" in path else "application/json"
            assert body is None or headers["Content-Type"] == kind
            short = path.partition("/_apis/")[2]
            self.asked.append((f"{method} {short}", query, body))
            return 200, self.answers.get(f"{method} {short}", {"value": []})
        return 404, {"message": f"no route {method} {path}"}


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, plug_ins_of: Callable[..., None]) -> Iterator[Service]:
    """A server in a thread, the variables of a run that point to it, and the plug-in."""
    found = Service()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            given = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            code, said = found.answer(self.command, self.path, self.headers, given)
            text = json.dumps(said).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = handle_any  # noqa: N815

        def log_message(self, *words: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    variables = {
        "SYSTEM_COLLECTIONURI": f"http://127.0.0.1:{server.server_port}/acme/",
        "SYSTEM_TEAMPROJECT": "Big Rides",
        "SYSTEM_TEAMPROJECTID": "project-id",
        "SYSTEM_ACCESSTOKEN": TOKEN,
        "SYSTEM_STAGENAME": "prod",
        "SYSTEM_DEFINITIONID": "3",
        "SYSTEM_PULLREQUEST_PULLREQUESTID": "12",
        "BUILD_BUILDID": "7",
        "BUILD_REPOSITORY_ID": "repository-id",
        "BUILD_REPOSITORY_URI": "https://dev.azure.com/acme/Big%20Rides/_git/taxi-fares",
        "BUILD_SOURCEBRANCH": "refs/heads/main",
        "BUILD_SOURCEVERSION": "c" * 40,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    plug_ins_of("ci/azure-pipelines")
    monkeypatch.setattr(host(), "PAUSE", 0.0)
    yield found
    server.shutdown()
    server.server_close()


def host() -> Any:
    import importlib

    return importlib.import_module("mlops_runtime.host")


@pytest.fixture
def say(service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Say:
    """Run `mlops host …`: exit code and what it printed."""
    own = TEMPLATE / "ci/azure-pipelines" / SLUG_FOLDER / "src/mlops_runtime/commands"
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # the template's own folders
    monkeypatch.setattr(commands, "__path__", [*commands.__path__, str(own)])
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str]:
        code = cli.main(["host", *words])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return run


RECORDS = [
    {"id": "s", "type": "Stage", "identifier": "prod", "parentId": None},
    {"id": "o", "type": "Stage", "identifier": "staging", "parentId": None},
    {"id": "c", "type": "Checkpoint", "parentId": "s"},
    {"id": "d", "type": "Checkpoint", "parentId": "o"},
    {"id": "a1", "type": "Checkpoint.Approval", "parentId": "c"},
    {"id": "a2", "type": "Checkpoint.Approval", "parentId": "d"},
]


def person(name: str, status: str = "approved") -> dict[str, Any]:
    return {"status": status, "actualApprover": {"uniqueName": name, "displayName": name.title()}}


def test_who_approved_this_stage(service: Service) -> None:
    service.answers["GET build/builds/7/timeline"] = {"records": RECORDS}
    steps = [person("olaf@example.com"), person("lea@example.com"), person("tess@example.com", "pending")]
    service.answers["GET pipelines/approvals"] = {"value": [{"status": "approved", "steps": steps}]}
    people, url = host().approvals("prod")
    assert people == ["lea@example.com", "olaf@example.com"]
    assert url.endswith("/acme/Big%20Rides/_build/results?buildId=7")
    assert service.asked[-1][1] == {"approvalIds": "a1", "$expand": "steps"}  # not those of another stage


def test_what_was_not_approved_in_the_end_counts_for_nobody(service: Service) -> None:
    service.answers["GET build/builds/7/timeline"] = {"records": RECORDS}
    service.answers["GET pipelines/approvals"] = {
        "value": [{"status": "rejected", "steps": [person("lea@example.com")]}]
    }
    assert host().approvals("prod")[0] == []


def test_nobody_was_asked(service: Service) -> None:
    service.answers["GET build/builds/7/timeline"] = {"records": RECORDS[:2]}
    assert host().approvals("prod")[0] == []


def test_a_work_item_is_opened_once(service: Service) -> None:
    service.answers["POST wit/wiql"] = {"workItems": []}
    service.answers["POST wit/workitems/$Task"] = {"id": 5}
    assert host().tell(EVENT).endswith("/Big%20Rides/_workitems/edit/5")
    _, _, patch = service.asked[-1]
    values = {one["path"]: one["value"] for one in patch}
    assert len(values["/fields/System.Title"]) == 255
    assert "a &lt; b" in values["/fields/System.Description"]
    *_, tag = values["/fields/System.Tags"].split("; ")
    assert tag in service.asked[0][2]["query"]
    assert EVENT["key"] not in service.asked[0][2]["query"]  # what a query holds is ours alone
    service.answers["POST wit/wiql"] = {"workItems": [{"id": 5}]}
    service.answers["PATCH wit/workitems/5"] = {"id": 5}
    host().tell(EVENT)
    assert service.asked[-1][0] == "PATCH wit/workitems/5"
    assert "/fields/System.Tags" not in [one["path"] for one in service.asked[-1][2]]


def test_an_output_is_data(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    host().output("version", "7%0A\n##vso[task.setvariable variable=x]y")
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "##vso[task.setvariable variable=version;isOutput=true]7%AZP250A%0A##vso[task.setvariable variable=x]y"
    ]


def test_another_run_is_seen(say: Say, service: Service) -> None:
    own, other = ({"id": key, "_links": {"web": {"href": f"https://run/{key}"}}} for key in (7, 6))
    service.answers["GET build/builds"] = {"value": [own]}
    assert say("alone") == (0, "")
    service.answers["GET build/builds"] = {"value": [own, other]}
    code, printed = say("alone")
    assert (code, "https://run/6" in printed) == (1, True)
    assert service.asked[-1][1]["definitions"] == "3"


def test_a_run_is_kept(say: Say, service: Service) -> None:
    assert say("keep", "--days", "365") == (0, "")
    lease = {"definitionId": 3, "runId": 7, "ownerId": "mlops:7", "daysValid": 365, "protectPipeline": False}
    assert service.asked == [("POST build/retention/leases", {}, [lease])]


QUERY = "git/repositories/repository-id/pullrequestquery"
COMMIT = "git/repositories/repository-id/commits/c0ffee"
WROTE = {
    "squashed": (["ann@example.com"], ["p"], "Ann@work.example.com", ["Ann@work.example.com", "ann@example.com"]),
    "merged by somebody": (["ann@example.com"], ["p", "q"], "ben@example.com", ["ann@example.com"]),
    "pushed": ([], ["p"], "ann@work.example.com", ["ann@work.example.com"]),
    "a merge that was pushed": ([], ["p", "q"], "ann@example.com", ["pia@example.com"]),
}


@pytest.mark.parametrize("how", WROTE)
def test_who_wrote_a_commit(service: Service, how: str) -> None:
    """By the names that approvals have: who opened its pull request, else who pushed it; and its author."""
    people, parents, author, wanted = WROTE[how]
    requests = [{"status": "completed", "createdBy": {"uniqueName": name}} for name in people]
    requests.append({"status": "abandoned", "createdBy": {"uniqueName": "eve@example.com"}})
    service.answers[f"POST {QUERY}"] = {"results": [{"c0ffee": requests}, {}]}
    made = {"parents": parents, "author": {"email": author}, "push": {"pushedBy": {"uniqueName": "pia@example.com"}}}
    service.answers[f"GET {COMMIT}"] = made
    assert host().authors("c0ffee") == wanted
    kinds = [one["type"] for one in service.asked[0][2]["queries"]]
    assert kinds == ["lastMergeCommit", "commit"]


def test_what_was_tried(service: Service) -> None:
    """Its work item is open; version 7 of staging is another than that of dev."""
    service.answers["POST wit/wiql"] = {"workItems": []}
    assert host().tried({**EVENT, "environment": "dev"}) == ""
    service.answers["POST wit/wiql"] = {"workItems": [{"id": 5}]}
    assert "/Big%20Rides/_workitems/edit/5 is open" in host().tried({**EVENT, "environment": "dev"})
    host().tried({**EVENT, "environment": "staging"})
    tags = [tag for _, _, query in service.asked for tag in re.findall(r"'(mlops-\w+)'", query["query"])]
    assert tags[0] == tags[1] != tags[2]


def test_a_release_that_was_told_of_is_one_that_was_tried(say: Say, service: Service) -> None:
    """The key that the pipeline gives is the one that is looked for."""
    service.answers["POST wit/wiql"] = {"workItems": []}
    service.answers["POST wit/workitems/$Task"] = {"id": 5}
    assert say("tell", "--key", "release/dev-7", "--kind", "failed", "--title", "t", "--text", "x")[0] == 0
    host().tried({**EVENT, "environment": "dev"})
    first, _, last = (one[2] for one in service.asked)
    assert first == last


def test_what_is_released_next_is_outputs(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    choice = Choice("staging-9", "9", "c0ffee", promoted=True, retrained=True)
    host().release(choice)
    found = re.findall(r"^##vso\[task\.setvariable variable=(\w+);isOutput=true\](.*)$", capsys.readouterr().out, re.MULTILINE)
    assert dict(found) == choice.outputs()


def test_a_plan_is_shown_once_in_the_change(say: Say, service: Service, tmp_path: Path) -> None:
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans/dev.md").write_text("1 change", encoding="utf-8")
    threads = "git/repositories/repository-id/pullRequests/12/threads"
    assert say("comment", "plans")[0] == 0
    asked, _, body = service.asked[-1]
    assert asked == f"POST {threads}"
    content = body["comments"][0]["content"]
    there = {"id": 2, "comments": [{"id": 1, "content": content}]}
    service.answers[f"GET {threads}"] = {"value": [{"id": 1, "comments": [{"id": 1}]}, there]}
    assert say("comment", "plans")[0] == 0
    assert service.asked[-1][0] == f"PATCH {threads}/2/comments/1"


def test_a_change_is_proposed_once(say: Say, service: Service, tmp_path: Path) -> None:
    (tmp_path / "said.txt").write_text("x" * 5000, encoding="utf-8")
    requests = "git/repositories/repository-id/pullrequests"
    service.answers[f"POST {requests}"] = {"pullRequestId": 4}
    assert say("unproposed", "template-update")[0] == 0
    code, printed = say("propose", "template-update/7", "--title", "Adopt", "--body", "said.txt")
    assert (code, printed.strip().endswith("/pullrequest/4")) == (0, True)
    body = service.asked[-1][2]
    assert (body["sourceRefName"], body["targetRefName"]) == ("refs/heads/template-update/7", "refs/heads/main")
    assert len(body["description"]) == 4000
    there = {"pullRequestId": 4, "sourceRefName": "refs/heads/template-update/7"}
    service.answers[f"GET {requests}"] = {"value": [there]}
    assert say("unproposed", "template-update")[0] == 1


def test_a_run_is_kept(say: Say, service: Service) -> None:
    assert say("keep", "--days", "365") == (0, "")
    lease = {"definitionId": 3, "runId": 7, "ownerId": "mlops:7", "daysValid": 365, "protectPipeline": False}
    assert service.asked == [("POST build/retention/leases", {}, [lease])]


def test_a_busy_service_is_asked_again_but_nothing_is_made_twice(say: Say, service: Service) -> None:
    service.broken = [503, 429]
    assert say("alone")[0] == 0
    service.broken = [503]
    code, printed = say("tell", "--key", "k", "--kind", "failed", "--title", "t", "--text", "x")
    assert (code, "Azure DevOps refused POST wit/wiql (503): busy" in printed) == (2, True)


def test_without_the_token(say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SYSTEM_ACCESSTOKEN")
    code, printed = say("alone")
    assert (code, "SYSTEM_ACCESSTOKEN: $(System.AccessToken)" in printed) == (2, True)
    monkeypatch.setenv("SYSTEM_ACCESSTOKEN", "another")
    code, printed = say("alone")
    assert (code, "`mlops bootstrap` gives 'Big Rides Build Service'" in printed) == (2, True)
    assert "another" not in printed


def test_outside_a_pipeline(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BUILD_BUILDID")
    with pytest.raises(Problem, match="BUILD_BUILDID is not set: this runs only in Azure Pipelines"):
        host().approvals("prod")
