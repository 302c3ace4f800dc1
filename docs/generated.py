"""What the scripts that write pages have in common: Markdown, LaTeX that GitHub takes, and small pictures."""

from __future__ import annotations

import hashlib
import re

import minigrad as mg

BLANK = re.compile(r"<!--.*?-->\s*|<title>.*?</title>\s*|<\?xml.*?\?>\s*|<!DOCTYPE.*?>\s*", re.DOTALL)
NUMBER = re.compile(r"-?\d+\.\d+")
OPERATOR = re.compile(r"\\operatorname\{((?:[^{}\\]|\\.)*)\}")  # which GitHub refuses


def prose(text: str) -> str:
    """A docstring's sentence as Markdown, where what is not code means itself."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    return "".join(p if p.startswith("`") else re.sub(r"([*_<\[\]|\\])", r"\\\1", p) for p in parts)


def escaped(row: str) -> str:
    """A row of two cells, where only the first bar divides them."""
    left, _, right = row.partition(" | ")
    return f"{left} | " + right.replace("|", "\\|")


def aligned(rows: list[str]) -> str:
    """Equations in LaTeX, a row each, as a block of Markdown."""
    body = OPERATOR.sub(r"\\mathop{\\mathrm{\1}}", " \\\\\n".join(rows))
    return "```math\n\\begin{aligned}\n" + body + "\n\\end{aligned}\n```"


def digest(source: str) -> str:
    """The line that ties a picture to its DOT text."""
    return f"<!-- DOT {hashlib.sha256(source.encode()).hexdigest()} -->\n"


def picture(title: str, source: str) -> str:
    """The SVG, without what Graphviz writes for scripts and tooltips, with a title for those who hear it."""
    svg = BLANK.sub("", mg.graph.render(source, "svg").decode())
    shift = re.search(r"translate\(([^)]*)\)", svg)
    assert shift is not None
    svg = re.sub(r"</?[ga]( [^>]*)?>\s*", "", svg).replace(' xml:space="preserve"', "").replace("&#45;", "-")
    svg = re.sub(r' xmlns:xlink="[^"]*"|(?<=\d)pt(?=")', "", svg)
    svg = re.sub(r' (d|points|x|y|viewBox)="[^"]*"', lambda m: NUMBER.sub(tenth, m.group()), svg)
    opening = f'>\n<title>{title}</title>\n<g transform="translate({NUMBER.sub(tenth, shift.group(1))})">\n'
    return svg.replace(">\n", opening, 1).replace("</svg>", "</g>\n</svg>") + digest(source)


def tenth(number: re.Match[str]) -> str:
    """A coordinate to a tenth of a point."""
    return f"{float(number.group()):.1f}".removesuffix(".0")
