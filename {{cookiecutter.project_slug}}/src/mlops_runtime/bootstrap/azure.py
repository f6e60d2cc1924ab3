"""Steps on Azure and in Microsoft Entra: groups, identities of the pipelines, and the roles that these need."""

import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from mlops_runtime import infrastructure
from mlops_runtime.bootstrap.context import READERS, SHARED, Context
from mlops_runtime.bootstrap.steps import STALE, Facts, Later, Refused, Step
from mlops_runtime.bootstrap.tools import Body, Denied, Missing, az, found
from mlops_runtime.errors import Problem
from mlops_runtime.promotion import SOURCES

AUDIENCE = "api://AzureADTokenExchange"
NAMES = uuid.UUID("5f0f7f4c-1f3f-4f0a-9a53-0f6f6f2e7c11")  # role assignments made here get their names from it
PIM = "api-version=2020-10-01"
MOST_DAYS = 365  # that an eligible assignment may last by default
OWNER, CICD = "Owner", "cicd_processes"
REGISTERED = "[?registrationState=='Registered'].namespace"
MONITORED = (  # what `azure_monitor` means, as types of resources
    "microsoft.insights/components",
    "microsoft.insights/actiongroups",
    "microsoft.insights/scheduledqueryrules",
    "microsoft.insights/metricalerts",
)
TYPES = {  # of the kinds in names.yml that are columns of rbac.yml, and of the lake, which is one with storage_account
    "key_vault": "microsoft.keyvault/vaults",
    "container_registry": "microsoft.containerregistry/registries",
    "storage_account": "microsoft.storage/storageaccounts",
    "lake": "microsoft.storage/storageaccounts",
    "log_analytics": "microsoft.operationalinsights/workspaces",
}


def providers(context: Context) -> list[Step]:
    """Register the resource providers that the estate needs, in each subscription."""
    wanted: dict[str, dict[str, None]] = {}
    for environment in context.environments:
        estate = context.estate(environment)
        options = ["always", *(name for name in ("event_hubs", "spark") if getattr(estate, name))]
        options += ["kubernetes"] if getattr(estate, "kubernetes", None) else []
        options += ["defender"] if environment == SHARED and context.shared.infrastructure.defender else []
        for option in options:
            namespaces = dict.fromkeys(context.data["providers"][option])
            wanted.setdefault(context.subscription(environment), {}).update(namespaces)
    return [_providers(subscription, list(namespaces)) for subscription, namespaces in wanted.items()]


def _providers(subscription: str, wanted: list[str]) -> Step:
    def missing() -> list[str]:
        there = az("provider", "list", "--subscription", subscription, "--query", REGISTERED)
        return [namespace for namespace in wanted if namespace not in there]

    def find() -> Facts | None:
        return None if missing() else {"namespaces": wanted}

    def make() -> Facts:
        requests = []
        for namespace in missing():
            try:
                az("provider", "register", "--namespace", namespace, "--subscription", subscription, "--wait")
            except Denied as denied:
                requests.append(denied.request)
        if requests:
            raise Denied("", "\n    ".join(requests))
        return {"namespaces": wanted}

    what = f"resource providers in subscription {subscription}: {', '.join(wanted)}"
    return Step(f"providers/{subscription}", what, find, make, right="Contributor on the subscription")


def resource_groups(context: Context) -> list[Step]:
    """Make each environment's resource group, so that its pipelines need rights nowhere else, and say so in config."""
    steps = []
    for name in context.environments:
        steps.append(_resource_group(context, name))
        key = ("infrastructure", "existing", "resource_group")
        steps.append(context.setting(name, key, lambda: True, needs=(f"resource-group/{name}",), empty=None))
    return steps


def _resource_group(context: Context, environment: str) -> Step:
    place = context.place(environment)
    where = ("--name", place.resource_group, "--subscription", context.subscription(environment))

    def find() -> Facts | None:
        group = found(az, "group", "show", *where)
        return {"id": group["id"]} if group else None

    def make() -> Facts:
        tags = (f"project={context.project}", f"environment={environment}", f"owner={context.owner(environment)}")
        made = az("group", "create", *where, "--location", place.location, "--tags", *tags, "managed_by=bootstrap")
        return {"id": made["id"]}

    def undo(_: Facts) -> None:
        held = az("resource", "list", "--resource-group", place.resource_group, *where[2:])
        if held:
            raise Refused(f"it holds {len(held)} resources: remove that environment's estate first")
        az("group", "delete", *where, "--yes")

    what = f"resource group {place.resource_group} in {place.location}"
    right = "Contributor on the subscription"
    return Step(f"resource-group/{environment}", what, find, make, undo, right=right)


