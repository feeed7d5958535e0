"""The report's experiments, run again and compared. A newcomer may skip this folder."""
