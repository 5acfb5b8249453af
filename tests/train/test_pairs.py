import numpy as np
import torch

from skydenoise.noise import NoiseModel
from skydenoise.train.pairs import NoiseSource, Pair, patch_seeds, recorrupted_pair, turn, turn_each

CPU = torch.device("cpu")


def noise_model(max_lag: int = 3) -> NoiseModel:
    """Two bands, correlated differently along y and x."""
    lags = np.arange(-max_lag, max_lag + 1)
    along_x, along_y = np.maximum(0, 1 - np.abs(lags) / 3), np.maximum(0, 1 - np.abs(lags) / 2)
    correlation = np.stack([np.outer(along_y, along_x), np.outer(along_x, along_y)])
    return NoiseModel(("g", "r"), (1.0, 2.0), (1.0, 1.0), correlation, np.ones((2, 5)))


def covariance(a: torch.Tensor, b: torch.Tensor, dy: int, dx: int) -> np.ndarray:
    """Per band, of pixels (dy, dx) apart."""
    y, x = a.shape[-2:]
    return (a[..., : y - dy, : x - dx] * b[..., dy:, dx:]).mean(dim=(0, 2, 3)).numpy()


def test_the_noise_has_the_measured_correlation_and_does_not_wrap() -> None:
    noise = NoiseSource(noise_model(), (32, 32), CPU).draw(range(400))
    assert noise.shape == (400, 2, 32, 32)
    for dy, dx, expected in [(0, 0, (1, 1)), (0, 1, (2 / 3, 1 / 2)), (1, 0, (1 / 2, 2 / 3)), (0, 31, (0, 0))]:
        np.testing.assert_allclose(covariance(noise, noise, dy, dx), expected, atol=0.03)


def test_a_seed_gives_the_same_noise_in_any_company() -> None:
    source = NoiseSource(noise_model(), (16, 16), CPU)
    torch.testing.assert_close(source.draw([1, 2, 3])[1:], source.draw([2, 3]), rtol=0, atol=0)


def test_recorrupted_noises_are_uncorrelated_where_the_patch_s_noise_has_the_measured_covariance() -> None:
    model = noise_model()
    source = NoiseSource(model, (32, 32), CPU)
    image = source.draw(range(1000, 1400))
    pair = recorrupted_pair(image, torch.ones_like(image), source.draw(range(400)), 0.5)
    for dy, dx in [(0, 0), (0, 1), (1, 1)]:
        np.testing.assert_allclose(covariance(pair.source, pair.target, dy, dx), 0, atol=0.04)
    np.testing.assert_allclose(covariance(pair.source, pair.source, 0, 0), 1.25, rtol=0.03)
    np.testing.assert_allclose(covariance(pair.target, pair.target, 0, 0), 5, rtol=0.03)


def test_unusable_pixels_get_no_noise() -> None:
    counts = torch.ones(1, 2, 4, 4)
    counts[..., 0] = 0
    image = torch.full_like(counts, 7)
    pair = recorrupted_pair(image, counts, torch.randn(1, 2, 4, 4), 0.5)
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
