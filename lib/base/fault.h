/* fault.h - faults on purpose: how tests make memory, files and sockets fail.
 *
 * Four layers, all off (one predicted branch, or the system's own call table) unless a test turns
 * them on. Plans and counters are process-wide, so a test that uses them runs alone in its process,
 * as cmocka programs do; it sets plans before it starts threads. */
#ifndef SEXTANT_BASE_FAULT_H
#define SEXTANT_BASE_FAULT_H

#include <sextant/base.h>
#include <sextant/error.h>

/* Memory.
 * From now on the `nth` call of sx_alloc, sx_calloc or sx_realloc (1 is the next) returns NULL, and
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

/* Files.
 * The system calls of the file layer (include/sextant/file.h), as bits. */
typedef enum sx_fault_call {
    SX_FAULT_OPEN = 1 << 0,
    SX_FAULT_READ = 1 << 1, /* and pread */
    SX_FAULT_WRITE = 1 << 2,
    SX_FAULT_SYNC = 1 << 3,
    SX_FAULT_TRUNCATE = 1 << 4,
    SX_FAULT_STAT = 1 << 5, /* and fstat */
    SX_FAULT_RENAME = 1 << 6,
    SX_FAULT_REMOVE = 1 << 7,
    SX_FAULT_MKDIR = 1 << 8,
    SX_FAULT_LOCK = 1 << 9,
    SX_FAULT_MAP = 1 << 10,
    SX_FAULT_CLOSE = 1 << 11, /* closes, then fails */
    SX_FAULT_ANY = (1 << 12) - 1,
} sx_fault_call;

/* From now on the `nth` call among `calls` (1 is the next) fails with `os_errno`, and with
 * `and_after` every later one too; nth 0: none. A failing write first puts `torn_bytes` of its bytes
 * in the file. Every read and write moves at most `short_bytes` (0: any number), as the system may.
 * A plan of zeros turns it off. */
typedef struct sx_fault_file {
    int64_t nth;
    bool and_after;
    unsigned calls;
    int os_errno; /* ENOSPC, EIO, ... */
    size_t torn_bytes;
    size_t short_bytes;
} sx_fault_file;
void sx_fault_file_set(sx_fault_file plan);

/* Calls among plan.calls seen since the last sx_fault_file_set; counted also with nth 0 while some
 * other member is not 0 (nth INT64_MAX serves to count alone). */
int64_t sx_fault_file_calls(void);

/* Power cuts.
 * Records what the file layer does to the folder `root`, then builds folders as a disk might hold
 * them after a power cut. What is there when it starts counts as durable. The model:
 *  - A file keeps what it had at its last fsync. Of the writes and truncations since, any subset has
 *    reached the disk, each write cut at any multiple of 512 bytes of the file, or in order up to
 *    some point.
 *  - A folder keeps the names it had at its last fsync. Of the creations, renames and removals since,
 *    those up to some point have reached the disk, in order, independently of other folders and of
 *    the files' contents (so a name may be there while its bytes are not: the file is empty). The
 *    fsync of a new file does not save its name.
 *  - A rename that has reached the disk has done so as a whole.
 * Ext4 and XFS keep more than that; code that survives this survives them. */

/* Starts recording; forgets an earlier record. `root` is an existing folder, without "/" at its end;
 * files under it are named by paths that begin with it. */
sx_status sx_fault_disk_start(const char *root, sx_error *err);

/* Changes recorded so far, fsyncs included: a test cuts the power after each. */
size_t sx_fault_disk_ops(void);

/* Builds, in the new folder `into`, a disk after the first `ops` changes: the same one for the same
 * seed; seed 0 keeps all that is not durable, seed 1 nothing of it. */
sx_status sx_fault_disk_cut(size_t ops, uint64_t seed, const char *into, sx_error *err);

/* Stops recording and frees the record. SX_ENOMEM if some change could not be recorded. */
sx_status sx_fault_disk_stop(sx_error *err);

/* Sockets.
 * What sx_sock_read and sx_sock_write (lib/base/sock.h) do to their callers. */
typedef struct sx_fault_socket {
    int fd;                    /* the one socket it is for; -1: all */
    size_t split_bytes;        /* a call moves at most this many bytes; 0: any number */
    int64_t again_every;       /* each so many-th call is refused with EAGAIN; 0: none */
    int64_t reset_after_bytes; /* after so many bytes in all: ECONNRESET; below 0: never */
} sx_fault_socket;

/* Puts the plan in force; NULL turns it off. */
void sx_fault_socket_set(const sx_fault_socket *plan);

#endif
