"""`torch.nn.utils.clip_grad_*` is called past the trainer that owns the gradients.

## What it does
Finds torch's own clips on gradients that Accelerate, DeepSpeed, FSDP, Fabric or Lightning has scaled, sharded or not
computed yet.

## Why it is wrong
These trainers keep the gradients in a shape of their own. Under Accelerate with fp16 they are multiplied by the loss
scale until the step. Under FSDP each process holds a shard, and the norm of a shard is not the norm of the gradient:
every process scales by another factor. DeepSpeed keeps them in buffers that the parameters do not show. Lightning runs
the backward pass after `training_step` has returned. The clip then does too much, too little, or nothing.

## Example
```python
accelerator.backward(loss)
torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
optimizer.step()
```

## Use instead
```python
accelerator.backward(loss)
accelerator.clip_grad_norm_(model.parameters(), 1.0)
optimizer.step()
```

## Fix
Accelerate: `accelerator.clip_grad_norm_`, which does the same and unscales or gathers first. Safe: without a scaler and
shards nothing changes. `accelerator.clip_grad_value_` is unsafe: launched with FSDP or DeepSpeed it raises. FSDP:
`model.clip_grad_norm_(…)`, unsafe, because what is trained changes. Fabric: `fabric.clip_gradients(…)`, unsafe too.
Manual for DeepSpeed (`"gradient_clipping"` in its configuration) and Lightning (`gradient_clip_val=` of the Trainer).

## Not flagged
FSDP 2 (`fully_shard`), which is right with torch's clip, and clips by value under FSDP; DeepSpeed in full precision
without ZeRO; gradients that were unscaled before; Lightning's manual optimization and its hooks
`on_before_optimizer_step` and `configure_gradient_clipping`; Fabric in full precision on whole gradients; a threshold
of infinity, which only measures.

## Sources
https://huggingface.co/docs/accelerate/package_reference/accelerator#accelerate.Accelerator.clip_grad_norm_
https://docs.pytorch.org/docs/stable/fsdp.html
https://www.deepspeed.ai/docs/config-json/#gradient-clipping
"""

from __future__ import annotations

from collections.abc import Iterator

from clipcheck.edit import Fix, Replace, safe, unsafe
from clipcheck.finding import Finding
from clipcheck.model.script import Script
from clipcheck.model.trainers import BypassedClip
from clipcheck.outline import Outline
from clipcheck.rule import Rule, note

_WHY = {
    "Accelerate": "Accelerate may have scaled the gradients (fp16) or sharded them (FSDP, DeepSpeed), as the launch "
    "configuration says. torch's clip compares them as they lie there with the threshold.",
    "DeepSpeed": "The engine keeps the gradients in buffers of its own, scaled and partitioned. What torch's clip "
    "changes, if it finds anything, is not what the engine's step uses.",
    "FSDP": "Each process holds a shard of the gradient. torch's clip takes the norm of that shard for the whole norm: "
    "the clip is too weak, and another one on each process.",
    "Fabric": "With this precision or strategy Fabric scales or shards the gradients: their norm is not what the "
    "threshold was chosen for.",
    "Lightning": "With automatic optimization Lightning zeroes the gradients and runs the backward pass after "
    "`training_step` has returned: the clip sees old gradients, or none.",
}
_ADVICE = {
    "Accelerate": "Call the accelerator's own clip, which unscales and gathers first.",
    "DeepSpeed": 'Set `"gradient_clipping"` in the DeepSpeed configuration: the engine clips before its step.',
    "FSDP": "Call the wrapped model's own `clip_grad_norm_`, which reduces the norm over all processes.",
    "Fabric": "Call `fabric.clip_gradients`, which unscales and gathers first.",
    "Lightning": "Give the Trainer `gradient_clip_val=`, or clip in the hook `on_before_optimizer_step`.",
}
_OWNS = {
    "FSDP": "the model is sharded here",
    "Lightning": "Lightning runs the backward pass after this method",
}


class FrameworkClipBypassed(Rule):
    code = "CLP210"
    name = "framework-clip-bypassed"
    screen = (
        rb"clip_grad",
        rb"accelerator|Accelerator|deepspeed|Fabric|FullyShardedDataParallel|LightningModule",
    )
    why = "The trainer keeps the gradients in a shape of its own: what torch's clip sees is not what the step uses."
    advice = "Use the trainer's own clip."

    def candidate(self, outline: Outline) -> bool:
        if not any(map(outline.has, (_SHARDED, _AUTOMATIC, _ENGINE))) and not _may_be_handed_loss(outline):
            return False
        sites = outline.calls({"clip_grad_norm_", "clip_grad_norm", "clip_grad_value_"})
        return any(site.receiver is None or site.root in outline.imported for site in sites)

    def check(self, script: Script) -> Iterator[Finding]:
        for clip in script.all(BypassedClip):
            yield self.finding(
                clip.clip,
                _message(clip),
                why=_WHY[clip.trainer],
                advice=_ADVICE[clip.trainer],
                evidence=[note(clip.owner, _OWNS.get(clip.trainer, "the gradients come from this"))],
                fix=_fix(clip),
            )


def _message(clip: BypassedClip) -> str:
    words = f"`{clip.clip.words}`"
    if clip.trainer == "Lightning":
        return f"{words} runs before the backward pass of its step, which Lightning does"
    if clip.trainer == "FSDP":
        return f"{words} takes the norm of this process's shard for the norm of the whole gradient"
    return f"{words} clips past {clip.trainer}, which owns the gradients (`{clip.owner.words}`)"


def _fix(clip: BypassedClip) -> Fix | None:
    if not clip.instead:
        return None
    new = clip.instead[0][1]
    make = safe if clip.trainer == "Accelerate" and not new.endswith("_value_") else unsafe
    return make(f"Use `{new}`", *(Replace(code.node, text) for code, text in clip.instead))


_SHARDED, _AUTOMATIC, _ENGINE = rb"FullyShardedDataParallel", rb"LightningModule", rb"deepspeed"


def _may_be_handed_loss(outline: Outline) -> bool:
    """Whether an accelerator or a Fabric may run the backward pass of a loss."""
    return outline.has(rb"accelerator|Accelerator|Fabric") and outline.has(rb"\.\s*backward\s*\(\s*[^\s)]")
