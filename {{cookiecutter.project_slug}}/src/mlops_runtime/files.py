"""Files that people and programs read."""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from mlops_runtime.errors import Problem


def read_yaml(path: Path) -> Any:
    """The content of a YAML file; a missing or broken one is a Problem that names the file and the line."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Problem(f"{path} does not exist.") from None
    except UnicodeDecodeError:
        raise Problem(f"{path} is not UTF-8 text: save it as UTF-8.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise Problem(f"{path}{line} is not valid YAML: {getattr(error, 'problem', error)}.") from None


def write_json(path: Path, content: Any) -> None:
    """Write JSON, indented; what is not a finite number becomes null, and a NumPy value the number that it is."""
    text = json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    path.write_text(text, encoding="utf-8", newline="\n")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place when all went well, and else is gone."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "dtype"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
