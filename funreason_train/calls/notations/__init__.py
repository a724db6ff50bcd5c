"""Calls written in other notations than the call list: one file for each family of notations.

`read.py` holds `read_notation`; `..intent` decides what was meant as a call at all.
"""
