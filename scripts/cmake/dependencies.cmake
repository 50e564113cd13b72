# What Schatten needs: found first, downloaded second and only with SCHATTEN_FETCH_DEPENDENCIES=ON.

set(schatten_kokkos_minimum 3.4.1)
set(schatten_cuda_minimum 12.0)  # the first cuBLAS whose sizes have 64 bits

# schatten_find(<name> <target> <git repository> <git tag> [<find_package arguments>...])
# Leaves a target that exists already alone: the program around us may have brought its own.
macro(schatten_find name target repository tag)
  if(NOT TARGET ${target})
    if(SCHATTEN_FETCH_DEPENDENCIES)
      include(FetchContent)
      FetchContent_Declare(${name} GIT_REPOSITORY ${repository} GIT_TAG ${tag} GIT_SHALLOW ON SYSTEM
                           FIND_PACKAGE_ARGS ${ARGN})
      FetchContent_MakeAvailable(${name})
    else()
      find_package(${name} ${ARGN} QUIET)
    endif()
  endif()
  if(NOT TARGET ${target})
    string(JOIN " " schatten_wanted ${name} ${ARGN})
    message(FATAL_ERROR "schatten: ${schatten_wanted} not found; set ${name}_ROOT to where it is installed, "
                        "or SCHATTEN_FETCH_DEPENDENCIES=ON to download it")
  endif()
endmacro()

macro(schatten_find_kokkos)
  if(SCHATTEN_FETCH_DEPENDENCIES)
    # Read by a downloaded Kokkos only; both stay inside this directory.
    set(CMAKE_CXX_STANDARD 20)
    set(BUILD_TESTING OFF)
    if(NOT DEFINED Kokkos_ENABLE_SERIAL)
      set(Kokkos_ENABLE_SERIAL ON CACHE BOOL "")
    endif()
    if(NOT DEFINED Kokkos_ENABLE_OPENMP)
      set(Kokkos_ENABLE_OPENMP ON CACHE BOOL "")
    endif()
  endif()
  # No version in the call: Kokkos 4 and 5 do not call themselves compatible with 3.
  schatten_find(Kokkos Kokkos::kokkos https://github.com/kokkos/kokkos.git 4.7.01)
  if(DEFINED Kokkos_VERSION AND Kokkos_VERSION VERSION_LESS schatten_kokkos_minimum)
    message(FATAL_ERROR "schatten: Kokkos ${Kokkos_VERSION} in ${Kokkos_DIR} is too old; "
                        "${schatten_kokkos_minimum} or newer is needed")
  endif()
endmacro()

macro(schatten_find_eigen)
  include(scripts/cmake/schattenEigen.cmake)
  if(TARGET Eigen3::Eigen)
  elseif(SCHATTEN_FETCH_DEPENDENCIES)
    schatten_find(Eigen3 Eigen3::Eigen https://gitlab.com/libeigen/eigen.git 3.4.0 3.4)
  else()
    message(FATAL_ERROR "schatten: ${schatten_eigen_problem}, or SCHATTEN_FETCH_DEPENDENCIES=ON to download it")
  endif()
endmacro()

# Sets schatten_has_cuda: whether CUDA::cublas, CUDA::cusolver and CUDA::cudart are there. Never downloaded.
macro(schatten_look_for_cuda)
  find_package(CUDAToolkit ${schatten_cuda_minimum} QUIET)
  set(schatten_has_cuda OFF)
  if(TARGET CUDA::cublas AND TARGET CUDA::cusolver AND TARGET CUDA::cudart)
    set(schatten_has_cuda ON)
  endif()
endmacro()

macro(schatten_find_cuda)
  schatten_look_for_cuda()
  if(NOT schatten_has_cuda)
    message(FATAL_ERROR "schatten: SCHATTEN_ENABLE_CUDA is ON, but the CUDA toolkit ${schatten_cuda_minimum} or newer "
                        "with cuBLAS and cuSOLVER is not found; set CUDAToolkit_ROOT to where it is installed, or "
                        "SCHATTEN_ENABLE_CUDA=OFF for the portable kernels")
  endif()
endmacro()

macro(schatten_find_doctest)
  schatten_find(doctest doctest::doctest https://github.com/doctest/doctest.git v2.4.11)
endmacro()

macro(schatten_find_benchmark)
  if(SCHATTEN_FETCH_DEPENDENCIES)
    set(BENCHMARK_ENABLE_TESTING OFF CACHE BOOL "")
    set(BENCHMARK_ENABLE_INSTALL OFF CACHE BOOL "")
  endif()
  schatten_find(benchmark benchmark::benchmark https://github.com/google/benchmark.git v1.8.3)
endmacro()
