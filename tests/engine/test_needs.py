"""Imports and definitions are put where a reader looks for them, once."""

from __future__ import annotations

import pytest

from clipcheck.edit import NeedDefinition, NeedImport, Replace
from tests.engine.rewriting import rewritten

IMPORTED = [
    ("import os\nx = 1\n", "import os\nimport keras\nx = 1\n"),
    ("import os  # why\nx = 1\n", "import os  # why\nimport keras\nx = 1\n"),
    ("import os", "import os\nimport keras"),
    ("import os\r\nx = 1\r\n", "import os\r\nimport keras\r\nx = 1\r\n"),
    ("import os, keras\n", "import os, keras\n"),
    ("import keras.layers\n", "import keras.layers\n"),
    ("import keras as k\n", "import keras as k\nimport keras\n"),
    ("import kerastuner\n", "import kerastuner\nimport keras\n"),
    ("from keras import ops\n", "from keras import ops\nimport keras\n"),
    ("try:\n    import keras\nexcept ImportError:\n    keras = None\n",) * 2,
    ("def f():\n    import keras\n", "import keras\n\n\ndef f():\n    import keras\n"),
    (
        "import os\ntry:\n    import a\nexcept ImportError:\n    a = None\n\nx = 1\n",
        "import os\ntry:\n    import a\nexcept ImportError:\n    a = None\nimport keras\n\nx = 1\n",
    ),
    (
        "import os\nif x:\n    import a\nelse:\n    import b\nx = 1\n",
        "import os\nif x:\n    import a\nelse:\n    import b\nimport keras\nx = 1\n",
    ),
    (
        'import os\nos.environ["A"] = "1"\nimport np\nx = 1\n',
        'import os\nos.environ["A"] = "1"\nimport np\nimport keras\nx = 1\n',
    ),
    ("import os\ndef f(): pass\nimport late\n", "import os\nimport keras\ndef f(): pass\nimport late\n"),
    (
        'import os\nif __name__ == "__main__":\n    import a\n',
        'import os\nimport keras\nif __name__ == "__main__":\n    import a\n',
    ),
    ("x = 1\n", "import keras\n\nx = 1\n"),
    ('"""Doc."""\n\nx = 1\n', '"""Doc."""\n\nimport keras\n\nx = 1\n'),
    ('"""Doc."""\nx = 1\n', '"""Doc."""\n\nimport keras\n\nx = 1\n'),
    ('"""Doc."""', '"""Doc."""\n\nimport keras'),
    ("from __future__ import annotations\n\nx = 1\n", "from __future__ import annotations\n\nimport keras\n\nx = 1\n"),
    (
        "#!/usr/bin/env python\n# coding: utf-8\nx = 1\n",
        "#!/usr/bin/env python\n# coding: utf-8\n\nimport keras\n\nx = 1\n",
    ),
    ("# License: MIT\n# by us\n\nx = 1\n", "# License: MIT\n# by us\n\nimport keras\n\nx = 1\n"),
    ("# about x\nx = 1\n", "import keras\n\n# about x\nx = 1\n"),
    ("#!python\n# about x\nx = 1\n", "#!python\n\nimport keras\n\n# about x\nx = 1\n"),
    ("\ufeffx = 1\n", "\ufeffimport keras\n\nx = 1\n"),
]


@pytest.mark.parametrize(("before", "after"), IMPORTED)
def test_a_module_is_imported(before: str, after: str) -> None:
    assert rewritten(before, lambda nodes: (NeedImport("keras"),)) == after


FROM_IMPORTED = [
    ("from keras import layers\n", "from keras import layers, ops\n"),
    ("from keras import layers  # why\n", "from keras import layers, ops  # why\n"),
    ("from keras import (layers)\n", "from keras import (layers, ops)\n"),
    ("from keras import (\n    a,\n    b,\n)\n", "from keras import (\n    a,\n    b,\n    ops,\n)\n"),
    (
        "from keras import (\n    a,  # the a\n    b  # the b\n)\n",
        "from keras import (\n    a,  # the a\n    b,  # the b\n    ops\n)\n",
    ),
    (
        "from keras import (a,\n                   b)\n",
        "from keras import (a,\n                   b,\n                   ops)\n",
    ),
    ("from keras import a, \\\n    b\n", "from keras import a, \\\n    b, ops\n"),
    ("from keras import layers, ops\n",) * 2,
    ("from keras import (\n    ops,\n)\n",) * 2,
    ("from keras import ops as ops\n",) * 2,
    ("from keras import ops as o\n", "from keras import ops as o, ops\n"),
    ("from keras import *\n", "from keras import *\nfrom keras import ops\n"),
    ("from .keras import a\n", "from .keras import a\nfrom keras import ops\n"),
    ("import keras\n", "import keras\nfrom keras import ops\n"),
    ("from keras import a; x = 1\n", "from keras import a, ops; x = 1\n"),
    (
        "import os\ndef f():\n    from keras import a\n",
        "import os\nfrom keras import ops\ndef f():\n    from keras import a\n",
    ),
    (
        "try:\n    from keras import a\nexcept ImportError:\n    from tf.keras import a\n",
        "try:\n    from keras import a\nexcept ImportError:\n    from tf.keras import a\nfrom keras import ops\n",
    ),
]


