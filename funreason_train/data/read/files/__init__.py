"""Rows out of files, folders and the hub: streamed in bounded memory, damaged rows told apart."""

from .json_files import Record, Unparsed, Unreadable, rows_in
from .places import SUFFIXES, fingerprint, locate
from .records import records

__all__ = ["SUFFIXES", "Record", "Unparsed", "Unreadable", "fingerprint", "locate", "records", "rows_in"]
