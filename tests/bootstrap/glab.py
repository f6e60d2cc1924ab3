"""A stand-in for `glab api`: knows the routes in gitlab.json and what their bodies may have, keeps state."""

import json
import re
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from . import fake

REFERENCE = json.loads(Path(__file__).with_name("gitlab.json").read_text(encoding="utf-8"))
FLAGS = {"--method", "--header", "--input"}
HOME = "acme/taxi-fares"
At = dict[str, str]


def rules() -> dict[str, dict[str, list[str]]]:
    """The routes of both sources, with what their bodies may and must have."""
    known = {}
    for route, facts in REFERENCE["routes"].items():
        known[route] = {key: list(facts[key]) for key in ("body", "required")}
    for route, facts in REFERENCE["documented"].items():
        known.setdefault(route, {"body": [], "required": []})["body"] += facts["body"]
    return known


def new_state(**changes: Any) -> dict[str, Any]:
    """A project on gitlab.com in which nothing was made."""
    return {
        "plan": "premium",
        "version": "19.5.0-ee",
        "url": "https://gitlab.com",
        "settings": {
            "ci_id_token_sub_claim_components": ["project_path", "ref_type", "ref"],
            "ci_pipeline_variables_minimum_override_role": "no_one_allowed",
            "restrict_user_defined_variables": True,
            "ci_push_repository_for_job_token_allowed": False,
            "allow_pipeline_trigger_approve_deployment": False,
        },
        "people": {"tess": 11, "lea": 12, "olaf": 13, "acme/leads": 21},
        "strangers": [],
        "environments": {},
        "protected": {},
        "branches": {"main": {"name": "main", "push_access_levels": [{"access_level": 0}], **MERGED}},
        "variables": {},
        "schedules": {},
        "ids": 100,
        **changes,
    }


MERGED = {"merge_access_levels": [{"access_level": 40}]}


def answer(words: list[str], given: str, state: dict[str, Any]) -> Any:
    """What `glab` would say; `state` is that of the whole stand-in, GitLab's part under `gitlab`."""
    if words[0] != "api":
        raise fake.Failure(1, f'Unknown command "{words[0]}" for "glab".')
    options = dict(zip(words[2::2], words[3::2], strict=True))
    if set(options) - FLAGS:
        raise fake.Failure(1, f"Unknown flag: {sorted(set(options) - FLAGS)[0]}")
    method = options.get("--method", "GET")
    path, _, query = ("/" + words[1].replace(":id", "7")).partition("?")
    for route, known in rules().items():
        verb, pattern = route.split()
        found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern), path)
        if verb == method and found:
            body = json.loads(given) if "--input" in options else {}
            if body and options.get("--header") != "Content-Type: application/json":
                raise fake.Failure(1, "glab: 400 Bad Request: the body is no JSON (HTTP 400)")
            if unknown := set(body) - set(known["body"]):
                raise fake.Failure(1, f"glab: {sorted(unknown)[0]} does not exist (HTTP 400)")
            if missing := set(known["required"]) - set(body):
                raise fake.Failure(1, f"glab: {sorted(missing)[0]} is missing (HTTP 400)")
            at = {key: unquote(value) for key, value in found.groupdict().items()} | dict(parse_qsl(query))
            effect = partial(ROUTES[route], state["gitlab"], at, body)
            if method == "GET":
                return effect()
            if any(word in f"{method} {path}" for word in state["denied"]):
                raise fake.Failure(1, "glab: 403 Forbidden (HTTP 403)")
            return fake._change(state, "", effect)
    raise fake.Failure(1, f"glab: 404 Not Found (HTTP 404): {method} {path}")


def _nothing() -> fake.Failure:
    return fake.Failure(1, "glab: 404 Not found (HTTP 404)")


def _one(table: dict[str, Any], key: str) -> Any:
    if key not in table:
        raise _nothing()
    return table[key]


def _id(state: dict[str, Any]) -> int:
    state["ids"] += 1
    return int(state["ids"])


