"""How Sphinx makes a site of the pages, which stay where a reader of the folders finds them (`make docs`)."""

import re
import shutil
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

import skydenoise

project = "skydenoise"
release = skydenoise.__version__

extensions = ["myst_parser", "sphinx.ext.apidoc", "sphinx.ext.autodoc"]
root_doc = "README"
include_patterns = ["*.md", "docs/**.md", "docs/**.rst", "config/*.md", "models/*.md", "experiments/*/*.md"]
exclude_patterns = [".*", "build", "results", "raw", "src", "tests", "docs/api/modules.rst"]

myst_heading_anchors = 4
default_role = "literal"
highlight_language = "text"

# Written into docs/api at each build, one page for each room.
apidoc_modules = [{"path": "../src/skydenoise", "destination": "docs/api"}]
apidoc_module_first = True
apidoc_max_depth = 1
apidoc_automodule_options = {"members"}
autodoc_default_options = {"members": True, "ignore-module-all": True}
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
add_module_names = False
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = "skydenoise"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_search_summary = False  # a browser reads no page for it from the disk
html_show_sphinx = False
html_show_copyright = False

CONTENTS = Path(__file__).with_name("contents.txt").read_text(encoding="utf-8")
MARKUP = re.compile(r"`[^`]*`|[*|]|_(?!\w)")
HEADING = re.compile(r"^(\w+)\n-+$", re.MULTILINE)
ENTRY = re.compile(r"^([\w., ]+?)(?: : |\n +)(?=\S)", re.MULTILINE)
LAST_ENTRY = re.compile(r"^( .*\n)(?=[^`\s])", re.MULTILINE)


def add_contents(app: Sphinx, page: str, source: list[str]) -> None:
    """Give the first page the list of all others, which would only disturb a reader of README.md."""
    if page == root_doc:
        source[0] += CONTENTS


def as_markup(app: Sphinx, what: str, name: str, part: Any, options: Any, lines: list[str]) -> None:
    """Make plain docstrings reStructuredText: bold headings, `name : meaning` as a definition."""
    text = "\n".join(lines)
    text = MARKUP.sub(lambda found: found[0] if found[0][0] == "`" else f"\\{found[0]}", text)
    text = ENTRY.sub(r"`\1`\n    ", HEADING.sub(r"**\1**\n", text))
    lines[:] = LAST_ENTRY.sub(r"\1\n", text).split("\n")


def copy_start(app: Sphinx, error: Exception | None) -> None:
    """Let the site's address alone open its first page."""
    if error is None:
        shutil.copy(Path(app.outdir) / "README.html", Path(app.outdir) / "index.html")


def setup(app: Sphinx) -> None:
    """Hook the functions above into the build."""
    app.connect("source-read", add_contents)
    app.connect("autodoc-process-docstring", as_markup)
    app.connect("build-finished", copy_start)
