# cmake -D SOURCE=<schatten> -D FOLDER=<scratch> -D OPTIONS=<cmake options> -P exported.cmake
# Builds and installs the library of exported/, which uses Schatten as a subproject, in folders whose names have spaces,
# and finds it again. Its LICENSE stays its own.

file(REMOVE_RECURSE "${FOLDER}")
file(MAKE_DIRECTORY "${FOLDER}/with spaces")
file(CREATE_LINK "${SOURCE}" "${FOLDER}/with spaces/schatten" SYMBOLIC)
set(here "${CMAKE_CURRENT_LIST_DIR}")
set(prefix "${FOLDER}/with spaces/prefix")

function(run)
  execute_process(COMMAND ${CMAKE_COMMAND} ${ARGV} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "cmake ${ARGV}:\n${output}")
  endif()
endfunction()

run(-S "${here}/exported" -B "${FOLDER}/with spaces/build" ${OPTIONS}
    "-DSCHATTEN_SOURCE=${FOLDER}/with spaces/schatten" -DCMAKE_INSTALL_DOCDIR=share/doc/trainer)
run(--build "${FOLDER}/with spaces/build")
run(--install "${FOLDER}/with spaces/build" --prefix "${prefix}")
run(-S "${here}/of_exported" -B "${FOLDER}/with spaces/consumer" ${OPTIONS} "-DCMAKE_PREFIX_PATH=${prefix}")

file(READ "${prefix}/share/doc/trainer/LICENSE" licence)
if(NOT licence STREQUAL "the trainer's own licence\n")
  message(FATAL_ERROR "the parent's LICENSE is now:\n${licence}")
endif()
if(NOT EXISTS "${prefix}/share/doc/schatten/LICENSE")
  message(FATAL_ERROR "Schatten's LICENSE is not installed")
endif()
