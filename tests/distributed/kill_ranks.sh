#!/bin/sh
# kill_ranks.sh KILLS PROGRAM LAUNCHER...: starts killed_rank over ranks KILLS times. Each time one rank is killed at a
# random moment. The launcher must end within 60 s, with an error, and the save must be whole: the next start looks at
# it.
kills=$1
program=$2
shift 2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
k=0
while [ $k -lt "$kills" ]; do
  status=0
  timeout 60 "$@" "$program" "$folder/run.json" $k >"$folder/log" 2>&1 || status=$?
  if [ $status -eq 0 ] || [ $status -eq 124 ] || ! grep -q '^step ' "$folder/log"; then
    echo "kill $k: status $status (124: the other ranks did not end)"
    cat "$folder/log"
    exit 1
  fi
  k=$((k + 1))
done
timeout 60 "$@" "$program" "$folder/run.json" >"$folder/log" 2>&1 || { cat "$folder/log" && exit 1; }
echo "$kills kills; the last save is whole: $(grep '^step ' "$folder/log")"
grep -q '^step [1-9]' "$folder/log" # it went on in between
