# What our own programs are compiled with, under Schatten's project and in that of the examples. It is never exported or
# installed. schatten_developer: warnings, and schatten::schatten. schatten_native: code for this processor.
add_library(schatten_developer INTERFACE)
target_compile_options(schatten_developer INTERFACE
  $<$<COMPILE_LANG_AND_ID:CXX,GNU,Clang,AppleClang>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion>
  $<$<AND:$<BOOL:${SCHATTEN_WERROR}>,$<COMPILE_LANG_AND_ID:CXX,GNU,Clang,AppleClang>>:-Werror>
  # Of Eigen's annotations of defaulted functions, and of `#pragma GCC unroll`.
  $<$<COMPILE_LANG_AND_ID:CUDA,NVIDIA>:--diag-suppress=20012,1675>)
target_link_libraries(schatten_developer INTERFACE schatten::schatten)

add_library(schatten_native INTERFACE)
target_compile_options(schatten_native INTERFACE
  $<$<COMPILE_LANG_AND_ID:CXX,GNU,Clang,AppleClang>:-march=native>
  # g++ 12 warns of its own AVX-512 intrinsics, wherever Eigen uses them.
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-maybe-uninitialized>)

# schatten_skip_without_device(<test>...)
# With a Kokkos with CUDA: skipped, not failed, where there is no device. The loader gives up with 127, as the driver's
# libcuda is missing. Or the driver finds no device, and support/main.cpp ends with 127 as well, other programs with
# what Kokkos says.
function(schatten_skip_without_device)
  if(Kokkos_ENABLE_CUDA)
    set_tests_properties(${ARGN} PROPERTIES
      SKIP_RETURN_CODE 127
      SKIP_REGULAR_EXPRESSION "libcuda[.]so[^\n]*cannot open shared object;no CUDA-capable device is detected")
  endif()
endfunction()
