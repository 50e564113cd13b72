# Provides schatten::nccl, to the build and to the installed package: NCCL (NCCL_ROOT) and CUDA's runtime.

include(CMakeFindDependencyMacro)
find_dependency(CUDAToolkit)
find_path(NCCL_INCLUDE_DIR nccl.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
find_library(NCCL_LIBRARY nccl)
mark_as_advanced(NCCL_INCLUDE_DIR NCCL_LIBRARY)
if(NOT NCCL_INCLUDE_DIR OR NOT NCCL_LIBRARY)
  message(FATAL_ERROR
          "schatten: NCCL is not found; set NCCL_ROOT to where it is installed, or SCHATTEN_ENABLE_NCCL=OFF")
endif()
if(NOT TARGET schatten::nccl)
  add_library(schatten::nccl INTERFACE IMPORTED)
  set_target_properties(schatten::nccl PROPERTIES
    INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${NCCL_INCLUDE_DIR}"
    INTERFACE_LINK_LIBRARIES "${NCCL_LIBRARY};CUDA::cudart")
endif()
