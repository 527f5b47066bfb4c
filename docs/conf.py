"""The site of `docs/`: `make docs` builds it offline, and the built pages ask for nothing from elsewhere.

Two pages are made while it is built: the tutorial from `Autoencoders.ipynb`, as it is stored and without executing it,
and the flags from the parser of the command line.
"""

import argparse
import json
import os
import re
from importlib.metadata import version as installed
from inspect import signature
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx

from latentfit import flags

ROOT = Path(__file__).resolve().parent.parent

project = "latentfit"
author = "The latentfit authors"
version = release = installed("latentfit")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"latentfit {version}"
html_show_sphinx = html_copy_source = False
html_math_renderer = "mathml"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0072b2", "color-brand-content": "#0072b2"},
    "dark_css_variables": {"color-brand-primary": "#56b4e9", "color-brand-content": "#56b4e9"},
}
default_role = "code"  # docstrings mark code as Markdown does
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings say types with shapes and units
napoleon_use_ivar = True
napoleon_attr_annotations = False
add_module_names = False


def tutorial() -> str:
    """The notebook as Markdown: its text, its code, and the outputs that are stored in it."""
    parts = []
    for cell in json.loads((ROOT / "Autoencoders.ipynb").read_bytes())["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        parts += [_output(output, source) for output in cell.get("outputs", [])]
    told = "\n\n".join(parts).replace("](README.md)", "](index.md)")
    return re.sub(r"^# .*", "", told, count=1)  # the page has a title


def _output(output: dict[str, Any], source: str) -> str:
    data = output.get("data", {"text/plain": output.get("text", [])})
    if "image/png" in data:
        made_by = ", ".join(re.findall(r"figures\.([a-z]\w+)", source))
        return f"![Made by {made_by}](data:image/png;base64,{''.join(data['image/png']).replace(chr(10), '')})"
    if "text/markdown" in data:
        return "".join(data["text/markdown"])
    language = "python" if "text/html" in data else "text"  # `Code` shows source
    return f"```{language}\n{''.join(data['text/plain']).rstrip()}\n```"


def commands() -> str:
    """What `--help` says of each verb."""
    os.environ["COLUMNS"] = "100"  # where argparse breaks lines
    parser = flags.parser(**dict.fromkeys(signature(flags.parser).parameters, print))
    verbs = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return "\n\n".join(f"## {name}\n\n```text\n{verb.format_help()}```" for name, verb in verbs.choices.items())


MADE = {"tutorial": tutorial, "commands": commands}


def setup(app: Sphinx) -> dict[str, bool]:
    """Fill the pages that are made, and write formulae as MathML, which browsers draw without a script."""
    app.connect("source-read", _fill)
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    return {"parallel_read_safe": True}


def _fill(app: Sphinx, page: str, source: list[str]) -> None:
    if page in MADE:
        source[0] = f"{source[0]}\n\n{MADE[page]()}"
        for made_of in (str(ROOT / "Autoencoders.ipynb"), flags.__file__):
            app.env.note_dependency(made_of)


def _inline(writer: Any, node: nodes.Node) -> None:
    writer.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def _display(writer: Any, node: nodes.Node) -> None:
    writer.body.append(f'<div class="math">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode
