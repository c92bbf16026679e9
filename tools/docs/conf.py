"""How Sphinx builds the documentation: `make docs`, to docs/build/html.

Sphinx reads the pages where they are, from the project's root: README.md, CONTRIBUTING.md, docs/ and the
notebook. So a link that works in the repository works in the built pages too, and no page needs a directive.
"""

import re
import sys
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

project = "Who converts next"
html_title = project
author = "the contributors"
copyright = "the contributors, MIT licence"  # noqa: A001 - Sphinx's name

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
root_doc = "docs/index"
include_patterns = ["*.md", "docs/**.md", "notebooks/*.ipynb", "tools/docs/python_api**.rst"]
# Sphinx walks all folders but these.
exclude_patterns = [
    *(
        path.name
        for path in ROOT.iterdir()
        if path.is_dir() and path.name not in {"docs", "notebooks", "tools"}
    ),
    "docs/build",
]
templates_path = ["templates"]

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["custom.css"]
html_additional_pages = {"index": "to_start.html"}
html_show_sourcelink = False
html_copy_source = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"

myst_heading_anchors = 3
copybutton_prompt_text = "$ "

suppress_warnings = [
    # Pygments knows no mermaid, and no console commands over several lines: both are shown without colours.
    "misc.highlighting_failure",
    # Sphinx takes the name of an attribute in a docstring for a reference to any attribute of that name.
    "ref.python",
]

# Each build runs the notebook; an error in it fails the build.
nb_execution_mode = "force"
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True

viewcode_follow_imported_members = False
default_role = "py:obj"
autosummary_generate = True
autodoc_default_options = {
    "members": True,
    "show-inheritance": True,
    "member-order": "bysource",
    # made by scikit-learn, not by the project
    "exclude-members": "set_fit_request, set_score_request",
}
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

PYTHON_API = "docs/reference/python_api"


def setup(app: Sphinx) -> None:
    """Add the navigation, which plain Markdown does not have, while the pages are read."""
    app.connect("source-read", _add_navigation)


def _add_navigation(_: Sphinx, docname: str, source: list[str]) -> None:
    """Put each list of links on the start page into the sidebar, under its heading."""
    if docname == root_doc:
        for section in re.split(r"^## ", source[0], flags=re.MULTILINE)[1:]:
            pages = re.findall(r"^- \[[^\]]+\]\(([^)#]+)\):", section, flags=re.MULTILINE)
            source[0] += _toctree(pages, caption=section.partition("\n")[0])
    if docname == PYTHON_API:
        source[0] += _toctree(["/tools/docs/python_api.rst"])


def _toctree(pages: list[str], **options: str) -> str:
    lines = [f":{name}: {value}" for name, value in options.items()]
    return "\n".join(["\n```{toctree}", ":hidden:", *lines, "", *pages, "```\n"])
