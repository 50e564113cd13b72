#!/usr/bin/env bash
# tests/distributed/two_hosts.sh RANKS PROGRAM...: test programs over ranks on two hosts. The hosts are network
# namespaces of this machine, so that ranks of different hosts reach each other by TCP alone. As root, with Open MPI and
# iproute2; by hand. RANKS: 2 or more, half of them on each host.
set -euo pipefail

[ $# -ge 2 ] && [[ $1 =~ ^[1-9][0-9]*$ ]] || { echo "usage: $0 RANKS PROGRAM..." >&2; exit 2; }
ranks=$1
shift
net=10.213.77 name=schatten$$
work=$(mktemp -d "${TMPDIR:-/tmp}/schatten-hosts.XXXXXX")

clean() {
  for k in 1 2; do ip netns delete "$name-$k" 2>/dev/null || true; done
  ip link delete "br$$" 2>/dev/null || true
  rm -rf "$work"
}
trap clean EXIT

ip link add "br$$" type bridge
ip address add "$net.254/24" dev "br$$"
ip link set "br$$" up
for k in 1 2; do
  ip netns add "$name-$k"
  ip link add "v$k-$$" type veth peer name eth0 netns "$name-$k"
  ip link set "v$k-$$" master "br$$" up
  ip -n "$name-$k" address add "$net.$k/24" dev eth0
  ip -n "$name-$k" link set eth0 up
  ip -n "$name-$k" link set lo up
done

# What the launcher calls instead of ssh: agent ADDRESS COMMAND...
cat >"$work/agent" <<END
#!/bin/sh
k=\${1##*.}
shift
exec ip netns exec "$name-\$k" unshare --uts sh -c "hostname $name-\$k; \$*"
END
chmod +x "$work/agent"

export OMP_NUM_THREADS=1 OMP_PROC_BIND=false OMP_WAIT_POLICY=passive
each=$(((ranks + 1) / 2))
for program in "$@"; do
  mpirun --allow-run-as-root -x OMP_NUM_THREADS -x OMP_PROC_BIND -x OMP_WAIT_POLICY --mca plm_rsh_agent "$work/agent" \
    --mca oob_tcp_if_include "$net.0/24" --mca btl_tcp_if_include "$net.0/24" --mca btl tcp,self \
    --mca mpi_yield_when_idle 1 --host "$net.1:$each,$net.2:$each" -n "$ranks" "$program"
done
