// SPDX-License-Identifier: BSD-3-Clause
#pragma once

// The combinations that typed tests run over: execution space × scalar × backend, and layouts in a loop.

#include "instantiations.hpp"
#include "spaces.hpp"
#include "views.hpp"
#include <schatten/linalg/backend.hpp>
#include <schatten/spectral/method.hpp>

#include <Kokkos_Core.hpp>
#include <doctest/doctest.h>

#include <type_traits>

namespace schatten::test {

template <class S, class E, class B>
struct Case {
  using Scalar = S;
  using Exec = E;
  using Backend = B;
};

using linalg::EigenBackend;
using linalg::PortableBackend;
#if defined(SCHATTEN_ENABLE_BLAS)
using linalg::BlasBackend;
#define SCHATTEN_TEST_BLAS_CASES                                                          \
  schatten::test::Case<float, schatten::test::ThreadedExec, schatten::test::BlasBackend>, \
      schatten::test::Case<double, schatten::test::SerialExec, schatten::test::BlasBackend>
#define SCHATTEN_TEST_AND_BLAS_CASES , SCHATTEN_TEST_BLAS_CASES
#else
#define SCHATTEN_TEST_AND_BLAS_CASES
#endif

#if defined(SCHATTEN_ENABLE_CUDA)
using linalg::CudaBackend;
#if defined(KOKKOS_ENABLE_CUDA)
using DeviceExec = Kokkos::Cuda;
#else
using DeviceExec = SerialExec;  // over the stand-in for the vendor's libraries (tests/vendor)
#endif
#endif

/// Whether equal input gives equal bits wherever it lies in memory: OpenBLAS sums differently with the alignment of its
/// operands and with the number of its threads.
template <class C>
inline constexpr bool bits_repeat =
    std::is_same_v<typename C::Backend, EigenBackend> || std::is_same_v<typename C::Backend, PortableBackend>;

/// Whether the rational method serves the case: on host execution spaces alone.
template <class C>
inline constexpr bool has_rational = is_host_execution_space<typename C::Exec>;

/// The format of iterates and quintics in tests of digits: where the backend multiplies 16-bit numbers, `automatic`
/// would take those. Their promise is of the matrix as stored.
template <class C>
inline constexpr Format whole_format =
    linalg::multiplies_reduced_floats<typename C::Backend> ? Format::scalar : Format::automatic;

/// Every execution space × scalar × backend; a few of them where a lane repeats the tests for another reason.
#if defined(SCHATTEN_ENABLE_CUDA)
#define SCHATTEN_TEST_CASES                                                                  \
  schatten::test::Case<float, schatten::test::DeviceExec, schatten::test::CudaBackend>,      \
      schatten::test::Case<double, schatten::test::DeviceExec, schatten::test::CudaBackend>, \
      schatten::test::Case<double, schatten::test::DeviceExec, schatten::test::PortableBackend>
#elif defined(SCHATTEN_TEST_FEW_CASES) && defined(SCHATTEN_ENABLE_BLAS)
#define SCHATTEN_TEST_CASES SCHATTEN_TEST_BLAS_CASES
#elif defined(SCHATTEN_TEST_FEW_CASES)
#define SCHATTEN_TEST_CASES                                                                   \
  schatten::test::Case<float, schatten::test::ThreadedExec, schatten::test::EigenBackend>,    \
      schatten::test::Case<double, schatten::test::SerialExec, schatten::test::EigenBackend>, \
      schatten::test::Case<double, schatten::test::ThreadedExec, schatten::test::PortableBackend>
#else
#define SCHATTEN_TEST_CASES                                                                       \
  schatten::test::Case<float, schatten::test::SerialExec, schatten::test::EigenBackend>,          \
      schatten::test::Case<float, schatten::test::ThreadedExec, schatten::test::EigenBackend>,    \
      schatten::test::Case<double, schatten::test::SerialExec, schatten::test::EigenBackend>,     \
      schatten::test::Case<double, schatten::test::ThreadedExec, schatten::test::EigenBackend>,   \
      schatten::test::Case<float, schatten::test::SerialExec, schatten::test::PortableBackend>,   \
      schatten::test::Case<float, schatten::test::ThreadedExec, schatten::test::PortableBackend>, \
      schatten::test::Case<double, schatten::test::SerialExec, schatten::test::PortableBackend>,  \
      schatten::test::Case<double, schatten::test::ThreadedExec, schatten::test::PortableBackend> \
          SCHATTEN_TEST_AND_BLAS_CASES
#endif

/// f(integral constant of the Storage) for every layout.
template <class F>
void for_each_storage(const F& f) {
  f(std::integral_constant<Storage, Storage::right>{});
  f(std::integral_constant<Storage, Storage::left>{});
  f(std::integral_constant<Storage, Storage::window>{});
  f(std::integral_constant<Storage, Storage::scattered>{});
}

}  // namespace schatten::test
