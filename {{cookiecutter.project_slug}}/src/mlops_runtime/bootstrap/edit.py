"""Changes of single values in a YAML file that leave everything else as it is, comments too."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from mlops_runtime.errors import Problem
from mlops_runtime.files import replacing

Key = Sequence[str]
Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(path: Path, key: Key) -> Any:
    """The value under `key`; None when there is none."""
    value = yaml.load(path.read_text(encoding="utf-8"), Loader)  # nosec B506: a safe one, above
    for name in key:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def write(path: Path, key: Key, value: Any) -> None:
    """Give `key` a value: text, truth or a list of texts. All but the last part of the key must be there."""
    text = path.read_text(encoding="utf-8")
    parent = _find(text, path, key[:-1])
    for name, node in parent.value:
        if name.value == key[-1]:
            _save(path, text, node.start_mark.index, node.end_mark.index, _flow(value))
            return
    entry = f"{key[-1]}: {_flow(value)}"
    if parent.flow_style:
        pieces = [*_pieces(text, parent), entry]
        _save(path, text, parent.start_mark.index, parent.end_mark.index, "{" + ", ".join(pieces) + "}")
    else:
        start = parent.start_mark
        _save(path, text, start.index, start.index, f"{entry}\n{' ' * start.column}")


def remove(path: Path, key: Key) -> None:
    """Take away an entry of a mapping between braces, which stays; nothing happens when it is not there."""
    text = path.read_text(encoding="utf-8")
    parent = _find(text, path, key[:-1])
    if not parent.flow_style:
        raise Problem(f"{path}: {'.'.join(key)}: remove this line.")
    pieces = _pieces(text, parent, but=key[-1])
    _save(path, text, parent.start_mark.index, parent.end_mark.index, "{" + ", ".join(pieces) + "}")


def _find(text: str, path: Path, key: Key) -> yaml.MappingNode:
    node = yaml.compose(text, Loader=Loader)
    for name in key:
        inner = [value for one, value in node.value if one.value == name] if isinstance(node, yaml.MappingNode) else []
        if not inner:
            raise Problem(f"{path}: {'.'.join(key)} is missing; add it.")
        node = inner[0]
    if not isinstance(node, yaml.MappingNode):
        raise Problem(f"{path}: {'.'.join(key)} has no keys of its own; write it as a mapping, such as {{}}.")
    return node


def _pieces(text: str, node: yaml.MappingNode, but: str = "") -> list[str]:
    return [text[name.start_mark.index : value.end_mark.index] for name, value in node.value if name.value != but]


def _flow(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _save(path: Path, text: str, start: int, end: int, new: str) -> None:
    changed = text[:start] + new + text[end:]
    yaml.load(changed, Loader)  # nosec B506
    with replacing(path) as file:
        file.write_text(changed, encoding="utf-8", newline="\n")
