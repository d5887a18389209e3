"""A report as one HTML file: no script, no request, every text escaped by the templates.

Names come from others. They pass :func:`securefed.reports.names.visible` before anything else, and the templates escape
what is left; a page's own policy forbids it to load or run anything.
"""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from securefed.reports import tables
from securefed.reports.charts import HEIGHT, WIDTH, charts
from securefed.reports.names import tamed, visible
from securefed.reports.palette import DARK, LIGHT
from securefed.reports.record import Json


def to_html(report: Json) -> str:
    """Return the report as one page."""
    safe = tamed(report, visible)
    drawn = {chart.id: chart for chart in charts(safe)}
    return environment().get_template("report.html.j2").render(report=safe, charts=drawn)


@cache
def environment() -> Environment:
    """Return what fills the templates of pages in: everything escaped, nothing undefined, one look."""
    environment = Environment(
        loader=PackageLoader("securefed.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals |= {"tables": tables, "light": LIGHT, "dark": DARK, "width": WIDTH, "height": HEIGHT}
    return environment
