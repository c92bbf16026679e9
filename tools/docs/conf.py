"""How Sphinx builds the documentation: `make docs`, to docs/build/html."""

import shutil
import sys
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

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
exclude_patterns = ["build", "_templates"]
templates_path = ["_templates"]

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_show_sourcelink = False
html_copy_source = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
copybutton_prompt_text = "$ "

# Commands over several lines are beyond the console lexer; they are shown without colours.
suppress_warnings = ["misc.highlighting_failure"]

# The notebook is run anew for each build; an error in it fails the build.
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


def setup(app: Sphinx) -> None:
    """Take the notebook in, which lives where notebooks are looked for; Sphinx reads this folder alone."""
    app.connect("builder-inited", _copy_notebook)


def _copy_notebook(app: Sphinx) -> None:
    here = Path(app.srcdir)
    shutil.copy2(here.parent / "notebooks/demo.ipynb", here / "demo.ipynb")
