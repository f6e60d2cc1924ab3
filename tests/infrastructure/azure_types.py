"""Whether a resource's properties are those that Azure knows, by Microsoft's index of resource types."""

import json
import re
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

REQUIRED, READ_ONLY, WRITE_ONLY = 1, 2, 4
# The index knows versions of these types and not their properties; those are written down here.
OWN = Path(__file__).with_name("azure_types.yml")


class Types:
    """The index in a folder that `extract_types.py` wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, list[Any]] = {}

    @cached_property
    def index(self) -> dict[str, str]:
        """Type and version in small letters → where it is described."""
        content = json.loads((self.folder / "index.json").read_text(encoding="utf-8"))
        return {name.lower(): found["$ref"] for name, found in content["resources"].items()}

    @cached_property
    def own(self) -> dict[str, Any]:
        """Types that the index does not describe."""
        return yaml.safe_load(OWN.read_text(encoding="utf-8"))

    def faults(self, kind: str, version: str, body: dict[str, Any]) -> list[str]:
        """What Azure would refuse of a resource."""
        where = self.index.get(f"{kind}@{version}".lower())
        if where is None:
            return [f"{kind}@{version} does not exist"]
        if kind in self.own:
            return _plain(body, self.own[kind], kind)
        file, number = where.split("#/")
        if file not in self.files:
            if not (self.folder / file).is_file():
                return [f"{kind}: its properties are not known: describe them in {OWN.name}"]
            self.files[file] = json.loads((self.folder / file).read_text(encoding="utf-8"))
        self.types = self.files[file]
        short = {**body, "name": body["name"].rsplit("/", 1)[-1]}
        return self._value(short, self._at(self.types[int(number)]["body"]), kind)

    def _at(self, reference: dict[str, str]) -> dict[str, Any]:
        found: dict[str, Any] = self.types[int(reference["$ref"][2:])]
        return found

    def _value(self, value: Any, kind: dict[str, Any], where: str) -> list[str]:
        name = kind["$type"]
        if name == "UnionType":
            all_faults = [self._value(value, self._at(one), where) for one in kind["elements"]]
            if any(not faults for faults in all_faults):
                return []
            literals = [self._at(one).get("value") for one in kind["elements"]]
            return [f"{where} is {value!r}: none of {literals}"]
        if name in ("ObjectType", "DiscriminatedObjectType"):
            return self._object(value, kind, where) if isinstance(value, dict) else [f"{where} is {value!r}: no object"]
        if name == "ArrayType":
            if not isinstance(value, list):
                return [f"{where} is {value!r}: no list"]
            item = self._at(kind["itemType"])
            return [fault for i, one in enumerate(value) for fault in self._value(one, item, f"{where}[{i}]")]
        if name == "StringLiteralType":
            return [] if value == kind["value"] else [f"{where} is {value!r}: must be {kind['value']!r}"]
        plain = {"StringType": str, "IntegerType": int, "BooleanType": bool}.get(name)
        if plain is None:
            return []
        if not isinstance(value, plain) or (plain is int and isinstance(value, bool)):
            return [f"{where} is {value!r}: no {plain.__name__}"]
        if name == "StringType":
            too_long = len(value) > kind.get("maxLength", 10**9) or len(value) < kind.get("minLength", 0)
            if too_long or (kind.get("pattern") and not re.search(kind["pattern"], value)):
                return [f"{where} is {value!r}: breaks the rule for its length or its letters"]
        return []

    def _object(self, value: dict[str, Any], kind: dict[str, Any], where: str) -> list[str]:
        known = dict(kind.get("properties") or kind.get("baseProperties") or {})
        if kind["$type"] == "DiscriminatedObjectType":
            chosen = kind["elements"].get(value.get(kind["discriminator"]))
            if chosen is None:
                return [f"{where}.{kind['discriminator']}: choose among {sorted(kind['elements'])}"]
            known |= self._at(chosen)["properties"]
        found = []
        for key, one in value.items():
            if key in known:
                flags = known[key].get("flags", 0)
                if flags & READ_ONLY and not flags & REQUIRED:
                    found.append(f"{where}.{key} cannot be set")
                else:
                    found += self._value(one, self._at(known[key]["type"]), f"{where}.{key}")
            elif kind.get("additionalProperties"):
                found += self._value(one, self._at(kind["additionalProperties"]), f"{where}.{key}")
            else:
                found.append(f"{where}.{key} does not exist")
        required = [
            key for key, one in known.items() if one.get("flags", 0) & REQUIRED and not one["flags"] & READ_ONLY
        ]
        return found + [f"{where}.{key} is missing" for key in required if key not in value]


def _plain(value: Any, known: Any, where: str) -> list[str]:
    """Compare with a description in azure_types.yml: `!` after a key says that it is required."""
    if isinstance(known, dict):
        if not isinstance(value, dict):
            return [f"{where} is {value!r}: no object"]
        if "*" in known:
            return [fault for key, one in value.items() for fault in _plain(one, known["*"], f"{where}.{key}")]
        names = {key.removesuffix("!"): one for key, one in known.items()}
        found = [f"{where}.{key} does not exist" for key in value if key not in names]
        found += [f"{where}.{key[:-1]} is missing" for key in known if key.endswith("!") and key[:-1] not in value]
        return found + [
            fault for key in value if key in names for fault in _plain(value[key], names[key], f"{where}.{key}")
        ]
    if isinstance(known, list) and known and not isinstance(known[0], (dict, list)) and known[0] not in PLAIN:
        return [] if value in known else [f"{where} is {value!r}: none of {known}"]
    if isinstance(known, list):
        if not isinstance(value, list):
            return [f"{where} is {value!r}: no list"]
        return [fault for i, one in enumerate(value) for fault in _plain(one, known[0], f"{where}[{i}]")]
    kind = PLAIN[known]
    fits = isinstance(value, kind) and (kind is not int or not isinstance(value, bool))
    return [] if fits else [f"{where} is {value!r}: no {known}"]


PLAIN: dict[Any, Any] = {"text": str, "number": (int, float), "bool": bool, "any": object}
