// SPDX-License-Identifier: BSD-3-Clause
// A group that runs one rule. Only this header instantiates rules.
#pragma once

#include <schatten/optim/group.hpp>
#include <schatten/optim/rule.hpp>

#include <array>
#include <cstddef>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace schatten::optim {

/// The class of bucket that the rule's functions take: Base, or the rule's BucketOf<Base>.
template <class R, class Base>
struct BucketFor {
  using type = Base;
};
template <class R, class Base>
  requires requires { typename R::template BucketOf<Base>; }
struct BucketFor<R, Base> {
  using type = typename R::template BucketOf<Base>;
};

template <class R, Scalar T, ExecutionSpace Exec, class Backend>
class RuleGroup final : public Group<T, Exec> {
  using Base = Group<T, Exec>;
  using typename Base::Space;
  using typename Base::Step;
  using typename Base::Storage;
  using View = typename BucketFor<R, Bucket<T, Exec, Backend>>::type;
  using Factors = NumberBatchView<SplitFactor, Space>;
  using ConstFactors = NumberBatchView<const SplitFactor, Space>;
  static constexpr bool by_element = ElementRule<R>;
  static constexpr bool has_direction =
      by_element || requires(const R& rule, View& bucket, const typename View::Batch& out) {
    rule.direction(bucket, out);
  };

 public:
  /// Whether the rule has `element` or `direction`. Does not compile without, and says so.
  static constexpr bool require_direction() {
    static_assert(has_direction,
                  "schatten: a rule needs `template <class T> KOKKOS_FUNCTION auto element(double step) const` or "
                  "`template <class Bucket> void direction(Bucket&, const typename Bucket::Batch& out) const`");
    return has_direction;
  }

  /// Throws InvalidArgument for numbers out of range, and if the rule accepts no shape.
  RuleGroup(const R& rule, std::size_t batch_bytes, std::shared_ptr<spectral::FitCaches> fits)
      : rule_(rule), batch_bytes_(batch_bytes), fits_(std::move(fits)) {
    check(rule_, "Optimizer::add_group");
  }

  [[nodiscard]] std::string_view rule_name() const override { return R::name; }
  [[nodiscard]] bool only_matrices() const override { return !takes_vectors<R>(); }
  [[nodiscard]] bool commutes() const override { return commutes_with_transposes(rule_); }
  [[nodiscard]] std::vector<FieldInfo> fields() const override { return list_fields(rule_); }
  [[nodiscard]] double lr() const override { return rule_.lr; }
  [[nodiscard]] double scale(const Parameter& p) const override { return rule_scale(rule_, p.rows(), p.cols()); }

  void set(const std::vector<std::pair<std::string_view, double>>& values, std::string_view function) override {
    R changed = rule_;
    for (const auto& [name, value] : values) set_field(changed, name, value, function);
    check(changed, function);
    for (const auto& storage : this->buckets_) {
      for_each_map(changed, [&](const auto& of, const MapOptions& map) {
        check_map(of, map, storage->key().rows, storage->key().cols);
      });
    }
    const R before = std::exchange(rule_, changed);
    for (const auto& storage : this->buckets_) {
      const auto [rows, cols] = storage->key().user_shape();
      const bool other_scale = rule_scale(rule_, rows, cols) != rule_scale(before, rows, cols);
      if (other_scale) storage->invalidate_records();
      const bool other_slots = !storage->states().empty() && slots_changed(*storage);
      if (other_slots) storage->invalidate_slots();
      this->stale = this->stale || other_scale || other_slots;
      if (storage->plans != nullptr || storage->function_plans != nullptr) prepare_plans(*storage);
    }
  }

  void check_shape(const Parameter& p, const BucketKey& key, std::string_view function) const override {
    if constexpr (requires { rule_.check_shape(key.rows, key.cols, function, std::string_view(p.name)); }) {
      rule_.check_shape(key.rows, key.cols, function, std::string_view(p.name));
    }
    for (const StateSlot& slot : rule_slots(rule_, key.rows, key.cols)) {
      require(slot.extent != Extent::right_factor || slot.rank <= (std::min)(key.rows, key.cols), function,
              argument_of("rank", p.name), slot.rank, {"must not exceed the rows or the columns of ", p.extents});
    }
    for_each_map(rule_, [&](const auto& of, const MapOptions& map) { check_map(of, map, key.rows, key.cols); });
  }

