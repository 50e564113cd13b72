#!/bin/sh
# The checks of this folder find what they are for: each planted violation must be reported, and a tree
# without one must pass.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

# plant <check> <header> <line> <expected report, or "clean">
plant() {
  tree=$scratch/$(echo "$2" | tr / _)
  rm -rf "$tree"
  mkdir -p "$tree/schatten/optim" "$tree/schatten/$(dirname "$2")"
  echo '#include <schatten/core/views.hpp>' >"$tree/schatten/optim/step.hpp"
  printf '%s\n' "$3" >"$tree/schatten/$2"
  status=0
  report=$("$here/check.sh" "$1" "$tree" 2>&1) || status=$?
  if [ "$4" = clean ]; then
    [ $status -eq 0 ] && return
  elif [ $status -eq 1 ] && echo "$report" | grep -q "$4"; then
    return
  fi
  echo "FAILED: $1 on $2 holding [$3]: expected $4, got status $status and: $report"
  failures=$((failures + 1))
}

order() { plant room_order "$@"; }
order core/views.hpp '#include <schatten/linalg/gemm.hpp>' 'room core must not include room linalg'
order core/views.hpp '#include <Eigen/Core>' "vendor's header: Eigen/Core"
order core/views.hpp '#include <Kokkos_Core.hpp>' clean
order linalg/gemm.hpp '#include <schatten/linalg/backend/eigen.hpp>' clean
order linalg/gemm.hpp '#include <schatten/spectral/exact.hpp>' 'room linalg must not include room spectral'
order linalg/gemm.hpp '  #  include <cublas_v2.h>' "vendor's header: cublas_v2.h"
order linalg/gemm.hpp '#include "backend/eigen.hpp"' 'write <schatten/...>'
order linalg/backend/eigen.hpp '#include <Eigen/SVD>' clean
order linalg/backend/eigen.hpp '#include <schatten/linalg/host/gemm.hpp>' clean
order linalg/host/gemm.hpp '#include <schatten/linalg/backend/eigen.hpp>' \
  'room linalg/host must not include room linalg/backend'
order spectral/exact.hpp '#include <schatten/linalg/backend/eigen.hpp>' \
  'room spectral must not include room linalg/backend'
order spectral/exact.hpp '#include <schatten/optim/step.hpp>' 'room spectral must not include room optim'
order optim/htmuon.hpp '#include <schatten/diagnostics/hill.hpp>' 'room optim must not include room diagnostics'
order optim/htmuon.hpp '#include <cblas.h>' "vendor's header: cblas.h"
order optim/htmuon.hpp '// #include <cblas.h>' clean
order optim/htmuon.hpp '#include SCHATTEN_HEADER' 'includes a macro'
order diagnostics/hill.hpp '#include <schatten/optim/step.hpp>' 'room diagnostics must not include room optim'
order checkpoint/save.hpp '#include <schatten/optim/step.hpp>' clean
order optim/step.hpp '#include <schatten/checkpoint/save.hpp>' 'room optim must not include room checkpoint'
order distributed/step.hpp '#include <schatten/checkpoint/save.hpp>' clean
order checkpoint/save.hpp '#include <schatten/distributed/step.hpp>' 'room checkpoint must not include room distributed'
order distributed/mpi.hpp '#include <mpi.h>' clean
order distributed/step.hpp '#include <mpi.h>' "vendor's header: mpi.h"
order interop/eigen.hpp '#include <Eigen/Core>' clean
order interop/c_api.hpp '#include <schatten/checkpoint/save.hpp>' clean
order interop/eigen.hpp '#include <schatten/linalg/backend/eigen.hpp>' \
  'room interop must not include room linalg/backend'
order schatten.hpp '#include <schatten/interop/eigen.hpp>' 'room umbrella must not include room interop'
order schatten.hpp '#include <schatten/optim/step.hpp>' clean
order utils/misc.hpp '#include <vector>' 'is in no room'

fences() { plant hidden_fences "$@"; }
fences optim/a.hpp 'exec.fence();' 'a fence'
fences optim/a.hpp 'Kokkos::fence("schatten::step");' 'a fence'
fences optim/a.hpp 'exec.fence();  // fences: documented' clean
fences optim/a.hpp '// never calls fence()' clean
fences optim/a.hpp '/* deep_copy(a, b) */ int x;' clean
fences linalg/a.hpp 'Kokkos::deep_copy(destination, source);' 'a copy without an execution space'
fences spectral/a.hpp 'Kokkos::deep_copy(0.0, source);' 'a copy without an execution space'
fences spectral/a.hpp 'Kokkos::deep_copy(exec, destination, source);' clean
fences spectral/a.hpp 'Kokkos::deep_copy(
    destination, source);' 'a copy without an execution space'
fences spectral/a.hpp 'Kokkos::deep_copy(
    exec, destination, source);' clean
fences spectral/a.hpp 'auto h = Kokkos::create_mirror_view_and_copy(Kokkos::HostSpace(), d);' 'a mirror copy'
fences core/a.hpp 'exec.fence();' clean
fences core/parallel.hpp 'Kokkos::parallel_for(std::string(label), policy, body);' 'a launch without as_argument'
fences distributed/a.hpp 'Kokkos::parallel_for("schatten::copy", policy, body);' 'a launch without as_argument'
fences core/parallel.hpp 'Kokkos::parallel_for(Kokkos::TeamThreadRange(member, n), body);' clean
fences core/parallel.hpp 'Kokkos::parallel_for(std::string(label), as_argument<Exec>(policy, body), body);' clean

kokkos() { plant kokkos "$@"; }
kokkos core/a.hpp 'Kokkos::View<int> view;' 'core/a.hpp:1: uses Kokkos and does not include it'
kokkos core/a.hpp 'KOKKOS_FUNCTION void f();' 'uses Kokkos and does not include it'
kokkos core/a.hpp '#include <Kokkos_Core.hpp>
Kokkos::View<int> view;' clean
kokkos core/views.hpp '#include <Kokkos_Core.hpp>
Kokkos::View<int> view;' clean
kokkos optim/a.hpp '#include <schatten/optim/step.hpp>
Kokkos::View<int> view;' 'optim/a.hpp:2: uses Kokkos'
kokkos core/a.hpp '// of Kokkos::View' clean
kokkos core/a.hpp 'const char* name = "Kokkos::View";' clean

plant licence optim/a.hpp '#pragma once' 'optim/a.hpp: the first line is not // SPDX'

# public: a header that the umbrella includes, and one that does not exist.
mkdir -p "$scratch/tree/schatten/core" "$scratch/docs"
echo '#include <schatten/core/secret.hpp>' >"$scratch/tree/schatten/schatten.hpp"
printf '## Public headers\n\n    schatten.hpp core/gone.hpp\n\n## Next\n' >"$scratch/docs/design.md"
report=$("$here/check.sh" public "$scratch/tree" "$scratch/docs" 2>&1) && failures=$((failures + 1))
for words in 'core/secret.hpp is told to users and not listed' 'core/gone.hpp is no header'; do
  echo "$report" | grep -q "$words" || { echo "FAILED: public: $words: $report" && failures=$((failures + 1)); }
done

[ $failures -eq 0 ] && echo "each planted violation was found"
