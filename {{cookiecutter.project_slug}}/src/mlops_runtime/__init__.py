"""The machinery of this repository: the `mlops` command line and what the steps share. Rarely edited."""
