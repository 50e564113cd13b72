# Shared by the scripts beside it; sourced, never run. Finds or installs what a build needs.
# Everything it says is one line that begins with "schatten:".

set -euo pipefail
export LC_ALL=C # what programs say is read below
unset CDPATH # `cd` would search it, and print
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# Threads that wait sleep, and none is bound to a core: on a machine with other busy processes both cost much otherwise.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive} OMP_PROC_BIND=${OMP_PROC_BIND:-false}

cache=${SCHATTEN_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/schatten}
cmake_minimum=3.25
kokkos_minimum=3.4.1
kokkos_disk_mib=600 # the source archive, its Kokkos part, the build and the install
# Position-independent, Kokkos also goes into shared libraries.
kokkos_options=(-DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_STANDARD=20
  -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DKokkos_ENABLE_OPENMP=ON -DKokkos_ENABLE_SERIAL=ON)
# Kokkos 3.4.1 counts on other headers for <cstdint>, which those of g++ 13 and later do not include.
kokkos_flags="-include cstdint"

given_cxx=${CXX:-} # a user's choice of compiler

say() { printf 'schatten: %s\n' "$*"; }
die() {
  printf 'schatten: %s\n' "$*" >&2
  exit 1
}

# run_quietly <what failed, in words> <command>...: the command's output is kept and named only if it fails.
run_quietly() {
  local what=$1 log
  shift
  log=$(mktemp "${TMPDIR:-/tmp}/schatten-log.XXXXXX") || die "cannot write to ${TMPDIR:-/tmp} (disk full?)"
  if "$@" >"$log" 2>&1 </dev/null; then
    rm -f "$log"
    return
  fi
  local why=""
  local network='could not resolve|temporary failure|unable to connect|could not connect|connection timed out'
  if grep -qiE "$network|network is unreachable" "$log"; then
    why=" (no network?)"
  elif grep -qiE 'no space left|not have enough free space|disk quota' "$log"; then
    why=" (disk full)"
  fi
  die "$what$why; the output is in $log"
}

at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; } # at_least <minimum> <version>

# Two jobs need about 4 GiB: Eigen's decompositions are large translation units.
build_jobs() {
  local cores memory_gib
  cores=$(nproc)
  memory_gib=$(awk '/^MemAvailable:/ { print int($2 / 1048576) }' /proc/meminfo)
  local fit=$((memory_gib / 2))
  [ "$fit" -ge 1 ] || fit=1
  echo $((cores < fit ? cores : fit))
}

# ---- packages ----------------------------------------------------------------------------------------------
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

can_install() {
  command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }
}

apt_updated=""
install_packages() {
  if ! command -v apt-get >/dev/null; then
    die "this system has no apt-get; install what these Debian packages hold, then run this again: $*"
  fi
  can_install || die "as root, run this first: apt-get install $*"
  if [ -z "$apt_updated" ]; then
    # A failing repository that is not needed must not stop us; the installation tells.
    as_root apt-get -q -o Acquire::http::Timeout=20 update >/dev/null 2>&1 </dev/null || true
    apt_updated=yes
  fi
  say "installing with apt: $*"
  run_quietly "apt could not install $*" as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::http::Timeout=20 install --no-install-recommends "$@"
}

# need_program <program> <package>: adds the package to `packages` if the program is not there.
need_program() { command -v "$1" >/dev/null || packages+=("$2"); }

package_of() {
  case $1 in
    Eigen3) echo libeigen3-dev ;;
    doctest) echo doctest-dev ;;
    benchmark) echo libbenchmark-dev ;;
    OpenBLAS) echo libopenblas-openmp-dev ;;
    MPI) echo libopenmpi-dev ;;
    *) die "no package is known for $1" ;;
  esac
}

