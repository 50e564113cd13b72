// SPDX-License-Identifier: BSD-3-Clause
// A rule's numbers as the options of a group of a LibTorch optimizer: typed, by name, by LibTorch's names, and in its
// archives.
#pragma once

#include <schatten/optim/fields.hpp>
#include <schatten/optim/options.hpp>
#include <schatten/optim/rules/muon.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <torch/optim/optimizer.h>
#include <torch/serialize/archive.h>
#include <tuple>
#include <utility>

namespace schatten {

/// The options of a group of a TorchOptimizer: the rule's numbers, typed (`rule.power`), by name, and by LibTorch's
/// names.
template <class R>
struct TorchOptions : public torch::optim::OptimizerCloneableOptions<TorchOptions<R>> {
  R rule{};                      ///< the rule's numbers
  ParameterOptions parameter{};  ///< of each parameter of the group; not saved

  TorchOptions() = default;
  /// The options with the numbers of `numbers`.
  TorchOptions(const R& numbers) : rule(numbers) {}

  /// Sets a number by the rule's name for it. Throws InvalidArgument for an unknown name; ranges are checked by the
  /// step.
  TorchOptions& set(std::string_view name, double value) {
    optim::set_field(rule, name, value, "TorchOptions::set", optim::Fixed::settable);
    return *this;
  }
  /// Returns the number `name`. Throws InvalidArgument for an unknown name.
  [[nodiscard]] double get(std::string_view name) const {
    double found = 0;
    bool known = false;
    optim::for_each_field(rule, [&](std::string_view field, const auto& member, const optim::Range&) {
      if (field != name) return;
      found = optim::field_value(member);
      known = true;
    });
    require(known, "TorchOptions::get", "name", name, "must be a number of the rule");
    return found;
  }

  /// Sets the learning rate.
  TorchOptions& lr(double value) { return set("lr", value); }
  /// Sets the weight decay.
  TorchOptions& weight_decay(double value) { return set("weight_decay", value); }
  /// Sets the momentum's β.
  TorchOptions& momentum(double value) { return set("momentum", value); }
  /// Sets Nesterov's form of the momentum.
  TorchOptions& nesterov(bool value) { return set("nesterov", value ? 1 : 0); }
  /// Sets "beta1" and "beta2".
  TorchOptions& betas(const std::tuple<double, double>& value) {
    return set("beta1", std::get<0>(value)).set("beta2", std::get<1>(value));
  }
  /// Sets Adam's ε; for rules without it, the number that is added to ‖M‖_F before the quintics (torch.optim.Muon's
  /// eps).
  TorchOptions& eps(double value) { return set(has("epsilon") ? "epsilon" : "norm_epsilon", value); }
  /// Sets the number of quintics; torch.optim.Muon has 5.
  TorchOptions& ns_steps(std::size_t value) { return set("quintic_steps", double(value)); }
  /// Sets the quintic aσ + bσ³ + cσ⁵. It must be one of QuinticSchedule. Throws InvalidArgument for others than Muon's
  /// and (2, −1.5, 0.5).
  TorchOptions& ns_coefficients(const std::tuple<double, double, double>& value) {
    const bool muon = value == std::tuple(3.4445, -4.7750, 2.0315), simple = value == std::tuple(2.0, -1.5, 0.5);
    require(muon || simple, "TorchOptions::ns_coefficients", "value", std::get<0>(value),
            "must begin (3.4445, -4.7750, 2.0315) or (2, -1.5, 0.5)");
    return set("schedule", int(muon ? QuinticSchedule::muon : QuinticSchedule::simple));
  }
  /// "original", "match_rms_adamw", "spectral_unclamped". Throws InvalidArgument for others.
  TorchOptions& adjust_lr_fn(std::string_view value) {
    for (const auto& [name, mode] : {std::pair<std::string_view, ScaleMode>("original", ScaleMode::original),
                                     {"match_rms_adamw", ScaleMode::match_rms_adamw},
                                     {"spectral_unclamped", ScaleMode::spectral_unclamped}}) {
      if (name == value) return set("scale", int(mode));
    }
    throw InvalidArgument("TorchOptions::adjust_lr_fn", "value", std::string(value),
                          "must be original, match_rms_adamw or spectral_unclamped");
  }

  /// Returns the learning rate, for LibTorch's schedulers.
  [[nodiscard]] double get_lr() const override { return rule.lr; }
  /// Sets the learning rate, for LibTorch's schedulers.
  void set_lr(const double lr) override { rule.lr = lr; }

  /// Writes the rule's name and numbers.
  void serialize(torch::serialize::OutputArchive& archive) const override {
    archive.write("rule", c10::IValue(std::string(R::name)));
    optim::for_each_field(rule, [&](std::string_view name, const auto& member, const optim::Range&) {
      archive.write(std::string(name), c10::IValue(optim::field_value(member)));
    });
  }
  /// Reads the numbers. If the archive has another rule's options or a number out of range, throws InvalidArgument and
  /// changes nothing.
  void serialize(torch::serialize::InputArchive& archive) override {
    constexpr std::string_view function = "TorchOptions::serialize";
    c10::IValue value;
    archive.read("rule", value);
    require(value.toStringRef() == R::name, function, "rule", value.toStringRef(),
            {"must be ", std::string_view(R::name)});
    R read = rule;
    for (const FieldInfo& field : optim::list_fields(rule)) {
      archive.read(field.name, value);
      optim::set_field(read, field.name, value.toDouble(), function, optim::Fixed::settable);
    }
    optim::check_fields<double>(read, function);
    rule = read;
  }

 private:
  [[nodiscard]] bool has(std::string_view name) const {
    bool found = false;
    optim::for_each_field(
        rule, [&](std::string_view field, const auto&, const optim::Range&) { found = found || field == name; });
    return found;
  }
};

/// torch.optim.Muon with its defaults.
inline TorchOptions<Muon> torch_muon() { return TorchOptions<Muon>(Muon{.lr = 1e-3, .weight_decay = 0.1}); }

}  // namespace schatten
