# cmake -D SOURCE=<file> -D MODE=reject|accept -D COMPILE_COMMANDS=<file> -P compile.cmake
# Compiles SOURCE with the command that CMake wrote for it, but makes no object file.
# reject: must fail with a diagnostic that matches the file's `// EXPECT: <regex>`, and with no more lines of
# diagnostics than the file's `// LINES: <number>` allows, if it has one.
# accept: must succeed with -DPOSITIVE_CONTROL.

file(READ ${COMPILE_COMMANDS} commands)
string(JSON count LENGTH "${commands}")
math(EXPR last "${count} - 1")
foreach(index RANGE ${last})
  string(JSON file GET "${commands}" ${index} file)
  if(file STREQUAL SOURCE)
    string(JSON command GET "${commands}" ${index} command)
    string(JSON directory GET "${commands}" ${index} directory)
    break()
  endif()
endforeach()
if(NOT DEFINED command)
  message(FATAL_ERROR "no compile command for ${SOURCE}")
endif()

separate_arguments(command UNIX_COMMAND "${command}")
list(FIND command -o position)
math(EXPR position "${position} + 1")
list(REMOVE_AT command ${position})
list(INSERT command ${position} /dev/null)
list(APPEND command -O0)
if(NOT command MATCHES "nvcc")  # which has no such option
  list(APPEND command -fsyntax-only)
endif()
if(MODE STREQUAL accept)
  list(APPEND command -DPOSITIVE_CONTROL)
endif()

set(ENV{LC_ALL} C)  # compilers translate their diagnostics
execute_process(COMMAND ${command} WORKING_DIRECTORY ${directory} RESULT_VARIABLE status
                OUTPUT_VARIABLE output ERROR_VARIABLE output)

if(MODE STREQUAL accept)
  if(NOT status EQUAL 0)
    message(NOTICE "${output}")
    message(FATAL_ERROR "the positive control must compile")
  endif()
  return()
endif()

file(STRINGS ${SOURCE} expected REGEX "^// EXPECT: " LIMIT_COUNT 1)
if(NOT expected)
  message(FATAL_ERROR "${SOURCE} has no line `// EXPECT: <regex>`")
endif()
string(REPLACE "// EXPECT: " "" expected "${expected}")
if(status EQUAL 0)
  message(FATAL_ERROR "it compiles, and must not")
elseif(NOT output MATCHES "${expected}")
  message(NOTICE "expected: ${expected}\n${output}")
  message(FATAL_ERROR "rejected, but not with the expected message")
endif()

file(STRINGS ${SOURCE} most REGEX "^// LINES: " LIMIT_COUNT 1)
if(most)
  string(REPLACE "// LINES: " "" most "${most}")
  string(REGEX MATCHALL "\n" lines "${output}")
  list(LENGTH lines count)
  if(count GREATER most)
    message(NOTICE "${output}")
    message(FATAL_ERROR "${count} lines of diagnostics; the file allows ${most}")
  endif()
endif()