  [[nodiscard]] std::vector<StateSlot> slots(const BucketKey& key) const override {
    if (!key.has_elements()) return {};  // the rule is not called
    std::vector<StateSlot> all = rule_slots(rule_, key.rows, key.cols);
    for (StateSlot& slot : all) {
      if (slot.extent == Extent::right_factor && slot.rank == 0) slot.rank = (std::min)(key.rows, key.cols);
    }
    if (!by_element || ScaleFreeElementRule<R>) {
      all.push_back({"recent_size", Extent::number});
      all.push_back({"last_size", Extent::number});
    }
    if (key.master) all.push_back({"master", Extent::matrix, Start::weight});
    return all;
  }

  [[nodiscard]] std::size_t most_matrices(const BucketKey& key) const override {
    if (by_element) return (std::numeric_limits<std::size_t>::max)();
    if constexpr (requires { rule_.most_matrices(batch_bytes_ / sizeof(T)); }) {
      return rule_.most_matrices(batch_bytes_ / sizeof(T));
    }
    return std::max<std::size_t>(batch_bytes_ / std::max<std::size_t>(key.rows * key.cols * sizeof(T), 1), 1);
  }

  void prepare_plans(Storage& storage) override {
    storage.fits = fits_;
    for_each_map(rule_, [&](const auto& of, const MapOptions& map) { (void)plan(storage, of, map); });
  }

  [[nodiscard]] double map_error(Storage& storage) override {
    storage.fits = fits_;
    double error = 0;
    bool first = true;
    for_each_map(rule_, [&](const auto& of, const MapOptions& map) {
      if (std::exchange(first, false)) error = plan(storage, of, map).error_bound();
    });
    return error;
  }

  [[nodiscard]] Rates rates(const BucketKey& key, std::size_t step) const override {
    const auto [rows, cols] = key.user_shape();
    const double lr = rule_lr(rule_, step, rows, cols) * this->lr_factor;
    switch (decay_mode(rule_)) {
      case DecayMode::coupled: return {lr, 0, rule_.weight_decay};
      case DecayMode::fixed: return {lr, rule_.weight_decay, 0};
      default: return {lr, lr * rule_.weight_decay, 0};
    }
  }

  void step(const Step& step, Storage& storage, std::size_t first, std::size_t count) override {
    const typename Workspace<Space>::Frame frame(step.workspace);
    View bucket = bucket_of(step, storage, first, count);
    if constexpr (by_element) {
      const ConstFactors factor = elements_factor(bucket);
      run_elements_into(bucket, ApplySink<T, Space>{update(bucket, factor)});
      note_sizes(bucket);
      finish(bucket);
    } else {
      const auto out = bucket.buffer();
      const Factors factor = step.workspace.template numbers<SplitFactor>(count);
      direct(bucket, out, factor);
      apply_to(bucket, as_const(out), factor);
    }
  }

  void direction(const Step& step, Storage& storage, std::size_t first, std::size_t count,
                 const BatchView<T, Space>& out, const Factors& factor) override {
    const typename Workspace<Space>::Frame frame(step.workspace);
    View bucket = bucket_of(step, storage, first, count);
    if constexpr (by_element) {
      if constexpr (ScaleFreeElementRule<R>) {
        elements_factor(bucket, factor);
      } else {
        for_each_matrix(step.exec, "schatten::step/factor", count, StoreOne<Space>{factor});
      }
      run_elements_into(bucket, StoreSink<T, Space>{out, {}});
      note_sizes(bucket);
    } else {
      direct(bucket, out, factor);
    }
  }

  void apply(const Step& step, Storage& storage, std::size_t first, std::size_t count,
             const BatchView<const T, Space>& d, const ConstFactors& factor) override {
    View bucket = bucket_of(step, storage, first, count);
    bucket.set_checked();
    apply_to(bucket, d, factor);
  }

