// SPDX-License-Identifier: BSD-3-Clause
// The rules as LibTorch's optimizers. A plain program: LibTorch and doctest both have a macro CHECK.
//
// Without an argument: all checks. It calls itself for the run that is killed and for the one that goes on.
#include <schatten/interop/torch.hpp>
#include <schatten/optim/rules.hpp>

#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <memory>
#include <sstream>
#include <string>
#include <sys/wait.h>
#include <torch/nn/functional/activation.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/optim/adamw.h>
#include <torch/optim/schedulers/step_lr.h>
#include <torch/serialize.h>
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

// ---- tensors --------------------------------------------------------------------------------------------------------

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

/// A step is refused with these words, and w is as it was.
template <class Stepped>
void expect_refused(const std::string& words, Stepped& optimizer, const torch::Tensor& w) {
  const torch::Tensor before = w.detach().clone();
  expect_error(words, [&] { optimizer.step(); });
  expect(torch::equal(before, w.detach()), "and no weight has moved");
}

/// The tensor, whose memory is given back.
torch::Tensor without_memory(const torch::Tensor& t) {
  c10::StorageImpl* const storage = t.storage().unsafeGetStorageImpl();
  storage->set_data_ptr_noswap(at::DataPtr(nullptr, at::kCPU));
  storage->set_nbytes(0);
  return t;
}

void check_bad_parameters() {
  const auto stays = [] {
    torch::Tensor w = parameter({4, 3});
    w.mutable_grad() = torch::ones({4, 3});
    return w;
  };
  // Beside a parameter that could be stepped there is one that cannot.
  const auto refused = [&](const std::string& words, const torch::Tensor& bad, const torch::Tensor& gradient) {
    const torch::Tensor w = stays();
    bad.mutable_grad() = gradient;
    Optim<HTMuon> optimizer({w, bad});
    expect_refused(words, optimizer, w);
  };
  refused("0/1", parameter({4}), torch::ones({4}));  // a vector under a rule for matrices
  refused("must not overlap itself", torch::zeros({1, 3}).expand({4, 3}).requires_grad_(true), torch::ones({4, 3}));
  refused("0/1.dtype = float64", parameter({4, 3}, torch::kFloat64), torch::ones({4, 3}, torch::kFloat64));
  const torch::TensorOptions meta(torch::kMeta);
  refused("0/1.device = meta", torch::ones({4, 3}, meta).requires_grad_(true), torch::Tensor());
  refused("0/1.grad.layout = Sparse", parameter({3, 3}), torch::eye(3).to_sparse());
  refused("g of 0/1 = 3x4", parameter({4, 3}), torch::ones({3, 4}));
  refused("0/1.grad.dtype = Int", parameter({4, 3}), torch::ones({4, 3}, torch::kInt32));
  refused("0/1.grad.device = meta", parameter({4, 3}), torch::ones({4, 3}, meta));
  refused("0/1.dim = 5", parameter({1, 1, 1, 2, 2}), torch::ones({1, 1, 1, 2, 2}));
  refused("0/1.storage = 0", without_memory(parameter({4, 3})), torch::ones({4, 3}));
  refused("0/1.grad.storage = 0", parameter({4, 3}), without_memory(torch::ones({4, 3})));
  const torch::Tensor shared = stays(), alias = shared.detach().requires_grad_(true);
  alias.mutable_grad() = torch::ones({4, 3});
  Optim<HTMuon> twice({shared, alias});
  expect_refused("must not overlap the parameter", twice, shared);
  const torch::Tensor w = stays(), other = parameter({4, 3});
  Optim<HTMuon> optimizer({w, other});
  optimizer.param_groups()[0].options().set_lr(-1);
  expect_refused("lr = -1", optimizer, w);
  optimizer.param_groups()[0].options().set_lr(std::numeric_limits<double>::quiet_NaN());
  expect_refused("lr = nan", optimizer, w);
  optimizer.param_groups()[0].options().set_lr(0.1);
  optimizer.step();  // what was refused has left nothing behind
  other.set_data(other.detach().clone());
  expect_refused("0/1", optimizer, w);
  optimizer.param_groups()[0].params().pop_back();
  expect_refused("parameters of group 0 = 1", optimizer, w);
  optimizer.param_groups().clear();
  expect_refused("groups = 0", optimizer, w);

  expect_error("parameters[1] = undefined", [&] { Optim<HTMuon>(std::vector<torch::Tensor>{w, torch::Tensor()}); });
  Optim<HTMuon> foreign({stays()});
  foreign.add_param_group(torch::optim::OptimizerParamGroup({stays()}, std::make_unique<torch::optim::AdamWOptions>()));
  expect_error("options of group 1", [&] { foreign.step(); });
  expect_error("name = beta9", [] { TorchOptions<HTMuon>().set("beta9", 1); });
  expect_error("name = nesterov", [] { TorchOptions<AdamW>().nesterov(true); });
  expect_error("value = 1", [] { TorchOptions<Muon>().ns_coefficients({1, 2, 3}); });
  expect_error("value = frobenius", [] { TorchOptions<Muon>().adjust_lr_fn("frobenius"); });
  Optim<HTMuon> plain({stays()});
  expect_error("must be a parameter", [&] { plain.observe(parameter({2, 2}), parameter({2, 2})); });
}

