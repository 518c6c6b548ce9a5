"""What is clipped is not what the optimizer steps, or no parameters at all.

## What it does
Finds gradient clips that are given `p.grad` tensors, values of `state_dict()`, `named_parameters()`, a module, an
optimizer or its `param_groups` instead of parameters; and clips of one model's gradients before the step of another
model's optimizer, where the file shows which optimizer owns which.

## Why it is wrong
`clip_grad_norm_` wants parameters and looks at the `.grad` of each. Gradients and the tensors of a state dict are
tensors too, but have no `.grad`: they are left out silently. The others raise an error. A clip of another model's
parameters leaves the gradients of the step as they are.

## Example
```python
critic_loss.backward()
torch.nn.utils.clip_grad_norm_([p.grad for p in critic.parameters()], 1.0)
critic_optimizer.step()
```

## Use instead
```python
critic_loss.backward()
torch.nn.utils.clip_grad_norm_(critic.parameters(), 1.0)
critic_optimizer.step()
```

## Fix
Hands over the parameters. Safe where the call raised, unsafe where it silently clipped nothing. Another model's
parameters are left to the reader.

## Not flagged
`nn.ParameterList`; `param_groups` of which `group["params"]` is taken; `accelerator` and `fabric` methods that take a
model; parts of what an optimizer steps; clips of several models before the steps of several optimizers; optimizers
whose parameters the file does not show.

## Sources
https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from clipcheck.edit import Fix, Replace, safe, unsafe
from clipcheck.finding import Finding
from clipcheck.frameworks import OPTIMIZERS
from clipcheck.frameworks.names import last_names
from clipcheck.model.gradients import MisdirectedClip, NotParameters
from clipcheck.model.script import Script
from clipcheck.model.steps import Action, Event, Occurrence, TrainingStep, occurrences, shown
from clipcheck.outline import Outline, Site, last_name
from clipcheck.outline.order import gradient_clips, has_one_optimizer, meets
from clipcheck.outline.origins import given, parts
from clipcheck.outline.shapes import names_in
from clipcheck.rule import Rule, note

_SILENT = "Tensors that have no `.grad` of their own are left out without a word: nothing is clipped."
_RAISES = "The function goes through parameters and looks at the `.grad` of each; anything else raises an error."
_WHAT = {
    NotParameters.GRADIENTS: "gradients",
    NotParameters.STATE: "detached copies of the weights",
    NotParameters.BUFFERS: "buffers (they have no gradients)",
    NotParameters.STATE_DICT: "a state dict",
    NotParameters.NAMED: "pairs of names and parameters",
    NotParameters.MODULE: "a module",
    NotParameters.MODULES: "modules",
    NotParameters.OPTIMIZER: "an optimizer",
    NotParameters.GROUPS: "groups of parameters (dicts)",
    NotParameters.GROUP: "a group of parameters (a dict)",
}


class WrongClipTarget(Rule):
    code = "CLP209"
    name = "wrong-clip-target"
    screen = (rb"clip|clamp", rb"clip_|grad")
    why = "The clip changes gradients that this step does not use, and leaves those that it uses as they are."
    advice = "Clip the gradients of the parameters that the next step updates."

    def candidate(self, outline: Outline) -> bool:
        sites = gradient_clips(outline)
        return any(_may_be_wrong(site, outline) or _may_be_of_other(site, outline) for site in sites)

    def check(self, script: Script) -> Iterator[Finding]:
        for wrong in script.all(MisdirectedClip):
            yield self.of_target(wrong)
        for clips in occurrences(script.all(TrainingStep), Action.CLIP_GRADIENTS):
            stories = [story for clip in clips if (story := self.other_step(clip, script)) is not None]
            if len(stories) == len(clips):
                yield self.of_other_model(clips[0], *stories[0])

    def of_target(self, wrong: MisdirectedClip) -> Finding:
        if wrong.kind is NotParameters.WRONG_KEY:
            message = f'The groups of an optimizer have no key `{wrong.what.text}`: the parameters are in `"params"`'
        else:
            message = f"`{wrong.clip.words}` is given {_WHAT[wrong.kind]} instead of parameters"
        return self.finding(
            wrong.what if wrong.kind is NotParameters.WRONG_KEY else wrong.clip,
            message,
            why=_SILENT if wrong.is_silent else _RAISES,
            advice="Hand over the parameters: `model.parameters()`.",
            fix=_fix(wrong),
        )

    def other_step(self, clip: Occurrence, script: Script) -> tuple[Event, Event | None] | None:
        """The step of another model's optimizer that a clip comes before, and what throws away what it has clipped."""
        follows = clip.graph.next(clip.event, *_USES)
        precede = clip.graph.previous(clip.event, *_USES)
        is_between = {e.action for e in precede} == {Action.BACKWARD} and [e.action for e in follows] == [Action.STEP]
        model, owners = clip.event.model, clip.step.owners
        if not is_between or model is None or clip.step.concerns(clip.event, follows[0]) is not False:
            return None
        others = {other for models in owners.values() for other in models if other != model}
        if not all(_separate(script, model, other) for other in others):
            return None
        if any(model in models for models in owners.values()):
            own = clip.next(Action.ZERO_GRAD, Action.STEP, Action.UNKNOWN)
            is_lost = bool(own) and all(event.action is Action.ZERO_GRAD for event in own)
            return (follows[0], own[0]) if is_lost else None
        return (follows[0], None) if clip.step.optimizers <= owners.keys() else None

    def of_other_model(self, clip: Occurrence, step: Event, renewal: Event | None) -> Finding:
        stepped = " and ".join(f"`{shown(model)}`" for model in sorted(clip.step.owners[step.optimizer or ""]))
        evidence = [note(step.code, "this update is made with gradients that nothing has clipped")]
        if renewal is not None:
            evidence.append(note(renewal.code, "the clipped gradients are thrown away here"))
        clipped = shown(clip.event.model or "")
        return self.finding(
            clip.event.code,
            f"`{clip.event.words}` clips the gradients of `{clipped}`, but {step.told} updates {stepped}",
            evidence=evidence,
        )


