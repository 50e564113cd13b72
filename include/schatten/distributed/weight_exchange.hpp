// SPDX-License-Identifier: BSD-3-Clause
// The exchange of weights between their owners and the other ranks, during the computation of a step or after it.
#pragma once

#include <schatten/core/workspace.hpp>
#include <schatten/distributed/communicator.hpp>
#include <schatten/distributed/pieces.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace schatten::distributed::detail {

/// All pieces in rounds, and the round of each part that this rank updates.
struct WeightRounds {
  std::vector<Round> rounds;
  std::map<std::string, std::size_t, std::less<>> round_of;

  /// No pieces.
  WeightRounds() = default;
  /// pieces: all, with their owners; me: this rank.
  WeightRounds(const std::vector<OwnedPiece>& pieces, std::size_t me, std::size_t ranks, std::size_t message_bytes)
      : rounds(rounds_of(pieces, &OwnedPiece::weight, ranks, message_bytes)) {
    for (std::size_t r = 0; r < rounds.size(); ++r) {
      for (const std::size_t k : rounds[r].pieces) {
        if (pieces[k].owner != me) continue;
        for (const std::string& part : pieces[k].parts) round_of.emplace(part, r);
      }
    }
  }
};

/// One exchange of all weights, in rounds. With `overlap` two rounds are sent at the same time. A rank that has called
/// the constructor must call finish, unless the communicator fails.
template <ExecutionSpace Exec, Communicator<Exec> Comm>
class WeightExchange {
 public:
  using Space = typename Exec::memory_space;

  /// The arguments must exist as long as the exchange. workspace: of which buffers are taken until the end.
  WeightExchange(const Exec& exec, const Comm& comm, const std::vector<OwnedPiece>& pieces, const WeightRounds& plan,
                 Workspace<Space>& workspace, bool overlap)
      : exec_(exec), comm_(comm), pieces_(pieces), plan_(plan), frame_(workspace) {
    std::size_t mine = 0, all = 0;
    for (const Round& round : plan.rounds) {
      mine = (std::max)(mine, round.bytes[me()]);
      all = (std::max)(all, sum_of(round.bytes));
    }
    slots_.resize((std::min)(std::size_t{overlap ? 2u : 1u}, plan.rounds.size()));
    for (Slot& slot : slots_) {
      slot.mine = workspace.template numbers<char>(mine).data();
      slot.all = workspace.template numbers<char>(all).data();
    }
    missing_.assign(plan.rounds.size(), 0);
    for (const auto& [part, round] : plan.round_of) ++missing_[round];
  }
  /// To be called after the update of a part of a piece. Begins the complete rounds, if a buffer is free.
  void note_stepped(std::string_view part) {
    const auto found = plan_.round_of.find(part);
    if (found != plan_.round_of.end()) --missing_[found->second];
    for (std::size_t r = ended_; r < begun_; ++r) (void)slot(r).request.done();
    while (begun_ < missing_.size() && missing_[begun_] == 0) {
      if (begun_ - ended_ == slots_.size()) {
        if (!slot(ended_).request.done()) return;
        end();
      }
      begin();
    }
  }
  /// Begins and ends the remaining rounds.
  void finish() {
    while (ended_ < missing_.size()) {
      if (begun_ < missing_.size() && begun_ - ended_ < slots_.size()) {
        begin();
      } else {
        end();
      }
    }
  }

 private:
  struct Slot {
    char *mine, *all;
    RequestOf<Comm, Exec> request;
  };
  [[nodiscard]] std::size_t me() const { return std::size_t(comm_.rank()); }
  [[nodiscard]] Slot& slot(std::size_t round) { return slots_[round % slots_.size()]; }
  void begin() {
    const Round& round = plan_.rounds[begun_];
    Slot& to = slot(begun_++);
    char* at = to.mine;
    for (const std::size_t k : round.pieces) {
      if (pieces_[k].owner == me()) at = pack(exec_, pieces_[k].weight, at);
    }
    to.request = comm_.start_all_gather(exec_, to.mine, to.all, round.bytes);
  }
  void end() {
    const Round& round = plan_.rounds[ended_];
    Slot& from = slot(ended_++);
    from.request.wait(exec_);
    const char* at = from.all;
    for (const std::size_t k : round.pieces) {  // in the order of owners
      const OwnedPiece& piece = pieces_[k];
      at = piece.owner == me() ? at + bytes_of(piece.weight) : unpack(exec_, at, piece.weight);
    }
  }

  const Exec& exec_;
  const Comm& comm_;
  const std::vector<OwnedPiece>& pieces_;
  const WeightRounds& plan_;
  typename Workspace<Space>::Frame frame_;
  std::vector<Slot> slots_;
  std::vector<std::size_t> missing_;   ///< parts of this rank, by round, that have not been stepped
  std::size_t begun_ = 0, ended_ = 0;  ///< rounds
};

}  // namespace schatten::distributed::detail
