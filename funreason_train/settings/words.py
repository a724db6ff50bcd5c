"""One word of the command line, taken apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import UserError


@dataclass(frozen=True)
class Word:
    """One override.

    Attributes:
        prefix: "", "+", "++" or "~", as Hydra has them.
        key: What stands before the equals sign.
        value: What stands behind it, as written; None without one (`~KEY`).
    """

    prefix: str
    key: str
    value: str | None

    @classmethod
    def read(cls, text: str) -> Word:
        """Takes a word apart.

        Raises:
            UserError: it is not `KEY=VALUE`.
        """
        body = text.lstrip("+~")
        key, equals, value = body.partition("=")
        if not key or (not equals and not text.startswith("~")):
            raise UserError(
                f"'{text}' is not a setting", fix="Settings are written key=value, for example seed=1"
            )
        return cls(text[: len(text) - len(body)], key.strip(), value if equals else None)

    def parsed(self) -> Any:
        """The value as Hydra's grammar reads it; what the grammar cannot read is meant as it stands."""
        from hydra.core.override_parser.overrides_parser import OverridesParser

        text = quoted(str(self.value))
        return OverridesParser.create().parse_override(f"key={text}").value()

    def names(self) -> list[str]:
        """The value as one name or a list of them, `a` or `[a,b]`."""
        text = str(self.value)
        if text.startswith("[") and text.endswith("]"):
            return [name.strip(" '\"") for name in text[1:-1].split(",") if name.strip()]
        return [text]


def quoted(value: str) -> str:
    """The value, quoted if Hydra's grammar cannot read it bare or would take its commas for a sweep."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        if not OverridesParser.create().parse_override(f"key={value}").is_sweep_override():
            return value
    except (HydraException, ValueError):  # the latter of a number with thousands of digits
        pass  # what the grammar cannot read is meant as it stands
    escaped = value.replace("\\'", "\\\\'").replace("'", "\\'")
    return f"'{escaped}'"
