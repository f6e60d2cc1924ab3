"""A parser of Bicep, as far as this template uses the language: text → nested tuples.

An expression is a tuple whose first element says what it is, such as ("text", "abc") or ("call", "union", [...]).
Everything that is not known here is refused, so that nothing is evaluated wrongly.
"""

import re
from typing import Any

Node = tuple[Any, ...]
TOKEN = re.compile(
    r"(?P<space>[ \t]+|//[^\n]*|/\*.*?\*/)|(?P<newline>\n)|(?P<number>\d+)|(?P<word>[A-Za-z_]\w*)"
    r"|(?P<multi>'''(?:\n)?.*?''')|(?P<quote>')"
    r"|(?P<mark>=>|==|!=|>=|<=|=~|!~|&&|\|\||\?\?|\.\?|\[\?|[-+*/%<>!?:.,()\[\]{}=@|])",
    re.DOTALL,
)
BINARY = [["??"], ["||"], ["&&"], ["==", "!=", "=~", "!~"], ["<", ">", "<=", ">="], ["+", "-"], ["*", "/", "%"]]
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", "$": "$"}


class BicepError(Exception):
    """Something that Bicep would refuse, or that this parser does not know."""


class Parser:
    """One file."""

    def __init__(self, text: str, name: str) -> None:
        self.text, self.name, self.at = text, name, 0
        self.kind, self.value = "", ""
        self.advance()

    def fail(self, message: str) -> BicepError:
        """An error at this place."""
        return BicepError(f"{self.name}:{self.text.count(chr(10), 0, self.at) + 1}: {message}, at {self.value!r}")

    def advance(self) -> None:
        """Read the next token."""
        while True:
            if self.at >= len(self.text):
                self.kind, self.value = "end", ""
                return
            found = TOKEN.match(self.text, self.at)
            if not found:
                self.value = self.text[self.at]
                raise self.fail("unknown character")
            self.at = found.end()
            self.kind, self.value = str(found.lastgroup), found.group()
            if self.kind != "space":
                return

    def take(self, value: str) -> None:
        """The next token must be this one."""
        if self.value != value or self.kind == "quote":
            raise self.fail(f"expected {value!r}")
        self.advance()

    def found(self, value: str) -> bool:
        """Whether the next token is this one; then it is read."""
        if self.value == value and self.kind in ("mark", "word"):
            self.advance()
            return True
        return False

    def newlines(self) -> None:
        """Skip line ends."""
        while self.kind == "newline":
            self.advance()

    def word(self) -> str:
        """A name."""
        if self.kind != "word":
            raise self.fail("expected a name")
        value = self.value
        self.advance()
        return value

    # Statements

    def program(self) -> list[Node]:
        """All statements of the file."""
        found: list[Node] = []
        decorators: list[Node] = []
        self.newlines()
        while self.kind != "end":
            if self.found("@"):
                decorators.append(self.expression())
            else:
                found.append((*self.statement(), decorators))
                decorators = []
                if self.kind not in ("newline", "end"):
                    raise self.fail("expected the end of the statement")
            self.newlines()
        return found

    def statement(self) -> Node:
        """One statement without its decorators."""
        what = self.word()
        if what == "targetScope":
            self.take("=")
            return (what, self.expression())
        if what == "var":
            name = self.word()
            self.take("=")
            return (what, name, self.expression())
        if what in ("param", "output"):
            name, kind = self.word(), self.type()
            default = self.expression() if self.found("=") else None
            return (what, name, kind, default)
        if what == "func":
            name, names = self.word(), []
            self.take("(")
            while not self.found(")"):
                names.append(self.word())
                self.type()
                self.found(",")
            self.type()
            self.take("=>")
            self.newlines()
            return (what, name, names, self.expression())
        if what == "import":
            self.take("{")
            names = []
            self.newlines()
            while not self.found("}"):
                names.append(self.word())
                self.found(",")
                self.newlines()
            self.take("from")
            return (what, names, self.expression())
        if what == "type":
            name = self.word()
            self.take("=")
            return (what, name, self.type())
        if what in ("resource", "module"):
            name, kind = self.word(), self.expression()
            existing = what == "resource" and self.found("existing")
            self.take("=")
            return (what, name, kind, existing, self.body())
        raise self.fail(f"unknown statement {what!r}")

    def type(self) -> Node:
        """A type: one of several, each perhaps a list or nothing."""
        choices = [self.single_type()]
        while self.found("|"):
            choices.append(self.single_type())
        return choices[0] if len(choices) == 1 else ("one of", choices)

    def single_type(self) -> Node:
        """A name, a literal or an object, with what follows it."""
        if self.kind == "quote":
            found: Node = ("literal", self.string()[1])
        elif self.found("{"):
            found = self.object_type()
        else:
            found = ("named", self.word())
        while self.value in ("[", "?") and self.kind == "mark":
            if self.found("?"):
                found = ("or nothing", found)
            else:
                self.take("[")
                self.take("]")
                found = ("list of", found)
        return found

    def object_type(self) -> Node:
        """The members of an object; `*` stands for any name."""
        members = {}
        self.newlines()
        while not self.found("}"):
            while self.found("@"):
                self.expression()
                self.newlines()
            key = "*" if self.found("*") else self.string()[1] if self.kind == "quote" else self.word()
            self.take(":")
            members[key] = self.type()
            self.found(",")
            self.newlines()
        return ("object", members)

    def body(self) -> Node:
        """What a resource or module is: an object, perhaps with a condition or in a loop."""
        if self.found("if"):
            self.take("(")
            condition = self.inside(")")
            return ("if", condition, self.expression())
        return self.expression()

    def inside(self, end: str) -> Node:
        """An expression and what closes it, over several lines."""
        self.newlines()
        value = self.expression()
        self.newlines()
        self.take(end)
        return value

    # Expressions

    def expression(self) -> Node:
        """An expression with the lowest precedence: a choice."""
        value = self.binary(0)
        place = (self.at, self.kind, self.value)
        self.newlines()
        if self.value != "?" or self.kind != "mark":  # a choice may go on in the next line
            self.at, self.kind, self.value = place
        else:
            self.advance()
            self.newlines()
            yes = self.expression()
            self.newlines()
            self.take(":")
            self.newlines()
            return ("choice", value, yes, self.expression())
        return value

    def binary(self, level: int) -> Node:
        """Operators of this level and those that bind more tightly."""
        if level == len(BINARY):
            return self.unary()
        left = self.binary(level + 1)
        while self.kind == "mark" and self.value in BINARY[level]:
            operator = self.value
            self.advance()
            self.newlines()
            left = ("operator", operator, left, self.binary(level + 1))
        return left

    def unary(self) -> Node:
        """A sign or a negation, then what follows."""
        if self.found("!"):
            return ("not", self.unary())
        if self.found("-"):
            return ("minus", self.unary())
        return self.postfix(self.primary())

    def postfix(self, value: Node) -> Node:
        """Members, indices and calls after a value."""
        while self.kind == "mark":
            if self.found("!"):  # says that the value is not null
                continue
            if self.found("."):
                name = self.word()
                value = self.call(name, value) if self.value == "(" else ("member", value, name, False)
            elif self.found(".?"):
                value = ("member", value, self.word(), True)
            elif self.found("["):
                value = ("index", value, self.inside("]"), False)
            elif self.found("[?"):
                value = ("index", value, self.inside("]"), True)
            else:
                return value
        return value

    def call(self, name: str, owner: Node | None = None) -> Node:
        """A call, its name already read."""
        self.take("(")
        arguments = []
        self.newlines()
        while not self.found(")"):
            arguments.append(self.expression())
            self.newlines()
            if not self.found(","):
                self.take(")")
                break
            self.newlines()
        return (
            ("call", name, arguments) if owner in (None, ("name", "sys"), ("name", "az")) else self.unknown_call(name)
        )

    def unknown_call(self, name: str) -> Node:
        """Functions of resources are not used here."""
        raise self.fail(f"{name} cannot be called here")

    def primary(self) -> Node:
        """A value, or something in brackets."""
        kind, value = self.kind, self.value
        if kind == "number":
            self.advance()
            return ("value", int(value))
        if kind == "multi":
            self.advance()
            return ("value", value[3:-3].removeprefix("\n"))
        if kind == "quote":
            return self.string()
        if kind == "word":
            self.advance()
            if value in ("true", "false", "null"):
                return ("value", {"true": True, "false": False, "null": None}[value])
            if self.value == "(":
                return self.call(value)
            if self.value == "=>":
                return self.lambda_([value])
            return ("name", value)
        if self.found("("):
            return self.brackets()
        if self.found("["):
            return self.array()
        if self.found("{"):
            return self.object()
        raise self.fail("expected a value")

    def brackets(self) -> Node:
        """An expression in brackets, or a lambda's parameters."""
        place = (self.at, self.kind, self.value)
        names = []
        while self.kind == "word":
            names.append(self.word())
            if not self.found(","):
                break
        if self.found(")") and self.value == "=>":
            return self.lambda_(names)
        self.at, self.kind, self.value = place
        return self.inside(")")

    def lambda_(self, names: list[str]) -> Node:
        """The rest of a lambda."""
        self.take("=>")
        self.newlines()
        return ("lambda", names, self.expression())

    def array(self) -> Node:
        """A list, or a loop."""
        self.newlines()
        if self.found("for"):
            if self.found("("):
                names = [self.word()]
                self.take(",")
                names.append(self.word())
                self.take(")")
            else:
                names = [self.word()]
            self.take("in")
            over = self.expression()
            self.take(":")
            self.newlines()
            body = self.body()
            self.newlines()
            self.take("]")
            return ("for", names, over, body)
        items = []
        while not self.found("]"):
            items.append(self.expression())
            self.found(",")
            self.newlines()
        return ("array", items)

    def object(self) -> Node:
        """An object: keys are names, texts or built from others."""
        items = []
        self.newlines()
        while not self.found("}"):
            key = self.string() if self.kind == "quote" else ("value", self.word())
            self.take(":")
            self.newlines()
            items.append((key, self.body()))
            if self.kind not in ("newline",) and self.value not in (",", "}"):
                raise self.fail("expected a line end, a comma or a closing brace")
            self.found(",")
            self.newlines()
        return ("object", items)

    def string(self) -> Node:
        """A text, perhaps with expressions in it; the opening quote has been read."""
        parts: list[Node] = []
        text, at = "", self.at
        while True:
            if at >= len(self.text) or self.text[at] == "\n":
                raise self.fail("a text without its end")
            mark = self.text[at]
            if mark == "'":
                self.at = at + 1
                break
            if mark == "\\":
                text += ESCAPES[self.text[at + 1]]
                at += 2
            elif self.text.startswith("${", at):
                self.at = at + 2
                self.advance()
                parts += [("value", text), self.expression()]
                if self.value != "}":
                    raise self.fail("expected the end of an inserted value")
                text, at = "", self.at
            else:
                text += mark
                at += 1
        self.advance()
        return ("text", [*parts, ("value", text)]) if parts else ("value", text)


def parse(text: str, name: str) -> list[Node]:
    """The statements of a Bicep file; BicepError where it is not Bicep."""
    return Parser(text.replace("\r\n", "\n"), name).program()
