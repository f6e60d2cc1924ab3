"""Texts and their tags as CoNLL writes them: one token a line, its tags behind it, an empty line between texts.

Comments before a text are those of CoNLL-U: `# text = …` is what its tokens were cut from (without it they are joined
by blanks), any other `# name = value` becomes a column. `# global.columns = FORM …` names the columns of tags as in
CoNLL-U Plus; without it the last one counts. `# record = {…}` holds all columns of a row as JSON.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from mlops_runtime.errors import Problem

from . import spans
from . import text as texts

FORM = "FORM"
COLUMNS = "global.columns"
RECORD = "record"
START = "-DOCSTART-"


def write(records: Sequence[dict[str, Any]], target: str) -> str:
    """Rows with `target` (as `spans.parse` reads it; none: every tag is `_`) as CoNLL; everything else as a comment."""
    blocks = [f"# {COLUMNS} = {FORM} {target}\n"]
    for record in records:
        text = str(record["text"])
        tokens = texts.tokens(text)
        value = record.get(target)
        tags = ["_"] * len(tokens) if value is None else spans.to_tags(tokens, spans.parse(value, text))
        kept = json.dumps({name: value for name, value in record.items() if name != target}, ensure_ascii=True)
        lines = [f"# {RECORD} = {kept}", *(f"{token.text}\t{tag}" for token, tag in zip(tokens, tags, strict=True))]
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def read(content: str, target: str) -> list[dict[str, Any]]:
    """The rows of a file: `text`, what comments say, and each column of tags as JSON spans; `_` is not labelled.

    Tags without a name belong to `target`. Problem names the line that cannot be read.
    """
    names: list[str] | None = None
    rows = []
    for comments, lines in _blocks(content):
        names = comments.pop(COLUMNS).split()[1:] if COLUMNS in comments else names
        if not lines:
            continue
        if any(len(cells) < 2 for _, cells in lines):
            number = next(number for number, cells in lines if len(cells) < 2)
            raise Problem(f"line {number}: a token needs a tag behind it")
        record = json.loads(comments[RECORD]) if RECORD in comments else _values(comments)
        text, tokens = _placed(record.get("text"), lines)
        columns = dict(enumerate(names, start=1)) if names else {-1: target}
        found: dict[str, str | None] = {}
        for place, name in columns.items():
            tags = [cells[place] for _, cells in lines]
            found[name] = None if set(tags) == {"_"} else spans.dump(spans.from_tags(tokens, tags))
        rows.append({**record, "text": text, **found})
    return rows


def _blocks(content: str) -> Iterator[tuple[dict[str, str], list[tuple[int, list[str]]]]]:
    """Comments, and the cells of each line with its number."""
    comments: dict[str, str] = {}
    lines: list[tuple[int, list[str]]] = []
    for number, line in enumerate([*content.split("\n"), ""], start=1):
        line = line.rstrip("\r")
        name, equals, value = line.removeprefix("#").partition("=")
        if line.startswith("#") and equals and not lines and "\t" not in line:
            comments[name.strip()] = value.strip()
        elif line.startswith(START):
            continue
        elif line.strip():
            lines.append((number, line.split("\t") if "\t" in line else line.split()))
        elif lines or COLUMNS in comments:
            yield comments, lines
            comments, lines = {}, []


def _values(comments: dict[str, str]) -> dict[str, Any]:
    return {name: int(value) if value.isdigit() else value for name, value in comments.items()}


def _placed(text: Any, lines: list[tuple[int, list[str]]]) -> tuple[str, list[texts.Span]]:
    """The text and where its tokens are."""
    forms = [cells[0] for _, cells in lines]
    whole = " ".join(forms) if text is None else str(text)
    tokens, end = [], 0
    for (number, _), form in zip(lines, forms, strict=True):
        start = whole.find(form, end)
        if start < 0:
            raise Problem(f"line {number}: {form!r} is not in the text that the comment gives")
        end = start + len(form)
        tokens.append(texts.Span(start, end, form))
    return whole, tokens
