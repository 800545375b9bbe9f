/* eval_range.h - functions over range vectors; shared by the eval_range*.c files alone. */
#ifndef OBSERVE_PROMQL_EVAL_RANGE_H
#define OBSERVE_PROMQL_EVAL_RANGE_H

#include "observe/promql/eval.h"

/* Float samples from..to-1 are those in (start, end]. */
typedef struct range_window {
    int64_t start, end;
    size_t from, to;
} range_window;

typedef struct eval_range_node eval_range_node;

/* The functions' own block of scratch memory; 0 to 3 are the reading's. */
enum { RANGE_BLOCK = 5 };

/* All steps of one series that has floats alone. Returns how many have a value. */
typedef size_t (*range_floats_fn)(const eval_range_node *n, eval_worker *w, const eval_points *p,
                                  size_t i, double *v);

struct eval_range_node {
    eval_node node;
    eval_range range;
    promql_function_id id;
    range_floats_fn floats;
    const double *args[2];  /* scalar arguments, one a step */
    const promql_expr *arg; /* the range vector, where annotations point */
    bool counter, per_second, starts;
};

static inline range_window range_first(void)
{
    return (range_window){0};
}

/* Moves the window to a step; steps come in order. */
static inline void range_slide(const eval_range_node *n, const eval_points *p, size_t step,
                               range_window *win)
{
    win->end = eval_range_end(&n->range, n->node.times, step);
    win->start = win->end - n->range.range_ms;
    while (win->to < p->count && p->t[win->to] <= win->end)
        win->to++;
    while (win->from < win->to && p->t[win->from] <= win->start)
        win->from++;
}

static inline void range_count(const eval_range_node *n, eval_worker *w, size_t step,
                               uint64_t samples)
{
    if (sx_unlikely(w->per_step != NULL))
        eval_count_samples(&n->node, w, step, samples);
    else
        w->samples += samples;
}

/* Moves the window to a step that has no value yet, and counts and returns its samples. */
static inline size_t range_step(const eval_range_node *n, eval_worker *w, const eval_points *p,
                                size_t step, range_window *win, double *v)
{
    range_slide(n, p, step, win);
    size_t count = win->to - win->from;
    v[step] = eval_absent();
    if (count)
        range_count(n, w, step, count);
    return count;
}

static inline sx_str range_name(const eval_range_node *n, size_t i)
{
    return tsdb_labels_get(n->range.labels[i], TSDB_METRIC_NAME);
}

/* Whether a counter began anew at a sample, by its start timestamp and the one before. */
bool range_start_reset(int64_t before_start, int64_t before_t, int64_t start, int64_t t);

/* rate, increase and delta from what the window shows: first and last time, samples, what the value
 * rose by. `first_value` bounds the way back to a counter's zero; `start`, if not 0, is when the
 * counter began inside the window. Returns the factor. */
static inline double range_extrapolate(const eval_range_node *n, const range_window *win,
                                       int64_t first_t, int64_t last_t, size_t samples,
                                       double first_value, double rise, bool begun, int64_t start)
{
    double to_start = (double)(first_t - win->start) / 1000;
    double to_end = (double)(win->end - last_t) / 1000;
    double sampled = (double)(last_t - first_t) / 1000;
    double average = samples > 1 ? sampled / (double)(samples - 1) : 0;
    double threshold = average * 1.1;
    if (begun) {
        to_start = 0;
        sampled = (double)(last_t - start) / 1000;
    } else {
        if (to_start >= threshold)
            to_start = average / 2;
        if (n->counter && rise > 0 && first_value >= 0) {
            double to_zero = sampled * (first_value / rise);
            if (to_zero < to_start)
                to_start = to_zero;
        }
    }
    if (to_end >= threshold)
        to_end = average / 2;
    double factor = sampled != 0 ? (sampled + to_start + to_end) / sampled : 1;
    if (n->per_second)
        factor /= (double)n->range.range_ms / 1000;
    return factor;
}

/* The kinds that live in eval_range_more.c. */
size_t range_quantile(const eval_range_node *n, eval_worker *w, const eval_points *p, size_t i,
                      double *v);
size_t range_mad(const eval_range_node *n, eval_worker *w, const eval_points *p, size_t i,
                 double *v);
size_t range_smoothing(const eval_range_node *n, eval_worker *w, const eval_points *p, size_t i,
                       double *v);
/* Whether the factors are right wherever there are histograms, which are not smoothed; else the query
 * has failed. */
bool range_check_factors(const eval_range_node *n, eval_worker *w, const eval_points *p);
size_t range_linear(const eval_range_node *n, eval_worker *w, const eval_points *p, size_t i,
                    double *v);
size_t range_extended(const eval_range_node *n, eval_worker *w, const eval_points *p, size_t i,
                      double *v);

#endif
