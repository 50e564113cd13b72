// SPDX-License-Identifier: BSD-3-Clause
// Scratch memory that grows to the size of the largest call and is reused, and objects that a backend keeps between
// calls.
#pragma once

#include <schatten/core/views.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <numeric>
#include <typeindex>
#include <utility>
#include <vector>

namespace schatten {

/// Returns the first address at or after `data` that is a multiple of `alignment`. Kokkos aligns allocations to 64 or
/// 128 bytes.
inline char* aligned_to(std::size_t alignment, char* data) {
  return data + (alignment - reinterpret_cast<std::size_t>(data) % alignment) % alignment;
}

/// A stack of scratch memory in one memory space, which only grows.
///
/// A function opens a Frame and takes memory, which is free again when the frame ends. The first call may allocate
/// several blocks; the outermost frame replaces them by one, so an equal second call allocates nothing. Use a workspace
/// with one execution-space instance at a time. The contents of the memory are undefined.
template <class MemorySpace>
class Workspace {
 public:
  /// The memory space.
  using memory_space = MemorySpace;

  Workspace() = default;
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  /// Takes the memory and objects of another workspace.
  Workspace(Workspace&&) noexcept = default;
  /// Frees its memory and objects and takes those of another workspace.
  Workspace& operator=(Workspace&&) noexcept = default;

  /// Its destructor frees all memory that was taken since the constructor.
  class Frame {
   public:
    /// Opens a frame. @pre the workspace exists longer.
    explicit Frame(Workspace& workspace) : workspace_(workspace), block_(workspace.current_), used_(workspace.used_) {
      ++workspace_.depth_;
    }
    ~Frame() {
      workspace_.current_ = block_;
      workspace_.used_ = used_;
      if (--workspace_.depth_ == 0) workspace_.join();
    }
    Frame(const Frame&) = delete;
    Frame& operator=(const Frame&) = delete;

   private:
    Workspace& workspace_;
    std::size_t block_;
    std::size_t used_;
  };

  /// Returns a row-major batch of contiguous matrices. @pre a Frame is open.
  template <class T>
  BatchView<T, MemorySpace> batch(std::size_t batch, std::size_t rows, std::size_t cols) {
    return batch_view<MemorySpace>(take<T>(batch * rows * cols), batch, rows, cols);
  }

  /// Returns a row-major batch with rows aligned to 16 bytes, as the fast code for tensor cores needs. @pre a Frame is
  /// open.
  template <class T>
  BatchView<T, MemorySpace> aligned_batch(std::size_t batch, std::size_t rows, std::size_t cols) {
    constexpr std::size_t unit = std::max<std::size_t>(16 / sizeof(T), 1);
    const std::size_t leading = (cols + unit - 1) / unit * unit;
    return batch_view<MemorySpace>(take<T>(batch * rows * leading), batch, rows, cols, rows * leading, leading,
                                   std::size_t{1});
  }

  /// Returns one vector of length `n` per matrix. @pre a Frame is open.
  template <class T>
  VectorBatchView<T, MemorySpace> vectors(std::size_t batch, std::size_t n) {
    return VectorBatchView<T, MemorySpace>(take<T>(batch * n), batch, n);
  }

  /// Returns one number per matrix. @pre a Frame is open.
  template <class T>
  NumberBatchView<T, MemorySpace> numbers(std::size_t batch) {
    return NumberBatchView<T, MemorySpace>(take<T>(batch), batch);
  }

  /// Returns the object of type R of this workspace, for example the handles of a library. The first call constructs it
  /// by R(exec); it exists as long as the workspace.
  template <class R, ExecutionSpace Exec>
  R& resource(const Exec& exec) {
    const std::type_index type(typeid(R));
    for (const auto& [known, object] : resources_) {
      if (known == type) return *static_cast<R*>(object.get());
    }
    resources_.emplace_back(type, std::make_shared<R>(exec));
    return *static_cast<R*>(resources_.back().second.get());
  }

  /// Returns the number of bytes.
  [[nodiscard]] std::size_t capacity() const {
    return std::accumulate(blocks_.begin(), blocks_.end(), std::size_t{0},
                           [](std::size_t sum, const Block& block) { return sum + block.extent(0); });
  }

 private:
  using Block = Kokkos::View<char*, MemorySpace>;
  static constexpr std::size_t alignment = 256;

  template <class T>
  T* take(std::size_t count) {
    const std::size_t bytes = (count * sizeof(T) + alignment - 1) / alignment * alignment;
    while (current_ < blocks_.size() && used_ + bytes > usable(blocks_[current_])) {
      ++current_;
      used_ = 0;
    }
    if (current_ == blocks_.size()) blocks_.push_back(allocate(bytes));
    T* const data = reinterpret_cast<T*>(aligned(blocks_[current_]) + used_);
    used_ += bytes;
    return data;
  }

  void join() noexcept {
    if (blocks_.size() < 2) return;
    std::size_t bytes = 0;
    for (const Block& block : blocks_) bytes += usable(block);
    blocks_.clear();
    try {
      blocks_.push_back(allocate(bytes));
    } catch (...) {  // runs in a destructor: the next call allocates, and reports, instead
    }
  }

  static Block allocate(std::size_t bytes) {
    return Block(Kokkos::view_alloc(Kokkos::WithoutInitializing, "schatten::workspace"), bytes + alignment);
  }
  static std::size_t usable(const Block& block) { return block.extent(0) - alignment; }
  static char* aligned(const Block& block) { return aligned_to(alignment, block.data()); }

  std::vector<std::pair<std::type_index, std::shared_ptr<void>>> resources_;
  std::vector<Block> blocks_;
  std::size_t current_ = 0;  ///< block that the next piece is tried in
  std::size_t used_ = 0;     ///< bytes used of it
  std::size_t depth_ = 0;    ///< open frames
};

/// Returns an aligned batch of `count` batches with `a`'s extents, with contiguous rows or columns as in `a`. @pre a
/// Frame is open.
template <class T, class U, class Space>
BatchView<T, Space> batch_like(const BatchView<U, Space>& a, Workspace<Space>& workspace, std::size_t count = 1) {
  if (a.stride(1) < a.stride(2)) return transpose(batch_like<T>(transpose(a), workspace, count));
  return workspace.template aligned_batch<T>(count * a.extent(0), a.extent(1), a.extent(2));
}

}  // namespace schatten
