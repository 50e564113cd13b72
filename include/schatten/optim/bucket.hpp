// SPDX-License-Identifier: BSD-3-Clause
// The matrices of one shape and orientation in one step, with their gradients and state, for a rule.
#pragma once

#include <schatten/optim/bucket_storage.hpp>
#include <schatten/optim/element_norms.hpp>
#include <schatten/optim/floor.hpp>
#include <schatten/optim/plans.hpp>
#include <schatten/optim/scale.hpp>

#include <array>
#include <cstddef>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

namespace schatten::optim {

/// Data of a step that all groups share.
template <Scalar T, ExecutionSpace Exec>
struct StepContext {
  /// Where arrays are.
  using Space = typename Exec::memory_space;
  /// The instance on which the step runs.
  const Exec& exec;
  /// Flags of finite gradients, by number of the matrix.
  NumberBatchView<int, Space> flags;
  /// Numbers of steps, by number of the matrix.
  NumberBatchView<MatrixCounts, Space> counts;
  /// Scratch memory.
  Workspace<Space>& workspace;
  bool checked;  ///< whether gradients need not be checked: all have been, or NonFinite::propagate
};

/// Calls f for the rows or elements of matrices that are not skipped.
template <class F, class Space>
struct UnlessSkipped {
  F f;                        ///< the functor
  FiniteFlags<Space> finite;  ///< 0 for skipped matrices
  /// Calls f with the arguments (team, k, i) of a row or (k, i, j) of an element, unless matrix k is skipped.
  template <class First>
  KOKKOS_FUNCTION void operator()(const First& first, std::size_t second, std::size_t third) const {
    if constexpr (std::is_integral_v<First>) {
      if (finite(first)) f(first, second, third);
    } else {
      if (finite(second)) f(first, second, third);
    }
  }
};

/// Matrices [first, first + count) of a bucket in one step of their group.
///
/// All arrays have the same number of matrices. Their rows and columns are those of the user's View, unless the rule
/// commutes with transposes. Loops leave out matrices whose gradients are not finite.
template <Scalar T, ExecutionSpace Exec, class BackendType>
class Bucket {
 public:
  /// The Optimizer's scalar.
  using Scalar = T;
  /// The library of products and decompositions.
  using Backend = BackendType;
  /// Where arrays are.
  using Space = typename Exec::memory_space;
  /// The type of all arrays: (matrix, row, column).
  using Batch = BatchView<T, Space>;
  /// The same, read-only.
  using ConstBatch = BatchView<const T, Space>;
  /// One number per matrix.
  using Numbers = NumberBatchView<double, Space>;
  /// One vector per matrix.
  using Vectors = VectorBatchView<double, Space>;

  /// Matrices [first, first + count) of `storage` in a step.
  Bucket(const StepContext<T, Exec>& step, BucketStorage<T, Exec>& storage, std::size_t first, std::size_t count,
         std::size_t number)
      : step_(step),
        storage_(storage),
        first_(first),
        count_(count),
        number_(number),
        checked_(step.checked),
        records_(storage.records().view(first, count)),
        grouped_(storage.records().grouped()) {}

  /// The instance on which the step runs.
  [[nodiscard]] const Exec& exec() const { return step_.exec; }
  /// Scratch memory.
  [[nodiscard]] Workspace<Space>& workspace() const { return step_.workspace; }
  /// Number of matrices.
  [[nodiscard]] std::size_t matrices() const { return count_; }
  /// Rows of each matrix.
  [[nodiscard]] std::size_t rows() const { return storage_.key().rows; }
  /// Columns of each matrix.
  [[nodiscard]] std::size_t cols() const { return storage_.key().cols; }
  /// Whether other ranks have parts of the matrices (distributed/rank_rule.hpp).
  static constexpr bool over_ranks = false;
  /// How sums over a matrix include the elements that other ranks have (spectral/whole_matrix.hpp); here there are
  /// none.
  [[nodiscard]] static spectral::WholeMatrix parts() { return {}; }
  /// Rows and columns of a whole matrix, as the user's View has them.
  [[nodiscard]] std::pair<std::size_t, std::size_t> whole_shape() const { return key().user_shape(); }
  /// Whether other ranks have parts of each row.
  [[nodiscard]] static bool cuts_rows() { return false; }
  /// Whether other ranks have parts of each column.
  [[nodiscard]] static bool cuts_columns() { return false; }
  /// The group's number of this step, counted from 1.
  [[nodiscard]] std::size_t step() const { return number_; }

