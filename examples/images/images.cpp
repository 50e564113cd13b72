// SPDX-License-Identifier: BSD-3-Clause
// Trains a small residual network or vision transformer on images with any rule of the library.

#include "../torch_support/program.hpp"
#include "dataset.hpp"
#include "models.hpp"
#include "task.hpp"

#include <cstdio>
#include <filesystem>

namespace {

using torch_support::Arguments;
using torch_support::BadOption;

// Where Debian's package dataset-fashion-mnist puts its files.
constexpr const char* packaged = "/usr/share/datasets/fashion-mnist";

struct Own {
  std::string data = packaged;
  std::string model = "resnet";
  images::ImageOptions images;
  int test_images = 0;  // 0: all
  bool quick = false;
  bool gratings = false;
};

bool take(Arguments& arguments, Own& own, torch_support::Options& common) {
  const std::string& option = arguments.option();
  if (option == "--data") {
    own.data = arguments.text("a directory");
    own.gratings = own.data == "gratings";
  } else if (option == "--model") {
    own.model = arguments.value();
    if (own.model != "resnet" && own.model != "vit")
      throw BadOption(option + ": expected resnet or vit, got '" + own.model + "'");
  } else if (option == "--batch") {
    own.images.batch = arguments.number(2, 65536, "a whole number from 2 to 65536");
  } else if (option == "--test-images") {
    own.test_images = arguments.number(1, 1000000, "a whole number from 1 to 1000000");
  } else if (option == "--no-augment") {
    own.images.augment = false;
  } else if (option == "--quick") {
    own.quick = true;
    own.images.batch = 16;
    own.test_images = 100;
    common.steps = 5;
    common.evaluations = 1;
  } else {
    return false;
  }
  return true;
}

images::Dataset read(const Own& own, const std::string& out) {
  if (!own.gratings) return images::read_dataset(own.data);
  const std::filesystem::path directory = std::filesystem::path(out) / "gratings";
  images::write_gratings(directory, 2000, 500);
  images::Dataset set = images::read_dataset(directory);
  set.name = "gratings";
  return set;
}

std::shared_ptr<images::Model> make_model(const Own& own, const images::Dataset& set) {
  const images::ModelShape shape{set.train.channels, set.train.height, set.train.width, set.classes};
  return own.model == "vit" ? images::make_vit(shape) : images::make_resnet(shape);
}

}  // namespace

int main(int count, char** arguments) {
  Own own;
  std::shared_ptr<images::Dataset> set;
  std::shared_ptr<const images::ImageData> data;
  torch_support::Program program;
  program.name = "images";
  program.words = {"Images: test loss by optimizer", "loss (nats per image)"};
  program.help = std::string("Trains a small model on images with each of some rules.\n\n") +
                 "  --data DIR         files of Fashion-MNIST or MNIST (IDX, also .gz), CIFAR-10 or CIFAR-100 "
                 "(binary); gratings:\n"
                 "                     a set that the program makes (default: " +
                 packaged +
                 ")\n"
                 "  --model NAME       resnet or vit (default: resnet)\n"
                 "  --batch N          images a step (default: 128)\n"
                 "  --test-images N    the first N to test with (default: all)\n"
                 "  --no-augment       without shifts and mirrors\n"
                 "  --quick            five steps of 16 images\n";
  program.take = [&](Arguments& a) { return take(a, own, program.options); };
  program.prepare = [&](const torch_support::Options& options) {
    set = std::make_shared<images::Dataset>(read(own, options.out));
    data = std::make_shared<const images::ImageData>(images::prepare(*set, own.test_images));
    std::printf("%s: %zu images of %dx%dx%d to train on, %d classes; %lld to test with\n", set->name.c_str(),
                set->train.count(), set->train.channels, set->train.height, set->train.width, set->classes,
                static_cast<long long>(data->test.labels.size(0)));
    const auto model = make_model(own, *set);
    std::int64_t parameters = 0;
    for (const torch::Tensor& parameter : model->parameters()) parameters += parameter.numel();
    std::printf("%s, %lld parameters\n", own.model.c_str(), static_cast<long long>(parameters));
    return model->hidden_width();
  };
  program.make_task = [&](const torch_support::Options& options, std::uint64_t) {  // LibTorch has the seed
    images::ImageOptions image_options = own.images;
    image_options.description = set->name + ", " + own.model + ", batches of " + std::to_string(own.images.batch) +
                                (own.images.augment ? "" : ", not augmented");
    return std::make_unique<images::ImageTask>(make_model(own, *set), data, image_options,
                                               torch::Device(options.device));
  };
  program.figure = [](const character_model::Record& record) {
    char text[32];
    std::snprintf(text, sizeof text, "accuracy %.2f %%", 100 * record.steps.back().accuracy.value_or(0));
    return std::string(text);
  };
  return torch_support::run(program, count, arguments);
}
