"""What jobs on GitLab ask it, and tell it, against a stand-in for its API that knows who may ask what."""

import importlib
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from mlops_runtime.errors import Problem, Refusal
from mlops_runtime.happened import Choice

from ..conftest import SLUG_FOLDER, TEMPLATE

EVENT = {
    **{"key": "prod-retrain-1", "kind": "retrain", "environment": "prod", "version": "7", "commit": ""},
    **{"title": "Drift", "body": "Look at the report."},
}


class Gitlab:
    """Deployments and issues of one project; what a token may is what GitLab's pages say."""

    def __init__(self) -> None:
        self.deployments: list[dict[str, Any]] = []
        self.issues: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.requests: dict[str, list[dict[str, Any]]] = {}  # merge requests by commit
        self.broken = 0

    def answer(self, method: str, path: str, headers: Any, body: Any) -> tuple[int, Any]:
        url = urlsplit(path)
        self.calls.append(f"{method} {url.path}")
        where, query = url.path.removeprefix("/projects/7/"), parse_qs(url.query)
        if self.broken:
            return self.broken, {"message": "broken"}
        if where.startswith("deployments"):
            if headers.get("JOB-TOKEN") != "job" or method != "GET":
                return 401, {}
            number = where.partition("/")[2]
            if number:
                return 200, next(one for one in self.deployments if str(one["id"]) == number)
            found = [one for one in self.deployments if [one["environment"]["name"]] == query["environment"]]
            return 200, [{k: v for k, v in one.items() if "approval" not in k} for one in reversed(found)]
        if where.startswith("repository/commits/"):
            _, _, commit, what = where.split("/")
            allowed = headers.get("JOB-TOKEN") == "job" and (method, what) == ("GET", "merge_requests")
            return (200, self.requests[commit]) if allowed else (401, {})
        if headers.get("PRIVATE-TOKEN") != "glpat-planner":  # jobs' own tokens open no issues
            return 401, {}
        if method == "GET":
            assert query["state"] == ["opened"]
            return 200, [one for one in self.issues if query["search"][0] in one["description"]]
        if method == "POST":
            number = len(self.issues) + 1
            self.issues.append({**body, "iid": number, "web_url": f"https://gitlab.com/issues/{number}"})
            return 201, self.issues[-1]
        one = self.issues[int(where.rpartition("/")[2]) - 1]
        one.update(body)
        return 200, one


