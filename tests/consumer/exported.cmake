# cmake -D SOURCE=<schatten> -D FOLDER=<scratch> -D OPTIONS=<cmake options> -P exported.cmake
# Builds and installs the library of exported/, which uses Schatten as a subproject, in folders whose names have spaces
# and brackets, and finds it again, in the build folder too. Its LICENSE stays its own.

file(REMOVE_RECURSE "${FOLDER}")
set(folder "${FOLDER}/with spaces [1]")  # brackets are a pattern to file(GLOB)
file(MAKE_DIRECTORY "${folder}")
file(CREATE_LINK "${SOURCE}" "${folder}/schatten" SYMBOLIC)
set(here "${CMAKE_CURRENT_LIST_DIR}")
set(prefix "${folder}/prefix")

function(run)
  execute_process(COMMAND ${CMAKE_COMMAND} ${ARGV} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "cmake ${ARGV}:\n${output}")
  endif()
endfunction()

run(-S "${here}/exported" -B "${folder}/build" ${OPTIONS}
    "-DSCHATTEN_SOURCE=${folder}/schatten" -DCMAKE_INSTALL_DOCDIR=share/doc/trainer)
run(--build "${folder}/build")
run(--install "${folder}/build" --prefix "${prefix}")
run(-S "${here}/of_exported" -B "${folder}/consumer" ${OPTIONS} "-DCMAKE_PREFIX_PATH=${prefix}")
run(-S "${here}/of_exported" -B "${folder}/consumer of build" ${OPTIONS} "-Dtrainer_DIR=${folder}/build"
    "-Dschatten_DIR=${folder}/build/schatten")
if(NOT EXISTS "${prefix}/include/schatten/schatten.hpp")
  message(FATAL_ERROR "the headers are not installed")
endif()

file(READ "${prefix}/share/doc/trainer/LICENSE" licence)
if(NOT licence STREQUAL "the trainer's own licence\n")
  message(FATAL_ERROR "the parent's LICENSE is now:\n${licence}")
endif()
if(NOT EXISTS "${prefix}/share/doc/schatten/LICENSE")
  message(FATAL_ERROR "Schatten's LICENSE is not installed")
endif()

# The C interface names the folder of headers that the user chose.
set(c_api "${FOLDER}/c_api")
run(-S "${SOURCE}" -B "${c_api}" ${OPTIONS} -DCMAKE_INSTALL_INCLUDEDIR=headers -DSCHATTEN_BUILD_C_API=ON
    -DSCHATTEN_BUILD_TESTS=OFF -DSCHATTEN_BUILD_BENCHMARKS=OFF -DSCHATTEN_BUILD_EXAMPLES=OFF)
string(REGEX REPLACE "([][*?])" "[\\1]" pattern "${c_api}")
file(GLOB_RECURSE targets "${pattern}/CMakeFiles/Export/schattenTargets.cmake")
file(READ "${targets}" text)
if(NOT text MATCHES "_IMPORT_PREFIX}/headers" OR text MATCHES "_IMPORT_PREFIX}/include")
  message(FATAL_ERROR "${targets} names another folder of headers than CMAKE_INSTALL_INCLUDEDIR")
endif()
