"""What the live object of a claim stands for: parameters, and their names."""

from __future__ import annotations

import gc
import inspect
import re
import sys
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import repeat
from types import GeneratorType
from typing import Any, TypeAlias

import torch
from msgspec import Struct
from msgspec.structs import replace
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.nn.utils.parametrize import ParametrizationList
from torch.optim import Optimizer
from torch.utils.weak import TensorWeakRef

from clipcheck.verify.child.session import Limits
from clipcheck.verify.child.torch_aside import local
from clipcheck.verify.child.torch_looks import Item
from clipcheck.verify.child.torch_steps import parameters_of

Leaf: TypeAlias = "nn.Module | Optimizer | torch.Tensor"
Named: TypeAlias = "tuple[str, torch.Tensor, Callable[[torch.Tensor], torch.Tensor]]"
"""A parameter, its name, and how what is meant by it is read."""

_WRAPPER = re.compile(r"\b(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module)\.")
_PARAMETERS = {inspect.unwrap(method).__code__ for method in (nn.Module.parameters, nn.Module.named_parameters)}
_CLIPS = re.compile(r"clamp|clip|hardtanh|minimum|maximum")


def leaves(subject: object) -> Iterator[Leaf]:
    """The modules, optimizers and parameters in what a note hands over. An iterator of the script's is not advanced."""
    if isinstance(subject, nn.Module):
        yield unwrapped(subject)
    elif isinstance(subject, Optimizer):
        yield subject
    elif isinstance(subject, torch.Tensor):
        if isinstance(subject, nn.Parameter) or (subject.is_leaf and subject.requires_grad):
            yield subject
    elif isinstance(subject, Mapping):
        yield from leaves(list(subject.values()))
    elif isinstance(subject, (list, tuple, set, frozenset)):
        for element in subject:
            yield from leaves(element)
    elif isinstance(subject, GeneratorType):
        yield from _of_generator(subject)
    elif isinstance(subject, filter):  # `filter(lambda p: p.requires_grad, model.parameters())`
        reduced: Any = subject.__reduce__()
        wanted, iterator = reduced[1]
        modules = [leaf for leaf in leaves(iterator) if isinstance(leaf, nn.Module)]
        yield from (each for module in modules for each in module.parameters() if wanted is None or wanted(each))


def unwrapped(module: nn.Module) -> nn.Module:
    """The script's own module in what `torch.compile`, `DistributedDataParallel` … have made of it."""
    while True:
        if isinstance(module, (DataParallel, DistributedDataParallel)):
            module = module.module
        elif isinstance(inner := getattr(module, "_orig_mod", None), nn.Module):
            module = inner
        else:
            return module


class Source(Struct, frozen=True):
    """A leaf that a claim was bound to, and whose parameters are meant by it. Neither is kept alive."""

    bound: Callable[[], Leaf | None]
    meant: Callable[[], Leaf | None]
    limits: Limits


class Sources:
    """All that a claim was bound to.

    name: what the claim calls its subject. globs: of the names that are meant; all if there are none. as_bound: a
    parameter stands for itself, else for the whole model that it belongs to.
    """

    def __init__(self, name: str, globs: tuple[str, ...] = (), as_bound: bool = True) -> None:
        self._name, self._globs, self._as_bound = name, globs, as_bound
        self._by_id: dict[int, Source] = {}
        self._names: dict[int, tuple[TensorWeakRef, str]] = {}

    def add(self, subject: object, limits: Limits) -> tuple[bool, bool]:
        """Whether there was anything in it to watch, and whether any of that is news."""
        found = list(leaves(subject))
        new = [leaf for leaf in found if not self._knows(leaf, limits)]
        for leaf in new:
            is_part = isinstance(leaf, torch.Tensor) and not self._as_bound
            meant = model_of(leaf) or leaf if is_part else leaf
            self._by_id[id(leaf)] = Source(_weak(leaf), _weak(meant), limits)
        return bool(found), bool(new)

    @property
    def are_keras(self) -> bool:
        return any(is_keras(source.meant()) for source in self._by_id.values())

    @property
    def are_gone(self) -> bool:
        return all(source.meant() is None for source in self._by_id.values())

    def items(self) -> list[Item]:
        """Each parameter once; the bounds of one that was bound by itself are its own."""
        sources = [(source.meant(), source.limits) for source in self._by_id.values()]
        items: dict[int, Item] = {}
        for leaf, limits in sorted(sources, key=lambda source: not isinstance(source[0], torch.Tensor)):
            for name, parameter, read in () if leaf is None else self._named(leaf):
                if id(parameter) not in items and self._is_meant(name):
                    items[id(parameter)] = Item(name, TensorWeakRef(parameter), limits, read)
        return self._told_apart(list(items.values()))

    def _told_apart(self, items: list[Item]) -> list[Item]:
        """Parameters of several modules may have the same name (the layers of a list): then it is that in their model,
        if that is better."""
        if len({item.name for item in items}) == len(items):
            return items
        parameters = [parameter for item in items if (parameter := item.parameter()) is not None]
        names = list(self._found_names(parameters))
        if len(set(names)) < len(items):
            return items
        return [replace(item, name=name) for item, name in zip(items, names, strict=True)]

    def _knows(self, leaf: Leaf, limits: Limits) -> bool:
        source = self._by_id.get(id(leaf))
        return source is not None and source.bound() is leaf and source.limits == limits

    def _named(self, leaf: Leaf) -> Iterator[Named]:
        if isinstance(leaf, nn.Module):
            yield from ((self._full(name), parameter, read) for name, parameter, read in named(leaf))
        else:
            parameters = parameters_of(leaf) if isinstance(leaf, Optimizer) else [leaf]
            yield from zip(self._found_names(parameters), parameters, repeat(local), strict=False)

    def _full(self, name: str) -> str:
        """What the claim calls its subject may be a description."""
        return name if " " in self._name else f"{self._name}.{name}"

    def _is_meant(self, name: str) -> bool:
        within = name.removeprefix(f"{self._name}.")
        return not self._globs or any(fnmatchcase(name, glob) or fnmatchcase(within, glob) for glob in self._globs)

    def _found_names(self, parameters: Sequence[torch.Tensor]) -> Iterator[str]:
        """The names of parameters that came without their model."""
        known = self._names
        strangers = [each for each in parameters if id(each) not in known or known[id(each)][0]() is not each]
        if strangers:
            names = names_of(strangers)
            known.update((id(each), (TensorWeakRef(each), names.get(id(each), self._name))) for each in strangers)
        for parameter in parameters:
            yield known[id(parameter)][1]


