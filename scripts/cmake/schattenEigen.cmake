# Provides Eigen3::Eigen, 3.4 or 5, to the build and to the installed package. Without one, schatten_eigen_problem says what
# there is.

foreach(schatten_eigen_version 3.4 5)  # neither calls itself compatible with the other
  if(NOT TARGET Eigen3::Eigen)
    find_package(Eigen3 ${schatten_eigen_version} QUIET)
  endif()
endforeach()
if(NOT TARGET Eigen3::Eigen)
  set(schatten_eigen_problem "Eigen 3.4 or 5 not found; set Eigen3_ROOT to where it is installed")
  if(Eigen3_CONSIDERED_VERSIONS)
    string(JOIN ", " schatten_eigen_versions ${Eigen3_CONSIDERED_VERSIONS})
    string(JOIN ", " schatten_eigen_configs ${Eigen3_CONSIDERED_CONFIGS})
    string(APPEND schatten_eigen_problem ". Found: ${schatten_eigen_versions} (${schatten_eigen_configs})")
  endif()
endif()
