"""The `mlops` command line. Every module in mlops_runtime/commands is a command; a layer adds one by adding a file."""

import argparse
import errno
import importlib
import os
import pkgutil
import signal
import sys
import traceback
from types import ModuleType
from typing import Any

from mlops_runtime import commands
from mlops_runtime.errors import Problem, Refusal


def build_parser() -> argparse.ArgumentParser:
    """The parser with all commands; modules are imported, but what they need is not until they run."""
    parser = argparse.ArgumentParser(prog="mlops", description="Train, serve and watch this repository's model.")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for found in sorted(pkgutil.iter_modules(commands.__path__), key=lambda module: module.name):
        module = importlib.import_module(f"{commands.__name__}.{found.name}")
        _add_command(subparsers, found.name, module)
    return parser


def _add_command(subparsers: Any, name: str, module: ModuleType) -> None:
    summary = (module.__doc__ or "").strip()
    parser = subparsers.add_parser(name, help=summary.splitlines()[0], description=summary)
    module.add_arguments(parser)
    parser.set_defaults(run=module.run)


def main(arguments: list[str] | None = None) -> int:
    """Run one command: 0 done, 1 ran and refused or action needed, 2 wrong use or failure."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a console that cannot show a character shows "?" and goes on
            stream.reconfigure(errors="replace")
    args = build_parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C, so that no step goes on alone
    try:
        return int(args.run(args))
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return 1
    except Problem as problem:
        print(f"Error: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 2
    except OSError as error:  # a full disk, a folder that may not be written: nothing that a traceback explains
        print(f"Error: {_what_the_system_says(error)}.", file=sys.stderr)
        return 2
    except Exception as error:  # a fault of ours; 1, with which Python would end, means that something was refused
        said = _what_the_store_says(error)
        if said:
            print(f"Error: {said}", file=sys.stderr)
        else:
            traceback.print_exc()
        return 2


def _what_the_system_says(error: OSError) -> str:
    advice = {
        errno.ENOSPC: "free some space, then run the command again: it goes on where it was",
        errno.EACCES: "allow writing there, or work in a folder of your own",
        errno.EPERM: "allow writing there, or work in a folder of your own",
        errno.EROFS: "work in a folder that can be written",
    }
    said = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
    return f"{said}: {advice[error.errno]}" if error.errno in advice else said


def _what_the_store_says(error: BaseException | None) -> str:
    """What SQLite found wrong with the disk or its file, if that is what an error of MLflow comes from."""
    while error is not None:
        if type(error).__module__ == "sqlite3":
            return f"MLflow's store in .mlops cannot be used ({error}): is the disk full, or another program using it?"
        error = error.__cause__ or error.__context__
    return ""


if __name__ == "__main__":
    sys.exit(main())
