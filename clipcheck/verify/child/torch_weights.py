"""Weights that are to stay in their bounds, from update to update."""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Iterable, Iterator

import torch
from torch import nn

from clipcheck.verify.child.session import Limits
from clipcheck.verify.child.torch_aside import aside
from clipcheck.verify.child.torch_looks import Item, Looks, seen_of, unseen
from clipcheck.verify.child.torch_steps import Steps, Trainer
from clipcheck.verify.child.torch_subjects import Sources
from clipcheck.verify.claim import Claim, Since
from clipcheck.verify.record import Seen


class Weights:
    """One claim about weights. Judged is what an optimizer has trained, once after each update, when it is used next.

    is_due: an update, or the first clip, has not been looked at yet.
    """

    def __init__(self, number: int, claim: Claim, steps: Steps) -> None:
        self.is_due = False
        self._number = number
        self._since_clip = claim.since is Since.CLIP
        self._steps = steps
        self._sources = Sources(claim.subject, claim.parameters, as_bound=claim.as_clipped)
        self._looks = Looks()
        self._is_stale, self._news = False, 0
        self._items: dict[int, Item] = {}
        self._trainers: dict[Trainer, None] = {}
        self._trainers_by_name: dict[str, dict[Trainer, None]] = defaultdict(dict)
        self._kept: list[torch.Tensor | None] = []
        self._users: dict[int, tuple[weakref.ref[nn.Module], bool]] = {}

    def bind(self, subject: object, limits: Limits) -> bool:
        """Whether there is anything in it to watch."""
        if self.is_due and self.is_left:
            self.look()
        is_any, is_news = self._sources.add(subject, limits)
        if is_news:
            self._is_stale = True
            if self._since_clip:
                self.updated()
        return is_any

    def is_used_by(self, module: nn.Module) -> bool:
        """Whether a module holds any of the weights."""
        self._refresh()
        known = self._users.get(id(module))
        if known is None or known[0]() is not module:
            is_user = any(id(parameter) in self._items for parameter in module.parameters())
            known = self._users[id(module)] = (weakref.ref(module), is_user)
        return known[1]

    def is_trained_by(self, trainers: Iterable[Trainer]) -> bool:
        self._refresh()
        return any(trainer in self._trainers for trainer in trainers)

    @property
    def is_left(self) -> bool:
        """Whether the script has dropped the models: nobody will use them any more."""
        return self._sources.are_gone

    def updated(self) -> None:
        """To be looked at, and kept alive until then."""
        self._refresh()
        self.is_due = True
        self._kept = [item.parameter() for item in self._items.values()]

    def look(self) -> None:
        self._refresh()
        with aside():
            is_seen = self._looks.look(sum(trainer.steps for trainer in self._trainers))
        if is_seen:
            self.is_due = False
            self._kept = []

    def seen(self) -> Iterator[Seen]:
        """Of what was never trained, or is nothing on this rank, it is said that it was never looked at."""
        sights = self._looks.sights()
        for name, sight in sights.items():
            yield seen_of(self._number, sight, sum(trainer.updates() for trainer in self._trainers_by_name[name]))
        for item in [] if self._sources.are_keras else self._sources.items():
            if item.name not in sights and (one := unseen(self._number, item)):
                yield one

    def history(self) -> list[tuple[int, float]]:
        return self._looks.history()

    def _refresh(self) -> None:
        """Work out what is trained, if that may have changed."""
        if (not self._is_stale and self._news == self._steps.news) or self.is_left:
            return
        self._is_stale, self._news = False, self._steps.news
        trained = [(item, self._steps.trainers_of(item.parameter())) for item in self._sources.items()]
        trained = [(item, trainers) for item, trainers in trained if trainers]
        self._items = {id(item.parameter()): item for item, _ in trained}
        for item, trainers in trained:
            self._trainers_by_name[item.name].update(dict.fromkeys(trainers))
            self._trainers.update(dict.fromkeys(trainers))
        self._users = {}
        with aside():
            self._looks.at(list(self._items.values()))
