// How many threads the library works with.
#pragma once

namespace xgrad {

/// Sets how many threads large work (products, maps, reductions, convolutions, updates) may use, from 1 up.
/// Until this is called it is what the environment variable XGRAD_NUM_THREADS says, or 1. Results do not
/// depend on it: work is cut at the same places for any number. Threads start with the first large work, as
/// many as the system allows, and sleep when there is none. Work that comes from several threads at once is
/// shared out for one of them, the others do theirs alone. Not to be called while another thread computes.
///
/// A child that fork() makes has no threads but starts its own. It must not be made while another thread
/// computes.
/// @throws Error for less than 1.
void set_num_threads(int n);

/// @throws Error where XGRAD_NUM_THREADS is not a whole number from 1 up; so does the first large work.
int num_threads();

}  // namespace xgrad
