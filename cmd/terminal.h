/* terminal.h - what a command's output is written to: a person's terminal, or a pipe. */
#ifndef SEXTANT_CMD_TERMINAL_H
#define SEXTANT_CMD_TERMINAL_H

#include <stdbool.h>

/* True if `fd` (1, 2) is a terminal that shows colours: none if NO_COLOR is set or TERM is dumb. */
bool terminal_has_colour(int fd);

/* Columns and rows of the terminal; 0 if `fd` is none. COLUMNS and LINES win, as everywhere. */
void terminal_size(int fd, int *columns, int *rows);

#endif
