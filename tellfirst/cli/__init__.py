"""The command line `tellfirst`: one file per group of commands."""


def main() -> None:
    """Runs the command line of this process."""
    from tellfirst.cli.app import app

    app(prog_name="tellfirst")
