"""The same results, sooner: each file names its plain twin. A newcomer may skip this folder."""
