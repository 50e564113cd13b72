// SPDX-License-Identifier: BSD-3-Clause
// The rules as optimizers of LibTorch, with its groups, schedulers and archives.
#pragma once

#include <schatten/interop/host_kokkos.hpp>
#include <schatten/interop/torch_options.hpp>
#include <schatten/interop/torch_tensor.hpp>
#include <schatten/optim/optimizer.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <torch/optim/optimizer.h>
#include <torch/serialize/archive.h>
#include <torch/types.h>
#include <utility>
#include <vector>

namespace schatten {

/// A rule as a torch::optim::Optimizer. T: the scalar of state and arithmetic; parameters have no more digits.
///
/// Parameters are updated in place; those of 16 bits through a copy in T. A parameter whose memory is replaced
/// (set_data, Module::to) after the first step is refused, and so are fewer parameters or groups than before. A step
/// leaves out parameters without a gradient; their step counts do not change. Options that a group does not set are the
/// rule's defaults. The state is in the optimizer and its archive, not in state(). Initializes Kokkos if it is not
/// initialized. From the second step on no Kokkos memory is allocated, unless groups, parameters or the stream are new.
///
/// The constructors throw InvalidArgument for an undefined tensor, and LibTorch's exception for a tensor that is no
/// leaf.
template <class R, Scalar T = float, ExecutionSpace Exec = Kokkos::DefaultExecutionSpace,
          class Backend = linalg::DefaultBackend<Exec>>
class TorchOptimizer : public torch::optim::Optimizer {
 public:
  using Options = TorchOptions<R>;  ///< of a group

  /// An optimizer of several parameter groups. `defaults`: for groups without options.
  explicit TorchOptimizer(const std::vector<torch::optim::OptimizerParamGroup>& groups, const Options& defaults = {})
      : torch::optim::Optimizer(std::vector<torch::optim::OptimizerParamGroup>(), std::make_unique<Options>(defaults)),
        kept_(make_kept()) {
    for (const torch::optim::OptimizerParamGroup& group : groups) add_param_group(group);
  }
  /// An optimizer of one parameter group.
  explicit TorchOptimizer(std::vector<torch::Tensor> parameters, const Options& defaults = {})
      : torch::optim::Optimizer(defined(std::move(parameters)), std::make_unique<Options>(defaults)),
        kept_(make_kept()) {}

  /// Adds a group. A group without options has those of the optimizer. LibTorch's add_param_group, which is called
  /// through a reference to the base class, ignores options of a type that it does not know: the group then has those
  /// of the optimizer.
  void add_param_group(const torch::optim::OptimizerParamGroup& group) {
    defined(group.params());
    torch::optim::Optimizer::add_param_group(group);
    if (group.has_options()) param_groups_.back().set_options(group.options().clone());
  }

  /// One step. Returns the closure's loss. For LibTorch it is a change in place of the parameters that have a gradient:
  /// a graph that keeps their old values refuses a backward pass. Throws InvalidArgument for a parameter that cannot be
  /// updated, with its name as "0/3" (group, number); nothing is changed then.
  torch::Tensor step(LossClosure closure = nullptr) override {
    torch::Tensor loss;
    if (closure) {
      const at::AutoGradMode with_gradients(true);
      loss = closure();
    }
    const torch::NoGradGuard without_gradients;
    take_in(*kept_, options_of_groups(), "TorchOptimizer::step");
    const Exec& exec = kept_->current();
    kept_->optimizer.step(exec);
    if constexpr (is_host_execution_space<Exec>) exec.fence();  // fences: documented
    for (const torch::optim::OptimizerParamGroup& group : param_groups_) {
      for (const torch::Tensor& parameter : group.params()) {
        if (parameter.grad().defined()) parameter.unsafeGetTensorImpl()->bump_version();
      }
    }
    return loss;
  }

