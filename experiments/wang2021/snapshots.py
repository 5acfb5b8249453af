"""A training that keeps models of earlier epochs, each in a folder epochs/<epoch>/ beside the last one."""

import shutil
from pathlib import Path

from skydenoise.network import save_model
from skydenoise.train.checkpoint import TrainState
from skydenoise.train.job import TrainJob
from skydenoise.train.ranks import Ranks
from skydenoise.train.training import Training

EPOCHS = "epochs"


class FollowedTraining(Training):
    """A training that keeps the averaged weights of every `every`-th epoch; 0 keeps none."""

    def __init__(self, job: TrainJob, ranks: Ranks, every: int) -> None:
        super().__init__(job, ranks)
        self.every = every

    def epoch_ended(self, state: TrainState) -> None:
        """Save what is due, and remove what an earlier training kept of this epoch and later ones."""
        epoch = state.step // self.epoch_steps
        for other, folder in snapshots(self.job.model).items():
            if other >= epoch:
                shutil.rmtree(folder)
        if self.every and epoch % self.every == 0:
            folder = self.job.model / EPOCHS / f"{epoch:05d}"
            save_model(folder, state.averaged(), self.description(state))


def snapshots(model: Path) -> dict[int, Path]:
    """Folders of the kept models by epoch, counted from 1, in order of the epochs."""
    return {int(folder.name): folder for folder in sorted((model / EPOCHS).glob("[0-9]*"))}
