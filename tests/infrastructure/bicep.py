"""What a Bicep file would deploy: its resources with all properties, without Azure.

Values that only Azure knows, such as a principal's id, are texts that say where they come from.
"""

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, reduce
from pathlib import Path
from typing import Any

import yaml

from .bicep_syntax import BicepError, Node, parse

TENANT = "00000000-0000-0000-0000-00000000000f"
GUIDS = uuid.UUID("11fb06fb-712d-4ddd-98c7-e71bbd588830")  # the namespace of Azure's guid()


class Runtime(str):
    """A value that Azure gives while it deploys, as a text that says which."""


@dataclass(frozen=True)
class Scope:
    """Where a template is deployed: a subscription, or a resource group in it."""

    subscription: str
    group: str | None = None

    @property
    def id(self) -> str:
        """The scope's resource id."""
        return f"/subscriptions/{self.subscription}" + (f"/resourceGroups/{self.group}" if self.group else "")


@dataclass
class Resource:
    """A resource that is deployed, or one that is there already."""

    type: str
    version: str
    name: str
    scope: str
    existing: bool
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The resource's id."""
        if self.type == "Microsoft.Resources/resourceGroups":
            return f"{self.scope}/resourceGroups/{self.name}"
        namespace, *kinds = self.type.split("/")
        parts = "/".join(f"{kind}/{name}" for kind, name in zip(kinds, self.name.split("/"), strict=True))
        return f"{self.scope}/providers/{namespace}/{parts}"

    def member(self, name: str) -> Any:
        """What `symbol.name` is."""
        if name in ("id", "type"):
            return getattr(self, name)
        if name == "name":
            return self.name.rsplit("/", 1)[-1]
        if name in ("location", "tags", "kind", "sku") and name in self.body:
            return self.body[name]
        return Runtime(f"{self.id}#{name}")


@dataclass
class Module:
    """A module's outputs."""

    name: str
    outputs: dict[str, Any]

    def member(self, name: str) -> Any:
        """What `symbol.name` is."""
        if name == "outputs":
            return self.outputs
        if name == "name":
            return self.name
        raise BicepError(f"a module has no {name}")


