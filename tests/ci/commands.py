"""Scripts of pipelines: calls of `mlops` checked by the commands' own parsers, all of them by ShellCheck."""

import argparse
import contextlib
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from mlops_runtime import cli

# A value that a pipeline puts in place: $version, "${{ … }}", $(version). For the parser it is a text like any other.
VALUES = re.compile(r"\$\{\{.*?\}\}|\$\(\w[\w.]*\)|\$\[\[.*?\]\]|\$\{\w+\}|\$\w+")


def commands(script: str) -> Iterator[list[str]]:
    """The words after `mlops` of each call in a POSIX script, wherever in a line it stands."""
    joined = re.sub(r"\\\n", " ", script)
    for line in joined.splitlines():
        lexer = shlex.shlex(VALUES.sub("VALUE", line), posix=True, punctuation_chars=";&|()<>")
        lexer.whitespace_split, lexer.commenters = True, "#"
        words: list[str] = []
        for word in [*lexer, ";"]:
            if re.fullmatch(r"[;&|()<>]+", word):
                yield from _call(words)
                words = [] if word not in (">", ">>", "<") else ["redirected"]
            else:
                words.append(word)


def _call(words: list[str]) -> Iterator[list[str]]:
    """Of one simple command, what follows `mlops` where that is what is called."""
    for start, word in enumerate(words):
        before = words[:start]
        known = {"uv", "run", "if", "then", "do", "else", "!", "until", "while", "time", "--no-sync", "--frozen"}
        if word == "mlops" and all(one in known or re.fullmatch(r"\w+=.*|--extra|azure", one) for one in before):
            yield words[start + 1 :]


def fault(words: list[str]) -> str:
    """Why the real parser refuses these words; empty when it accepts them."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        try:
            _parser().parse_args([_choice(words, position) for position in range(len(words))])
        except SystemExit as ended:
            return "" if ended.code == 0 else said.getvalue().strip().splitlines()[-1]
    return ""


def _choice(words: list[str], position: int) -> str:
    """A value, which pipelines put in place, as one that an option with choices takes."""
    numbers = {"--patience": "1", "--port": "1"}
    if words[position] == "VALUE" and position:
        return {"--env": "prod", **numbers}.get(words[position - 1], "VALUE")
    return words[position]


def _parser() -> argparse.ArgumentParser:
    return cli.build_parser()


def faults(script: str) -> list[str]:
    """Each wrong call of `mlops` in a script, with why."""
    found = ((words, fault(words)) for words in commands(script))
    return [f"mlops {' '.join(words)}: {why}" for words, why in found if why]


def shellcheck(folder: Path, scripts: Iterable[tuple[str, str]]) -> str:
    """What ShellCheck says of scripts for bash, given with where they stand; empty when nothing.

    Variables that nobody sets are looked for elsewhere: it does not know those of a pipeline.
    """
    files = []
    for number, (where, script) in enumerate(scripts):
        file = folder / f"{number}.sh"
        file.write_text(f"#!/bin/bash\nset -eo pipefail\n# {where}\n{script}\n", encoding="utf-8")
        files.append(file)
    assert files
    program = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([program, "--format=gcc", "--exclude=SC2154", *files], capture_output=True, encoding="utf-8", check=False)
    return done.stdout + done.stderr
