"""Self-contained HTML reports: text, tables, pictures as inline SVG; nothing is loaded from anywhere."""

import io
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

TEMPLATE = Path(__file__).with_name("report.html")


class Report:
    """Collects sections in order; `write` renders them."""

    def __init__(self, title: str, subtitle: str = "", facts: Mapping[str, object] | None = None) -> None:
        """`facts` are shown as name–value pairs under the title."""
        self.title = title
        self.subtitle = subtitle
        self.facts = {name: shown(value) for name, value in (facts or {}).items()}
        self.sections: list[dict[str, Any]] = []

    def section(self, title: str, lead: str = "") -> None:
        """Start a section; `lead` says what to look for in it."""
        self.sections.append({"title": title, "lead": lead, "blocks": []})

    def text(self, text: str) -> None:
        """A paragraph."""
        self._add(kind="text", text=text)

    def table(self, rows: "pd.DataFrame | Sequence[Mapping[str, object]]", caption: str = "") -> None:
        """A table from a frame (its index is left out) or from a list of mappings with the same keys."""
        records: Sequence[Mapping[str, object]]
        if isinstance(rows, Sequence):
            records = rows
        else:
            records = [{str(name): value for name, value in row.items()} for row in rows.to_dict(orient="records")]
        header = list(records[0]) if records else []
        cells = [[(shown(row[name]), isinstance(row[name], int | float)) for name in header] for row in records]
        self._add(kind="table", header=header, rows=cells, caption=caption)

    def figure(self, figure: "Figure", caption: str) -> None:
        """A matplotlib figure, which is closed; `caption` says what to conclude from it."""
        import matplotlib as mpl
        from matplotlib import pyplot

        buffer = io.StringIO()
        with mpl.rc_context({"svg.hashsalt": "mlops", "svg.fonttype": "path"}):
            figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
        count = sum(block["kind"] == "figure" for section in self.sections for block in section["blocks"])
        self._add(kind="figure", svg=_inline(buffer.getvalue(), count), caption=caption)

    def checks(self, items: Sequence[tuple[str, bool, str]]) -> None:
        """A list of (name, passed, explanation)."""
        self._add(kind="checks", items=items)

    def write(self, path: Path) -> None:
        """Render to one HTML file."""
        import jinja2

        environment = jinja2.Environment(
            autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
        )
        template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
        html = template.render(title=self.title, subtitle=self.subtitle, facts=self.facts, sections=self.sections)
        path.write_text(html, encoding="utf-8", newline="\n")

    def _add(self, **block: Any) -> None:
        if not self.sections:
            self.section("")
        self.sections[-1]["blocks"].append(block)


def shown(value: object) -> str:
    """A value as a reader wants it: four significant digits, a dash for nothing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)


def _inline(svg: str, number: int) -> str:
    """The SVG element alone, with ids that no other picture on the page has."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'\b(id=")', rf"\1f{number}-", svg)
    return re.sub(r'(xlink:href="#|url\(#)', rf"\1f{number}-", svg)
