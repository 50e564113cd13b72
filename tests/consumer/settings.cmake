# A program that adds Schatten keeps its own settings: remember_settings() before, check_settings() after.

set(watched CMAKE_BUILD_TYPE CMAKE_CXX_FLAGS CMAKE_CXX_STANDARD CMAKE_CXX_EXTENSIONS CMAKE_CXX_STANDARD_REQUIRED
            CMAKE_POSITION_INDEPENDENT_CODE BUILD_SHARED_LIBS BUILD_TESTING CMAKE_RUNTIME_OUTPUT_DIRECTORY)

macro(remember_settings)
  foreach(variable IN LISTS watched)
    set(before_${variable} "${${variable}}")
  endforeach()
endmacro()

macro(check_settings)
  foreach(variable IN LISTS watched)
    if(NOT "${${variable}}" STREQUAL "${before_${variable}}")
      message(FATAL_ERROR "${variable} was '${before_${variable}}' and is now '${${variable}}'")
    endif()
  endforeach()
  foreach(option SCHATTEN_BUILD_TESTS SCHATTEN_BUILD_BENCHMARKS SCHATTEN_BUILD_EXAMPLES SCHATTEN_INSTALL)
    if(${option})
      message(FATAL_ERROR "${option} must be off in a subproject")
    endif()
  endforeach()
  get_target_property(leaked schatten INTERFACE_COMPILE_OPTIONS)
  if(leaked AND NOT leaked STREQUAL "$<$<COMPILE_LANG_AND_ID:CUDA,NVIDIA>:--expt-relaxed-constexpr>")
    message(FATAL_ERROR "schatten imposes compile options on its users: ${leaked}")
  endif()
endmacro()