// ---- options --------------------------------------------------------------------------------------------------------

/// lr by get_lr and set_lr, and all numbers through an archive.
template <class R>
void check_options_of() {
  TorchOptions<R> options, read;
  torch::optim::OptimizerOptions& base = options;
  base.set_lr(0.375);
  options.weight_decay(0.25);
  torch::serialize::OutputArchive out;
  options.serialize(out);
  std::stringstream stream;
  out.save_to(stream);
  torch::serialize::InputArchive in;
  in.load_from(stream);
  read.serialize(in);
  bool equal = read.get_lr() == 0.375 && read.get("weight_decay") == 0.25;
  for (const FieldInfo& field : optim::list_fields(options.rule)) equal = equal && read.get(field.name) == field.value;
  expect(equal, "options of " + std::string(R::name) + " come back from an archive");
}

template <class... R>
void check_options_of_all(RuleList<R...>) {
  (check_options_of<R>(), ...);
}

void check_options() {
  check_options_of_all(AllRules());
  const TorchOptions<Muon> muon = torch_muon()
                                      .lr(2e-3)
                                      .weight_decay(0.2)
                                      .momentum(0.9)
                                      .nesterov(false)
                                      .ns_coefficients({3.4445, -4.7750, 2.0315})
                                      .eps(1e-7)
                                      .ns_steps(5)
                                      .adjust_lr_fn("match_rms_adamw");
  expect(muon.get_lr() == 2e-3 && muon.rule.weight_decay == 0.2 && muon.rule.momentum.beta == 0.9 &&
             !muon.rule.momentum.nesterov && muon.rule.map.norm_epsilon == 1e-7 && muon.rule.map.quintic_steps == 5 &&
             muon.rule.scale == ScaleMode::match_rms_adamw,
         "torch.optim.Muon's words set the rule's numbers");
}

// ---- agreement ------------------------------------------------------------------------------------------------------

std::vector<torch::Tensor> copies_of(const std::vector<torch::Tensor>& all, torch::ScalarType type) {
  std::vector<torch::Tensor> copies;
  for (const torch::Tensor& t : all) copies.push_back(t.detach().to(type, false, true).requires_grad_(true));
  return copies;
}

/// The weights after these steps from `start`; the gradients are the same float numbers for every optimizer and type.
template <class Make>
std::vector<torch::Tensor> weights_after(int steps, const std::vector<torch::Tensor>& start, torch::ScalarType type,
                                         const Make& make) {
  std::vector<torch::Tensor> w = copies_of(start, type);
  const auto optimizer = make(w);
  torch::manual_seed(11);
  for (int step = 0; step < steps; ++step) {
    for (torch::Tensor& t : w) t.mutable_grad() = torch::randn(t.sizes()).to(type);
    optimizer->step();
  }
  return w;
}

double largest_difference_of(const std::vector<torch::Tensor>& a, const std::vector<torch::Tensor>& b) {
  double largest = 0;
  for (std::size_t k = 0; k < a.size(); ++k) largest = std::max(largest, largest_difference(a[k], b[k]));
  return largest;
}

std::string digits(double x) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2e", x);
  return text;
}

