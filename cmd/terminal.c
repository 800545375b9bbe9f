/* terminal.c - asks the operating system and the environment about a terminal. */
#include "cmd/terminal.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <sextant/str.h>

bool terminal_has_colour(int fd)
{
    const char *off = getenv("NO_COLOR"), *term = getenv("TERM");
    if (off && off[0])
        return false;
    return isatty(fd) && !(term && sx_str_eq(sx_str_z(term), SX_STR("dumb")));
}

static int number_of(const char *name)
{
    uint64_t n = 0;
    const char *text = getenv(name);
    return text && sx_str_to_u64(sx_str_z(text), &n) && n < 10000 ? (int)n : 0;
}

void terminal_size(int fd, int *columns, int *rows)
{
    struct winsize size = {0};
    bool there = isatty(fd) && ioctl(fd, TIOCGWINSZ, &size) == 0;
    *columns = number_of("COLUMNS");
    *rows = number_of("LINES");
    if (!*columns)
        *columns = there ? size.ws_col : 0;
    if (!*rows)
        *rows = there ? size.ws_row : 0;
}
