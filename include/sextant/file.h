/* file.h - files that must survive: reading, writing, replacing, locking.
 *
 * Every durable file of Sextant goes through here, for three reasons: each call that can fail is
 * checked and its error names the path; what "durable" means is written once (write, fsync, rename,
 * fsync of the folder); and a test can make any system call fail, tear a write, or cut the power
 * (lib/base/fault.h). Everything blocks: a loop hands it to the disk pool. Paths are NUL-terminated
 * and borrowed. Files are made with mode 0600, folders with 0700. One thread per object. */
#ifndef SEXTANT_FILE_H
#define SEXTANT_FILE_H

#include <sextant/arena.h>
#include <sextant/buf.h>
#include <sextant/error.h>

SX_BEGIN_DECLS

/* Appends the whole file to `out`. SX_ELIMIT if it has more than `bytes_max` bytes (0: any);
 * SX_ENOTFOUND, SX_EACCESS, SX_EIO, SX_ENOMEM. Works for pipes and /proc too. */
sx_status sx_file_read(const char *path, size_t bytes_max, sx_buf *out, sx_error *err);

/* A whole file in memory, read-only. */
typedef struct sx_mapping {
    const char *data; /* NULL if the file is empty */
    size_t len;
} sx_mapping;

/* How the pages will be used: the kernel reads ahead or not. */
typedef enum sx_mapping_use { SX_MAP_SEQUENTIAL, SX_MAP_RANDOM } sx_mapping_use;

/* Maps the file. It must not be shortened while mapped (reading beyond its end is a SIGBUS): our
 * own files are replaced whole, never shortened. */
sx_status sx_mapping_open(sx_mapping *m, const char *path, sx_mapping_use use, sx_error *err);

/* Unmaps it; pointers into it die. Of a closed or zeroed one: does nothing. */
void sx_mapping_close(sx_mapping *m);

/* A file that is read from its start to its end. */
typedef struct sx_reader {
    int fd;
    char *path; /* heap, owned: for messages */
} sx_reader;

/* Opens `path`, or the standard input for "-". */
sx_status sx_reader_open(sx_reader *r, const char *path, sx_error *err);

/* Reads up to `cap` bytes; *got is how many, less than cap only at the end of the file. SX_END with
 * *got 0 at the end. */
sx_status sx_reader_read(sx_reader *r, void *out, size_t cap, size_t *got, sx_error *err);

/* Reads exactly `len` bytes at `offset`; SX_ECORRUPT if the file ends before. Any thread. */
sx_status sx_reader_at(const sx_reader *r, uint64_t offset, void *out, size_t len, sx_error *err);

/* Closes it (the standard input stays open); of a closed one: does nothing. */
void sx_reader_close(sx_reader *r);

/* What a writer does with a file that is there. */
typedef enum sx_writer_mode {
    SX_WRITER_NEW,    /* SX_EEXIST */
    SX_WRITER_EMPTY,  /* it is emptied */
    SX_WRITER_APPEND, /* what is written goes behind its end */
} sx_writer_mode;

/* A buffered writer. Its first failure is kept: every later call returns it again and writes
 * nothing, so that a failed fsync cannot be followed by one that seems to succeed. */
typedef struct sx_writer {
    int fd;           /* -1: closed */
    char *path;       /* heap, owned */
    char *buffer;     /* heap, owned */
    size_t len, cap;  /* of the buffer, bytes */
    uint64_t offset;  /* file offset behind the last byte given, written or still buffered */
    sx_error failure; /* status SX_OK while there is none */
} sx_writer;

/* Opens `path` for writing through a buffer of `buffer_bytes` (0: 65536). */
sx_status sx_writer_open(sx_writer *w, const char *path, sx_writer_mode mode, size_t buffer_bytes,
                         sx_error *err);

/* Gives bytes to the file; they may stay in the buffer. */
sx_status sx_writer_bytes(sx_writer *w, const void *data, size_t len, sx_error *err);

/* Hands the buffer to the operating system: what was given now survives a kill -9. */
sx_status sx_writer_flush(sx_writer *w, sx_error *err);

/* Flushes and waits for the disk: what was given now survives a power cut, if the file's name does
 * (sx_folder_sync). */
sx_status sx_writer_sync(sx_writer *w, sx_error *err);

/* Flushes and closes; the file is closed whatever it returns. SX_OK of a closed or zeroed one. */
sx_status sx_writer_close(sx_writer *w, sx_error *err);

/* Closes without flushing. */
void sx_writer_abandon(sx_writer *w);

/* A file that takes the place of another at once: whoever opens `path`, also after a crash, finds
 * all of the old one or all of the new one. The new one grows at PATH.tmp. A second writer of the
 * same path, in this process or another, is refused; what a crash left behind is overwritten. */
typedef struct sx_replace {
    sx_writer writer; /* write through it; commit or abandon closes it */
    char *path;       /* heap, owned */
} sx_replace;

/* SX_REFUSED if somebody else is replacing it now. */
sx_status sx_replace_open(sx_replace *r, const char *path, size_t buffer_bytes, sx_error *err);

/* Makes the new file durable and gives it its name. On failure the old file is still there and the
 * new one removed; except that when the very last step fails (the fsync of the folder, the message
 * says so) the new one is in place but a power cut may bring the old one back. `r` is closed
 * whatever it returns. */
sx_status sx_replace_commit(sx_replace *r, sx_error *err);

/* Removes the new file, keeps the old. Of a closed or zeroed one: does nothing. */
void sx_replace_abandon(sx_replace *r);

/* The three in one for small contents. */
sx_status sx_file_replace(const char *path, sx_str contents, sx_error *err);

/* A lock that one process holds as long as it lives: on a data directory. */
typedef struct sx_file_lock {
    int fd; /* -1: not held */
} sx_file_lock;

/* Takes the lock file `path`, made if need be, without waiting, and writes our process id in it.
 * SX_REFUSED if another holds it; the message names its process id. */
sx_status sx_file_lock_open(sx_file_lock *lock, const char *path, sx_error *err);

/* Lets it go; the file stays. */
void sx_file_lock_close(sx_file_lock *lock);

/* Makes the folder and every missing one above it, durably, mode 0700. SX_OK if it is there. */
sx_status sx_folder_make(const char *path, sx_error *err);

/* Makes names that were created, renamed or removed in the folder survive a power cut. */
sx_status sx_folder_sync(const char *path, sx_error *err);

/* The names in the folder but "." and "..", sorted by bytes, in `arena`. SX_ELIMIT if there are
 * more than `names_max` (0: any). */
sx_status sx_folder_list(const char *path, size_t names_max, sx_arena *arena, sx_str **names,
                         size_t *count, sx_error *err);

/* Removes the file, renames within one file system, cuts the file to `len` bytes. Not durable until
 * sx_folder_sync (rename, remove); sx_file_truncate is when it returns. */
sx_status sx_file_remove(const char *path, sx_error *err);
sx_status sx_file_rename(const char *from, const char *to, sx_error *err);
sx_status sx_file_truncate(const char *path, uint64_t len, sx_error *err);

typedef struct sx_file_info {
    uint64_t bytes;
    int64_t changed_ns; /* wall clock */
    uint64_t inode;
    bool is_folder;
} sx_file_info;

/* What is at `path` (symbolic links followed). SX_ENOTFOUND if nothing is. */
sx_status sx_file_stat(const char *path, sx_file_info *out, sx_error *err);

SX_END_DECLS

#endif
