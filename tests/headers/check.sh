#!/bin/sh
# check.sh room_order|kokkos|hidden_fences|licence|public [<include folder>]: applies the check of that name to the
# headers.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
check=$1
root=${2:-$here/../../include}/schatten

case $check in
  room_order | kokkos | licence | public) rooms=/ ;;
  hidden_fences) rooms="/core/parallel.hpp /linalg /spectral /optim /checkpoint /distributed" ;;
  *) echo "no such check: $check" >&2 && exit 2 ;;
esac

headers=$(for room in $rooms; do [ ! -e "$root$room" ] || find "$root$room" -name '*.hpp'; done | sort)
[ -n "$headers" ] || { echo "no headers under $root" >&2 && exit 2; }

if [ "$check" = licence ]; then
  # Headers are what people copy: the first line of each names the licence.
  status=0
  list=$(mktemp)
  trap 'rm -f "$list"' EXIT
  printf '%s\n' "$headers" >"$list"
  while read -r header; do
    [ "$(head -n 1 "$header")" = '// SPDX-License-Identifier: BSD-3-Clause' ] ||
      { echo "$header: the first line is not // SPDX-License-Identifier: BSD-3-Clause" && status=1; }
  done <"$list"
  exit $status
fi

if [ "$check" = public ]; then
  # The list of public headers in docs/design.md: all exist, and what the umbrella, the pages and the examples include
  # is in it.
  docs=${3:-$here/../../docs}
  list=$(mktemp)
  trap 'rm -f "$list" "$list.missing"' EXIT
  awk '/^## / { on = /^## Public headers/ }
    on && /^    [a-z_\/]+\.hpp/ { for (i = 1; i <= NF; ++i) print $i }' "$docs/design.md" | sort >"$list"
  [ -s "$list" ] || { echo "no public headers are listed in $docs/design.md" >&2 && exit 2; }
  status=0
  while read -r header; do
    [ -e "$root/$header" ] || { echo "docs/design.md: $header is no header" && status=1; }
  done <"$list"
  grep -ho '#include <schatten/[a-z_/]*\.hpp>' "$root/schatten.hpp" \
    "$docs"/../README.md "$docs"/*.md "$docs"/rules/*.md "$docs"/../examples/*.cpp 2>/dev/null |
    sed 's/.*<schatten\///; s/>//' | sort -u | while read -r header; do
    grep -qx "$header" "$list" || echo "$header is told to users and not listed in docs/design.md"
  done >"$list.missing"
  [ ! -s "$list.missing" ] || { cat "$list.missing" && status=1; }
  exit $status
fi
# Split at line ends alone: the folder's name may have spaces.
IFS='
'
awk -v root="$root" -f "$here/$check.awk" $headers
