"""On the path of a script, makes its run repeatable. torch begins with the same seed anyway."""

from __future__ import annotations

import os
import random

random.seed(0)  # Keras draws its own seeds from it.

if os.environ.get("KERAS_BACKEND") == "tensorflow":
    import tensorflow

    tensorflow.random.set_seed(0)
else:
    import numpy

    numpy.random.seed(0)
