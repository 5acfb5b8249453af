"""The network and the file that holds it.

`model` puts a layout together with its outputs, saves and loads it; `lean` is our layout, `paper` the
published one; `inference` makes a network faster where nothing is learnt.
"""

from skydenoise.network.folder import (
    ModelDescription,
    Network,
    adopt_model,
    load_model,
    read_description,
    save_model,
)
from skydenoise.network.inference import for_inference

__all__ = [
    "ModelDescription",
    "Network",
    "adopt_model",
    "for_inference",
    "load_model",
    "read_description",
    "save_model",
]
