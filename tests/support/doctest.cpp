// SPDX-License-Identifier: BSD-3-Clause
// doctest itself, apart from main: programs with a main of their own link it too.

#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
