"""The one configuration: composed from YAML and the command line, checked against each section's model."""

from .load import load_settings

__all__ = ["load_settings"]
