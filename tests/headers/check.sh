#!/bin/sh
# check.sh room_order|hidden_fences [<include folder>]: applies the check of that name to the headers.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
check=$1
root=${2:-$here/../../include}/schatten

case $check in
  room_order) rooms=$root ;;
  hidden_fences) rooms="$root/linalg $root/spectral $root/optim $root/checkpoint $root/distributed" ;;
  *) echo "no such check: $check" >&2 && exit 2 ;;
esac

headers=$(for room in $rooms; do [ ! -d "$room" ] || find "$room" -name '*.hpp'; done | sort)
[ -n "$headers" ] || { echo "no headers under $root" >&2 && exit 2; }
# The names hold no spaces: they are ours.
awk -v root="$root" -f "$here/$check.awk" $headers
