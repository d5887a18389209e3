"""The documentation site: ``sphinx-build -W --keep-going docs build/site``. Nothing is fetched, here or by a reader."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tools import commands  # noqa: E402 - the folder above is on the path from here on

project = "securefed"
version = release = version_of("securefed")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_use_ivar = True
add_module_names = False

html_theme = "furo"
html_title = "securefed"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
# The search would fetch pages to show lines of them, which browsers refuse to a page from disk.
html_show_search_summary = False
html_show_sphinx = False
html_show_copyright = False


def _with_commands(app: object, page: str, source: list[str]) -> None:
    if page == "command-line":
        source[0] = source[0].replace(commands.MARKER, commands.reference())


def setup(app: object) -> None:
    """Fill in what is made from the package itself."""
    app.connect("source-read", _with_commands)