  /// applied()(k), in kernels: number of steps of matrix k before this one, without skipped ones.
  [[nodiscard]] AppliedSteps<Space> applied() const { return {step_.counts, records()}; }
  /// Whether a matrix may be in its first step, applied or skipped. If not, kernels for new matrices need not be
  /// launched. In kernels counts() tells which matrices are new.
  [[nodiscard]] bool first_steps() const { return first_steps_; }

  /// Returns the arrays of the rule's slot k as a batch. @pre the slot has an array of the Optimizer's scalar.
  [[nodiscard]] Batch state(std::size_t k) const {
    const StateArray<Exec>& array = storage_.states()[k];
    return batch_view<Space>(reinterpret_cast<T*>(array.data(first_)), count_, array.rows, array.cols);
  }
  /// Returns scratch memory for rows×cols matrices, row-major, with undefined contents, valid until the step of this
  /// bucket ends.
  [[nodiscard]] Batch buffer() const { return workspace().template batch<T>(count_, rows(), cols()); }

  /// out ← f(g, s₁, s₂, …) for every element: g the gradient's, s_k references to those of the slots named in `slots`.
  /// Zero for skipped matrices. Stores the largest |out| of each matrix for the floor (floor.hpp). beta: β of the
  /// average, which is the first slot. out: a buffer(). Cost: one pass, and the check of the gradients.
  template <class F, std::size_t n>
  void average(const F& f, const std::array<std::size_t, n>& slots, double beta, const Batch& out) {
    average_each(OneFunctor<F>{f}, slots, beta, out);
  }
  /// As average, with f = maker(k): one functor per matrix k, constructed in the kernel.
  template <class Maker, std::size_t n>
  void average_each(const Maker& maker, const std::array<std::size_t, n>& slots, double beta, const Batch& out) {
    over_gradients("schatten::step/momentum", maker, StoreSink<T, Space>{out, largest()}, slots);
    note_average(slots, beta);
  }
  /// As average_each, with the elements of `in`, a result of buffer() or transform(), instead of the gradient. `in` may
  /// be `out`.
  template <class Maker, std::size_t n>
  void average_of(const ConstBatch& in, const Maker& maker, const std::array<std::size_t, n>& slots, double beta,
                  const Batch& out) {
    check();
    run_over(BatchSource<T, Space>{in}, "schatten::step/momentum", maker, StoreSink<T, Space>{out, largest()}, slots);
    note_average(slots, beta);
  }

  /// out ← f(g, s₁, s₂, …) as in average, but without the floor, for arrays that are computed before an average. Cost:
  /// one pass.
  template <class Maker, std::size_t n>
  void transform(const Maker& maker, const std::array<std::size_t, n>& slots, const Batch& out) {
    over_gradients("schatten::step/gradient", maker, StoreSink<T, Space>{out, {}}, slots);
  }
  /// Calls f(g, s₁, s₂, …), f = maker(k), to change the state; the results are discarded. Cost: one pass.
  template <class Maker, std::size_t n>
  void update(const Maker& maker, const std::array<std::size_t, n>& slots) {
    over_gradients("schatten::step/update", maker, DropSink<T>{}, slots);
  }
  /// Returns the gradients in the Optimizer's scalar, in scratch memory. Cost: one pass.
  [[nodiscard]] Batch gradient() {
    const Batch copy = workspace().template batch<T>(count_, gradient_rows(), cols());
    transform(OneFunctor<Same>{}, std::array<std::size_t, 0>{}, copy);
    return copy;
  }
  /// Returns √Σ f(g, s₁, s₂, …)² over rows [b·each, (b+1)·each) of matrix k as result(k, b), with f = maker(k), in
  /// scratch memory. Changes of the state are discarded. The result is undefined for skipped matrices. Cost: one pass.
  /// @pre `each` divides the number of rows.
  template <class Maker, std::size_t n>
  [[nodiscard]] Vectors block_norms(const Maker& maker, const std::array<std::size_t, n>& slots, std::size_t each) {
    check();
    const Vectors out = workspace().template vectors<double>(count_, rows() / each);
    using Source = GradientSource<T, Space>;
    ElementLoop<T, Space, Source, MakeOnCopies<Maker>, NormSink<T, Space>, n> loop{gradients(), {maker}, {},
                                                                                   finite(),    rows(),  cols()};
    read_slots(loop, slots);
    optim::block_norms<T>(exec(), "schatten::step/norms", loop, count_, each, out, workspace());
    return out;
  }
  /// Returns √Σ f(g, s₁, s₂, …)² over matrix k as result(k), as block_norms.
  template <class Maker, std::size_t n>
  [[nodiscard]] Numbers norms(const Maker& maker, const std::array<std::size_t, n>& slots) {
    return Numbers(block_norms(maker, slots, rows()).data(), count_);
  }

