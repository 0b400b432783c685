"""Parameters of addresses."""

from starlette.requests import Request

from schedy.errors import InvalidValueError


def number_of(request: Request) -> int:
    """Return the number of the experiment in the path; what follows it there is for people: ``17-DigitsNet``."""
    digits = request.path_params["number"].partition("-")[0]
    if not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        raise InvalidValueError(f"{request.path_params['number']!r} is no number of an experiment.")
    return int(digits)


def integer(request: Request, name: str, default: int, *, most: int = 2**53) -> int:
    """Return an integer parameter. Raises InvalidValueError unless it is from 0 to `most`."""
    text = request.query_params.get(name)
    if text is None or not text:
        return default
    if not text.isascii() or not text.isdigit() or int(text[:20]) > most:
        raise InvalidValueError(f"{name}={text[:50]}: expected an integer from 0 to {most}.")
    return int(text)


def words(request: Request, name: str) -> list[str]:
    """Return the words of a parameter that may be given several times, and with commas."""
    return [word for text in request.query_params.getlist(name) for word in text.split(",") if word]
