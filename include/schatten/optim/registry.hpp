// SPDX-License-Identifier: BSD-3-Clause
// The parameters of an Optimizer by name, and whose memory is whose.
#pragma once

#include <schatten/optim/address_map.hpp>
#include <schatten/optim/parameter.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace schatten::optim {

/// Parameters in the order of their registration. Names are found in constant time, overlapping memory in O(log n) where
/// address ranges do not meet.
class Registry {
 public:
  /// The parameter of that name, or null.
  [[nodiscard]] Parameter* find(std::string_view name) const {
    const auto found = names_.find(std::string(name));
    return found == names_.end() ? nullptr : parameters_[found->second].get();
  }
  /// The parameter of that name. Throws InvalidArgument.
  [[nodiscard]] Parameter& at(std::string_view name, std::string_view function) const {
    Parameter* const found = find(name);
    require(found != nullptr, function, "name", name, "is not registered");
    return *found;
  }
  /// f(parameter) for all of them.
  template <class F>
  void for_each(const F& f) const {
    for (const auto& parameter : parameters_) {
      if (parameter != nullptr) f(*parameter);
    }
  }
  [[nodiscard]] std::size_t size() const { return names_.size(); }

  /// Takes the parameter in. @pre its name is new and check_memory has passed.
  Parameter& add(Parameter parameter) {
    const std::size_t id = parameters_.size();
    names_.emplace(parameter.name, id);
    parameters_.push_back(std::make_unique<Parameter>(std::move(parameter)));
    Parameter& added = *parameters_.back();
    weights_.insert(added.weight.data, added.weight.end(), id);
    if (added.has_gradient) gradients_.insert(added.gradient.data, added.gradient.end(), id);
    return added;
  }
  void remove(const Parameter& parameter) {
    const std::size_t id = names_.at(parameter.name);
    weights_.erase(parameter.weight.data, parameter.weight.end(), id);
    if (parameter.has_gradient) gradients_.erase(parameter.gradient.data, parameter.gradient.end(), id);
    names_.erase(parameter.name);
    parameters_[id].reset();
  }
  /// Gives a parameter another gradient. @pre check_gradient has passed.
  void set_gradient(Parameter& parameter, const TypedBatch& gradient, std::shared_ptr<const void> owner) {
    const std::size_t id = names_.at(parameter.name);
    if (parameter.has_gradient) gradients_.erase(parameter.gradient.data, parameter.gradient.end(), id);
    parameter.gradient = gradient;
    parameter.gradient_owner = std::move(owner);
    parameter.has_gradient = true;
    gradients_.insert(gradient.data, gradient.end(), id);
  }

  /// Throws InvalidArgument if a step would write a weight of this name where it reads or writes something else.
  void check_weight(const TypedBatch& weight, std::string_view name, std::string_view function) const {
    require(!with_sized_view(weight, [](const auto& view) { return overlaps_itself(view); }), function,
            argument_of("w", name), "View", "must not overlap itself");
    weights_.for_each_meeting(weight.data, weight.end(), [&](std::size_t id) {
      const Parameter& other = *parameters_[id];
      require(!share_memory(weight, other.weight), function, "w", name, "must not overlap the parameter " + other.name);
    });
    gradients_.for_each_meeting(weight.data, weight.end(), [&](std::size_t id) {
      const Parameter& other = *parameters_[id];
      require(!share_memory(weight, other.gradient), function, "w", name,
              "must not overlap the gradient of " + other.name);
    });
  }
  /// Throws InvalidArgument if a step would write where it reads this gradient of the parameter `name` with that weight.
  void check_gradient(const TypedBatch& gradient, const TypedBatch& weight, std::string_view name,
                      std::string_view function) const {
    require(!share_memory(gradient, weight), function, "g", name, "must not overlap w");
    weights_.for_each_meeting(gradient.data, gradient.end(), [&](std::size_t id) {
      const Parameter& other = *parameters_[id];
      if (other.name == name) return;
      require(!share_memory(gradient, other.weight), function, "g", name,
              "must not overlap the parameter " + other.name);
    });
  }

 private:
  std::vector<std::unique_ptr<Parameter>> parameters_;  ///< null where removed
  std::unordered_map<std::string, std::size_t> names_;
  AddressMap weights_, gradients_;
};

}  // namespace schatten::optim
