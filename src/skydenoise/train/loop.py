"""Training: plain torch, on one process or many, from patches to model.safetensors and model.json.

Any number of ranks trains on the same global batches with the same noise: the result differs by rounding.
A training that was killed goes on from its last checkpoint as if nothing had happened.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils import convert_conv2d_weight_memory_format
from tqdm import tqdm

from skydenoise.config import TrainSettings
from skydenoise.errors import StepError
from skydenoise.network import Network, load_model, read_description, save_model
from skydenoise.network.folder import DESCRIPTION
from skydenoise.network.network import check_size
from skydenoise.train.checkpoint import CHECKPOINT, EARLIER, TrainState, sigterm_noted
from skydenoise.train.curve import Curve
from skydenoise.train.job import TrainJob
from skydenoise.train.ranks import Ranks, join_ranks
from skydenoise.train.training import Training

logger = logging.getLogger(__name__)

LARGEST_GRADIENT = 1.0
"""Norm to which a larger gradient is cut."""


def train(job: TrainJob, make_training: Callable[[TrainJob, Ranks], Training] = Training) -> None:
    """Train, or go on training; every rank calls it, rank 0 writes.

    make_training : brings patches, pairs and loss; for experiments that train on others

    Raises SettingsError, before the first step, as `Training` does; StepError if the loss is not finite, or
    if SIGTERM came, and a checkpoint was left.
    """
    with join_ranks() as ranks, sigterm_noted() as sigterm:
        training = make_training(job, ranks)
        if is_finished(job, training.digest):
            logger.info("this very training has ended: its model is kept")
            return
        state = initial_state(job, ranks)
        state.load(job.model, training.digest)
        if float(ranks.mean(torch.tensor(float(state.step), device=ranks.device))) != state.step:
            raise StepError(f"train: the ranks see different checkpoints in {job.model}; is its disk shared?")
        if ranks.rank == 0:
            logger.info("training on %s: step %d of %d", ranks, state.step, training.steps)
        network = training.distributed(state.network)
        loss_of = training.loss_of(network)
        curve = Curve(job.log, job.tensorboard, state.step) if ranks.rank == 0 else None
        bar = tqdm(total=training.steps, initial=state.step, unit="step", disable=ranks.rank > 0 or None)
        saved, start = time.monotonic(), time.monotonic() - state.seconds
        for patches, image, counts in training.batches(state.step):
            rate = learning_rate(state.step, training.steps, job.settings)
            pair = training.pair(patches, image, counts, state.step // training.epoch_steps)
            loss = loss_of(pair)
            state.optimizer.zero_grad()
            loss.backward()
            norm = nn.utils.clip_grad_norm_(network.parameters(), LARGEST_GRADIENT)  # the same on every rank
            stopping = torch.full_like(norm, float(sigterm.is_set()))
            signals = ranks.mean(torch.stack([loss.detach(), norm, stopping]))
            mean_loss, norm, stop = signals.tolist()  # once a step: a GPU idles until it has an answer
            if not math.isfinite(norm):
                raise StepError(
                    f"train: loss or gradient is not finite at step {state.step + 1} of {training.steps}, "
                    f"learning rate {rate:.3g}; lower train.learning_rate, or look for wild pixels "
                    "in the patches"
                )
            state.update(rate, job.settings.ema_decay)
            state.loss_sum += mean_loss
            state.seconds = time.monotonic() - start
            bar.update()
            if state.step % training.epoch_steps == 0:
                state.end_epoch(training.epoch_steps, training.validation(state), rate)
                if curve is not None:
                    curve.write(state.rows)
                    logger.info(", ".join(f"{key} {value}" for key, value in state.rows[-1].items()))
                    training.epoch_ended(state)
            if state.step == training.steps:
                break
            if ranks.rank == 0 and (stop or time.monotonic() - saved > 60 * job.settings.checkpoint_minutes):
                state.save(job.model, training.digest)
                saved = time.monotonic()
            if stop:
                raise StepError(
                    f"train: stopped by SIGTERM at step {state.step} of {training.steps}; run again to go on"
                )
        bar.close()
        if curve is not None:
            curve.close()
            save_model(job.model, state.averaged(), training.description(state))
            for name in (CHECKPOINT, EARLIER):
                (job.model / name).unlink(missing_ok=True)


def is_finished(job: TrainJob, digest: str) -> bool:
    """Whether this very training has ended: as the orphan of a killed run, for which this one waited."""
    try:
        provenance = read_description(job.model / DESCRIPTION).provenance
    except StepError:
        return False
    return job.log.exists() and provenance.get("training") == digest


def initial_state(job: TrainJob, ranks: Ranks) -> TrainState:
    """State before the first step; the seed alone determines the weights."""
    check_size(job.architecture)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(job.settings.seed)
        network = Network(job.architecture)
    if job.settings.initial:
        start, description = load_model(Path(job.settings.initial))
        if description.architecture != job.architecture:
            raise StepError(
                f"train.initial: {job.settings.initial} has another architecture than `model` says"
            )
        network.load_state_dict(start.state_dict())
    network.to(ranks.device)
    on_gpu = ranks.device.type == "cuda"
    if on_gpu:
        convert_conv2d_weight_memory_format(network, torch.channels_last)  # what tensor cores take
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=job.settings.weight_decay, fused=on_gpu)
    return TrainState(network, optimizer)


def learning_rate(step: int, steps: int, settings: TrainSettings) -> float:
    """Rate of a step, counted from 0: a linear rise over `warmup`, then half a cosine towards 0."""
    warm = settings.warmup * steps
    if step < warm:
        return settings.learning_rate * (step + 1) / (warm + 1)
    return settings.learning_rate * (1 + math.cos(math.pi * (step - warm) / (steps - warm))) / 2
