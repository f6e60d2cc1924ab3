"""A Terraform provider's schema, read from the bindings that are published for it.

Bindings (package `cdktn-provider-*`) are generated from a provider's schema: `lib/<type>/index.d.ts` declares what can
be set, `index.js` what is a block and what Azure answers. They say nothing of allowed values, nor which of what can be
set Azure also fills in by itself, apart from `id`.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Schema = dict[str, Any]

MEMBER = re.compile(r"/\*\*(.*?)\*/\s*readonly (\w+)(\??): ((?:\{[^{}]*\}|[^;{}])+);", re.DOTALL)
INTERFACE = re.compile(r"export interface (\w+)(?: extends [\w.]+)? \{(.*?)\n\}", re.DOTALL)
TO_TERRAFORM = re.compile(r"function (\w+)ToHclTerraform\(struct\) \{(.*?)^\}", re.DOTALL | re.MULTILINE)
WRITTEN = re.compile(r"^\s+(\w+): \{\n\s+value: .*\n\s+isBlock: (true|false),\n\s+type: \"(\w+)\"", re.MULTILINE)
CLASS = re.compile(r"^class (\w+) extends cdkt[fn]\.(\w+) \{(.*?)^\}", re.DOTALL | re.MULTILINE)
MAIN = re.compile(r"class (\w+) extends cdkt[fn]\.(TerraformResource|TerraformDataSource|TerraformProvider) ")
GETTER = re.compile(
    r"return (cdkt[fn]\.Fn\.tolist\()?(?:cdkt[fn]\.Token\.\w+\(cdkt[fn]\.Fn\.tolist\()?"
    r"this\.get(\w*?)Attribute\('(\w+)'\)"
)
NESTED = re.compile(
    r"^\s+(?:this\.)?_\w+ = new (\w+?)(?:List|OutputReference|MapList|Map)\(this, \"(\w+)\"(?:, (true|false))?\)",
    re.MULTILINE,
)
SIMPLE = {"string": "string", "number": "number", "boolean": "bool", "any": "dynamic"}
ANSWERED: dict[str, Any] = {
    "String": "string",
    "Number": "number",
    "Boolean": "bool",
    "List": ["list", "string"],
    "NumberList": ["list", "number"],
    "StringMap": ["map", "string"],
    "NumberMap": ["map", "number"],
    "BooleanMap": ["map", "bool"],
    "AnyMap": ["map", "string"],
}


def type_of(declared: str, kind: str) -> Any:
    """Terraform's type for one of TypeScript; a structure keeps its name. kind: list or set, for a sequence."""
    text = " ".join(re.sub(r"\| cdkt[fn]\.IResolvable", "", declared).split()).strip("() ")
    if text.startswith("{"):  # { [key: string]: … }
        inner = text[text.index("]:") + 2 :].rstrip("}; ").strip()
        return "dynamic" if inner == "any" else ["map", type_of(inner, "simple")]
    if text.endswith("[]"):
        return [kind if kind in ("list", "set") else "list", type_of(text[:-2], "list")]
    return SIMPLE.get(text, text)


