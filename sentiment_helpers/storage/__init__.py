"""Bytes on disk: files, archives and tables. Knows no model."""
