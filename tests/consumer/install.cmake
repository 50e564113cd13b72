# cmake -D BUILD=<build> -D SOURCE=<source> -D PREFIX=<prefix> -P install.cmake
# Installs the package, which must hold every header and name neither the source nor the build folder.

file(REMOVE_RECURSE ${PREFIX})
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${PREFIX} COMMAND_ERROR_IS_FATAL ANY)

file(GLOB_RECURSE ours RELATIVE ${SOURCE}/include ${SOURCE}/include/*.hpp)
file(GLOB_RECURSE theirs RELATIVE ${PREFIX}/include ${PREFIX}/include/*.hpp)
if(NOT ours STREQUAL theirs)
  message(FATAL_ERROR "headers in the source tree:\n${ours}\ninstalled:\n${theirs}")
endif()

file(GLOB_RECURSE package ${PREFIX}/*.cmake)
foreach(file IN LISTS package)
  file(READ ${file} text)
  foreach(folder ${SOURCE} ${BUILD})
    string(FIND "${text}" "${folder}" position)
    if(NOT position EQUAL -1)
      message(FATAL_ERROR "${file} names ${folder}")
    endif()
  endforeach()
endforeach()
