"""Files on disk: whole writes, archives, tables. A newcomer may skip this folder."""
