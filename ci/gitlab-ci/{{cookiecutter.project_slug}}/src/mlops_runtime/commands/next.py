"""Choose from events what is released next, and write it down as the pipeline that GitLab then starts."""

import argparse
from pathlib import Path

FOLDER = Path(".gitlab", "release")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("events", type=Path, metavar="FILE", help="events, as `mlops events` writes them")
    parser.add_argument("--version", default="", metavar="V", help="this candidate, whatever the events say")


def run(args: argparse.Namespace) -> int:
    """Write next.yml, and told.json with what is for people: 0 written."""
    import re

    from mlops_runtime import config, happened, host
    from mlops_runtime.errors import Problem

    root = config.find_root()
    events = happened.read(args.events)
    found = [one for one in events if one["kind"] in ("candidate", "retrained")]
    happened.write(root / "told.json", [one for one in events if one not in found])
    version = args.version or max((one["version"] for one in found), key=_order, default="")
    if version and not re.fullmatch(r"[A-Za-z0-9._-]+", version):
        raise Problem(f"{version!r} is no version of a model: write it as Azure ML shows it, for example 7.")
    busy = host.waiting("staging", "prod") if version else ""
    if not version or busy:
        print(f"Nothing is started: {f'a release waits or runs, {busy}' if busy else 'there is no candidate'}.")
        text = (root / FOLDER / "nothing.yml").read_text(encoding="utf-8")
    else:
        retrained = not args.version and any(one["kind"] == "retrained" for one in found if one["version"] == version)
        print(f"Version {version} is next{', trained again on production data' if retrained else ''}.")
        text = (root / FOLDER / "deploy.yml").read_text(encoding="utf-8")
        for name, value in {"VERSION": version, "RETRAINED": "--retrained" if retrained else ""}.items():
            if text.count(f'{name}: ""') != 1:
                raise Problem(f'{FOLDER.as_posix()}/deploy.yml must have {name}: "" once, which is filled in here.')
            text = text.replace(f'{name}: ""', f'{name}: "{value}"')
    (root / "next.yml").write_text(text, encoding="utf-8", newline="\n")
    return 0


def _order(version: str) -> tuple[int, str]:
    """Numbers by their size; the registry's versions are digests."""
    return (int(version) if version.isdecimal() else 0, version)
