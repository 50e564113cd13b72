// SPDX-License-Identifier: BSD-3-Clause
// The traps of the test main are live: this program runs itself again and watches the child die.

#include "fp_traps.hpp"

#include <Kokkos_Core.hpp>
#include <doctest/doctest.h>

#include <csignal>
#include <spawn.h>
#include <string>
#include <sys/wait.h>

extern char** environ;

namespace {

using schatten::test::FpTrapsDisabled;

// The signal that killed a child that runs the one test case, 0 if it ended well, -1 otherwise.
int signal_of_child(const std::string& test_case) {
  std::string program = "/proc/self/exe";
  std::string select = "--test-case=" + test_case;
  std::string include_skipped = "--no-skip";
  std::string quiet = "--minimal";
  char* argv[] = {program.data(), select.data(), include_skipped.data(), quiet.data(), nullptr};
  pid_t child = 0;
  REQUIRE(posix_spawn(&child, program.c_str(), nullptr, nullptr, argv, environ) == 0);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  if (WIFSIGNALED(status)) return WTERMSIG(status);
  return WEXITSTATUS(status) == 0 ? 0 : -1;
}

double quotient(double numerator, double denominator) {
  volatile double n = numerator;
  volatile double d = denominator;
  return n / d;
}

void divide_on_each_thread(double numerator, double denominator) {
  Kokkos::View<double*, Kokkos::HostSpace> out("schatten::test::quotients", 64);
  using Policy = Kokkos::RangePolicy<Kokkos::DefaultHostExecutionSpace>;
  Kokkos::parallel_for("schatten::test::divide", Policy(0, 64), [=](const int i) {
    // The first half belongs to the calling thread, so only another thread divides.
    if (i >= 32) out(i) = quotient(numerator, denominator);
  });
  Kokkos::fence();
}

}  // namespace

TEST_CASE("child: division by zero" * doctest::skip()) { CHECK(quotient(1.0, 0.0) > 0.0); }
TEST_CASE("child: invalid operation" * doctest::skip()) { CHECK(quotient(0.0, 0.0) == 0.0); }
TEST_CASE("child: invalid operation in a kernel" * doctest::skip()) { divide_on_each_thread(0.0, 0.0); }
TEST_CASE("child: traps disabled" * doctest::skip()) {
  const FpTrapsDisabled off;
  const double nan = quotient(0.0, 0.0);
  CHECK(nan != nan);
  divide_on_each_thread(0.0, 0.0);
}
TEST_CASE("child: traps return after the scope" * doctest::skip()) {
  { const FpTrapsDisabled off; }
  divide_on_each_thread(0.0, 0.0);
}

TEST_CASE("an invalid operation or a division by zero kills a test") {
  if (!schatten::test::fp_traps_wanted()) {
    MESSAGE("traps are off by SCHATTEN_NO_FP_TRAPS");
    return;
  }
  CHECK(schatten::test::fp_traps_enabled());
  CHECK(signal_of_child("child: division by zero") == SIGFPE);
  CHECK(signal_of_child("child: invalid operation") == SIGFPE);
  CHECK(signal_of_child("child: invalid operation in a kernel") == SIGFPE);
  CHECK(signal_of_child("child: traps return after the scope") == SIGFPE);
}

TEST_CASE("FpTrapsDisabled lets a test feed NaN") { CHECK(signal_of_child("child: traps disabled") == 0); }
