"""What was seen of weights and of gradients, for each claim about them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence, Set
from typing import Any

import numpy as np

from clipcheck.verify.child.keras_judge import Bounds, ClippedJudge, Judge, Thing, history_of, rounded
from clipcheck.verify.child.keras_looks import Array, Backend, Looks, dtype_of, shape_of
from clipcheck.verify.child.keras_sites import Site
from clipcheck.verify.child.keras_subjects import Binding, Subjects, Weight
from clipcheck.verify.claim import Kind, Since
from clipcheck.verify.record import Seen

NORM_SLACK = 1e-4
"""Relative. A norm that was clipped to a bound, and is worked out again in another order, misses it by some units in
the last place of float32; with millions of terms, or halves, by more."""


class Weights:
    """Takes looks from the sites of updates to the judges of claims."""

    def __init__(self, subjects: Subjects, backend: Backend) -> None:
        self._subjects = subjects
        self._backend = backend
        self._judges: dict[tuple[int, int], ClippedJudge] = {}
        self._sites: dict[tuple[int, int], dict[Site, Any]] = {}
        """For each judge the sites that it heard of, with the variable whose device tells where that is."""
        self._names: dict[tuple[int, str], int] = {}
        self._meant: dict[tuple[int, Site], dict[int, Weight]] = {}

    def forget(self) -> None:
        """A binding has changed, or there is a new site."""
        self._meant.clear()

    def meant(self, binding: Binding, site: Site) -> dict[int, Weight]:
        """The weights of a site that a claim means, by their index there."""
        key = binding.number, site
        if key not in self._meant:
            self._meant[key] = self._subjects.weights(binding, site.variables, site.optimizer)
        return self._meant[key]

    def collect(self, bindings: Collection[Binding], sites: Collection[Site]) -> None:
        """Judge what the sites have seen since the last time."""
        for site in sites:
            before, after, gradients = site.fetch_before(), site.fetch_after(), site.fetch_gradients()
            for binding in bindings:
                if binding.claim.kind is Kind.GRADIENTS:
                    self._judge_gradients(binding, site, gradients)
                elif binding.claim.since is Since.UPDATE:
                    self._judge(binding, site, after, 1)
                else:
                    self._judge(binding, site, before, 0)

    def _judge(self, binding: Binding, site: Site, looks: Sequence[Looks], done: int) -> None:
        """done: how many updates had been made at the first of all looks."""
        for index, weight in self.meant(binding, site).items():
            judge = self._judge_of(binding, site, weight)
            for some in looks:
                updates = np.arange(len(some.rows)) + some.first + done
                keep = updates > 0
                lows, highs = _extremes(some.rows, index, len(site.variables))
                clipped = some.marks[keep] > 0
                if binding.claim.since is Since.UPDATE:
                    judge.judge.look(updates[keep], lows[keep], highs[keep])
                else:
                    is_known = binding.claim.since is Since.CLIP
                    judge.look(updates[keep], lows[keep], highs[keep], clipped & is_known)

    def _judge_gradients(self, binding: Binding, site: Site, looks: Sequence[Looks]) -> None:
        columns = list(self.meant(binding, site))
        if not columns or not looks:
            return
        width, limits, like = len(site.variables), binding.limits, site.variables[columns[0]]
        if limits.norm is not None:
            bounds = Bounds(high=limits.norm, slack=NORM_SLACK, is_norm=True)
        else:
            bounds = rounded(limits.low, limits.high, dtype_of(like))
        judge = self._judge_for(binding.number, id(site), binding.claim.subject, bounds, site, like, ())
        for some in looks:
            if bounds.is_norm:
                lows = highs = np.sqrt(some.rows[:, [2 * width + column for column in columns]].sum(1))
            else:
                lows = -some.rows[:, columns].max(1)
                highs = some.rows[:, [width + column for column in columns]].max(1)
            judge.judge.look(np.arange(len(some.rows)) + some.first + 1, lows, highs)

    def _judge_of(self, binding: Binding, site: Site, weight: Weight) -> ClippedJudge:
        identity = self._backend.identity(weight.variable)
        shape = shape_of(weight.variable)
        return self._judge_for(binding.number, identity, weight.name, weight.bounds, site, weight.variable, shape)

    def _judge_for(
        self, number: int, identity: int, name: str, bounds: Bounds, site: Site, like: Any, shape: tuple[int, ...]
    ) -> ClippedJudge:
        key = number, identity
        if key not in self._judges:
            thing = Thing(number, self._new_name(number, name, identity), shape, dtype_of(like))
            self._judges[key] = ClippedJudge(Judge(thing, bounds))
        self._judges[key].judge.bounds = bounds
        self._sites.setdefault(key, {})[site] = like
        return self._judges[key]

    def _new_name(self, number: int, name: str, identity: int) -> str:
        """Two variables of one name, as layers of one name have them, are told apart."""
        own, count = name, 1
        while self._names.setdefault((number, own), identity) != identity:
            count += 1
            own = f"{name}#{count}"
        return own

    def look_last(self, bindings: Collection[Binding], sites: Collection[Site], is_at_end: bool, is_torn: bool) -> None:
        """Look at the weights as they are left.

        is_at_end: the script came to its own end. is_torn: it was stopped inside an update.
        """
        for site in sites:
            row: Array | None = None
            for binding in bindings:
                if binding.claim.kind is not Kind.WEIGHTS or not self.meant(binding, site) or not site.updates():
                    continue
                if binding.claim.since is Since.UPDATE:
                    is_due = not is_torn
                else:
                    is_due = is_at_end or (binding.claim.since is Since.CLIP and site.is_clipped() and not is_torn)
                is_due = is_due and not site.is_functional
                row = site.now() if row is None and is_due else row
                self._look_last(binding, site, row if is_due else None)
        trained = {self._backend.identity(variable) for site in sites for variable in site.variables}
        for binding in bindings:
            if is_at_end and binding.claim.kind is Kind.WEIGHTS:
                self._look_at_untrained(binding, trained)

    def _look_last(self, binding: Binding, site: Site, row: Array | None) -> None:
        for index, weight in self.meant(binding, site).items():
            judge = self._judge_of(binding, site, weight)
            judge.close()
            if row is not None:
                lows, highs = _extremes(row[None], index, len(site.variables))
                judge.judge.look(np.array([site.updates()]), lows, highs)

    def _look_at_untrained(self, binding: Binding, trained: Set[int]) -> None:
        for weight in self._subjects.untrained(binding, trained):
            site = Site(self._backend, None, [weight.variable])
            judge = self._judge_of(binding, site, weight)
            lows, highs = _extremes(site.now()[None], 0, 1)
            judge.judge.look(np.array([0]), lows, highs)

    def seen(self) -> Iterator[Seen]:
        for key, judge in self._judges.items():
            sites = self._sites[key]
            judge.judge.updates = sum(site.updates() for site in sites)
            variable = next(iter(sites.values()))
            yield judge.judge.seen(self._backend.device(self._backend.value(variable)))

    def history(self) -> dict[int, list[tuple[int, float]]]:
        return history_of((number, judge.judge) for (number, _), judge in self._judges.items())


def _extremes(rows: Array, index: int, width: int) -> tuple[Array, Array]:
    return -rows[:, index], rows[:, width + index]
