// SPDX-License-Identifier: BSD-3-Clause
// One parallel region for many loops on the host. Its threads take chunks of a loop's indices, and at the end of a loop
// the calling thread waits only for threads that have a chunk.
//
// With an OpenMP region per loop, each loop waits at its end for all threads. On a machine with other busy processes
// each wait lasts until the last thread has a core, and threads that wait by spinning occupy the cores that it needs.
#pragma once

#include <schatten/core/concepts.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#if defined(KOKKOS_ENABLE_OPENMP) && defined(_OPENMP) && !defined(SCHATTEN_LOOPS_AS_ON_DEVICE)
#define SCHATTEN_HOST_REGIONS
#include <omp.h>
#include <thread>
#endif

namespace schatten {

namespace detail {

#if defined(SCHATTEN_HOST_REGIONS)

/// A hint to the processor that this thread spins.
inline void spin_once() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");
#endif
}

/// Returns the seconds that the calling thread has run on a core; 0 if the system does not tell them.
inline double seconds_on_core() {
#if defined(CLOCK_THREAD_CPUTIME_ID)
  timespec time{};
  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0) return double(time.tv_sec) + 1e-9 * double(time.tv_nsec);
#endif
  return 0;
}

/// Whether OpenMP's threads spin for as long as they wait.
inline bool waits_actively() {
  static const bool active = [] {
    const char* const policy = std::getenv("OMP_WAIT_POLICY");
    return policy != nullptr && (policy[0] == 'a' || policy[0] == 'A');
  }();
  return active;
}

/// Whether regions are faster than one thread. If other processes occupy the cores, a region waits for threads that
/// have a chunk but no core, and may take longer than one thread would. Then up to 31 following regions have one
/// thread. One object per process.
class RegionRecord {
 public:
  /// Returns whether the next region should have all threads.
  bool next_has_all() {
    if (alone_.load(std::memory_order_relaxed) <= 0) return true;
    alone_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  /// Records a region of all threads that took `seconds`. One undisturbed thread would have taken at most `alone`
  /// seconds.
  void note(double seconds, double alone) {
    constexpr double least = 2e-4;
    constexpr int longest = 31;
    const int length = length_.load(std::memory_order_relaxed);
    const bool late = seconds > alone + least;
    length_.store(late ? (std::min)(2 * length + 1, longest) : length / 2, std::memory_order_relaxed);
    if (late) alone_.store(length_.load(std::memory_order_relaxed), std::memory_order_relaxed);
  }

  static RegionRecord& of_process() {
    static RegionRecord record;
    return record;
  }

 private:
  std::atomic<int> alone_{0}, length_{0};
};

/// A region and the loop that runs in it. Thread 0 is the caller's.
class HostRegion {
 public:
  /// parked: only the calling thread runs the loops, and the others sleep.
  explicit HostRegion(int threads, bool parked = false)
      : threads_(std::size_t(threads)), parked_(parked), shares_(std::size_t(threads)) {}

  /// The region whose loops this thread runs; null outside.
  static HostRegion*& current() {
    thread_local HostRegion* region = nullptr;
    return region;
  }

  /// Calls f() on the calling thread, with its loops on all threads of the region.
  template <class F>
  void run(const F& f) {
    if (threads_ == 1) return run_loops(f);
    std::exception_ptr error;
    const auto start = std::chrono::steady_clock::now();
    const double on_core = seconds_on_core();
#pragma omp parallel num_threads(int(threads_))
    {
      const auto thread = std::size_t(omp_get_thread_num());
      if (thread == 0) {
        threads_ = std::size_t(omp_get_num_threads());
        allow_launches_in_region();
        try {
          run_loops(f);
        } catch (...) {
          error = std::current_exception();
        }
        dismiss();
        if (threads_ > 1 && !parked_) {
          const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
          const double alone = double(threads_) * (seconds_on_core() - on_core);  // if the others did as much
          if (alone > 0) RegionRecord::of_process().note(seconds.count(), alone);
        }
      } else {
        help(thread);
      }
    }
    if (error) std::rethrow_exception(error);
  }

