"""The data contract (data/contract.yml): what columns there are, of which type, within which limits.

The same file is checked on whole tables (ingestion, training, staging, scoring files) and on single requests.
"""

import base64
import binascii
import json
import math
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mlops_runtime.config import Section, read_section
from mlops_runtime.errors import Problem

if TYPE_CHECKING:
    import pandas as pd

Type = Literal["string", "integer", "number", "boolean", "datetime", "bytes"]
Role = Literal["id", "time", "feature", "target", "cohort"]
DTYPES: dict[Type, str] = {
    "string": "str",
    "integer": "int64",
    "number": "float64",
    "boolean": "bool",
    "datetime": "datetime64[ns]",
    "bytes": "object",
}
SHOWN = 3  # examples of broken values in a message


class ContractError(Problem):
    """Data that breaks the contract: what, where, how often."""


class Column(Section):
    """What is promised of one column."""

    type: Type
    role: Role
    description: str = ""
    nullable: bool = False
    min: float | None = None
    max: float | None = None
    values: list[str | int | bool] | None = None
    min_length: int = 0  # characters of text, without the white space around it
    max_length: int = 256  # characters of text, bytes of bytes


class Contract(Section):
    """What is promised of a table."""

    name: str
    description: str = ""
    min_rows: int = Field(default=1, ge=1)
    unique: list[str] = Field(default=[])
    columns: dict[str, Column]

    @classmethod
    def load(cls, path: Path) -> "Contract":
        """Read a contract; errors name the file, the key and the fix."""
        return read_section(path, cls)

    def save(self, path: Path) -> None:
        """Write as JSON, which is YAML too, so that `load` reads it."""
        text = json.dumps(self.model_dump(exclude_defaults=True), indent=2, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8", newline="\n")

    def names(self, *roles: Role) -> list[str]:
        """The columns with one of the roles, in the contract's order."""
        return [name for name, column in self.columns.items() if column.role in roles]

    def only(self, names: Iterable[str]) -> "Contract":
        """The same promises for these columns alone."""
        columns = {name: self.columns[name] for name in names}
        return self.model_copy(update={"columns": columns, "unique": [u for u in self.unique if u in columns]})

    def validate_table(self, frame: "pd.DataFrame", source: str = "the data") -> "pd.DataFrame":
        """The contract's columns of `frame`, in its order and types; ContractError lists all that breaks it."""
        import pandera.pandas as pa

        self.validate_shape(frame.columns, len(frame), source)
        try:
            valid: pd.DataFrame = self._schema().validate(frame[list(self.columns)], lazy=True)
        except pa.errors.SchemaErrors as error:
            faults = _describe(error.failure_cases)
            raise ContractError(f"{source} breaks the contract {self.name}:\n{faults}") from None
        return valid

    def validate_shape(self, columns: Iterable[Any], rows: int, source: str) -> None:
        """ContractError unless these columns and so many rows are what the contract asks for."""
        given = [str(name) for name in columns]
        missing = [name for name in self.columns if name not in given]
        if missing:
            raise ContractError(f"{source} lacks the column {', '.join(missing)}; it has {', '.join(given)}.")
        if rows < self.min_rows:
            raise ContractError(f"{source} has {rows} rows; the contract {self.name} asks for {self.min_rows}.")

    def _schema(self) -> Any:
        import pandera.pandas as pa

        columns = {}
        for name, column in self.columns.items():
            checks = []
            if column.min is not None:
                checks.append(pa.Check.ge(column.min, error=f"at least {column.min:g}"))
            if column.max is not None:
                checks.append(pa.Check.le(column.max, error=f"at most {column.max:g}"))
            if column.values is not None:
                checks.append(pa.Check.isin(column.values, error=f"one of {column.values}"))
            if column.type == "string":
                checks.append(
                    pa.Check.str_length(max_value=column.max_length, error=f"at most {column.max_length} characters")
                )
                if column.min_length:
                    checks.append(_visible(column.min_length))
            if column.type == "bytes":
                checks.append(pa.Check(_is_bytes, element_wise=True, error="bytes"))
                most = f"at most {column.max_length:,} bytes"
                checks.append(pa.Check(partial(_fits, column.max_length), element_wise=True, error=most))
            dtype = DTYPES[column.type]
            if column.type == "integer" and column.nullable:
                dtype = "Int64"
            columns[name] = pa.Column(dtype, checks, nullable=column.nullable, coerce=True)
        return pa.DataFrameSchema(columns, unique=self.unique or None)

    def problems(self, columns: list[str], rows: list[list[Any]], most: int = 10) -> list[str]:
        """What is wrong with a request's rows, at most `most` sentences; empty when nothing is.

        Plain Python and without copies: this runs for every request. Values are as JSON has them: null, true,
        numbers, text; datetimes are ISO 8601 text, bytes are base64 text.
        """
        unknown = [name for name in columns if name not in self.columns]
        missing = [name for name in self.columns if name not in columns]
        if unknown or missing or len(set(columns)) != len(columns):
            return [
                f"columns must be {', '.join(self.columns)}"
                + (f"; missing: {', '.join(missing)}" if missing else "")
                + (f"; unknown: {', '.join(map(str, unknown[:most]))}" if unknown else "")
            ]
        checks = [(name, self.columns[name], CHECKS[self.columns[name].type]) for name in columns]
        found: list[str] = []
        for number, row in enumerate(rows):
            if not isinstance(row, list) or len(row) != len(checks):
                found.append(f"row {number}: must be a list of {len(checks)} values")
            else:
                for (name, column, check), value in zip(checks, row, strict=True):
                    fault = ("is null" if not column.nullable else None) if value is None else check(column, value)
                    if fault:
                        found.append(f"row {number}, column {name}: {fault}")
            if len(found) >= most:
                return found[:most]
        return found


def _describe(cases: "pd.DataFrame") -> str:
    """Pandera's failure cases as one line per column and rule, with counts and examples."""
    lines = []
    for (column, rule), group in cases.groupby(["column", "check"], sort=False, dropna=False):
        examples = ", ".join(repr(value) for value in group["failure_case"].drop_duplicates().head(SHOWN))
        rows = group["index"].dropna()
        where = f", first in row {rows.iloc[0]}" if len(rows) else ""
        lines.append(f"  column {column}: {_rule(str(rule))}: {len(group)} value(s), for example {examples}{where}")
    return "\n".join(lines)


def _is_bytes(value: object) -> bool:
    return isinstance(value, bytes)


def _fits(most: int, value: object) -> bool:
    return not isinstance(value, bytes) or len(value) <= most


def _visible(least: int) -> Any:
    import pandera.pandas as pa

    said = f"at least {least} characters besides white space around them"
    return pa.Check(lambda values: values.str.strip().str.len() >= least, error=said)


def _rule(name: str) -> str:
    if name == "not_nullable":
        return "must not be null"
    if "coerce" in name or "dtype" in name:
        return f"has the wrong type ({name})"
    if "unique" in name:
        return "must be unique"
    return f"must be {name}"


def _range(column: Column, value: float) -> str | None:
    if column.min is not None and value < column.min:
        return f"{value!r} is below {column.min:g}"
    if column.max is not None and value > column.max:
        return f"{value!r} is above {column.max:g}"
    return None


def _allowed(column: Column, value: object) -> str | None:
    if column.values is not None and value not in column.values:
        return f"{value!r} is not one of {column.values}"
    return None


def _string(column: Column, value: object) -> str | None:
    if not isinstance(value, str):
        return f"must be text, not {_kind(value)}"
    if len(value) > column.max_length:
        return f"has {len(value)} characters, at most {column.max_length} are allowed"
    if column.min_length and len(value.strip()) < column.min_length:
        return f"needs at least {column.min_length} characters besides white space around them"
    return _allowed(column, value)


def _integer(column: Column, value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return f"must be a whole number, not {_kind(value)}"
    if not -(2**63) <= value < 2**63:
        return "does not fit 64 bits"
    return _range(column, value) or _allowed(column, value)


def _number(column: Column, value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"must be a number, not {_kind(value)}"
    try:
        finite = math.isfinite(value)
    except OverflowError:  # a whole number beyond what a float holds
        finite = False
    return _range(column, value) if finite else "must be a finite number"


def _boolean(column: Column, value: object) -> str | None:
    return None if isinstance(value, bool) else f"must be true or false, not {_kind(value)}"


def _datetime(column: Column, value: object) -> str | None:
    if not isinstance(value, str):
        return f"must be an ISO 8601 date and time as text, not {_kind(value)}"
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return f"{value[:40]!r} is not an ISO 8601 date and time"
    return None


def _bytes(column: Column, value: object) -> str | None:
    if not isinstance(value, str):
        return f"must be base64 text, not {_kind(value)}"
    try:
        content = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return "is not base64 text"
    return None if len(content) <= column.max_length else f"has more than {column.max_length:,} bytes"


def _kind(value: object) -> str:
    names = {str: "text", bool: "true/false", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


CHECKS: dict[Type, Callable[[Column, object], str | None]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "datetime": _datetime,
    "bytes": _bytes,
}
