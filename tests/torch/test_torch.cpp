// SPDX-License-Identifier: BSD-3-Clause
// The rules as LibTorch's optimizers. A plain program: LibTorch and doctest both have a macro CHECK.
//
// Without an argument: all checks. It calls itself for the run that is killed and for the one that goes on.
#include <schatten/interop/torch.hpp>
#include <schatten/optim/rules/adamw.hpp>
#include <schatten/optim/rules/htmuon.hpp>

#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <sys/wait.h>
#include <torch/torch.h>
#include <vector>

namespace {

using namespace schatten;
using Exec = Kokkos::DefaultHostExecutionSpace;
template <class R, Scalar T = float>
using Optim = TorchOptimizer<R, T, Exec, linalg::PortableBackend>;

int failures = 0;

void expect(bool holds, const std::string& what) {
  std::printf("%s  %s\n", holds ? "ok    " : "FAILED", what.c_str());
  if (!holds) ++failures;
}

/// f() throws an InvalidArgument with these words.
void expect_error(const std::string& words, const std::function<void()>& f) {
  std::string message = "nothing was thrown";
  try {
    f();
  } catch (const InvalidArgument& error) {
    message = error.what();
  }
  expect(message.find(words) != std::string::npos, "refused with \"" + words + "\": " + message);
}

double largest_difference(const torch::Tensor& a, const torch::Tensor& b) {
  return (a.detach().to(torch::kFloat64) - b.detach().to(torch::kFloat64)).abs().max().item<double>();
}

torch::Tensor parameter(torch::IntArrayRef shape, torch::ScalarType type = torch::kFloat32) {
  return torch::randn(shape).to(type).requires_grad_(true);
}

// ---- tensors ----------------------------------------------------------------------------------------------------------

void check_tensors() {
  const torch::Tensor t = torch::randn({3, 5}, torch::kFloat64).t();
  int seen = 0;
  with_view(tensor_of(t), "test", "t", [&](const auto& v) {
    if constexpr (view_rank<decltype(v)> == 2 && std::same_as<scalar_of<decltype(v)>, double>) {
      seen += &v(4, 2) == t.data_ptr<double>() + 4 + 2 * 5 ? 1 : 0;
    }
  });
  expect(seen == 1, "a transposed tensor is a View of its memory");
  expect(tensor_of(torch::ones({2}, torch::kBFloat16)).type == ElementType::bfloat16, "bfloat16");
  expect(tensor_of(torch::ones({}, torch::kFloat16)).rank == 1, "a number of float16 is a vector of one");
  expect_error("w = undefined", [] { tensor_of(torch::Tensor(), "test", "w"); });
  expect_error("w.dtype = Int", [] { tensor_of(torch::ones({2}, torch::kInt32), "test", "w"); });
  expect_error("w.layout = Sparse", [] { tensor_of(torch::eye(3).to_sparse(), "test", "w"); });
  expect_error("w.dim = 5", [] { tensor_of(torch::ones({1, 1, 1, 1, 1}), "test", "w"); });
  expect_error("w.device = meta",
               [] { tensor_of(torch::ones({2}, torch::TensorOptions().device(torch::kMeta)), "test", "w"); });
}

void check_bad_parameters() {
  torch::Tensor w = parameter({4, 3}), vector = parameter({4});
  vector.mutable_grad() = torch::ones({4});
  Optim<HTMuon> matrices({vector});
  expect_error("0/0", [&] { matrices.step(); });
  torch::Tensor whole = torch::zeros({1, 3});
  torch::Tensor overlapping = whole.expand({4, 3}).requires_grad_(true);
  overlapping.mutable_grad() = torch::ones({4, 3});
  Optim<HTMuon> folded({overlapping});
  expect_error("must not overlap itself", [&] { folded.step(); });
  torch::Tensor wide = parameter({4, 3}, torch::kFloat64);
  Optim<HTMuon> floats({wide});
  expect_error("0/0.dtype = float64", [&] { floats.step(); });
  Optim<HTMuon> bad_number({w}, HTMuon{.lr = -1});
  expect_error("lr = -1", [&] { bad_number.step(); });
  w.mutable_grad() = torch::ones({4, 3});
  Optim<HTMuon> moved({w});
  moved.step();
  const torch::Tensor before = w.detach().clone();
  w.set_data(w.detach().clone());
  expect_error("must stay", [&] { moved.step(); });
  expect(torch::equal(before, w.detach()), "no weight has moved");
  expect_error("name = beta9", [] { TorchOptions<HTMuon>().set("beta9", 1); });
  expect_error("value = 1", [] { TorchOptions<Muon>().ns_coefficients({1, 2, 3}); });
}

// ---- agreement ----------------------------------------------------------------------------------------------------------

/// The largest difference after `steps` of two optimizers on equal parameters with equal gradients.
template <class Ours>
double compare(const std::vector<torch::Tensor>& w, Ours&& ours, const std::vector<torch::Tensor>& copies,
               const std::function<void()>& theirs, int steps) {
  double largest = 0;
  for (int step = 0; step < steps; ++step) {
    for (std::size_t k = 0; k < w.size(); ++k) {
      const torch::Tensor g = torch::randn_like(w[k]) + w[k].detach();
      w[k].mutable_grad() = g;
      copies[k].mutable_grad() = g.clone();
    }
    ours.step();
    theirs();
    ours.zero_grad();
    for (std::size_t k = 0; k < w.size(); ++k) largest = std::max(largest, largest_difference(w[k], copies[k]));
  }
  return largest;
}

std::vector<torch::Tensor> copies_of(const std::vector<torch::Tensor>& all) {
  std::vector<torch::Tensor> copies;
  for (const torch::Tensor& t : all) copies.push_back(t.detach().clone().requires_grad_(true));
  return copies;
}

/// most: in float, weights of up to 3 differ by some units of their last place, 2e-7.
template <Scalar T>
void check_adamw(torch::ScalarType type, const std::string& name, double most) {
  const std::vector<torch::Tensor> w{parameter({12, 7}, type), parameter({9}, type)}, copies = copies_of(w);
  torch::optim::AdamW theirs(copies, torch::optim::AdamWOptions(1e-2).weight_decay(0.1).betas({0.8, 0.95}));
  Optim<AdamW, T> ours(w, TorchOptions<AdamW>().lr(1e-2).weight_decay(0.1).betas({0.8, 0.95}));
  const double largest = compare(
      w, ours, copies, [&] { theirs.step(); }, 200);
  expect(largest <= most,
         "AdamW in " + name + " beside LibTorch's, 200 steps: " + std::to_string(largest * 1e6) + "e-6");
}

/// torch.optim.Muon's rule in double.
void muon_step(const torch::Tensor& w, torch::Tensor& buffer, double lr, double weight_decay, double momentum) {
  const torch::NoGradGuard guard;
  const torch::Tensor g = w.grad();
  if (!buffer.defined()) buffer = torch::zeros_like(g);
  buffer.lerp_(g, 1 - momentum);
  torch::Tensor x = g.lerp(buffer, momentum);
  const bool turn = x.size(0) > x.size(1);
  if (turn) x = x.t();
  x = x / x.norm();
  for (int k = 0; k < 5; ++k) {
    const torch::Tensor a = torch::mm(x, x.t());
    x = 3.4445 * x + torch::mm(-4.7750 * a + 2.0315 * torch::mm(a, a), x);
  }
  if (turn) x = x.t();
  const double larger = double(std::max(w.size(0), w.size(1)));
  w.mul_(1 - lr * weight_decay).sub_(x, lr * 0.2 * std::sqrt(larger));
}

void check_muon() {
  const std::vector<torch::Tensor> w{parameter({12, 7}, torch::kFloat64), parameter({5, 16}, torch::kFloat64)};
  const std::vector<torch::Tensor> copies = copies_of(w);
  std::vector<torch::Tensor> buffers(2);
  Optim<Muon, double> ours(w, torch_muon().lr(1e-2).momentum(0.9).adjust_lr_fn("match_rms_adamw"));
  const auto theirs = [&] {
    for (std::size_t k = 0; k < 2; ++k) muon_step(copies[k], buffers[k], 1e-2, 0.1, 0.9);
  };
  const double largest = compare(w, ours, copies, theirs, 50);
  expect(largest <= 1e-10,
         "Muon in double beside torch.optim.Muon's rule, 50 steps: " + std::to_string(largest * 1e12) + "e-12");
}

// ---- groups, schedules, closures ----------------------------------------------------------------------------------------

void check_interface() {
  torch::Tensor a = parameter({4, 3}), b = parameter({3, 3}), without = parameter({2, 2});
  const torch::Tensor before = without.detach().clone();
  Optim<HTMuon> optimizer({a, without}, HTMuon{.lr = 0.1, .weight_decay = 0});
  torch::optim::StepLR schedule(optimizer, 1, 0.5);
  const auto closure = [&] {
    optimizer.zero_grad();
    torch::Tensor loss = a.square().sum() + b.square().sum();
    loss.backward();
    return loss;
  };
  const torch::Tensor first = optimizer.step(closure);
  expect(first.defined() && a.grad().defined(), "step(closure) gives the loss");
  optimizer.add_param_group(torch::optim::OptimizerParamGroup(
      {b}, std::make_unique<TorchOptions<HTMuon>>(HTMuon{.lr = 0.2, .power = 0.5, .weight_decay = 0})));
  const torch::Tensor b_before = b.detach().clone();
  schedule.step();
  schedule.step();  // LibTorch's first one leaves lr as it is
  double loss = 0;
  for (int k = 0; k < 20; ++k) loss = optimizer.step(closure).item<double>();
  expect(loss < first.item<double>(), "the loss falls");
  expect(!torch::equal(b_before, b.detach()), "a group that was added later is stepped");
  expect(torch::equal(before, without.detach()), "a parameter without a gradient is left out");
  expect(optimizer.param_groups()[0].options().get_lr() == 0.05, "a scheduler sets lr");

  torch::Tensor half = torch::ones({4, 4}, torch::kBFloat16).requires_grad_(true);
  Optim<AdamW> reduced({half}, AdamW{.lr = 1e-4, .weight_decay = 0});
  for (int k = 0; k < 100; ++k) {
    half.mutable_grad() = torch::ones({4, 4}, torch::kBFloat16);
    reduced.step();
  }
  expect(largest_difference(half, torch::full({4, 4}, 0.99)) <= 0.004, "bfloat16 goes through a float copy");
}

// ---- a run that is killed -------------------------------------------------------------------------------------------------

struct Run {
  torch::nn::Sequential model{torch::nn::Linear(16, 32), torch::nn::Tanh(), torch::nn::Linear(32, 4)};
  std::unique_ptr<Optim<HTMuon>> matrices;
  std::unique_ptr<Optim<AdamW>> vectors;

