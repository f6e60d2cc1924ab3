"""Write azure_pipelines_tasks.json anew: the inputs of the tasks that the pipelines use, as published.

python azure_pipelines_tasks.py CLONE  # of https://github.com/microsoft/azure-pipelines-tasks
"""

import json
import subprocess
import sys
from pathlib import Path

FACTS = Path(__file__).with_suffix(".json")


def main() -> None:
    def shown(*words: str) -> str:
        return subprocess.run(["git", "-C", sys.argv[1], *words], capture_output=True, check=True, text=True).stdout

    tasks = {}
    for name in json.loads(FACTS.read_text(encoding="utf-8"))["tasks"]:
        task, _, major = name.partition("@")
        facts = json.loads(shown("show", f"HEAD:Tasks/{task}V{major}/task.json").removeprefix("\ufeff"))
        assert str(facts["version"]["Major"]) == major, name
        tasks[name] = {
            one["name"]: {
                "aliases": one.get("aliases", []),
                "required": bool(one.get("required")) and "visibleRule" not in one and not one.get("defaultValue"),
                "options": sorted(one.get("options", {})),
            }
            for one in facts["inputs"]
        }
    commit = shown("rev-parse", "HEAD").strip()
    content = {"source": f"microsoft/azure-pipelines-tasks {commit}", "tasks": tasks}
    FACTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
