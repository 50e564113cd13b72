# Provides Eigen3::Eigen, 3.4 or 5, to the build and to the installed package. Without one, schatten_eigen_problem says
# what there is.

# Eigen3_DIR comes first, then what the user names otherwise (Eigen3_ROOT, CMAKE_PREFIX_PATH), then the system's places.
# Within one call find_package would prefer a system's 3.4 to a user's 5.
set(schatten_eigen_dir "${Eigen3_DIR}")
foreach(schatten_eigen_places
        NO_DEFAULT_PATH
        "NO_SYSTEM_ENVIRONMENT_PATH;NO_CMAKE_PACKAGE_REGISTRY;NO_CMAKE_SYSTEM_PATH;NO_CMAKE_SYSTEM_PACKAGE_REGISTRY"
        "")
  foreach(schatten_eigen_version 3.4 5)  # neither calls itself compatible with the other
    if(NOT TARGET Eigen3::Eigen)
      if(schatten_eigen_dir)  # a call that finds nothing forgets it
        set(Eigen3_DIR "${schatten_eigen_dir}" CACHE PATH "The folder of Eigen3Config.cmake" FORCE)
      endif()
      find_package(Eigen3 ${schatten_eigen_version} QUIET ${schatten_eigen_places})
    endif()
  endforeach()
endforeach()
if(NOT TARGET Eigen3::Eigen)
  set(schatten_eigen_problem "Eigen 3.4 or 5 not found; set Eigen3_ROOT to where it is installed")
  if(Eigen3_CONSIDERED_VERSIONS)
    string(JOIN ", " schatten_eigen_versions ${Eigen3_CONSIDERED_VERSIONS})
    string(JOIN ", " schatten_eigen_configs ${Eigen3_CONSIDERED_CONFIGS})
    string(APPEND schatten_eigen_problem ". Found: ${schatten_eigen_versions} (${schatten_eigen_configs})")
  endif()
endif()
