/* profile.h - where the processor's time and the heap go, in the form that pprof reads.
 *
 *     sx_buf out;
 *     sx_buf_init(&out, 0);
 *     if (sx_profile_cpu(&(sx_profile_cpu_options){.duration_ms = 10000}, &out, &err) == SX_OK)
 *         ...                  write it to a file: go tool pprof -http=: cpu.pprof
 *
 * A service (service.h) answers all of it on its admin listener, at the paths of Go's net/http/pprof:
 * /debug/pprof/profile?seconds=30, /debug/pprof/heap and others.
 *
 * Processor time. A timer for each thread of the process (POSIX timers on the thread's own CPU clock)
 * sends it SIGPROF each 10 ms of time that it has used; the handler notes the call stack, and nothing
 * else. Threads that sleep cost nothing, and while no profile runs there are neither timers nor a cost.
 * A stack is followed by frame pointers: code that has none (most C libraries of distributions) hides
 * its callers up to the nearest function that has, so build with -fno-omit-frame-pointer. Threads that
 * block SIGPROF cannot be seen: the profile's comment counts them. Calls that a signal interrupts are
 * restarted, except for those that never are (poll, epoll_wait, nanosleep: signal(7)), which give
 * EINTR, rarely, as only a thread that is running gets the signal. The handler stays installed, and
 * ignores what comes, after the first profile: a signal under way must not meet the default action.
 *
 * Heap. Off until sx_profile_heap_set(): then one byte in so many that are asked of sx_alloc is
 * sampled, with its call stack, and missed again when it is freed. All numbers are estimates of the
 * whole, blocks from before it was turned on left out. Arenas and buffers are seen as the blocks that
 * they take; a library's own malloc is not seen. */
#ifndef SEXTANT_PROFILE_H
#define SEXTANT_PROFILE_H

#include <sextant/buf.h>

SX_BEGIN_DECLS

enum {
    SX_PROFILE_HZ = 100,
    SX_PROFILE_HZ_MAX = 1000,
    SX_PROFILE_SECONDS = 30,
    SX_PROFILE_HEAP_BYTES = 512 * 1024, /* a mean whose cost nobody notices */
    SX_PROFILE_ADDRESSES_MAX = 10000    /* in one question to sx_profile_symbols() */
};

typedef struct sx_profile_cpu_options { /* 0 takes the default */
    uint32_t duration_ms;               /* 30000 */
    uint32_t hz;      /* 100: samples a second of CPU time, a thread; at most 1000 */
    int cancel_fd;    /* a descriptor that becomes readable when the profile is not wanted any more;
                       * 0 or below: none */
    size_t bytes_max; /* 64 MiB: of stacks that differ; samples beyond it are only counted */
    void *reserved[4];
} sx_profile_cpu_options;

/* Samples every thread of the process for `duration_ms`, waiting in the calling thread, and appends a
 * gzipped profile.proto with the values samples/count and cpu/nanoseconds and the label "thread".
 * Errors: SX_REFUSED (a profile is running already, or SIGPROF has a handler of somebody else),
 * SX_ECANCELED, SX_EINVAL, SX_ENOMEM, SX_EIO (no timers). Nothing is appended then. */
sx_status sx_profile_cpu(const sx_profile_cpu_options *options, sx_buf *out, sx_error *err);

/* Samples one byte of the heap in `mean_bytes` from now on (SX_PROFILE_HEAP_BYTES is a good mean; 1 is
 * every block); 0: none any more. Any thread. */
void sx_profile_heap_set(uint64_t mean_bytes);

/* That mean; 0: the heap is not sampled. */
uint64_t sx_profile_heap_mean(void);

typedef enum sx_profile_heap_form {
    SX_PROFILE_HEAP_INUSE,  /* gzipped profile.proto that shows inuse_space first */
    SX_PROFILE_HEAP_ALLOCS, /* the same, alloc_space first */
    SX_PROFILE_HEAP_TEXT    /* Go's ?debug=1, which pprof reads too */
} sx_profile_heap_form;

/* Appends what has been sampled so far: alloc_objects, alloc_space, inuse_objects, inuse_space for each
 * call stack. Any thread; reads the symbols of the program's files, which may block on the disk.
 * Errors: SX_ENOMEM. */
sx_status sx_profile_heap(sx_profile_heap_form form, sx_buf *out, sx_error *err);

/* Appends a line for each thread of the process: number, state (proc(5)), CPU seconds, name. Errors:
 * SX_EIO, SX_ENOMEM. */
sx_status sx_profile_threads(sx_buf *out, sx_error *err);

/* The names of functions, as pprof asks for them at /debug/pprof/symbol. `request` is "0x1234+0x5678";
 * appended is "num_symbols: 1" and a line "0x1234<tab>name" for each address that has a name. May
 * block on the disk. Errors: SX_EFORMAT (with the byte), SX_ELIMIT (SX_PROFILE_ADDRESSES_MAX),
 * SX_ENOMEM. Source: gperftools, "pprof_remote_servers.html". */
sx_status sx_profile_symbols(sx_str request, sx_buf *out, sx_error *err);

SX_END_DECLS

#endif