  /// Calls body(k) for k < count. If earlier loops of this body were very short, only the calling thread runs the loop.
  template <class Body>
  void loop(std::size_t count, const Body& body) {
    static std::atomic<float> seconds_an_index{1};  // of the last loop of this body; many before the first
    constexpr float worth_sharing = 4e-6F;
    constexpr std::size_t chunks_a_thread = 8;
    if (count == 1 || threads_ == 1 || parked_) return run_range<Body>(&body, 0, count);
    const auto start = std::chrono::steady_clock::now();
    const auto note = [&](std::size_t indices) {
      const std::chrono::duration<float> seconds = std::chrono::steady_clock::now() - start;
      seconds_an_index.store(seconds.count() / float(indices), std::memory_order_relaxed);
    };
    if (float(count) * seconds_an_index.load(std::memory_order_relaxed) < worth_sharing) {
      run_range<Body>(&body, 0, count);
      return note(count);
    }
    work_ = &run_range<Body>;
    body_ = &body;
    chunk_ = std::max<std::size_t>(count / (chunks_a_thread * threads_), 1);
    for (std::size_t t = 0; t < threads_; ++t) {
      shares_[t].next.store(count * t / threads_, std::memory_order_relaxed);
      shares_[t].end = count * (t + 1) / threads_;
    }
    const std::uint32_t opened = epoch_.load(std::memory_order_relaxed) + 1;
    epoch_.store(opened);
    std::size_t done = take_chunk(shares_[0]);
    if (asleep_.load() > 0) epoch_.notify_all();
    done += take_chunks(0);
    epoch_.store(opened + 1);
    if (done > 0) note(done);
    wait_until(inside_, 0);
  }

 private:
  /// The indices of one thread. Threads that have no indices left take chunks of it.
  struct alignas(64) Share {
    std::atomic<std::size_t> next{0};
    std::size_t end = 0;
  };
  static constexpr std::uint32_t over = ~std::uint32_t{0};
  static constexpr int spins = 500;   ///< some ten microseconds
  static constexpr int patience = 8;  ///< turns of them until a thread sleeps

  template <class Body>
  static void run_range(const void* body, std::size_t first, std::size_t last) {
    for (std::size_t k = first; k < last; ++k) (*static_cast<const Body*>(body))(k);
  }

  template <class F>
  void run_loops(const F& f) {
    struct Current {
      explicit Current(HostRegion* region) { current() = region; }
      ~Current() { current() = nullptr; }
    };
    const Current scope(this);
    f();
  }

  /// Both return how many indices they have done.
  std::size_t take_chunk(Share& share) const {
    if (share.next.load(std::memory_order_relaxed) >= share.end) return 0;
    const std::size_t first = share.next.fetch_add(chunk_, std::memory_order_relaxed);
    if (first >= share.end) return 0;
    const std::size_t last = (std::min)(first + chunk_, share.end);
    work_(body_, first, last);
    return last - first;
  }
  std::size_t take_chunks(std::size_t own) {
    std::size_t done = 0;
    for (std::size_t k = 0; k < threads_; ++k) {
      Share& share = shares_[(own + k) % threads_];
      while (const std::size_t more = take_chunk(share)) done += more;
    }
    return done;
  }

  /// Spins for a while, then sleeps: the system gives a thread that wakes up a core at once.
  static void wait_until(const std::atomic<std::uint32_t>& number, std::uint32_t value) {
    for (;;) {
      std::uint32_t found = number.load();
      for (int k = 0; k < 2 * spins && found != value; ++k) {
        spin_once();
        found = number.load();
      }
      if (found == value) return;
      number.wait(found);
    }
  }

  /// The work of threads other than 0: chunks of every loop that is open.
  void help(std::size_t thread) {
    std::uint32_t done = 0;  // even: no loop
    for (int turn = 0;;) {
      std::uint32_t epoch = epoch_.load();
      for (int k = 0; k < spins && (epoch == done || epoch % 2 == 0); ++k) {
        spin_once();
        epoch = epoch_.load();
      }
      if (epoch == over) break;
      if (epoch == done || epoch % 2 == 0) {
        if (++turn < patience && !parked_) {
          std::this_thread::yield();
        } else {
          ++asleep_;
          epoch_.wait(epoch);
          --asleep_;
        }
        continue;
      }
      turn = 0;
      ++inside_;
      if (epoch_.load() == epoch) take_chunks(thread);  // otherwise the loop was closed, and thread 0 did not see us
      if (--inside_ == 0) inside_.notify_all();
      done = epoch;
    }
    ++gone_;
    gone_.notify_all();
  }

