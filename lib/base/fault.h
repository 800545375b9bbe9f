/* fault.h - faults on purpose: how tests make memory, files and sockets fail.
 *
 * Three layers, all off (one predicted branch) unless a test turns them on. The counters are
 * process-wide, so a test that uses them runs alone in its process, as cmocka programs do. */
#ifndef SEXTANT_BASE_FAULT_H
#define SEXTANT_BASE_FAULT_H

#include <sextant/base.h>

/* From now on the `nth` call of sx_alloc, sx_calloc or sx_realloc (1 is the next) returns NULL, and
 * with `and_after` every later one too. nth 0 turns it off. */
typedef struct sx_fault_alloc {
    int64_t nth;
    bool and_after;
} sx_fault_alloc;
void sx_fault_alloc_set(sx_fault_alloc plan);

/* Calls seen since the last sx_fault_alloc_set: a test runs once to learn how many there are, then
 * fails each in turn. */
int64_t sx_fault_alloc_calls(void);

/* Blocks now held, counted only while a plan is set (nth may be INT64_MAX): finds leaks of the
 * clean-up paths without a sanitizer. */
int64_t sx_fault_alloc_held(void);

#endif
