// SPDX-License-Identifier: BSD-3-Clause
// checkpoint::save and checkpoint::load.
#pragma once

#include <schatten/checkpoint/load.hpp>
#include <schatten/checkpoint/save.hpp>