class Module:
    """The declarations of one resource type."""

    def __init__(self, script: str, declarations: str) -> None:
        self.interfaces = {name: MEMBER.findall(body) for name, body in INTERFACE.findall(declarations)}
        self.classes = {name: body for name, _, body in CLASS.findall(script)}
        self.written = {
            name.lower(): {attribute: (block == "true", kind) for attribute, block, kind in WRITTEN.findall(body)}
            for name, body in TO_TERRAFORM.findall(script)
        }

    def nested(self, structure: str) -> Schema:
        """The schema of a structure inside the resource."""
        return self.block(structure, f"{structure}OutputReference", self.written.get(structure.lower(), {}))

    def block(self, interface: str, class_name: str, written: dict[str, tuple[bool, str]]) -> Schema:
        """What can be set (of the interface), then what is only answered (of the class)."""
        attributes: Schema = {}
        blocks: Schema = {}
        for comment, name, optional, declared in self.interfaces.get(interface, []):
            named = re.search(r"#(\w+) \w+#\1\}", comment)
            key = named[1] if named else re.sub(r"([A-Z])", lambda found: "_" + found[1].lower(), name)
            kind = written.get(key, (False, "simple"))[1]
            found = type_of(declared, kind)
            leaf = found[1] if isinstance(found, list) else found
            needed = {"optional": True} if optional else {"required": True}
            if not isinstance(leaf, str) or leaf not in self.interfaces:
                attributes[key] = {"type": found, **needed}
                continue
            inside = self.nested(leaf)
            if f"* {key} block" in comment:
                blocks[key] = as_block(inside, kind, isinstance(found, list), not optional)
            elif isinstance(found, list):  # a block that may also be written as an attribute
                attributes[key] = {"type": [found[0], ["object", types(inside)]], **needed}
            else:
                attributes[key] = {
                    "nested_type": {"attributes": inside["attributes"], "nesting_mode": "single"},
                    **needed,
                }
        body = self.classes.get(class_name, "")
        for is_set, getter, key in GETTER.findall(body):
            if key not in attributes and key not in blocks:
                answered = ANSWERED.get(getter, "dynamic")
                sequence = isinstance(answered, list) and answered[0] == "list" and is_set
                attributes[key] = {"type": ["set", answered[1]] if sequence else answered, "computed": True}
        for structure, key, is_set in NESTED.findall(body):
            if key not in attributes and key not in blocks:
                shape = ["object", types(self.nested(structure))]
                attributes[key] = {"type": ["set" if is_set == "true" else "list", shape], "computed": True}
        if "optional" in attributes.get("id", {}):
            attributes["id"]["computed"] = True
        return {"attributes": attributes, "block_types": blocks}


def types(block: Schema) -> Schema:
    """The types of a block's attributes, as those of an object."""
    return {name: attribute.get("type", "dynamic") for name, attribute in block["attributes"].items()}


def as_block(inside: Schema, kind: str, many: bool, required: bool) -> Schema:
    """A block inside another: once (struct), or in a list or a set."""
    if kind == "struct":
        return {"nesting_mode": "single", "block": inside, "min_items": 0}
    found = {"nesting_mode": "set" if kind == "set" else "list", "block": inside, "min_items": int(required)}
    return found if many else {**found, "max_items": 1}


def modules(bindings: Path, wanted: set[str]) -> Iterator[tuple[str, str, str]]:
    """Terraform's name of each wanted type and of the provider, with the texts of index.js and index.d.ts."""
    texts: dict[str, dict[str, str]] = {}
    with tarfile.open(bindings) as archive:
        for member in archive:
            parts = member.name.split("/")
            if len(parts) == 4 and parts[1] == "lib" and parts[3] in ("index.js", "index.d.ts"):
                words = parts[2].removeprefix("data-").replace("-", "_")
                if parts[2] == "provider" or any(one.endswith(words) for one in wanted):
                    content = archive.extractfile(member)
                    assert content is not None
                    texts.setdefault(parts[2], {})[parts[3]] = content.read().decode()
    for found in texts.values():
        named = re.search(r"tfResourceType = \"(\w+)\"", found["index.js"])
        assert named is not None
        yield named[1], found["index.js"].partition("//# sourceMappingURL")[0], found["index.d.ts"]


def read(bindings: Path, wanted: set[str]) -> Schema:
    """The schemas of the provider and of `wanted` types, as `terraform providers schema -json` names their parts."""
    found: Schema = {"provider": {}, "resource_schemas": {}, "data_source_schemas": {}}
    for name, script, declarations in modules(bindings, wanted):
        main = MAIN.search(script)
        assert main is not None
        module = Module(script, declarations)
        _, _, top = script.partition("synthesizeHclAttributes()")
        written = {attribute: (block == "true", kind) for attribute, block, kind in WRITTEN.findall(top)}
        schema = {"version": 0, "block": module.block(f"{main[1]}Config", main[1], written)}
        if main[2] == "TerraformProvider":
            schema["block"]["attributes"].pop("alias", None)
            found["provider"] = schema
        elif name in wanted:
            found["resource_schemas" if main[2] == "TerraformResource" else "data_source_schemas"][name] = schema
    return found


def version(bindings: Path) -> str:
    """The version of the provider from which the bindings were made."""
    with tarfile.open(bindings) as archive:
        content = archive.extractfile("package/lib/provider/index.d.ts")
        assert content is not None
        named = re.search(r"/providers/\w+/\w+/([\d.]+)/docs", content.read().decode())
    assert named is not None
    return named[1]
