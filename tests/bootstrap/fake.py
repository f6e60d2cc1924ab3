"""Stand-ins for `az` and `gh`: they know the commands, flags and routes in reference.json, keep state, record calls.

    python fake.py az group show --name rg …

The state is the JSON file that FAKE_STATE names; it also says what goes wrong:
    denied  words: a call in which one of them occurs answers that the right is missing
    break   the number of the changing call that fails; "before" or "after" it has had its effect
"""

import json
import os
import re
import sys
import uuid
from functools import partial
from pathlib import Path
from typing import Any

REFERENCE = json.loads(Path(__file__).with_name("reference.json").read_text(encoding="utf-8"))
GLOBAL = {"--output", "-o", "--only-show-errors", "--query", "--debug", "--verbose", "--help", "-h"}
SWITCHES = {"--only-show-errors", "--yes", "--wait", "--no-pretty-print", "--expose-token"}
READING = {"show", "list", "list-skus", "list-usage", "what-if", "lint", "login"}
API_FLAGS = {"--method", "--input"}  # of `gh api`, those that are used
HOME = "acme/taxi-fares"


class Failure(Exception):
    """How a call ends badly: exit code and what is said."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def new_state(**changes: Any) -> dict[str, Any]:
    """A subscription and a repository in which nothing was made."""
    return {
        "account": {"id": "00000000-0000-0000-0000-00000000000a", "tenantId": "00000000-0000-0000-0000-0000000000ff"},
        "providers": [],
        "regions": {},
        "groups": {},
        "resources": {},
        "ad_groups": {},
        "apps": {},
        "principals": {},
        "credentials": {},
        "assignments": {},
        "definitions": {},
        "eligible": [],
        "what_if": [],
        "stacks": {},
        "images": [],
        "accounts": {},
        "containers": {},
        "repository": {"visibility": "public", "owner": "Organization", "plan": "free", "prefix": ""},
        "people": {"tess": 11, "lea": 12, "olaf": 13, "acme/leads": 21},
        "environments": {},
        "variables": {},
        "calls": [],
        "changes": 0,
        "denied": [],
        **changes,
    }


def answer(program: str, words: list[str], given: str, state: dict[str, Any]) -> tuple[int, str, str]:
    """What the tool would do: exit code, output and errors. Records the call in the state."""
    state["calls"].append([program, *words])
    try:
        if not state.get("account") and program == "az":
            raise Failure(1, "ERROR: Please run 'az login' to setup account.")
        said = _az(words, state) if program == "az" else _gh(words, given, state)
    except Failure as failure:
        return failure.code, "", failure.message + "\n"
    return 0, "" if said is None else json.dumps(said), ""


def _change(state: dict[str, Any], text: str, effect: Any) -> Any:
    """Let a change happen, unless it is denied or planned to break."""
    if any(word in text for word in state["denied"]):
        raise Failure(1, "ERROR: (AuthorizationFailed) The client does not have authorization to perform this action.")
    state["changes"] += 1
    broken = state.get("break") == state["changes"]
    if broken and state["when"] == "before":
        raise Failure(1, "ERROR: the connection was reset")
    said = effect()
    if broken:
        raise Failure(1, "ERROR: the connection was reset")
    return said


def _az(words: list[str], state: dict[str, Any]) -> Any:
    names = [name for name in REFERENCE["az"]["commands"] if words[: len(name.split())] == name.split()]
    if not names:
        raise Failure(2, f"ERROR: '{' '.join(words[:4])}' is misspelled or not recognized by the system.")
    name = max(names, key=len)
    flags = _flags(name, words[len(name.split()) :])
    handler = AZ[name]
    if name.split()[-1] in READING or (name == "rest" and flags["--method"] == "get"):
        return handler(state, flags)
    return _change(state, " ".join(words), lambda: handler(state, flags))


def _flags(name: str, words: list[str]) -> dict[str, Any]:
    """The flags by the name under which reference.json lists them first when sorted by length."""
    known = REFERENCE["az"]["commands"][name]
    spelt = {flag: max(flags, key=len) for flags in known["flags"] for flag in flags}
    found: dict[str, Any] = {}
    position = 0
    while position < len(words):
        flag = words[position]
        if flag not in spelt and flag not in GLOBAL:
            raise Failure(2, f"ERROR: unrecognized arguments: {flag}")
        values = []
        while position + 1 < len(words) and not words[position + 1].startswith("-"):
            position += 1
            values.append(words[position])
        if flag not in SWITCHES and not values:
            raise Failure(2, f"ERROR: argument {flag}: expected one argument")
        found[spelt.get(flag, flag)] = values[0] if len(values) == 1 else values
        position += 1
    for flag in known["required"]:
        if spelt[flag] not in found:
            raise Failure(2, f"ERROR: the following arguments are required: {flag}")
    return found


def _id(*words: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(words)))


def _read(text: str) -> Any:
    """A body: a file, or the file after @."""
    return json.loads(Path(text.removeprefix("@")).read_text(encoding="utf-8"))


def _one(table: dict[str, Any], key: str, what: str) -> Any:
    if key not in table:
        raise Failure(3, f"ERROR: (ResourceNotFound) {what} {key} could not be found.")
    return table[key]


def _group_id(flags: dict[str, Any]) -> str:
    return f"/subscriptions/{flags['--subscription']}/resourceGroups/{flags['--resource-group']}"


def _list_providers(state: dict[str, Any], flags: dict[str, Any]) -> Any:
    assert flags["--query"] == "[?registrationState=='Registered'].namespace"
    found = (one.split("/") for one in state["providers"])
    return [namespace for subscription, namespace in found if subscription == flags["--subscription"]]


def _register(state: dict[str, Any], flags: dict[str, Any]) -> None:
    state["providers"].append(f"{flags['--subscription']}/{flags['--namespace']}")


def _create_group(state: dict[str, Any], flags: dict[str, Any]) -> Any:
    made = {"id": _group_id(flags), "location": flags["--location"], "tags": flags["--tags"]}
    state["groups"][made["id"]] = made
    return made


def _list_resources(state: dict[str, Any], flags: dict[str, Any]) -> Any:
    _one(state["groups"], _group_id(flags), "Resource group")
    accounts = [{"id": key} for key in state["accounts"] if key.startswith(_group_id(flags) + "/")]
    return [*state["resources"].get(_group_id(flags), []), *accounts]


def _create_ad_group(state: dict[str, Any], flags: dict[str, Any]) -> Any:
    key = _id("group", flags["--display-name"], state.get("salt", ""))
    made = {"id": key, "displayName": flags["--display-name"], "mailNickname": flags["--mail-nickname"]}
    state["ad_groups"][key] = made
    return made


def _list_ad_groups(state: dict[str, Any], flags: dict[str, Any]) -> Any:
    name = re.fullmatch(r"displayName eq '(.*)'", flags["--filter"])
    assert name, flags
    return [one for one in state["ad_groups"].values() if one["displayName"] == name[1]]


def _create_app(state: dict[str, Any], flags: dict[str, Any]) -> Any:
    name = flags["--display-name"]
    made = {"appId": _id("app", name), "id": _id("app-object", name), "displayName": name}
    state["apps"][made["appId"]] = made
    state["credentials"][made["appId"]] = []
    return made


def _delete_app(state: dict[str, Any], flags: dict[str, Any]) -> None:
    app = _one(state["apps"], flags["--id"], "Application")["appId"]
    del state["apps"][app], state["credentials"][app]
    state["principals"] = {k: v for k, v in state["principals"].items() if v["appId"] != app}


def _show_principal(state: dict[str, Any], flags: dict[str, Any]) -> Any:
    for one in state["principals"].values():
        if flags["--id"] in (one["id"], one["appId"]):
            return one
    raise Failure(3, f"ERROR: Resource '{flags['--id']}' does not exist.")


def _create_principal(state: dict[str, Any], flags: dict[str, Any]) -> Any:
    app = _one(state["apps"], flags["--id"], "Application")
    made = {"id": _id("principal", app["appId"]), "appId": app["appId"]}
    state["principals"][made["id"]] = made
    return made


def _create_credential(state: dict[str, Any], flags: dict[str, Any]) -> Any:
    body = _read(flags["--parameters"])
    assert set(body) <= {"name", "issuer", "subject", "description", "audiences"}, body
    made = {**body, "id": _id("credential", flags["--id"], body["name"])}
    _one(state["credentials"], flags["--id"], "Application").append(made)
    return made


def _update_credential(state: dict[str, Any], flags: dict[str, Any]) -> None:
    for one in state["credentials"][flags["--id"]]:
        if one["id"] == flags["--federated-credential-id"]:
            one.update(_read(flags["--parameters"]))


def _delete_credential(state: dict[str, Any], flags: dict[str, Any]) -> None:
    listed = _one(state["credentials"], flags["--id"], "Application")
    listed[:] = [one for one in listed if one["id"] != flags["--federated-credential-id"]]


def _list_assignments(state: dict[str, Any], flags: dict[str, Any]) -> Any:
    return [
        one
        for one in state["assignments"].values()
        if one["principalId"] == flags["--assignee-object-id"]
        and one["scope"] == flags["--scope"]
        and one["roleDefinitionId"].endswith(flags["--role"])
    ]


def _create_assignment(state: dict[str, Any], flags: dict[str, Any]) -> Any:
    scope, group = flags["--scope"], "/".join(flags["--scope"].split("/")[:5])
    if "/resourceGroups/" in scope:
        _one(state["groups"], group, "Resource group")
    if flags["--assignee-object-id"] not in state["principals"]:
        raise Failure(1, "ERROR: (PrincipalNotFound) Principal does not exist in the directory.")
    made = {
        "id": f"{scope}/providers/Microsoft.Authorization/roleAssignments/{flags['--name']}",
        "scope": scope,
        "principalId": flags["--assignee-object-id"],
        "roleDefinitionId": f"/subscriptions/s/providers/Microsoft.Authorization/roleDefinitions/{flags['--role']}",
        "condition": flags.get("--condition"),
        "conditionVersion": flags.get("--condition-version"),
    }
    state["assignments"][made["id"]] = made
    return made


def _update_assignment(state: dict[str, Any], flags: dict[str, Any]) -> Any:
    body = _read(flags["--role-assignment"])
    _one(state["assignments"], body["id"], "Role assignment").update(body)
    return body


def _create_definition(state: dict[str, Any], flags: dict[str, Any]) -> Any:
    body = _read(flags["--role-definition"])
    made = {"name": _id("role", body["Name"]), "roleName": body["Name"], **body}
    state["definitions"][body["Name"]] = made
    return made


def _list_definitions(state: dict[str, Any], flags: dict[str, Any]) -> Any:
    return [one for name, one in state["definitions"].items() if name == flags["--name"]]


def _region(state: dict[str, Any], location: str) -> dict[str, Any]:
    if location not in state["regions"]:
        raise Failure(
            1, f'ERROR: Bad Request({{"error":{{"code":"NoRegisteredProviderFound","message":"{location}"}}}})'
        )
    found: dict[str, Any] = state["regions"][location]
    return found


def _machine_learning(state: dict[str, Any], location: str, kind: str, start: int, url: str) -> Any:
    """Two at a time of what Azure ML lists."""
    listed = _region(state, location)[kind]
    more = {"nextLink": f"{url.split('&')[0]}&$skipToken={start + 2}"} if listed[start + 2 :] else {}
    return {"value": listed[start : start + 2], **more}


def _list_skus(state: dict[str, Any], flags: dict[str, Any]) -> Any:
    assert flags["--resource-type"] == "virtualMachines"
    return [
        one for one in _region(state, flags["--location"])["skus"] if flags["--size"].lower() in one["name"].lower()
    ]


def _rest(state: dict[str, Any], flags: dict[str, Any]) -> Any:
    url = flags["--url"] if "--url" in flags else flags["--url-parameters"]
    listed = re.fullmatch(
        r"https://management\.azure\.com/subscriptions/[0-9a-f-]{36}/providers/Microsoft\.MachineLearningServices/"
        r"locations/(\w+)/(vmSizes|usages)\?api-version=2025-06-01(?:&\$skipToken=(\d+))?",
        url,
    )
    if listed:
        return _machine_learning(state, listed[1], listed[2], int(listed[3] or 0), url)
    found = re.fullmatch(
        r"https://management\.azure\.com(/subscriptions/.+)/providers/Microsoft\.Authorization/"
        r"(roleEligibilitySchedules|roleEligibilityScheduleRequests/[0-9a-f-]{36})\?api-version=2020-10-01",
        url,
    )
    if not found:
        raise Failure(1, f"ERROR: Not Found({url})")
    scope, kind = found.groups()
    if flags["--method"] == "get" and kind == "roleEligibilitySchedules":
        return {"value": [{"properties": one} for one in state["eligible"] if one["scope"] == scope]}
    assert flags["--method"] == "put"
    properties = _read(flags["--body"])["properties"]
    if state.get("no_premium"):
        raise Failure(1, 'ERROR: Bad Request({"error":{"code":"AadPremiumLicenseRequired"}})')
    key = {name: properties[name] for name in ("principalId", "roleDefinitionId")} | {"scope": scope}
    if properties["requestType"] == "AdminAssign":
        assert properties["scheduleInfo"]["expiration"]["type"] == "AfterDuration"
        state["eligible"].append(key)
    else:
        assert properties["requestType"] == "AdminRemove"
        state["eligible"].remove(key)
    return {}


def _account_id(state: dict[str, Any], flags: dict[str, Any], name: str) -> str:
    return f"{_group_id(flags)}/providers/Microsoft.Storage/storageAccounts/{name}"


def _create_account(state: dict[str, Any], flags: dict[str, Any]) -> Any:
    _one(state["groups"], _group_id(flags), "Resource group")
    key = _account_id(state, flags, flags["--name"])
    state["accounts"][key] = {"id": key, **{k: v for k, v in flags.items() if k not in GLOBAL}}
    return state["accounts"][key]


def _blobs(state: dict[str, Any], flags: dict[str, Any]) -> Any:
    account = _one(state["accounts"], _account_id(state, flags, flags["--account-name"]), "Storage account")
    if "--enable-versioning" in flags:
        account["kept"] = flags["--enable-versioning"] == flags["--enable-delete-retention"] == "true"
    kept = account.get("kept", False)
    return {"isVersioningEnabled": kept, "deleteRetentionPolicy": {"enabled": kept}}


def _container(state: dict[str, Any], flags: dict[str, Any]) -> str:
    return f"{_account_id(state, flags, flags['--storage-account'])}/blobServices/default/containers/{flags['--name']}"


def _create_container(state: dict[str, Any], flags: dict[str, Any]) -> Any:
    _one(state["accounts"], _account_id(state, flags, flags["--storage-account"]), "Storage account")
    key = _container(state, flags)
    state["containers"][key] = {"id": key}
    return {"id": key}


def _removing(table: str, key: Any) -> Any:
    def remove(state: dict[str, Any], flags: dict[str, Any]) -> None:
        _one(state[table], key(flags), table)
        del state[table][key(flags)]

    return remove


def _what_if(state: dict[str, Any], flags: dict[str, Any]) -> Any:
    """What a test says would change; a template must be there to be read."""
    assert Path(flags["--template-file"]).is_file(), flags
    assert flags["--validation-level"] == "ProviderNoRbac", "who plans may only read"
    return {"status": "Succeeded", "changes": state["what_if"]}


def _create_stack(state: dict[str, Any], flags: dict[str, Any]) -> Any:
    """Keep the options of a stack, and what it looks after from then on."""
    assert Path(flags["--template-file"]).is_file(), flags
    managed = [{"id": one["resourceId"]} for one in state["what_if"] if one["changeType"] not in ("Ignore", "Delete")]
    state["stacks"][flags["--name"]] = {"options": flags, "resources": managed}
    return state["stacks"][flags["--name"]]


def _delete_image(state: dict[str, Any], flags: dict[str, Any]) -> None:
    state["images"].remove(f"{flags['--name']}/{flags.get('--image') or flags['--repository']}")


AZ: dict[str, Any] = {
    "deployment sub what-if": _what_if,
    "stack sub show": lambda state, flags: _one(state["stacks"], flags["--name"], "Deployment stack"),
    "stack sub create": _create_stack,
    "bicep lint": lambda state, flags: None,
    "acr login": lambda state, flags: {"accessToken": "token", "loginServer": f"{flags['--name']}.azurecr.io"},
    "acr repository delete": _delete_image,
    "account show": lambda state, flags: state["account"],
    "provider list": _list_providers,
    "provider register": _register,
    "group show": lambda state, flags: _one(state["groups"], _group_id(flags), "Resource group"),
    "group create": _create_group,
    "group delete": _removing("groups", _group_id),
    "resource list": _list_resources,
    "ad group show": lambda state, flags: _one(state["ad_groups"], flags["--group"], "Group"),
    "ad group list": _list_ad_groups,
    "ad group create": _create_ad_group,
    "ad group delete": _removing("ad_groups", lambda flags: flags["--group"]),
    "ad app list": lambda state, flags: [
        one for one in state["apps"].values() if one["displayName"].startswith(flags["--display-name"])
    ],
    "ad app create": _create_app,
    "ad app delete": _delete_app,
    "ad sp show": _show_principal,
    "ad sp create": _create_principal,
    "ad sp delete": _removing("principals", lambda flags: flags["--id"]),
    "ad app federated-credential list": lambda state, flags: _one(state["credentials"], flags["--id"], "Application"),
    "ad app federated-credential create": _create_credential,
    "ad app federated-credential update": _update_credential,
    "ad app federated-credential delete": _delete_credential,
    "role assignment list": _list_assignments,
    "role assignment create": _create_assignment,
    "role assignment update": _update_assignment,
    "role assignment delete": _removing("assignments", lambda flags: flags["--ids"]),
    "role definition list": _list_definitions,
    "role definition create": _create_definition,
    "role definition delete": _removing("definitions", lambda flags: flags["--name"]),
    "rest": _rest,
    "vm list-skus": _list_skus,
    "vm list-usage": lambda state, flags: _region(state, flags["--location"])["vm usages"],
    "storage account show": lambda state, flags: _one(
        state["accounts"], _account_id(state, flags, flags["--name"]), "Storage account"
    ),
    "storage account create": _create_account,
    "storage account delete": lambda state, flags: state["accounts"].pop(_account_id(state, flags, flags["--name"])),
    "storage account blob-service-properties show": _blobs,
    "storage account blob-service-properties update": _blobs,
    "storage container-rm show": lambda state, flags: _one(state["containers"], _container(state, flags), "Container"),
    "storage container-rm create": _create_container,
    "storage container-rm delete": lambda state, flags: state["containers"].pop(_container(state, flags)),
}


def _gh(words: list[str], given: str, state: dict[str, Any]) -> Any:
    if words[0] != "api":
        raise Failure(1, f'unknown command "{words[0]}" for "gh"')
    path, rest = words[1], words[2:]
    options = dict(zip(rest[::2], rest[1::2], strict=True))
    if set(options) - API_FLAGS:
        raise Failure(1, f"unknown flag: {sorted(set(options) - API_FLAGS)[0]}")
    method = options.get("--method", "GET")
    path = "/" + path.replace("{owner}/{repo}", HOME)
    for route, rules in REFERENCE["gh"]["routes"].items():
        verb, pattern = route.split()
        found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern), path)
        if verb == method and found:
            body = json.loads(given) if "--input" in options else {}
            if unknown := set(body) - set(rules["body"]):
                raise Failure(1, f"gh: Invalid request. {sorted(unknown)[0]} is not a permitted key. (HTTP 422)")
            if set(rules["required"]) - set(body):
                raise Failure(1, f"gh: Invalid request. {rules['required']} weren't supplied. (HTTP 422)")
            effect = partial(GH[route], state, found.groupdict(), body)
            if method == "GET":
                return effect()
            if any(word in f"{method} {path}" for word in state["denied"]):
                raise _nothing()  # GitHub hides what one may not change
            return _change(state, "", effect)
    raise Failure(1, f"gh: Not Found (HTTP 404): {method} {path}")


def _nothing() -> Failure:
    return Failure(1, "gh: Not Found (HTTP 404)")


def _repository(state: dict[str, Any], at: dict[str, str], body: Any) -> Any:
    login, facts = HOME.split("/")[0], state["repository"]
    owner = {"login": login, "type": facts["owner"]}
    return {"full_name": HOME, "default_branch": "main", "visibility": facts["visibility"], "owner": owner}


def _plan(state: dict[str, Any], at: dict[str, str], body: Any) -> Any:
    facts = state["repository"]
    plan = {"plan": {"name": facts["plan"]}} if facts["plan"] else {}
    return {"login": facts.get("login", HOME.split("/")[0]), **plan}


def _subjects(state: dict[str, Any], at: dict[str, str], body: Any) -> Any:
    prefix = state["repository"]["prefix"]
    return {"use_default": True, **({"sub_claim_prefix": prefix} if prefix else {}), **state.get("subjects", {})}


def _environment(state: dict[str, Any], at: dict[str, str], body: Any) -> Any:
    if at["environment_name"] not in state["environments"]:
        raise _nothing()
    there = state["environments"][at["environment_name"]]
    reviewers = [{"type": one["type"], "reviewer": {"id": one["id"]}} for one in there["reviewers"]]
    rule = {"type": "required_reviewers", "prevent_self_review": there["prevent_self_review"], "reviewers": reviewers}
    return {
        "name": at["environment_name"],
        "protection_rules": [rule] if reviewers else [],
        "deployment_branch_policy": there["deployment_branch_policy"],
    }


def _put_environment(state: dict[str, Any], at: dict[str, str], body: Any) -> Any:
    public, plan = state["repository"]["visibility"] == "public", state["repository"].get("real", "")
    if body.get("reviewers") and not public and (plan or state["repository"]["plan"]) != "enterprise":
        text = "Please ensure the billing plan supports the required reviewers protection rule."
        raise Failure(1, f"gh: Failed to create the environment protection rule. {text} (HTTP 422)")
    known = state["people"].values()
    assert all(one["id"] in known for one in body.get("reviewers", [])), body
    there = state["environments"].setdefault(at["environment_name"], {"branches": [], "variables": {}})
    there.update({"reviewers": [], "prevent_self_review": False, "deployment_branch_policy": None} | body)
    return {"name": at["environment_name"]}


def _branches(state: dict[str, Any], at: dict[str, str], body: Any) -> Any:
    _environment(state, at, body)
    return {"branch_policies": [{"name": one} for one in state["environments"][at["environment_name"]]["branches"]]}


def _add_branch(state: dict[str, Any], at: dict[str, str], body: Any) -> Any:
    _environment(state, at, body)
    state["environments"][at["environment_name"]]["branches"].append(body["name"])
    return {}


def _variables(state: dict[str, Any], at: dict[str, str]) -> Any:
    if "environment_name" not in at:
        return state["variables"]
    if at["environment_name"] not in state["environments"]:
        raise _nothing()
    return state["environments"][at["environment_name"]]["variables"]


def _get_variable(state: dict[str, Any], at: dict[str, str], body: Any) -> Any:
    if at["name"] not in _variables(state, at):
        raise _nothing()
    return {"name": at["name"], "value": _variables(state, at)[at["name"]]}


def _post_variable(state: dict[str, Any], at: dict[str, str], body: Any) -> Any:
    if body["name"] in _variables(state, at):
        raise Failure(1, "gh: Already exists (HTTP 409)")
    _variables(state, at)[body["name"]] = body["value"]


def _patch_variable(state: dict[str, Any], at: dict[str, str], body: Any) -> Any:
    _get_variable(state, at, body)
    _variables(state, at)[at["name"]] = body["value"]


def _delete_variable(state: dict[str, Any], at: dict[str, str], body: Any) -> Any:
    _get_variable(state, at, body)
    del _variables(state, at)[at["name"]]


def _delete_environment(state: dict[str, Any], at: dict[str, str], body: Any) -> Any:
    _environment(state, at, body)
    del state["environments"][at["environment_name"]]


def _person(state: dict[str, Any], at: dict[str, str], body: Any) -> Any:
    name = at.get("username") or f"{at['org']}/{at['team_slug']}"
    if name not in state["people"]:
        raise _nothing()
    return {"id": state["people"][name]}


ENVIRONMENT = "/repos/{owner}/{repo}/environments/{environment_name}"
ACTIONS = "/repos/{owner}/{repo}/actions"
GH: dict[str, Any] = {
    "GET /repos/{owner}/{repo}": _repository,
    f"GET {ENVIRONMENT}": _environment,
    f"PUT {ENVIRONMENT}": _put_environment,
    f"DELETE {ENVIRONMENT}": _delete_environment,
    f"GET {ENVIRONMENT}/deployment-branch-policies": _branches,
    f"POST {ENVIRONMENT}/deployment-branch-policies": _add_branch,
    f"GET {ACTIONS}/oidc/customization/sub": _subjects,
    "GET /orgs/{org}": _plan,
    "GET /user": _plan,
    "GET /users/{username}": _person,
    "GET /orgs/{org}/teams/{team_slug}": _person,
}
for place in (ENVIRONMENT, ACTIONS):
    GH |= {
        f"GET {place}/variables/{{name}}": _get_variable,
        f"POST {place}/variables": _post_variable,
        f"PATCH {place}/variables/{{name}}": _patch_variable,
        f"DELETE {place}/variables/{{name}}": _delete_variable,
    }


def main() -> int:
    file = Path(os.environ["FAKE_STATE"])
    state = json.loads(file.read_text(encoding="utf-8"))
    given = sys.stdin.read() if "--input" in sys.argv else ""
    code, out, err = answer(sys.argv[1], sys.argv[2:], given, state)
    file.write_text(json.dumps(state), encoding="utf-8")
    print(out)
    print(err, file=sys.stderr, end="")
    return code


if __name__ == "__main__":
    sys.exit(main())
