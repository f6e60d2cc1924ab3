"""A Terraform provider that knows the schema of a real one and makes nothing: plugin protocol 6, over gRPC.

terraform_provider.py SCHEMA.json, started by Terraform (which then needs TF_DISABLE_PLUGIN_TLS=1), or once for many
runs of it (TF_REATTACH_PROVIDERS). What Azure would answer is unknown while planning and made up when applying:
`<id>#<attribute>`, where an id is `<parent's id>/<type>/<name>`. With a second word, `foresee`, it is made up while
planning already: a plan then shows what would be where, without applying it.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import msgpack

UNKNOWN = msgpack.ExtType(0, b"\x00")
NESTING = {"single": 1, "list": 2, "set": 3, "map": 4}
PARENTS = ("parent_id", "storage_account_id", "namespace_id", "synapse_workspace_id", "cluster_id", "scope")
NAMES = ("name", "resource_type")


# Messages of protocol buffers, as far as the protocol uses them: numbers, and bytes with their length.


def number(value: int) -> bytes:
    """A number in as few bytes as possible, lowest first."""
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(key: int, value: bytes | str | int | None) -> bytes:
    """A field of a message; zero and nothing are left out."""
    if not value:
        return b""
    if isinstance(value, int):
        return number(key << 3) + number(int(value))
    content = value.encode() if isinstance(value, str) else value
    return number(key << 3 | 2) + number(len(content)) + content


def fields(message: bytes) -> dict[int, Any]:
    """The fields of a message; of a repeated one the first."""
    found: dict[int, Any] = {}
    at = 0

    def read() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = read()
        if key & 7 == 0:
            found.setdefault(key >> 3, read())
        elif key & 7 == 2:
            length = read()
            found.setdefault(key >> 3, message[at : at + length])
            at += length
        else:
            raise ValueError(f"wire type {key & 7}")
    return found


# Schemas.


def attribute(name: str, schema: dict[str, Any]) -> bytes:
    """Schema.Attribute."""
    nested = schema.get("nested_type")
    inside = b""
    if nested:
        inside = b"".join(field(1, attribute(key, one)) for key, one in sorted(nested["attributes"].items()))
        inside += field(3, NESTING[nested["nesting_mode"]])
    flags = ((4, "required"), (5, "optional"), (6, "computed"))
    return (
        field(1, name)
        + field(2, None if nested else json.dumps(schema["type"]))
        + b"".join(field(key, int(schema.get(flag, False))) for key, flag in flags)
        + field(10, inside)
    )


def block(schema: dict[str, Any]) -> bytes:
    """Schema.Block."""
    found = b"".join(field(2, attribute(name, one)) for name, one in sorted(schema["attributes"].items()))
    for name, one in sorted(schema["block_types"].items()):
        limits = field(4, one.get("min_items", 0)) + field(5, one.get("max_items", 0))
        found += field(
            3, field(1, name) + field(2, block(one["block"])) + field(3, NESTING[one["nesting_mode"]]) + limits
        )
    return found


def schema_of(schema: dict[str, Any]) -> bytes:
    """Schema: its block is there even when it is empty."""
    content = block(schema["block"])
    return field(1, schema["version"]) + (field(2, content) or number(2 << 3 | 2) + number(0))


# Values.


def value_of(message: bytes | None) -> Any:
    """A DynamicValue."""
    found = fields(message or b"")
    if 1 in found:
        return msgpack.unpackb(found[1], strict_map_key=False)
    return json.loads(found[2]) if 2 in found else None


def as_message(value: Any) -> bytes:
    """A DynamicValue."""
    return field(1, msgpack.packb(value))


def made_up(kind: Any, where: str) -> Any:
    """A value of a type, as Azure might answer it."""
    if kind == "string":
        return where
    if kind in ("number", "bool"):
        return 0 if kind == "number" else False
    if kind == "dynamic":
        return [b'"string"', where]
    if kind[0] == "object":
        return {name: made_up(one, f"{where}.{name}") for name, one in kind[1].items()}
    return {} if kind[0] == "map" else []


def fill(schema: dict[str, Any], value: Any, where: str | None) -> Any:
    """Give what only Azure knows a value, unknown without `where`; with it, what was unknown gets one too."""
    for name, one in schema["attributes"].items():
        nothing = value.get(name) is None and one.get("computed")
        if where is None and nothing:
            value[name] = UNKNOWN
        elif where is not None and (nothing or isinstance(value.get(name), msgpack.ExtType)):
            value[name] = made_up(one.get("type", "dynamic"), f"{where}.{name}")
    for name, one in schema["block_types"].items():
        inside = value.get(name)
        for part in inside if isinstance(inside, list) else [inside] if isinstance(inside, dict) else []:
            fill(one["block"], part, None if where is None else f"{where}.{name}")
    return value


def identified(kind: str, schema: dict[str, Any], value: dict[str, Any]) -> Any:
    """What Azure answers for a resource or a data source, with its id."""
    parent = next((value[key] for key in PARENTS if isinstance(value.get(key), str)), "")
    name = next((value[key] for key in NAMES if isinstance(value.get(key), str)), "default")
    known = isinstance(value.get("id"), str)
    value["id"] = value["id"] if known else f"{parent}/{kind}/{name}"
    return fill(schema, value, f"{value['id']}#")


class Provider:
    """The calls of tfplugin6.Provider: each takes and gives a message."""

    def __init__(self, schemas: dict[str, Any], foresees: bool) -> None:
        self.schemas, self.foresees = schemas, foresees

    def calls(self) -> dict[str, Callable[[bytes], bytes]]:
        """By their names."""
        return {
            "GetProviderSchema": self.schema,
            "ValidateProviderConfig": lambda _: b"",
            "ValidateResourceConfig": lambda _: b"",
            "ValidateDataResourceConfig": lambda _: b"",
            "ConfigureProvider": lambda _: b"",
            "UpgradeResourceState": lambda message: field(1, field(2, fields(fields(message)[3])[1])),
            "ReadResource": lambda message: field(1, fields(message)[2]),
            "PlanResourceChange": self.plan,
            "ApplyResourceChange": self.apply,
            "ReadDataSource": self.data,
            "StopProvider": lambda _: b"",
        }

    def schema(self, _: bytes) -> bytes:
        """GetProviderSchema."""
        found = field(1, schema_of(self.schemas["provider"]))
        for key, part in ((2, "resource_schemas"), (3, "data_source_schemas")):
            for name, one in self.schemas[part].items():
                found += field(key, field(1, name) + field(2, schema_of(one)))
        return found + field(6, field(1, 1))  # planning may be skipped for what is destroyed

    def plan(self, message: bytes) -> bytes:
        """PlanResourceChange: only what is new has anything unknown."""
        asked = fields(message)
        before, wanted = value_of(asked.get(2)), value_of(asked.get(3))
        if wanted is not None and before is None:
            kind = asked[1].decode()
            schema = self.schemas["resource_schemas"][kind]["block"]
            wanted = identified(kind, schema, wanted) if self.foresees else fill(schema, wanted, None)
        return field(1, as_message(wanted)) + field(5, 1)

    def apply(self, message: bytes) -> bytes:
        """ApplyResourceChange."""
        asked = fields(message)
        kind, wanted = asked[1].decode(), value_of(asked.get(3))
        if wanted is not None:
            wanted = identified(kind, self.schemas["resource_schemas"][kind]["block"], wanted)
        return field(1, as_message(wanted)) + field(4, 1)

    def data(self, message: bytes) -> bytes:
        """ReadDataSource."""
        asked = fields(message)
        kind = asked[1].decode()
        found = identified(kind, self.schemas["data_source_schemas"][kind]["block"], value_of(asked.get(2)))
        return field(1, as_message(found))


def handlers(calls: dict[str, Callable[[bytes], bytes]]) -> dict[str, Any]:
    """Calls for gRPC, with messages as they are."""
    return {
        name: grpc.unary_unary_rpc_method_handler(lambda message, _, call=call: call(message), bytes, bytes)
        for name, call in calls.items()
    }


def main() -> None:
    """Serve until Terraform says that it is done."""
    provider = Provider(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), sys.argv[2:] == ["foresee"])
    done = threading.Event()
    server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.max_send_message_length", -1)])
    shutdown = {"Shutdown": lambda _: done.set() or b""}
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler("tfplugin6.Provider", handlers(provider.calls())),
            grpc.method_handlers_generic_handler("plugin.GRPCController", handlers(shutdown)),
        )
    )
    with tempfile.TemporaryDirectory(prefix="tf") as folder:
        address = f"{folder}/socket"
        server.add_insecure_port(f"unix:{address}")
        server.start()
        print(f"1|6|unix|{address}|grpc|", flush=True)
        done.wait()
        server.stop(0.2).wait()


if __name__ == "__main__":
    main()
