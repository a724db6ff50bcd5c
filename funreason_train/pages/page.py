"""Pages: one file each, without any address in it; whatever data or a model wrote is escaped.

The templates lie in `templates/`; all of them share its stylesheet. A value is escaped unless it is `Markup`,
and characters that cannot be seen, or that turn round what stands beside them, are shown by their code.

Scripts lie in `assets/`, the libraries in `assets/vendor/` with their licences. A page's policy names the
digests of its own scripts, so no other one runs in it, whatever stands in the data; it may load nothing, and
send nothing.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .embed import checked

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).with_name("templates")
_ASSETS = Path(__file__).with_name("assets")
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
#: Library -> its files in `assets/vendor/`: script, style, licence.
_LIBRARIES = {
    "uplot": ("uPlot.iife.min.js", "uPlot.min.css", "uPlot.LICENSE"),
    "tabulator": ("tabulator.min.js", "tabulator.min.css", "tabulator.LICENSE"),
}


def render_page(
    template: str,
    *,
    scripts: Sequence[str] = (),
    libraries: Sequence[str] = (),
    blocks: Mapping[str, str] | None = None,
    live: bool = False,
    **values: Any,
) -> str:
    """A page.

    Args:
        template: A file of `templates`.
        scripts: Files of `assets` that make up the page's script, in order.
        libraries: The libraries it uses.
        blocks: The page's data (`embed.pack`); the first one is there before the script runs.
        live: Whether the page may ask the server that it came from for news.
        values: What the page shows.
    """
    from markupsafe import Markup

    codes = [*(_library(name) for name in libraries), *([_script(tuple(scripts))] if scripts else [])]
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    if codes:
        digests = " ".join(f"'sha256-{_digest(code)}'" for code in codes)
        policy += f"; script-src {digests}"
    if live:
        policy += "; connect-src 'self'"
    held = list(checked(blocks or {}).items())
    values |= {
        "policy": Markup(policy),
        "codes": [Markup(code) for code in codes],
        "first_blocks": [(name, Markup(text)) for name, text in held[:1]],
        "more_blocks": [(name, Markup(text)) for name, text in held[1:]],
        "library_styles": Markup("\n".join(_asset(f"vendor/{_LIBRARIES[name][1]}") for name in libraries)),
        "live": live,
    }
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


@cache
def _asset(name: str) -> str:
    """A file of `assets`, less what only serves whoever debugs it and the addresses of its home."""
    text = (_ASSETS / name).read_text(encoding="utf-8")
    text = re.sub(r"/[/*][#@] sourceMappingURL=\S*( \*/)?", "", text)
    return re.sub(r"\A/\*!.*?\*/\n", "", text, flags=re.DOTALL).strip()


@cache
def _library(name: str) -> str:
    code, _, licence = _LIBRARIES[name]
    return f"/*!\n{_asset(f'vendor/{licence}')}\n*/\n{_asset(f'vendor/{code}')}\n"


@cache
def _script(names: tuple[str, ...]) -> str:
    return '"use strict";\n' + "\n".join(_asset(name) for name in names) + "\n"


def _digest(code: str) -> str:
    return base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
