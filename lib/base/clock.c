/* clock.c - the system's clock, the test's clock, and RFC 3339. */
#include <sextant/clock.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t read_ns(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t system_wall(const sx_clock *clock)
{
    (void)clock;
    return read_ns(CLOCK_REALTIME);
}

static int64_t system_mono(const sx_clock *clock)
{
    (void)clock;
    return read_ns(CLOCK_MONOTONIC);
}

const sx_clock *sx_clock_system(void)
{
    static const sx_clock system_clock = {system_wall, system_mono};
    return &system_clock;
}

static int64_t coarse_wall(const sx_clock *clock)
{
    (void)clock;
    return read_ns(CLOCK_REALTIME_COARSE);
}

static int64_t coarse_mono(const sx_clock *clock)
{
    (void)clock;
    return read_ns(CLOCK_MONOTONIC_COARSE);
}

const sx_clock *sx_clock_coarse(const sx_clock *clock)
{
    static const sx_clock coarse_clock = {coarse_wall, coarse_mono};
    return clock == sx_clock_system() ? &coarse_clock : clock;
}

static int64_t fake_wall(const sx_clock *clock)
{
    const sx_fake_clock *fake = SX_CONTAINER_OF(clock, const sx_fake_clock, clock);
    return __atomic_load_n(&fake->wall, __ATOMIC_ACQUIRE);
}

static int64_t fake_mono(const sx_clock *clock)
{
    const sx_fake_clock *fake = SX_CONTAINER_OF(clock, const sx_fake_clock, clock);
    return __atomic_load_n(&fake->mono, __ATOMIC_ACQUIRE);
}

void sx_fake_clock_init(sx_fake_clock *fake, int64_t wall_ms)
{
    fake->clock = (sx_clock){fake_wall, fake_mono};
    __atomic_store_n(&fake->wall, wall_ms * 1000000, __ATOMIC_RELEASE);
    __atomic_store_n(&fake->mono, 1000000000, __ATOMIC_RELEASE);
}

void sx_fake_clock_advance(sx_fake_clock *fake, int64_t ms)
{
    sx_assert(ms >= 0);
    __atomic_add_fetch(&fake->wall, ms * 1000000, __ATOMIC_ACQ_REL);
    __atomic_add_fetch(&fake->mono, ms * 1000000, __ATOMIC_ACQ_REL);
}

void sx_fake_clock_jump(sx_fake_clock *fake, int64_t wall_ms)
{
    __atomic_store_n(&fake->wall, wall_ms * 1000000, __ATOMIC_RELEASE);
}

/* Year, month and day of a day number since 1970, by counting 400-year cycles from 1 March 0000
 * (the proleptic Gregorian calendar repeats every 146,097 days). */
static void civil_of_days(int64_t days, int *year, int *month, int *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t march_month = (5 * doy + 2) / 153;
    *day = (int)(doy - (153 * march_month + 2) / 5 + 1);
    *month = (int)(march_month < 10 ? march_month + 3 : march_month - 9);
    *year = (int)(yoe + era * 400 + (*month <= 2 ? 1 : 0));
}

static char *put_digits(char *at, int64_t value, int width)
{
    for (int i = width - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + width;
}

size_t sx_time_rfc3339(int64_t wall_ns, int digits, char out[SX_TIME_RFC3339_BYTES])
{
    static const int64_t UNIT[] = {1000000000, 100000000, 10000000, 1000000, 100000,
                                   10000,      1000,      100,      10,      1};
    sx_assert(digits >= 0 && digits <= 9);
    int64_t seconds = wall_ns / 1000000000, ns = wall_ns % 1000000000;
    if (ns < 0) {
        seconds--;
        ns += 1000000000;
    }
    int64_t days = seconds / 86400, rest = seconds % 86400;
    if (rest < 0) {
        days--;
        rest += 86400;
    }
    int year, month, day; /* int64 nanoseconds reach only from 1677 to 2262, so four digits do */
    civil_of_days(days, &year, &month, &day);
    char *at = put_digits(out, year, 4);
    *at++ = '-';
    at = put_digits(at, month, 2);
    *at++ = '-';
    at = put_digits(at, day, 2);
    *at++ = 'T';
    at = put_digits(at, rest / 3600, 2);
    *at++ = ':';
    at = put_digits(at, rest / 60 % 60, 2);
    *at++ = ':';
    at = put_digits(at, rest % 60, 2);
    if (digits > 0) {
        *at++ = '.';
        at = put_digits(at, ns / UNIT[digits], digits);
    }
    *at++ = 'Z';
    *at = '\0';
    return (size_t)(at - out);
}
