"""A certificate authority of the test's own, made with openssl."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

_NEW_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"


@dataclass(frozen=True)
class Certificate:
    """Files in PEM."""

    cert: Path
    key: Path


class Authority:
    """Signs certificates; `ca` is what others trust it by."""

    def __init__(self, folder: Path, name: str = "Test-CA") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._own = self._paths("ca")
        self.ca = self._own.cert
        self._openssl(
            f"req -x509 {_NEW_KEY} -days 2 -subj /CN={name}"
            f" -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign"
            f" -keyout {self._own.key} -out {self._own.cert}"
        )

    def server(self, name: str, *alternatives: str) -> Certificate:
        """A server's certificate for these hosts, such as `DNS:localhost` and `IP:127.0.0.1`."""
        return self._sign(name, f"subjectAltName={','.join(alternatives)}\nextendedKeyUsage=serverAuth\n")

    def client(self, name: str) -> Certificate:
        return self._sign(name, "extendedKeyUsage=clientAuth\n")

    def _sign(self, name: str, extensions: str) -> Certificate:
        made = self._paths(name)
        request, more = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        more.write_text(extensions)
        self._openssl(f"req {_NEW_KEY} -subj /CN={name} -keyout {made.key} -out {request}")
        self._openssl(
            f"x509 -req -days 2 -in {request} -CA {self._own.cert} -CAkey {self._own.key} -CAcreateserial"
            f" -extfile {more} -out {made.cert}"
        )
        return made

    def _paths(self, name: str) -> Certificate:
        return Certificate(self._folder / f"{name}.pem", self._folder / f"{name}.key")

    def _openssl(self, arguments: str) -> None:
        subprocess.run(["openssl", *arguments.split()], check=True, capture_output=True)