  /// weights()(k, i, j), in kernels: the weights as they are now, in the Optimizer's scalar.
  [[nodiscard]] WeightReader<T, Space> weights() const {
    return {records(), key().master ? slot(slots() - 1) : SlotMemory{}};
  }
  /// The learning rate of this step, including the lr factor. D is multiplied by it and by factor(). A kernel with this
  /// number keeps it in a CUDA graph; one with rates() does not.
  [[nodiscard]] double lr() const { return rates_.host.lr; }
  /// The factor of W in this step's decay.
  [[nodiscard]] double decay() const { return rates_.host.decay; }
  /// rates().lr() and rates().decay(), in kernels: the same numbers; in a CUDA graph the present ones.
  [[nodiscard]] const StepRates& rates() const { return rates_; }

  /// Calls f(team, k, i) for every row i of every matrix k that is not skipped. `team`: core/team.hpp.
  template <class F>
  void rows(std::string_view label, const F& f) {
    check();
    for_each_row_by_team(exec(), label, count_, rows(), UnlessSkipped<F, Space>{f, finite()});
  }
  /// Calls f(team, k) for every matrix k that is not skipped.
  template <class F>
  void each_matrix(std::string_view label, const F& f) {
    check();
    for_each_row_by_team(exec(), label, count_, 1,
                         UnlessSkipped<schatten::detail::MatrixAsRow<F>, Space>{{f}, finite()});
  }
  /// Calls f(k, i, j) for every element of every matrix k that is not skipped.
  template <class F>
  void elements(std::string_view label, const F& f) {
    check();
    for_each_element(exec(), label, count_, rows(), cols(), UnlessSkipped<F, Space>{f, finite()});
  }

  /// out ← UΣ^pVᵀ of u, by one of the bucket's plans. @pre out and u do not overlap.
  void map(double power, const MapOptions& options, const Batch& u, const Batch& out) {
    plan(power, options).apply(exec(), u, out, workspace());
  }
  /// As map above, by the method `streaming` with the right singular vectors v, a state array of Extent::right_factor.
  void map(double power, const MapOptions& options, const Batch& u, const Batch& v, const Batch& out) {
    plan(power, options).apply(exec(), u, v, out, workspace());
  }
  /// Returns the bucket's plan for a map by a power, or by another type with PlanOf.
  template <class Of>
  [[nodiscard]] const auto& plan(const Of& of, const MapOptions& options) const {
    return plan_of<T, Exec, Backend>(storage_, of, options);
  }

  /// Sets factor() to the mode's factor for out = UΣ^pVᵀ of u, without the part that depends only on the shape. Does
  /// nothing for modes that depend only on the shape.
  void scale(ScaleMode mode, double power, const Batch& u, const Batch& out) {
    if (!needs_factor(mode)) return;
    direction_scale(exec(), mode, power, as_const(u), as_const(out), overwritten_factor(), workspace());
  }
  /// The factor of D of each matrix in addition to lr; initially 1. Cost of the first call: one launch.
  [[nodiscard]] NumberBatchView<SplitFactor, Space> factor() {
    if (!has_factor_) for_each_matrix(exec(), "schatten::step/factor", count_, StoreOne<Space>{factor_});
    return overwritten_factor();
  }