/// 200 steps of AdamW from `start`. In double both are the same to its rounding. In float both round each weight at
/// each step, by up to 6e-8 of it. These roundings add up. How far they lead is each one's distance from the run in
/// double.
void check_adamw(const std::string& name, const std::vector<torch::Tensor>& start, double lr, double weight_decay,
                 double float_most) {
  const auto theirs = [&](torch::ScalarType type) {
    return weights_after(200, start, type, [&](const std::vector<torch::Tensor>& w) {
      return std::make_unique<torch::optim::AdamW>(w, torch::optim::AdamWOptions(lr).weight_decay(weight_decay));
    });
  };
  const auto ours = [&]<Scalar T>(T, torch::ScalarType type) {
    return weights_after(200, start, type, [&](const std::vector<torch::Tensor>& w) {
      return std::make_unique<Optim<AdamW, T>>(w, TorchOptions<AdamW>().lr(lr).weight_decay(weight_decay));
    });
  };
  const auto exact = theirs(torch::kFloat64), theirs_float = theirs(torch::kFloat32);
  const auto ours_double = ours(double(), torch::kFloat64), ours_float = ours(float(), torch::kFloat32);
  const double in_double = largest_difference_of(ours_double, exact);
  const double in_float = largest_difference_of(ours_float, theirs_float);
  const double our_rounding = largest_difference_of(ours_float, exact);
  const double their_rounding = largest_difference_of(theirs_float, exact);
  expect(in_double <= 1e-12, "AdamW, " + name + ", in double beside LibTorch's, 200 steps: " + digits(in_double));
  expect(in_float <= float_most, "the same in float: " + digits(in_float));
  expect(our_rounding <= 1.5 * their_rounding, "from the run in double: ours in float " + digits(our_rounding) +
                                                   ", LibTorch's in float " + digits(their_rounding));
}

/// torch.optim.Muon's rule in double.
struct MuonRule {
  std::vector<torch::Tensor> parameters, buffers;
  double lr, weight_decay, momentum;

  void step() {
    for (std::size_t k = 0; k < parameters.size(); ++k) step_of(parameters[k], buffers[k]);
  }
  void step_of(const torch::Tensor& w, torch::Tensor& buffer) const {
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
};

void check_muon() {
  const std::vector<torch::Tensor> start{parameter({12, 7}), parameter({5, 16})};
  const auto theirs = weights_after(50, start, torch::kFloat64, [](const std::vector<torch::Tensor>& w) {
    return std::make_unique<MuonRule>(MuonRule{w, std::vector<torch::Tensor>(w.size()), 1e-2, 0.1, 0.9});
  });
  const auto ours = weights_after(50, start, torch::kFloat64, [](const std::vector<torch::Tensor>& w) {
    return std::make_unique<Optim<Muon, double>>(w,
                                                 torch_muon().lr(1e-2).momentum(0.9).adjust_lr_fn("match_rms_adamw"));
  });
  const double largest = largest_difference_of(ours, theirs);
  expect(largest <= 1e-10, "Muon in double beside torch.optim.Muon's rule, 50 steps: " + digits(largest));
}

// ---- groups, schedules, closures ------------------------------------------------------------------------------------

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
  expect(optimizer.param_groups()[1].options().get_lr() == 0.1, "that of a group with options of its own too");
  const Optim<HTMuon> grouped({torch::optim::OptimizerParamGroup({parameter({2, 2})}),
                               torch::optim::OptimizerParamGroup(
                                   {parameter({2, 2})}, std::make_unique<TorchOptions<HTMuon>>(HTMuon{.power = 0.5}))},
                              HTMuon{.power = 0.25});
  const auto power = [&](std::size_t k) {
    return static_cast<const TorchOptions<HTMuon>&>(grouped.param_groups()[k].options()).rule.power;
  };
  expect(power(0) == 0.25 && power(1) == 0.5, "groups have their options, or the optimizer's");

  const torch::Tensor old = a.square().sum();
  optimizer.step();
  bool refused = false;
  try {
    old.backward();
  } catch (const c10::Error& error) {
    refused = std::string(error.what_without_backtrace()).find("modified by an inplace operation") != std::string::npos;
  }
  expect(refused, "a graph from before a step has no backward pass");

  for (const torch::ScalarType type : {torch::kBFloat16, torch::kFloat16}) {
    torch::Tensor half = torch::ones({4, 4}, type).requires_grad_(true);
    Optim<AdamW> reduced({half}, AdamW{.lr = 1e-5, .weight_decay = 0});
    for (int k = 0; k < 1000; ++k) {
      half.mutable_grad() = torch::ones({4, 4}, type);
      reduced.step();
    }
    // A step of 1e-5 is lost in either type; a thousand are 1e-2.
    expect(largest_difference(half, torch::full({4, 4}, 0.99)) <= 0.004,
           std::string("weights of ") + c10::toString(type) + " go through a float copy");
  }
}

// ---- a run that is killed -------------------------------------------------------------------------------------------

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
    check_options();
    check_adamw("a layer's weights and the default options", torch::nn::Linear(48, 32)->parameters(), 1e-3, 0.01, 1e-6);
    check_adamw("weights of size 1, lr 0.01", {parameter({12, 7}), parameter({9})}, 1e-2, 0.1, 1e-5);
    check_muon();
    check_interface();
    check_killed(argv[0]);
    std::printf("%d failed\n", failures);
    status = failures == 0 ? 0 : 1;
  }
  Kokkos::finalize();
  return status;
}