  explicit Run(double lr) {
    torch::manual_seed(1);
    model = torch::nn::Sequential(torch::nn::Linear(16, 32), torch::nn::Tanh(), torch::nn::Linear(32, 4));
    std::vector<torch::Tensor> m, v;
    for (torch::Tensor& p : model->parameters()) (p.dim() == 2 ? m : v).push_back(p);
    matrices = std::make_unique<Optim<HTMuon>>(m, HTMuon{.lr = lr, .weight_decay = 0.01});
    vectors = std::make_unique<Optim<AdamW>>(v, AdamW{.lr = lr / 10});
  }
  void steps(int from, int to) {
    for (int step = from; step < to; ++step) {
      torch::manual_seed(std::uint64_t(100 + step));  // the batch is the step's
      const torch::Tensor x = torch::randn({24, 16});
      const torch::Tensor y = torch::sin(x.narrow(1, 0, 4));
      matrices->param_groups()[0].options().set_lr(0.02 * (1 - step / 500.0));
      matrices->zero_grad();
      vectors->zero_grad();
      torch::mse_loss(model->forward(x), y).backward();
      matrices->step();
      vectors->step();
    }
  }
  void save(const std::string& folder) const {
    torch::save(model, folder + "/model.pt");
    torch::save(*matrices, folder + "/matrices.pt");
    torch::save(*vectors, folder + "/vectors.pt");
  }
  void load(const std::string& folder) {
    torch::load(model, folder + "/model.pt");
    torch::load(*matrices, folder + "/matrices.pt");
    torch::load(*vectors, folder + "/vectors.pt");
  }
};

int train(const std::string& folder, bool resumes) {
  Run run(resumes ? 0.5 : 0.02);  // the file's lr counts
  if (!resumes) {
    run.steps(0, 237);
    run.save(folder);
    run.steps(237, 250);
    std::raise(SIGKILL);
  }
  run.load(folder);
  run.steps(237, 500);
  torch::save(run.model, folder + "/end.pt");
  return run.vectors->param_groups()[0].options().get_lr() == 0.002 ? 0 : 1;
}

void check_killed(const std::string& program) {
  char folder[] = "/tmp/test_torch_XXXXXX";
  if (mkdtemp(folder) == nullptr) return expect(false, "a folder in /tmp");
  Run whole(0.02);
  whole.steps(0, 500);
  const int killed = std::system(("exec " + program + " train " + folder).c_str());
  expect(WIFSIGNALED(killed) && WTERMSIG(killed) == SIGKILL, "a run of 500 steps is killed at step 250");
  const int resumed = std::system(("exec " + program + " resume " + folder).c_str());
  expect(resumed == 0, "it is resumed from step 237, with the options of the file");
  Run end(0.02);
  torch::load(end.model, std::string(folder) + "/end.pt");
  bool equal = true;
  for (std::size_t k = 0; k < end.model->parameters().size(); ++k) {
    equal = equal && torch::equal(end.model->parameters()[k], whole.model->parameters()[k]);
  }
  expect(equal, "it ends where the uninterrupted run ends, to the last bit");
  const torch::Tensor other = parameter({3, 3});
  Optim<HTMuon> different({other});
  expect_error("elements, as here", [&] { torch::load(different, std::string(folder) + "/matrices.pt"); });
  expect_error("rule = adamw", [&] { torch::load(different, std::string(folder) + "/vectors.pt"); });
  std::system(("rm -r " + std::string(folder)).c_str());
}

}  // namespace

int main(int argc, char** argv) {
  at::set_num_threads(1);
  start_kokkos(1);
  int status = 0;
  if (argc == 3) {
    status = train(argv[2], std::string(argv[1]) == "resume");
  } else {
    torch::manual_seed(7);
    check_tensors();
    check_bad_parameters();
    check_adamw<double>(torch::kFloat64, "double", 1e-6);
    check_adamw<float>(torch::kFloat32, "float", 1e-5);
    check_muon();
    check_interface();
    check_killed(argv[0]);
    std::printf("%d failed\n", failures);
    status = failures == 0 ? 0 : 1;
  }
  Kokkos::finalize();
  return status;
}
