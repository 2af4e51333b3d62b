// SIGINT and SIGTERM: noted, so that a step is finished and saved before the program ends.
#pragma once

namespace qlora {

/// From here on SIGINT and SIGTERM are only noted; one that comes two seconds behind the first, or
/// later, ends the program at once. What was noted before is forgotten.
///
/// The handler has a stack of its own: oneDNN's kernels for small products use the stack pointer as
/// one more register (2.6.3: the copies of matrices narrower than a tile), and a signal that finds
/// them there would write its frame into the heap.
void note_stop_signals();

/// The signal that was noted, or 0.
int stop_signal();

/// This thread is never interrupted by them; for threads that multiply.
void block_stop_signals();

}  // namespace qlora
