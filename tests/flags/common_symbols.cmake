# cmake -D NM=<nm> -D PLAIN=<object> -D AVX2=<object> -P common_symbols.cmake
# Two objects for different processors share no symbol whose code depends on the width of registers, nor one over
# HostMatrix, by which all code of the host backend goes.

cmake_minimum_required(VERSION 3.25)

foreach(width PLAIN AVX2)
  execute_process(COMMAND ${NM} ${${width}} OUTPUT_VARIABLE output COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL " [WVu] [^\n]+" symbols_${width} "${output}")
endforeach()
set(dependent ${symbols_PLAIN})
list(FILTER dependent INCLUDE REGEX "10HostMatrix|6kernel|11householder|15ColumnRotations|11HostThreads")
list(LENGTH dependent count)
if(count EQUAL 0)
  message(FATAL_ERROR "no symbol of the host backend in ${PLAIN}")
endif()
set(common 0)
foreach(symbol IN LISTS dependent)
  if(symbol IN_LIST symbols_AVX2)
    math(EXPR common "${common} + 1")
    set(one "${symbol}")
  endif()
endforeach()
if(common)
  message(FATAL_ERROR "of ${common} symbols the linker may take either object's; one is ${one}")
endif()
message(STATUS "${count} symbols, none in both")
