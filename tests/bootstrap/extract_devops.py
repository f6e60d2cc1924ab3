"""Write devops.json anew: the routes of Azure DevOps' REST API that are used, as published.

    python extract_devops.py CLONE  # of https://github.com/MicrosoftDocs/vsts-rest-api-specs

Which routes: those in devops.json. `more` are keys of bodies that only the examples beside the specification have: the
body is of a derived type that it does not list.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

FACTS = Path(__file__).with_name("devops.json")


def main() -> None:
    def shown(*words: str) -> str:
        done = subprocess.run(["git", "-C", sys.argv[1], *words], capture_output=True, check=True)
        return done.stdout.decode("utf-8-sig")

    known = json.loads(FACTS.read_text(encoding="utf-8"))
    specifications: dict[str, Any] = {}
    for route, facts in known["routes"].items():
        name = facts["specification"]
        if name not in specifications:
            specifications[name] = json.loads(shown("show", f"HEAD:specification/{name}"))
        specification = specifications[name]
        method, path = route.split(" ", 1)
        paths = {**specification["paths"], **specification.get("x-ms-paths", {})}
        found = [ops[method.lower()] for key, ops in paths.items() if same(key, path) and method.lower() in ops]
        if not found:
            sys.exit(f"{name} has no {route}")
        # One path may have several operations, which differ in their query.
        queries = [[one for one in each["parameters"] if one.get("in") == "query"] for each in found]
        names = [{one["name"] for one in query} - {"api-version"} for query in queries]
        required = [{one["name"] for one in query if one.get("required")} for query in queries]
        body = [one["schema"] for each in found for one in each["parameters"] if one.get("in") == "body"]
        facts["host"] = specification["host"]
        (reference,) = [one["$ref"] for one in found[0]["parameters"] if "/api-Version" in one.get("$ref", "")]
        words = specification["parameters"][reference.rpartition("/")[2]]["description"]
        facts["version"] = words.split("'")[1]
        facts["query"] = sorted(set().union(*names))
        facts["required"] = sorted(set.intersection(*required) - {"api-version"})
        facts["body"] = properties(specification, body[0]) if body else []
    known["source"] = f"MicrosoftDocs/vsts-rest-api-specs {shown('rev-parse', 'HEAD').strip()}"
    known["routes"] = dict(sorted(known["routes"].items()))
    FACTS.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8", newline="\n")


def same(key: str, path: str) -> bool:
    """Whether a path of the specification is this one; some have their query in it, and case differs."""
    return key.partition("?")[0].casefold() == path.casefold()


def properties(specification: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    """The keys that a body may have at its top, or each thing in a list; none where it is of no declared type."""
    schema = schema.get("items", schema)
    if "$ref" in schema:
        schema = specification["definitions"][schema["$ref"].rpartition("/")[2]]
    inherited = [key for one in schema.get("allOf", []) for key in properties(specification, one)]
    return sorted({*schema.get("properties", {}), *inherited})


if __name__ == "__main__":
    main()
