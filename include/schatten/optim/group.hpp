// A group of parameters under one rule, its matrices sorted into buckets of one shape.
#pragma once

#include <schatten/optim/parameter.hpp>
#include <schatten/optim/records.hpp>
#include <schatten/optim/rule.hpp>
#include <schatten/spectral/spectral_power.hpp>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace schatten::optim {

/// Parameters that share an algorithm and its numbers.
template <Scalar T, ExecutionSpace Exec, class Backend>
struct Group {
  using Plan = SpectralPower<T, Exec, Backend>;
  using Fits = std::shared_ptr<spectral::Fits>;

  /// Matrices [first, first + count) of a parameter, by its index in the group.
  struct Slice {
    std::size_t parameter, first, count;
  };

  /// Matrices that share a shape, the launches of a step and, where the map is spectral, its call.
  struct Bucket {
    std::optional<Plan> plan, between;  ///< the map; Muon's, where there is an interval
    std::size_t rows, cols;
    std::vector<Slice> slices{};
    std::size_t matrices = 0;
    RecordTable<T, Exec> records{};
  };

  UpdateRule rule;
  std::vector<Parameter<T, Exec>> parameters;
  std::vector<Bucket> buckets;
  std::size_t steps = 0;  ///< that the group has taken

  /// The rule's map for rows×cols matrices. Throws InvalidArgument if its method cannot serve them.
  static Plan plan(const UpdateRule& rule, std::size_t rows, std::size_t cols, const Fits& fits) {
    SpectralPowerOptions options = rule.spectral;
    options.rows = rows;
    options.cols = cols;
    return Plan(options, fits);
  }

  /// Throws InvalidArgument if the rule's method can serve no shape at all. It promises most for 1×1, but in a reduced
  /// format for large matrices: rounding averages over the columns.
  static void require_some_shape(const UpdateRule& rule, const Fits& fits) {
    const std::size_t n = rule.spectral.format >= Format::float16 ? std::size_t{1} << 16 : 1;
    (void)plan(rule, n, n, fits);
  }

  /// Spreads the matrices of the newest parameter over buckets, of at most batch_bytes where the map needs buffers.
  void put_in_buckets(std::size_t batch_bytes, const Fits& fits) {
    const bool spectral = rule.map == Map::spectral;
    const auto& weight = parameters.back().weight;
    const std::size_t rows = weight.extent(1), cols = weight.extent(2), count = weight.extent(0);
    const std::size_t matrix_bytes = std::max<std::size_t>(rows * cols * sizeof(T), 1);
    const std::size_t capacity =
        spectral ? std::max<std::size_t>(batch_bytes / matrix_bytes, 1) : std::numeric_limits<std::size_t>::max();
    const auto has_room = [&](const Bucket& bucket) {
      return bucket.rows == rows && bucket.cols == cols && bucket.matrices < capacity;
    };
    for (std::size_t first = 0; first < count;) {
      auto bucket = std::find_if(buckets.begin(), buckets.end(), has_room);
      if (bucket == buckets.end()) {
        buckets.push_back({{}, {}, rows, cols});
        if (spectral) buckets.back().plan = plan(rule, rows, cols, fits);
        if (spectral && rule.interval > 1) buckets.back().between = plan(between_rule(rule), rows, cols, fits);
        bucket = buckets.end() - 1;
      }
      const std::size_t taken = std::min(count - first, capacity - bucket->matrices);
      bucket->slices.push_back({parameters.size() - 1, first, taken});
      bucket->matrices += taken;
      bucket->records.grow(taken);
      first += taken;
    }
  }

  /// The records of a bucket as the parameters are now.
  void update_records(const Exec& exec, Bucket& bucket) const {
    auto slice = bucket.slices.begin();
    std::size_t begin = 0;  // of the slice
    bucket.records.update(exec, [&](std::size_t k) {
      if (k - begin == slice->count) begin += (slice++)->count;
      const Parameter<T, Exec>& p = parameters[slice->parameter];
      const std::size_t b = slice->first + k - begin;
      using Space = typename Exec::memory_space;
      return MatrixRecord<T>{strided_matrix(p.gradient, b),
                             strided_matrix(p.weight, b),
                             strided_matrix(state_batch<T, Space>(p.momentum), b),
                             strided_matrix(state_batch<T, Space>(p.second_moment_root), b),
                             p.first_matrix + b,
                             shape_scale(rule.scale, p.rows(), p.cols())};
    });
  }

  /// Zeroed state of the parameter, and V of streaming from the first columns of I on. Throws InvalidArgument for a rank
  /// that it does not have.
  void allocate_state(Parameter<T, Exec>& parameter, std::string_view function) const {
    using Storage = typename Parameter<T, Exec>::Storage;
    const std::size_t batch = parameter.matrices(), rows = parameter.weight.extent(1),
                      cols = parameter.weight.extent(2);
    const bool streaming = rule.map == Map::spectral && rule.spectral.method == SpectralMethod::streaming;
    const std::size_t most = std::min(rows, cols), rank = rule.rank == 0 ? most : rule.rank;
    require(!streaming || rank <= most, function, "rank", rank,
            "must not exceed the rows or the columns of " + parameter.name);
    parameter.momentum = Storage("schatten::momentum", batch, rows, cols);
    if (rule.map == Map::adam) {
      parameter.second_moment_root = Storage("schatten::second_moment_root", batch, rows, cols);
    }
    if (streaming) {
      const Exec exec;
      parameter.right_vectors = Storage("schatten::right_vectors", batch, cols, rank);
      spectral::streaming_start(exec, state_batch<T, typename Exec::memory_space>(parameter.right_vectors));
      exec.fence();  // fences: documented
    }
  }

  /// f(parameter, slice, the slice's first matrix in the bucket's buffers).
  template <class F>
  void for_each_slice(const Bucket& bucket, const F& f) const {
    std::size_t place = 0;
    for (const Slice& slice : bucket.slices) {
      f(parameters[slice.parameter], slice, place);
      place += slice.count;
    }
  }
};

}  // namespace schatten::optim
