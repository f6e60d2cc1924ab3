"""Files that people and programs read."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_json(path: Path, content: Any) -> None:
    """Write JSON, indented; what is not a finite number becomes null, and a NumPy value the number that it is."""
    text = json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    path.write_text(text, encoding="utf-8", newline="\n")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "dtype"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
