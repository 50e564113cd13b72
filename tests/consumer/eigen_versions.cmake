# cmake -D SOURCE=<schatten> -D FOLDER=<scratch> -P eigen_versions.cmake
# Packages of Eigen, of which there is the version alone: 3.4 and 5 are taken, and a message names another one. The one
# that a user names comes before the system's, whichever is newer.

file(REMOVE_RECURSE "${FOLDER}")
include(CMakePackageConfigHelpers)
file(WRITE "${FOLDER}/CMakeLists.txt"
     "cmake_minimum_required(VERSION 3.25)\nproject(versions LANGUAGES NONE)\n"
     "include(\"${SOURCE}/scripts/cmake/schattenEigen.cmake\")\n"
     "if(NOT TARGET Eigen3::Eigen)\n  message(FATAL_ERROR \"\${schatten_eigen_problem}\")\nendif()\n"
     "message(STATUS \"taken: \${Eigen3_DIR} \${Eigen3_VERSION}.\")\n")

# configure(<version> <option>...): with that package as a build folder's place; sets status and output.
macro(configure version)
  execute_process(COMMAND ${CMAKE_COMMAND} -S "${FOLDER}" -B "${FOLDER}/${version}/build" --fresh ${ARGN}
                          "-DCMAKE_IGNORE_PREFIX_PATH=/usr;/usr/local" -DCMAKE_FIND_USE_PACKAGE_REGISTRY=OFF
                          -DCMAKE_FIND_USE_CMAKE_ENVIRONMENT_PATH=OFF
                  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  string(REGEX REPLACE "[ \n]+" " " output "${output}")
endmacro()

# check(<version> <expected status>)
function(check version expected)
  set(package "${FOLDER}/${version}")
  file(WRITE "${package}/Eigen3Config.cmake" "add_library(Eigen3::Eigen INTERFACE IMPORTED)\n")
  write_basic_package_version_file("${package}/Eigen3ConfigVersion.cmake" VERSION ${version}
                                   COMPATIBILITY SameMajorVersion ARCH_INDEPENDENT)
  configure(${version} "-DEigen3_ROOT=${package}")
  if(NOT status EQUAL expected)
    message(FATAL_ERROR "Eigen ${version}: status ${status}, expected ${expected}:\n${output}")
  endif()
  if(expected AND NOT output MATCHES "Eigen 3[.]4 or 5 not found.*Found: ${version} [(]")
    message(FATAL_ERROR "Eigen ${version}: the message does not name it:\n${output}")
  endif()
endfunction()

check(3.3.9 1)
check(3.4.0 0)
check(5.0.1 0)
check(6.0.0 1)

# chosen(<version> <the system's version> <option>...): the option names the first
function(chosen version system)
  configure(${version} "-DCMAKE_SYSTEM_PREFIX_PATH=${FOLDER}/${system}" "${ARGN}")
  if(NOT status EQUAL 0 OR NOT output MATCHES "/${version} ${version}[.]")
    message(FATAL_ERROR "Eigen ${version} by ${ARGN}, ${system} in the system: status ${status}:\n${output}")
  endif()
endfunction()

foreach(versions "5.0.1;3.4.0" "3.4.0;5.0.1")
  list(GET versions 0 version)
  foreach(name Eigen3_ROOT Eigen3_DIR CMAKE_PREFIX_PATH)
    chosen(${versions} "-D${name}=${FOLDER}/${version}")
  endforeach()
endforeach()
chosen(3.4.0 3.4.0)
