"""`keras.backend.clip` does not exist in Keras 3.

## What it does
Finds the uses of `clip` from `keras.backend`, called or handed on, and the imports that name it.

## Why it is wrong
Keras 3 removed the tensor functions of `keras.backend`: `K.clip` raises an AttributeError when the line runs, which
for a constraint or a loss is in the middle of the first training step.

## Example
```python
from keras import backend as K

def clipped(x):
    return K.clip(x, -1.0, 1.0)
```

## Use instead
```python
from keras import ops

def clipped(x):
    return ops.clip(x, -1.0, 1.0)
```

## Fix
Writes `keras.ops.clip` in its place, in the file's own import style, and renames the keywords `min_value=` and
`max_value=`. `from keras.backend import clip` becomes `from keras.ops import clip`. Safe: under Keras 3 the line raised
before. Other functions of `keras.backend` are left alone.

## Not flagged
`tensorflow.keras.backend.clip` and `tf_keras`, which still have it, as the backends inside Keras do (`keras.src`);
names that an `if` or a `try` may import from there; files whose target is Keras 2.

## Sources
https://keras.io/guides/migrating_to_keras_3/
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from clipcheck.edit import Edit, Fix, NeedImport, Replace, safe
from clipcheck.finding import Finding
from clipcheck.model.code import Call
from clipcheck.model.script import Script
from clipcheck.model.uses import ApiImport, ApiUse
from clipcheck.outline import Outline
from clipcheck.outline.classes import imports
from clipcheck.rule import Rule, note

_API = "keras.backend.clip"
_IMPORT_ERROR = "Keras 3 has no tensor functions in `keras.backend` any more: the import raises an ImportError."
_KERAS = re.compile(rb"(?:\bfrom|\bimport|,)\s+keras\b(?!\s*\.\s*src\b)")  # inside, it has a clip
_BROUGHT = re.compile(rb"\bbackend\b.*\bimport\b.*(?:\bclip\b|\*)", re.DOTALL)
_NAME = re.compile(rb"\b[A-Za-z_]\w*\b(?!\s*\.)")
_KEYWORDS = {"min_value": "x_min", "max_value": "x_max"}


class RemovedBackendClip(Rule):
    code = "CLP601"
    name = "removed-backend-clip"
    screen = (rb"clip", rb"backend", rb"keras")
    why = (
        "Keras 3 has no tensor functions in `keras.backend` any more: the line raises an AttributeError when it runs, "
        "in a constraint or a loss in the middle of the first training step."
    )
    advice = "Use `keras.ops.clip`, which works on every backend."

    def candidate(self, outline: Outline) -> bool:
        statements = [each for each in imports(outline) if _KERAS.search(each)]
        if any(_BROUGHT.search(each) for each in statements):
            return True
        if not statements or not outline.has(_CLIP):
            return False
        modules = outline.aliases(frozenset({"backend", *(name for each in statements for name in _modules(each))}))
        brought = outline.aliases(frozenset(word for each in statements for word in _brought(each)))
        return any(words[0] in brought and not modules.isdisjoint(words) for words in _owners(outline))

    def check(self, script: Script) -> Iterator[Finding]:
        if script.targets.keras_2:
            return
        imports = [i for i in script.all(ApiImport) if i.api == _API and not i.is_version_dependent]
        imports = [i for i in imports if _is_public(i.module)]
        by_import = {use.code: imported for imported in imports for use in imported.uses}
        for imported in imports:
            if not imported.uses:
                message = f"`{imported.module}` has no `clip` in Keras 3"
                yield self.finding(imported.original, message, why=_IMPORT_ERROR, fix=self.rewritten_import(imported))
        for use in script.all(ApiUse):
            if use.api != _API or use.is_version_dependent or not all(map(_is_public, use.origins)):
                continue
            message = f"`{use.code.words}` does not exist in Keras 3"
            brought = by_import.get(use.code)
            if brought is None:
                yield self.finding(use.code, message, fix=self.rewritten(use))
            else:
                evidence = [note(brought.original, "this import raises an ImportError")]
                fix = self.rewritten_import(brought)
                yield self.finding(use.code, message, evidence=evidence, why=_IMPORT_ERROR, fix=fix)

    def rewritten(self, use: ApiUse) -> Fix:
        spelling = use.code.spell("keras.ops.clip")
        return safe(
            f"Replace `{use.code.words}` with `{spelling.text}`",
            Replace(use.code.node, spelling.text),
            *_renamed_keywords(use.call),
            *(NeedImport(module, name) for module, name in spelling.imports),
        )

    def rewritten_import(self, imported: ApiImport) -> Fix:
        clip = f"clip as {imported.bound}" if imported.bound != "clip" else "clip"
        lines = [f"from keras.ops import {clip}"]
        if imported.others:
            lines.insert(0, f"from {imported.module} import {', '.join(imported.others)}")
        return safe(
            "Import `clip` from `keras.ops`",
            Replace(imported.statement.node, "\n".join(lines)),
            *(edit for use in imported.uses for edit in _renamed_keywords(use.call)),
        )


def _is_public(name: str) -> bool:
    """Whether a name is Keras's own for others: inside, in `keras.src`, the backends still have a `clip`."""
    return name.startswith("keras.") and not name.startswith("keras.src.")


def _renamed_keywords(call: Call | None) -> list[Edit]:
    """`keras.ops.clip` calls its bounds `x_min` and `x_max`."""
    arguments = call.arguments if call is not None else ()
    return [
        Replace(argument.label.node, _KEYWORDS[argument.label.text])
        for argument in arguments
        if argument.label is not None and argument.label.text in _KEYWORDS
    ]


_CLIP = rb"\.\s*clip\b"
_OWNER = re.compile(rb"(?:\w+\s*\.\s*)*\w+\s*\Z")
_FAR = 200


def _modules(statement: bytes) -> list[str]:
    """What an import brings from within a backend, which may be a module again: `tensorflow_backend as K`."""
    module, _, names = statement.partition(b"import")
    is_within = b"backend" in (module if module.strip() else names)
    return [name.decode() for name in _NAME.findall(names)] if is_within else []


def _brought(statement: bytes) -> list[str]:
    """Every word of an import, among them the names that it binds; `*` may bring the backend."""
    return ["backend"] * (b"*" in statement) + [word.decode() for word in re.findall(rb"\w+", statement)]


def _owners(outline: Outline) -> Iterator[list[str]]:
    """The names that a `clip` is looked up by: `["keras", "backend"]`."""
    for found in outline.finditer(_CLIP):
        owner = _OWNER.search(outline.data, max(0, found.start() - _FAR), found.start())
        if owner is not None:
            yield [word.decode(errors="replace") for word in re.findall(rb"\w+", owner[0])]