  /// Gives the rule an array of a parameter beside its gradient, before the step that uses it (Optimizer::observe):
  /// SophiaG needs the gradient of a loss with sampled labels, Newton-Muon a layer's inputs. Throws InvalidArgument.
  void observe(const torch::Tensor& parameter, const torch::Tensor& x) {
    constexpr std::string_view function = "TorchOptimizer::observe";
    const torch::NoGradGuard without_gradients;
    require(parameter.defined(), function, "parameter", "undefined", "must be defined");
    take_in(*kept_, options_of_groups(), function);
    for (const std::vector<Entry>& group : kept_->entries) {
      for (const Entry& entry : group) {
        if (entry.parameter != parameter.unsafeGetTensorImpl()) continue;
        return with_view<Space>(tensor_of<Space>(x, function, "x"), function, "x", [&](const auto& view) {
          kept_->optimizer.observe(kept_->current(), entry.name, view);
        });
      }
    }
    throw InvalidArgument(function, "parameter", parameter.toString(), "must be a parameter of this optimizer");
  }

  /// Returns the number of matrix steps that were skipped because of a NaN or an infinity. Fences.
  [[nodiscard]] long long skipped_steps() const { return kept_->optimizer.skipped_steps(kept_->current()); }

  /// Writes options and state of all groups. The module saves the weights. Fences.
  void save(torch::serialize::OutputArchive& archive) const override {
    const Exec& exec = kept_->current();
    take_in(*kept_, options_of_groups(), "TorchOptimizer::save");
    archive.write("groups", c10::IValue(std::int64_t(param_groups_.size())));
    for (std::size_t k = 0; k < param_groups_.size(); ++k) {
      torch::serialize::OutputArchive options(archive.compilation_unit());
      options_of(k).serialize(options);
      archive.write("options/" + std::to_string(k), options);
    }
    auto inventory = kept_->optimizer.inventory();
    for (const ParameterCounts& c : inventory.read_counts(exec)) {
      std::vector<std::int64_t> numbers{c.group_steps, c.attempted};
      numbers.insert(numbers.end(), c.applied.begin(), c.applied.end());
      archive.write("counts/" + c.name, torch::tensor(numbers, torch::kInt64), true);
      for (const ArrayInfo& array : inventory.arrays(c.name)) {
        const torch::Tensor bytes = torch::empty({std::int64_t(bytes_of(array))}, torch::kUInt8);
        inventory.read(exec, c.name, array.name, static_cast<char*>(bytes.data_ptr()));
        archive.write("state/" + array.name + "/" + c.name, bytes, true);
      }
    }
  }

  /// Reads the options and the state that save has written, for groups with the same number of parameters of the same
  /// shapes. Throws InvalidArgument, or LibTorch's exception for a missing name; nothing is changed then. Fences.
  void load(torch::serialize::InputArchive& archive) override {
    constexpr std::string_view function = "TorchOptimizer::load";
    c10::IValue groups;
    archive.read("groups", groups);
    require(groups.toInt() == std::int64_t(param_groups_.size()), function, "groups", groups.toInt(),
            {"must be as many as here, ", param_groups_.size()});
    std::vector<Options> all;
    for (std::size_t k = 0; k < param_groups_.size(); ++k) {
      torch::serialize::InputArchive options;
      archive.read("options/" + std::to_string(k), options);
      all.push_back(options_of(k));
      all.back().serialize(options);
    }
    std::unique_ptr<Kept> kept = make_kept();
    const Exec& exec = kept->current();
    take_in(*kept, pointers_to(all), function);
    auto inventory = kept->optimizer.inventory();
    std::vector<ParameterCounts> counts;
    for (const ParameterInfo& p : inventory.parameters()) {
      const torch::Tensor numbers = read(archive, "counts/" + p.name, torch::kInt64, 2 + p.matrices, function);
      const std::int64_t* const from = numbers.template data_ptr<std::int64_t>();
      counts.push_back({p.name, from[0], from[1], {from + 2, from + 2 + p.matrices}});
    }
    inventory.write_counts(exec, counts);
    for (const ParameterInfo& p : inventory.parameters()) {
      for (const ArrayInfo& array : inventory.arrays(p.name)) {
        const std::string name = "state/" + array.name + "/" + p.name;
        const torch::Tensor bytes = read(archive, name, torch::kUInt8, bytes_of(array), function);
        inventory.write(exec, p.name, array.name, static_cast<const char*>(bytes.data_ptr()));
      }
    }
    for (std::size_t k = 0; k < all.size(); ++k) options_of(k).rule = all[k].rule;
    kept_ = std::move(kept);
  }

