// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "views.hpp"

namespace schatten::test {

struct ReferenceSvd {
  Matrix u;
  Vector sigma;
  Matrix v;
};

/// Thin singular value decomposition in double, by Eigen's reflections: independent of the library's.
ReferenceSvd reference_svd(const Matrix& a);

}  // namespace schatten::test
