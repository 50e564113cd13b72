# SPDX-License-Identifier: BSD-3-Clause
set(VCPKG_BUILD_TYPE release)  # headers alone

vcpkg_from_git(OUT_SOURCE_PATH SOURCE_PATH URL REPOSITORY REF COMMIT)

vcpkg_check_features(OUT_FEATURE_OPTIONS options FEATURES blas SCHATTEN_ENABLE_BLAS)
vcpkg_cmake_configure(SOURCE_PATH "${SOURCE_PATH}"
                      OPTIONS ${options} -DSCHATTEN_BUILD_TESTS=OFF -DSCHATTEN_BUILD_BENCHMARKS=OFF
                              -DSCHATTEN_BUILD_EXAMPLES=OFF)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH lib/cmake/schatten)

file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/lib" "${CURRENT_PACKAGES_DIR}/share/doc")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
