/* error.c - filling and extending an sx_error. All of it is off the hot path. */
#include <sextant/error.h>

#ifdef __clang_analyzer__ /* the functions themselves are defined here */
#undef sx_fail
#undef sx_fail_os
#undef sx_fail_memory
#endif

#include <errno.h>
#include <execinfo.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem_account.h"

void sx_assert_failed(const char *what, const char *file, int line)
{
    void *frames[64];
    fprintf(stderr, "sextant: assertion failed: %s (%s:%d)\n", what, file, line);
    backtrace_symbols_fd(frames, backtrace(frames, 64), STDERR_FILENO);
    abort();
}

/* Marks a message that did not fit, so that nobody takes the cut text for the whole. */
static void mark_cut(sx_error *err, int wanted)
{
    if (wanted >= SX_ERROR_MESSAGE_BYTES)
        memcpy(err->message + SX_ERROR_MESSAGE_BYTES - 4, "...", 4);
}

static void fill(sx_error *err, sx_status status, const char *fmt, va_list args)
{
    err->status = status;
    err->os_errno = 0;
    mark_cut(err, vsnprintf(err->message, sizeof(err->message), fmt, args));
}

sx_status sx_fail(sx_error *err, sx_status status, const char *fmt, ...)
{
    if (!err)
        return status;
    va_list args;
    va_start(args, fmt);
    fill(err, status, fmt, args);
    va_end(args);
    return status;
}

static sx_status status_of_errno(int os_errno)
{
    switch (os_errno) {
    case ENOMEM:
        return SX_ENOMEM;
    case ENOENT:
        return SX_ENOTFOUND;
    case EEXIST:
        return SX_EEXIST;
    case EACCES:
    case EPERM:
        return SX_EACCESS;
    default:
        return SX_EIO;
    }
}

sx_status sx_fail_os(sx_error *err, int os_errno, const char *fmt, ...)
{
    sx_status status = status_of_errno(os_errno);
    if (!err)
        return status;
    va_list args;
    va_start(args, fmt);
    fill(err, status, fmt, args);
    va_end(args);
    size_t len = strlen(err->message);
    char words[128];
    mark_cut(err, (int)len + snprintf(err->message + len, sizeof(err->message) - len, ": %s",
                                      strerror_r(os_errno, words, sizeof(words))));
    err->os_errno = os_errno;
    return status;
}

sx_status sx_fail_memory(sx_error *err, const char *what)
{
    const sx_mem_account *a = sx_mem_account_current();
    sx_mem_over over = sx_mem_account_over(a);
    if (over != SX_MEM_WITHIN && a->words)
        return sx_fail(err, SX_ENOMEM, "no memory for %s: %s", what, a->words[over]);
    return sx_fail(err, SX_ENOMEM, "out of memory for %s", what);
}

sx_status sx_error_prefix(sx_error *err, sx_status otherwise, const char *fmt, ...)
{
    if (!err)
        return otherwise;
    char old[SX_ERROR_MESSAGE_BYTES];
    memcpy(old, err->message, sizeof(old));
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(err->message, sizeof(err->message), fmt, args);
    va_end(args);
    if (len >= 0 && len < SX_ERROR_MESSAGE_BYTES)
        len += snprintf(err->message + len, sizeof(err->message) - (size_t)len, ": %s", old);
    mark_cut(err, len);
    return err->status;
}

const char *sx_status_name(sx_status status)
{
    switch (status) {
#define X(name, value, words)                                                                      \
    case name:                                                                                     \
        return words;
        SX_STATUS_LIST(X)
#undef X
    }
    return "unknown status";
}
