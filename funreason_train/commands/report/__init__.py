"""The report of a run: `report.html`, gathered from what the stages left in the run directory."""

from .build import Report, write_report

__all__ = ["Report", "write_report"]
