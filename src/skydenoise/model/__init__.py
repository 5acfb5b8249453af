"""The network and the file that holds it.

`model` puts a layout together with its outputs, saves and loads it; `lean` is our layout, `paper` the
published one.
"""

from skydenoise.model.model import ModelDescription, Network, load_model, read_description, save_model

__all__ = ["ModelDescription", "Network", "load_model", "read_description", "save_model"]
