"""The command line `tellfirst`: one file per group of commands."""