class Template:
    """One file with its parameters, at a scope."""

    def __init__(self, path: Path, scope: Scope, parameters: dict[str, Any], location: str) -> None:
        self.path, self.scope, self.location = path, scope, location
        self.resources: list[Resource] = []
        self.statements: dict[str, Node] = {}
        self.functions: dict[str, tuple[Template, Node]] = {}
        self.types: dict[str, Node] = {}
        self.values: dict[str, Any] = {}
        self.busy: set[str] = set()
        self.outputs: dict[str, Any] = {}
        self.made: dict[str, list[Resource]] = {}  # by the symbol that makes them
        self.modules: list[Template] = []
        target = "resourceGroup"
        program = read_bicep(path.read_text(encoding="utf-8"), path.name)
        for statement in program:
            if statement[0] == "targetScope":
                target = statement[1][1]
            elif statement[0] == "func":
                self.functions[statement[1]] = (self, statement)
            elif statement[0] == "import":
                other = Template(path.parent / statement[2][1], Scope(scope.subscription, "any"), {}, location)
                for name in statement[1]:
                    if name in other.functions:
                        self.functions[name] = other.functions[name]
                    elif name in other.types:
                        self.types[name] = other.types[name]
                    else:
                        raise BicepError(f"{path.name}: {statement[2][1]} has no {name}")
            elif statement[0] == "type":
                self.types[statement[1]] = statement[2]
            elif statement[0] in ("param", "var", "resource", "module"):
                if statement[1] in self.statements:
                    raise BicepError(f"{path.name}: {statement[1]} is there twice")
                self.statements[statement[1]] = statement
        if target != ("resourceGroup" if scope.group else "subscription"):
            raise BicepError(f"{path.name} is for a {target}")
        declared = {s[1] for s in program if s[0] == "param"}
        if unknown := parameters.keys() - declared:
            raise BicepError(f"{path.name} has no parameter {sorted(unknown)[0]}")
        self.parameters = parameters
        self.program = program

    def deploy(self) -> "Template":
        """Evaluate everything."""
        for statement in self.program:
            if statement[0] in ("param", "var", "resource", "module"):
                self.get(statement[1])
            elif statement[0] == "output":
                self.outputs[statement[1]] = self.value(statement[3], {})
        return self

    def fail(self, message: str) -> BicepError:
        """An error in this file."""
        return BicepError(f"{self.path.name}: {message}")

    # Names

    def get(self, name: str) -> Any:
        """The value of a declared name."""
        if name not in self.values:
            if name not in self.statements:
                raise self.fail(f"undefined name {name}")
            if name in self.busy:
                raise self.fail(f"{name} depends on itself")
            self.busy.add(name)
            statement = self.statements[name]
            if statement[0] in ("resource", "module"):
                self.made[name] = []
            self.values[name] = getattr(self, f"_{statement[0]}")(statement)
            self.resources += self.made.get(name, [])
            self.busy.discard(name)
        return self.values[name]

    def _var(self, statement: Node) -> Any:
        return self.value(statement[2], {})

    def _param(self, statement: Node) -> Any:
        _, name, kind, default, decorators = statement
        if name in self.parameters:
            given = self.parameters[name]
        elif default is not None:
            given = self.value(default, {})
        elif kind[0] == "or nothing":
            return None
        else:
            raise self.fail(f"parameter {name} is missing")
        self._check(name, kind, given)
        for _, rule, arguments in decorators:
            self._rule(name, rule, [self.value(one, {}) for one in arguments], given)
        return given

    def _check(self, where: str, kind: Node, given: Any) -> None:
        """Refuse a value that is not of a type."""
        what = kind[0]
        if what == "or nothing" and given is None:
            return
        if what == "named" and kind[1] in self.types:
            self._check(where, self.types[kind[1]], given)
        elif what == "named":
            if kind[1] not in KINDS:
                raise self.fail(f"unknown type {kind[1]}")
            if not isinstance(given, KINDS[kind[1]]) or (kind[1] == "int" and isinstance(given, bool)):
                raise self.fail(f"{where} is {given!r} and no {kind[1]}")
        elif what == "or nothing":
            self._check(where, kind[1], given)
        elif what in ("one of", "literal"):
            literals = [one[1] for one in kind[1]] if what == "one of" else [kind[1]]
            if given not in literals:
                raise self.fail(f"{where} is {given!r} and none of {literals}")
        elif what == "list of":
            self._check(where, ("named", "array"), given)
            for place, item in enumerate(given):
                self._check(f"{where}[{place}]", kind[1], item)
        else:
            self._check_object(where, kind[1], given)

    def _check_object(self, where: str, members: dict[str, Node], given: Any) -> None:
        self._check(where, ("named", "object"), given)
        for key, value in given.items():
            if key not in members and "*" not in members:
                raise self.fail(f"{where}.{key} is not known")
            self._check(f"{where}.{key}", members.get(key, members.get("*", ())), value)
        for key, kind in members.items():
            if key not in given and key != "*" and kind[0] != "or nothing":
                raise self.fail(f"{where}.{key} is missing")

    def _rule(self, name: str, rule: str, arguments: list[Any], given: Any) -> None:
        broken = {
            "description": lambda: False,
            "secure": lambda: False,
            "allowed": lambda: given not in arguments[0],
            "minLength": lambda: not isinstance(given, Runtime) and len(given) < arguments[0],
            "maxLength": lambda: not isinstance(given, Runtime) and len(given) > arguments[0],
            "minValue": lambda: given < arguments[0],
            "maxValue": lambda: given > arguments[0],
        }[rule]
        if broken():
            raise self.fail(f"parameter {name} is {given!r}: {rule} {arguments[0]!r}")

    # Resources and modules

    def _bodies(self, body: Node, local: dict[str, Any]) -> Iterator[tuple[Node | None, dict[str, Any]]]:
        """Each object of a resource with the names of its loop; None for one that is not deployed."""
        if body[0] == "for":
            for names in self.loop(body, local):
                yield from self._bodies(body[3], names)
        elif body[0] == "if":
            yield (body[2] if self.truth(body[1], local) else None), local
        else:
            yield body, local

    def _resource(self, statement: Node) -> Any:
        _, symbol, kind, existing, body, _ = statement
        kind, version = kind[1].split("@")
        made = []
        for one, local in self._bodies(body, {}):
            deployed = one is not None
            node = one or (body[2] if body[0] == "if" else None)
            if node is None:
                continue
            one_made = self._one(node, local, kind, version, existing, deployed)
            self.made[symbol] += [one_made] if deployed and not existing else []
            made.append(one_made)
        return made if body[0] == "for" else made[0]

    def _one(
        self, node: Node, local: dict[str, Any], kind: str, version: str, existing: bool, deployed: bool
    ) -> Resource:
        special = {key[1]: value for key, value in node[1] if key[1] in ("parent", "scope", "name", "dependsOn")}
        name = self.value(special["name"], local)
        parent = self.value(special["parent"], local) if "parent" in special else None
        scope = self.value(special["scope"], local) if "scope" in special else None
        where = self.scope.id if scope is None else scope.id
        full = name
        if parent is not None:
            if not kind.startswith(parent.type + "/"):
                raise self.fail(f"{kind} cannot be in {parent.type}")
            full, where = f"{parent.name}/{name}", parent.scope
        if kind == "Microsoft.Resources/resourceGroups":
            where = Scope((scope or self.scope).subscription).id
        found = Resource(kind, version, full, where, existing)
        if deployed and not existing:
            skipped = ("parent", "scope", "dependsOn")
            found.body = {
                self.value(key, local): self.value(value, local) for key, value in node[1] if key[1] not in skipped
            }
            found.body["name"] = full
            found.body = without_null(found.body)
        if "dependsOn" in special:
            self.value(special["dependsOn"], local)
        return found

    def _module(self, statement: Node) -> Any:
        _, name, file, _, body, _ = statement
        made = []
        for one, local in self._bodies(body, {}):
            if one is None:
                made.append(None)
                continue
            content = {key[1]: value for key, value in one[1]}
            if unknown := content.keys() - {"name", "scope", "params", "dependsOn"}:
                raise self.fail(f"module {name}: unknown {sorted(unknown)[0]}")
            scope = self.value(content["scope"], local) if "scope" in content else self.scope
            if isinstance(scope, Resource):
                scope = Scope(scope.scope.split("/")[2], scope.name)
            parameters = self.value(content["params"], local) if "params" in content else {}
            inner = Template(self.path.parent / file[1], scope, parameters, self.location).deploy()
            self.made[name] += inner.resources
            self.modules.append(inner)
            made.append(Module(str(self.value(content["name"], local)) if "name" in content else name, inner.outputs))
        return made if body[0] == "for" else made[0]

    # Expressions

    def loop(self, node: Node, local: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The local names of each turn."""
        names, over = node[1], self.value(node[2], local)
        if not isinstance(over, list):
            raise self.fail(f"a loop over {over!r}")
        for position, item in enumerate(over):
            yield {**local, names[0]: item, **({names[1]: position} if len(names) > 1 else {})}

    def truth(self, node: Node, local: dict[str, Any]) -> bool:
        """A condition, which must be true or false."""
        value = self.value(node, local)
        if not isinstance(value, bool):
            raise self.fail(f"a condition is {value!r}")
        return value

    def value(self, node: Node, local: dict[str, Any]) -> Any:
        """What an expression is."""
        return getattr(self, f"_e_{node[0]}")(node, local)

    def _e_value(self, node: Node, local: dict[str, Any]) -> Any:
        return node[1]

    def _e_text(self, node: Node, local: dict[str, Any]) -> str:
        parts = [self.value(part, local) for part in node[1]]
        for part in parts:
            if isinstance(part, (dict, list)) or part is None:
                raise self.fail(f"{part!r} in a text")
        text = "".join(str(part).lower() if isinstance(part, bool) else str(part) for part in parts)
        return Runtime(text) if any(isinstance(part, Runtime) for part in parts) else text

    def _e_name(self, node: Node, local: dict[str, Any]) -> Any:
        return local[node[1]] if node[1] in local else self.get(node[1])

    def _e_array(self, node: Node, local: dict[str, Any]) -> list[Any]:
        return [self.value(item, local) for item in node[1]]

    def _e_object(self, node: Node, local: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node[1]:
            name = self.value(key, local)
            if name in found:
                raise self.fail(f"{name} is twice in an object")
            found[name] = self.value(value, local)
        return found

    def _e_for(self, node: Node, local: dict[str, Any]) -> list[Any]:
        return [self.value(node[3], names) for names in self.loop(node, local)]

    def _e_choice(self, node: Node, local: dict[str, Any]) -> Any:
        return self.value(node[2] if self.truth(node[1], local) else node[3], local)

    def _e_not(self, node: Node, local: dict[str, Any]) -> bool:
        return not self.truth(node[1], local)

    def _e_minus(self, node: Node, local: dict[str, Any]) -> int:
        return -int(self.value(node[1], local))

    def _e_operator(self, node: Node, local: dict[str, Any]) -> Any:
        _, operator, left, right = node
        if operator == "??":
            value = self.value(left, local)
            return self.value(right, local) if value is None else value
        if operator in ("&&", "||"):
            first = self.truth(left, local)
            return first if first == (operator == "||") else self.truth(right, local)
        one, other = self.value(left, local), self.value(right, local)
        if operator in ("==", "!="):
            return (one == other) == (operator == "==")
        if operator in ("=~", "!~"):
            return (one.lower() == other.lower()) == (operator == "=~")
        if not isinstance(one, int) or not isinstance(other, int):
            raise self.fail(f"{one!r} {operator} {other!r}")
        return {
            "<": one < other,
            ">": one > other,
            "<=": one <= other,
            ">=": one >= other,
            "+": one + other,
            "-": one - other,
            "*": one * other,
            "/": one // (other or 1),
            "%": one % (other or 1),
        }[operator]

    def _e_member(self, node: Node, local: dict[str, Any]) -> Any:
        _, owner, name, lenient = node
        return self.member(self.value(owner, local), name, lenient)

    def member(self, value: Any, name: str, lenient: bool) -> Any:
        """`value.name`."""
        if lenient and value is None:
            return None
        if isinstance(value, Runtime):
            return Runtime(f"{value}.{name}")
        if isinstance(value, (Resource, Module)):
            return value.member(name)
        if isinstance(value, Scope):
            return {"id": value.id, "name": value.group, "subscriptionId": value.subscription, "tenantId": TENANT}.get(
                name, self.location
            )
        if isinstance(value, dict):
            if name in value:
                return value[name]
            if lenient:
                return None
        raise self.fail(f"no {name} in {str(value)[:200]}")

    def _e_index(self, node: Node, local: dict[str, Any]) -> Any:
        owner, index = self.value(node[1], local), self.value(node[2], local)
        if isinstance(owner, list):
            if isinstance(index, int) and 0 <= index < len(owner):
                return owner[index]
            if node[3]:
                return None
            raise self.fail(f"no {index} in a list of {len(owner)}")
        return self.member(owner, index, node[3])

    def _e_lambda(self, node: Node, local: dict[str, Any]) -> Callable[..., Any]:
        return lambda *given: self.value(node[2], {**local, **dict(zip(node[1], given, strict=False))})

    def _e_call(self, node: Node, local: dict[str, Any]) -> Any:
        name = node[1]
        arguments = [self.value(one, local) for one in node[2]]
        if name in self.functions:
            home, function = self.functions[name]
            if len(arguments) != len(function[2]):
                raise self.fail(f"{name} takes {len(function[2])} arguments")
            return home.value(function[3], dict(zip(function[2], arguments, strict=True)))
        known: Callable[..., Any] | None = getattr(self, f"_f_{name}", None) or FUNCTIONS.get(name)
        if known is None:
            raise self.fail(f"unknown function {name}")
        return known(*arguments)

    # Functions that depend on where the template is

    def _f_loadTextContent(self, file: str) -> str:  # noqa: N802
        return (self.path.parent / file).read_text(encoding="utf-8").replace("\r\n", "\n")

    def _f_loadYamlContent(self, file: str, path: str = "$") -> Any:  # noqa: N802
        content = read_yaml(self._f_loadTextContent(file))
        for key in path.split(".")[1:]:
            content = content[key]
        _no_fractions(content, file)
        return content

    def _f_resourceGroup(self, *where: str) -> Scope:  # noqa: N802
        if not where:
            if not self.scope.group:
                raise self.fail("resourceGroup() in a subscription")
            return self.scope
        return Scope(where[0] if len(where) == 2 else self.scope.subscription, where[-1])

    def _f_subscription(self, *where: str) -> Scope:
        return Scope(where[0] if where else self.scope.subscription)

    def _f_environment(self) -> dict[str, Any]:
        return {"suffixes": {"storage": "core.windows.net", "acrLoginServer": ".azurecr.io"}}

    def _f_tenant(self) -> dict[str, str]:
        return {"tenantId": TENANT}

    def _f_deployment(self) -> dict[str, str]:
        return {"location": self.location, "name": "main"}

    def _f_subscriptionResourceId(self, kind: str, *names: str) -> str:  # noqa: N802
        return Resource(kind, "", "/".join(names), Scope(self.scope.subscription).id, True).id

    def _f_tenantResourceId(self, kind: str, *names: str) -> str:  # noqa: N802
        return Resource(kind, "", "/".join(names), "", True).id

    def _f_resourceId(self, *parts: str) -> str:  # noqa: N802
        place = next(i for i, part in enumerate(parts) if "/" in part and part.startswith("Microsoft."))
        scope = (
            Scope(parts[0], parts[1])
            if place == 2
            else Scope(self.scope.subscription, parts[0] if place else self.scope.group)
        )
        return Resource(parts[place], "", "/".join(parts[place + 1 :]), scope.id, True).id

    def _f_fail(self, message: str) -> None:
        raise self.fail(message)


KINDS: dict[str, Any] = {"string": str, "int": int, "bool": bool, "object": dict, "array": list}


@cache
def read_yaml(text: str) -> Any:
    """The content of a YAML file, which nobody changes."""
    return yaml.safe_load(text)


@cache
def read_bicep(text: str, name: str) -> list[Node]:
    """The statements of a Bicep file."""
    return parse(text, name)


def _no_fractions(content: Any, file: str) -> None:
    """Bicep has no fractions: a file with one cannot be relied on."""
    if isinstance(content, float):
        raise BicepError(f"{file}: {content} is no whole number")
    for one in content.values() if isinstance(content, dict) else content if isinstance(content, list) else ():
        _no_fractions(one, file)


def without_null(value: Any) -> Any:
    """What Azure gets: properties that are null are not sent."""
    if isinstance(value, dict):
        return {key: without_null(one) for key, one in value.items() if one is not None}
    return [without_null(one) for one in value] if isinstance(value, list) else value


def _union(*values: Any) -> Any:
    if isinstance(values[0], list):
        found: list[Any] = []
        for one in (item for value in values for item in value):
            found += [] if one in found else [one]
        return found

    def merge(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
        both = {
            k: merge(one[k], v) if isinstance(v, dict) and isinstance(one.get(k), dict) else v for k, v in other.items()
        }
        return {**one, **both}

    return reduce(merge, values, {})


def _items(value: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value[key]} for key in sorted(value)]


def _string(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _text(function: Callable[..., str]) -> Callable[..., str]:
    """A function on texts, whose result is only known to Azure when one of them is."""

    def changed(*values: Any) -> str:
        result = function(*values)
        return Runtime(result) if any(isinstance(one, Runtime) for one in values) else result

    return changed


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "union": _union,
    "items": _items,
    "objectKeys": lambda value: sorted(value),
    "contains": lambda where, what: what in where,
    "empty": lambda value: value is None or len(value) == 0,
    "length": len,
    "first": lambda value: value[0] if value else None,
    "last": lambda value: value[-1] if value else None,
    "take": lambda value, count: value[:count],
    "skip": lambda value, count: value[count:],
    "split": lambda value, mark: value.split(mark),
    "join": lambda values, mark: mark.join(values),
    "concat": lambda *values: [x for v in values for x in v] if isinstance(values[0], list) else "".join(values),
    "replace": _text(lambda value, old, new: value.replace(old, new)),
    "toLower": _text(lambda value: value.lower()),
    "startsWith": lambda value, start: value.lower().startswith(start.lower()),
    "endsWith": lambda value, end: value.lower().endswith(end.lower()),
    "string": _string,
    "int": int,
    "indexOf": lambda where, what: where.index(what) if what in where else -1,
    "filter": lambda values, test: [one for one in values if test(one)],
    "map": lambda values, change: [change(one) for one in values],
    "reduce": lambda values, start, join: reduce(join, values, start),
    "toObject": lambda values, key, value=lambda one: one: {key(one): value(one) for one in values},
    "flatten": lambda values: [one for group in values for one in group],
    "range": lambda start, count: list(range(start, start + count)),
    "guid": lambda *values: str(uuid.uuid5(GUIDS, "-".join(values))),
    "min": lambda *values: min(values),
    "max": lambda *values: max(values),
    "any": lambda value: value,
    "json": json.loads,
    "intersection": lambda one, other: [x for x in one if x in other],
}


def deploy(path: Path, subscription: str, location: str, **parameters: Any) -> Template:
    """What a deployment of the file at a subscription makes."""
    return Template(path, Scope(subscription), parameters, location).deploy()


def too_early(template: Template) -> list[str]:
    """Resources that name another one of the same deployment without waiting for it."""
    waits = {symbol: _waits_for(template, statement) for symbol, statement in template.statements.items()}
    found = []
    for symbol, resources in template.made.items():
        for other in template.made.keys() - waits[symbol] - {symbol}:
            ids = [one.id.lower() for one in template.made[other]]
            for resource in resources:
                texts = json.dumps(resource.body).lower() + resource.scope.lower() + '"'
                named = [one for one in ids if f'{one}"' in texts or f"{one}/" in texts]
                found += [f"{template.path.name}: {symbol} does not wait for {other}: {one}" for one in named]
    return found + [fault for inner in template.modules for fault in too_early(inner)]


def _waits_for(template: Template, statement: Any, seen: frozenset[str] = frozenset()) -> set[str]:
    """The symbols that a statement mentions, and those that these mention."""
    found: set[str] = set()
    if isinstance(statement, tuple) and len(statement) == 2 and statement[0] == "name":
        name = statement[1]
        if name in template.statements and name not in seen:
            found |= {name} | _waits_for(template, template.statements[name], seen | {name})
    elif isinstance(statement, (tuple, list)):
        for part in statement:
            found |= _waits_for(template, part, seen)
    return found