def persona_groups(context: Context) -> list[Step]:
    """A group in Entra for each persona whose id config does not have, and its id."""
    steps = []
    for persona, facts in context.rbac["personas"].items():
        if facts["principal"] == "group":
            steps.append(_group(context, persona))
            key = ("infrastructure", "groups", persona)
            step = f"group/{persona}"
            steps.append(context.setting(SHARED, key, lambda step=step: context.known[step]["id"], needs=(step,)))
    return steps


def _group(context: Context, persona: str) -> Step:
    name, step = f"{context.project}-{persona.replace('_', '-')}", f"group/{persona}"
    given = getattr(context.shared.infrastructure.groups, persona)
    shown = name if context.record.knows(step) else given or name

    def find() -> Facts | None:
        if given:
            try:
                return {"id": az("ad", "group", "show", "--group", given)["id"]}
            except Missing:
                if context.record.knows(step):
                    return None  # somebody has taken it away: it is made again
                raise Problem(
                    f"config/shared.yml: infrastructure.groups.{persona}: there is no group {given}: correct the id, "
                    'or write "" and one is made.'
                ) from None
        groups = az("ad", "group", "list", "--filter", f"displayName eq '{name}'")
        return {"id": groups[0]["id"]} if groups else None

    def make() -> Facts:
        words = ("--description", f"{persona.replace('_', ' ').capitalize()} of {context.project}")
        return {"id": az("ad", "group", "create", "--display-name", name, "--mail-nickname", name, *words)["id"]}

    def undo(facts: Facts) -> None:
        az("ad", "group", "delete", "--group", facts["id"])

    what = f"Entra group {shown} for {persona}"
    right = "the Entra role Groups Administrator"
    return Step(step, what, find, make, undo, right=right, own=not given)


def identities(context: Context, ci: Any) -> list[Step]:
    """An app registration for the pipelines of each environment, trusted only inside it on the CI system."""
    steps = []
    for name in context.identities:
        gates = tuple(step.name for step in ci.gates(name))
        steps += [_app(context, name, gates), _principal(context, name), _federation(context, name, ci)]
        if name in READERS:
            continue  # infrastructure/ gives it nothing
        key = ("infrastructure", "groups", CICD)
        principal = f"principal/{name}"
        value = lambda principal=principal: context.known[principal]["id"]  # noqa: E731
        steps.append(context.setting(name, key, value, needs=(principal,)))
    return steps


def _app(context: Context, environment: str, gates: tuple[str, ...]) -> Step:
    name = f"{context.project}-{environment}-pipelines"
    step = f"app/{environment}"
    known = environment in READERS or context.record.knows(step)
    given = "" if known else context.estate(environment).groups.cicd_processes  # type: ignore[attr-defined]

    def find() -> Facts | None:
        if given:
            return {"appId": az("ad", "sp", "show", "--id", given)["appId"]}
        apps = [app for app in az("ad", "app", "list", "--display-name", name) if app["displayName"] == name]
        return {"appId": apps[0]["appId"]} if apps else None

    def make() -> Facts:
        made = az("ad", "app", "create", "--display-name", name, "--sign-in-audience", "AzureADMyOrg")
        return {"appId": made["appId"]}

    def undo(facts: Facts) -> None:
        az("ad", "app", "delete", "--id", facts["appId"])

    right = "the Entra role Application Developer"
    return Step(step, f"app registration {given or name}", find, make, undo, gates, right, own=not given)


def _principal(context: Context, environment: str) -> Step:
    app = f"app/{environment}"

    def find() -> Facts | None:
        principal = found(az, "ad", "sp", "show", "--id", context.known[app]["appId"])
        return {"id": principal["id"]} if principal else None

    def make() -> Facts:
        return {"id": az("ad", "sp", "create", "--id", context.known[app]["appId"], patient=True)["id"]}

    def undo(facts: Facts) -> None:
        az("ad", "sp", "delete", "--id", facts["id"])

    what = f"its service principal, for the pipelines of {environment}"
    right = "the Entra role Application Developer"
    return Step(f"principal/{environment}", what, find, make, undo, (app,), right)