  void dismiss() {
    epoch_.store(over);
    epoch_.notify_all();
    wait_until(gone_, std::uint32_t(threads_ - 1));
  }

  std::size_t threads_;
  bool parked_;
  std::vector<Share> shares_;
  void (*work_)(const void*, std::size_t, std::size_t) = nullptr;
  const void* body_ = nullptr;
  std::size_t chunk_ = 1;
  alignas(64) std::atomic<std::uint32_t> epoch_{0};   ///< odd while a loop is open
  alignas(64) std::atomic<std::uint32_t> inside_{0};  ///< threads that may hold indices
  std::atomic<std::uint32_t> asleep_{0}, gone_{0};
};

/// Reports a loop to Kokkos Tools as Kokkos reports its own loops.
class ReportedLoop {
 public:
  template <class Exec>
  ReportedLoop(const Exec& exec, std::string_view label) : reported_(Kokkos::Tools::profileLibraryLoaded()) {
    if (reported_) {
      Kokkos::Tools::beginParallelFor(std::string(label), Kokkos::Tools::Experimental::device_id(exec), &id_);
    }
  }
  ~ReportedLoop() {
    if (reported_) Kokkos::Tools::endParallelFor(id_);
  }
  ReportedLoop(const ReportedLoop&) = delete;
  ReportedLoop& operator=(const ReportedLoop&) = delete;

 private:
  bool reported_;
  std::uint64_t id_ = 0;
};

#endif

/// Whether loops on Exec may share a region.
template <class Exec>
inline constexpr bool has_host_regions =
#if defined(SCHATTEN_HOST_REGIONS)
    std::is_same_v<Exec, Kokkos::OpenMP>;
#else
    false;
#endif

/// Calls body(k) for k < count in the region of this thread; returns false if there is none.
template <class Exec, class Body>
bool loop_in_region(const Exec& exec, std::string_view label, std::size_t count, const Body& body) {
#if defined(SCHATTEN_HOST_REGIONS)
  if constexpr (has_host_regions<Exec>) {
    HostRegion* const region = HostRegion::current();
    if (region == nullptr) return false;
    const ReportedLoop reported(exec, label);
    region->loop(count, body);
    return true;
  }
#endif
  (void)exec, (void)label, (void)count, (void)body;
  return false;
}

}  // namespace detail

/// Calls f(). If `exec` is Kokkos::OpenMP, all loops of core/parallel.hpp in f run in one parallel region of its
/// threads, unless f is called inside another region. `alone`: only on the calling thread.
///
/// f runs on the calling thread. Its exceptions are passed on.
/// @pre f launches nothing by Kokkos itself but kernels over a range: Kokkos 3.4.1 reduces wrongly in a region. Before
/// Kokkos 5 the calling thread runs such a kernel; from 5 on a nested region of OpenMP does.
template <ExecutionSpace Exec, class F>
void in_host_region(const Exec& exec, bool alone, const F& f) {
#if defined(SCHATTEN_HOST_REGIONS)
  if constexpr (detail::has_host_regions<Exec>) {
    if (detail::HostRegion::current() != nullptr || omp_in_parallel() != 0) return f();
    const int threads = concurrency(exec);
    if (alone || threads == 1) return detail::HostRegion(1).run(f);
    const bool all = detail::RegionRecord::of_process().next_has_all();
    // Outside a region OpenMP's own threads spin, which takes the cores away from this one.
    const bool parked = !all && detail::waits_actively();
    return detail::HostRegion(all || parked ? threads : 1, parked).run(f);
  }
#endif
  (void)exec, (void)alone;
  f();
}

}  // namespace schatten
