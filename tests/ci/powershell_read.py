"""Print as JSON what commands a PowerShell script on standard input calls, by tree-sitter's grammar.

{"wrong": whether it is no PowerShell, "calls": [[command, [[parameter, its value where that is a plain text], …]], …]}
"""

import json
import sys

import tree_sitter_powershell
from tree_sitter import Language, Node, Parser


def words(command: Node) -> list[tuple[str, str]]:
    """The words after a command's name, each with its kind."""
    elements = command.child_by_field_name("command_elements")
    found = elements.children if elements else []
    return [(one.type, (one.text or b"").decode()) for one in found if one.type != "command_argument_sep"]


def call(command: Node) -> list[object]:
    name = command.child_by_field_name("command_name")
    pairs: list[list[str]] = []
    for kind, text in words(command):
        if kind == "command_parameter":
            pairs.append([text.lstrip("-"), ""])
        elif pairs and not pairs[-1][1] and text.startswith("'"):
            pairs[-1][1] = text.strip("'")
    return [(name.text or b"").decode() if name else "", pairs]


def every(node: Node) -> list[Node]:
    return [node, *(inner for child in node.children for inner in every(child))]


root = Parser(Language(tree_sitter_powershell.language())).parse(sys.stdin.buffer.read()).root_node
calls = [call(node) for node in every(root) if node.type == "command"]
print(json.dumps({"wrong": root.has_error, "calls": calls}))
