/* base.h - the few macros that every other header needs.
 *
 * Nothing here allocates or has state. Included by every public header of the kit. */
#ifndef SEXTANT_BASE_H
#define SEXTANT_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#define SX_BEGIN_DECLS extern "C" {
#define SX_END_DECLS   }
#else
#define SX_BEGIN_DECLS
#define SX_END_DECLS
#endif

#define sx_likely(x)   __builtin_expect(!!(x), 1)
#define sx_unlikely(x) __builtin_expect(!!(x), 0)

#define SX_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define SX_COLD              __attribute__((cold, noinline))
#define SX_MUST_USE          __attribute__((warn_unused_result))

#define SX_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* The structure that holds `member`, from a pointer to it: for intrusive lists and timers. */
#define SX_CONTAINER_OF(ptr, type, member)                                                         \
    ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

SX_BEGIN_DECLS

/* Ends the process after writing `what`, its place and a backtrace to stderr. Never returns.
 * For programmers' mistakes only: input from outside never reaches it. */
void sx_assert_failed(const char *what, const char *file, int line) __attribute__((noreturn, cold));

SX_END_DECLS

/* Stays on in releases: it guards our own promises and costs a predicted branch. */
#define sx_assert(cond)                                                                            \
    ((void)(sx_likely(cond) ? 0 : (sx_assert_failed(#cond, __FILE__, __LINE__), 0)))

/* Runs a structure's `_check()` after a change, in debug builds only (-DSX_DEBUG). */
#ifdef SX_DEBUG
#define SX_DEBUG_CHECK(call) ((void)(call))
#else
#define SX_DEBUG_CHECK(call) ((void)0)
#endif

#endif
