"""Draw the documentation's diagrams: SVG on a light card, so that they read the same on a light and on a dark page.

python scripts/make_diagrams.py [FOLDER]   writes docs/pictures/{pattern,route,layers}.svg
"""

import sys
from html import escape
from pathlib import Path

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"
CARD, INK, SOFT, LINE = "#f8fafc", "#0f172a", "#475569", "#64748b"
# One colour per element of the pattern; text on them is INK, and SOFT for what stands small.
DATA, SETUP, INNER, REGISTRY, OUTER, WATCH = "#dbeafe", "#e2e8f0", "#dcfce7", "#fef3c7", "#ede9fe", "#fee2e2"
FONT = "font-family=\"system-ui, 'Segoe UI', Roboto, 'Liberation Sans', Arial, sans-serif\""
ROW = 20  # from one line of text to the next


class Drawing:
    """A card of a given size with boxes, lines of text and arrows on it."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" {FONT}>',
            f"<title>{escape(title)}</title>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
            f'<path d="M0 0L8 4L0 8z" fill="{LINE}"/></marker></defs>',
            f'<rect width="{width}" height="{height}" rx="12" fill="{CARD}"/>',
        ]

    def text(self, x: int, y: int, words: str, *, size: int = 14, fill: str = INK, anchor: str = "start") -> None:
        """One line; **bold** as a whole, `code` as a whole."""
        style = ""
        if words.startswith("**"):
            words, style = words.strip("*"), ' font-weight="bold"'
        elif words.startswith("`"):
            words, style = words.strip("`"), " font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, monospace\""
            size -= 1
        place = f'x="{x}" y="{y}" font-size="{size}" fill="{fill}" text-anchor="{anchor}"'
        self.parts.append(f"<text {place}{style}>{escape(words)}</text>")

    def box(self, x: int, y: int, width: int, height: int, fill: str, lines: list[str]) -> None:
        """A filled box; its first line is the heading."""
        frame = f'x="{x}" y="{y}" width="{width}" height="{height}"'
        self.parts.append(f'<rect {frame} rx="8" fill="{fill}" stroke="{LINE}"/>')
        for n, line in enumerate(lines):
            heading = f"**{line}**" if n == 0 else line
            fill_of_text = INK if n == 0 or line.startswith("`") else SOFT
            self.text(x + 12, y + 24 + n * ROW, heading, size=15 if n == 0 else 13, fill=fill_of_text)

    def arrow(self, *points: tuple[int, int], dashed: bool = False) -> None:
        """A line through the points with a tip at its end."""
        way = " ".join(f"{x},{y}" for x, y in points)
        dashes = ' stroke-dasharray="6 4"' if dashed else ""
        line = f'fill="none" stroke="{LINE}" stroke-width="1.6"'
        self.parts.append(f'<polyline points="{way}" {line}{dashes} marker-end="url(#tip)"/>')

    def svg(self) -> str:
        """The whole file."""
        return "\n".join([*self.parts, "</svg>"]) + "\n"


def pattern() -> str:
    """The elements of MLOps v2, and where they are in a generated project."""
    d = Drawing(1180, 640, "MLOps v2: data estate, setup, inner loop, registry, outer loop, monitoring and its loops")
    d.box(
        20,
        20,
        1140,
        92,
        SETUP,
        ["Administration and setup", "`mlops bootstrap`", "`config/ · infrastructure/ · CI workflows`"],
    )
    d.text(600, 44, "identities, approvals and variables; workspaces, lake, registry,", size=13, fill=SOFT)
    d.text(600, 64, "network, compute; roles of each persona; alerts, budgets, policies;", size=13, fill=SOFT)
    d.text(600, 84, "cv, nlp: a labelling project", size=13, fill=SOFT)
    d.box(
        20,
        170,
        190,
        210,
        DATA,
        [
            "Data estate",
            "the sample and its",
            "data contract",
            "`data/`",
            "lake, Event Hubs, Spark",
            "`mlops/azureml/data/`",
            "`infrastructure/`",
        ],
    )
    inner = [
        "Inner loop: dev",
        "explore, prepare, train,",
        "evaluate, gates, register",
        "`notebooks/`",
        "`src/<package>/`",
        "`mlops/azureml/train/`",
        "`mlops run`",
        "`mlops submit --env dev`",
    ]
    d.box(250, 170, 220, 210, INNER, inner)
    d.box(
        510,
        170,
        180,
        210,
        REGISTRY,
        [
            "Registry",
            "a candidate with its",
            "environment, component",
            "and lineage",
            "`mlops promote`",
            "people approve",
        ],
    )
    staging = ["Staging and test", "production data, bias,", "quality, trial, load", "`mlops stage`", "→ verdict"]
    d.box(730, 170, 200, 210, OUTER, staging)
    d.box(
        970,
        170,
        190,
        210,
        OUTER,
        [
            "Production",
            "online, batch or",
            "Kubernetes; in steps,",
            "back by itself",
            "`mlops deploy`",
            "`mlops rollback`",
            "`mlops/azureml/deploy/`",
        ],
    )
    monitoring = [
        "Monitoring",
        "drift, quality, performance, bias · usage, latency, capacity, cost",
        "`mlops monitor · mlops/azureml/monitor/`",
        "`infrastructure/alerts.yml · queries/`",
    ]
    d.box(730, 470, 430, 110, WATCH, monitoring)
    events = [
        "Data and model: events, actions",
        "classical: trained again on newer data, to staging",
        "cv, nlp: people review and label, back to dev",
        "`mlops label`",
    ]
    d.box(250, 470, 400, 110, WATCH, events)
    d.arrow((210, 275), (250, 275))
    d.arrow((470, 275), (510, 275))
    d.arrow((690, 275), (730, 275))
    d.arrow((930, 275), (970, 275))
    d.arrow((1065, 380), (1065, 470))
    d.arrow((730, 525), (650, 525))
    d.arrow((360, 470), (360, 380), dashed=True)
    d.arrow((600, 470), (600, 425), (830, 425), (830, 380), dashed=True)
    d.text(372, 420, "back to development", size=12, fill=SOFT)
    d.text(612, 418, "back to staging (classical)", size=12, fill=SOFT)
    d.arrow((1090, 580), (1090, 612), (10, 612), (10, 66), (20, 66), dashed=True)
    d.text(30, 604, "infrastructure: events and actions, back to setup", size=12, fill=SOFT)
    for x in (115, 360, 600, 830, 1065):
        d.arrow((x, 112), (x, 170))
    return d.svg()


def route() -> str:
    """Which model goes where, with which command, and who lets it."""
    d = Drawing(1180, 330, "The way of a model: dev, registry, staging, registry, prod")
    stages = [
        (INNER, ["dev", "data for development", "`mlops submit`", "gates → candidate"]),
        (REGISTRY, ["Registry", "the candidate, by its", "digest, with all it needs", "for staging"]),
        (OUTER, ["staging", "production data", "`mlops stage`", "verdict"]),
        (REGISTRY, ["Registry", "the version that", "passed, and no other,", "for prod"]),
        (OUTER, ["prod", "requests or files", "`mlops deploy`", "`mlops rollback`"]),
    ]
    for n, (fill, lines) in enumerate(stages):
        d.box(20 + n * 240, 60, 180, 110, fill, lines)
        if n < len(stages) - 1:
            d.arrow((200 + n * 240, 115), (260 + n * 240, 115))
    d.text(230, 40, "`mlops promote --env staging`", size=13, anchor="middle")
    d.text(710, 40, "`mlops promote --env prod`", size=13, anchor="middle")
    d.text(230, 200, "approves: model tester", size=13, fill=SOFT, anchor="middle")
    d.text(710, 200, "approve: project lead, product owner", size=13, fill=SOFT, anchor="middle")
    d.text(
        590,
        240,
        "classical, nlp: staging trains again on production data, and that new version goes on.",
        size=13,
        fill=SOFT,
        anchor="middle",
    )
    d.text(
        590,
        262,
        "cv: the candidate itself is evaluated on production data, and goes on.",
        size=13,
        fill=SOFT,
        anchor="middle",
    )
    d.text(
        590,
        296,
        "Nobody approves alone what they made themselves; every step can be interrupted and run again.",
        size=13,
        fill=INK,
        anchor="middle",
    )
    return d.svg()


def layers() -> str:
    """How the answers choose the folders that make a project."""
    d = Drawing(1180, 330, "Answers choose layers; base and layers together make the project")
    kinds = [
        (SETUP, ["Base", "`{{cookiecutter.", "`project_slug}}/`", "every project"]),
        (INNER, ["scenarios/", "`classical, cv, nlp`", "down to the task:", "data, code, steps"]),
        (OUTER, ["deployments/", "`online, batch,`", "`kubernetes`", "endpoints, rollouts"]),
        (DATA, ["iac/", "`bicep, terraform,`", "`arm`", "the estate on Azure"]),
        (WATCH, ["ci/", "workflows and what", "the bootstrap needs", "of their host"]),
    ]
    for n, (fill, lines) in enumerate(kinds):
        d.box(20 + n * 170, 30, 155, 110, fill, lines)
        d.arrow((97 + n * 170, 140), (97 + n * 170, 195))
    d.text(890, 56, "**Each layer only adds files;**", size=13)
    d.text(890, 78, "no two write the same path.", size=13, fill=SOFT)
    d.text(890, 100, "Nothing is removed afterwards.", size=13, fill=SOFT)
    d.box(
        20,
        195,
        835,
        52,
        REGISTRY,
        ["composed/: pyproject.toml, config/, README: slots that take each layer's fragments"],
    )
    d.arrow((437, 247), (437, 275))
    d.box(20, 275, 835, 42, CARD, ["my-project/: only what was chosen"])
    return d.svg()


DIAGRAMS = {"pattern.svg": pattern, "route.svg": route, "layers.svg": layers}

if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in DIAGRAMS.items():
        (folder / name).write_text(draw(), encoding="utf-8", newline="\n")