  // ---- for the group, which runs the rule -----------------------------------------------------------------------

  /// Calls the functors for the elements of gradients and slots and passes the results to `sink`. Checks the gradients
  /// first if that has not been done, a few matrices at a time, so that their gradients stay in cache: 4 MiB of them on
  /// the host, 16 MiB on a device, where a cache has 40 to 50 MiB and the other arrays are read as data not used again.
  /// notes_size: whether to collect the largest entries of the first slot for note_sizes.
  template <class Maker, class Sink, std::size_t n>
  void over_gradients(std::string_view label, const Maker& maker, const Sink& sink,
                      const std::array<std::size_t, n>& slots, bool notes_size = false) {
    run_over(gradients(), label, maker, sink, slots, notes_size);
  }

  /// Checks whether the gradients are finite, if that has not been done.
  void check() {
    if (!checked_) check_finite<T>(exec(), finite(), gradient_rows(), cols(), 0, count_, grouped_.gradients);
    checked_ = true;
  }
  /// Sets the step's learning rate and decay. couples: whether the rule reads g + rates.coupled()·W.
  void set_rates(const StepRates& rates, bool couples) {
    rates_ = rates;
    couples_ = couples;
  }
  /// Determines first_steps(), once per step.
  void note_first_steps() { first_steps_ = storage_.take_first_steps(first_, count_); }
  /// Notes that the gradients have been checked.
  void set_checked() { checked_ = true; }
  /// Lets the rule read `observed`, arrays of `rows` rows each from Optimizer::observe, instead of the gradients.
  void set_observed(const Records<Space>& observed, std::size_t rows) {
    records_ = observed;
    couples_ = false;
    grouped_ = {};
    observed_rows_ = rows;
  }
  /// Sets the memory of the factors.
  void set_factor(const NumberBatchView<SplitFactor, Space>& factor) { factor_ = factor; }
  /// The array of slot k, in the form that loops over elements use.
  [[nodiscard]] SlotMemory slot(std::size_t k) const { return slot_memory(storage_.states()[k], first_); }
  /// Records of the matrices.
  [[nodiscard]] Records<Space> records() const { return records_; }
  /// Which arrays of the records a device can read and write in groups.
  [[nodiscard]] GroupedArrays grouped() const { return grouped_; }
  /// Flags of finite gradients.
  [[nodiscard]] FiniteFlags<Space> finite() const { return {step_.flags, records()}; }
  /// Numbers of steps of the matrices.
  [[nodiscard]] NumberBatchView<MatrixCounts, Space> counts() const { return step_.counts; }
  /// Multiplies the factors by the floor of floor.hpp, which is computed from the largest entries that `average` has
  /// stored. `recent`: the slot of r; that of x follows. The factors are complete then.
  void apply_floor(std::size_t recent) {
    if (!averaged_) return (void)factor();
    const bool first = !has_factor_;
    for_each_matrix(exec(), "schatten::step/floor", count_,
                    ApplyFloor<T, Space>{largest(), slot(recent), slot(recent + 1), momentum_, finite(),
                                         overwritten_factor(), first});
  }

  /// Computes x and r of floor.hpp for an element rule from the largest entries of its first slot, which
  /// over_gradients has stored.
  void note_sizes(std::size_t recent, double beta) {
    for_each_matrix(
        exec(), "schatten::step/note_size", count_,
        NoteSize<T, Space>{largest(), slot(recent), slot(recent + 1), momentum_decay<T>(beta, slot(0).type), finite()});
  }
  /// Shape and orientation.
  [[nodiscard]] const BucketKey& key() const { return storage_.key(); }
  /// Number of state arrays.
  [[nodiscard]] std::size_t slots() const { return storage_.states().size(); }

