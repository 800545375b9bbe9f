/* paths.c - checks of an import's paths. See paths.h.
 *
 * Only stat(2) is used: opening a FIFO twice would take its writer away from the real reader. */
#include "geocode/import/paths.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(GEO_PATH_BYTES >= PATH_MAX, "realpath(3) writes that many bytes");

static bool stat_input(const char *path, struct stat *info)
{
    bool is_stdin = path[0] == '-' && path[1] == '\0';
    return (is_stdin ? fstat(STDIN_FILENO, info) : stat(path, info)) == 0;
}

/* Refuses inputs that are the file at `path`, which the import would write. */
static sx_status check_apart(const geo_import_options *o, const char *path, sx_error *err)
{
    struct stat out, in;
    if (stat(path, &out) != 0)
        return SX_OK;
    for (size_t i = 0; i < o->input_count; i++)
        if (stat_input(o->inputs[i].path, &in) && in.st_dev == out.st_dev &&
            in.st_ino == out.st_ino)
            return sx_fail(err, SX_EINVAL,
                           "%s would be overwritten by the index %s: it is the same file as %s; "
                           "name another output",
                           o->inputs[i].path, o->output, path);
    return SX_OK;
}

/* The output's own kind; fills `real`. */
static sx_status check_output(const char *output, char real[GEO_PATH_BYTES], sx_error *err)
{
    struct stat info;
    int len = snprintf(real, GEO_PATH_BYTES, "%s", output);
    if (len < 0 || len >= GEO_PATH_BYTES)
        return sx_fail(err, SX_EINVAL, "the output's path is longer than %d bytes",
                       GEO_PATH_BYTES - 1);
    if (lstat(output, &info) != 0)
        return SX_OK; /* not there: it will be made, or writing it says why not */
    if (S_ISLNK(info.st_mode) && (!realpath(output, real) || stat(real, &info) != 0))
        return sx_fail(
            err, SX_EINVAL,
            "%s is a symbolic link that leads nowhere (%s); remove it, or name its target", output,
            strerror(errno));
    if (S_ISREG(info.st_mode))
        return SX_OK;
    return sx_fail(err, SX_EINVAL,
                   "%s is %s, not a regular file; an index cannot take its place, name another "
                   "output",
                   output, S_ISDIR(info.st_mode) ? "a folder" : "a device, pipe or socket");
}

/* Refuses that two of the files that are written are one. */
static sx_status check_written(const geo_import_options *o, const char *real, sx_error *err)
{
    const char *const others[] = {o->base, o->report_path};
    char path[GEO_PATH_BYTES];
    for (size_t i = 0; i < 2; i++) {
        if (others[i] && (strcmp(others[i], o->output) == 0 ||
                          (realpath(others[i], path) && strcmp(path, real) == 0)))
            return sx_fail(err, SX_EINVAL, "%s is to be the index; name another file for the %s",
                           o->output, i == 0 ? "map" : "report");
    }
    return SX_OK;
}

sx_status geo_paths_check(const geo_import_options *o, char real[GEO_PATH_BYTES], sx_error *err)
{
    sx_status status = check_output(o->output, real, err);
    if (status == SX_OK)
        status = check_apart(o, real, err);
    if (status == SX_OK)
        status = check_written(o, real, err);
    if (status != SX_OK)
        return status;
    /* The index grows at PATH.tmp (sx_replace_open), whatever was there before. */
    char growing[GEO_PATH_BYTES + sizeof(".tmp")];
    (void)snprintf(growing, sizeof(growing), "%s.tmp", real);
    return check_apart(o, growing, err);
}

uint64_t geo_paths_bytes(const geo_import_options *o)
{
    uint64_t total = 0;
    for (size_t i = 0; i < o->input_count; i++) {
        struct stat info;
        if (!stat_input(o->inputs[i].path, &info) || !S_ISREG(info.st_mode) || info.st_size == 0)
            return 0;
        total += (uint64_t)info.st_size;
    }
    return total;
}
