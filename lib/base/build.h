/* build.h - what the kit is and was built by, for whoever shows it: /admin/build, sextant_build_info,
 * `sextant version`, the user agents. */
#ifndef SEXTANT_BASE_BUILD_H
#define SEXTANT_BASE_BUILD_H

/* Of the kit; meson.build gives the same to the program. */
#ifndef SX_VERSION
#define SX_VERSION "0.1.0"
#endif

#if defined(__clang__)
#define SX_COMPILER "clang " __clang_version__
#else
#define SX_COMPILER "gcc " __VERSION__
#endif

#endif
