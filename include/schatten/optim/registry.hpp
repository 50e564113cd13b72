// SPDX-License-Identifier: BSD-3-Clause
// The parameters of an Optimizer by name, and checks that their memory does not overlap.
#pragma once

#include <schatten/core/utf8.hpp>
#include <schatten/optim/address_map.hpp>
#include <schatten/optim/parameter.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace schatten::optim {

/// Returns the name of a parameter's part: "qkv[0]".
inline std::string part_name(std::string_view name, std::size_t part) {
  return std::string(name) + "[" + std::to_string(part) + "]";
}

/// Throws InvalidArgument for a name that a message or a checkpoint cannot hold: empty, not UTF-8, or with NUL.
inline void check_name(std::string_view name, std::string_view function) {
  require(!name.empty(), function, "name", name, "must not be empty");
  if (is_utf8(name) && name.find('\0') == std::string_view::npos) return;
  throw InvalidArgument(function, "name", escaped(name), "must be UTF-8, without NUL");
}

/// Parameters in the order of their registration. A name is found in constant time. Overlapping memory is found in
/// O(log n) if address ranges do not meet.
class Registry {
 public:
  /// Returns the parameter of that name, or null.
  [[nodiscard]] Parameter* find(std::string_view name) const {
    const auto found = names_.find(std::string(name));
    return found == names_.end() ? nullptr : parameters_[found->second].get();
  }
  /// Returns the parameter or part of that name. Throws InvalidArgument for an unknown name and for a parameter with
  /// several parts.
  [[nodiscard]] Parameter& at(std::string_view name, std::string_view function) const {
    Parameter* const found = find(name);
    if (found != nullptr) return *found;
    const auto parts = parts_.find(std::string(name));
    require(parts != parts_.end(), function, "name", name, "is not registered");
    throw InvalidArgument(
        function, "name", std::string(name),
        {"has several parts: name one of ", part_name(name, 0), " to ", part_name(name, parts->second.size() - 1)});
  }
  /// Returns the parts of the parameter of that name, or the parameter or part itself. Throws InvalidArgument for an
  /// unknown name.
  [[nodiscard]] std::vector<Parameter*> parts(std::string_view name, std::string_view function) const {
    const auto found = parts_.find(std::string(name));
    if (found == parts_.end()) return {&at(name, function)};
    std::vector<Parameter*> parts;
    for (const std::size_t id : found->second) parts.push_back(parameters_[id].get());
    return parts;
  }
  /// As parts, but throws for the name of a part.
  [[nodiscard]] std::vector<Parameter*> all_parts(std::string_view name, std::string_view function) const {
    std::vector<Parameter*> all = parts(name, function);
    require(all[0]->whole == name, function, "name", name, {"is a part of the parameter ", all[0]->whole});
    return all;
  }
  /// Whether a parameter or a part has that name.
  [[nodiscard]] bool has(std::string_view name) const {
    return find(name) != nullptr || parts_.find(std::string(name)) != parts_.end();
  }
  /// Calls f(parameter) for all parameters.
  template <class F>
  void for_each(const F& f) const {
    for (const auto& parameter : parameters_) {
      if (parameter != nullptr) f(*parameter);
    }
  }
  /// Returns all parameters.
  [[nodiscard]] std::vector<Parameter*> all() const {
    std::vector<Parameter*> all;
    for (const auto& parameter : parameters_) {
      if (parameter != nullptr) all.push_back(parameter.get());
    }
    return all;
  }
  [[nodiscard]] std::size_t size() const { return names_.size(); }

  /// Adds the parameter. @pre its name is new and check_memory has passed.
  Parameter& add(Parameter parameter) {
    const std::size_t id = parameters_.size();
    names_.emplace(parameter.name, id);
    if (parameter.whole != parameter.name) parts_[parameter.whole].push_back(id);
    parameters_.push_back(std::make_unique<Parameter>(std::move(parameter)));
    Parameter& added = *parameters_.back();
    insert(weights_, added.weight_memory, id);
    if (added.has_gradient) insert(gradients_, added.gradient_memory, id);
    return added;
  }
  void remove(const Parameter& parameter) {
    const std::size_t id = names_.at(parameter.name);
    erase(weights_, parameter.weight_memory, id);
    if (parameter.has_gradient) erase(gradients_, parameter.gradient_memory, id);
    names_.erase(parameter.name);
    parts_.erase(parameter.whole);
    parameters_[id].reset();
  }
  /// Sets a parameter's gradient. @pre check_gradient has passed.
  void set_gradient(Parameter& parameter, const Piece& gradient, std::shared_ptr<const void> owner) {
    const std::size_t id = names_.at(parameter.name);
    if (parameter.has_gradient) erase(gradients_, parameter.gradient_memory, id);
    parameter.gradient = gradient.batch;
    parameter.gradient_memory = gradient.memory;
    parameter.gradient_owner = std::move(owner);
    parameter.has_gradient = true;
    insert(gradients_, gradient.memory, id);
  }

  /// Throws InvalidArgument if this weight overlaps itself or a registered weight or gradient.
  void check_weight(const StridedArray& weight, std::string_view name, std::string_view function) const {
    require(!overlaps_itself(weight), function, argument_of("w", name), "View", "must not overlap itself");
    weights_.for_each_meeting(weight.data, weight.end(), [&](std::size_t id) {
      const Parameter& other = *parameters_[id];
      require(!overlap(weight, other.weight_memory), function, "w", name,
              {"must not overlap the parameter ", other.name});
    });
    gradients_.for_each_meeting(weight.data, weight.end(), [&](std::size_t id) {
      const Parameter& other = *parameters_[id];
      require(!overlap(weight, other.gradient_memory), function, "w", name,
              {"must not overlap the gradient of ", other.name});
    });
  }
  /// Throws InvalidArgument if this gradient of the parameter `name` overlaps a registered weight.
  void check_gradient(const StridedArray& gradient, std::string_view name, std::string_view function) const {
    weights_.for_each_meeting(gradient.data, gradient.end(), [&](std::size_t id) {
      const Parameter& other = *parameters_[id];
      require(
          !overlap(gradient, other.weight_memory), function, "g", name,
          {"must not overlap ", other.whole == name ? "w" : "the parameter ", other.whole == name ? "" : other.name});
    });
  }

 private:
  static void insert(AddressMap& map, const StridedArray& array, std::size_t id) {
    map.insert(array.data, array.end(), id);
  }
  static void erase(AddressMap& map, const StridedArray& array, std::size_t id) {
    map.erase(array.data, array.end(), id);
  }

  std::vector<std::unique_ptr<Parameter>> parameters_;  ///< null where removed
  std::unordered_map<std::string, std::size_t> names_;
  std::unordered_map<std::string, std::vector<std::size_t>> parts_;  ///< of the parameters that have some, in order
  AddressMap weights_, gradients_;
};

}  // namespace schatten::optim
