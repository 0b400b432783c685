"""The commands: `NAME_command` in a module called NAME, and a row in `schedy_cli.main`."""