def _project(state: dict[str, Any], at: At, body: Any) -> Any:
    names = {"path_with_namespace": HOME, "default_branch": "main", "web_url": f"{state['url']}/{HOME}"}
    return {"id": 7, **names, "namespace": {"id": 3}, **state["settings"]}


def _edit(state: dict[str, Any], at: At, body: Any) -> Any:
    state["settings"].update(body)
    return _project(state, at, body)


def _namespace(state: dict[str, Any], at: At, body: Any) -> Any:
    return {"id": 3, **({"plan": state["plan"]} if state["plan"] else {})}


def _environments(state: dict[str, Any], at: At, body: Any) -> Any:
    return [one for one in state["environments"].values() if one["name"] == at["name"]]


def _new_environment(state: dict[str, Any], at: At, body: Any) -> Any:
    made = {"id": _id(state), "state": "available", **body}
    assert body["tier"] in ("production", "staging", "testing", "development", "other")
    state["environments"][str(made["id"])] = made
    return made


def _edit_environment(state: dict[str, Any], at: At, body: Any) -> Any:
    _one(state["environments"], at["key"]).update(body)


def _stop(state: dict[str, Any], at: At, body: Any) -> None:
    _one(state["environments"], at["key"])["state"] = "stopped"


def _delete_environment(state: dict[str, Any], at: At, body: Any) -> None:
    if _one(state["environments"], at["key"])["state"] != "stopped":
        raise fake.Failure(1, "glab: 403 Forbidden (HTTP 403)")
    del state["environments"][at["key"]]


def _licensed(state: dict[str, Any]) -> None:
    """Without the licence GitLab knows no protected environments."""
    if (state.get("real") or state["plan"]) not in ("premium", "ultimate"):
        raise _nothing()


