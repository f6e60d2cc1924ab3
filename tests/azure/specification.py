"""Bodies held against the published Azure specification (specification.json), never against our own code.

Checked: required properties, types, enumerations, unknown properties, and the variant that a discriminator names.
Read-only properties are ignored, as the service does. Names and enumeration values are compared without case, as the service
does. Values outside an open enumeration are refused.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

from .wire import AzureError, Json

SCALARS: dict[str, tuple[type, ...]] = {"string": (str,), "integer": (int, float), "boolean": (bool,)}
REGISTRY_VERSION = "2021-10-01-dataplanepreview"


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

    def check(self, kind: str, version: str, body: Any) -> None:
        """Raise the service's 400 with the path of each fault."""
        if version == REGISTRY_VERSION:
            version = next(key.partition("@")[2] for key in self.resources if key.startswith(f"{kind}@"))
        key = next((key for key in self.resources if key.lower() == f"{kind}@{version}".lower()), None)
        if key is None:
            raise AzureError(400, "NoRegisteredProviderFound", f"'{kind}' has no api-version '{version}' here.")
        faults = self.faults(self.resources[key], body, "")
        if faults:
            said = f"The request is invalid against {key}: " + "; ".join(faults)
            self.refused.append(said)
            raise AzureError(400, "InvalidRequestContent", said)

    def faults(self, schema: Any, value: Any, path: str) -> list[str]:
        """What is wrong with a value."""
        where = path or "body"
        if schema == "any" or value is None:
            return []
        if isinstance(schema, str):
            good = isinstance(value, SCALARS[schema]) and isinstance(value, bool) == (schema == "boolean")
            return [] if good else [f"{where}: {value!r} is not a {schema}"]
        if isinstance(schema, int):
            return self.faults_of_object(self.definitions[schema], value, path)
        if "items" in schema:
            if not isinstance(value, list):
                return [f"{where}: {value!r} is not a list"]
            return [one for n, item in enumerate(value) for one in self.faults(schema["items"], item, f"{path}[{n}]")]
        allowed = {str(one).lower() for one in schema["enum"]}
        good = isinstance(value, str) and value.lower() in allowed
        return [] if good else [f"{where}: {value!r} is not one of {', '.join(schema['enum'])}"]

    def faults_of_object(self, schema: Json, value: Any, path: str) -> list[str]:
        """What is wrong with an object."""
        if not isinstance(value, dict):
            return [f"{path or 'body'}: {value!r} is not an object"]
        known, required, ignored = dict(schema["properties"]), set(schema.get("required", [])), schema.get("ignored", [])
        additional, faults = schema.get("additional"), []
        if name := schema.get("discriminator"):
            variants = {key.lower(): number for key, number in schema["variants"].items()}
            chosen = variants.get(str(value.get(name)).lower())
            if chosen is None:
                return [f"{path}.{name}".lstrip(".") + f": {value.get(name)!r} is not one of {', '.join(schema['variants'])}"]
            variant = self.definitions[chosen]
            known |= variant["properties"]
            required |= set(variant.get("required", []))
            ignored = [*ignored, *variant.get("ignored", [])]
            additional = variant.get("additional", additional)
        exact = {key.lower(): key for key in known}
        given = {exact.get(key.lower(), key): one for key, one in value.items()}
        for name in sorted(required):
            if given.get(name) is None:
                faults.append(f"{path}.{name}".lstrip(".") + ": is required")
        for name, one in given.items():
            where = f"{path}.{name}".lstrip(".")
            if name in known:
                faults += self.faults(known[name], one, where)
            elif additional == "string" and isinstance(one, (int, float)):
                continue  # the SDK sends numbers and truth values in dictionaries of texts, and the service takes them
            elif additional is not None:
                faults += self.faults(additional, one, where)
            elif name not in ignored:
                faults.append(f"{where}: is not known")
        return faults
