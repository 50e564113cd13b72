# The target schatten_torch: LibTorch.
#
# SCHATTEN_TORCH: a folder with include/torch and lib: that of Python's torch, or the prefix of a distribution's
# package. Their own CMake packages want the CUDA toolkit, or what else that torch was built with. Without it,
# find_package(Torch).
set(SCHATTEN_TORCH "" CACHE PATH "The folder that has include/torch")
set(SCHATTEN_TORCH_CXX11_ABI 1 CACHE STRING "What that torch was compiled with: torch.compiled_with_cxx11_abi()")

if(NOT TARGET schatten_torch)
  add_library(schatten_torch INTERFACE)
  if(SCHATTEN_TORCH)
    target_include_directories(schatten_torch SYSTEM INTERFACE
      ${SCHATTEN_TORCH}/include ${SCHATTEN_TORCH}/include/torch/csrc/api/include)
    target_compile_definitions(schatten_torch INTERFACE _GLIBCXX_USE_CXX11_ABI=${SCHATTEN_TORCH_CXX11_ABI})
    target_link_directories(schatten_torch INTERFACE ${SCHATTEN_TORCH}/lib)
    # What the libraries need themselves lies beside them, or in other wheels that their own paths name. torch_cuda is
    # named by nothing and registers itself when it is loaded.
    target_link_libraries(schatten_torch INTERFACE -Wl,--allow-shlib-undefined torch_cpu c10)
    target_link_options(schatten_torch INTERFACE -Wl,-rpath,${SCHATTEN_TORCH}/lib)
    if(Kokkos_ENABLE_CUDA)
      target_link_libraries(schatten_torch INTERFACE -Wl,--no-as-needed torch torch_cuda c10_cuda -Wl,--as-needed)
    endif()
  else()
    find_package(Torch REQUIRED)
    target_link_libraries(schatten_torch INTERFACE ${TORCH_LIBRARIES})
  endif()
endif()
