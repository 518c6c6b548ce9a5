"""`torch.nn.utils.clip_grad_norm` is the deprecated name of `clip_grad_norm_`.

## What it does
Finds the uses and imports of torch's `clip_grad_norm`, without the underscore.

## Why it is wrong
It has been deprecated since PyTorch 0.4: each call prints a FutureWarning, and a later release may drop the name. It
changes the gradients in place, which the name with the underscore says.

## Example
```python
loss.backward()
torch.nn.utils.clip_grad_norm(model.parameters(), 0.25)
optimizer.step()
```

## Use instead
```python
loss.backward()
torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
optimizer.step()
```

## Fix
Writes the name with the underscore, in the import too; a name given with `as` stays. Safe: both do the same.

## Not flagged
Methods and functions of that name that are not torch's, such as those of fairseq's optimizers.

## Sources
https://pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html
"""

from __future__ import annotations

from collections.abc import Iterator

from clipcheck.edit import Fix, Replace, safe
from clipcheck.finding import Finding
from clipcheck.model.script import Script
from clipcheck.model.uses import ApiImport, ApiUse
from clipcheck.rule import Rule, Severity, note

_API = "torch.nn.utils.clip_grad_norm"


class DeprecatedClipGradNorm(Rule):
    code = "CLP602"
    name = "deprecated-clip-grad-norm"
    screen = (rb"clip_grad_norm", rb"\bclip_grad_norm\b")
    severity = Severity.WARNING
    why = (
        "`clip_grad_norm` has been a deprecated alias since PyTorch 0.4: every call warns, and a later release may "
        "drop it. It clips in place, which is what the underscore of `clip_grad_norm_` says."
    )
    advice = "Call `clip_grad_norm_`, which does the same."

    def check(self, script: Script) -> Iterator[Finding]:
        imports = [i for i in script.all(ApiImport) if i.api == _API and not i.is_version_dependent]
        by_import = {use.code: imported for imported in imports for use in imported.uses}
        for imported in imports:
            if not imported.uses:
                message = "`clip_grad_norm` is deprecated in torch"
                yield self.finding(imported.original, message, fix=self.renamed_import(imported))
        for use in script.all(ApiUse):
            if use.api != _API or use.is_version_dependent:
                continue
            brought = by_import.get(use.code)
            yield self.finding(
                use.code,
                f"`{use.code.words}` is deprecated in torch",
                evidence=[note(brought.original, "imported here")] if brought else (),
                fix=self.renamed_import(brought) if brought else self.renamed(use),
            )

    def renamed(self, use: ApiUse) -> Fix | None:
        if not use.code.text.endswith("clip_grad_norm"):  # a name of the file's own: `clip = torch.nn.utils.…`
            return None
        return safe(f"Call `{use.code.words}_`", Replace(use.code.node, f"{use.code.text}_"))

    def renamed_import(self, imported: ApiImport) -> Fix:
        uses = imported.uses if imported.bound == "clip_grad_norm" else ()
        return safe(
            "Import `clip_grad_norm_`",
            Replace(imported.original.node, "clip_grad_norm_"),
            *(Replace(use.code.node, "clip_grad_norm_") for use in uses),
        )
