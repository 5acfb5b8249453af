"""The profile of a Slurm cluster, as it is and with each choice that its comments offer."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

PROFILE = Path(__file__).parents[2] / "profiles/slurm/config.yaml"
LINES = PROFILE.read_text().splitlines()
CHOICE = re.compile(r"^(?P<indent> *)# (?P<key>[\w-]+): [^ ]")
CHOICES = [number for number, line in enumerate(LINES) if CHOICE.match(line)]


def uncommented(number: int) -> tuple[str, str]:
    """Text of the profile with a choice taken, as its comment says, and the key of that choice."""
    found = CHOICE.match(LINES[number])
    assert found is not None
    start = f"{found['indent']}{found['key']}:"
    lines = LINES.copy()
    lines[number] = LINES[number].replace("# ", "", 1)
    for above in range(number - 1, -1, -1):
        if lines[above].startswith(start):
            del lines[above]
            break
        if lines[above] and len(lines[above]) - len(lines[above].lstrip()) < len(found["indent"]):
            break
    return "\n".join(lines), found["key"]


def check(profile: dict[str, Any]) -> None:
    assert profile["executor"] == "slurm"
    train = profile["set-resources"]["train"]
    assert train["slurm_partition"] == "gpu"
    assert "gpu" in train or train["gres"].startswith("gpu")
    assert profile["set-threads"]["train"] > 0


def test_the_profile_trains_on_a_gpu_and_does_all_else_on_cpus() -> None:
    profile = yaml.safe_load(PROFILE.read_text())
    check(profile)
    assert set(profile["set-resources"]) == {"train"}


def test_the_comments_offer_something() -> None:
    assert {CHOICE.match(LINES[number])["key"] for number in CHOICES} >= {  # type: ignore[index]
        "slurm_account",
        "qos",
        "constraint",
        "slurm-reservation",
        "train",
        "predict",
    }


@pytest.mark.parametrize("number", CHOICES, ids=[LINES[number].strip(" #")[:60] for number in CHOICES])
def test_a_choice_leaves_a_whole_profile(number: int) -> None:
    plain = yaml.safe_load(PROFILE.read_text())
    text, key = uncommented(number)
    assert text.count("&") == 0, "an anchor goes when its line is replaced"
    chosen = yaml.safe_load(text)
    check(chosen)
    changed = [name for name in chosen if chosen[name] != plain.get(name)]
    assert len(changed) == 1
    content = chosen[changed[0]]
    assert changed[0] == key or content[key] != plain[changed[0]].get(key)


def test_ranks_of_several_nodes_are_as_many_as_their_gpus() -> None:
    """Slurm would give one node three of four ranks: the number on each node must be said."""
    example = next(line for line in LINES if "mpi: srun" in line)
    train = yaml.safe_load(example.strip(" #"))["train"]
    each = int(train["slurm_extra"].strip("'").removeprefix("--ntasks-per-node="))
    assert each * train["nodes"] == train["tasks"]
    assert train["gres"] == f"gpu:{each}"


def test_the_queue_is_not_taken_for_forgetful() -> None:
    """The executor believes in squeue if ended jobs stay there for 3 x this; it looks every 60 to 180 s."""
    assert 3 * yaml.safe_load(PROFILE.read_text())["slurm-init-seconds-before-status-checks"] >= 180