def named(module: nn.Module) -> Iterator[Named]:
    """The parameters of a module. Of one that a parametrization clips, its clipped value is what is meant."""
    if is_keras(module):
        for variable in module.variables:
            if isinstance(variable.value, nn.Parameter):
                yield variable.path.replace("/", ".").removeprefix(f"{module.name}."), variable.value, local
        return
    clipped = {
        f"{name}.original": (name.replace("parametrizations.", ""), each)
        for name, each in module.named_modules()
        if isinstance(each, ParametrizationList) and all(map(_is_clip, each))
    }
    for name, parameter in module.named_parameters():
        own_name, clip = clipped.get(name, (_WRAPPER.sub("", name), None))
        yield own_name, parameter, local if clip is None else _read_through(clip)


def is_keras(module: object) -> bool:
    """Whether it is a Keras model on torch, whose updates are Keras' own as a rule."""
    return isinstance(module, nn.Module) and hasattr(module, "trainable_variables")


def names_of(parameters: Sequence[torch.Tensor]) -> dict[int, str]:
    """The names of parameters in the models of the script, by their ids; those of its global models first."""
    names: dict[int, str] = {}
    wanted = {id(parameter) for parameter in parameters}
    for prefix, module in [*_global_models(), *((type(root).__name__, root) for root in _roots())]:
        for name, parameter, _ in named(module):
            if id(parameter) in wanted:
                names.setdefault(id(parameter), f"{prefix}.{name}")
    return names


def model_of(parameter: torch.Tensor) -> nn.Module | None:
    """The model that a parameter belongs to: the smallest of the script's global ones, else the outermost module."""
    modules = [*(module for _, module in _global_models()), *map(unwrapped, _roots())]
    return next((module for module in modules if any(each is parameter for each in module.parameters())), None)


def _global_models() -> list[tuple[str, nn.Module]]:
    """Those of the main script, the smallest first."""
    found = [
        (name, unwrapped(value))
        for name, value in list(vars(sys.modules["__main__"]).items())
        if issubclass(type(value), nn.Module)
    ]
    return sorted(found, key=lambda each: sum(1 for _ in each[1].parameters()))


def _roots() -> list[nn.Module]:
    """All modules that are not a part of another one."""
    modules = [each for each in gc.get_objects() if issubclass(type(each), nn.Module)]
    parts = {id(child) for module in modules for child in module.children()}
    return [module for module in modules if id(module) not in parts]


def _is_clip(parametrization: nn.Module) -> bool:
    """Whether it only clips: then it can be computed again without a trace."""
    try:
        return bool(_CLIPS.search(inspect.getsource(type(parametrization).forward)))
    except (OSError, TypeError):
        return False


def _read_through(clip: ParametrizationList) -> Callable[[torch.Tensor], torch.Tensor]:
    alive = weakref.ref(clip)

    def read(parameter: torch.Tensor) -> torch.Tensor:
        value = parameter
        for each in alive() or ():
            value = each.forward(value)  # No hooks: nobody is to know.
        return local(value)

    return read


def _weak(leaf: Leaf) -> Callable[[], Leaf | None]:
    return TensorWeakRef(leaf) if isinstance(leaf, torch.Tensor) else weakref.ref(leaf)


def _of_generator(generator: GeneratorType[object, object, object]) -> Iterator[Leaf]:
    """The module whose `parameters()` it is; it tells without being advanced."""
    frame = generator.gi_frame
    if frame is not None and generator.gi_code in _PARAMETERS:
        yield from leaves(frame.f_locals.get("self"))
