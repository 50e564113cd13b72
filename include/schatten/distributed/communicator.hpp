// SPDX-License-Identifier: BSD-3-Clause
// The interface of a communicator, and how ranks compare their arguments before one of them waits for another.
#pragma once

#include <schatten/core/concepts.hpp>
#include <schatten/core/error.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace schatten::distributed {

/// A transfer that has begun. done() returns whether wait would return at once; in this call libraries such as MPI
/// proceed with the transfer. After wait(exec), kernels that are queued on `exec` read the received data. wait must be
/// called before the Request is destroyed.
template <class R, class Exec>
concept Request = std::movable<R> && requires(R& r, const Exec& exec) {
  { r.done() } -> std::same_as<bool>;
  r.wait(exec);
};

/// The ranks of one group. All ranks call the same functions in the same order, with sizes that fit each other.
///
/// rank() and size() return this rank's number and the number of ranks. exchange(mine, bytes, all) is an all_gather of
/// equal sizes on host memory, complete on return. The others run in the order of `exec`, on memory that `Exec` reads:
///   all_reduce(exec, x, n): x ← Σ over ranks of x, float or double;
///   all_gather(exec, mine, all, bytes): `all` ← the bytes[k] bytes of each rank k, in the order of ranks, on all
///     ranks;
///   start_all_gather(exec, mine, all, bytes): begins an all_gather and returns a Request. The memory must not be used
///     until its wait. Other functions may be called before;
///   all_to_all(exec, to, to_bytes, from, from_bytes): sends to_bytes[k] bytes to rank k and receives from_bytes[k]
///     bytes from rank k, both in the order of ranks;
///   broadcast(exec, x, bytes, root): copies x of rank root to all ranks.
/// Errors of a library are CommunicationErrors that name its function.
template <class C, class Exec>
concept Communicator = ExecutionSpace<Exec> &&
    requires(const C& c, const Exec& exec, float* x, double* y, const void* from, void* to,
             std::span<const std::size_t> sizes, std::size_t n, int root) {
  { c.rank() } -> std::convertible_to<int>;
  { c.size() } -> std::convertible_to<int>;
  c.all_reduce(exec, x, n);
  c.all_reduce(exec, y, n);
  c.all_gather(exec, from, to, sizes);
  c.all_to_all(exec, from, sizes, to, sizes);
  c.broadcast(exec, to, n, root);
  { c.start_all_gather(exec, from, to, sizes) } -> Request<Exec>;
  c.exchange(from, n, to);
};

/// What start_all_gather of a communicator returns.
template <class Comm, class Exec>
using RequestOf = decltype(std::declval<const Comm&>().start_all_gather(std::declval<const Exec&>(), nullptr, nullptr,
                                                                        std::declval<std::span<const std::size_t>>()));

/// The failure of a call of a message library, with the name of the function and the library's message.
class CommunicationError : public std::runtime_error {
 public:
  /// An error of the library's function `call`, with the library's message.
  CommunicationError(std::string_view call, std::string_view what)
      : std::runtime_error("schatten::distributed: " + std::string(call) + ": " + std::string(what)), call_(call) {}
  /// "MPI_Allreduce".
  [[nodiscard]] const std::string& call() const noexcept { return call_; }

 private:
  std::string call_;
};

/// Another rank has refused its arguments of a collective call, or has failed in it. Thrown on the ranks without an
/// error.
class RefusedByRank : public std::runtime_error {
 public:
  /// The error of rank `rank`, with its message.
  RefusedByRank(int rank, const std::string& what)
      : std::runtime_error("rank " + std::to_string(rank) + ": " + what), rank_(rank) {}
  /// The rank that refused or failed.
  [[nodiscard]] int rank() const noexcept { return rank_; }

 private:
  int rank_;
};

/// FNV-1a of a text, 64 bits.
inline std::uint64_t digest_of(std::string_view text) {
  std::uint64_t digest = 0xcbf29ce484222325ULL;
  for (const char c : text) digest = (digest ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return digest;
}

/// All ranks' texts, in the order of ranks.
template <class Comm>
std::vector<std::string> exchange_texts(const Comm& comm, const std::string& mine) {
  const auto ranks = static_cast<std::size_t>(comm.size());
  std::vector<std::uint64_t> lengths(ranks);
  const std::uint64_t length = mine.size();
  comm.exchange(&length, sizeof(length), lengths.data());
  std::uint64_t longest = 0;
  for (const std::uint64_t l : lengths) longest = l > longest ? l : longest;
  std::string padded = mine, all(ranks * longest, ' ');
  padded.resize(longest);
  if (longest > 0) comm.exchange(padded.data(), longest, all.data());
  std::vector<std::string> texts;
  for (std::size_t k = 0; k < ranks; ++k) texts.push_back(all.substr(k * longest, lengths[k]));
  return texts;
}

/// Compares the arguments of a collective call, so that no rank waits for a rank that has refused them.
///
/// Returns the 8 bytes `mine` of all ranks, in the order of ranks; they are read after check(). check() throws if this
/// rank refuses its arguments, and otherwise returns a text of what must be equal on all ranks. If a check throws,
/// agree() throws on all ranks: the same exception on that rank, RefusedByRank on the others. If the texts differ, it
/// throws InvalidArgument. Cost: one exchange of 24 bytes.
template <class Comm, class Check>
std::vector<std::uint64_t> agree(const Comm& comm, std::string_view function, const Check& check,
                                 const std::uint64_t& mine = 0) {
  struct Message {
    std::uint64_t refused, digest, value;
  };
  const auto ranks = static_cast<std::size_t>(comm.size());
  std::string words;
  Message message{0, 0, 0};
  std::vector<Message> all(ranks);
  // The rank that refuses; none if only texts differ.
  const auto settle = [&] {
    comm.exchange(&message, sizeof(message), all.data());
    bool refused = false, differ = false;
    for (const Message& m : all) {
      refused = refused || m.refused != 0;
      differ = differ || m.digest != all[0].digest;
    }
    if (!refused && !differ) return;
    const std::vector<std::string> texts = exchange_texts(comm, words);
    if (message.refused != 0) return;  // this rank throws its own exception
    for (std::size_t k = 0; k < ranks; ++k) {
      if (all[k].refused != 0) throw RefusedByRank(static_cast<int>(k), texts[k]);
    }
    for (std::size_t k = 1; k < ranks; ++k) {
      if (all[k].digest == all[0].digest) continue;
      throw InvalidArgument(function, "arguments",
                            Words("'", texts[0], "' on rank 0 and '", texts[k], "' on rank ", k).text(),
                            "must be the same on all ranks");
    }
  };
  try {
    words = check();
    message.value = mine;
    message.digest = digest_of(words);
  } catch (const std::exception& error) {
    message.refused = 1;
    words = error.what();
    settle();
    throw;
  } catch (...) {
    message.refused = 1;
    words = "an exception of another type than std::exception";
    settle();
    throw;
  }
  settle();
  std::vector<std::uint64_t> values;
  for (const Message& m : all) values.push_back(m.value);
  return values;
}

}  // namespace schatten::distributed
