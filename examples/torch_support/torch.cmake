# What a program over LibTorch and Schatten needs: the targets schatten_torch and torch_support, and schatten::schatten
# from an installed package (schatten_ROOT) or else from the source tree around this file.
option(SCHATTEN_NATIVE "Compile for this machine's processor" ON)
option(SCHATTEN_FEW_RULES
       "HTMuon, Muon, AdamW, SophiaG and NewtonMuon alone, which compile in a fraction of the time" OFF)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release)
endif()

if(NOT TARGET schatten::schatten)
  if(schatten_ROOT)
    find_package(schatten REQUIRED)
  else()
    find_package(schatten QUIET)
  endif()
  if(NOT schatten_FOUND)
    add_subdirectory(${CMAKE_CURRENT_LIST_DIR}/../.. schatten EXCLUDE_FROM_ALL)
  endif()
endif()

include(${CMAKE_CURRENT_LIST_DIR}/../../scripts/cmake/schattenTorch.cmake)

if(NOT TARGET torch_support)
  set(schatten_torch_support ${CMAKE_CURRENT_LIST_DIR})
  set(schatten_character_model ${CMAKE_CURRENT_LIST_DIR}/../character_model)
  add_library(torch_support STATIC
    ${schatten_torch_support}/checkpoint.cpp
    ${schatten_torch_support}/options.cpp
    ${schatten_torch_support}/program.cpp
    ${schatten_torch_support}/rules.cpp
    ${schatten_torch_support}/training.cpp
    ${schatten_character_model}/batches.cpp
    ${schatten_character_model}/curves_svg.cpp
    ${schatten_character_model}/recipes.cpp
    ${schatten_character_model}/report.cpp
    ${schatten_character_model}/text.cpp)
  target_link_libraries(torch_support PUBLIC schatten::schatten schatten_torch)
  target_compile_features(torch_support PUBLIC cxx_std_20)
  # The default text: the C++ of the Eigen headers that we compile with.
  if(TARGET Eigen3::Eigen)
    get_target_property(eigen_directories Eigen3::Eigen INTERFACE_INCLUDE_DIRECTORIES)
    list(GET eigen_directories 0 eigen_directory)
    if(IS_DIRECTORY "${eigen_directory}")
      set_source_files_properties(${schatten_character_model}/text.cpp PROPERTIES
        COMPILE_DEFINITIONS EIGEN_TEXT_DIRECTORY="${eigen_directory}")
    endif()
  endif()
  if(SCHATTEN_FEW_RULES)
    target_compile_definitions(torch_support PRIVATE TORCH_SUPPORT_FEW_RULES)
  endif()
  if(SCHATTEN_NATIVE)
    target_compile_options(torch_support PRIVATE
      $<$<COMPILE_LANG_AND_ID:CXX,GNU,Clang,AppleClang>:-march=native>
      # g++ 12 warns of its own AVX-512 intrinsics, wherever Eigen uses them.
      $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-maybe-uninitialized>)
  endif()
  if(Kokkos_ENABLE_CUDA)
    enable_language(CUDA)
    set_source_files_properties(${schatten_torch_support}/rules.cpp PROPERTIES LANGUAGE CUDA)
  endif()
endif()

# schatten_torch_program(<name> <source>...)
function(schatten_torch_program name)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE torch_support)
  target_compile_options(${name} PRIVATE $<$<COMPILE_LANG_AND_ID:CXX,GNU,Clang,AppleClang>:-Wall -Wextra>)
endfunction()
