/* latency.c - see latency.h. */
#include "service/latency.h"

#include <string.h>

/* Two bits below the leading one choose among four cells of its power of two. */
static unsigned cell_of(uint64_t ns)
{
    if (ns < 4)
        return (unsigned)ns;
    unsigned power = 63u - (unsigned)__builtin_clzll(ns);
    return power * 4 + (unsigned)(ns >> (power - 2) & 3);
}

/* The middle of a cell. */
static double middle_of(unsigned cell)
{
    if (cell < 8)
        return cell;
    double least = (double)(1ull << cell / 4);
    return least * (1 + ((double)(cell % 4) + 0.5) / 4);
}

static void add(uint64_t *to, uint64_t n)
{
    __atomic_store_n(to, __atomic_load_n(to, __ATOMIC_RELAXED) + n, __ATOMIC_RELAXED);
}

static void start_window(sx_latency_window *w, int64_t number)
{
    for (unsigned i = 0; i < SX_LATENCY_CELLS; i++)
        __atomic_store_n(&w->cells[i], 0, __ATOMIC_RELAXED);
    __atomic_store_n(&w->count, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&w->sum_ns, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&w->number, number, __ATOMIC_RELEASE);
}

void sx_latency_add(sx_latency *l, int64_t now_ms, int64_t duration_ns)
{
    int64_t number = now_ms / SX_LATENCY_WINDOW_MS;
    sx_latency_window *w = &l->windows[number & 1];
    if (sx_unlikely(w->number != number))
        start_window(w, number);
    uint64_t ns = duration_ns > 0 ? (uint64_t)duration_ns : 0;
    uint32_t *cell = &w->cells[cell_of(ns)];
    __atomic_store_n(cell, __atomic_load_n(cell, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
    add(&w->count, 1);
    add(&w->sum_ns, ns);
}

void sx_latency_gather(const sx_latency *l, int64_t now_ms, sx_latency_sum *into)
{
    int64_t number = now_ms / SX_LATENCY_WINDOW_MS;
    for (unsigned i = 0; i < 2; i++) {
        const sx_latency_window *w = &l->windows[i];
        int64_t age = number - __atomic_load_n(&w->number, __ATOMIC_ACQUIRE);
        if (age < 0 || age > 1)
            continue;
        into->sum_ns += __atomic_load_n(&w->sum_ns, __ATOMIC_RELAXED);
        into->count += __atomic_load_n(&w->count, __ATOMIC_RELAXED);
        for (unsigned k = 0; k < SX_LATENCY_CELLS; k++)
            into->cells[k] += __atomic_load_n(&w->cells[k], __ATOMIC_RELAXED);
    }
}

int64_t sx_latency_quantile(const sx_latency_sum *sum, double q)
{
    uint64_t total = 0, seen = 0;
    for (unsigned i = 0; i < SX_LATENCY_CELLS; i++)
        total += sum->cells[i];
    if (total == 0)
        return 0;
    double rank = q * (double)(total - 1);
    for (unsigned i = 0; i < SX_LATENCY_CELLS; i++) {
        seen += sum->cells[i];
        if ((double)seen > rank)
            return (int64_t)middle_of(i);
    }
    return 0;
}
