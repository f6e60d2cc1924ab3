"""Make tests/azure/specification.json: what Azure publishes about the resources that the stand-in accepts.

    python scripts/extract_azure_specification.py TYPES_FOLDER

TYPES_FOLDER holds Azure's published Bicep types (`generated/` of github.com/Azure/bicep-types-az, which Microsoft makes
from github.com/Azure/azure-rest-api-specs): `index.json` and `<provider>/<namespace>/<version>/types.json`.
Descriptions and what nothing refers to are left out; equal definitions are kept once.
"""

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

PROVIDER = "Microsoft.MachineLearningServices"
SCALARS = {"StringType": "string", "IntegerType": "integer", "BooleanType": "boolean", "AnyType": "any"}
REQUIRED, READ_ONLY = 1, 2
IN_A_REGISTRY = "2023-04-01-preview"  # the registry's own front end has no published version; this one is nearest
TYPES = {
    "workspaces/batchEndpoints": ["2023-10-01"],
    "workspaces/batchEndpoints/deployments": ["2023-02-01-preview", "2024-01-01-preview"],
    "workspaces/codes/versions": ["2023-04-01"],
    "workspaces/components": ["2024-01-01-preview"],
    "workspaces/components/versions": ["2024-01-01-preview"],
    "workspaces/data": ["2023-04-01-preview"],
    "workspaces/data/versions": ["2023-04-01-preview"],
    "workspaces/environments": ["2023-04-01-preview"],
    "workspaces/environments/versions": ["2023-04-01-preview"],
    "workspaces/jobs": ["2023-02-01-preview", "2023-04-01-preview", "2024-01-01-preview", "2025-01-01-preview"],
    "workspaces/models": ["2023-08-01-preview"],
    "workspaces/models/versions": ["2023-08-01-preview"],
    "workspaces/onlineEndpoints": ["2022-02-01-preview"],
    "workspaces/onlineEndpoints/deployments": ["2023-04-01-preview"],
    "workspaces/schedules": ["2023-06-01-preview"],
    **{
        f"registries/{kind}{part}": [IN_A_REGISTRY]
        for kind in ("codes", "components", "data", "environments", "models")
        for part in ("", "/versions")
    },
}


class Definitions:
    """Definitions in the order in which they were met, each kept once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.numbers: dict[str, int] = {}
        self.met: dict[tuple[str, int], int] = {}
        self.kept: list[Any] = []

    @cache  # noqa: B019 - there is one of these
    def published(self, file: str) -> list[dict[str, Any]]:
        """The types of one provider at one version."""
        return list(json.loads((self.folder / file).read_text(encoding="utf-8")))

    def keep(self, definition: Any) -> int:
        """The number of a definition."""
        text = json.dumps(definition, sort_keys=True)
        if text not in self.numbers:
            self.numbers[text] = len(self.kept)
            self.kept.append(definition)
        return self.numbers[text]

    def properties(self, file: str, given: dict[str, Any]) -> dict[str, Any]:
        """Properties that can be written, and which of them must be."""
        written = {name: one for name, one in given.items() if not one["flags"] & READ_ONLY}
        made: dict[str, Any] = {"properties": {name: self.of(file, one["type"]) for name, one in written.items()}}
        if required := sorted(name for name, one in written.items() if one["flags"] & REQUIRED):
            made["required"] = required
        if ignored := sorted(set(given) - set(written)):
            made["ignored"] = ignored
        return made

    def envelope(self, number: int) -> int:
        """A resource's body as it travels: what the address says is not said again."""
        made = dict(self.kept[number])
        said = {"id", "name", "type", "apiVersion"}
        made["properties"] = {name: one for name, one in made["properties"].items() if name not in said}
        made["required"] = sorted(set(made.get("required", [])) - said)
        made["ignored"] = sorted({*made.get("ignored", []), *said})
        return self.keep(made)

    def of(self, file: str, reference: dict[str, str]) -> Any:
        """A type: the name of a scalar, an enumeration, a list, or the number of a definition."""
        number = int(reference["$ref"].rpartition("/")[2])
        one = self.published(file)[number]
        kind = one["$type"]
        if kind in SCALARS:
            return SCALARS[kind]
        if kind == "StringLiteralType":
            return {"enum": [one["value"]]}
        if kind == "UnionType":
            members = [self.of(file, element) for element in one["elements"]]
            return {"enum": sorted(value for member in members if isinstance(member, dict) for value in member["enum"])}
        if kind == "ArrayType":
            return {"items": self.of(file, one["itemType"])}
        if (file, number) not in self.met:
            self.met[file, number] = -1  # a type that contains itself is not followed further
            if kind == "ObjectType":
                made = self.properties(file, one["properties"])
                if "additionalProperties" in one:
                    made["additional"] = self.of(file, one["additionalProperties"])
            else:
                made = self.properties(file, one["baseProperties"])
                made["discriminator"] = one["discriminator"]
                made["variants"] = {name: self.of(file, element) for name, element in one["elements"].items()}
            self.met[file, number] = self.keep(made)
        return "any" if self.met[file, number] < 0 else self.met[file, number]


def main(folder: Path) -> None:
    """Write the specification beside the tests that use it."""
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))["resources"]
    definitions = Definitions(folder)
    resources = {}
    for name, versions in sorted(TYPES.items()):
        for version in versions:
            key = f"{PROVIDER}/{name}@{version}"
            file, _, number = index[key]["$ref"].partition("#/")
            body = definitions.published(file)[int(number)]["body"]
            resources[key] = definitions.envelope(definitions.of(file, body))
    made = {
        "source": "https://github.com/Azure/bicep-types-az (MIT, Microsoft), generated from "
        "https://github.com/Azure/azure-rest-api-specs; extracted by scripts/extract_azure_specification.py",
        "registries": f"described as of {IN_A_REGISTRY}",
        "resources": resources,
        "definitions": definitions.kept,
    }
    lines = ",\n".join(json.dumps(one, separators=(",", ":")) for one in definitions.kept)
    head = json.dumps({**made, "definitions": []}, indent=1).removesuffix("[]\n}")
    target = Path(__file__).resolve().parents[1] / "tests" / "azure" / "specification.json"
    target.write_text(f"{head}[\n{lines}\n]}}\n", encoding="utf-8", newline="\n")
    print(f"{len(resources)} resources, {len(definitions.kept)} definitions, {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
