// How many threads the library works with.
#pragma once

namespace xgrad {

/// Sets how many threads large products may use, from 1 up; 1 until this is called. Results do not depend on
/// it: work is cut at the same places for any number. Not to be called while another thread computes.
/// @throws Error for less than 1.
void set_num_threads(int n);
int num_threads();

}  // namespace xgrad
