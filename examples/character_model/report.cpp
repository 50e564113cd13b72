#include "report.hpp"

#include <cstdio>
#include <fstream>
#include <stdexcept>

namespace character_model {

void print_table(const std::vector<Record>& records) {
  constexpr double nats_per_bit = 0.6931471805599453;
  std::printf("\n%-9s  %-28s  %-8s  %-14s  %s\n", "", "validation loss", "training", "share of the",
              "Hill alpha of the");
  std::printf("%-9s  %-28s  %-8s  %-14s  %s\n", "optimizer", "at the end", "time", "optimizer step", "hidden matrices");
  for (const Record& record : records)
    std::printf("%-9s  %.4f nats, %.3f bits/char  %6.1f s  %12.1f %%  %6.2f -> %.2f\n", record.optimizer.c_str(),
                record.validation_loss, record.validation_loss / nats_per_bit, record.seconds,
                100.0 * record.optimizer_seconds / record.seconds, record.alpha_before, record.alpha_after);
}

void write_csv(const std::filesystem::path& path, const std::vector<Record>& records) {
  std::ofstream file(path);
  file << "optimizer,step,train_loss,validation_loss,seconds\n";
  for (const Record& record : records)
    for (const StepRecord& step : record.steps) {
      file << record.optimizer << ',' << step.step << ',' << step.train_loss << ',';
      if (step.validation_loss) file << *step.validation_loss;
      file << ',' << step.seconds << '\n';
    }
  file.flush();
  if (!file) throw std::runtime_error("cannot write '" + path.string() + "'");
}

}  // namespace character_model
