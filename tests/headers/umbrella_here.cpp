// SPDX-License-Identifier: BSD-3-Clause
#include "umbrella.hpp"

int main() { return version_seen_elsewhere() == schatten::version_major ? 0 : 1; }
