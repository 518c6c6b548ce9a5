"""What the child process saw. Plain numbers; what they mean is judged elsewhere."""

from __future__ import annotations

import enum

from msgspec import Struct, field


class Ended(str, enum.Enum):
    """How the run of the script ended."""

    FINISHED = "finished"
    """At its end, or by `sys.exit` with success."""
    ENOUGH = "enough"
    """After the number of updates that was asked for."""
    CRASHED = "crashed"
    INTERRUPTED = "interrupted"
    TIMED_OUT = "timed out"
    VANISHED = "vanished"
    """The process was gone without a word (killed, or out of memory)."""
    NOT_STARTED = "not started"
    """There was nothing to verify."""


class Seen(Struct, frozen=True):
    """What was seen of one parameter (or of all gradients of an optimizer, or of the outputs of a layer) for one claim.

    claim: its number in the job. name: the parameter's own name behind that of its model ("critic.conv1.weight").
    low, high: the bounds as they were compared: in the parameter's own dtype, then as Python floats. norm: the bound,
    where it is the norm that is bounded. looks: how often it was compared. lowest, highest: the extremes of all looks
    (for a norm, its extremes); NaN if there was one. extreme_update: the update after which the extreme was seen that
    lies farthest out. violated_update: the first update after which it was out of its bounds, and violated_value the
    value that was farthest out then. last_is_out: it was out of bounds at the last look, at the end of the run.
    error: why there was nothing to look at: a saved model that cannot be loaded.
    """

    claim: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    device: str
    low: float | None = None
    high: float | None = None
    norm: float | None = None
    updates: int = 0
    looks: int = 0
    lowest: float | None = None
    highest: float | None = None
    extreme_update: int | None = None
    violated_update: int | None = None
    violated_value: float | None = None
    last_is_out: bool = False
    error: str | None = None
    rank: int = 0


class Record(Struct, frozen=True):
    """One run of the script.

    updates: how often any optimizer of a watched framework updated anything. seen: for each claim what was watched.
    reached: the claims of which some note ran. bound: those for which a live object was found. history: for each claim,
    the largest absolute value (or norm) at each look, as (update, value). error: the script's traceback, where it
    crashed. versions: of the frameworks. saved: the paths of the models that the script saved and that were kept.
    has_processes: the script has started processes of its own. problems: what went wrong in the watching itself.
    """

    ended: Ended
    updates: int = 0
    seen: tuple[Seen, ...] = ()
    reached: tuple[int, ...] = ()
    bound: tuple[int, ...] = ()
    history: dict[int, tuple[tuple[int, float], ...]] = field(default_factory=dict)
    error: str | None = None
    versions: dict[str, str] = field(default_factory=dict)
    saved: tuple[str, ...] = ()
    has_processes: bool = False
    problems: tuple[str, ...] = ()
    rank: int = 0
