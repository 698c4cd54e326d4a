"""Hook of mkdocs: formulas become MathML, which browsers show without a script and without a network."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

# What pymdownx.arithmatex makes of $...$ and of $$...$$.
FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.+?)\\[)\]]</\1>', flags=re.DOTALL)


def on_page_content(content: str, **_: Any) -> str:
    """The HTML of a page with its formulas converted."""

    def mathml(match: re.Match[str]) -> str:
        formula = (
            html.unescape(match[2]).strip().replace("{aligned}", "{split}")
        )  # the same, and known
        if match[1] == "span":
            return str(convert(formula, display="inline"))
        return f'<div class="formula">{convert(formula, display="block")}</div>'

    return FORMULA.sub(mathml, content)
