"""What a training is made of, and whether its parts go together."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.parallel import DistributedDataParallel

from skydenoise import __version__
from skydenoise.config import PatchSettings, PredictSettings, check_together
from skydenoise.errors import SettingsError
from skydenoise.network import ModelDescription, Network
from skydenoise.network.device import device_name
from skydenoise.noise import NoiseModel
from skydenoise.patches import POSITIONS, PatchSet
from skydenoise.stretch import Stretch
from skydenoise.train.checkpoint import TrainState
from skydenoise.train.job import TrainJob
from skydenoise.train.loader import PatchLoader
from skydenoise.train.loss import Criterion
from skydenoise.train.noise_family import NoiseFamily, NoiseSource
from skydenoise.train.pairs import Pair, patch_seeds, random_bands, recorrupted_pair
from skydenoise.train.ranks import Ranks

Array = NDArray[Any]

VALIDATION_EPOCH = 2**32 - 1
"""Stands for the epoch in the noise seeds of the held-out patches: they see the same noise every time."""


class Training:
    """What stays the same through a training: patches and their order, noise, stretch, loss.

    steps, epoch_steps : optimiser steps of the training, and of one epoch
    digest : of all that decides on the result; a checkpoint of another one is not taken

    Raises SettingsError for settings that are impossible together or with these patches.
    """

    def __init__(self, job: TrainJob, ranks: Ranks) -> None:
        self.job, self.ranks, settings = job, ranks, job.settings
        patches = PatchSet.open(job.patches)
        noise = NoiseModel.read(job.noise)
        check_possible(job, patches, noise, ranks.world)
        self.noise = noise
        self.stretch = Stretch(job.softening)
        self.criterion = Criterion(settings.loss, self.stretch)
        self.loader = PatchLoader(patches, noise, ranks.device)
        self.family = NoiseFamily(settings.extra_noise, settings.extra_width)
        self.noise_source = NoiseSource(noise, self.family, patches.shape[1:], ranks.device)
        order = np.random.default_rng(settings.seed).permutation(len(patches))
        self.held_out, self.training = np.split(order, [held_out_count(len(patches), settings.validation)])
        self.epoch_steps = len(self.training) // settings.batch_size
        self.steps = settings.epochs * self.epoch_steps
        self.digest = training_digest(job)

    def distributed(self, network: Network) -> nn.Module:
        """`network`, its gradients averaged over the ranks."""
        if self.ranks.world == 1:
            return network
        device = self.ranks.device
        return DistributedDataParallel(network, [device] if device.type == "cuda" else None)

    def batches(self, done: int) -> Iterator[tuple[Array, Tensor, Tensor]]:
        """Patches of this rank's share of each step, image and counts, from step `done` on."""
        return self.loader.batches(self._shares(done))

    def _shares(self, done: int) -> Iterator[Array]:
        """Numbers of this rank's patches in each step; each epoch has an order of its own."""
        size = self.job.settings.batch_size
        share = size // self.ranks.world
        for epoch in range(done // self.epoch_steps, self.job.settings.epochs):
            order = np.random.default_rng([self.job.settings.seed, epoch]).permutation(self.training)
            for batch in range(max(0, done - epoch * self.epoch_steps), self.epoch_steps):
                first = batch * size + self.ranks.rank * share
                yield order[first : first + share]

    def pair(self, patches: Array, image: Tensor, counts: Tensor, epoch: int) -> Pair:
        """Input and target of these patches in an epoch, in a random orientation."""
        settings = self.job.settings
        seeds, orientations = patch_seeds(settings.seed, epoch, patches.tolist())
        if settings.objective == "identity":
            return Pair(image, image, counts).oriented(orientations)
        noise = self.noise_source.draw(seeds)
        pair = recorrupted_pair(image, counts, noise, settings.recorruption).oriented(orientations)
        kept = random_bands(seeds, image.shape[1], settings.band_dropout)
        return pair.of_bands(torch.from_numpy(kept)[..., None, None].to(image.device))

    def loss(self, network: Callable[[Tensor], tuple[Tensor, ...]], pair: Pair) -> Tensor:
        """Loss of a network, (), in the precision of the settings."""
        reduced = self.job.settings.precision == "bfloat16"
        with torch.autocast(self.ranks.device.type, torch.bfloat16, enabled=reduced):
            outputs = network(self.stretch.forward(pair.source))  # (n, band, y / 2**k, x / 2**k) each
        return self.criterion(outputs, pair)

    def loss_of(self, network: nn.Module) -> Callable[[Pair], Tensor]:
        """`loss` of this network; where the settings say so, compiled, for full batches alone."""
        loss = partial(self.loss, network)
        return torch.compile(loss, dynamic=False) if self.job.settings.compile else loss

    @torch.no_grad()
    def validation(self, state: TrainState) -> float | None:
        """Mean loss of the averaged weights on the held-out patches; None if there are none."""
        if len(self.held_out) == 0:
            return None
        mine = self.held_out[self.ranks.rank :: self.ranks.world]
        size = self.job.settings.batch_size
        groups = (mine[first : first + size] for first in range(0, len(mine), size))
        average = partial(functional_call, state.network, state.average)
        total = torch.zeros((), device=self.ranks.device)
        for patches, image, counts in self.loader.batches(groups):
            pair = self.pair(patches, image, counts, VALIDATION_EPOCH)
            total += len(patches) * self.loss(average, pair)
        return float(self.ranks.mean(total)) * self.ranks.world / len(self.held_out)

    def epoch_ended(self, state: TrainState) -> None:
        """Rank 0 calls it after each epoch; nothing is done here, but where a training is followed."""

    def description(self, state: TrainState) -> ModelDescription:
        """Of the trained model."""
        losses = {key: state.rows[-1][key] for key in ("loss", "validation")}
        made = {
            "version": __version__,
            "steps": state.step,
            "patches": len(self.training),
            "seconds": round(state.seconds, 1),
            "device": device_name(self.ranks.device),
            "ranks": self.ranks.world,
            "precision": self.job.settings.precision,
            "torch": torch.__version__,
            "settings": json.dumps(asdict(self.job.settings)),
            "training": self.digest,
            **{key: value for key, value in losses.items() if value is not None},
            **self.job.provenance,
        }
        noises = self.family.holds_for(self.noise)
        return ModelDescription(
            self.job.architecture, self.noise.bands, self.stretch, self.noise, made, noise_range=noises
        )


def held_out_count(patches: int, fraction: float) -> int:
    """Patches that are held out: `fraction` of all, at least one unless the fraction is 0."""
    return max(1, round(fraction * patches)) if fraction > 0 else 0


def training_digest(job: TrainJob) -> str:
    """Digest of what decides on the result: settings, noise and patches, not where things lie."""
    given = json.loads(job.to_json())
    content = {key: given[key] for key in ("architecture", "settings", "softening")}
    del content["settings"]["checkpoint_minutes"]
    digest = hashlib.sha256(json.dumps([content, __version__], sort_keys=True).encode())
    digest.update(job.noise.read_bytes())
    digest.update((job.patches / POSITIONS).read_bytes())
    return digest.hexdigest()


def check_possible(job: TrainJob, patches: PatchSet, noise: NoiseModel, world: int) -> None:
    """Raise SettingsError where settings, patches, noise and number of ranks do not go together."""
    bands, height, width = patches.shape
    architecture, settings = job.architecture, job.settings
    edges = PatchSettings(size=math.gcd(height, width))
    check_together(architecture, edges, settings, PredictSettings(tile=architecture.stride, overlap=0))
    left = len(patches) - held_out_count(len(patches), settings.validation)
    if not architecture.bands == bands == len(noise.bands):
        problem = f"model.bands: {architecture.bands}, the patches have {bands}, the noise {len(noise.bands)}"
    elif settings.batch_size > left:
        problem = f"train.batch_size: {settings.batch_size} is more than the {left} patches left for training"
    elif settings.batch_size % world:
        problem = f"train.batch_size: {settings.batch_size} cannot be shared equally by {world} ranks"
    else:
        return
    raise SettingsError(problem)