_USES = (Action.STEP, Action.ZERO_GRAD, Action.BACKWARD, Action.UNSCALE, Action.CLIP_GRADIENTS, Action.UNKNOWN)


def _separate(script: Script, *models: str) -> bool:
    """Whether two models are made each by a call of its own, neither of which is told of the other."""
    names = [_name(model) for model in models]
    if len(set(names)) < len(names):  # `wrapper.model` may well be the `model` that the wrapper was given
        return False
    made = {name: [c for c in script.calls if (to := c.assigned_to) and _name(to.text) == name] for name in names}
    told = (call for name in names for call in made[name] for other in names if other != name and other in call.text)
    return all(made.values()) and all(call.callee.name == "copy.deepcopy" for call in told)


def _name(key: str) -> str:
    return key.rpartition(".")[2]


def _fix(wrong: MisdirectedClip) -> Fix | None:
    if wrong.remedy is None:
        return None
    fix = unsafe if wrong.is_silent else safe
    return fix("Hand over the parameters", Replace(wrong.remedy.place.node, wrong.remedy.code))


_MODEL = rb"\.\s*(?:named_)?parameters\s*\("
_OPTIMIZERS = rb"\b(\w*(?:[oO]ptim|[aA]dam|SGD|RMSprop|Adafactor|Prodigy)\w*)\s*\("
_CLIPS = frozenset({"clip_grad_norm_", "clip_grad_value_", "clip_grad_norm"})
_ANNOTATED = rb"\b%s\s*:\s*[\"']?[\w.]+[\"']?\s*[,)=#\n]"
_MAKERS = last_names(OPTIMIZERS)
_TF = rb"tensorflow|keras"
_LISTERS = frozenset({"list", "tuple", "filter", "chain", "iter", "sorted", "set"})


def _may_be_wrong(site: Site, outline: Outline) -> bool:
    """Whether what is clipped may be something else than parameters."""
    target = site.argument(0, "parameters") if site.name in outline.aliases(_CLIPS) else None
    return target is not None and _is_strange(target, outline, set())


def _is_strange(node: ast.expr, outline: Outline, seen: set[str]) -> bool:
    if isinstance(node, ast.Call):
        name = last_name(node.func)
        if name in _LISTERS and node.args:
            return any(_is_strange(argument, outline, seen) for argument in node.args)
        return name != "parameters"
    if isinstance(node, (ast.Name, ast.Attribute)):
        name = last_name(node)
        if name in seen:
            return False
        values = given(outline, name)
        if not values:
            return name == "self" or outline.has(_ANNOTATED % name.encode())
        return any(_is_strange(value, outline, seen | {name}) for value in values)
    if isinstance(node, ast.IfExp):
        return any(_is_strange(branch, outline, seen) for branch in (node.body, node.orelse))
    if isinstance(node, ast.BinOp):
        return any(_is_strange(side, outline, seen) for side in (node.left, node.right))
    if isinstance(node, (ast.ListComp, ast.GeneratorExp)) and isinstance(node.elt, ast.Name):
        names = names_in(*(each.target for each in node.generators))
        return node.elt.id not in names or any(_is_strange(each.iter, outline, seen) for each in node.generators)
    return not isinstance(node, (ast.Constant, ast.Lambda)) and not _is_list_of_group(node)


def _is_list_of_group(node: ast.expr) -> bool:
    """`optimizer.param_groups[0]["params"]`."""
    if not isinstance(node, ast.Subscript) or not isinstance(node.value, ast.Subscript):
        return False
    is_list = isinstance(node.slice, ast.Constant) and node.slice.value == "params"
    return is_list and last_name(node.value.value) == "param_groups"


def _may_be_of_other(site: Site, outline: Outline) -> bool:
    """Whether the next step may update another model than the one that is clipped."""
    target = site.argument(0, "parameters")
    if len(outline.before(_MODEL)) < 2 or target is None or not meets(site, outline, "backward", "step"):
        return False
    if not outline.has(_TF) and not any(outline.call_places(_MAKERS)):
        return False  # whose the optimizer is, only the call that makes it tells
    makers = outline.calls(outline.found(_OPTIMIZERS))
    trained = {name for call in makers for argument in call.call.args for name in _models(argument, outline)}
    return len(makers) > 1 or not has_one_optimizer(outline) or not _models(target, outline) <= trained


def _models(node: ast.expr, outline: Outline) -> set[str]:
    """The names of what parameters are taken from."""
    called = (part.func for part in parts(outline, node) if isinstance(part, ast.Call))
    return {last_name(f.value) for f in called if isinstance(f, ast.Attribute) and f.attr == "parameters"}
