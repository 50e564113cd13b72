// SPDX-License-Identifier: BSD-3-Clause
// What a library of messages must offer, and how ranks agree on arguments before any of them waits for another.
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

/// A transfer that has begun. done(): whether wait would return at once; a library that needs it goes on with the
/// transfer in here. wait(exec): kernels that are queued on `exec` afterwards read what was received. wait must be
/// called before it is destroyed.
template <class R, class Exec>
concept Request = std::movable<R> && requires(R& r, const Exec& exec) {
  { r.done() } -> std::same_as<bool>;
  r.wait(exec);
};

/// The ranks of one group. All ranks call the same functions in the same order with the sizes that belong together.
///
/// rank(), size(): this one of how many. In the order of `exec`, on memory that `Exec` reads: all_reduce(exec, x, n): x
/// ← Σ over ranks, float or double. all_gather(exec, mine, all, bytes): rank k's bytes[k] bytes to all ranks, in the
/// order of ranks. all_to_all(exec, to, to_bytes, from, from_bytes): to_bytes[k] bytes to rank k, those from rank k
/// into `from`, both in the order of ranks. broadcast(exec, x, bytes, root). On host memory, complete on return:
/// exchange(mine, bytes, all): all_gather of equal sizes. start_all_gather(exec, mine, all, bytes): the same as
/// all_gather, begun; returns a Request, and the memory is its until wait. Other functions may be called in between.
/// Errors of a library are CommunicationErrors that name its call.
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

/// A call of a message library that failed: which, and what the library says.
class CommunicationError : public std::runtime_error {
 public:
  /// An error of the library's function `call`, with the library's words for it.
  CommunicationError(std::string_view call, std::string_view what)
      : std::runtime_error("schatten::distributed: " + std::string(call) + ": " + std::string(what)), call_(call) {}
  /// "MPI_Allreduce".
  [[nodiscard]] const std::string& call() const noexcept { return call_; }

 private:
  std::string call_;
};

/// A collective call that another rank has refused, or failed in: thrown on the ranks that were right.
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

/// Agrees on the arguments of a collective call: no rank goes on, and waits, where another has refused.
///
/// Returns the 8 bytes `mine` of all ranks, in the order of ranks; they are read after check(). check() throws for what
/// this rank refuses or cannot do, and otherwise returns a text of what must be equal on all ranks. agree() throws on
/// all ranks: what `check` threw; RefusedByRank where another rank's `check` threw; InvalidArgument where the texts
/// differ. Cost: one exchange of 24 bytes.
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
  // Of a rank that refuses; none where words differ alone.
  const auto settle = [&] {
    comm.exchange(&message, sizeof(message), all.data());
    bool refused = false, differ = false;
    for (const Message& m : all) {
      refused = refused || m.refused != 0;
      differ = differ || m.digest != all[0].digest;
    }
    if (!refused && !differ) return;
    const std::vector<std::string> texts = exchange_texts(comm, words);
    if (message.refused != 0) return;  // its own exception is on its way
    for (std::size_t k = 0; k < ranks; ++k) {
      if (all[k].refused != 0) throw RefusedByRank(static_cast<int>(k), texts[k]);
    }
    for (std::size_t k = 1; k < ranks; ++k) {
      if (all[k].digest == all[0].digest) continue;
      throw InvalidArgument(function, "arguments",
                            "'" + texts[0] + "' on rank 0 and '" + texts[k] + "' on rank " + std::to_string(k),
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
  }
  settle();
  std::vector<std::uint64_t> values;
  for (const Message& m : all) values.push_back(m.value);
  return values;
}

}  // namespace schatten::distributed
