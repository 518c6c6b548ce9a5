"""Sees what Keras does: every update of every optimizer, on each of its backends, and what its layers return.

Looks are made where the updates are, in the graph if there is one; they are fetched and judged when many have come
together, and at the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from importlib import import_module
from types import ModuleType
from typing import Any

from clipcheck.verify.child.keras_looks import Backend, Tensor, is_watchable
from clipcheck.verify.child.keras_optimizers import Updates
from clipcheck.verify.child.keras_outputs import Outputs
from clipcheck.verify.child.keras_saving import Keeper
from clipcheck.verify.child.keras_sites import Site
from clipcheck.verify.child.keras_subjects import Binding, Subjects
from clipcheck.verify.child.keras_weights import Weights
from clipcheck.verify.child.session import Limits, Session
from clipcheck.verify.claim import Claim, Kind, Since
from clipcheck.verify.record import Seen

COUNT_EVERY = 0.1
"""Seconds between two counts of the updates, while there are surely too few: each waits for the device."""
UNFETCHED = 256
"""Updates whose looks may wait beside the device."""


def install(session: Session, keras: ModuleType) -> KerasWatcher:
    """keras: `keras` or `tf_keras`, which has just been imported and has made nothing yet."""
    return KerasWatcher(session, keras, _backend(keras))


def _backend(keras: ModuleType) -> Backend:
    name = keras.config.backend() if hasattr(keras, "Variable") else "tensorflow"
    kind = {"tensorflow": "TensorFlow", "torch": "Torch", "jax": "Jax"}[name]
    made: Backend = getattr(import_module(f"clipcheck.verify.child.keras_{name}"), kind)()
    return made


class KerasWatcher:
    def __init__(self, session: Session, keras: ModuleType, backend: Backend) -> None:
        self._session = session
        self._keras = keras
        self._backend = backend
        claims = dict(enumerate(session.job.claims))
        since = {claim.since for claim in claims.values() if claim.kind is Kind.WEIGHTS}
        self._looks_before = bool(since - {Since.UPDATE})
        self._looks_after = Since.UPDATE in since or not since
        self._looks_at_gradients = any(claim.kind is Kind.GRADIENTS for claim in claims.values())
        self._subjects = Subjects(keras, backend)
        self._weights = Weights(self._subjects, backend)
        self._outputs = Outputs({n: claim for n, claim in claims.items() if claim.kind is Kind.OUTPUTS}, keras, backend)
        bindings = [Binding(n, claim, Limits(claim.low, claim.high, claim.norm)) for n, claim in claims.items()]
        self._bindings = {b.number: b for b in bindings if b.claim.kind is Kind.WEIGHTS and b.is_bound_by_class}
        self._sites: dict[tuple[int, ...], Site] = {}
        self._just_clipped: set[int] = set()
        """Claims whose clip has run since the last update that Python saw."""
        self._count = _Count()
        self._updates = Updates(self, backend)
        self._at_site = self._guarded(self._look_at_site)
        if claims:
            for optimizer in self._subjects.optimizers:
                self._updates.watch(optimizer)
            self._outputs.watch(self._guarded)
            backend.on_calls(self._called)
        if claims and session.job.reload:
            Keeper(session, keras, self._stated).watch()

    def _guarded(self, look: Callable[..., None]) -> Callable[..., None]:
        """Our own failures are not the script's."""

        @wraps(look)
        def guarded(*args: Any, **kwargs: Any) -> None:
            try:
                look(*args, **kwargs)
            except Exception:
                self._session.failed("watching Keras")

        return guarded

    # What the script's notes say.

    def bind(self, number: int, claim: Claim, subject: object, limits: Limits) -> bool:
        if claim.kind is Kind.OUTPUTS:
            return False
        parts = list(self._subjects.parts(subject))
        if not parts:
            return False
        binding = self._bindings.get(number)
        is_new = binding is None or binding.limits != limits or any(id(part) not in binding.parts for part in parts)
        if is_new:
            self._collect()
            binding = binding or Binding(number, claim, limits)
            binding.limits = limits
            binding.parts.update({id(part): part for part in parts})
            self._bindings[number] = binding
            self._changed()
        if claim.since is Since.CLIP and (is_new or number not in self._just_clipped):
            self._just_clipped.add(number)
            for site in self._sites.values():
                if self._weights.meant(self._bindings[number], site):
                    site.clip()
        return True

    def _changed(self) -> None:
        """There is a new binding, or a new site."""
        self._weights.forget()
        for site in self._sites.values():
            for binding in self._bindings.values():
                if self._weights.meant(binding, site):
                    self._session.bound.add(binding.number)
                    site.is_watched = True

    # What the optimizers do.

    def _called(self) -> None:
        """Something that was traced is about to be called: it may make updates."""
        self._just_clipped.clear()
        self._count.begun += 1
        self._count_updates()

    def step(self, optimizer: Any) -> None:
        self._just_clipped.clear()
        if not self._backend.is_traced(optimizer):
            self._count.begun += 1
            self._count_updates()

    def before(self, optimizer: Any, variables: Sequence[Any]) -> None:
        if self._looks_before:
            self._at_site(optimizer, variables, Site.look_before)

    def after(self, optimizer: Any, variables: Sequence[Any]) -> None:
        if self._looks_after:
            self._at_site(optimizer, variables, Site.look_after)

    def gradients(self, optimizer: Any, variables: Sequence[Any], gradients: Sequence[Tensor]) -> None:
        if self._looks_at_gradients:
            self._at_site(optimizer, variables, Site.look_at_gradients, gradients)

    def _look_at_site(
        self, optimizer: Any, variables: Sequence[Any], look: Callable[..., None], *rows: Sequence[Tensor]
    ) -> None:
        """Have a site look, at its variables or at something that each of them has."""
        kept = [is_watchable(variable) for variable in variables]
        values = [self._backend.value(variable) for variable in variables]
        if any(kept) and self._backend.can_look(values):
            site = self._site(optimizer, [variable for variable, keep in zip(variables, kept, strict=True) if keep])
            look(site, *([value for value, keep in zip(row, kept, strict=True) if keep] for row in rows))
            if look is Site.look_after:
                self._outputs.updated(values[0])

    def _site(self, optimizer: Any, variables: Sequence[Any]) -> Site:
        key = (id(optimizer), *map(self._backend.identity, variables))
        if key not in self._sites:
            self._sites[key] = Site(self._backend, optimizer, variables)
            self._changed()
        return self._sites[key]

    # What has come together.

    def _count_updates(self) -> None:
        """Tell the session of updates, and fetch what was seen of them. Ends the run when there were enough."""
        session = self._session
        left = session.job.updates - session.updates if session.job.updates else None
        if session.is_enough:
            session.updated(0)
        elif self._count.is_due(left):
            new = self._new_updates()
            if new:
                session.updated(new)

    def _new_updates(self) -> int:
        try:
            new = self._count.renew(sum(site.updates() for site in self._watched()))
            if self._count.unfetched >= UNFETCHED:
                self._collect()
        except Exception:
            self._session.failed("counting the updates of Keras")
            return 0
        return new

    def _watched(self) -> Iterator[Site]:
        """The sites of updates that matter to some claim."""
        for site in self._sites.values():
            if site.is_watched or self._outputs.bound:
                yield site

    def _collect(self) -> None:
        self._count.unfetched = 0
        self._weights.collect(self._bindings.values(), self._sites.values())
        self._outputs.collect()

    def _stated(self, variable: Any) -> tuple[float | None, float | None]:
        """The bounds of a claim that a variable's own optimizer is to keep."""
        for binding in self._bindings.values():
            claim = binding.claim
            if (
                claim.kind is Kind.WEIGHTS
                and claim.constrained is None
                and claim.since is not Since.CLIP
                and claim.line
            ):
                for site in self._sites.values():
                    if any(weight.variable is variable for weight in self._weights.meant(binding, site).values()):
                        return binding.limits.low, binding.limits.high
        return None, None

    def finish(self) -> Iterator[Seen]:
        self._backend.settle()
        self._changed()
        self._collect()
        is_torn = self._updates.is_torn
        self._weights.look_last(self._bindings.values(), self._sites.values(), self._session.is_at_end, is_torn)
        self._session.bound |= self._outputs.bound
        self._session.updated_last(self._count.renew(sum(site.updates() for site in self._watched())))
        yield from self._weights.seen()
        yield from self._outputs.seen(self._count.updates, self._device())

    def _device(self) -> str:
        return next((site.device() for site in self._sites.values()), "")

    def history(self) -> dict[int, list[tuple[int, float]]]:
        return self._weights.history() | self._outputs.history()

    def versions(self) -> dict[str, str]:
        name = self._keras.__name__
        return {name: str(self._keras.__version__), **self._backend.version()}


class _Count:
    """How many updates were seen, and when to count again.

    begun: calls since the last count that may have made updates. unfetched: updates whose looks are not fetched.
    """

    def __init__(self) -> None:
        self.begun = 0
        self.updates = 0
        self.unfetched = 0
        self._each = 1
        """The most updates that a call has made."""
        self._next = 0.0

    def is_due(self, left: int | None) -> bool:
        """left: the updates until the run is to end, None for no limit."""
        likely = self.begun * self._each
        is_close = left is not None and likely >= left
        return is_close or self.unfetched + likely >= UNFETCHED or time.monotonic() >= self._next

    def renew(self, updates: int) -> int:
        """Returns how many are new."""
        new = updates - self.updates
        self._each = max(self._each, -(-new // max(self.begun, 1)))
        self.begun = 0
        self.updates = updates
        self.unfetched += new
        self._next = time.monotonic() + COUNT_EVERY
        return new
