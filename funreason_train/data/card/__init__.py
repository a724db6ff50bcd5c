"""The data card of a run: what the exports hold, as a page (`card.html`) and as Markdown (`card.md`)."""

from .content import Card, Example, choose, collect, examples
from .html import to_html
from .markdown import to_markdown

__all__ = ["Card", "Example", "choose", "collect", "examples", "to_html", "to_markdown"]