 protected:
  /// The largest entry of each matrix, as bits, that `average` and loops over elements have stored.
  [[nodiscard]] NumberBatchView<MagnitudeBits<T>, Space> largest() const { return storage_.largest(first_, count_); }
  /// factor(), for a kernel that writes all of it.
  [[nodiscard]] NumberBatchView<SplitFactor, Space> overwritten_factor() {
    has_factor_ = true;
    return factor_;
  }
  /// Whether `average` has been called.
  [[nodiscard]] bool averaged() const { return averaged_; }
  /// Whether the gradients have been checked.
  [[nodiscard]] bool checked() const { return checked_; }

 private:
  [[nodiscard]] std::size_t gradient_rows() const { return observed_rows_ > 0 ? observed_rows_ : rows(); }

  [[nodiscard]] GradientSource<T, Space> gradients() const {
    return {records(), couples_ ? weights() : WeightReader<T, Space>{}, couples_ ? rates_ : StepRates{}, grouped_};
  }

  /// Sets the loop's slots: arrays with an element per element of the matrix, or with a number per block of rows.
  template <class Loop, std::size_t n>
  void read_slots(Loop& loop, const std::array<std::size_t, n>& slots) const {
    for (std::size_t s = 0; s < n; ++s) {
      const StateArray<Exec>& array = storage_.states().at(slots[s]);
      const Extent extent = array.slot.extent;
      loop.slot[s] = slot(slots[s]);
      if (extent == Extent::matrix || loop.slot[s].data == nullptr) continue;
      const bool shared = extent == Extent::number || extent == Extent::column || extent == Extent::given;
      require(shared && array.cols == 1 && rows() % array.rows == 0, "Bucket::over_gradients", "slot", slots[s],
              "must be of Extent::matrix, or a column of numbers that the rows share, to be read element by element");
      loop.slot[s].rows_each = rows() / array.rows;
    }
  }

  template <class Source, class Maker, class Sink, std::size_t n>
  void run_over(const Source& source, std::string_view label, const Maker& maker, const Sink& sink,
                const std::array<std::size_t, n>& slots, bool notes_size = false) {
    ElementLoop<T, Space, Source, Maker, Sink, n> loop{source, maker, sink, finite(), gradient_rows(), cols()};
    if (notes_size) loop.largest = largest();
    read_slots(loop, slots);
    if (checked_) return run_elements(exec(), label, loop, 0, count_);
    constexpr std::size_t wave_bytes = std::size_t{loops_as_on_device<Exec> ? 16 : 4} << 20;
    const std::size_t bytes = std::max<std::size_t>(gradient_rows() * cols() * sizeof(T), 1);
    const std::size_t wave = std::max<std::size_t>(wave_bytes / bytes, 1);
    for (std::size_t k = 0; k < count_; k += wave) {
      const std::size_t count = (std::min)(wave, count_ - k);
      check_finite<T>(exec(), finite(), gradient_rows(), cols(), k, count, grouped_.gradients);
      run_elements(exec(), label, loop, k, count);
    }
    checked_ = true;
  }

  template <std::size_t n>
  void note_average(const std::array<std::size_t, n>& slots, double beta) {
    averaged_ = true;
    momentum_ = momentum_decay<T>(beta, element_type_of<T>, false);
    if constexpr (n > 0) {
      const SlotMemory memory = slot(slots[0]);
      if (memory.data != nullptr) momentum_ = momentum_decay<T>(beta, memory.type);
    }
  }

  const StepContext<T, Exec>& step_;
  BucketStorage<T, Exec>& storage_;
  std::size_t first_, count_, number_;
  bool checked_, first_steps_ = false;
  Records<Space> records_;
  GroupedArrays grouped_;
  std::size_t observed_rows_ = 0;  ///< of each observed array; 0: none, the gradients are there
  StepRates rates_{};
  bool couples_ = false;
  bool averaged_ = false;  ///< whether `average` has been called
  MomentumDecay momentum_{};
  NumberBatchView<SplitFactor, Space> factor_{};
  bool has_factor_ = false;  ///< whether a kernel writes the factors
};

}  // namespace schatten::optim
