"""`python -m schedy`: the command line, which the library does not import otherwise."""

import importlib

if __name__ == "__main__":
    importlib.import_module("schedy_cli.main").main()
