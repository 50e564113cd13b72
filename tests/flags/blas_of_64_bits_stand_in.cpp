// SPDX-License-Identifier: BSD-3-Clause
// The symbols that backend/blas.hpp calls, as an ILP64 library has them. Only the query of xGEQRF is answered. The
// others say that they were called.
#include <cstdint>
#include <cstdlib>

extern "C" {
void sgemm_();
void dgemm_();
void sgesdd_();
void dgesdd_();
void ssyevd_();
void dsyevd_();
void sgeqrf_(const std::int64_t* m, const std::int64_t* n, float* a, const std::int64_t* lda, float* tau, float* work,
             const std::int64_t* lwork, std::int64_t* info);
void dgeqrf_();
void sorgqr_();
void dorgqr_();

void sgemm_() { std::abort(); }
void dgemm_() { std::abort(); }
void sgesdd_() { std::abort(); }
void dgesdd_() { std::abort(); }
void ssyevd_() { std::abort(); }
void dsyevd_() { std::abort(); }
void sgeqrf_(const std::int64_t* m, const std::int64_t* n, float*, const std::int64_t* lda, float*, float* work,
             const std::int64_t* lwork, std::int64_t* info) {
  if (*m != 0 || *n != 0 || *lda != 1 || *lwork != -1) std::abort();
  *work = 1;
  *info = 0;
}
void dgeqrf_() { std::abort(); }
void sorgqr_() { std::abort(); }
void dorgqr_() { std::abort(); }
}
