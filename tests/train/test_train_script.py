"""The command that srun and torchrun start."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_it_finds_the_package_of_its_own_checkout_without_pythonpath(tmp_path: Path) -> None:
    """As in a conda environment, where nothing else says where the package is."""
    (tmp_path / "workflow/scripts").mkdir(parents=True)
    shutil.copy(REPOSITORY / "workflow/scripts/train.py", tmp_path / "workflow/scripts")
    package = tmp_path / "src/skydenoise"
    (package / "train").mkdir(parents=True)
    modules = {
        "__init__.py": "",
        "joblog.py": "from contextlib import nullcontext as job_log",
        "train/__init__.py": "",
        "train/job.py": "class TrainJob: from_json = staticmethod(str.upper)",
        "train/loop.py": "train = print",
    }
    for name, text in modules.items():
        (package / name).write_text(text)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "workflow/scripts/train.py", "a job", "train.log"],
        cwd=tmp_path,
        env=environment,
        text=True,
        capture_output=True,
    )
    assert done.stdout == "A JOB\n", done.stderr
