// SPDX-License-Identifier: BSD-3-Clause
#pragma once

namespace character_model {

// Compares every gradient of a small model in double with central differences,
// (L(w + h) - L(w - h)) / 2h, and prints one line a parameter. Returns whether all agree.
bool check_gradients();

}  // namespace character_model
