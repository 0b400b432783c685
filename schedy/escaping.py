"""Texts of others, for terminals and logs."""


def printable(text: str) -> str:
    """Return a text as one line, with its control characters escaped, so that none acts on a terminal or in a log."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def printable_lines(text: str) -> str:
    """Return a text of several lines with the control characters in each line escaped."""
    return "\n".join(map(printable, text.split("\n")))


def indented_lines(text: str) -> str:
    """Return the lines of a traceback for a log: escaped, and indented so that none looks like a record."""
    return "\n".join(f"    {line}" for line in printable_lines(text).split("\n"))
