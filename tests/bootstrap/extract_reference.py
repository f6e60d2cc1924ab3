"""Write reference.json anew: the commands and flags that `az` has, and the routes of GitHub's API, as published.

    python extract_reference.py az      # in an environment with the package azure-cli
    python extract_reference.py gh SPECIFICATION.json VERSION  # api.github.com.json of the npm package @octokit/openapi

Which commands and routes: those in reference.json. `shown` are commands of READMEs that `mlops bootstrap` does not run.
"""

import json
import sys
from pathlib import Path
from typing import Any

REFERENCE = Path(__file__).with_name("reference.json")


def commands(names: list[str]) -> dict[str, Any]:
    """Flags and required ones of each command; flags of one argument stand together."""
    from azure.cli.core import __version__, get_default_cli
    from azure.cli.core.file_util import create_invoker_and_load_cmds_and_args

    cli = get_default_cli()
    create_invoker_and_load_cmds_and_args(cli)
    table = cli.invocation.commands_loader.command_table
    found = {}
    for name in sorted(names):
        arguments = [one for one in table[name].arguments.values() if one.options_list]
        # Deprecated spellings are no text.
        spelt = [[o for o in one.options_list if isinstance(o, str) and "__" not in o] for one in arguments]
        required = [bool(one.type.settings.get("required")) for one in arguments]
        found[name] = {
            "flags": sorted(flags for flags in spelt if flags and flags != ["--cmd"]),
            "required": sorted(flags[0] for flags, needed in zip(spelt, required, strict=True) if flags and needed),
        }
    return {"source": f"azure-cli {__version__}, its command table", "commands": found}


def routes(names: list[str], file: str, version: str) -> dict[str, object]:
    """Each route with the properties that its body may have and those that it must have."""
    specification = json.loads(Path(file).read_text(encoding="utf-8"))

    def resolved(schema: dict) -> dict:
        while "$ref" in schema:
            found = specification
            for part in schema["$ref"].split("/")[1:]:
                found = found[part]
            schema = found
        return schema

    found = {}
    for name in sorted(names):
        method, path = name.split()
        operation = specification["paths"][path][method.lower()]
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        schema = resolved(body)
        found[name] = {"body": sorted(schema.get("properties", {})), "required": schema.get("required", [])}
    return {"source": f"GitHub's OpenAPI description, npm @octokit/openapi {version}", "routes": found}


def main() -> None:
    reference = json.loads(REFERENCE.read_text(encoding="utf-8"))
    if sys.argv[1] == "az":
        made = commands([*reference["az"]["commands"], *reference["az"]["shown"]])
        shown = {name: made["commands"].pop(name) for name in reference["az"]["shown"]}
        reference["az"] = {**made, "shown": shown}
    else:
        reference["gh"] = routes(list(reference["gh"]["routes"]), *sys.argv[2:])
    REFERENCE.write_text(json.dumps(reference, indent=1) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
