"""The network and the file that holds it.

`model` puts a layout together with its outputs, saves and loads it; `lean` is our layout, `paper` the
published one; `inference` makes a network faster where nothing is learnt.
"""

from skydenoise.model.inference import for_inference
from skydenoise.model.model import (
    ModelDescription,
    Network,
    adopt_model,
    load_model,
    read_description,
    save_model,
)

__all__ = [
    "ModelDescription",
    "Network",
    "adopt_model",
    "for_inference",
    "load_model",
    "read_description",
    "save_model",
]