def _federation(context: Context, environment: str, ci: Any) -> Step:
    app = f"app/{environment}"
    name = f"{context.project}-{environment}"

    def wanted() -> dict[str, Any]:
        return {"name": name, "issuer": ci.issuer, "subject": ci.subject(environment), "audiences": [AUDIENCE]}

    def find() -> Facts | None:
        listed = found(az, "ad", "app", "federated-credential", "list", "--id", context.known[app]["appId"]) or []
        for one in listed:
            if one["name"] == name:
                same = all(one[key] == value for key, value in wanted().items())
                return {"id": one["id"], "app": context.known[app]["appId"], STALE: not same}
        return None

    def make() -> Facts:
        there, application = find(), context.known[app]["appId"]
        how = ("update", "--federated-credential-id", there["id"]) if there else ("create",)
        body = Body(wanted())
        made = az("ad", "app", "federated-credential", *how, "--id", application, "--parameters", body, patient=True)
        return {"id": there["id"] if there else made["id"], "app": application}

    def undo(facts: Facts) -> None:
        place = ("--federated-credential-id", facts["id"], "--id", facts["app"])
        az("ad", "app", "federated-credential", "delete", *place)

    what = f"federated credential for {ci.subject(environment)}"
    right = "ownership of the app registration, or the Entra role Application Administrator"
    return Step(f"federation/{environment}", what, find, make, undo, (app, f"principal/{environment}"), right)


def rights(context: Context, iac: Any) -> list[Step]:
    """The roles that pipelines need to apply their environment, or to look at all of them, and no more."""
    steps: dict[str, Step] = {}
    lines = [*context.data["roles"], *iac.ROLES]
    for identity in context.identities:
        wanted = [right(context, identity, one, iac) for line in lines for one in _at(context, identity, line)]
        for custom in context.data["custom_roles"]:
            for subscription in _subscriptions(context, identity) if identity in custom["in"] else []:
                definition = _custom_role(context, custom, subscription)
                steps.setdefault(definition.name, definition)
                line = {
                    "role": _custom_name(context, custom, subscription),
                    "at": f"/subscriptions/{subscription}",
                    "reason": "",
                    "id": "",
                }
                wanted.append(right(context, identity, line, iac, definition.name))
        steps |= {step.name: step for step in wanted}
    return list(steps.values())


