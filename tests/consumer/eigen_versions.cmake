# cmake -D SOURCE=<schatten> -D FOLDER=<scratch> -P eigen_versions.cmake
# Packages of Eigen, of which there is the version alone: 3.4 and 5 are taken, and a message names another one.

file(REMOVE_RECURSE "${FOLDER}")
include(CMakePackageConfigHelpers)
file(WRITE "${FOLDER}/CMakeLists.txt"
     "cmake_minimum_required(VERSION 3.25)\nproject(versions LANGUAGES NONE)\n"
     "include(\"${SOURCE}/scripts/cmake/schattenEigen.cmake\")\n"
     "if(NOT TARGET Eigen3::Eigen)\n  message(FATAL_ERROR \"\${schatten_eigen_problem}\")\nendif()\n")

# check(<version> <expected status>)
function(check version expected)
  set(package "${FOLDER}/${version}")
  file(WRITE "${package}/Eigen3Config.cmake" "add_library(Eigen3::Eigen INTERFACE IMPORTED)\n")
  write_basic_package_version_file("${package}/Eigen3ConfigVersion.cmake" VERSION ${version}
                                   COMPATIBILITY SameMajorVersion ARCH_INDEPENDENT)
  execute_process(COMMAND ${CMAKE_COMMAND} -S "${FOLDER}" -B "${package}/build" "-DEigen3_ROOT=${package}"
                          "-DCMAKE_IGNORE_PREFIX_PATH=/usr;/usr/local" -DCMAKE_FIND_USE_PACKAGE_REGISTRY=OFF
                          -DCMAKE_FIND_USE_CMAKE_ENVIRONMENT_PATH=OFF
                  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL expected)
    message(FATAL_ERROR "Eigen ${version}: status ${status}, expected ${expected}:\n${output}")
  endif()
  string(REGEX REPLACE "[ \n]+" " " output "${output}")
  if(expected AND NOT output MATCHES "Eigen 3[.]4 or 5 not found.*Found: ${version} [(]")
    message(FATAL_ERROR "Eigen ${version}: the message does not name it:\n${output}")
  endif()
endfunction()

check(3.3.9 1)
check(3.4.0 0)
check(5.0.1 0)
check(6.0.0 1)