def _entries(state: dict[str, Any], given: list[dict[str, Any]], there: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What is left of a protection's list after a change: strangers to the project are left out without a word."""
    gone = {one["id"] for one in given if one.get("_destroy")}
    assert gone <= {one["id"] for one in there}
    known = set(state["people"].values()) - set(state["strangers"])
    new = [one for one in given if "_destroy" not in one]
    new = [one for one in new if one.get("user_id", one.get("group_id")) in known or "access_level" in one]
    blank = {"user_id": None, "group_id": None, "access_level": None}
    return [*(one for one in there if one["id"] not in gone), *({**blank, **one, "id": _id(state)} for one in new)]


def _protect(state: dict[str, Any], at: At, body: Any) -> Any:
    _licensed(state)
    assert body["name"] not in state["protected"]
    lists = {key: _entries(state, body.get(key, []), []) for key in ("deploy_access_levels", "approval_rules")}
    state["protected"][body["name"]] = {"name": body["name"], **lists}
    return state["protected"][body["name"]]


def _change_protection(state: dict[str, Any], at: At, body: Any) -> Any:
    there = _one(state["protected"], at["key"])
    there.update({key: _entries(state, given, there[key]) for key, given in body.items()})
    return there


def _protection(state: dict[str, Any], at: At, body: Any) -> Any:
    _licensed(state)
    return _one(state["protected"], at["key"])


def _protections(state: dict[str, Any], at: At, body: Any) -> Any:
    _licensed(state)
    return list(state["protected"].values())


def _removing(table: str) -> Any:
    def remove(state: dict[str, Any], at: At, body: Any) -> None:
        _one(state[table], at["key"])
        del state[table][at["key"]]

    return remove


def _protect_branch(state: dict[str, Any], at: At, body: Any) -> Any:
    levels = {f"{what}_access_levels": [{"access_level": body[f"{what}_access_level"]}] for what in ("push", "merge")}
    state["branches"][body["name"]] = {"name": body["name"], **levels}


def _variable(at: At) -> str:
    return f"{at['filter[environment_scope]']}/{at['key']}"


def _new_variable(state: dict[str, Any], at: At, body: Any) -> Any:
    key = f"{body['environment_scope']}/{body['key']}"
    if key in state["variables"]:
        raise fake.Failure(1, "glab: key has already been taken (HTTP 400)")
    state["variables"][key] = body


def _remove_variable(state: dict[str, Any], at: At, body: Any) -> None:
    _one(state["variables"], _variable(at))
    del state["variables"][_variable(at)]


def _new_schedule(state: dict[str, Any], at: At, body: Any) -> Any:
    made = {"id": _id(state), "variables": [], **body}
    state["schedules"][str(made["id"])] = made
    return made


def _schedules(state: dict[str, Any], at: At, body: Any) -> Any:
    return [{k: v for k, v in one.items() if k != "variables"} for one in state["schedules"].values()]


def _said(state: dict[str, Any], at: At, body: Any) -> Any:
    if state["settings"]["ci_pipeline_variables_minimum_override_role"] == "no_one_allowed":
        raise fake.Failure(1, "glab: 403 Forbidden (HTTP 403)")
    there = _one(state["schedules"], at["pipeline_schedule_id"])["variables"]
    there[:] = [one for one in there if one["key"] != at.get("key", body.get("key"))]
    there.append({"key": at.get("key", body.get("key")), "value": body["value"]})


def _group(state: dict[str, Any], at: At, body: Any) -> Any:
    return {"id": _one(state["people"], at["key"])}


def _users(state: dict[str, Any], at: At, body: Any) -> Any:
    name = at["username"]
    return [{"id": state["people"][name], "username": name}] if name in state["people"] else []


PROJECT = "/projects/{id}"
ROUTES: dict[str, Any] = {
    "GET /metadata": lambda state, at, body: {"version": state["version"], "enterprise": True},
    "GET /namespaces/{key}": _namespace,
    "GET /groups/{key}": _group,
    "GET /users": _users,
    "GET /projects/{key}": _project,
    "PUT /projects/{key}": _edit,
    f"GET {PROJECT}/environments": _environments,
    f"POST {PROJECT}/environments": _new_environment,
    f"GET {PROJECT}/environments/{{key}}": lambda state, at, body: _one(state["environments"], at["key"]),
    f"PUT {PROJECT}/environments/{{key}}": _edit_environment,
    f"DELETE {PROJECT}/environments/{{key}}": _delete_environment,
    f"POST {PROJECT}/environments/{{key}}/stop": _stop,
    f"GET {PROJECT}/protected_environments": _protections,
    f"POST {PROJECT}/protected_environments": _protect,
    f"GET {PROJECT}/protected_environments/{{key}}": _protection,
    f"PUT {PROJECT}/protected_environments/{{key}}": _change_protection,
    f"DELETE {PROJECT}/protected_environments/{{key}}": _removing("protected"),
    f"GET {PROJECT}/protected_branches/{{key}}": lambda state, at, body: _one(state["branches"], at["key"]),
    f"POST {PROJECT}/protected_branches": _protect_branch,
    f"DELETE {PROJECT}/protected_branches/{{key}}": _removing("branches"),
    f"GET {PROJECT}/variables/{{key}}": lambda state, at, body: _one(state["variables"], _variable(at)),
    f"POST {PROJECT}/variables": _new_variable,
    f"PUT {PROJECT}/variables/{{key}}": lambda state, at, body: _one(state["variables"], _variable(at)).update(body),
    f"DELETE {PROJECT}/variables/{{key}}": _remove_variable,
    f"GET {PROJECT}/pipeline_schedules": _schedules,
    f"POST {PROJECT}/pipeline_schedules": _new_schedule,
    f"GET {PROJECT}/pipeline_schedules/{{key}}": lambda state, at, body: _one(state["schedules"], at["key"]),
    f"DELETE {PROJECT}/pipeline_schedules/{{key}}": _removing("schedules"),
    f"POST {PROJECT}/pipeline_schedules/{{pipeline_schedule_id}}/variables": _said,
    f"PUT {PROJECT}/pipeline_schedules/{{pipeline_schedule_id}}/variables/{{key}}": _said,
}
