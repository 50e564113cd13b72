// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// The table and the files that a run of the program ends with.

#include "record.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace character_model {

void print_table(const std::vector<Record>& records);

// The same for several trainings of each optimizer: means and, of the losses, largest less smallest; best first.
void print_means(const std::vector<Record>& records);

// One row a step: optimizer, step, train loss, validation loss where evaluated, seconds so far, seed;
// and the accuracy where there are any.
void write_csv(const std::filesystem::path& path, const std::vector<Record>& records);

// One row a training: validation loss at the end, milliseconds a step, accuracy at the end where there are any, Hill's
// alpha of each hidden matrix.
void write_trainings_csv(const std::filesystem::path& path, const std::vector<Record>& records);

// What a picture says of the program.
struct PictureWords {
  std::string title = "Character model: validation loss by optimizer";
  std::string loss = "loss (nats per character)";
};

// Two panels: loss against steps, and against training time; of each optimizer its first training.
void write_svg(const std::filesystem::path& path, const std::vector<Record>& records, const PictureWords& words = {});

}  // namespace character_model
