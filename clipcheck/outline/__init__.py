"""What can be told of a file without reading it: rules use it to say that a file cannot concern them."""

from clipcheck.outline.outline import Outline, Site, implies, last_name, walk
from clipcheck.outline.pieces import CannotTellError

__all__ = ["CannotTellError", "Outline", "Site", "implies", "last_name", "walk"]
