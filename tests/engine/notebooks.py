"""Notebooks as small as they can be."""

from __future__ import annotations

import json
from typing import Any


def notebook(*sources: str) -> str:
    """The JSON of a notebook with these code cells."""
    cells: list[dict[str, Any]] = [
        {"cell_type": "code", "metadata": {}, "outputs": [], "source": source} for source in sources
    ]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4})
