"""Sphinx's settings for the site: `tools/build_site.py` copies this folder and the course, and runs Sphinx there."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = Path(os.environ["COURSE_ROOT"])  # set by tools/build_site.py: the repository that the pages come from
sys.path[:0] = [str(HERE), str(ROOT)]

from pages import linkcode_resolve  # noqa: E402, F401  (sphinx.ext.linkcode looks for it here)

project = "genlib"
author = "the authors of genlib"
language = "en"
html_title = "Generative models, computed"
html_last_updated_fmt = None
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.linkcode", "plain", "pages"]
exclude_patterns = ["static", "templates"]
templates_path = ["templates"]
html_context = {"default_mode": "auto"}
html_static_path = ["static"]
html_extra_path = ["extra"]
html_copy_source = False  # the pages' sources are rewritten notebooks: a button gives the original
html_show_sourcelink = False
html_show_sphinx = False
html_show_copyright = False
html_domain_indices = False
html_use_index = False

# -- Notebooks: what is stored is what is shown
nb_execution_mode = "off"
nb_ipywidgets_js = {}
nb_merge_streams = True
nb_render_text_lexer = "none"
myst_enable_extensions = ["dollarmath", "amsmath", "attrs_inline", "attrs_block", "deflist"]
myst_dmath_double_inline = True
myst_heading_anchors = 4
myst_heading_slug_func = "pages.slug"
myst_links_external_new_tab = False
suppress_warnings = ["mystnb.mime_priority"]

# -- Mathematics: MathJax from beside the pages, in strokes that need no fonts; its lines break where a page ends
myst_update_mathjax = False
mathjax_path = "mathjax/tex-svg.js"
SPOKEN = {"speech": False, "braille": False, "enrich": False, "collapsible": False, "assistiveMml": True}
mathjax4_config = {
    "loader": {"load": ["a11y/assistive-mml"], "paths": {"mathjax-newcm": "[mathjax]/newcm"}},
    "svg": {"fontCache": "global", "displayAlign": "center", "displayOverflow": "linebreak"},
    "options": {
        "enableMenu": False,  # it would make every formula a stop of the tab key
        "menuOptions": {"settings": SPOKEN},  # MathML for screen readers, which asks for no worker
        "ignoreHtmlClass": "tex2jax_ignore|mathjax_ignore|document",
        "processHtmlClass": "tex2jax_process|mathjax_process|math|output_area|genlib-math",
    },
}

# -- The library's reference
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False  # what torch says of its own methods
autoclass_content = "class"
HOOKS = "get_extra_state, set_extra_state"  # which torch calls
autodoc_default_options = {"members": True, "undoc-members": False, "exclude-members": HOOKS}
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
add_module_names = False
python_display_short_literal_types = True
default_role = "code"
smartquotes = False  # "eps" in a docstring is code

# -- The theme
html_theme = "sphinx_book_theme"
html_css_files = ["genlib.css"]
html_js_files = ["genlib.js", "host.js"]
html_favicon = "static/mark.svg"
html_theme_options = {
    "logo": {"text": "Generative models, computed", "image_light": "static/mark.svg", "image_dark": "static/mark.svg"},
    "navbar_persistent": [],  # the search field stands in the sidebar
    "show_navbar_depth": 1,
    "show_toc_level": 2,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "home_page_in_toc": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "back_to_top_button": False,
    "footer_content_items": [],
}
html_sidebars = {"**": ["navbar-logo", "icon-links", "search-button-field", "sbt-sidebar-nav"]}
