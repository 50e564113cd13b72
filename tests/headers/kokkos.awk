# Reads headers and prints each that uses Kokkos and does not include it, itself or by a header of Schatten.
# With -v list=1 it prints all that do not include Kokkos, by the names that #include gives them.
# Usage: awk -v root=include/schatten -f kokkos.awk include/schatten/**/*.hpp
# Exit status 1 if a header was found that uses it.

FNR == 1 { header = "schatten/" substr(FILENAME, length(root) + 2); headers[++count] = header }

/^[ \t]*#[ \t]*include/ {
  target = $0
  sub(/^[ \t]*#[ \t]*include[ \t]*["<]/, "", target)
  sub(/[">].*$/, "", target)
  if (target ~ /^Kokkos_/) includes_kokkos[header] = 1
  if (target ~ /^schatten\//) { from[++arrows] = header; to[arrows] = target }
  next
}

!(header in uses) {
  code = $0
  gsub(/"[^"]*"/, "", code)
  sub(/\/\/.*$/, "", code)
  if (code ~ /Kokkos::|KOKKOS_[A-Z]/) uses[header] = FILENAME ":" FNR
}

END {
  do {
    changed = 0
    for (i = 1; i <= arrows; ++i)
      if ((to[i] in includes_kokkos) && !(from[i] in includes_kokkos)) changed = includes_kokkos[from[i]] = 1
  } while (changed)
  for (i = 1; i <= count; ++i) {
    if (headers[i] in includes_kokkos) continue
    if (list) print headers[i]
    else if (headers[i] in uses) { print uses[headers[i]] ": uses Kokkos and does not include it"; ++found }
  }
  exit found > 0
}
