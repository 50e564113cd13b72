// SPDX-License-Identifier: BSD-3-Clause
// The C interface with the rules that its tests use, over the backend and the instantiations that the other tests have.
#include "support/instantiations.hpp"

#define SCHATTEN_C_API_HERE
#define SCHATTEN_C_API_RULES schatten::HTMuon, schatten::Muon, schatten::AdamW, schatten::SophiaG
#define SCHATTEN_C_API_BACKEND schatten::linalg::PortableBackend
#include <schatten/interop/c_api.hpp>