 private:
  using Space = typename Exec::memory_space;

  /// A parameter at the time when it was added.
  struct Entry {
    std::string name;
    const void* parameter;
    TensorRef weight, gradient{};
  };
  struct Kept {
    schatten::Optimizer<T, Exec, Backend> optimizer;
    std::vector<GroupId> groups;
    std::vector<std::vector<double>> numbers;            ///< of each group, as its rule has them now
    std::vector<std::vector<Entry>> entries;             ///< of each group
    Kokkos::View<double, Space> zero{"schatten::zero"};  ///< replaces a gradient that no longer exists
    Exec exec{};

    /// The instance of LibTorch's stream.
    const Exec& current() {
      follow_current_stream(exec);
      return exec;
    }
  };

  static std::vector<torch::Tensor> defined(std::vector<torch::Tensor> parameters) {
    for (std::size_t k = 0; k < parameters.size(); ++k) {
      require(parameters[k].defined(), "TorchOptimizer", {"parameters[", k, "]"}, "undefined", "must be defined");
    }
    return parameters;
  }

  static std::unique_ptr<Kept> make_kept() {
    start_kokkos();
    return std::make_unique<Kept>();
  }
  static std::size_t bytes_of(const ArrayInfo& array) {
    return array.matrices * array.rows * array.cols * size_of(array.type);
  }
  static std::vector<double> numbers_of(const R& rule) {
    std::vector<double> numbers;
    optim::for_each_field(rule, [&](std::string_view, const auto& member, const optim::Range&) {
      numbers.push_back(optim::field_value(member));
    });
    return numbers;
  }
  static bool same_memory(const TensorRef& a, const TensorRef& b) {
    return a.data == b.data && a.type == b.type && a.rank == b.rank && std::equal(a.shape, a.shape + 4, b.shape) &&
           std::equal(a.stride, a.stride + 4, b.stride);
  }
  static std::vector<const Options*> pointers_to(const std::vector<Options>& all) {
    std::vector<const Options*> pointers;
    for (const Options& options : all) pointers.push_back(&options);
    return pointers;
  }
  static torch::Tensor read(torch::serialize::InputArchive& archive, const std::string& name, torch::ScalarType type,
                            std::size_t size, std::string_view function) {
    torch::Tensor tensor;
    archive.read(name, tensor, true);
    require(tensor.scalar_type() == type && tensor.numel() == std::int64_t(size) && tensor.is_contiguous(), function,
            name, tensor.numel(), {"must have ", size, " elements, as here"});
    return tensor;
  }

  Options& options_of(std::size_t k) const {
    auto& group = const_cast<torch::optim::OptimizerParamGroup&>(param_groups_[k]);
    auto* const options = dynamic_cast<Options*>(&group.options());
    require(options != nullptr, "TorchOptimizer", {"options of group ", k}, "another type",
            {"must be TorchOptions of the rule ", std::string_view(R::name)});
    return *options;
  }
  std::vector<const Options*> options_of_groups() const {
    std::vector<const Options*> all;
    for (std::size_t k = 0; k < param_groups_.size(); ++k) all.push_back(&options_of(k));
    return all;
  }

