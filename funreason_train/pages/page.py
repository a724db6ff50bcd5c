"""Pages: one file each, without any address in it; whatever data or a model wrote is escaped.

The templates lie in `templates/`; all of them share its stylesheet. A value is escaped unless it is `Markup`,
and characters that cannot be seen, or that turn round what stands beside them, are shown by their code.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).with_name("templates")
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def render_page(template: str, **values: Any) -> str:
    """A page.

    Args:
        template: A file of `templates`.
        values: What it shows.
    """
    return _environment().get_template(template).render(**values)


def visible(text: str) -> str:
    """A text in which nothing is hidden."""
    return _INVISIBLE.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    made.filters |= {"visible": visible, "count": "{:,}".format}
    return made
