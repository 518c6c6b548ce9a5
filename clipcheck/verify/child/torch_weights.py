"""Weights that are to stay in their bounds, from update to update."""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import torch
from torch import nn

from clipcheck.verify.child.session import Limits
from clipcheck.verify.child.torch_aside import aside
from clipcheck.verify.child.torch_looks import Item, Looks, Sight, largest, merged, seen_of, unseen
from clipcheck.verify.child.torch_steps import Steps, Trainer
from clipcheck.verify.child.torch_subjects import Sources
from clipcheck.verify.claim import Claim, Since
from clipcheck.verify.record import Seen


class Part:
    """Weights of a claim that the same optimizers train: they are updated, and to be looked at, together.

    trainers: those optimizers. everyone: all that train anything of the claim: their steps together number its updates.
    due: the updates that have not been looked at yet, or the one before the first clip.
    """

    def __init__(self, trainers: frozenset[Trainer], everyone: Collection[Trainer]) -> None:
        self.due: set[int] = set()
        self._everyone = everyone
        self._trainers = trainers
        self._looks = Looks()
        self._items: dict[int, Item] = {}
        self._kept: list[torch.Tensor | None] = []
        self._users: dict[int, tuple[weakref.ref[nn.Module], bool]] = {}

    def hold(self, items: Sequence[Item], due: Mapping[int, set[int]]) -> None:
        """These are its weights from now on. due: the updates of each that were not looked at, by its identity."""
        self._items = {id(item.parameter()): item for item in items}
        self._users = {}
        with aside():
            self._looks.at(items)
        self.due = set()
        for identity in self._items:
            self.updated(due.get(identity, ()))

    def due_of_each(self) -> dict[int, set[int]]:
        """The updates that were not looked at, by the identities of the weights."""
        return dict.fromkeys(self._items, self.due)

    def is_used_by(self, module: nn.Module) -> bool:
        """Whether a module holds any of the weights."""
        known = self._users.get(id(module))
        if known is None or known[0]() is not module:
            is_user = any(id(parameter) in self._items for parameter in module.parameters())
            known = self._users[id(module)] = (weakref.ref(module), is_user)
        return known[1]

    def is_trained_by(self, trainers: Iterable[Trainer]) -> bool:
        return not self._trainers.isdisjoint(trainers)

    def updated(self, updates: Iterable[int]) -> None:
        """To be looked at, and kept alive until then."""
        if self._items:
            self.due.update(updates)
            self._kept = [item.parameter() for item in self._items.values()] if self.due else []

    def look(self) -> None:
        with aside():
            is_seen = self._looks.look(sum(trainer.steps for trainer in self._everyone))
        if is_seen:
            self.due = set()
            self._kept = []

    def sights(self) -> Iterable[Sight]:
        return self._looks.sights().values()

    def history(self) -> list[tuple[int, float]]:
        return self._looks.history()


class Weights:
    """One claim about weights. Judged is what an optimizer has trained, once after each update, when it is used next.

    parts: of those that are trained.
    """

    def __init__(self, number: int, claim: Claim, steps: Steps) -> None:
        self._number = number
        self._since_clip = claim.since is Since.CLIP
        self._steps = steps
        self._sources = Sources(claim.subject, claim.parameters, as_bound=claim.as_clipped)
        self._is_stale, self._news = False, 0
        self._trainers: set[Trainer] = set()
        self._parts: dict[frozenset[Trainer], Part] = {}
        self._trainers_by_name: dict[str, set[Trainer]] = defaultdict(set)

    def bind(self, subject: object, limits: Limits) -> bool:
        """Whether there is anything in it to watch."""
        if self.is_left:
            for part in self.due():
                part.look()
        is_any, is_news = self._sources.add(subject, limits)
        if is_news:
            self._is_stale = True
            if self._since_clip:
                for part in self.parts():
                    part.updated([self._steps.total])
        return is_any

    def parts(self) -> Iterable[Part]:
        self._refresh()
        return self._parts.values()

    def due(self) -> list[Part]:
        return [part for part in self.parts() if part.due]

    @property
    def is_due(self) -> bool:
        return any(part.due for part in self._parts.values())

    @property
    def is_left(self) -> bool:
        """Whether the script has dropped the models: nobody will use them any more."""
        return self._sources.are_gone

    def seen(self) -> Iterator[Seen]:
        """Of what was never trained, or is nothing on this rank, it is said that it was never looked at."""
        sights = merged(sight for part in self._parts.values() for sight in part.sights())
        for name, sight in sights.items():
            yield seen_of(self._number, sight, sum(trainer.updates() for trainer in self._trainers_by_name[name]))
        for item in [] if self._sources.are_keras else self._sources.items():
            if item.name not in sights and (one := unseen(self._number, item)):
                yield one

    def history(self) -> list[tuple[int, float]]:
        return largest(look for part in self._parts.values() for look in part.history())

    def _refresh(self) -> None:
        """Work out what is trained, and by which optimizers, if that may have changed."""
        if (not self._is_stale and self._news == self._steps.news) or self.is_left:
            return
        self._is_stale, self._news = False, self._steps.news
        together: dict[frozenset[Trainer], list[Item]] = {trainers: [] for trainers in self._parts}
        for item in self._sources.items():
            trainers = frozenset(self._steps.trainers_of(item.parameter()))
            if trainers:
                together.setdefault(trainers, []).append(item)
                self._trainers_by_name[item.name] |= trainers
                self._trainers |= trainers
        due = {identity: due for part in self._parts.values() for identity, due in part.due_of_each().items()}
        for trainers, items in together.items():
            self._parts.setdefault(trainers, Part(trainers, self._trainers)).hold(items, due)
