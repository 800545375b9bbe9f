/* cmocka_all.h - cmocka and what it wants to see included before itself. */
#ifndef SEXTANT_TESTS_CMOCKA_ALL_H
#define SEXTANT_TESTS_CMOCKA_ALL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
