/* clock.h - where every `now` comes from.
 *
 * Code that needs the time is given an sx_clock, so that a test can drive it. Metrics use int64
 * milliseconds, traces and logs int64 nanoseconds, both since 1970 UTC; timeouts use the monotonic
 * reading, which never jumps. */
#ifndef SEXTANT_CLOCK_H
#define SEXTANT_CLOCK_H

#include <sextant/base.h>

SX_BEGIN_DECLS

typedef struct sx_clock {
    /* Nanoseconds since 1970 UTC / since some fixed moment, never falling. */
    int64_t (*wall_ns)(const struct sx_clock *clock);
    int64_t (*mono_ns)(const struct sx_clock *clock);
} sx_clock;

/* The system's clock. Static, any thread. */
const sx_clock *sx_clock_system(void);

/* A cheaper clock that may lie up to 10 ms behind `clock` and never ahead of it: for the
 * system's, the kernel's last tick (6 ns in place of 27); any other is its own. For decisions on
 * hot paths that take a tenth of a second or more. Any thread. */
const sx_clock *sx_clock_coarse(const sx_clock *clock);

/* The wall reading in nanoseconds since 1970 UTC. Any thread. */
static inline int64_t sx_clock_ns(const sx_clock *c)
{
    return c->wall_ns(c);
}

/* The wall reading in milliseconds since 1970 UTC. */
static inline int64_t sx_clock_ms(const sx_clock *c)
{
    return c->wall_ns(c) / 1000000;
}

/* The monotonic reading in nanoseconds since some fixed moment. */
static inline int64_t sx_clock_mono_ns(const sx_clock *c)
{
    return c->mono_ns(c);
}

/* The monotonic reading in milliseconds. */
static inline int64_t sx_clock_mono_ms(const sx_clock *c)
{
    return c->mono_ns(c) / 1000000;
}

/* A clock that stands still until told: for tests. Readings may be taken from any thread. */
typedef struct sx_fake_clock {
    sx_clock clock; /* pass &fake.clock */
    int64_t wall;   /* atomic: read with acquire, written by the test */
    int64_t mono;
} sx_fake_clock;

/* Starts at `wall_ms` since 1970; the monotonic reading starts at 1 s. */
void sx_fake_clock_init(sx_fake_clock *fake, int64_t wall_ms);

/* Moves both readings forward by `ms` (not negative). */
void sx_fake_clock_advance(sx_fake_clock *fake, int64_t ms);

/* Sets the wall clock alone, as an operator or NTP would: forward or back. */
void sx_fake_clock_jump(sx_fake_clock *fake, int64_t wall_ms);

enum { SX_TIME_RFC3339_BYTES = 36 };

/* Writes `wall_ns` as 2024-01-15T10:30:00.123Z with 0, 3, 6 or 9 `digits` of fraction, and a NUL.
 * Returns its length. */
size_t sx_time_rfc3339(int64_t wall_ns, int digits, char out[SX_TIME_RFC3339_BYTES]);

SX_END_DECLS

#endif
