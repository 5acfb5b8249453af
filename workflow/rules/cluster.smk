"""What depends on where jobs run: memory and time that grow, how training starts, one run at a time in a folder."""

import uuid

from skydenoise.earlier_run import only_run
from skydenoise.errors import StepError

STATE = Path(".snakemake")
# Threads of what uses all cores; Snakemake cuts it to --cores, and a cluster's profile sets its own number.
WHOLE_MACHINE = 1024


def name_jobs(settings):
    """Let the names of this run's Slurm jobs begin with a text of its own; None without Slurm."""
    if not hasattr(settings, "jobname_prefix"):
        return None
    text = uuid.uuid4().hex[:12]
    users = settings.jobname_prefix
    settings.jobname_prefix = f"{users}_{text}" if users else f"skydenoise_{text}"
    return text


def alone(execute):
    """Snakemake's `execute` with the folder to itself; only it tells a run from --summary, --report and the like.

    Before it, no code here knows whether jobs will run; `onstart` comes after the lock, and `onsuccess` and
    `onerror` not after every end.
    """

    def run(**arguments):
        kind = arguments["executor_plugin"].common_settings
        if kind.dryrun_exec or kind.touch_exec:
            return execute(**arguments)
        try:
            with only_run(
                STATE, name_jobs(arguments["executor_settings"]), logger.info
            ):
                return execute(**arguments)
        except StepError as error:
            raise WorkflowError(str(error)) from None

    return run


if workflow.is_main_process:
    workflow.execute = alone(workflow.execute)


def growing(amount):
    """`amount` of memory or time in the first attempt, twice as much in the second, and so on."""
    return lambda wildcards, attempt: attempt * amount


def training_launcher(wildcards, threads, resources):
    """One process or `ranks` of them on this machine; `tasks` on several nodes, if the profile sets `mpi`.

    The numbers must be given to srun: without them, it starts one rank, with one core. A rank that dies ends the
    others.
    """
    if "mpi" in resources.keys():
        step = f"-n {resources.tasks} --cpus-per-task={threads}"
        return f"{resources.mpi} --kill-on-bad-exit=1 {step} python"
    return f"torchrun --standalone --nproc-per-node={resources.get('ranks', 1)}"
