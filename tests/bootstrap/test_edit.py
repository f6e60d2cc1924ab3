"""Single values of YAML files change, and nothing else does."""

from pathlib import Path

import pytest
import yaml
from mlops_runtime.bootstrap import edit
from mlops_runtime.errors import Problem

TEXT = """\
# Größe – «hier»
a: "" # empty
b: {c: [], d: {}} # inner
e:
  # first
  f: 1 # one
  g: "é: #" # odd
"""
CASES = {
    "text": (("a",), "x: #1", 'a: "x: #1" # empty'),
    "list": (("b", "c"), ["p.example.com", "q"], 'b: {c: ["p.example.com", "q"], d: {}} # inner'),
    "new in braces": (("b", "d", "k"), True, "b: {c: [], d: {k: true}} # inner"),
    "second in braces": (("b", "n"), "v", 'b: {c: [], d: {}, n: "v"} # inner'),
    "in a block": (("e", "g"), "z", '  g: "z" # odd'),
    "new in a block": (("e", "h"), "z", '  h: "z"'),
}


@pytest.mark.parametrize("case", CASES)
def test_one_value_changes(tmp_path: Path, case: str) -> None:
    key, value, line = CASES[case]
    file = tmp_path / "x.yml"
    file.write_text(TEXT, encoding="utf-8")
    before = yaml.safe_load(TEXT)
    edit.write(file, key, value)
    text = file.read_text(encoding="utf-8")
    assert line in text.splitlines()
    assert edit.read(file, key) == value
    assert len(set(text.splitlines()) - set(TEXT.splitlines())) == 1
    there = before
    for name in key[:-1]:
        there = there[name]
    there[key[-1]] = value
    assert yaml.safe_load(text) == before


def test_an_entry_goes_again(tmp_path: Path) -> None:
    file = tmp_path / "x.yml"
    file.write_text(TEXT, encoding="utf-8")
    edit.write(file, ("b", "d", "k"), True)
    edit.write(file, ("b", "d", "l"), "é")
    edit.remove(file, ("b", "d", "k"))
    assert 'b: {c: [], d: {l: "é"}} # inner' in file.read_text(encoding="utf-8").splitlines()
    edit.remove(file, ("b", "d", "l"))
    edit.remove(file, ("b", "d", "l"))
    assert file.read_text(encoding="utf-8") == TEXT


@pytest.mark.parametrize(("key", "message"), [(("x", "y"), "x is missing"), (("a", "y"), "has no keys of its own")])
def test_what_cannot_be_written(tmp_path: Path, key: tuple[str, ...], message: str) -> None:
    file = tmp_path / "x.yml"
    file.write_text(TEXT, encoding="utf-8")
    with pytest.raises(Problem, match=message):
        edit.write(file, key, "v")
    assert file.read_text(encoding="utf-8") == TEXT


def test_a_line_of_a_block_is_for_a_person(tmp_path: Path) -> None:
    file = tmp_path / "x.yml"
    file.write_text(TEXT, encoding="utf-8")
    with pytest.raises(Problem, match=r"e\.f: remove this line"):
        edit.remove(file, ("e", "f"))
