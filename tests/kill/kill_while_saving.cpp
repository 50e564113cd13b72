// SPDX-License-Identifier: BSD-3-Clause
// Kills a program that does nothing but save, at random moments: kill_while_saving [KILLS [FOLDER]]. After each, the
// file must be the checkpoint of one save, whole: the last that was finished or the one that was under way. The program
// starts itself as what it kills.

#include <schatten/checkpoint/checkpoint.hpp>
#include <schatten/linalg/backend/portable.hpp>
#include <schatten/optim/rules/sgd.hpp>

#include <Kokkos_Core.hpp>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

using namespace schatten;
using Exec = Kokkos::DefaultHostExecutionSpace;
using Matrix = Kokkos::View<double**, Kokkos::LayoutRight, Kokkos::HostSpace>;

/// An Optimizer of two parameters, 2.5 MB with its state.
struct Model {
  Exec exec;
  Matrix a{"a", 300, 400}, b{"b", 200, 200}, gradient_a{"g", 300, 400}, gradient_b{"g", 200, 200};
  Optimizer<double, Exec, linalg::PortableBackend> optimizer;
  Model() {
    const GroupId group = optimizer.add_group(SGD{});
    optimizer.add(group, "a", a, gradient_a);
    optimizer.add(group, "b", b, gradient_b);
  }
  /// All weights and all state ← number.
  void fill(double number) {
    for (const auto& [name, w] : {std::pair("a", a), std::pair("b", b)}) {
      const HostState<double> state("state", 1, w.extent(0), w.extent(1));
      Kokkos::deep_copy(exec, w, number);
      Kokkos::deep_copy(exec, state, number);
      exec.fence();
      optimizer.write_state(exec, name, "momentum", state);
    }
  }
  [[nodiscard]] bool all(double number) {
    bool same = true;
    for (const auto& [name, w] : {std::pair("a", a), std::pair("b", b)}) {
      const HostState<double> state = optimizer.read_state(exec, name, "momentum");
      for (std::size_t k = 0; k < w.size(); ++k) {
        same = same && w.data()[k] == number && state.data()[k] == number;
      }
    }
    return same;
  }
  void save(const std::string& path, long number) {
    checkpoint::save(exec, optimizer, path, {.notes = {{"number", std::to_string(number)}}});
  }
  /// The number of the save whose checkpoint the file is. Throws where it is none.
  long load(const std::string& path) {
    const long number = std::stol(checkpoint::load(exec, optimizer, path).notes.at("number"));
    if (!all(double(number))) throw std::runtime_error("a checkpoint of two saves");
    return number;
  }
};

/// Saves number + 1, number + 2, … until it is killed; says on `finished` when one is done.
[[noreturn]] void save_for_ever(const std::string& path, int finished) {
  Model model;
  for (long number = model.load(path) + 1;; ++number) {
    model.fill(double(number));
    model.save(path, number);
    if (::write(finished, &number, sizeof(number)) != sizeof(number)) std::exit(3);
  }
}

/// The last number that came through the pipe; `before` if none did.
long last_finished(int pipe, long before) {
  long number = before, next = 0;
  while (::read(pipe, &next, sizeof(next)) == sizeof(next)) number = next;
  return number;
}

int drive(const char* self, int kills, const std::string& folder) {
  using namespace std::chrono;
  const std::string path = folder + "/run.safetensors";
  std::mt19937 random(1);
  Model model;
  model.fill(0);
  model.save(path, 0);
  long saves = 0, under_way = 0;
  int started = 0, left = 0;
  for (int k = 0; k < kills; ++k) {
    const long before = model.load(path);
    int ends[2];
    if (::pipe(ends) != 0) return 2;
    const std::string end = std::to_string(ends[1]);
    const ::pid_t child = ::fork();
    if (child == 0) {
      ::execl("/proc/self/exe", self, "--save", path.c_str(), end.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(ends[1]);
    // Two saves say how long one takes; then a random moment in the next three.
    long first = before;
    steady_clock::duration one_save{};
    for (int save = 0; save < 2; ++save) {
      const auto begin = steady_clock::now();
      if (::read(ends[0], &first, sizeof(first)) != sizeof(first)) return 2;
      one_save = steady_clock::now() - begin;
    }
    std::this_thread::sleep_for(one_save * std::uniform_real_distribution<double>(0, 3)(random));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) return 2;
    const long finished = last_finished(ends[0], first), now = model.load(path);
    ::close(ends[0]);
    if (now != finished && now != finished + 1) {
      std::printf("the file is of save %ld, but %ld was finished\n", now, finished);
      return 1;
    }
    saves += finished - before;
    under_way += now == finished + 1;
    started += 1;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().extension() != ".tmp") continue;
      ++left;
      std::filesystem::remove(entry.path());
    }
  }
  std::printf(
      "%d kills, %ld saves between; each time a whole checkpoint: %ld times that of the save that was killed, else the "
      "one\n"
      "before. %d times a file was being written, and was left beside it.\n",
      started, saves, under_way, left);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const Kokkos::ScopeGuard kokkos(argc, argv);
  if (argc == 4 && std::strcmp(argv[1], "--save") == 0) save_for_ever(argv[2], std::atoi(argv[3]));
  std::string folder = argc > 2 ? argv[2] : (std::filesystem::temp_directory_path() / "schatten-kill-XXXXXX").string();
  if (argc <= 2 && ::mkdtemp(folder.data()) == nullptr) return 2;
  int status = 1;
  try {
    status = drive(argv[0], argc > 1 ? std::atoi(argv[1]) : 200, folder);
  } catch (const std::exception& error) {
    std::printf("%s\n", error.what());
  }
  if (argc <= 2) std::filesystem::remove_all(folder);
  return status;
}
