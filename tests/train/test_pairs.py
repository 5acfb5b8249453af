import numpy as np
import torch

from skydenoise.train.noise_family import Draw
from skydenoise.train.pairs import Pair, patch_seeds, random_bands, recorrupted_pair, turn_each


def turn(image: torch.Tensor, orientation: int) -> torch.Tensor:
    """Quarter turns, from 4 on after a flip in x."""
    return (image.flip(-1) if orientation >= 4 else image).rot90(orientation % 4, (-2, -1))


def test_unusable_pixels_get_no_noise() -> None:
    counts = torch.ones(1, 2, 4, 4)
    counts[..., 0] = 0
    image = torch.full_like(counts, 7)
    noise = Draw(torch.randn(1, 2, 4, 4), torch.zeros(1, 2, 1, 1), torch.randn(1, 2, 4, 4))
    pair = recorrupted_pair(image, counts, noise, 0.5)
    assert (pair.source[..., 0] == 7).all()
    assert (pair.target[..., 0] == 7).all()
    assert (pair.source[..., 1:] != 7).all()


def test_eight_orientations_all_different_and_shared_by_input_and_target() -> None:
    image = torch.arange(9.0).reshape(1, 3, 3)
    assert len({tuple(turn(image, k).flatten().tolist()) for k in range(8)}) == 8
    batch = torch.stack([image, image])
    pair = Pair(batch, 2 * batch, 3 * batch).oriented([1, 6])
    assert torch.equal(pair.target, 2 * pair.source)
    assert torch.equal(pair.counts, 3 * pair.source)
    assert torch.equal(pair.source[1], turn(image, 6))


def test_a_batch_is_turned_as_its_images_are_each_by_its_own_number() -> None:
    images = torch.randn(8, 3, 5, 5, generator=torch.Generator().manual_seed(1))
    one_by_one = torch.stack([turn(image, k) for k, image in enumerate(images)])
    assert torch.equal(turn_each(images, range(8)), one_by_one)


def test_seeds_depend_on_seed_epoch_and_patch_alone() -> None:
    seeds, orientations = patch_seeds(5, 1, [10, 11, 12])
    assert patch_seeds(5, 1, [12, 10]) == ([seeds[2], seeds[0]], [orientations[2], orientations[0]])
    assert not set(seeds) & set(patch_seeds(5, 2, [10, 11, 12])[0])
    assert set(patch_seeds(5, 1, range(100))[1]) == set(range(8))


def test_bands_that_are_left_out_are_zero_and_do_not_count() -> None:
    ones = torch.ones(1, 3, 2, 2)
    pair = Pair(ones, ones, ones).of_bands(torch.tensor([1.0, 0, 1]).reshape(1, 3, 1, 1))
    assert pair.source.mean(dim=(0, 2, 3)).tolist() == pair.counts.mean(dim=(0, 2, 3)).tolist() == [1, 0, 1]


def test_every_patch_keeps_a_band_and_most_keep_all() -> None:
    kept = random_bands(range(1000), 3, share=0.3)
    assert (kept.sum(axis=1) >= 1).all()
    assert 0.65 < (kept.sum(axis=1) == 3).mean() < 0.8
    np.testing.assert_array_equal(random_bands([7], 3, 0.3), kept[7:8])
    assert (random_bands(range(50), 3, share=0.0) == 1).all()
