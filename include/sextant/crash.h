/* crash.h - the last words of a program that dies: which signal, where, in which request.
 *
 *     sx_crash_install(&(sx_crash_options){.service = "shop", .version = "1.4", .log = log}, &err);
 *
 * On SIGSEGV, SIGBUS, SIGFPE, SIGILL or SIGABRT one line is written (JSON, or several lines of text on
 * a terminal) with the signal and the faulting address, the thread, the request id, trace id and span
 * id of the thread's current context (context.h), and a backtrace: for each frame the function and
 * offset if the file has symbols, and always the file with an offset that addr2line understands. What
 * the log's lanes hold is written before it. Then the signal takes its usual way, so that there is a
 * core dump as if nobody had looked.
 *
 * Only system calls are used from the moment of the crash: no malloc, no lock, no stdio. The handler
 * runs on a stack of its own, so that an overflow of the stack is reported too; a second fault while
 * it works only costs the part of the report that it was making.
 *
 * A signal that has a handler already is left to it: so a sanitizer's own report is not hidden (ASan
 * takes SIGSEGV, SIGBUS and SIGFPE; the rest is ours there too). */
#ifndef SEXTANT_CRASH_H
#define SEXTANT_CRASH_H

#include <sextant/error.h>
#include <sextant/log.h>

SX_BEGIN_DECLS

typedef struct sx_crash_options { /* 0 or NULL takes the default */
    const char *service;          /* fields "service" and "version"; copied, cut at 63 bytes */
    const char *version;
    const char *path;  /* a file that the report is appended to, opened now; NULL: the descriptor */
    int fd;            /* 0: 2, stderr. Not closed */
    sx_log_form form;  /* AUTO: text if it goes to a terminal, else JSON */
    sx_log *log;       /* is written out first, and gets the report too if it goes elsewhere */
    uint32_t flush_ms; /* 500: how long the log may take for that */
    void *reserved[4];
} sx_crash_options;

/* Installs the handler for the process and an alternate stack for the calling thread; every thread that
 * joins (metrics.h) afterwards gets one too. Again: with the new options, and with the libraries that
 * have been loaded since. The log must live until sx_crash_uninstall. From one thread.
 * Errors: SX_EIO, SX_ENOTFOUND or SX_EACCESS (the file, by path), SX_ENOMEM. */
sx_status sx_crash_install(const sx_crash_options *options, sx_error *err);

/* Takes the handler away; alternate stacks stay until their threads leave. From one thread. */
void sx_crash_uninstall(void);

/* Whether a crash by that signal would be reported by us. */
bool sx_crash_watches(int signal_number);

/* Gives the calling thread an alternate stack if the handler is installed and it has none; for threads
 * that do not join. leave before the thread ends. Errors: SX_ENOMEM, SX_EIO. */
sx_status sx_crash_thread_enter(sx_error *err);
void sx_crash_thread_leave(void);

SX_END_DECLS

#endif
