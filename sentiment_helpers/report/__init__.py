"""The report's experiments: run again, extended, and compared with the report's own figures."""
