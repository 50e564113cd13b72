# Reads the #include lines of headers and prints each arrow between rooms that the design does not have.
# Usage: awk -v root=include/schatten -f room_order.awk include/schatten/**/*.hpp
# Exit status 1 if anything was printed.

BEGIN {
  # What a room may include: itself and the rooms above it.
  may["core"] = " core "
  may["linalg"] = " core linalg linalg/host linalg/backend "
  may["linalg/host"] = " core linalg linalg/host "
  may["linalg/backend"] = " core linalg linalg/host linalg/backend linalg/backend/vendor "
  may["linalg/backend/vendor"] = " core/error.hpp linalg/backend/vendor "
  may["spectral"] = " core linalg spectral "
  may["optim"] = " core linalg spectral optim "
  may["checkpoint"] = " core linalg spectral optim checkpoint "
  may["distributed"] = " core linalg spectral optim checkpoint distributed "
  may["diagnostics"] = " core linalg spectral diagnostics "
  may["interop"] = " core linalg spectral optim checkpoint interop "
  may["umbrella"] = " core linalg spectral optim diagnostics "
  vendor = "^(Eigen/|unsupported/Eigen/|f?blas|cblas|lapack|mkl|openblas|armpl|Accelerate/|" \
    "cuda|cublas|cusolver|curand|nvtx|hip|rocblas|rocsolver|rocm|magma|onemkl|oneapi/|sycl/|" \
    "mpi\\.h|mpi-ext\\.h|nccl\\.h|dlpack/|torch/|ATen/|c10/)"
}

FNR == 1 { room = room_of(substr(FILENAME, length(root) + 2)) }
FNR == 1 && !(room in may) && room != "version" { report("is in no room of the design") }

/^[ \t]*#[ \t]*include/ {
  target = $0
  sub(/^[ \t]*#[ \t]*include[ \t]*/, "", target)
  quoted = target ~ /^"/
  if (target !~ /^["<]/) { report("includes a macro: " target); next }
  gsub(/^["<]|[">].*$/, "", target)

  if (quoted && target !~ /^schatten\//) { report("includes \"" target "\"; write <schatten/...>"); next }
  if (target ~ vendor && room !~ /^linalg\/backend/ && room != "interop" &&
      FILENAME !~ /\/distributed\/(mpi|nccl)\.hpp$/)
    report("includes a vendor's header: " target)
  if (target !~ /^schatten\//) next
  sub(/^schatten\//, "", target)

  there = room_of(target)
  if (there == "version") next
  if (!(room in may) || (index(may[room], " " there " ") == 0 && index(may[room], " " target " ") == 0))
    report("room " room " must not include room " there ": " target)
}

END { exit found > 0 }

function room_of(path,    part, count) {
  if (path == "schatten.hpp") return "umbrella"
  if (path == "version.hpp") return "version"
  count = split(path, part, "/")
  if (count == 1) return path
  if (count > 3 && part[1] == "linalg" && part[3] == "vendor") return "linalg/backend/vendor"
  if (count > 2 && part[1] == "linalg" && (part[2] == "backend" || part[2] == "host")) return "linalg/" part[2]
  return part[1]
}

function report(what) { print FILENAME ":" FNR ": " what; ++found }
