"""One command at a time in a run directory: by a file's lock, or by a folder where files cannot be locked."""

from .by_file import locked

__all__ = ["locked"]
