// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The version of the library; CMakeLists.txt reads these three lines.
#define SCHATTEN_VERSION_MAJOR 0
#define SCHATTEN_VERSION_MINOR 1
#define SCHATTEN_VERSION_PATCH 0

namespace schatten {

inline constexpr int version_major = SCHATTEN_VERSION_MAJOR;
inline constexpr int version_minor = SCHATTEN_VERSION_MINOR;
inline constexpr int version_patch = SCHATTEN_VERSION_PATCH;

}  // namespace schatten
