"""The network and the folder that holds a trained one.

`network` puts a layout (`residual_unet`, or `published`) together with its outputs; `folder` saves and loads
it; `inference` makes it faster where nothing is learnt; `device` asks what torch works on.
"""

from skydenoise.network.folder import (
    ModelDescription,
    adopt_model,
    load_model,
    read_description,
    save_model,
)
from skydenoise.network.inference import for_inference
from skydenoise.network.network import Network

__all__ = [
    "ModelDescription",
    "Network",
    "adopt_model",
    "for_inference",
    "load_model",
    "read_description",
    "save_model",
]
