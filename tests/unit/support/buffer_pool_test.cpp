// The pool of recycled memory.
#include "lib/support/buffer_pool.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <vector>

using xgrad::detail::Buffer;
using xgrad::detail::BufferPool;

TEST_CASE("buffer pool: blocks are large enough, apart and aligned") {
  BufferPool pool;
  struct Block {
    unsigned char* data;
    std::size_t size;
    unsigned char mark;
  };
  std::vector<Block> blocks;
  std::size_t wanted = 0;
  for (std::size_t size : {0, 1, 4, 15, 16, 17, 63, 64, 65, 100, 4000, 4096, 5000, 100000}) {
    for (int k = 0; k < 3; ++k) {
      auto* data = static_cast<unsigned char*>(BufferPool::payload(pool.acquire(size)));
      CHECK(reinterpret_cast<std::uintptr_t>(data) % (size > 64 ? 64 : 16) == 0);
      const auto mark = static_cast<unsigned char>(blocks.size());
      std::memset(data, mark, size);
      blocks.push_back({data, size, mark});
      wanted += size;
    }
  }
  for (const Block& block : blocks) {
    for (std::size_t i = 0; i < block.size; ++i) REQUIRE(block.data[i] == block.mark);
  }
  CHECK(pool.bytes_in_use() >= wanted);
  CHECK(pool.bytes_in_use() < wanted * 5 / 4 + 16 * blocks.size());
}

TEST_CASE("buffer pool: the block released last is handed out first, and nothing more is held") {
  BufferPool pool;
  Buffer* a = pool.acquire(1000);
  Buffer* b = pool.acquire(1000);
  const std::size_t held = pool.bytes_held();
  pool.release(a);
  pool.release(b);
  CHECK(pool.bytes_in_use() == 0);
  CHECK(pool.acquire(1000) == b);
  CHECK(pool.acquire(990) == a);
  CHECK(pool.bytes_held() == held);
}

TEST_CASE("buffer pool: a shared block stays until its last owner drops it") {
  BufferPool pool;
  Buffer* a = pool.acquire(64);
  ++a->owners;
  pool.release(a);
  CHECK(pool.acquire(64) != a);
  pool.release(a);
  CHECK(pool.acquire(64) == a);
}
