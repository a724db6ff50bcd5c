"""Python annotations as JSON schema, and arguments as what the annotations say."""

from .arguments import called, convert
from .docstrings import sections, summary
from .hints import Between, hints_of, parameters_schema, type_schema, written

__all__ = [
    "Between",
    "called",
    "convert",
    "hints_of",
    "parameters_schema",
    "sections",
    "summary",
    "type_schema",
    "written",
]
