"""What depends on where jobs run: memory and time that grow, how training starts, runs that were killed."""

from skydenoise.earlier_run import note_run, settle_killed_run

STATE = Path(".snakemake")
# Threads of what uses all cores; Snakemake cuts it to --cores, and a cluster's profile sets its own number.
WHOLE_MACHINE = 1024

if workflow.is_main_process and not workflow.dryrun:
    settle_killed_run(STATE, Path.cwd(), tell=logger.info)


onstart:
    note_run(STATE)


def growing(amount):
    """`amount` of memory or time in the first attempt, twice as much in the second, and so on."""
    return lambda wildcards, attempt: attempt * amount


def training_launcher(wildcards, resources):
    """One process or `ranks` of them on this machine; `tasks` on several nodes, if the profile sets `mpi`.

    The number must be given to srun: without it, it starts one. A rank that dies ends the others.
    """
    if "mpi" in resources.keys():
        return f"{resources.mpi} --kill-on-bad-exit=1 -n {resources.tasks} python"
    return f"torchrun --standalone --nproc-per-node={resources.get('ranks', 1)}"
