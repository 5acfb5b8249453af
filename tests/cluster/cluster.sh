#!/usr/bin/env bash
# cluster.sh with COMMAND...    a real Slurm on one Debian host, as root, while COMMAND runs:
# two CPU nodes (c1, c2) and three nodes (g1 to g3) with two pretended GPUs each, all of them this host.
# It takes over /etc/slurm (what was there comes back), so do not run it on a node of a cluster.
# cluster.sh install | start | stop    the same in single steps
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
state=/var/lib/skydenoise-slurm run=/run/skydenoise-slurm logs=/var/log/skydenoise-slurm saved=/etc/slurm.before-tests
nodes=(c1 c2 g1 g2 g3)

wait_until() { # seconds, command: until the command succeeds
  local deadline=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS > deadline)); then echo "cluster.sh: waited in vain for: $*" >&2; return 1; fi
    sleep 0.2
  done
}

all_idle() { [ "$(sinfo --noheader --Node --states=idle --format=%N | sort -u | wc -l)" = ${#nodes[@]} ]; }
munge_works() { munge -n | unmunge; }
controller_up() { scontrol ping | grep -q UP; }
no_job() { local jobs; jobs=$(squeue --noheader) && [ -z "$jobs" ]; }
runs() { local pid; for pid in $(pgrep -x "$1"); do ended "$pid" || return 0; done; return 1; }
ended() { [ ! -d "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"; }

install() {
  command -v slurmctld slurmd squeue srun munged >/dev/null && return
  export DEBIAN_FRONTEND=noninteractive
  apt-get -o DPkg::Lock::Timeout=300 update -qq
  apt-get -o DPkg::Lock::Timeout=300 install -y -qq --no-install-recommends slurmctld slurmd slurm-client munge
}

start() {
  if [ -d $run ]; then stop; fi
  if runs slurmctld || runs slurmd || runs slurmstepd; then
    echo "cluster.sh: another Slurm runs on this host: refused" >&2; exit 1
  fi
  mkdir -p $run $logs $state/controller /run/munge
  [ ! -d /etc/slurm ] || mv /etc/slurm $saved
  mkdir /etc/slurm
  touch $run/etc-is-ours
  chown slurm: $logs $state/controller $run
  chown munge: /run/munge
  local memory host; host=$(hostname -s)
  memory=$(awk '/MemTotal/ {printf "%d", 0.9 * $2 / 1024}' /proc/meminfo)
  sed "s/@HOST@/$host/; s/@MEMORY@/$memory/" "$here/slurm.conf" >/etc/slurm/slurm.conf
  echo "NodeName=g[1-3] Name=gpu Type=pretended File=/dev/null,/dev/zero" >/etc/slurm/gres.conf
  if [ ! -s /etc/munge/munge.key ]; then
    (umask 077; head -c 1024 /dev/urandom >/etc/munge/munge.key; chown munge: /etc/munge/munge.key)
  fi
  if ! munge_works >/dev/null 2>&1; then
    touch $run/munged-is-ours
    runuser -u munge -- /usr/sbin/munged
  fi
  wait_until 60 munge_works
  slurmctld
  wait_until 60 controller_up
  for node in "${nodes[@]}"; do mkdir -p $state/$node; slurmd -N $node; done
  wait_until 120 all_idle || { sinfo --list-reasons; tail -5 $logs/*.log; exit 1; }
  sinfo
}

end_process() { # name, number: politely, then not
  [ "$(cat "/proc/$2/comm" 2>/dev/null)" = "$1" ] || return 0
  kill "$2" 2>/dev/null
  wait_until 20 ended "$2" || kill -9 "$2" 2>/dev/null
}

stop() { # goes on whatever fails: /etc/slurm must come back
  set +e
  [ -d $run ] || return 0
  local file pid
  if [ -s $run/slurmctld.pid ] && controller_up 2>/dev/null; then
    for node in "${nodes[@]}"; do scontrol update nodename=$node state=resume 2>/dev/null; done
    squeue --noheader --format=%A | xargs --no-run-if-empty scancel --full
    wait_until 60 no_job
  fi
  for file in $run/slurmd.*.pid; do [ ! -f "$file" ] || end_process slurmd "$(cat "$file")"; done
  # their daemons are gone, and `start` found no foreign ones
  for pid in $(pgrep -x slurmstepd); do kill -9 "$pid"; done
  [ ! -f $run/slurmctld.pid ] || end_process slurmctld "$(cat $run/slurmctld.pid)"
  if [ -f $run/munged-is-ours ] && [ -f /run/munge/munged.pid ]; then
    end_process munged "$(cat /run/munge/munged.pid)"
  fi
  [ ! -f $run/etc-is-ours ] || rm -rf /etc/slurm
  [ ! -d $saved ] || [ -e /etc/slurm ] || mv $saved /etc/slurm
  rm -rf $run $state
}

with() {
  [ $# -gt 0 ] || usage
  trap stop EXIT
  trap 'exit 130' INT TERM HUP
  install
  start
  "$@"
}

usage() { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }

case "${1:-}" in
  install | start | stop | with) ;;
  *) usage ;;
esac
if [ "$(id -u)" != 0 ]; then echo "cluster.sh: only root can start a Slurm" >&2; exit 1; fi
"$@"