@pytest.fixture
def gitlab(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Gitlab]:
    there = Gitlab()

    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            code, content = there.answer(self.command, self.path, self.headers, body)
            self.send_response(code)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        do_GET = do_POST = do_PUT = handle_one  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    said = {"CI_API_V4_URL": f"http://127.0.0.1:{server.server_port}", "CI_PROJECT_ID": "7", "CI_JOB_TOKEN": "job"}
    said |= {"CI_JOB_ID": "41", "CI_PROJECT_URL": "https://gitlab.com/acme/fares"}
    for name, value in {**said, "TELL_TOKEN": "glpat-planner"}.items():
        monkeypatch.setenv(name, value)
    for name in ("CI_ENVIRONMENT_NAME", "ENVIRONMENT_STAGING"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    yield there
    server.shutdown()


@pytest.fixture
def host(gitlab: Gitlab, plug_ins_of: Callable[..., None]) -> Any:
    plug_ins_of("ci/gitlab-ci")
    return importlib.import_module("mlops_runtime.host")


def deployment(name: str, job: str, number: int, status: str = "running", **more: Any) -> dict[str, Any]:
    pipeline = {"web_url": f"https://gitlab.com/pipelines/{number}"}
    deployable = {"id": number, "name": job, "pipeline": pipeline}
    place = {"id": 3, "name": name}
    return {"id": 100 + number, "iid": number, "status": status, "environment": place, "deployable": deployable, **more}


def approval(name: str, status: str = "approved") -> dict[str, Any]:
    return {"user": {"username": name}, "status": status}


def test_who_approved(gitlab: Gitlab, host: Any) -> None:
    rules = [{"deployment_approvals": [approval("lea")]}, {"deployment_approvals": [approval("olaf")]}]
    ours = deployment("prod", "prod 7", 41, approvals=[approval("lea")], approval_summary={"rules": rules})
    gitlab.deployments = [deployment("prod", "prod 6", 40, approvals=[approval("eve")]), ours]
    people, where = host.approvals("prod")
    assert people == ["lea", "olaf"]
    assert where == "https://gitlab.com/acme/fares/-/environments/3/deployments/41"


def test_nobody_has_approved(gitlab: Gitlab, host: Any) -> None:
    """A refusal is none."""
    gitlab.deployments = [deployment("staging", "staging 7", 41, approvals=[approval("tess", "rejected")])]
    assert host.approvals("staging")[0] == []


def test_with_one_workspace_staging_is_in_prod(gitlab: Gitlab, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    gitlab.deployments = [deployment("prod", "staging 7", 41, approvals=[approval("olaf")])]
    with pytest.raises(Problem, match="no deployment to staging of job 41"):
        host.approvals("staging")
    monkeypatch.setenv("CI_ENVIRONMENT_NAME", "prod")
    assert host.approvals("staging")[0] == ["olaf"]


def test_what_was_tried(gitlab: Gitlab, host: Any) -> None:
    """Version 7 of dev is another than version 7 of staging."""
    of_dev, of_staging = {**EVENT, "environment": "dev"}, {**EVENT, "environment": "staging"}
    assert host.tried(of_dev) == ""
    gitlab.deployments = [
        deployment("staging", "staging dev-7", 1, "failed"),
        deployment("prod", "apply-prod", 2, "blocked"),
    ]
    assert host.tried(of_dev) == "it was refused or has failed: https://gitlab.com/pipelines/1"
    assert host.tried(of_staging) == ""
    gitlab.deployments.append(deployment("prod", "prod dev-5", 3, "blocked"))
    assert host.tried(of_staging) == "the release of dev-5 waits or runs: https://gitlab.com/pipelines/3"


def merge_request(name: str, state: str = "merged") -> dict[str, Any]:
    return {"author": {"username": name}, "state": state}


def test_who_wrote_a_commit(gitlab: Gitlab, host: Any) -> None:
    """By user name, as approvals are; nobody where GitLab tells it to no job."""
    gitlab.requests["c0ffee"] = [merge_request("ann"), merge_request("eve", "closed"), merge_request("ann")]
    assert host.authors("c0ffee") == ["ann"]
    gitlab.requests["beef"] = []
    assert host.authors("beef") == []
    gitlab.broken = 403
    assert host.authors("c0ffee") == []
    gitlab.broken = 500
    with pytest.raises(Problem, match="GitLab answered 500"):
        host.authors("c0ffee")


@pytest.mark.parametrize("choice", [Choice("dev-7", "7", "c0ffee"), Choice("staging-9", "9", "beef", True, True)])
def test_a_release_is_a_pipeline(host: Any, tmp_path: Path, choice: Choice) -> None:
    pipeline = released(host, tmp_path, choice)
    jobs = {name for name in pipeline if name.endswith(choice.name)}
    assert jobs == {f"staging {choice.name}", f"prod {choice.name}"}
    values = {key: pipeline["variables"][key] for key in ("RELEASE", "MODEL_VERSION", "COMMIT", "PROMOTED", "RETRAINED")}
    flags = ("yes", "--retrained") if choice.promoted else ("", "")
    assert list(values.values()) == [choice.name, choice.version, choice.commit, *flags]
    assert "@" not in json.dumps({**pipeline, "scanner": ""})


def test_nothing_is_a_pipeline_too(host: Any, tmp_path: Path) -> None:
    assert set(released(host, tmp_path, Choice())) == {"nothing"}


def released(host: Any, folder: Path, choice: Choice) -> dict[str, Any]:
    """The pipeline that is started next."""
    shutil.copytree(TEMPLATE / "ci/gitlab-ci" / SLUG_FOLDER / ".gitlab", folder / ".gitlab")
    (folder / "config").mkdir()
    (folder / "config/shared.yml").write_text("a: 1\n", encoding="utf-8")
    host.release(choice)
    return dict(yaml.safe_load((folder / "next.yml").read_text(encoding="utf-8")))


def test_an_event_is_told_once(gitlab: Gitlab, host: Any) -> None:
    address = host.tell(EVENT)
    assert address == "https://gitlab.com/issues/1"
    assert gitlab.issues[0]["labels"] == "mlops,retrain"
    gitlab.calls.clear()
    assert host.tell(EVENT) == address
    assert [one.split()[0] for one in gitlab.calls] == ["GET"]
    assert host.tell({**EVENT, "body": "Worse."}) == address
    assert gitlab.issues[0]["description"].startswith("Worse.")
    host.tell({**EVENT, "key": "prod-retrain-10", "title": "Another"})  # its key contains the first
    assert host.tell(EVENT) == address
    assert [one["title"] for one in gitlab.issues] == ["Drift", "Another"]


def test_without_a_token_the_job_says_it(gitlab: Gitlab, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TELL_TOKEN")
    with pytest.raises(Refusal, match=r"Look at the report(.|\n)*the role Planner") as refusal:
        host.tell(EVENT)
    assert "job" not in gitlab.calls
    assert "glpat" not in str(refusal.value)
    monkeypatch.setenv("TELL_TOKEN", "glpat-old")
    with pytest.raises(Problem, match="TELL_TOKEN has expired") as problem:
        host.tell(EVENT)
    assert "glpat-old" not in str(problem.value)


def test_gitlab_is_broken(gitlab: Gitlab, host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    gitlab.broken = 500
    with pytest.raises(Problem, match="GitLab answered 500 to GET deployments"):
        host.approvals("prod")
    monkeypatch.setenv("CI_API_V4_URL", "http://127.0.0.1:9")
    with pytest.raises(Problem, match="GitLab cannot be asked"):
        host.approvals("prod")
    monkeypatch.delenv("CI_JOB_ID")
    with pytest.raises(Problem, match="CI_JOB_ID is not set: this runs in jobs on GitLab"):
        host.approvals("prod")


def test_outputs(host: Any, tmp_path: Path) -> None:
    host.output("kinds", "label retrain")
    host.output("version", "7")
    assert (tmp_path / "outputs.env").read_text(encoding="utf-8") == "kinds=label retrain\nversion=7\n"
    for name, value in (("version", "7\nTELL_TOKEN=x"), ("a b", "1")):
        with pytest.raises(Problem, match="cannot be an output"):
            host.output(name, value)
