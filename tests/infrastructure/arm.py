"""What an ARM template would deploy: its resources with all properties, without Azure.

It reads what the template uses and refuses everything else, so that nothing passes unseen.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .bicep import FUNCTIONS, TENANT, Resource, Runtime, Scope, without_null

TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+)|(?P<name>[A-Za-z_]\w*)|(?P<mark>[().,\[\]]))")
TEMPLATE_KEYS = {
    *("$schema", "languageVersion", "contentVersion", "metadata", "definitions"),
    *("parameters", "variables", "resources", "outputs"),
}
RESOURCE_KEYS = {
    *("condition", "copy", "type", "apiVersion", "scope", "name", "location", "tags", "kind", "sku"),
    *("identity", "properties", "dependsOn", "resourceGroup"),
}
NOT_SENT = ("condition", "copy", "type", "apiVersion", "scope", "dependsOn", "resourceGroup")
TYPE_KEYS = {
    *("type", "$ref", "allowedValues", "minLength", "maxLength", "minValue", "maxValue", "metadata", "nullable"),
    *("properties", "additionalProperties", "items"),
}
SCHEMAS = {True: "2018-05-01/subscriptionDeploymentTemplate.json#", False: "2019-04-01/deploymentTemplate.json#"}
# Azure's limits
COPIES, CHARACTERS, BYTES = 800, 24_576, 4_000_000


class ArmError(Exception):
    """What Azure would refuse."""


class Reference:
    """`reference(…)` with what was asked of it."""

    def __init__(self, id_: str, path: tuple[str, ...]) -> None:
        self.id, self.path = id_, path

    def member(self, name: str) -> "Reference":
        """One of its properties."""
        return Reference(self.id, (*self.path, name))

    def text(self) -> Runtime:
        """What stands for it in a resource."""
        return Runtime(f"{self.id}#{'.'.join(self.path)}")


class Expression:
    """The tree of an expression: tuples ("text", …), ("number", …), ("call", name, arguments), ("at", owner, key)."""

    def __init__(self, text: str) -> None:
        if len(text) > CHARACTERS:
            raise ArmError(f"an expression of {len(text)} characters")
        self.text, self.tokens, place = text, [], 0
        while place < len(text.rstrip()):
            found = TOKEN.match(text, place)
            if not found:
                raise ArmError(f"cannot read {text[place:]!r} of {text!r}")
            self.tokens.append((found.lastgroup, found.group(found.lastgroup or 0)))
            place = found.end()
        self.tree = self._value()
        if self.tokens:
            raise ArmError(f"{self.tokens[0][1]!r} is too much in {text!r}")

    def _next(self, *wanted: str) -> tuple[str | None, str]:
        if not self.tokens or (wanted and self.tokens[0][1] not in wanted):
            raise ArmError(f"{' or '.join(wanted) or 'more'} is missing in {self.text!r}")
        return self.tokens.pop(0)

    def _value(self) -> tuple[Any, ...]:
        kind, word = self._next()
        tree: tuple[Any, ...]
        if kind == "text":
            tree = ("text", word[1:-1].replace("''", "'"))
        elif kind == "number":
            tree = ("number", int(word))
        elif kind == "name":
            self._next("(")
            arguments = []
            while self.tokens and self.tokens[0][1] != ")":
                arguments.append(self._value())
                if self.tokens and self.tokens[0][1] != ")":
                    self._next(",")
            self._next(")")
            tree = ("call", word, arguments)
        else:
            raise ArmError(f"{word!r} does not belong there in {self.text!r}")
        while self.tokens and self.tokens[0][1] in (".", "["):
            if self._next()[1] == ".":
                tree = ("at", tree, ("text", self._next()[1]))
            else:
                tree = ("at", tree, self._value())
                self._next("]")
        return tree


class Template:
    """One template with its parameters, at a scope."""

    def __init__(self, content: dict[str, Any], scope: Scope, parameters: dict[str, Any]) -> None:
        _known(content, TEMPLATE_KEYS, "the template")
        if not str(content["$schema"]).endswith(SCHEMAS[scope.group is None]):
            raise ArmError(f"{content['$schema']} is not that of this scope")
        if content["languageVersion"] != "2.0" or not re.fullmatch(r"(\d+\.){3}\d+", content["contentVersion"]):
            raise ArmError("languageVersion or contentVersion")
        self.content, self.scope, self.definitions = content, scope, content.get("definitions", {})
        self.parameters, self.cache = self._given(parameters), dict[str, Any]()
        self.made: dict[str, list[Resource]] = {}
        self.nested: list[Template] = []
        self.order: list[str] = []

    # Parameters

    def _given(self, given: dict[str, Any]) -> dict[str, Any]:
        declared = self.content.get("parameters", {})
        _known(given, set(declared), "the parameters")
        for name, kind in declared.items():
            if name not in given:
                raise ArmError(f"parameter {name} is missing")
            if "description" not in kind.get("metadata", {}):
                raise ArmError(f"parameter {name} is not described")
            self._check(given[name], kind, name)
        return given

    def _check(self, value: Any, kind: dict[str, Any], where: str) -> None:
        _known(kind, TYPE_KEYS, f"the type of {where}")
        if "$ref" in kind:
            name = kind["$ref"].removeprefix("#/definitions/")
            if name not in self.definitions:
                raise ArmError(f"{where}: there is no definition {name}")
            self._check(value, self.definitions[name], where)
            return
        plain = {"string": str, "int": int, "bool": bool, "object": dict, "array": list}[kind["type"]]
        if not isinstance(value, plain) or (plain is int and isinstance(value, bool)):
            raise ArmError(f"{where} is {value!r}: no {kind['type']}")
        size = value if kind["type"] == "int" else len(value) if kind["type"] != "bool" else 0
        for rule in ("Length", "Value"):
            if f"min{rule}" in kind and size < kind[f"min{rule}"]:
                raise ArmError(f"{where} is {value!r}: min{rule} {kind[f'min{rule}']}")
            if f"max{rule}" in kind and size > kind[f"max{rule}"]:
                raise ArmError(f"{where} is {value!r}: max{rule} {kind[f'max{rule}']}")
        if "allowedValues" in kind and value not in kind["allowedValues"]:
            raise ArmError(f"{where} is {value!r}: none of {kind['allowedValues']}")
        if kind["type"] == "array" and "items" in kind:
            for number, one in enumerate(value):
                self._check(one, kind["items"], f"{where}[{number}]")
        if kind["type"] == "object":
            self._check_object(value, kind, where)

    def _check_object(self, value: dict[str, Any], kind: dict[str, Any], where: str) -> None:
        known, more = kind.get("properties", {}), kind.get("additionalProperties", {})
        for key, one in value.items():
            if key not in known and more is False:
                raise ArmError(f"{where}.{key} does not exist")
            inner = known.get(key, more)
            if inner:
                self._check(one, inner, f"{where}.{key}")
        for key, one in known.items():
            if key not in value and not one.get("nullable"):
                raise ArmError(f"{where}.{key} is missing")

    # Resources

    def deploy(self) -> "Template":
        """Evaluate everything, in the order of `dependsOn`."""
        resources = self.content["resources"]
        while waiting := [name for name in resources if name not in self.made]:
            ready = [name for name in waiting if all(one in self.made for one in resources[name].get("dependsOn", []))]
            if not ready:
                raise ArmError(f"{', '.join(waiting)} wait for each other, or for what does not exist")
            self.made[ready[0]] = self._resources(ready[0], resources[ready[0]])
        if len(self.resources) > COPIES:
            raise ArmError(f"{len(self.resources)} resources")
        for one in self.content.get("outputs", {}).values():
            self.value(one["value"], {}, {})
        return self

    @property
    def resources(self) -> list[Resource]:
        """All that is made."""
        return [one for name in self.made for one in self.made[name]]

    def _resources(self, symbol: str, content: dict[str, Any]) -> list[Resource]:
        _known(content, RESOURCE_KEYS, symbol)
        turns: list[dict[str, int]] = [{}]
        if "copy" in content:
            _known(content["copy"], {"name", "count", "mode", "batchSize"}, f"copy of {symbol}")
            count = self.value(content["copy"]["count"], {}, {})
            if not 0 <= count <= COPIES:
                raise ArmError(f"{symbol}: {count} copies")
            turns = [{"": turn, content["copy"]["name"]: turn} for turn in range(count)]
        found: list[Resource] = []
        for turn in turns:
            if self.value(content.get("condition", True), turn, {}):
                made = self._resource(symbol, content, turn)
                found += made.resources if isinstance(made, Template) else [made]
        return found

    def _resource(self, symbol: str, content: dict[str, Any], turn: dict[str, int]) -> "Resource | Template":
        name, kind = self.value(content["name"], turn, {}), content["type"]
        if kind == "Microsoft.Resources/deployments":
            return self._deployment(content, turn)
        scope = self.scope.id
        if "scope" in content:
            relative = self.value(content["scope"], turn, {})
            if len(relative.split("/")) < 3 or relative.startswith("/"):
                raise ArmError(f"{symbol}: scope {relative}")
            scope = f"{self.scope.id}/providers/{relative}"
        if kind.count("/") != name.count("/") + 1:
            raise ArmError(f"{symbol}: {kind} cannot be called {name}")
        body = {key: self.value(one, turn, {}) for key, one in content.items() if key not in NOT_SENT}
        return Resource(kind, content["apiVersion"], name, scope, False, without_null(body))

    def _deployment(self, content: dict[str, Any], turn: dict[str, int]) -> "Template":
        properties = content["properties"]
        _known(properties, {"mode", "expressionEvaluationOptions", "parameters", "template"}, "the nested deployment")
        if properties["mode"] != "Incremental" or properties["expressionEvaluationOptions"] != {"scope": "inner"}:
            raise ArmError("a nested deployment that is not incremental or not on its own")
        given = {name: self.value(one["value"], turn, {}) for name, one in properties["parameters"].items()}
        scope = Scope(self.scope.subscription, self.value(content["resourceGroup"], turn, {}))
        inner = Template(properties["template"], scope, given).deploy()
        self.nested.append(inner)
        return inner

    # Values

    def value(self, content: Any, turn: dict[str, int], local: dict[str, Any]) -> Any:
        """A part of the template with its expressions and copies evaluated."""
        if isinstance(content, dict):
            found: dict[str, Any] = {}
            for key, one in content.items():
                if key == "copy":
                    found |= {loop["name"]: self._copies(loop, turn, local) for loop in one}
                else:
                    found[str(self.value(key, turn, local))] = self.value(one, turn, local)
            return found
        if isinstance(content, list):
            return [self.value(one, turn, local) for one in content]
        if isinstance(content, str) and content.startswith("[") and not content.startswith("[["):
            if not content.endswith("]"):
                raise ArmError(f"{content!r} is neither an expression nor a text")
            result = self._evaluate(Expression(content[1:-1]).tree, turn, local)
            return result.text() if isinstance(result, Reference) else result
        return content

    def _copies(self, loop: dict[str, Any], turn: dict[str, int], local: dict[str, Any]) -> list[Any]:
        _known(loop, {"name", "count", "input"}, "copy")
        count = self.value(loop["count"], turn, local)
        return [self.value(loop["input"], {**turn, loop["name"]: index}, local) for index in range(count)]

    def _evaluate(self, tree: tuple[Any, ...], turn: dict[str, int], local: dict[str, Any]) -> Any:
        if tree[0] in ("text", "number"):
            return tree[1]
        if tree[0] == "at":
            return self._at(self._evaluate(tree[1], turn, local), self._evaluate(tree[2], turn, local))
        _, name, arguments = tree
        if name == "if":
            return self._evaluate(arguments[1 if self._evaluate(arguments[0], turn, local) else 2], turn, local)
        if name == "lambda":
            *names, body = arguments
            return lambda *values: self._evaluate(
                body, turn, {**local, **{one[1]: value for one, value in zip(names, values, strict=True)}}
            )
        values = [self._evaluate(one, turn, local) for one in arguments]
        if name == "copyIndex":
            return self._at(turn, values[0] if values else "")
        if name == "lambdaVariables":
            return self._at(local, values[0])
        own: Callable[..., Any] | None = getattr(self, f"_f_{name}", None)
        if own is None and name not in USED:
            raise ArmError(f"unknown function {name}")
        return (own or FUNCTIONS[name])(*values)

    def _at(self, owner: Any, key: Any) -> Any:
        if isinstance(owner, Reference):
            return owner.member(key)
        if isinstance(owner, dict) and key in owner:
            return owner[key]
        if isinstance(owner, list) and isinstance(key, int) and 0 <= key < len(owner):
            return owner[key]
        raise ArmError(f"no {key!r} in {str(owner)[:200]}")

    # Functions

    def _f_parameters(self, name: str) -> Any:
        return self._at(self.parameters, name)

    def _f_variables(self, name: str) -> Any:
        if name not in self.cache:
            declared = self.content.get("variables", {})
            loops = {one["name"]: one for one in declared.get("copy", [])}
            if name in loops:
                self.cache[name] = self._copies(loops[name], {}, {})
            else:
                self.cache[name] = self.value(self._at(declared, name), {}, {})
        return self.cache[name]

    def _f_and(self, *values: bool) -> bool:
        return all(values)

    def _f_not(self, value: bool) -> bool:
        return not value

    def _f_true(self) -> bool:
        return True

    def _f_createArray(self, *values: Any) -> list[Any]:  # noqa: N802
        return list(values)

    def _f_createObject(self, *values: Any) -> dict[str, Any]:  # noqa: N802
        return dict(zip(values[::2], values[1::2], strict=True))

    def _f_format(self, text: str, *values: Any) -> str:
        return text.format(*values)

    def _f_reference(self, what: str, version: str, full: str = "") -> Reference:
        """Of a symbol in this template, or of an id."""
        if what.startswith("/"):
            return Reference(what, () if full else ("properties",))
        if len(self.made.get(what, [])) != 1:
            raise ArmError(f"reference to {what}, which is not made before")
        return Reference(self.made[what][0].id, () if full else ("properties",))

    def _f_resourceGroup(self) -> dict[str, Any]:  # noqa: N802
        if not self.scope.group:
            raise ArmError("resourceGroup() in a subscription")
        return {"id": self.scope.id, "name": self.scope.group}

    def _f_subscription(self) -> dict[str, Any]:
        return {"id": Scope(self.scope.subscription).id, "subscriptionId": self.scope.subscription}

    def _f_tenant(self) -> dict[str, str]:
        return {"tenantId": TENANT}

    def _f_environment(self) -> dict[str, Any]:
        return {"suffixes": {"storage": "core.windows.net", "acrLoginServer": ".azurecr.io"}}

    def _f_subscriptionResourceId(self, kind: str, name: str) -> str:  # noqa: N802
        return Resource(kind, "", name, Scope(self.scope.subscription).id, True).id

    def _f_tenantResourceId(self, kind: str, name: str) -> str:  # noqa: N802
        return Resource(kind, "", name, "", True).id

    def _f_resourceId(self, *parts: str) -> str:  # noqa: N802
        """Of a kind and a name, in the group or after another subscription and group."""
        *where, kind, name = parts
        if not self.scope.group or len(where) not in (0, 2):
            raise ArmError(f"resourceId of {parts}")
        scope = Scope(*where) if where else self.scope
        return Resource(kind, "", name, scope.id, True).id


# Functions that Bicep and ARM have alike.
USED = {
    *("concat", "contains", "empty", "guid", "join", "length", "map", "replace", "string", "toObject", "union"),
}


def _known(content: dict[str, Any], keys: set[str], where: str) -> None:
    if unknown := sorted(content.keys() - keys):
        raise ArmError(f"{where}: unknown {unknown[0]}")


def deploy(template: Path, parameters: Path, subscription: str) -> Template:
    """What a deployment of the template at a subscription makes."""
    text, given = template.read_text(encoding="utf-8"), json.loads(parameters.read_text(encoding="utf-8"))
    if len(text) > BYTES or given["contentVersion"] != json.loads(text)["contentVersion"]:
        raise ArmError("the template is too large, or its parameters are those of another version")
    values = {name: one["value"] for name, one in given["parameters"].items()}
    return Template(json.loads(text), Scope(subscription), values).deploy()


def too_early(template: Template) -> list[str]:
    """Resources that name another one of the same deployment without waiting for it."""
    found = [fault for inner in template.nested for fault in too_early(inner)]
    for symbol, resources in template.made.items():
        for other in template.made.keys() - _waits_for(template, symbol) - {symbol}:
            ids = [one.id.lower() for one in template.made[other]]
            for resource in resources:
                texts = json.dumps(resource.body).lower() + resource.scope.lower() + '"' + resource.id.lower()
                named = [one for one in ids if f'{one}"' in texts or f"{one}/" in texts or f"{one}#" in texts]
                found += [f"{symbol} does not wait for {other}: {one}" for one in named]
    return found


def _waits_for(template: Template, symbol: str) -> set[str]:
    """What is made before, by way of what is made."""
    found: set[str] = set()
    for one in template.content["resources"][symbol].get("dependsOn", []):
        found |= {one} | (_waits_for(template, one) if template.made[one] else set())
    return found
