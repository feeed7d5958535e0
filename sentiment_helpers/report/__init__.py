"""The report, run again and compared with its own figures."""
