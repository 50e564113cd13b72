# Provides BLAS::BLAS and LAPACK::LAPACK, to the build and to the installed package.
# Preference: targets that exist, what the user names (BLA_VENDOR), OpenBLAS or MKL in the user's prefixes
# (CMAKE_PREFIX_PATH), OpenBLAS's OpenMP build, anything else.
# OpenBLAS's pthread build inside a Kokkos parallel region oversubscribes the cores.

# BLAS and LAPACK are called with 32-bit integers. What is linked is asked again when the program first calls it.
if("${BLA_SIZEOF_INTEGER}" STREQUAL "8" OR "${BLA_VENDOR}" MATCHES "_64ilp|_ilp64")
  message(FATAL_ERROR "schatten: BLA_SIZEOF_INTEGER = '${BLA_SIZEOF_INTEGER}', BLA_VENDOR = '${BLA_VENDOR}': "
                      "BLAS and LAPACK must have integers of 32 bits (LP64)")
endif()

if(NOT BLA_VENDOR AND NOT TARGET BLAS::BLAS AND NOT TARGET LAPACK::LAPACK)
  find_library(SCHATTEN_BLAS_OF_PREFIX NAMES openblas mkl_rt NO_SYSTEM_ENVIRONMENT_PATH NO_CMAKE_SYSTEM_PATH)
  mark_as_advanced(SCHATTEN_BLAS_OF_PREFIX)
  if(SCHATTEN_BLAS_OF_PREFIX MATCHES "^/(usr/)?lib(64)?/")  # the system's, though a prefix names it
    set(SCHATTEN_BLAS_OF_PREFIX SCHATTEN_BLAS_OF_PREFIX-NOTFOUND CACHE FILEPATH "" FORCE)
  endif()
endif()
if(NOT BLA_VENDOR AND NOT TARGET BLAS::BLAS AND NOT TARGET LAPACK::LAPACK AND NOT SCHATTEN_BLAS_OF_PREFIX)
  find_library(SCHATTEN_OPENBLAS_OPENMP NAMES openblaso)
  find_library(SCHATTEN_OPENBLAS_OPENMP NAMES openblas NO_DEFAULT_PATH
               PATHS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp /usr/lib/openblas-openmp)
  mark_as_advanced(SCHATTEN_OPENBLAS_OPENMP)
  if(SCHATTEN_OPENBLAS_OPENMP)
    foreach(interface BLAS::BLAS LAPACK::LAPACK)
      add_library(${interface} UNKNOWN IMPORTED)
      set_target_properties(${interface} PROPERTIES IMPORTED_LOCATION ${SCHATTEN_OPENBLAS_OPENMP})
    endforeach()
  endif()
endif()

include(CMakeFindDependencyMacro)
if(NOT TARGET BLAS::BLAS)
  find_dependency(BLAS)
endif()
if(NOT TARGET LAPACK::LAPACK)
  find_dependency(LAPACK)
endif()