  void observe(const Step& step, Storage& storage, const Parameter& p, const TypedBatch& input,
               std::string_view function) override {
    constexpr bool takes_batch = requires(View & bucket, const typename View::ConstBatch& in) {
      rule_.observe(bucket, in);
    };
    if constexpr (takes_batch || requires(View & bucket) { rule_.observe(bucket); }) {
      const typename Workspace<Space>::Frame frame(step.workspace);
      View bucket = bucket_of(step, storage, p.place, p.matrices());
      const auto observed = step.workspace.template numbers<MatrixRecord>(p.matrices());
      for_each_matrix(step.exec, "schatten::observe/records", p.matrices(),
                      ObservedRecord<Space>{bucket.records(), input, observed});
      bucket.set_observed(observed, input.rows);
      if constexpr (takes_batch) {
        rule_.observe(bucket, as_const(bucket.gradient()));
      } else {
        rule_.observe(bucket);
      }
      for_each_matrix(step.exec, "schatten::observe/finite", p.matrices(), ResetFlag<Space>{bucket.finite()});
    } else {
      throw InvalidArgument(function, "group", std::string(R::name), "runs a rule that observes nothing but gradients");
    }
  }
  [[nodiscard]] bool one_region() const override {
    if constexpr (requires { R::one_region; }) return R::one_region && !linalg::has_own_threads<Backend>;
    return false;
  }
  [[nodiscard]] bool observes_inputs() const override {
    if constexpr (requires { R::observes_inputs; }) return R::observes_inputs;
    return false;
  }

  void measure(const Step& step, Storage& storage, std::size_t first, std::size_t count,
               const BatchView<const T, Space>& d, const ConstFactors& factor,
               const NumberBatchView<MatrixTelemetry, Space>& telemetry) override {
    const View bucket = bucket_of(step, storage, first, count);
    measure_update<T>(step.exec, update(bucket, factor), d, bucket.finite(), telemetry, step.workspace);
  }

 private:
  template <class F>
  static void for_each_map(const R& rule, const F& f) {
    if constexpr (requires { rule.maps(f); }) rule.maps(f);
  }

  template <class Of>
  static const auto& plan(Storage& storage, const Of& of, const MapOptions& map) {
    return plan_of<T, Exec, Backend>(storage, of, map);
  }

  template <class Of>
  void check_map(const Of& of, const MapOptions& map, std::size_t rows, std::size_t cols) const {
    using Plan = typename PlanOf<Of>::template Plan<T, Exec, Backend>;
    (void)PlanOf<Of>::template make<Plan>(of, map, rows, cols, fits_);
  }

  /// Throws InvalidArgument for numbers out of range, for numbers that exclude each other, and if no shape meets the
  /// tolerance of one of the maps. It tries the easiest shape: 1×1, or in 16 bits 65536², where rounding averages out
  /// over the columns.
  void check(const R& rule, std::string_view function) const {
    check_fields<T>(rule, function);
    if constexpr (requires { rule.check(function); }) rule.check(function);
    check_slots(rule, function);
    for_each_map(rule, [&](const auto& of, const MapOptions& map) {
      const std::size_t n = map.format >= Format::float16 ? std::size_t{1} << 16 : 1;
      check_map(of, map, n, n);
    });
  }

  /// Throws InvalidArgument for slots that the rule's functor cannot take, that do not commute with transposes, or
  /// whose names a checkpoint cannot hold.
  static void check_slots(const R& rule, std::string_view function) {
    const std::vector<StateSlot> slots = rule_slots(rule, 1, 1);
    if constexpr (by_element) {
      require(element_slots<R, T>() <= slots.size(), function, "state", slots.size(),
              {"must have a slot for each reference that the functor of ", std::string_view(R::name), " takes"});
    }
    for (const StateSlot& slot : slots) {
      require(slot.name.find('/') == std::string_view::npos, function, "state", slot.name,
              "must have a name without /");
      const bool turns = slot.extent == Extent::none || slot.extent == Extent::number || slot.extent == Extent::matrix;
      require(turns || !commutes_with_transposes(rule), function, "state", slot.name,
              "must be of Extent::matrix, number or none in a rule that commutes with transposes");
    }
  }

  [[nodiscard]] bool slots_changed(const Storage& storage) const {
    const std::vector<StateSlot> now = slots(storage.key());
    for (std::size_t k = 0; k < now.size(); ++k) {
      const auto [rows, cols] = slot_shape(now[k], storage.key().rows, storage.key().cols);
      if (rows != storage.states()[k].rows || cols != storage.states()[k].cols) return true;
    }
    return false;
  }

  /// Sets `out` to the rule's direction and `factor` to its factors, with the floor.
  void direct(View& bucket, const BatchView<T, Space>& out, const Factors& factor) requires(!by_element) {
    bucket.set_factor(factor);
    bucket.note_first_steps();
    if constexpr (requires { rule_.direction(bucket, out); }) rule_.direction(bucket, out);
    bucket.check();  // if the rule has not checked the gradients
    bucket.apply_floor(own_slots_);
  }