@pytest.mark.parametrize(("before", "after"), FROM_IMPORTED)
def test_a_name_is_imported(before: str, after: str) -> None:
    assert rewritten(before, lambda nodes: (NeedImport("keras", "ops"),)) == after


CLASS = "class C(Base):\n    def f(self):\n        return 1\n"

DEFINED = [
    ("import os\n\nx = 1\n", "import os\n\n\n" + CLASS + "\n\nx = 1\n"),
    ("import os\n\n\nx = 1\n", "import os\n\n\n" + CLASS + "\n\nx = 1\n"),
    ("import os\nx = 1\n", "import os\n\n\n" + CLASS + "\n\nx = 1\n"),
    ("import os\n", "import os\n\n\n" + CLASS),
    ('"""Doc."""\nx = 1\n', '"""Doc."""\n\n\n' + CLASS + "\n\nx = 1\n"),
    ("x = 1\n", CLASS + "\n\nx = 1\n"),
    ("import os\nclass C: pass\n",) * 2,
    ("import os\n\nif x:\n\ty()\n", "import os\n\n\n" + CLASS.replace("    ", "\t") + "\n\nif x:\n\ty()\n"),
]


@pytest.mark.parametrize(("before", "after"), DEFINED)
def test_a_class_is_defined(before: str, after: str) -> None:
    assert rewritten(before, lambda nodes: (NeedDefinition("C", CLASS),)) == after


def test_imports_come_before_what_needs_them() -> None:
    edits = lambda nodes: (NeedDefinition("C", CLASS), NeedImport("keras"), NeedImport("m", "a"), NeedImport("m", "b"))  # noqa: E731
    imports = "import keras\nfrom m import a, b\n"
    assert rewritten("import os\n\nx = 1\n", edits) == f"import os\n{imports}\n\n{CLASS}\n\nx = 1\n"
    assert rewritten("x = 1\n", edits) == f"{imports}\n\n{CLASS}\n\nx = 1\n"
    assert rewritten("# by us\n\nx = 1\n", edits) == f"# by us\n\n{imports}\n\n{CLASS}\n\nx = 1\n"


def test_they_come_before_their_first_use() -> None:
    before = "import os\nx = old()\nimport late\ny = old()\n"
    after = rewritten(before, lambda nodes: (NeedImport("keras"), Replace(nodes.call("old"), "keras.new()")))
    assert after == "import os\nimport keras\nx = keras.new()\nimport late\ny = old()\n"


def test_what_several_fixes_need_comes_once() -> None:
    def fix(nth: int):  # type: ignore[no-untyped-def]
        return lambda nodes: (
            NeedImport("keras"),
            NeedDefinition("C", CLASS),
            Replace(nodes.call("old", nth), "C()"),
        )

    after = rewritten("import os\nx = old()\ny = old()\n", fix(0), fix(1))
    assert after == f"import os\nimport keras\n\n\n{CLASS}\n\nx = C()\ny = C()\n"


def test_a_fix_waits_that_would_bring_the_same_to_another_place() -> None:
    def fix(nth: int):  # type: ignore[no-untyped-def]
        return lambda nodes: (NeedImport("keras"), Replace(nodes.call("old", nth), "keras.new()"))

    after = rewritten("import os\nx = old()\nimport late\ny = old()\n", fix(0), fix(1))
    assert after == "import os\nimport keras\nx = keras.new()\nimport late\ny = old()\n"


def test_a_fix_waits_that_touches_the_same_text() -> None:
    def fix(code: str):  # type: ignore[no-untyped-def]
        return lambda nodes: (Replace(nodes.call("old"), code),)

    assert rewritten("x = old()\n", fix("a"), fix("b")) == "x = a\n"
    assert rewritten("x = old()\n", fix("a"), fix("a")) == "x = a\n"


def test_new_text_has_the_line_ends_of_the_file() -> None:
    after = rewritten("import os\r\n\r\nx = 1\r\n", lambda nodes: (NeedDefinition("C", CLASS),))
    assert after == f"import os\n\n\n{CLASS}\n\nx = 1\n".replace("\n", "\r\n")


def test_nothing_is_needed_twice() -> None:
    edits = lambda nodes: (NeedImport("keras"), NeedImport("keras"))  # noqa: E731
    assert rewritten("import os\n", edits) == "import os\nimport keras\n"
