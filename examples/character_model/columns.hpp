// SPDX-License-Identifier: BSD-3-Clause
#pragma once
// Column-wise kernels of the model. An activation is a (width x positions) column-major matrix,
// one column a character position, so every kernel here works on contiguous columns, one thread
// a range of columns, and gives the same bits for any number of threads.

#include <Eigen/Core>

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace character_model {

template <class Scalar>
using Matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic>;
template <class Scalar>
using RowVector = Eigen::Matrix<Scalar, 1, Eigen::Dynamic>;

// f(column) for every column, or every block of columns, spread over the threads.
template <class Function>
void for_each_column(Eigen::Index columns, const Function& function) {
#ifdef _OPENMP
#pragma omp parallel for schedule(static)
#endif
  for (Eigen::Index column = 0; column < columns; ++column) function(column);
}

// out = left * right or, with accumulate, out += left * right, a thread a block of columns. Eigen's own threaded
// product waits in a busy loop, which stalls for whole time slices as soon as the machine has something else to do.
template <class Scalar, class Left, class Right>
void multiply(const Left& left, const Right& right, Matrix<Scalar>& out, bool accumulate = false) {
  constexpr Eigen::Index width = 128;
  for_each_column((out.cols() + width - 1) / width, [&](Eigen::Index block) {
    const Eigen::Index first = block * width;
    const Eigen::Index count = std::min(width, out.cols() - first);
    auto target = out.middleCols(first, count);
    if (accumulate)
      target.noalias() += left * right.middleCols(first, count);
    else
      target.noalias() = left * right.middleCols(first, count);
  });
}

// y = x / r with r = sqrt(mean(x^2) + epsilon), column by column; inverse_rms keeps 1 / r.
template <class Scalar>
void rms_normalise(const Matrix<Scalar>& x, Matrix<Scalar>& y, RowVector<Scalar>& inverse_rms) {
  constexpr Scalar epsilon = Scalar(1e-6);
  for_each_column(x.cols(), [&](Eigen::Index t) {
    const Scalar mean_square = x.col(t).squaredNorm() / Scalar(x.rows());
    inverse_rms(t) = Scalar(1) / std::sqrt(mean_square + epsilon);
    y.col(t) = inverse_rms(t) * x.col(t);
  });
}

// dx (+)= (dy - y mean(y dy)) / r, the transposed derivative of rms_normalise. dy may be dx.
template <class Scalar>
void rms_normalise_backward(const Matrix<Scalar>& dy, const Matrix<Scalar>& y, const RowVector<Scalar>& inverse_rms,
                            bool accumulate, Matrix<Scalar>& dx) {
  for_each_column(y.cols(), [&](Eigen::Index t) {
    const Scalar mean = y.col(t).dot(dy.col(t)) / Scalar(y.rows());
    if (accumulate)
      dx.col(t) += inverse_rms(t) * (dy.col(t) - mean * y.col(t));
    else
      dx.col(t) = inverse_rms(t) * (dy.col(t) - mean * y.col(t));
  });
}

// The rows of a position are cut into `groups` equal slices; slice j is taken from the position
// j * dilation characters earlier in the same sequence (zero before its start). It is a causal
// convolution of kernel size `groups` without weights: the dense matrix that follows supplies them.
struct Shift {
  int groups = 1;
  int dilation = 1;
};

template <class Scalar>
void shift_forward(const Matrix<Scalar>& y, Shift shift, Eigen::Index length, Matrix<Scalar>& out) {
  const Eigen::Index slice = y.rows() / shift.groups;
  for_each_column(y.cols(), [&](Eigen::Index t) {
    for (Eigen::Index j = 0; j < shift.groups; ++j) {
      const Eigen::Index offset = j * shift.dilation;
      auto target = out.col(t).segment(j * slice, slice);
      if (t % length < offset)
        target.setZero();
      else
        target = y.col(t - offset).segment(j * slice, slice);
    }
  });
}

// The transpose of shift_forward: slice j moves j * dilation positions back to where it came from.
template <class Scalar>
void shift_backward(const Matrix<Scalar>& dout, Shift shift, Eigen::Index length, Matrix<Scalar>& dy) {
  const Eigen::Index slice = dout.rows() / shift.groups;
  for_each_column(dout.cols(), [&](Eigen::Index t) {
    for (Eigen::Index j = 0; j < shift.groups; ++j) {
      const Eigen::Index offset = j * shift.dilation;
      auto target = dy.col(t).segment(j * slice, slice);
      if (t % length + offset >= length)
        target.setZero();
      else
        target = dout.col(t + offset).segment(j * slice, slice);
    }
  });
}

// u becomes max(u, 0) and a its square.
template <class Scalar>
void square_relu(Matrix<Scalar>& u, Matrix<Scalar>& a) {
  for_each_column(u.cols(), [&](Eigen::Index t) {
    u.col(t) = u.col(t).cwiseMax(Scalar(0));
    a.col(t) = u.col(t).cwiseAbs2();
  });
}

// da becomes du = 2 max(u, 0) da; `rectified` is what square_relu left in u.
template <class Scalar>
void square_relu_backward(const Matrix<Scalar>& rectified, Matrix<Scalar>& da) {
  for_each_column(da.cols(), [&](Eigen::Index t) { da.col(t).array() *= Scalar(2) * rectified.col(t).array(); });
}

// Per column: loss = logsumexp(logits) - logits[target]. The logits become exp(logits - largest) or, with
// want_gradient, (softmax(logits) - onehot(target)) / columns.
template <class Scalar>
void cross_entropy(Matrix<Scalar>& logits, const std::uint8_t* targets, bool want_gradient, RowVector<Scalar>& losses) {
  const Scalar scale = Scalar(1) / Scalar(logits.cols());
  for_each_column(logits.cols(), [&](Eigen::Index t) {
    auto column = logits.col(t);
    const Scalar maximum = column.maxCoeff();
    const Scalar target_logit = column(targets[t]) - maximum;
    column = (column.array() - maximum).exp();
    const Scalar sum = column.sum();
    losses(t) = std::log(sum) - target_logit;
    if (!want_gradient) return;
    column *= scale / sum;
    column(targets[t]) -= scale;
  });
}

}  // namespace character_model