def _at(context: Context, identity: str, line: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A line of pipelines.yml for each scope that it means for this identity; none where it is not for it."""
    if identity not in line["in"]:
        return
    places = {"groups": context.environments, "source": [SOURCES[identity]] if identity in SOURCES else []}
    places["workspaces"] = [name for name in context.environments if name != SHARED]
    for place in places.get(line["at"], [""]):
        if not place:
            yield line
        elif place in context.environments:
            yield {**line, "at": context.scope(place)}


def _subscriptions(context: Context, identity: str) -> list[str]:
    """The subscriptions that an identity has to do with."""
    places = context.environments if identity in READERS else [identity]
    return list(dict.fromkeys(map(context.subscription, places)))


def _custom_name(context: Context, custom: dict[str, Any], subscription: str) -> str:
    """The name of a custom role in a subscription: unique in the directory."""
    return f"{custom['name']} of {context.project} in {subscription}"


def _custom_role(context: Context, custom: dict[str, Any], subscription: str) -> Step:
    scope, name = f"/subscriptions/{subscription}", _custom_name(context, custom, subscription)

    def find() -> Facts | None:
        place = ("--name", name, "--custom-role-only", "true", "--scope", scope)
        listed = az("role", "definition", "list", *place)
        return {"id": listed[0]["name"]} if listed else None

    def make() -> Facts:
        body = {"Name": name, "Description": custom["description"], "Actions": custom["actions"]}
        made = az("role", "definition", "create", "--role-definition", Body({**body, "AssignableScopes": [scope]}))
        return {"id": made["name"]}

    def undo(_: Facts) -> None:
        az("role", "definition", "delete", "--name", name, "--custom-role-only", "true", "--scope", scope)

    step, needed = (
        f"custom-role/{custom['name']}/{subscription}",
        "Owner or User Access Administrator on the subscription",
    )
    return Step(step, f"custom role {name}", find, make, undo, right=needed, own=True)


def right(context: Context, environment: str, line: dict[str, Any], iac: Any, after: str = "") -> Step:
    """The step that gives a role to the pipelines of an environment.

    `line` is one of pipelines.yml, with the id of a scope where `at` is none of its words; without an id the role is
    that which the step `after` makes.
    """
    scope = {
        "group": context.scope(environment),
        SHARED: context.scope(SHARED),
        "subscription": f"/subscriptions/{context.subscription(environment)}",
    }.get(line["at"], line["at"])
    principal, step = f"principal/{environment}", f"right/{environment}/{line['at']}/{line['role']}"
    groups = tuple(f"group/{name}" for name in owners(context) if name != CICD)
    limited = line.get("limited", False)
    needs = (principal, *(groups if limited else ()), *((after,) if after else ()))
    needs += tuple(f"resource-group/{name}" for name in context.environments if context.scope(name) == scope)

    def wanted() -> str:
        return condition(context, environment, iac) if limited else ""

    def role() -> str:
        return str(line["id"] or context.known[after]["id"])

    def assignment() -> Any:
        who = ("--assignee-object-id", context.known[principal]["id"], "--fill-principal-name", "false")
        listed = az("role", "assignment", "list", *who, "--scope", scope, "--role", role())
        return next((one for one in listed if one["scope"].casefold() == scope.casefold()), None)

    def find() -> Facts | None:
        there = assignment()
        if there is None:
            return None
        return {"id": there["id"], STALE: context.record.knows(step) and (there["condition"] or "") != wanted()}

    def make() -> Facts:
        made = assignment()
        limits = ("--condition", wanted(), "--condition-version", "2.0") if limited else ()
        if made:
            az("role", "assignment", "update", "--role-assignment", Body({**made, "condition": wanted()}))
        else:
            who = context.known[principal]["id"]
            name = str(uuid.uuid5(NAMES, f"{scope}/{who}/{role()}"))
            assignee = ("--assignee-object-id", who, "--assignee-principal-type", "ServicePrincipal")
            place = ("--role", role(), "--scope", scope, "--name", name, "--description", line["reason"] or step)
            made = az("role", "assignment", "create", *assignee, *place, *limits, patient=True)
        return {"id": made["id"]}

    def undo(facts: Facts) -> None:
        az("role", "assignment", "delete", "--ids", facts["id"])

    what = f"role {line['role']}{', limited to the roles of rbac.yml,' if limited else ''} on {scope} for {environment}"
    return Step(step, what, find, make, undo, needs, f"Owner or User Access Administrator on {scope}")


def owners(context: Context) -> list[str]:
    """The personas to whom some table gives Owner."""
    return [
        persona
        for persona in context.rbac["personas"]
        if any(OWNER in given for table in context.rbac["assignments"].values() for given in table[persona].values())
    ]


def assigned_roles(context: Context, environment: str) -> set[str]:
    """The roles, by name, that applying an environment assigns."""
    names = {
        role
        for stage in context.stages(environment)
        for columns in context.rbac["assignments"][stage].values()
        for column, given in columns.items()
        if column not in infrastructure.DEVOPS
        for role in given
    }
    here = {"dev", "staging", "prod"} if context.single and environment != SHARED else {environment}
    return names | {line["role"] for line in context.rbac["system"] if here & set(line["in"])}


def condition(context: Context, environment: str, iac: Any) -> str:
    """Which role assignments the pipelines of an environment may make and remove, as Azure reads it.

    Every role that rbac.yml names, for groups and services; Owner only for who has it there.
    """
    names = assigned_roles(context, environment)
    ids = {context.roles[name] for name in names if name in context.roles and name != OWNER}
    if names & set(context.rbac["custom_roles"]):
        ids.add(iac.caller_role(context.subscription(environment), context.place(environment).resource_group))
    steps = [f"principal/{environment}" if name == CICD else f"group/{name}" for name in owners(context)]
    who = [context.known[step]["id"] for step in steps]
    return " AND ".join(
        f"((!(ActionMatches{{'Microsoft.Authorization/roleAssignments/{action}'}})) OR "
        f"({_is(source, 'RoleDefinitionId', 'Guid', ids)} AND "
        f"{_is(source, 'PrincipalType', 'StringIgnoreCase', ['Group', 'ServicePrincipal'])}) OR "
        f"({_is(source, 'RoleDefinitionId', 'Guid', [context.roles[OWNER]])} AND "
        f"{_is(source, 'PrincipalId', 'Guid', who)}))"
        for action, source in (("write", "@Request"), ("delete", "@Resource"))
    )


def _is(source: str, attribute: str, kind: str, values: Iterable[str]) -> str:
    operator = "GuidEquals" if kind == "Guid" else "StringEqualsIgnoreCase"
    listed = ", ".join(value if kind == "Guid" else f"'{value}'" for value in sorted(values))
    return f"{source}[Microsoft.Authorization/roleAssignments:{attribute}] ForAnyOfAnyValues:{operator} {{{listed}}}"


def eligible(context: Context) -> list[Step]:
    """Make people's temporary roles eligible on what is there, as the tables say; nothing without just_in_time."""
    steps = {name: _eligible(context, name, facts) for name, facts in _recorded(context)}
    for environment in context.environments if context.shared.infrastructure.just_in_time else []:
        resources = _resources(context, environment)
        if not any(resources.values()):
            steps[f"eligible/{environment}"] = _no_estate(environment)
        for name, facts in _wanted(context, environment, resources):
            steps.setdefault(name, _eligible(context, name, facts))
    return list(steps.values())


def _no_estate(environment: str) -> Step:
    def find() -> Facts | None:
        raise Later(f"its estate is not there yet: apply infrastructure/ for {environment}, then run this again")

    return Step(f"eligible/{environment}", f"roles on request in {environment}", find, lambda: {})


def _recorded(context: Context) -> Iterator[tuple[str, Facts]]:
    for name, facts in context.record.made.items():
        if name.startswith("eligible/") and "role" in facts:
            yield name, facts


def _wanted(context: Context, environment: str, resources: dict[str, list[str]]) -> Iterator[tuple[str, Facts]]:
    personas = [name for name, facts in context.rbac["personas"].items() if facts["access"] == "eligible"]
    tables = [context.rbac["assignments"][stage] for stage in context.stages(environment)]
    for persona, table in ((persona, table) for table in tables for persona in personas):
        for column, roles in table[persona].items():
            for scope, role in ((scope, role) for scope in resources.get(column, []) for role in roles):
                facts = {"persona": persona, "role": context.roles[role], "scope": scope}
                yield f"eligible/{persona}/{role}{scope}", facts


def _resources(context: Context, environment: str) -> dict[str, list[str]]:
    """The resources of an environment that are there, by the columns of the tables."""
    place, estate = context.place(environment), context.estate(environment)
    where = ("--resource-group", place.resource_group, "--subscription", context.subscription(environment))
    there = found(az, "resource", "list", *where) or []
    suffix = context.shared.infrastructure.name_suffix or context.suffix()
    names = infrastructure.names(context.root, environment, context.project, suffix, estate.existing)

    def ids(kind: str, name: str = "") -> list[str]:
        listed = [one for one in there if one["type"].casefold() == kind]
        return [one["id"] for one in listed if not name or one["name"] == name]

    storage = {SHARED: ["lake"], "dev": ["storage_account", "lake"]}.get(environment, ["storage_account"])
    own = ("log_analytics",) if environment == SHARED else ("log_analytics", "key_vault", "container_registry")
    columns = {column: ids(TYPES[column], names[column]) for column in own}
    columns["storage_account"] = [one for name in storage for one in ids(TYPES[name], names[name])]
    if environment != SHARED:
        columns["workspace"] = ids("microsoft.machinelearningservices/workspaces", getattr(place, "workspace", ""))
    columns["azure_monitor"] = [one for kind in MONITORED for one in ids(kind)]
    return columns


def _eligible(context: Context, name: str, facts: Facts) -> Step:
    group, scope = f"group/{facts['persona']}", facts["scope"]
    provider = "providers/Microsoft.Authorization"
    definition = f"/subscriptions/{scope.split('/')[2]}/{provider}/roleDefinitions/{facts['role']}"
    base = f"https://management.azure.com{scope}/{provider}"

    def find() -> Facts | None:
        listed = az("rest", "--method", "get", "--url", f"{base}/roleEligibilitySchedules?{PIM}")["value"]
        for one in (item["properties"] for item in listed):
            ours = (one["principalId"], one["scope"].casefold()) == (context.known[group]["id"], scope.casefold())
            if ours and one["roleDefinitionId"].endswith(facts["role"]):
                return {**facts, "principal": one["principalId"]}
        return None

    def request(kind: str, principal: str, **more: Any) -> None:
        body = {"principalId": principal, "roleDefinitionId": definition, "requestType": kind, **more}
        url = f"{base}/roleEligibilityScheduleRequests/{uuid.uuid4()}?{PIM}"
        try:
            az("rest", "--method", "put", "--url", url, "--body", Body({"properties": body}))
        except Problem as problem:
            if "AadPremiumLicenseRequired" in str(problem):
                raise Later("Entra ID P2 is needed: set infrastructure.just_in_time to false in config") from None
            raise

    def make() -> Facts:
        principal = context.known[group]["id"]
        until = {"expiration": {"type": "AfterDuration", "duration": f"P{MOST_DAYS}D"}}
        request("AdminAssign", principal, justification=f"rbac.yml of {context.project}", scheduleInfo=until)
        return {**facts, "principal": principal}

    def undo(made: Facts) -> None:
        request("AdminRemove", made["principal"])

    what = f"{facts['persona']} may ask for {name.split('/')[2]} on {scope}"
    return Step(name, what, find, make, undo, (group,), f"Owner or User Access Administrator on {scope}")
