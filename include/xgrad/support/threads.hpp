// How many threads the library works with.
#pragma once

namespace xgrad {

/// Sets the number of threads for large work (products, maps, reductions, convolutions, updates), from 1 up.
/// The default is the environment variable XGRAD_NUM_THREADS, or 1. Results do not depend on the number: work
/// is cut at the same places for any. Threads start with the first large work, as many as the system allows,
/// and sleep when there is none. When several threads compute at once, one of them has the library's threads
/// and the others work alone. Must not be called while another thread computes.
///
/// A child of fork() starts threads of its own. A process must not fork while another thread computes.
/// @throws Error for less than 1.
void set_num_threads(int n);

/// @throws Error where XGRAD_NUM_THREADS is not a whole number from 1 up; so does the first large work.
int num_threads();

}  // namespace xgrad
