# cmake -D SOURCE=<schatten> -D FOLDER=<scratch> -D OPTIONS=<cmake options> -P vcpkg_port.cmake
# Runs the port file of docs/packaging over functions that do what vcpkg's of the same names do to this port, and finds
# the package where those leave it. Folders have spaces.

cmake_minimum_required(VERSION 3.25)
file(REMOVE_RECURSE "${FOLDER}")
set(PORT schatten)
set(CURRENT_PACKAGES_DIR "${FOLDER}/with spaces/packages")
set(build "${FOLDER}/with spaces/build")

function(run)
  execute_process(COMMAND ${CMAKE_COMMAND} ${ARGV} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "cmake ${ARGV}:\n${output}")
  endif()
endfunction()

function(vcpkg_from_git)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "OUT_SOURCE_PATH;URL;REF" "")
  set(${arg_OUT_SOURCE_PATH} "${SOURCE}" PARENT_SCOPE)
endfunction()
function(vcpkg_check_features)  # no feature is asked for
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "OUT_FEATURE_OPTIONS" "FEATURES")
  list(GET arg_FEATURES 1 option)
  set(${arg_OUT_FEATURE_OPTIONS} -D${option}=OFF PARENT_SCOPE)
endfunction()
function(vcpkg_cmake_configure)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "SOURCE_PATH" "OPTIONS")
  run(-S "${arg_SOURCE_PATH}" -B "${build}" ${OPTIONS} ${arg_OPTIONS} -DBUILD_SHARED_LIBS=OFF -DCMAKE_BUILD_TYPE=Release
      "-DCMAKE_INSTALL_PREFIX=${CURRENT_PACKAGES_DIR}")
endfunction()
function(vcpkg_cmake_install)
  run(--build "${build}" --target install)
endfunction()
function(vcpkg_cmake_config_fixup)  # the package lies two folders deep then, and its files are told so
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "CONFIG_PATH" "")
  file(GLOB files "${CURRENT_PACKAGES_DIR}/${arg_CONFIG_PATH}/*")
  file(COPY ${files} DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
  file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/${arg_CONFIG_PATH}")
  file(GLOB files "${CURRENT_PACKAGES_DIR}/share/${PORT}/*.cmake")
  foreach(file IN LISTS files)
    file(READ "${file}" text)
    string(REGEX REPLACE "(get_filename_component\\(_IMPORT_PREFIX [^\n]+\n)+"
           "get_filename_component(_IMPORT_PREFIX \"\${CMAKE_CURRENT_LIST_DIR}/../..\" ABSOLUTE)\n" text "${text}")
    string(REGEX REPLACE "(PACKAGE_PREFIX_DIR \"\\\${CMAKE_CURRENT_LIST_DIR})[./]+\"" "\\1/../..\"" text "${text}")
    file(WRITE "${file}" "${text}")
    if(text MATCHES "with spaces")
      message(FATAL_ERROR "${file} names the folder that it was built in")
    endif()
  endforeach()
endfunction()
function(vcpkg_install_copyright)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "FILE_LIST")
  file(COPY_FILE "${arg_FILE_LIST}" "${CURRENT_PACKAGES_DIR}/share/${PORT}/copyright")
endfunction()

include("${SOURCE}/docs/packaging/schatten/portfile.cmake")

file(GLOB folders RELATIVE "${CURRENT_PACKAGES_DIR}" "${CURRENT_PACKAGES_DIR}/*")
if(NOT folders STREQUAL "include;share")
  message(FATAL_ERROR "the port installs ${folders}")
endif()
run(-S "${CMAKE_CURRENT_LIST_DIR}/installed" -B "${FOLDER}/with spaces/consumer" ${OPTIONS}
    "-Dschatten_ROOT=${CURRENT_PACKAGES_DIR}")
file(READ "${FOLDER}/with spaces/consumer/CMakeCache.txt" cache)
if(NOT cache MATCHES "schatten_DIR:PATH=${CURRENT_PACKAGES_DIR}/share/${PORT}")
  message(FATAL_ERROR "another package of schatten was found")
endif()
