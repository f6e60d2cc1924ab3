"""Command lines in Markdown, those of shell blocks and those within sentences, and whether their programs know them."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

REFERENCE = json.loads(Path(__file__).with_name("bootstrap").joinpath("reference.json").read_text("utf-8"))["az"]
ENDPOINT = ("--name", "--resource-group", "--workspace-name")
# Flags of commands, and which of them must be there: as their own references have them, where reference.json has not.
KNOWN: dict[str, tuple[set[str], set[str]]] = {
    "az login": (set(), set()),
    "az ml batch-endpoint invoke": ({*ENDPOINT, "--input"}, {*ENDPOINT}),
    "az ml compute attach": ({*ENDPOINT, "--type", "--namespace", "--resource-id"}, {*ENDPOINT[1:], "--type"}),
    "az ml online-endpoint get-credentials": ({*ENDPOINT}, {*ENDPOINT}),
    "az ml online-endpoint invoke": ({*ENDPOINT, "--request-file"}, {*ENDPOINT}),
    "az ml online-endpoint show": ({*ENDPOINT}, {*ENDPOINT}),
    "cruft check": (set(), set()),
    "cruft create": (set(), set()),
    "cruft diff": (set(), set()),
    "cruft update": (set(), set()),
    "curl": ({"-H", "--data-binary"}, set()),
    "gh attestation verify": ({"--repo"}, {"--repo"}),
    "gh auth login": (set(), set()),
    "git add": ({"-A"}, set()),
    "git checkout": ({"--theirs"}, set()),
    "git commit": ({"-m"}, {"-m"}),
    "git diff": ({"--staged"}, set()),
    "git init": ({"-b"}, set()),
    "git push": ({"--set-upstream"}, set()),
    "git remote add": (set(), set()),
    "git reset": ({"--hard"}, set()),
    "git tag": ({"-a", "-m"}, set()),
    "glab auth login": (set(), set()),
    "kubectl apply": ({"-f"}, set()),
    "terraform apply": (set(), set()),
    "terraform destroy": ({"-var"}, {"-var"}),
    "terraform init": ({"-reconfigure", "-backend-config", "-backend"}, set()),
    "terraform plan": ({"-var", "-out", "-detailed-exitcode"}, {"-var"}),
    "terraform providers lock": ({"-platform"}, set()),
    "terraform state rm": (set(), set()),
    "terraform test": (set(), set()),
    "terraform version": (set(), set()),
}
PUBLISHED = {
    f"az {name}": ({spelling for flag in one["flags"] for spelling in flag}, set(one["required"]))
    for name, one in {**REFERENCE["commands"], **REFERENCE["shown"]}.items()
}
COMMANDS = {**PUBLISHED, **KNOWN}
PROGRAMS = {name.split()[0] for name in COMMANDS}
INLINE = re.compile(rf"`((?:{'|'.join(sorted({*PROGRAMS, 'uv', 'uvx', 'mlops', 'pip'}))}) [^`\n]+)`")
# What is pasted with its neighbours should do no harm: it never returns, or it undoes what stands above it.
ALONE = re.compile(
    r"mlops (serve|rollback|bootstrap|update)\b|mlops infrastructure apply|mkdocs serve|--undo|\bdestroy\b"
)


def shell_blocks(text: str) -> Iterator[list[str]]:
    """The commands of each shell block."""
    for block in re.findall(r"^ *```sh\n(.*?)```", text, re.DOTALL | re.MULTILINE):
        lines = (re.sub(r"(^|\s)#.*", "", line) for line in block.replace("\\\n", " ").splitlines())
        yield [part.strip() for line in lines for part in line.split(" && ") if part.strip()]


def shell_lines(text: str) -> list[str]:
    """The commands of all shell blocks."""
    return [line for block in shell_blocks(text) for line in block]


def mentions(text: str) -> list[str]:
    """The commands within sentences; what may be left out or filled in is cut off."""
    words = INLINE.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return [word for one in words if " " in (word := re.sub(r"\s*(…|\.\.\.).*", "", one))]


def unsafe_blocks(text: str) -> list[str]:
    """Commands that should stand alone in their block and do not."""
    return [line for block in shell_blocks(text) if len(block) > 1 for line in block if ALONE.search(line)]


def fault(line: str, *, whole: bool) -> str:
    """Why its program does not know this command; what is not `whole` may lack something or be a group."""
    words = shlex.split(line)
    if words[0] == "terraform" and words[1].startswith("-chdir="):
        del words[1]
    flags = {word.partition("=")[0] for word in words if word.startswith("-")} - {"--"}
    command = " ".join(words[: next((n for n, word in enumerate(words) if word.startswith("-")), None)])
    name = max((one for one in COMMANDS if f"{command} ".startswith(f"{one} ")), key=len, default="")
    if not name:
        group = any(one.startswith(f"{command} ") for one in COMMANDS) and not flags and not whole
        return "" if group else "no such command"
    known, required = COMMANDS[name]
    unknown = sorted(flags - known)
    missing = sorted(required - flags) if whole else []
    return f"unknown {unknown}" if unknown else f"lacks {missing}" if missing else ""
