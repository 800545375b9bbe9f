/* frames.h - the calling thread's own call stack, by saved frame pointers.
 *
 * Sextant is built with frame pointers, so a frame is two words: the caller's frame pointer and the
 * address that the function returns to. Code without them (a C library that calls back) may leave any
 * value in that register: every frame must lie above the last one and inside the thread's stack, which
 * is all there, so that a wrong value ends the walk or gives a wrong address, never a fault.
 *
 * For threads at their own work. Signal handlers, which may find the registers in any state and do not
 * know the stack, read through the kernel: lib/telemetry/profile_cpu.c. */
#ifndef SEXTANT_BASE_FRAMES_H
#define SEXTANT_BASE_FRAMES_H

#include <sextant/base.h>

#if defined(__x86_64__) || defined(__aarch64__)
#define SX_FRAME_POINTERS 1
#else
#define SX_FRAME_POINTERS 0
#endif

/* Return addresses from the frame at `frame` outwards, at most `most`; `stack_end` is one past the
 * stack's highest byte. Returns how many. The words between a function's variables are no object of
 * C's: sanitizers are told to look away. */
__attribute__((no_sanitize_address, no_sanitize_thread)) static inline size_t sx_frames_walk(
    uintptr_t frame, uintptr_t stack_end, uintptr_t *pcs, size_t most)
{
    size_t count = 0;
    if (!SX_FRAME_POINTERS || stack_end < 2 * sizeof(uintptr_t))
        return 0;
    while (count < most && frame % sizeof(uintptr_t) == 0 &&
           frame <= stack_end - 2 * sizeof(uintptr_t)) {
        const uintptr_t *words = (const uintptr_t *)frame;
        if (words[1] < 4096) /* the outermost frame, or none at all */
            break;
        pcs[count++] = words[1];
        if (words[0] <= frame)
            break;
        frame = words[0];
    }
    return count;
}

#endif