  /// Matrices of a bucket with the rates of this step. Rates that depend on the step stay in the kernels' bodies.
  [[nodiscard]] View bucket_of(const Step& step, Storage& storage, std::size_t first, std::size_t count) const {
    View bucket(step, storage, first, count, this->steps);
    if constexpr (requires { bucket.set_rule(rule_); }) bucket.set_rule(rule_);
    const StepRates now{rates(storage.key(), this->steps), has_lr_of_step<R> ? nullptr : storage.rates};
    bucket.set_rates(now, decay_mode(rule_) == DecayMode::coupled && (now.memory != nullptr || now.host.coupled != 0));
    return bucket;
  }

  [[nodiscard]] WeightUpdate<T, Space> update(const View& bucket, const ConstFactors& factor) const {
    return {.records = bucket.records(),
            .master = bucket.weights().master,
            .factor = factor,
            .counts = bucket.counts(),
            .rates = bucket.rates(),
            .mode = decay_mode(rule_),
            .transposed = bucket.key().transposed,
            .rows = bucket.rows(),
            .cols = bucket.cols(),
            .grouped = bucket.grouped(),
            .waits = rule_waits<R>()};
  }

  void finish(View& bucket) const {
    if constexpr (requires { rule_.finish(bucket); }) rule_.finish(bucket);
  }

  void apply_to(View& bucket, const BatchView<const T, Space>& d, const ConstFactors& factor) {
    using Source = BatchSource<T, Space>;
    using Sink = ApplySink<T, Space>;
    run_elements(bucket.exec(), "schatten::step/apply",
                 ElementLoop<T, Space, Source, OneFunctor<Same>, Sink, 0>{
                     Source{d}, {}, Sink{update(bucket, factor)}, bucket.finite(), bucket.rows(), bucket.cols()},
                 0, bucket.matrices());
    finish(bucket);
  }

  // ---- rules that work element by element ---------------------------------------------------------------------------

  template <class Sink>
  void run_elements_into(View& bucket, const Sink& sink) {
    constexpr std::size_t n = element_slots<R, T>();
    std::array<std::size_t, n> slots{};
    for (std::size_t s = 0; s < n; ++s) slots[s] = s;
    using Maker = FunctorOfStep<T, Space, R>;
    Maker maker{rule_, bucket.counts(), bucket.records()};
    if constexpr (PreparedElementRule<R>) {
      const auto prepared = bucket.workspace().template numbers<double>(bucket.matrices());
      rule_.prepare(bucket, prepared);
      maker.prepared = prepared;
    }
    if constexpr (loops_as_on_device<Exec>) {  // there a thread has few elements, so functors are made before
      using F = decltype(maker(0));
      const auto stored = bucket.workspace().template numbers<F>(bucket.matrices());
      for_each_matrix(bucket.exec(), "schatten::step/functor", bucket.matrices(),
                      StoreFunctor<F, Space, Maker>{maker, stored});
      bucket.over_gradients(label_, StoredFunctor<F, Space>{stored}, sink, slots, ScaleFreeElementRule<R>);
    } else {
      bucket.over_gradients(label_, maker, sink, slots, ScaleFreeElementRule<R>);
    }
  }

  /// The factors of a rule with a floor, from the sizes that the previous step has stored; empty for other rules.
  ConstFactors elements_factor(View& bucket) {
    if constexpr (ScaleFreeElementRule<R>) {
      const Factors factor = bucket.workspace().template numbers<SplitFactor>(bucket.matrices());
      elements_factor(bucket, factor);
      return factor;
    } else {
      return {};
    }
  }
  void elements_factor(View& bucket, const Factors& factor) requires ScaleFreeElementRule<R> {
    for_each_matrix(bucket.exec(), "schatten::step/floor_factor", bucket.matrices(),
                    LastFloor<T, Space>{bucket.slot(own_slots_), bucket.slot(own_slots_ + 1),
                                        momentum_decay<T>(rule_.floor_beta(), bucket.slot(0).type), factor});
  }
  void note_sizes(View& bucket) {
    if constexpr (ScaleFreeElementRule<R>) bucket.note_sizes(own_slots_, rule_.floor_beta());
  }

  R rule_;
  std::size_t own_slots_ = rule_slots(rule_, 1, 1).size();
  std::string label_ = "schatten::step/" + std::string(R::name);  ///< of the kernel of a rule by elements
  std::size_t batch_bytes_;
  std::shared_ptr<spectral::FitCaches> fits_;
};

}  // namespace schatten::optim
