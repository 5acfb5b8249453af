#!/usr/bin/env bash
# cluster.sh install | start | stop     a real Slurm for the tests on one Debian host, as root:
# two CPU nodes (c1, c2) and two nodes (g1, g2) with two pretended GPUs each, all of them this host.
# `start` takes over /etc/slurm (what was there comes back with `stop`), so do not run it on a node of a cluster.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
state=/var/lib/skydenoise-slurm run=/run/skydenoise-slurm logs=/var/log/skydenoise-slurm saved=/etc/slurm.before-tests
nodes=(c1 c2 g1 g2)

wait_until() { # seconds, command: until the command succeeds
  local deadline=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS > deadline)); then echo "cluster.sh: waited in vain for: $*" >&2; return 1; fi
    sleep 0.2
  done
}

all_idle() { [ "$(sinfo --noheader --Node --states=idle --format=%N | sort -u | wc -l)" = ${#nodes[@]} ]; }
munge_works() { munge -n | unmunge; }

install() {
  command -v slurmctld slurmd squeue srun munged >/dev/null && return
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client munge
}

start() {
  if [ -d $run ]; then stop; fi
  if pgrep -x slurmctld >/dev/null || pgrep -x slurmd >/dev/null; then
    echo "cluster.sh: another Slurm runs on this host: refused" >&2; exit 1
  fi
  [ ! -d /etc/slurm ] || mv /etc/slurm $saved
  mkdir -p /etc/slurm $run $logs $state/controller /run/munge
  chown slurm: $logs $state/controller $run
  chown munge: /run/munge
  local memory host; host=$(hostname -s)
  memory=$(awk '/MemTotal/ {printf "%d", 0.9 * $2 / 1024}' /proc/meminfo)
  sed "s/@HOST@/$host/; s/@MEMORY@/$memory/" "$here/slurm.conf" >/etc/slurm/slurm.conf
  echo "NodeName=g[1-2] Name=gpu Type=pretended File=/dev/null,/dev/zero" >/etc/slurm/gres.conf
  if [ ! -s /etc/munge/munge.key ]; then
    (umask 077; head -c 1024 /dev/urandom >/etc/munge/munge.key; chown munge: /etc/munge/munge.key)
  fi
  if ! munge_works >/dev/null 2>&1; then
    runuser -u munge -- /usr/sbin/munged
    touch $run/munged-is-ours
  fi
  wait_until 30 munge_works
  slurmctld
  wait_until 30 sh -c "scontrol ping | grep -q UP"
  for node in "${nodes[@]}"; do mkdir -p $state/$node; slurmd -N $node; done
  wait_until 60 all_idle || { sinfo --list-reasons; tail -5 $logs/*.log; exit 1; }
  sinfo
}

stop() {
  scancel --user=root 2>/dev/null || true
  local pid_file
  for pid_file in $run/slurmd.*.pid $run/slurmctld.pid; do
    [ ! -f $pid_file ] || kill "$(cat $pid_file)" 2>/dev/null || true
  done
  wait_until 30 sh -c "! pgrep -x slurmctld && ! pgrep -x slurmd"
  [ ! -f $run/munged-is-ours ] || pkill -x munged || true
  rm -rf $run $state /etc/slurm
  [ ! -d $saved ] || mv $saved /etc/slurm
}

case "${1:-}" in
  install | start | stop) "$1" ;;
  *) echo "usage: cluster.sh install | start | stop" >&2; exit 2 ;;
esac
