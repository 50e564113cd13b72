#!/bin/sh
# same_curve.sh PROGRAM LAUNCHER NUMBER_FLAG [FLAGS]: train_ranks has the losses of one rank on three, to the last bit
# where all compute all gradients, and within rounding where each has some sequences.
set -e
program=$1
launcher=$2
flag=$3
shift 3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
train() { # ranks, file, options
  ranks=$1
  file=$2
  shift 2
  "$launcher" "$flag" "$ranks" $flags "$program" --steps 8 --width 64 --sequences 4 --csv "$folder/$file" "$@"
}
flags=$*
train 1 one --equal
train 3 equal --equal
train 3 summed
cmp "$folder/one" "$folder/equal"
paste -d, "$folder/one" "$folder/summed" | awk -F, '
  { d = $2 - $4; if (d < 0) d = -d; if (d > 1e-4) { print "step " $1 ": " $2 " and " $4; exit 1 } }'
[ "$(wc -l <"$folder/summed")" -eq 8 ]
