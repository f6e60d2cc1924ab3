"""One run of `mlops bootstrap`: all steps in their order, and what a person is told."""

import datetime
import os
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from mlops_runtime import config
from mlops_runtime.bootstrap import azure, stacks
from mlops_runtime.bootstrap.context import Context, plug_in, settings
from mlops_runtime.bootstrap.steps import CHANGE, DENIED, LATER, MAKE, REFUSED, Planned, Record, Step
from mlops_runtime.errors import Problem

VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")


def prepare(package_index: str | None, package_files: str | None) -> tuple[Context, list[Step]]:
    """The context of this repository and all steps, in the order in which they are made."""
    root = config.find_root()
    record = Record.load(root)
    hosts, source = package_hosts(root, package_index, package_files)
    context = Context(root, record, hosts, source, datetime.date.today().replace(day=1).isoformat())
    ci, iac = plug_in("ci"), plug_in("iac") or stacks
    if ci is None:
        raise Problem("This repository has no CI system that the bootstrap knows: there is no mlops_runtime/ci.py.")
    host = ci.Host(context)
    steps = [*settings(context), *azure.providers(context), *azure.resource_groups(context)]
    steps += azure.persona_groups(context)
    for identity in context.identities:
        steps += host.gates(identity)
    steps += [*azure.identities(context, host), *azure.rights(context, iac), *host.variables()]
    steps += iac.steps(context) if hasattr(iac, "steps") else []
    steps += azure.eligible(context)
    return context, steps


def idle(planned: list[Planned]) -> bool:
    """Whether nothing is to be made."""
    return not any(one.state in (MAKE, CHANGE) for one in planned)


def to_undo(steps: list[Step], record: Record) -> Iterator[str]:
    """What an undo takes away, for a person."""
    known = [step for step in steps if record.knows(step.name)]
    for step in reversed(known):
        yield f"{'-' if step.undo else '·'} {step.what}"
    yield "-  will be taken away  ·  stays" if known else "Nothing was made from here."


def summary(left: list[Planned], *, undone: bool, idle: bool) -> Iterator[str]:
    """What is true now, and what is left for whom."""
    asked = [one for one in left if one.state == DENIED]
    if asked:
        yield ""
        yield "An administrator must do this; then run the same command again:"
    for right in dict.fromkeys(one.step.right for one in asked):
        yield ""
        yield f"With {right or 'more rights than you have'}:"
        yield from (f"    {one.why}  # {one.step.what}" for one in asked if one.step.right == right)
    for state, heading in ((REFUSED, "Not done:"), (LATER, "For later:")):
        chosen = [one for one in left if one.state == state]
        if chosen:
            yield ""
            yield heading
            yield from (f"    {one.step.what}: {one.why}" for one in chosen)
    if undone:
        yield "" if left else "Everything that was made here is gone."
    elif not left:
        yield "Everything is there." if idle else "Done. Commit config/ and infrastructure/."
    elif not idle:
        yield "\nCommit config/ and infrastructure/."


def package_hosts(root: Path, index: str | None, files: str | None) -> tuple[list[str], str]:
    """The hosts of the Python package index and where they are known from; none when nothing names one."""
    source = "the command line"
    if not index:
        index, source = _configured(root)
    if files and not index:
        raise Problem("--package-files needs --package-index: give the address of the index too.")
    hosts = [_host(one) for one in (index, files) if one]
    return list(dict.fromkeys(hosts)), source


def _configured(root: Path) -> tuple[str, str]:
    """What uv or pip is configured to use."""
    for name in VARIABLES:
        if os.environ.get(name):
            return os.environ[name], name
    content = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8")) if _there(root) else {}
    tool = content.get("tool", {}).get("uv", {})
    defaults = [one["url"] for one in tool.get("index", []) if one.get("default")]
    url = tool.get("index-url") or next(iter(defaults), "")
    if url:
        return str(url), "pyproject.toml"
    pip = shutil.which("pip")
    if pip:
        asked = [pip, "config", "get", "global.index-url"]
        done = subprocess.run(asked, capture_output=True, encoding="utf-8", check=False)
        if done.returncode == 0:
            return done.stdout.strip(), "`pip config`"
    return "", ""


def _there(root: Path) -> bool:
    return (root / "pyproject.toml").is_file()


def _host(url: str) -> str:
    """The host of an address, without any password that is in it."""
    host = urlsplit(url).hostname
    if not host or "." not in host:
        raise Problem(
            f"{_without_password(url)!r} is not an address: write it like https://packages.example.com/simple."
        )
    return host


def _without_password(url: str) -> str:
    return url.rpartition("@")[2]
