#!/usr/bin/env bash
# A training that is killed and goes on ends with the weights and the losses of one that is not:
# check_resume.sh <program> <folder for its files> <step to kill at> [<option of the program>...]
set -euo pipefail
program=$1 folder=$2 kill_at=$3
shift 3
rm -rf "$folder"
mkdir -p "$folder"

fail() {
  printf 'check_resume: %s\n' "$*" >&2
  exit 1
}
digests() { grep 'digest of the weights' "$1"; }
losses() { cut -d , -f 1-4,6- "$1/losses.csv"; } # without the seconds

"$program" "$@" --out "$folder/whole" >"$folder/whole.log" || fail "the whole run failed: $folder/whole.log"
status=0
{ "$program" "$@" --kill-at "$kill_at" --out "$folder/killed" >"$folder/killed.log" 2>&1 || status=$?; } 2>/dev/null
[ $status -eq 137 ] || fail "the run was not killed: $folder/killed.log"
"$program" "$@" --resume --out "$folder/killed" >"$folder/resumed.log" ||
  fail "the resumed run failed: $folder/resumed.log"
[ -n "$(digests "$folder/whole.log")" ] && [ "$(digests "$folder/whole.log")" = "$(digests "$folder/resumed.log")" ] ||
  fail "other weights: $(digests "$folder/whole.log"), $(digests "$folder/resumed.log")"
[ "$(losses "$folder/whole")" = "$(losses "$folder/killed")" ] || fail "other losses in $folder/*/losses.csv"
digests "$folder/resumed.log"
printf 'killed at step %s and resumed: the same weights and losses\n' "$kill_at"
