"""A stand-in for Azure DevOps' REST API: it knows the routes, queries and keys in devops.json, and keeps state."""

import json
import re
import zlib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

ROUTES = json.loads(Path(__file__).with_name("devops.json").read_text(encoding="utf-8"))["routes"]
ORGANIZATION, PROJECT, REPOSITORY = "acme", "Rides", "taxi-fares"
PROJECT_ID, REPOSITORY_ID = "11111111-0000-0000-0000-000000000001", "11111111-0000-0000-0000-000000000002"
LISTED = re.compile(r"/\{(path|timelineId|team)\}")  # parts of a path that may be left out
NAMES = (
    *("tess@example.com", "lea@example.com", "olaf@example.com", "Leads", f"[{PROJECT}]\\Readers"),
    *(f"[{PROJECT}]\\Contributors", f"[{ORGANIZATION}]\\Project Collection Administrators"),
    f"{PROJECT} Build Service ({ORGANIZATION})",
)
State = dict[str, Any]


class Failure(Exception):
    """How `az rest` says that it was refused."""


def new_state() -> State:
    """A project with a repository, in which nothing was made."""
    tables = ("environments", "endpoints", "checks", "groups", "pipelines", "policies", "feeds", "permissions", "roles")
    days = {"purgeRuns": (30, 731), "purgeArtifacts": (30, 60), "purgePullRequestRuns": (10, 30)}
    kept = {name: {"min": 1, "max": most, "value": value} for name, (value, most) in days.items()}
    more = {"rights": {}, "members": [], "default_branch": "refs/heads/main", "retention": kept}
    return {**{name: {} for name in tables}, **more}


