/* crash_report.h - what the crash handler (crash.c) finds out and how it is written down.
 *
 * Everything lies in one structure that is made at the start, because nothing can be had afterwards.
 * Each step may itself fault (the stack may be garbage): crash.c runs it guarded, and what it had
 * not yet filled in stays empty. All functions but sx_crash_modules are async-signal-safe. */
#ifndef SEXTANT_TELEMETRY_CRASH_REPORT_H
#define SEXTANT_TELEMETRY_CRASH_REPORT_H

#include <signal.h>
#include <sys/types.h>

#include <sextant/str.h>

#include "telemetry/modules.h"

enum { SX_CRASH_FRAMES = 64, SX_CRASH_SYMBOL_BYTES = 96, SX_CRASH_TEXT_BYTES = 65536 };

typedef struct sx_crash_frame {
    uintptr_t pc;
    bool exact;              /* pc is the instruction itself, not the one that a call returns to */
    const sx_module *module; /* NULL: in none that is known */
    char symbol[SX_CRASH_SYMBOL_BYTES];
    uint64_t symbol_offset;
} sx_crash_frame;

typedef struct sx_crash_report {
    /* Made at the start. */
    char service[64], version[64];
    sx_module modules[SX_MODULES_MOST];
    size_t module_count;
    /* Found out at the crash. */
    int signal_number, code;
    uintptr_t address; /* that could not be used; for signals that have one */
    pid_t pid, tid, sender;
    uintptr_t pc, stack, frame_pointer;
    int64_t wall_ns;
    char thread[16];
    char request_id[128], trace_id[33], span_id[17];
    sx_crash_frame frames[SX_CRASH_FRAMES];
    size_t frame_count;
    char text[SX_CRASH_TEXT_BYTES];
} sx_crash_report;

/* Lists what is mapped now: what the handler will know. */
void sx_crash_modules(sx_crash_report *r);

/* The signal's name ("SIGSEGV"). Static. */
const char *sx_crash_signal_name(int signal_number);

/* The steps, in this order. */
void sx_crash_find_cause(sx_crash_report *r, int number, const siginfo_t *info,
                         const void *context);
void sx_crash_find_context(sx_crash_report *r);
void sx_crash_find_frames(sx_crash_report *r);
void sx_crash_find_symbols(sx_crash_report *r);

/* The report as one JSON line or as text for people; the view is r->text. */
sx_str sx_crash_json(sx_crash_report *r);
sx_str sx_crash_text(sx_crash_report *r);

#endif
