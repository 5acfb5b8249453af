"""The same packages by pip, by conda and by pins: three lists that must not drift apart; and our package."""

import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version
from rattler import MatchSpec

REPOSITORY = Path(__file__).parents[2]
CONTENT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
PROJECT, BUILD = CONTENT["project"], CONTENT["build-system"]
ENVIRONMENTS = ("cpu", "gpu")
PIP_NAMES = {
    "matplotlib-base": "matplotlib",  # without the GUI's libraries
    "pytorch-cpu": "torch",
    "pytorch-gpu": "torch",
}

OUTSIDE = ("snakemake", "snakemake-executor-plugin-slurm")
"""What starts the jobs and is not in their environments."""

OF_JOBS = ("experiments", "simulate", "stacks", "tensorboard")
"""Extras that jobs need."""


def requirements(*extras: str) -> dict[str, SpecifierSet]:
    """Version bounds by normalised name; an extra may name others."""
    lines = PROJECT["dependencies"] + [
        line for extra in extras for line in PROJECT["optional-dependencies"][extra]
    ]
    found: dict[str, SpecifierSet] = {}
    for requirement in map(Requirement, lines):
        if requirement.name == PROJECT["name"]:
            found |= requirements(*requirement.extras)
        else:
            found[canonicalize_name(requirement.name)] = requirement.specifier
    return found


def environment(kind: str) -> dict[str, SpecifierSet]:
    """Version bounds of a conda environment, by conda's name; each line is what conda calls a match spec."""
    specs = {}
    for line in yaml.safe_load((REPOSITORY / f"workflow/envs/{kind}.yaml").read_text())["dependencies"]:
        parsed = MatchSpec(line, strict=True)
        name = line.split()[0]
        if name == "pip":  # of any version
            continue
        assert parsed.version is not None, f"{name} has no bounds"
        assert name not in specs, f"{name} stands twice"
        specs[name] = SpecifierSet(parsed.version)
    return specs


def pins() -> dict[str, Version]:
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    found: dict[str, Version] = {}
    for line in lines:
        if line and not line.startswith("#"):
            name, version = line.split("==")
            assert canonicalize_name(name) not in found, f"{name} is pinned twice"
            found[canonicalize_name(name)] = Version(version)
    return found


@pytest.mark.parametrize("kind", ENVIRONMENTS)
def test_an_environment_holds_the_project_s_dependencies_with_the_same_bounds(kind: str) -> None:
    specs = environment(kind)
    python = specs.pop("python")
    needed = requirements(*OF_JOBS) | {"setuptools": Requirement(BUILD["requires"][0]).specifier}
    for name in OUTSIDE:
        del needed[name]
    assert {PIP_NAMES.get(name, name): bounds for name, bounds in specs.items()} == needed
    lowest = PROJECT["requires-python"].removeprefix(">=")
    assert python.contains(lowest)
    assert not python.contains("3.10")


def test_the_environments_differ_in_torch_alone() -> None:
    cpu, gpu = (environment(kind) for kind in ENVIRONMENTS)
    assert cpu.pop("pytorch-cpu") == gpu.pop("pytorch-gpu")
    assert cpu == gpu


@pytest.mark.parametrize("kind", ENVIRONMENTS)
def test_an_environment_comes_from_conda_forge_alone(kind: str) -> None:
    content = yaml.safe_load((REPOSITORY / f"workflow/envs/{kind}.yaml").read_text())
    assert content["channels"] == ["conda-forge", "nodefaults"]
    assert content["name"] == f"skydenoise-{kind}"


@pytest.mark.parametrize(("name", "bounds"), sorted(requirements("test").items(), key=lambda pin: pin[0]))
def test_a_pin_lies_within_the_project_s_bounds(name: str, bounds: SpecifierSet) -> None:
    assert pins()[name] in bounds


@pytest.mark.parametrize(("name", "bounds"), sorted(requirements().items(), key=lambda pin: pin[0]))
def test_a_dependency_has_a_lower_bound_alone(name: str, bounds: SpecifierSet) -> None:
    """Tested versions are the constraints' business; an upper bound would lock users out."""
    assert [bound.operator for bound in bounds] == [">="]


@pytest.mark.parametrize("kind", ENVIRONMENTS)
def test_an_environment_gets_the_package_of_the_checkout(kind: str, tmp_path: Path) -> None:
    """Snakemake runs this script in an environment that it has made."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    script = REPOSITORY / f"workflow/envs/{kind}.post-deploy.sh"
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SKYDENOISE_CHECKOUT": "/a clone"}
    done = subprocess.run(["bash", script], env=environment, text=True, capture_output=True, check=True)
    assert done.stdout == "-m pip install --no-deps --no-build-isolation --editable /a clone\n"