def answer(method: str, url: str, given: Any, state: State) -> Any:
    """What the service says; a Failure for what is not published, or not there."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    path = "/".join(unquote(part) for part in parts.path.split("/"))
    for route, facts in ROUTES.items():
        verb, pattern = route.split(" ", 1)
        at = match(pattern, path)
        if verb != method.upper() or at is None or facts["host"] != parts.netloc:
            continue
        version = query.pop("api-version", "")
        if version != facts["version"]:
            raise Failure(f"Bad Request(api-version {version!r} of {route}: {facts['version']})")
        if unknown := set(query) - set(facts["query"]):
            raise Failure(f"Bad Request({route} has no {sorted(unknown)})")
        if missing := set(facts["required"]) - set(query):
            raise Failure(f"Bad Request({route} needs {sorted(missing)})")
        keys = {key for one in (given if isinstance(given, list) else [given or {}]) for key in one}
        if unknown := keys - set(facts["body"]) - set(facts["more"]):
            raise Failure(f"Bad Request({route}: the body has no {sorted(unknown)})")
        if at.get("project", PROJECT) != PROJECT or at.get("organization") != ORGANIZATION:
            raise Failure("Not Found(no such project)")
        return HANDLERS[route](state, at, query, given)
    raise Failure(f"Not Found({method} {url})")


def match(pattern: str, path: str) -> dict[str, str] | None:
    for shape in {pattern, LISTED.sub("", pattern)}:
        regex = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(shape))
        found = re.fullmatch(regex, path, re.IGNORECASE)
        if found:
            return found.groupdict()
    return None


def number(*words: str) -> int:
    return zlib.crc32("/".join(words).encode()) % 100_000


def identity(name: str) -> State:
    key = f"22222222-0000-0000-0000-{number(name):012d}"
    kind = "ServiceIdentity" if "Build Service" in name else "Identity"
    return {
        "id": key,
        "descriptor": f"Microsoft.TeamFoundation.{kind};{key}",
        "subjectDescriptor": f"vssgp.{number(name)}",
        "providerDisplayName": name,
        "properties": {"Account": {"$value": name}, "Mail": {"$value": name if "@" in name else ""}},
    }


def identities(state: State, at: Any, query: Any, given: Any) -> Any:
    if "subjectDescriptors" in query:
        return {"value": [{"descriptor": f"Microsoft.VisualStudio;{query['subjectDescriptors']}"}]}
    assert query["searchFilter"] == "General"
    found = [identity(name) for name in NAMES if query["filterValue"].casefold() in name.casefold()]
    return {"value": found * state.get("doubles", 1)}


def table(name: str, query_key: str = "", body_key: str = "name") -> tuple[Any, Any, Any, Any]:
    """How to list, make, change and remove what a table holds."""

    def listing(state: State, at: Any, query: Any, given: Any) -> Any:
        wanted = query.get(query_key)
        return {"value": [one for one in state[name].values() if wanted is None or one[body_key] == wanted]}

    def make(state: State, at: Any, query: Any, given: Any) -> Any:
        if any(one[body_key] == given[body_key] for one in state[name].values()):
            raise Failure(f"Conflict({given[body_key]} exists)")
        key = number(name, given[body_key])
        state[name][str(key)] = {**given, "id": key}
        return state[name][str(key)]

    def key_of(at: Any) -> str:
        (key,) = (value for part, value in at.items() if part not in ("organization", "project"))
        return str(key)

    def change(state: State, at: Any, query: Any, given: Any) -> Any:
        if key_of(at) not in state[name]:
            raise Failure("Not Found()")
        state[name][key_of(at)].update(given)
        return state[name][key_of(at)]

    def remove(state: State, at: Any, query: Any, given: Any) -> Any:
        if key_of(at) not in state[name]:
            raise Failure("Not Found()")
        del state[name][key_of(at)]

    return listing, make, change, remove


def make_endpoint(state: State, at: Any, query: Any, given: Any) -> Any:
    (reference,) = given["serviceEndpointProjectReferences"]
    assert given["authorization"]["scheme"] == "WorkloadIdentityFederation"
    assert reference["projectReference"]["id"] == PROJECT_ID
    assert not given["isShared"]
    key = f"33333333-0000-0000-0000-{number(given['name']):012d}"
    told = {
        "workloadIdentityFederationIssuer": "https://login.microsoftonline.com/00000000-0000-0000-0000-0000000000ff/v2.0",
        "workloadIdentityFederationSubject": f"/eid1/c/pub/t/x/a/y/sc/{ORGANIZATION}/{key}",
    }
    authorization = {**given["authorization"], "parameters": {**given["authorization"]["parameters"], **told}}
    state["endpoints"][key] = {**given, "id": key, "authorization": authorization}
    return state["endpoints"][key]


def put_endpoint(state: State, at: Any, query: Any, given: Any) -> Any:
    there = state["endpoints"][at["endpointId"]]
    told = there["authorization"]["parameters"]
    there.update(given)
    there["authorization"] = {**given["authorization"], "parameters": {**told, **given["authorization"]["parameters"]}}
    return there


def remove_endpoint(state: State, at: Any, query: Any, given: Any) -> Any:
    if at["endpointId"] not in state["endpoints"]:
        raise Failure("Not Found()")
    del state["endpoints"][at["endpointId"]]
    state["checks"] = {k: v for k, v in state["checks"].items() if v["resource"]["id"] != at["endpointId"]}
    state["permissions"].pop(f"endpoint/{at['endpointId']}", None)


def list_checks(state: State, at: Any, query: Any, given: Any) -> Any:
    assert query["resourceType"] == "endpoint"
    return {"value": [one for one in state["checks"].values() if one["resource"]["id"] == query["resourceId"]]}


def make_check(state: State, at: Any, query: Any, given: Any) -> Any:
    assert set(given["resource"]) == {"type", "id", "name"}
    assert given["resource"]["id"] in state["endpoints"]
    assert 1 <= given["timeout"] <= 43200
    key = number(given["resource"]["id"], given["type"]["id"])
    state["checks"][str(key)] = {**given, "id": key}
    return state["checks"][str(key)]


def repository(state: State, at: Any, query: Any, given: Any) -> Any:
    if at["repositoryId"] != REPOSITORY:
        raise Failure("Not Found()")
    branch = {"defaultBranch": state["default_branch"]} if state["default_branch"] else {}
    return {"id": REPOSITORY_ID, "name": REPOSITORY, **branch}


def get_permission(state: State, at: Any, query: Any, given: Any) -> Any:
    return {"pipelines": state["permissions"].get(f"{at['resourceType']}/{at['resourceId']}", [])}


def patch_permission(state: State, at: Any, query: Any, given: Any) -> Any:
    known = {one["id"] for one in state["pipelines"].values()}
    assert {one["id"] for one in given["pipelines"]} <= known
    there = state["permissions"].setdefault(f"{at['resourceType']}/{at['resourceId']}", [])
    there += [one for one in given["pipelines"] if one not in there]


def remove_pipeline(state: State, at: Any, query: Any, given: Any) -> Any:
    if at["definitionId"] not in state["pipelines"]:
        raise Failure("Not Found()")
    del state["pipelines"][at["definitionId"]]
    for name, listed in list(state["permissions"].items()):
        left = [one for one in listed if str(one["id"]) != at["definitionId"]]
        state["permissions"].pop(name)
        if left:
            state["permissions"][name] = left


def make_policy(state: State, at: Any, query: Any, given: Any) -> Any:
    key = number("policy", given["type"]["id"])
    state["policies"][str(key)] = {**given, "id": key}
    return state["policies"][str(key)]


def list_policies(state: State, at: Any, query: Any, given: Any) -> Any:
    return {"value": [one for one in state["policies"].values() if one["type"]["id"] == query["policyType"]]}


def change_retention(state: State, at: Any, query: Any, given: Any) -> Any:
    for asked, told in {"runRetention": "purgeRuns", "artifactsRetention": "purgeArtifacts"}.items():
        if asked in given:
            assert 1 <= given[asked]["value"] <= state["retention"][told]["max"]
            state["retention"][told]["value"] = given[asked]["value"]
    return state["retention"]


def get_rights(state: State, at: Any, query: Any, given: Any) -> Any:
    allowed = state["rights"].get(f"{at['securityNamespaceId']} {query['token']} {query['descriptors']}", 0)
    aces = {query["descriptors"]: {"allow": allowed, "deny": 0}} if allowed else {}
    return {"value": [{"token": query["token"], "acesDictionary": aces}]}


def set_rights(state: State, at: Any, query: Any, given: Any) -> Any:
    for entry in given["accessControlEntries"]:
        key = f"{at['securityNamespaceId']} {given['token']} {entry['descriptor']}"
        allowed = entry["allow"] | (state["rights"].get(key, 0) if given["merge"] else 0)
        state["rights"][key] = allowed
        if not allowed:
            del state["rights"][key]


def join(kind: str) -> Any:
    def joined(state: State, at: Any, query: Any, given: Any) -> Any:
        descriptor = f"{kind}.{given['originId']}"
        if "groupDescriptors" in query and [descriptor, query["groupDescriptors"]] not in state["members"]:
            state["members"].append([descriptor, query["groupDescriptors"]])
        return {"descriptor": descriptor, "originId": given["originId"]}

    return joined


def membership(state: State, at: Any, query: Any, given: Any) -> Any:
    if [at["subjectDescriptor"], at["containerDescriptor"]] not in state["members"]:
        raise Failure("Not Found()")
    return {"memberDescriptor": at["subjectDescriptor"]}


def leave(state: State, at: Any, query: Any, given: Any) -> Any:
    membership(state, at, query, given)
    state["members"].remove([at["subjectDescriptor"], at["containerDescriptor"]])


def get_feed(state: State, at: Any, query: Any, given: Any) -> Any:
    if at["feedId"] not in state["feeds"]:
        raise Failure("Not Found()")
    return state["feeds"][at["feedId"]]


def make_feed(state: State, at: Any, query: Any, given: Any) -> Any:
    state["feeds"][given["name"]] = {**given, "id": str(number("feed", given["name"]))}
    return state["feeds"][given["name"]]


def remove_feed(state: State, at: Any, query: Any, given: Any) -> Any:
    del state["feeds"][at["feedId"]]
    state["roles"] = {}


def get_roles(state: State, at: Any, query: Any, given: Any) -> Any:
    return {"value": [{"identityDescriptor": who, "role": role} for who, role in state["roles"].items()]}


def set_roles(state: State, at: Any, query: Any, given: Any) -> Any:
    for one in given:
        assert one["role"] in ("reader", "contributor", "administrator", "none")
        state["roles"][one["identityDescriptor"]] = one["role"]
        if one["role"] == "none":
            del state["roles"][one["identityDescriptor"]]


O = "/{organization}"  # noqa: E741
P = f"{O}/{{project}}"
HANDLERS: dict[str, Any] = {
    f"GET {O}/_apis/projects/{{projectId}}": lambda *_: {"id": PROJECT_ID, "name": PROJECT},
    f"GET {P}/_apis/git/repositories/{{repositoryId}}": repository,
    f"GET {O}/_apis/identities": identities,
    f"GET {P}/_apis/wit/classificationnodes/{{structureGroup}}/{{path}}": lambda *_: {"identifier": "area-1"},
    f"POST {O}/_apis/serviceendpoint/endpoints": make_endpoint,
    f"PUT {O}/_apis/serviceendpoint/endpoints/{{endpointId}}": put_endpoint,
    f"DELETE {O}/_apis/serviceendpoint/endpoints/{{endpointId}}": remove_endpoint,
    f"GET {P}/_apis/pipelines/checks/configurations": list_checks,
    f"POST {P}/_apis/pipelines/checks/configurations": make_check,
    f"GET {P}/_apis/pipelines/pipelinepermissions/{{resourceType}}/{{resourceId}}": get_permission,
    f"PATCH {P}/_apis/pipelines/pipelinepermissions/{{resourceType}}/{{resourceId}}": patch_permission,
    f"DELETE {P}/_apis/build/definitions/{{definitionId}}": remove_pipeline,
    f"GET {P}/_apis/policy/configurations": list_policies,
    f"POST {P}/_apis/policy/configurations": make_policy,
    f"GET {P}/_apis/build/retention": lambda state, *_: state["retention"],
    f"PATCH {P}/_apis/build/retention": change_retention,
    f"GET {O}/_apis/accesscontrollists/{{securityNamespaceId}}": get_rights,
    f"POST {O}/_apis/accesscontrolentries/{{securityNamespaceId}}": set_rights,
    f"POST {O}/_apis/graph/groups": join("aadgp"),
    f"POST {O}/_apis/graph/serviceprincipals": join("aadsp"),
    f"GET {O}/_apis/graph/memberships/{{subjectDescriptor}}/{{containerDescriptor}}": membership,
    f"DELETE {O}/_apis/graph/memberships/{{subjectDescriptor}}/{{containerDescriptor}}": leave,
    f"GET {P}/_apis/packaging/feeds/{{feedId}}": get_feed,
    f"POST {P}/_apis/packaging/feeds": make_feed,
    f"DELETE {P}/_apis/packaging/feeds/{{feedId}}": remove_feed,
    f"GET {P}/_apis/packaging/feeds/{{feedId}}/permissions": get_roles,
    f"PATCH {P}/_apis/packaging/feeds/{{feedId}}/permissions": set_roles,
}
for place, verbs in {
    "_apis/serviceendpoint/endpoints": (P, "", "", ""),
    "_apis/pipelines/environments": (P, P, "", "environmentId"),
    "_apis/distributedtask/variablegroups": (P, O, "groupId", "groupId"),
    "_apis/pipelines": (P, P, "", ""),
    "_apis/policy/configurations": ("", "", "configurationId", "configurationId"),
    "_apis/pipelines/checks/configurations": ("", "", "id", "id"),
}.items():
    kind = {"configurations": "policies" if "policy" in place else "checks", "variablegroups": "groups"}.get(
        place.rpartition("/")[2], place.rpartition("/")[2]
    )
    keys = {"endpoints": "endpointNames", "environments": "name", "groups": "groupName"}
    listing, make, change, remove = table(kind, keys.get(kind, ""))
    scope = O if kind == "groups" else P
    for verb, handler, where in (("GET", listing, verbs[0]), ("POST", make, verbs[1])):
        if where:
            HANDLERS[f"{verb} {where}/{place}"] = handler
    for verb, handler, key in (
        ("PATCH" if kind == "checks" else "PUT", change, verbs[2]),
        ("DELETE", remove, verbs[3]),
    ):
        if key:
            HANDLERS[f"{verb} {scope}/{place}/{{{key}}}"] = handler
