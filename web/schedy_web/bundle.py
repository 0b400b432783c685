"""The modules of the pages as one file: a browser waits once for it, not once for each module.

Each module becomes a function that is called once and returns what it exports, after those that it imports. So
modules import and export by name, nothing by default or all at once, and not each other in a circle.
"""

import os.path
import re
from pathlib import Path

_IMPORT = re.compile(r"^import \{([^}]*)\} from \"([^\"]+)\";\n", re.MULTILINE)
_PASSED_ON = re.compile(r"^export \{([^}]*)\} from \"([^\"]+)\";\n", re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:async )?(?:function|class|const) (\w+))", re.MULTILINE)
_OTHER = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


class BundleError(Exception):
    """An import or export cannot be bundled."""


def bundle(main: Path) -> str:
    """Return one module that does what `main` does, for a file beside it.

    Files outside the folder of `main` are imported by the bundle, as they are. Raises BundleError.
    """
    made = _Bundle(main.parent)
    made.name_of(main)
    return made.text


class _Bundle:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: dict[str, str] = {}
        """Of what is in the text, by address from the folder."""
        self._begun: list[str] = []
        self._imports: list[str] = []
        self._bodies: list[str] = []

    @property
    def text(self) -> str:
        return "".join([*self._imports, *self._bodies])

    def name_of(self, path: Path) -> str:
        """Return the name that a file's exports have in the text; adds the file if it is not there yet."""
        address = os.path.relpath(path, self._folder)
        if address in self._begun:
            raise BundleError(f"Modules import each other: {' -> '.join([*self._begun, address])}.")
        if address not in self._names:
            self._names[address] = f"$${len(self._names)}_{re.sub(r'[^a-z]', '_', path.stem)}"
            if address.startswith(".."):
                self._imports.append(f'import * as {self._names[address]} from "{address}";\n')
            else:
                self._begun.append(address)
                body = self._body_of(path)
                self._begun.pop()
                self._bodies.append(f"// {address}\nconst {self._names[address]} = (() => {{\n{body}}})();\n")
        return self._names[address]

    def _body_of(self, path: Path) -> str:
        exports: list[str] = []

        def _imported(found: re.Match[str]) -> str:
            names = found[1].replace(" as ", ": ")
            return f"const {{{names}}} = {self.name_of(path.parent / found[2])};\n"

        def _passed_on(found: re.Match[str]) -> str:
            name = self.name_of(path.parent / found[2])
            for each in filter(None, map(str.strip, found[1].split(","))):
                inside, _, outside = each.partition(" as ")
                exports.append(f"{outside or inside}: {name}.{inside}")
            return "\n" * found[0].count("\n")

        def _exported(found: re.Match[str]) -> str:
            exports.append(found[2])
            return found[1]

        body = _IMPORT.sub(_imported, path.read_text())
        body = _EXPORT.sub(_exported, _PASSED_ON.sub(_passed_on, body))
        other = _OTHER.search(body)
        if other:
            raise BundleError(f"{path.name} has an import or export of another kind: {other[0]}")
        return f"{body}return {{ {', '.join(exports)} }};\n"
