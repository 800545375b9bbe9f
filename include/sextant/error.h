/* error.h - what went wrong, where, and what to do about it.
 *
 * A function that can fail returns an sx_status and fills an sx_error. The function that finds the
 * fault says what; callers that know the file, line or key put it in front with sx_error_prefix().
 * An sx_error lives on the caller's stack and owns nothing. Passing NULL for it is always allowed. */
#ifndef SEXTANT_ERROR_H
#define SEXTANT_ERROR_H

#include <sextant/base.h>

SX_BEGIN_DECLS

/* One list for the enum and for sx_status_name(): name, value, words. */
#define SX_STATUS_LIST(X)                                                                          \
    X(SX_OK, 0, "ok")                                                                              \
    X(SX_END, 1, "end")              /* a reader has nothing more to give: not a fault */          \
    X(SX_AGAIN, 2, "again")          /* more input or room is needed before going on */            \
    X(SX_REFUSED, 3, "refused")      /* a breaker, limit or full queue said no */                  \
    X(SX_EFORMAT, 16, "bad format")  /* input breaks its grammar */                                \
    X(SX_ELIMIT, 17, "over a limit") /* a size, depth, count or time from outside is too big */    \
    X(SX_ENOMEM, 18, "out of memory")                                                              \
    X(SX_EIO, 19, "input/output error") /* the operating system refused; os_errno says why */      \
    X(SX_ENOTFOUND, 20, "not found")                                                               \
    X(SX_EEXIST, 21, "already exists")                                                             \
    X(SX_EINVAL, 22, "invalid argument") /* a value that parses but makes no sense */              \
    X(SX_ECORRUPT, 23, "corrupt")        /* our own file fails its checksum or invariants */       \
    X(SX_EUNSUPPORTED, 24, "not supported")                                                        \
    X(SX_ETIMEOUT, 25, "timed out")                                                                \
    X(SX_ECLOSED, 26, "closed")     /* the other side has gone */                                  \
    X(SX_ECANCELED, 27, "canceled") /* our side gave up */                                         \
    X(SX_EACCESS, 28, "not allowed")                                                               \
    X(SX_EPROTOCOL, 29, "protocol error") /* a peer broke the rules of its protocol */

typedef enum sx_status {
#define X(name, value, words) name = value,
    SX_STATUS_LIST(X)
#undef X
} sx_status;

enum { SX_ERROR_MESSAGE_BYTES = 480 };

typedef struct sx_error {
    sx_status status;
    int os_errno;                         /* errno of the system call that failed; 0 if none did */
    char message[SX_ERROR_MESSAGE_BYTES]; /* NUL-terminated UTF-8; cut with "..." if too long */
} sx_error;

/* Fills `err` (which may be NULL) with the formatted message and returns `status`. Any thread. */
sx_status sx_fail(sx_error *err, sx_status status, const char *fmt, ...) SX_PRINTF(3, 4) SX_COLD;

/* As sx_fail with SX_EIO, adding ": " and the system's words for `os_errno` (an errno value).
 * ENOMEM becomes SX_ENOMEM, ENOENT SX_ENOTFOUND, EEXIST SX_EEXIST, EACCES and EPERM SX_EACCESS. */
sx_status sx_fail_os(sx_error *err, int os_errno, const char *fmt, ...) SX_PRINTF(3, 4) SX_COLD;

/* SX_ENOMEM with a message that names `what` could not be held. */
sx_status sx_fail_memory(sx_error *err, const char *what) SX_COLD;

/* Puts the formatted text and ": " before the message there is: callers add where it happened.
 * Returns err->status, or `otherwise` when err is NULL. */
sx_status sx_error_prefix(sx_error *err, sx_status otherwise, const char *fmt, ...)
    SX_PRINTF(3, 4) SX_COLD;

/* The words of SX_STATUS_LIST for `status`; "unknown status" for a value not in it. Static text. */
const char *sx_status_name(sx_status status);

SX_END_DECLS

/* What the static analyzer cannot see from here: these never return SX_OK. */
#if defined(__clang_analyzer__) && !defined(__cplusplus)
#define sx_fail(err, status, ...) ((void)(sx_fail)(err, status, __VA_ARGS__), (status))
#define sx_fail_os(err, ...)      ((void)(sx_fail_os)(err, __VA_ARGS__), SX_EIO)
#define sx_fail_memory(err, what) ((void)(sx_fail_memory)(err, what), SX_ENOMEM)
#endif

#endif
