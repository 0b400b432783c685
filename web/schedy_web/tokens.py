"""The two tokens of the pages: one to watch, one to operate. They live in a file that only its owner may read."""

import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

Role = Literal["watch", "operate"]

TOKENS_FILE = "ui-tokens.json"
_BYTES = 24
_COOKIE_PURPOSE = b"schedy pages, cookie 1"


@dataclass(frozen=True)
class Tokens:
    """Tokens of 192 bits. A cookie holds an HMAC under its token, so new tokens end old cookies."""

    watch: str
    operate: str

    @classmethod
    def kept(cls, path: Path, *, renew: bool = False) -> Self:
        """Return the tokens in the file, new ones if there is none or with `renew`."""
        is_new = False
        if not renew:
            try:
                return cls(**json.loads(path.read_text()))
            except FileNotFoundError:
                is_new = True
            except (OSError, ValueError, TypeError):
                pass
        tokens = cls(f"w-{secrets.token_urlsafe(_BYTES)}", f"o-{secrets.token_urlsafe(_BYTES)}")
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump({"watch": tokens.watch, "operate": tokens.operate}, file)
        if is_new:
            return tokens if _is_first(draft, path) else cls.kept(path)
        draft.replace(path)
        return tokens

    def role_of_token(self, given: str) -> Role | None:
        """Return what a token allows, None if it is none of ours."""
        return self._role(given, self.operate, self.watch)

    def role_of_cookie(self, given: str) -> Role | None:
        """Return what a cookie allows, None if it is none of ours."""
        return self._role(given, cookie_of(self.operate), cookie_of(self.watch))

    @staticmethod
    def _role(given: str, operate: str, watch: str) -> Role | None:
        is_operate = hmac.compare_digest(given.encode(), operate.encode())
        is_watch = hmac.compare_digest(given.encode(), watch.encode())
        return "operate" if is_operate else "watch" if is_watch else None


def _is_first(draft: Path, path: Path) -> bool:
    """Put the draft in its place unless another process was first, whose tokens count then."""
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        return False
    except OSError:  # a file system without links
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return True


def cookie_of(token: str) -> str:
    """Return the value of the cookie for a token."""
    return hmac.new(token.encode(), _COOKIE_PURPOSE, hashlib.sha256).hexdigest()