  /// Copies the present groups, numbers, parameters and gradients to the optimizer.
  void take_in(Kept& kept, const std::vector<const Options*>& all, std::string_view function) const {
    require(all.size() >= kept.groups.size(), function, "groups", all.size(),
            {"must not be fewer than there were, ", kept.groups.size()});
    for (std::size_t k = 0; k < kept.entries.size(); ++k) {
      const std::size_t count = param_groups_[k].params().size(), before = kept.entries[k].size();
      require(count >= before, function, {"parameters of group ", k}, count,
              {"must not be fewer than there were, ", before, "; a parameter without a gradient is left out"});
    }
    for (std::size_t k = 0; k < all.size(); ++k) {
      const std::vector<double> numbers = numbers_of(all[k]->rule);
      if (k == kept.groups.size()) {
        kept.groups.push_back(kept.optimizer.add_group(all[k]->rule));
        kept.numbers.push_back(numbers);
        kept.entries.emplace_back();
      } else if (numbers != kept.numbers[k]) {
        std::vector<std::pair<std::string_view, double>> changed;
        std::size_t field = 0;
        optim::for_each_field(all[k]->rule, [&](std::string_view name, const auto&, const optim::Range&) {
          if (numbers[field] != kept.numbers[k][field]) changed.emplace_back(name, numbers[field]);
          ++field;
        });
        kept.optimizer.set(kept.groups[k], changed);
        kept.numbers[k] = numbers;
      }
    }
    // Gradients first: the memory of an old gradient may now be that of a new parameter.
    for (std::size_t k = 0; k < all.size(); ++k) {
      for (std::size_t i = 0; i < kept.entries[k].size(); ++i) {
        take_gradient(kept, kept.entries[k][i], param_groups_[k].params()[i], function);
      }
    }
    for (std::size_t k = 0; k < all.size(); ++k) {
      const std::vector<torch::Tensor>& parameters = param_groups_[k].params();
      for (std::size_t i = kept.entries[k].size(); i < parameters.size(); ++i) {
        Entry entry{std::to_string(k) + "/" + std::to_string(i), parameters[i].unsafeGetTensorImpl(), {}};
        entry.weight = tensor_of<Space>(parameters[i], function, entry.name);
        require(size_of(entry.weight.type) <= sizeof(T), function, {entry.name, ".dtype"}, "float64",
                "must have no more digits than the optimizer's scalar, float");
        with_view<Space>(entry.weight, function, entry.name, [&](const auto& w) {
          if constexpr (sizeof(scalar_of<decltype(w)>) <= sizeof(T)) {
            kept.optimizer.add(kept.groups[k], entry.name, w, all[k]->parameter);
          }
        });
        kept.entries[k].push_back(std::move(entry));
        take_gradient(kept, kept.entries[k].back(), parameters[i], function);
      }
    }
  }

  static void take_gradient(Kept& kept, Entry& entry, const torch::Tensor& parameter, std::string_view function) {
    require(parameter.unsafeGetTensorImpl() == entry.parameter &&
                same_memory(tensor_of<Space>(parameter, function, entry.name), entry.weight),
            function, entry.name, parameter.data_ptr(),
            "must stay the tensor, and where it was when it was first stepped");
    const torch::Tensor& g = parameter.grad();
    TensorRef gradient;
    if (g.defined()) {
      gradient = tensor_of<Space>(g, function, entry.name + ".grad");
      kept.optimizer.resume(entry.name);
    } else {
      gradient = entry.weight;  // extents of the weight, all elements one zero
      gradient.data = kept.zero.data();
      gradient.type = ElementType::float64;
      std::fill(gradient.stride, gradient.stride + 4, std::size_t{0});
      kept.optimizer.pause(entry.name);
    }
    if (same_memory(gradient, entry.gradient)) return;
    with_view<Space>(gradient, function, entry.name + ".grad",
                     [&](const auto& view) { kept.optimizer.set_gradient(entry.name, view); });
    entry.gradient = gradient;
  }

  std::unique_ptr<Kept> kept_;
};

}  // namespace schatten
