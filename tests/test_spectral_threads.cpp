// SPDX-License-Identifier: BSD-3-Clause
// labels: threads
// Plans of their own in several host threads, each on Kokkos::Serial.

#include "support/typed.hpp"
#include <schatten/spectral/steepest_descent.hpp>

#include <thread>
#include <vector>

namespace {

using namespace schatten;
using namespace schatten::test;

SpectralPowerOptions options_of(unsigned thread) {
  const SpectralMethod methods[] = {SpectralMethod::svd, SpectralMethod::eigh, SpectralMethod::quintic};
  return {
      .rows = 24 + thread, .cols = 18, .power = 0, .resolution = 0.1, .tolerance = 2, .method = methods[thread % 3]};
}

template <class Backend>
Matrix applied(unsigned thread, int round) {
  const SerialExec exec;
  const SpectralPowerOptions options = options_of(thread);
  const auto out = output_view<float>(options.rows, options.cols);
  SpectralPower<float, SerialExec, Backend> power(options);
  for (int repetition = 0; repetition < 3; ++repetition) {
    power.apply(exec, to_view<float>(gaussian(options.rows, options.cols, 10 * thread + unsigned(round))), out);
  }
  return to_matrix(out);
}

}  // namespace

TEST_CASE_TEMPLATE("SpectralPower in several threads", Backend, linalg::DefaultBackend<SerialExec>, PortableBackend) {
  constexpr unsigned threads = 4;
  constexpr int rounds = 5;
  std::vector<std::vector<Matrix>> wanted(threads), got(threads);
  for (unsigned t = 0; t < threads; ++t) {
    for (int round = 0; round < rounds; ++round) wanted[t].push_back(applied<Backend>(t, round));
  }
  std::vector<std::thread> team;
  for (unsigned t = 0; t < threads; ++t) {
    team.emplace_back([&got, t] {
      for (int round = 0; round < rounds; ++round) got[t].push_back(applied<Backend>(t, round));
    });
  }
  for (std::thread& thread : team) thread.join();
  for (unsigned t = 0; t < threads; ++t) {
    REQUIRE(got[t].size() == std::size_t(rounds));
    for (int round = 0; round < rounds; ++round) CHECK(got[t][std::size_t(round)] == wanted[t][std::size_t(round)]);
  }
}