# ---- compiler, CMake and libraries -------------------------------------------------------------------------
# set_up <CMake package>...: compiler, make, CMake, these packages and Kokkos; sets kokkos_dir.
set_up() {
  local packages=() wanted=("$@")
  if [ -n "${CXX:-}" ]; then
    need_compiler
  else
    # Where packages can be had, g++: what else is called c++ may lack OpenMP.
    command -v apt-get >/dev/null || CXX=$(command -v c++ || true)
    [ -n "${CXX:-}" ] || need_program g++ g++
  fi
  case ${CMAKE_GENERATOR:-Unix Makefiles} in
    *Multi-Config*)
      die "CMAKE_GENERATOR=$CMAKE_GENERATOR builds several configurations; the scripts build one: unset it, or Ninja"
      ;;
    Ninja*) need_program ninja ninja-build ;;
    *) need_program make make ;;
  esac
  need_program cmake cmake
  if [ ${#packages[@]} -gt 0 ]; then
    # One call for all: without a compiler, the libraries are unlikely to be there either.
    for name in "${wanted[@]}"; do packages+=("$(package_of "$name")"); done
    install_packages "${packages[@]}"
  fi
  export CXX=${CXX:-$(command -v g++)}
  # The OpenMP of clang++ is a package of its own, of which there is one at a time.
  if is_clang && ! links -fopenmp -include omp.h; then install_packages "libomp-$(clang_version)-dev"; fi

  local version
  version=$(cmake --version | awk 'NR == 1 { print $3 }')
  at_least "$cmake_minimum" "$version" ||
    die "CMake $version ($(command -v cmake)) is too old, $cmake_minimum or newer is needed"

  find_packages "${wanted[@]}"
  find_kokkos
}

# need_compiler: adds Debian's package of CXX to `packages`, where CXX is a name as g++, g++-13 or clang++-19 and is not
# there.
need_compiler() {
  local program=${CXX%% *}
  case $program in
    g++ | g++-[0-9]*) need_program "$program" "$program" ;;
    clang++ | clang++-[0-9]*) need_program "$program" "${program/++/}" ;;
    *) command -v "$program" >/dev/null || die "no compiler: CXX=$CXX is not a program" ;;
  esac
}

is_clang() { case $($CXX --version) in *clang*) ;; *) return 1 ;; esac; }
clang_version() { $CXX -dumpversion | cut -d . -f 1; }
links() { echo 'int main() {}' | $CXX "$@" -x c++ - -o /dev/null 2>/dev/null; } # links <compiler option>...

# probe <variable definitions>...: configures scripts/probe; its findings go to the variable `found`.
probe() {
  local build
  build=$(mktemp -d "${TMPDIR:-/tmp}/schatten-probe.XXXXXX") ||
    die "cannot write to ${TMPDIR:-/tmp} (disk full?)"
  cmake -S scripts/probe -B "$build" "$@" >"$build/log" 2>&1 </dev/null || true
  if [ ! -e "$build/found" ]; then
    if grep -qi 'compiler' "$build/log"; then
      rm -rf "$build"
      die "no working compiler: CMake cannot build a program with $CXX"
    fi
    die "CMake could not configure a project; the output is in $build/log"
  fi
  found=$(cat "$build/found")
  rm -rf "$build"
}

find_packages() {
  local found missing packages=()
  probe -DPROBE_PACKAGES="$(IFS=';' && echo "$*")"
  missing=$(sed -n 's/^missing=//p' <<<"$found")
  [ -n "$missing" ] || return 0
  for name in $missing; do packages+=("$(package_of "$name")"); done
  install_packages "${packages[@]}"
  probe -DPROBE_PACKAGES="$(IFS=';' && echo "$*")"
  missing=$(sed -n 's/^missing=//p' <<<"$found")
  [ -z "$missing" ] || die "still not found by CMake after installing ${packages[*]}: ${missing//$'\n'/ }"
}

# ---- Kokkos ------------------------------------------------------------------------------------------------
# Sets kokkos_dir: Kokkos_ROOT, else one built before, else the distribution's package, else one built from the
# distribution's source package. A Kokkos elsewhere may be anybody's: it is taken only where there is no apt-get.
# kokkos_only_built=yes leaves the distribution's package out: it lacks kokkos_flags.
find_kokkos() {
  local why="" config
  if [ -n "${Kokkos_ROOT:-}" ]; then
    probe_kokkos
    [ -n "$kokkos_dir" ] || die "Kokkos_ROOT=$Kokkos_ROOT: $why"
    return
  fi

  kokkos_dir=$(built_kokkos)
  [ -z "$kokkos_dir" ] || return 0

  if ! command -v apt-get >/dev/null; then
    probe_kokkos
    [ -n "$kokkos_dir" ] ||
      die "$why; install Kokkos $kokkos_minimum or newer with OpenMP and set Kokkos_ROOT"
    return
  fi

  if [ -z "${kokkos_only_built:-}" ] && apt-cache show libkokkos-dev >/dev/null 2>&1; then
    config=$(packaged_kokkos)
    if [ -z "$config" ] && can_install; then
      install_packages libkokkos-dev
      config=$(packaged_kokkos)
    fi
    [ -z "$config" ] || probe_kokkos -DKokkos_DIR="$(dirname "$config")"
    [ -z "$kokkos_dir" ] || return 0
    [ -z "$why" ] || say "$why"
  fi

  build_kokkos
  kokkos_dir=$(built_kokkos)
}

