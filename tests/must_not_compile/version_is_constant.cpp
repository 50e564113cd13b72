// SPDX-License-Identifier: BSD-3-Clause
// EXPECT: read-only|const-qualified
#include <schatten/version.hpp>

int main() {
#if defined(POSITIVE_CONTROL)
  return schatten::version_major;
#else
  return schatten::version_major = 1;
#endif
}
