"""The versions of the frameworks that a file is written for."""

from __future__ import annotations

from msgspec import Struct


class Targets(Struct, frozen=True):
    """keras, torch: version prefixes from the settings ("2", "3.4"), or None where they say nothing.

    keras_2_code: the file itself is written for Keras 2 (`get_updates`, TF1 sessions, functions that only Keras 2 has).
    """

    keras: str | None = None
    torch: str | None = None
    keras_2_code: bool = False

    @property
    def keras_2(self) -> bool:
        """Whether the settings say that Keras 2 is what the code runs on."""
        return self.keras is not None and self.keras.split(".")[0] == "2"

    @property
    def saves_like_keras_2(self) -> bool:
        """Whether classes must be judged by Keras 2, which writes no config by itself."""
        return self.keras_2 or (self.keras is None and self.keras_2_code)