packaged_kokkos() { find /usr/lib -path '*/cmake/Kokkos/KokkosConfig.cmake' -print -quit; }

# probe_kokkos [<variable definitions>...]: sets kokkos_dir, or why there is none that suits.
probe_kokkos() {
  local found
  probe -DPROBE_KOKKOS=ON "$@"
  kokkos_dir=$(sed -n 's/^Kokkos=//p' <<<"$found")
  why=$(sed -n 's/^Kokkos_unsuitable=//p' <<<"$found")
}

# The compiler and flags that a Kokkos built here is for, as part of a folder's name.
kokkos_key() {
  local version id=gcc
  version=$($CXX --version | head -n 1)
  ! is_clang || id=clang
  printf '%s-%s-%s' "$id" "$($CXX -dumpversion)" \
    "$(printf '%s %s %s' "$version" "$(uname -m)" "${kokkos_options[*]} $kokkos_flags" | cksum | cut -d ' ' -f 1)"
}

built_kokkos() {
  local config
  for config in "$cache"/kokkos-*-"$(kokkos_key)"/lib*/cmake/Kokkos/KokkosConfig.cmake; do
    [ ! -e "$config" ] || dirname "$config"
  done | tail -n 1
}

# Builds Kokkos (OpenMP and Serial) from the `trilinos` source package, which holds it, into the cache.
# Works in a temporary folder and moves the result into place at the end: a run that is stopped leaves
# nothing, two runs at once do no harm.
build_kokkos() {
  mkdir -p "$cache" 2>/dev/null || die "cannot create $cache; set SCHATTEN_CACHE to a folder that can be written"
  local free_mib
  free_mib=$(df -Pm "$cache" | awk 'NR == 2 { print $4 }')
  [ "$free_mib" -ge "$kokkos_disk_mib" ] ||
    die "disk full: building Kokkos needs $kokkos_disk_mib MiB in $cache, $free_mib MiB are free"

  exec 8>"$cache/lock"
  flock -n 8 || { say "waiting for another run that builds Kokkos" && flock 8; }
  if [ -n "$(built_kokkos)" ]; then
    exec 8>&-
    return
  fi

  say "building Kokkos from the distribution's source package (once; about a minute)"
  local work
  work=$(mktemp -d "$cache/work.XXXXXX")
  trap 'rm -rf "'"$work"'"' EXIT
  fetch_trilinos_source "$work"

  mkdir "$work/source"
  run_quietly "the Kokkos source could not be unpacked" \
    tar -xf "$work"/trilinos_*.orig.tar.* -C "$work/source" --wildcards '*/packages/kokkos/*' --no-anchored
  local source version
  source=$(echo "$work"/source/*/packages/kokkos)
  version=$(awk -F '[ )]+' 'tolower($1) ~ /^set\(kokkos_version_(major|minor|patch)$/ { v = v "." ($2 + 0) }
                            END { print substr(v, 2) }' "$source/CMakeLists.txt")
  at_least "$kokkos_minimum" "${version:-0}" ||
    die "Kokkos ${version:-of unknown version} in the distribution's source package is too old," \
      "$kokkos_minimum or newer is needed"

  local prefix
  prefix="$cache/kokkos-$version-$(kokkos_key)"
  run_quietly "Kokkos could not be configured" cmake -S "$source" -B "$work/build" \
    "${kokkos_options[@]}" -DCMAKE_CXX_FLAGS="$kokkos_flags" -DCMAKE_INSTALL_PREFIX="$prefix"
  run_quietly "Kokkos could not be built" cmake --build "$work/build" -j "$(build_jobs)"
  run_quietly "Kokkos could not be installed" env DESTDIR="$work/root" cmake --install "$work/build"
  mv -T "$work/root$prefix" "$prefix" 2>/dev/null || [ -n "$(built_kokkos)" ] ||
    die "cannot write to $cache (disk full?)"

  rm -rf "$work"
  trap - EXIT
  exec 8>&-
  say "Kokkos $version is in $prefix"
}

# Downloads the source archive of `trilinos` into <folder>, with the system's own package sources and keys
# but lists and settings of its own: the system's are not touched.
fetch_trilinos_source() {
  local work=$1 file apt
  mkdir -p "$work/parts" "$work/lists/partial" "$work/archives/partial"
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ ! -r "$file" ] || sed -nE 's/^[[:space:]]*deb[[:space:]]/deb-src /p' "$file" >>"$work/parts/source.list"
  done
  for file in /etc/apt/sources.list.d/*.sources; do
    [ ! -r "$file" ] || sed -E 's/^Types:.*/Types: deb-src/I' "$file" >"$work/parts/$(basename "$file")"
  done
  apt=(apt-get -q -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$work/parts"
    -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work" -o APT::Sandbox::User=root
    -o Acquire::Languages=none -o Acquire::http::Timeout=20)
  "${apt[@]}" update >"$work/update.log" 2>&1 </dev/null || true
  if ! ls "$work"/lists/*Sources* >/dev/null 2>&1; then
    cp "$work/update.log" "${TMPDIR:-/tmp}/schatten-apt-update.log"
    die "the distribution's source packages cannot be listed (no network?);" \
      "the output is in ${TMPDIR:-/tmp}/schatten-apt-update.log"
  fi
  cd "$work"
  run_quietly "the source package of Kokkos (trilinos) cannot be downloaded" \
    "${apt[@]}" source --download-only --tar-only trilinos
  cd - >/dev/null
}

# ---- build -------------------------------------------------------------------------------------------------
# configure <folder in build> <argument of cmake>...: what the project itself says there, one line each, is kept in the
# folder's `said`. With another CXX than the folder was configured for it begins anew: CMake would keep to its first
# compiler.
configure() {
  local folder=build/$1 output status=0 cached fresh=()
  shift
  cached=$(sed -n 's/^CMAKE_CXX_COMPILER:[^=]*=//p' "$folder/CMakeCache.txt" 2>/dev/null || true)
  [ -z "$given_cxx" ] || [ -z "$cached" ] || [ "$(command -v "${given_cxx%% *}")" = "$cached" ] || fresh=(--fresh)
  # Eigen is looked for again: Eigen3_ROOT may name another one than before.
  output=$(cmake ${fresh[@]+"${fresh[@]}"} -UEigen3_DIR -DKokkos_DIR="$kokkos_dir" "$@" 2>&1) || status=$?
  printf '%s\n' "$output"
  grep '^-- schatten: ' <<<"$output" >"$folder/said" || true
  return $status
}

# prepare <folder in build> <argument of cmake>...: configures it; one run at a time.
prepare() {
  local folder=$1
  mkdir -p "build/$folder"
  exec 9>"build/$folder/.lock"
  flock -n 9 || { say "waiting for another run in build/$folder" && flock 9; }
  run_quietly "CMake could not configure build/$folder" configure "$@"
  sed 's/^-- //' "build/$folder/said"
}

# compile <folder or preset, as cmake --build takes it>...: builds it, of it build_targets where there are any.
build_targets=()
compile() {
  cmake --build "$@" -j "$(build_jobs)" ${build_targets[@]+--target "${build_targets[@]}"} </dev/null ||
    die "$* did not build; the compiler's output is above"
}

# build <preset> [<variable definitions>...]: configures and builds build/<preset>.
build() {
  local preset=$1
  shift
  prepare "$preset" --preset "$preset" "$@"
  compile --preset "$preset"
}

# Installs Schatten in build/package; sets schatten_prefix. Where CI is set, with a C interface of few rules.
install_schatten() {
  local options=(-DSCHATTEN_BUILD_C_API=OFF -DSCHATTEN_C_API_RULES= -UCMAKE_CXX_FLAGS_RELEASE) build_targets=()
  mkdir -p build/package
  exec 7>build/package/.installed.lock # to the end of the script, or of build_examples: others read what is installed
  flock -n 7 || { say "waiting for another run over build/package" && flock 7; }
  [ -z "${CI:-}" ] ||
    options=(-DSCHATTEN_BUILD_C_API=ON "-DSCHATTEN_C_API_RULES=HTMuon;AdamW" -DCMAKE_CXX_FLAGS_RELEASE=-O1)
  build package "${options[@]}" "$@"
  schatten_prefix=$PWD/build/package/prefix
  rm -rf "$schatten_prefix"
  run_quietly "Schatten could not be installed" cmake --install build/package --prefix "$schatten_prefix"
}

# Builds the examples over an installed Schatten in build/demo/examples, of them build_targets where there are any.
build_examples() {
  install_schatten
  prepare demo/examples -S examples -B build/demo/examples -Dschatten_ROOT="$schatten_prefix" \
    -DSCHATTEN_WERROR="${SCHATTEN_WERROR:-OFF}" -DCMAKE_FIND_USE_PACKAGE_REGISTRY=OFF
  compile build/demo/examples
  exec 7>&-
}
