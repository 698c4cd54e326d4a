"""Readers of potential files. A file is data: nothing in it is ever executed."""
