"""Bodies held against the published Azure specification (specification.json), never against our own code.

Checked: required properties, types, enumerations, unknown properties, and the variant that a discriminator names.
Read-only properties are dropped. Names and enumeration values are compared without case and kept as published: the SDK
sends `enabled` and expects to read `Enabled`. Values outside an open enumeration are refused.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from .wire import AzureError, Json

SCALARS: dict[str, tuple[type, ...]] = {"string": (str,), "integer": (int, float), "boolean": (bool,)}
REGISTRY_VERSION = "2021-10-01-dataplanepreview"
UNPUBLISHED = ["system_metadata"]  # what the SDK sends to a registry beyond what is published


@cache
def published() -> Json:
    """The specification."""
    return dict(json.loads(Path(__file__).with_name("specification.json").read_text(encoding="utf-8")))


class Specification:
    """Says what is wrong with a body, and remembers what it refused."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.definitions: list[Any] = published()["definitions"]
        self.resources: Json = published()["resources"]

    def check(self, kind: str, version: str, body: Any) -> Json:
        """The body as the service keeps it; raise the service's 400 with the path of each fault."""
        if version == REGISTRY_VERSION:
            version = next(key.partition("@")[2] for key in self.resources if key.startswith(f"{kind}@"))
        key = next((key for key in self.resources if key.lower() == f"{kind}@{version}".lower()), None)
        if key is None:
            raise AzureError(400, "NoRegisteredProviderFound", f"'{kind}' has no api-version '{version}' here.")
        faults: list[str] = []
        kept = self.walk(self.resources[key], body, "", faults)
        if faults:
            said = f"The request is invalid against {key}: " + "; ".join(faults)
            self.refused.append(said)
            raise AzureError(400, "InvalidRequestContent", said)
        return dict(kept)

    def walk(self, schema: Any, value: Any, path: str, faults: list[str]) -> Any:
        """A value as the service keeps it; what is wrong is added to `faults`."""
        where = path or "body"
        if schema == "any" or value is None:
            return value
        if isinstance(schema, int):
            return self.walk_object(self.definitions[schema], value, path, faults)
        if isinstance(schema, str):
            if not isinstance(value, SCALARS[schema]) or isinstance(value, bool) != (schema == "boolean"):
                faults.append(f"{where}: {value!r} is not a {schema}")
        elif "items" in schema:
            if isinstance(value, list):
                return [self.walk(schema["items"], item, f"{path}[{n}]", faults) for n, item in enumerate(value)]
            faults.append(f"{where}: {value!r} is not a list")
        else:
            for allowed in schema["enum"]:
                if str(value).lower() == allowed.lower():
                    return allowed
            faults.append(f"{where}: {value!r} is not one of {', '.join(schema['enum'])}")
        return value

    def walk_object(self, schema: Json, value: Any, path: str, faults: list[str]) -> Any:
        """An object as the service keeps it."""
        if not isinstance(value, dict):
            faults.append(f"{path or 'body'}: {value!r} is not an object")
            return value
        inside = f"{path}." if path else ""
        known, required, ignored = (
            dict(schema["properties"]),
            set(schema.get("required", [])),
            schema.get("ignored", []),
        )
        additional = schema.get("additional")
        if "discriminator" in schema:
            kind = str(schema["discriminator"])
            chosen = next((str(one) for one in schema["variants"] if one.lower() == str(value.get(kind)).lower()), None)
            if chosen is None:
                faults.append(f"{inside}{kind}: {value.get(kind)!r} is not one of {', '.join(schema['variants'])}")
                return value
            variant = self.definitions[schema["variants"][chosen]]
            known |= variant["properties"]
            required |= set(variant.get("required", []))
            ignored = [*ignored, *variant.get("ignored", [])]
            additional = variant.get("additional", additional)
        exact: dict[str, str] = {key.lower(): key for key in known}
        given: Json = {exact.get(str(key).lower(), str(key)): one for key, one in value.items()}
        faults += [f"{inside}{name}: is required" for name in sorted(required) if given.get(name) is None]
        kept: Json = {}
        for name, one in given.items():
            if name in known:
                kept[name] = self.walk(known[name], one, inside + name, faults)
            elif additional == "string" and isinstance(one, (int, float)):
                kept[name] = str(one)  # the SDK sends numbers and truth values in dictionaries of texts
            elif additional is not None:
                kept[name] = self.walk(additional, one, inside + name, faults)
            elif name not in ignored and name not in UNPUBLISHED:
                faults.append(f"{inside}{name}: is not known")
        return kept
