"""Write gitlab.json anew: the routes of GitLab's API and what their bodies may have, as the package python-gitlab says.

    python extract_gitlab.py      # in an environment with python-gitlab

What that package does not have, and GitLab's pages do, is under `documented` with the page; it stays as it is.
"""

import json
from pathlib import Path

REFERENCE = Path(__file__).with_name("gitlab.json")
MANAGERS = {  # and what of them is used
    "ProjectManager": ("get", "update"),
    "ProjectEnvironmentManager": ("list", "create", "get", "update", "delete"),
    "ProjectProtectedBranchManager": ("create", "get", "delete"),
    "ProjectProtectedEnvironmentManager": ("list", "create", "get", "update", "delete"),
    "ProjectVariableManager": ("create", "get", "update", "delete"),
    "ProjectPipelineScheduleManager": ("list", "create", "get", "delete"),
    "ProjectPipelineScheduleVariableManager": ("create", "update"),
    "GroupManager": ("get",),
    "NamespaceManager": ("get",),
    "UserManager": ("list",),
}


def routes() -> dict[str, object]:
    """Each route that a manager offers, with the properties that its body may have and those that it must have."""
    import gitlab
    from gitlab.v4 import objects

    found: dict[str, object] = {}
    for name, used in MANAGERS.items():
        manager = getattr(objects, name)
        path = manager._path.replace("{project_id}", "{id}")
        offered = {
            f"GET {path}": ("list", None),
            f"POST {path}": ("create", manager._create_attrs),
            f"GET {path}/{{key}}": ("get", None),
            f"PUT {path}/{{key}}": ("update", manager._update_attrs),
            f"DELETE {path}/{{key}}": ("delete", None),
        }
        for route, (verb, attributes) in offered.items():
            if verb in used and hasattr(manager, verb):
                required = list(attributes.required) if attributes else []
                optional = list(attributes.optional) if attributes else []
                found[route] = {"body": sorted(required + optional), "required": sorted(required)}
    return {"source": f"python-gitlab {gitlab.__version__}", "routes": dict(sorted(found.items()))}


if __name__ == "__main__":
    kept = json.loads(REFERENCE.read_text(encoding="utf-8"))["documented"] if REFERENCE.exists() else {}
    REFERENCE.write_text(json.dumps({**routes(), "documented": kept}, indent=1) + "\n", encoding="utf-8", newline="\n")
