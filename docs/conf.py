"""The pages of this folder as a site, by Sphinx: `./in-env docs/make`."""

import argparse

from kallmodsyms import cli

project = "kallmodsyms"
html_title = "kallmodsyms"
extensions = ["myst_parser"]
myst_heading_anchors = 3
root_doc = "docs/index"  # the sources are the whole repository, for the pages at its top
include_patterns = ["*.md", "docs/**"]
html_theme = "alabaster"
html_theme_options = {"page_width": "1100px", "description": "which module a kernel symbol belongs to"}
html_sidebars = {"**": ["about.html", "navigation.html", "searchbox.html"]}


def with_help(app, page, source):
    """Add what the parser says of each command to the page that lists them."""
    if page == "docs/reference/commands":
        (commands,) = (action for action in cli._parser()._actions if isinstance(action, argparse._SubParsersAction))
        for name, parser in commands.choices.items():
            source[0] += f"\n## {name}\n\n```text\n{parser.format_help()}```\n"


def setup(app):
    app.connect("source-read", with_help)
