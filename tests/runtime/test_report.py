"""Reports are self-contained, escape what is data, and come out the same twice."""

import re
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib import pyplot
from mlops_runtime.report import Report, shown

mpl.use("Agg")


def build(path: Path) -> str:
    report = Report("A <b>title</b>", "subtitle", {"rows": 12345, "version": "1"})
    for name in ("one", "two", "three"):
        report.section(name, "what to look for")
        report.table(pd.DataFrame({"group": ["<script>alert(1)</script>", "b"], "value": [0.123456, None]}), "caption")
        report.checks([("gate", True, "kept"), ("other", False, "broken")])
        figure, axes = pyplot.subplots()
        axes.plot([1, 2], [3, 4])
        report.figure(figure, "a line")
    report.write(path)
    return path.read_text(encoding="utf-8")


def test_report(tmp_path: Path) -> None:
    html = build(tmp_path / "report.html")
    assert "A &lt;b&gt;title" in html
    assert "<script" not in html
    assert html.count("<svg") == 3
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert not re.search(r'(src|href)="(?!#|data:)', re.sub(r"<svg.*?</svg>", "", html, flags=re.DOTALL))
    assert build(tmp_path / "again.html") == html


def test_shown() -> None:
    assert [shown(v) for v in (0.123456, 1234567.0, 1234, None, float("nan"), True)] == [
        "0.1235", "1,234,567", "1,234", "–", "–", "True",
    ]  # fmt: skip
