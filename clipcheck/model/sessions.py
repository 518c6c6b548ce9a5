"""TensorFlow 1 sessions that work out a clip."""

from __future__ import annotations

from msgspec import Struct

from clipcheck.model.code import Call, Code


class ClipSession(Struct, frozen=True):
    """A `tf.Session()` in a file that is not written for TensorFlow 1 throughout.

    made: the call. clip: the clip that it works out. block: the `with` statement around it, where all that is done
    there can be done eagerly. eager: the statements that do. obsolete: statements that go with the session.
    """

    made: Call
    clip: Call
    block: Code | None = None
    eager: str = ""
    obsolete: tuple[Code, ...] = ()


class ClipRace(Struct, frozen=True):
    """One `session.run` that fetches both an update of variables and their clip, with nothing that orders the two.

    run: the call. update, clip: what is fetched, as it stands in the call. updated_at, clipped_at: where the two are
    made. without: what parts of the statement become without the clip; none where a second run cannot take its place.
    """

    run: Call
    update: Code
    clip: Code
    updated_at: Code
    clipped_at: Code
    without: tuple[tuple[Code, str], ...] = ()
