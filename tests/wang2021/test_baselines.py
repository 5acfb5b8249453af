"""Noise2Self is blind to the pixel it predicts; CAREamics can be imported without torchvision."""

import sys

import numpy as np
import torch

from experiments.wang2021 import noise2self, noise2void


def test_noise2self_never_sees_the_pixel_it_predicts():
    u = np.random.default_rng(1).standard_normal((3, 128, 128)).astype(np.float32)
    other = u.copy()
    other[:, 40, 50] += 100

    def network(tiles):
        return (tiles,)

    before, after = (noise2self.apply_network(network, each) for each in (u, other))
    np.testing.assert_array_equal(before[:, 40, 50], after[:, 40, 50])
    assert np.abs(after - before)[:, 39:42, 49:52].max() > 10


def test_the_grids_of_noise2self_cover_every_pixel_once():
    together = sum(noise2self.phases((8, 9), phase) for phase in range(noise2self.GRID**2))
    assert torch.equal(together, torch.ones(8, 9))


def test_the_stand_in_for_torchvision_goes_again():
    before = sys.modules.get("torchvision")
    with noise2void.torchvision_to_hand():
        assert "torchvision" in sys.modules
    if before is None:
        assert "torchvision" not in sys.modules or hasattr(sys.modules["torchvision"], "ops")
