"""The modules of the pages become one file."""

from pathlib import Path

import pytest

import schedy_web
from schedy_web.bundle import BundleError, bundle

PAGES = Path(schedy_web.__file__).parent / "static" / "js" / "main.js"


def write(folder: Path, **modules: str) -> Path:
    for name, text in modules.items():
        (folder / f"{name}.js").write_text(text)
    return folder / "main.js"


def test_modules_come_after_those_that_they_import(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        main='import { a as b, C } from "./one.js";\nimport { f } from "../other.js";\nb(C, f);\n',
        one='export { default as d } from "../other.js";\nimport { x } from "./two.js";\n'
        "export function a() {}\nexport class C {}\n",
        two="export const x = 1;\n",
    )
    made = bundle(main).splitlines()
    assert made[0] == 'import * as $$3_other from "../other.js";'
    assert [line for line in made if line.startswith("//")] == ["// two.js", "// one.js", "// main.js"]
    assert "const { a: b, C } = $$1_one;" in made
    assert "const { f } = $$3_other;" in made
    assert "return { d: $$3_other.default, a, C };" in made


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("export default 1;\n", "main.js has an import or export of another kind: export default 1;"),
        ('import * as all from "./one.js";\n', "of another kind"),
        ('import { a } from "./one.js";\n', "Modules import each other: main.js -> one.js -> main.js."),
    ],
)
def test_what_cannot_be_bundled_is_refused(tmp_path: Path, text: str, words: str) -> None:
    main = write(tmp_path, main=text, one='import { b } from "./main.js";\nexport const a = 1;\n')
    with pytest.raises(BundleError, match=words):
        bundle(main)


def test_the_pages_are_one_file_and_the_libraries_of_others() -> None:
    lines = bundle(PAGES).splitlines()
    assert len([line for line in lines if line.startswith("import ")]) == 2
    assert not [line for line in lines if line.startswith("export ")]
