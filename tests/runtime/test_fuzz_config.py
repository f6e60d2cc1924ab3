"""Whatever stands in config/*.yml, it is loaded or refused in words: no other error."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from mlops_runtime import config
from mlops_runtime.errors import Problem

from . import toy

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.dates(),
    st.sampled_from(["", "${{x}}", "../..", "1e999", "0x", "~", "é\u0000", "a" * 5000]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(scalars, inner, max_size=3)),
    max_leaves=6,
)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all keys and items."""
    inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(place for key, value in inside for place in places(value, (*path, key)))]


ORIGINALS = {"shared": yaml.safe_load(toy.CONFIG), "prod": yaml.safe_load(toy.ENVIRONMENT)}
PLACES = [(file, place) for file, content in ORIGINALS.items() for place in places(content)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzzed")
    toy.write(folder)
    return folder


def loads(root: Path) -> bool:
    """Whether it does; any error but a Problem fails the test."""
    try:
        config.load("prod", root)
    except Problem:
        return False
    return True


@settings(max_examples=150, deadline=None)
@given(place=st.sampled_from(PLACES), value=values)
def test_any_value_anywhere(root: Path, place: tuple[str, tuple[Any, ...]], value: Any) -> None:
    file, path = place
    contents = copy.deepcopy(ORIGINALS)
    node = contents[file]
    for key in path[:-1]:
        node = node[key]
    if path:
        node[path[-1]] = value
    else:
        contents[file] = value
    for name, content in contents.items():
        (root / f"config/{name}.yml").write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    loads(root)


@settings(max_examples=100, deadline=None)
@given(
    start=st.integers(0, 900),
    end=st.integers(0, 900),
    inserted=st.one_of(st.binary(max_size=12), st.text("{}[]:-#&*!|>'\"%@`\t\n ,?", max_size=6).map(str.encode)),
)
def test_any_bytes(root: Path, start: int, end: int, inserted: bytes) -> None:
    original = toy.CONFIG.encode()
    (root / "config/prod.yml").write_text(toy.ENVIRONMENT, encoding="utf-8")
    (root / "config/shared.yml").write_bytes(original[:start] + inserted + original[max(start, end) :])
    loads(root)


def test_the_original_loads(root: Path) -> None:
    (root / "config/shared.yml").write_text(toy.CONFIG, encoding="utf-8")
    (root / "config/prod.yml").write_text(toy.ENVIRONMENT, encoding="utf-8")
    assert loads(root)
