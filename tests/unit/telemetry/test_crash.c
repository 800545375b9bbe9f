/* test_crash.c - a program that dies says why, where and in which request, and dies all the same.
 *
 * Each case runs in a forked child, which the parent waits for. A sanitizer keeps some signals for
 * itself: cases by such a signal are skipped there, as the handler is not ours. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <sextant/arena.h>
#include <sextant/context.h>
#include <sextant/crash.h>
#include <sextant/json.h>
#include <sextant/metrics.h>

#include "telemetry/elf_symbols.h"

typedef struct fixture {
    char path[64];
    char text[131072]; /* what the child left */
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    snprintf(f->path, sizeof(f->path), "/tmp/sx-test-crash-XXXXXX");
    close(mkstemp(f->path));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    unlink(f->path);
    free(f);
    return 0;
}

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                               \
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

/* cmocka has handlers of its own, which would stay. */
static void forget_cmocka(void)
{
    static const int SIGNALS[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    for (size_t i = 0; !SANITIZED && i < SX_COUNT_OF(SIGNALS); i++)
        signal(SIGNALS[i], SIG_DFL);
}

/* Whether a handler of ours would be in place for that signal. */
static bool watched(int number)
{
    forget_cmocka();
    sx_error err = {0};
    assert_int_equal(sx_crash_install(&(sx_crash_options){0}, &err), SX_OK);
    bool ours = sx_crash_watches(number);
    sx_crash_uninstall();
    return ours;
}

static void be_quiet(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
}

/* Runs `crash` in a child with the handler installed; checks that it died of `number` and reads what
 * it left in the file. */
static void run(fixture *f, int number, sx_crash_options o, void (*crash)(fixture *f))
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        be_quiet();
        forget_cmocka();
        alarm(30);
        o.path = f->path;
        o.service = "shop";
        o.version = "1.4";
        if (sx_crash_install(&o, NULL) == SX_OK)
            crash(f);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), number);
    int fd = open(f->path, O_RDONLY);
    ssize_t got = read(fd, f->text, sizeof(f->text) - 1);
    close(fd);
    assert_true(got >= 0);
    f->text[got] = '\0';
}

/* The crash line is the file's last; it must be strict JSON. */
static void check_json(const fixture *f)
{
    size_t len = strlen(f->text);
    assert_true(len > 0 && f->text[len - 1] == '\n');
    const char *line = f->text + len - 1;
    while (line > f->text && line[-1] != '\n')
        line--;
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    sx_json reader;
    sx_error err = {0};
    sx_json_init(&reader, sx_str_z(line), &(sx_json_options){.arena = &arena});
    assert_true(sx_json_skip(&reader));
    if (sx_json_finish(&reader, &err) != SX_OK)
        fail_msg("%s in %s", err.message, line);
    sx_arena_done(&arena);
}

static void assert_says(const fixture *f, const char *what)
{
    if (!strstr(f->text, what))
        fail_msg("no %s in %s", what, f->text);
}

/* ---- ways to die ---- */

static volatile int sink;
static volatile uintptr_t bad_address = 16; /* that the compiler does not see through */
static volatile bool for_ever = true;

static __attribute__((noinline)) void write_to_null(fixture *f)
{
    *(volatile int *)bad_address = f->text[0];
    sink++;
}

static __attribute__((noinline)) void in_a_request(fixture *f)
{
    sx_context c = {.request_id = SX_STR("r-\"17\"")};
    memset(c.span.trace_id, 0xab, sizeof(c.span.trace_id));
    memset(c.span.span_id, 0xcd, sizeof(c.span.span_id));
    const sx_context *outer = sx_context_enter(&c);
    prctl(PR_SET_NAME, "till-7");
    write_to_null(f);
    sx_context_leave(outer);
}

static void test_a_bad_pointer_is_reported_with_its_request(void **state)
{
    fixture *f = *state;
    if (!watched(SIGSEGV))
        skip();
    run(f, SIGSEGV, (sx_crash_options){0}, in_a_request);
    check_json(f);
    assert_says(f, "\"level\":\"FATAL\",\"service\":\"shop\",\"version\":\"1.4\"");
    assert_says(f, "\"trace_id\":\"abababababababababababababababab\"");
    assert_says(f, "\"span_id\":\"cdcdcdcdcdcdcdcd\"");
    assert_says(f, "\"request_id\":\"r-\\\"17\\\"\"");
    assert_says(f, "\"message\":\"SIGSEGV: address not mapped at 0x10\"");
    assert_says(f, "\"address\":\"0x10\",\"thread\":\"till-7\"");
    assert_says(f, "\"function\":\"write_to_null\"");
    assert_says(f, "\"function\":\"in_a_request\"");
    /* The frame of the fault comes first. */
    assert_true(strstr(f->text, "write_to_null") < strstr(f->text, "in_a_request"));
}

static void test_text_is_for_people(void **state)
{
    fixture *f = *state;
    if (!watched(SIGSEGV))
        skip();
    run(f, SIGSEGV, (sx_crash_options){.form = SX_LOG_CONSOLE}, in_a_request);
    assert_says(f, " FATAL crash: SIGSEGV: address not mapped at 0x10 service=shop version=1.4 "
                   "thread=till-7 request_id=r-\\\"17\\\" trace_id=abab");
    assert_says(f, "\n    #0 0x");
    assert_says(f, " write_to_null+0x");
}

static void divide(fixture *f)
{
    (void)f;
#if defined(__x86_64__)
    __asm__ volatile("xorl %%ecx, %%ecx; movl $1, %%eax; cltd; idivl %%ecx" ::
                         : "eax", "ecx", "edx");
#else
    raise(SIGFPE);
#endif
}

static void beyond_a_file(fixture *f)
{
    int fd = open(f->path, O_RDWR);
    char *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0); /* the file is empty */
    sink = *(volatile char *)page;
}

static void illegal(fixture *f)
{
    (void)f;
    __builtin_trap();
}

static void give_up(fixture *f)
{
    (void)f;
    abort();
}

static void fail_an_assertion(fixture *f)
{
    sx_assert(f == NULL);
}

static void test_each_signal_is_named(void **state)
{
    static const struct {
        int number;
        void (*crash)(fixture *f);
        const char *message;
    } CASES[] = {
        {SIGFPE, divide, "\"message\":\"SIGFPE: integer divided by zero at 0x"},
        {SIGBUS, beyond_a_file, "\"message\":\"SIGBUS: beyond the end of a file at 0x"},
        {SIGILL, illegal, "\"message\":\"SIGILL: "},
        {SIGABRT, give_up, "\"message\":\"SIGABRT: raised by the program\""},
        {SIGABRT, fail_an_assertion, "\"message\":\"SIGABRT: raised by the program\""},
    };
    fixture *f = *state;
    for (size_t i = 0; i < SX_COUNT_OF(CASES); i++) {
        if (!watched(CASES[i].number))
            continue;
        assert_int_equal(truncate(f->path, 0), 0);
        run(f, CASES[i].number, (sx_crash_options){0}, CASES[i].crash);
        check_json(f);
        assert_says(f, CASES[i].message);
    }
}

/* ---- bad stacks ---- */

static __attribute__((noinline)) int go_down(volatile int *above)
{
    volatile int here[64] = {0};
    here[0] = *above + 1;
    return for_ever ? go_down(here) + here[0] : 0;
}

static void overflow(fixture *f)
{
    (void)f;
    volatile int start = 0;
    sink = go_down(&start);
}

static void test_an_overflow_of_the_stack_is_reported(void **state)
{
    fixture *f = *state;
    if (!watched(SIGSEGV))
        skip();
    run(f, SIGSEGV, (sx_crash_options){0}, overflow);
    check_json(f);
    assert_says(f, "the stack is full");
    assert_says(f, "\"function\":\"go_down\"");
}

static void *overflow_thread(void *arg)
{
    sx_telemetry_thread_join(); /* gives it an alternate stack */
    overflow(arg);
    return NULL;
}

static void overflow_in_a_thread(fixture *f)
{
    pthread_t thread;
    pthread_create(&thread, NULL, overflow_thread, f);
    pthread_join(thread, NULL);
}

static void test_also_in_a_thread_that_has_joined(void **state)
{
    fixture *f = *state;
    if (!watched(SIGSEGV))
        skip();
    run(f, SIGSEGV, (sx_crash_options){0}, overflow_in_a_thread);
    check_json(f);
    assert_says(f, "the stack is full");
}

static __attribute__((noinline)) void call_nothing(fixture *f)
{
    void (*volatile nowhere)(fixture *) = NULL;
    nowhere(f);
    sink++;
}

static void test_a_call_of_null_names_its_caller(void **state)
{
    fixture *f = *state;
    if (!watched(SIGSEGV))
        skip();
    run(f, SIGSEGV, (sx_crash_options){0}, call_nothing);
    check_json(f);
    assert_says(f, "{\"pc\":\"0x0\"}");
    assert_says(f, "\"function\":\"call_nothing\"");
}

static __attribute__((noinline)) void spoil_the_stack(fixture *f)
{
    (void)f;
#if defined(__x86_64__)
    __asm__ volatile("movq $0x4141414141414140, %%rbp; movq $0x4141414141414140, %%rsp; "
                     "movq %%rax, 16" ::
                         : "memory");
#else
    raise(SIGSEGV);
#endif
}

static void test_a_spoilt_stack_costs_only_the_backtrace(void **state)
{
    fixture *f = *state;
    if (!watched(SIGSEGV))
        skip();
    run(f, SIGSEGV, (sx_crash_options){0}, spoil_the_stack);
    check_json(f);
    assert_says(f, "\"function\":\"spoil_the_stack\"");
}

static void with_a_bad_context(fixture *f)
{
    sx_context c = {.request_id = sx_str_of((const char *)0x10, 100)};
    sx_context_enter(&c);
    write_to_null(f);
}

static void test_a_bad_context_costs_only_itself(void **state)
{
    fixture *f = *state;
    if (!watched(SIGSEGV))
        skip();
    run(f, SIGSEGV, (sx_crash_options){0}, with_a_bad_context);
    check_json(f);
    assert_says(f, "\"function\":\"write_to_null\"");
}

/* ---- the log ---- */

static void log_and_abort(fixture *f)
{
    sx_log *log;
    sx_log_new(&(sx_log_options){.path = f->path, .service = "shop"}, &log, NULL);
    sx_crash_install(&(sx_crash_options){.path = f->path, .service = "shop", .log = log}, NULL);
    sx_telemetry_thread_join();
    for (int i = 0; i < 15; i++)
        SX_LOG_INFO(sx_log_logger(log, ""), NULL, "said just before");
    SX_LOG_INFO(sx_log_logger(log, ""), NULL, "the last line");
    abort();
}

static void test_what_the_log_holds_is_written_before(void **state)
{
    fixture *f = *state;
    run(f, SIGABRT, (sx_crash_options){0}, log_and_abort);
    check_json(f);
    assert_says(f, "the last line");
    assert_says(f, "\"message\":\"said just before (repeated)\",\"repeats\":5");
    assert_true(strstr(f->text, "the last line") < strstr(f->text, "SIGABRT"));
}

static void *hold_up(void *arg)
{
    (void)arg;
    abort();
}

static void abort_with_a_stuck_log(fixture *f)
{
    int ends[2];
    sx_log *log;
    if (pipe(ends) != 0 || sx_log_new(&(sx_log_options){.fd = ends[1],
                                                        .form = SX_LOG_JSON,
                                                        .repeats_max = SX_LOG_REPEATS_ALL},
                                      &log, NULL) != SX_OK)
        return;
    for (int i = 0; i < 2000; i++) /* nobody reads */
        SX_LOG_INFO(sx_log_logger(log, ""), NULL, "a line that fills the pipe sooner or later");
    sx_crash_install(&(sx_crash_options){.path = f->path, .log = log, .flush_ms = 50}, NULL);
    hold_up(f);
}

static void test_a_stuck_log_does_not_keep_the_program_alive(void **state)
{
    fixture *f = *state;
    run(f, SIGABRT, (sx_crash_options){0}, abort_with_a_stuck_log);
    check_json(f);
    assert_says(f, "SIGABRT");
}

/* ---- several threads ---- */

static void abort_in_many_threads(fixture *f)
{
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        pthread_create(&threads[i], NULL, hold_up, f);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
}

static void test_the_first_of_several_crashes_is_reported_once(void **state)
{
    fixture *f = *state;
    run(f, SIGABRT, (sx_crash_options){0}, abort_in_many_threads);
    check_json(f);
    const char *first = strstr(f->text, "\"level\":\"FATAL\"");
    assert_non_null(first);
    assert_null(strstr(first + 1, "\"level\":\"FATAL\""));
}

/* ---- installing ---- */

static void on_usr(int number)
{
    (void)number;
}

static void test_a_handler_that_is_there_stays(void **state)
{
    (void)state;
    struct sigaction theirs = {.sa_handler = on_usr}, before, now;
    sigaction(SIGILL, &theirs, &before);
    assert_int_equal(sx_crash_install(&(sx_crash_options){0}, NULL), SX_OK);
    assert_false(sx_crash_watches(SIGILL));
    assert_true(sx_crash_watches(SIGABRT));
    assert_false(sx_crash_watches(SIGTERM));
    sx_crash_uninstall();
    assert_false(sx_crash_watches(SIGABRT));
    sigaction(SIGILL, &before, &now);
    assert_ptr_equal(now.sa_handler, on_usr);
}

static void test_a_file_that_cannot_be_opened_is_named(void **state)
{
    (void)state;
    sx_error err = {0};
    assert_int_equal(sx_crash_install(&(sx_crash_options){.path = "/nowhere/at/all"}, &err),
                     SX_ENOTFOUND);
    assert_non_null(strstr(err.message, "/nowhere/at/all"));
    assert_false(sx_crash_watches(SIGABRT));
}

/* ---- symbols ---- */

static void test_symbols_of_a_cut_file_never_fault(void **state)
{
    (void)state;
    sx_elf whole, cut;
    assert_true(sx_elf_open(&whole, "/proc/self/exe"));
    assert_true(sx_elf_build_id(&whole).len > 0);
    sx_str name;
    uint64_t offset;
    char *copy = malloc(whole.len);
    memcpy(copy, whole.data, whole.len);
    for (size_t len = 0; len < whole.len; len += len < 4096 ? 1 : 997) {
        char *exact = malloc(len ? len : 1); /* so that a sanitizer sees a byte too far */
        memcpy(exact, copy, len);
        cut = (sx_elf){exact, len};
        (void)sx_elf_build_id(&cut);
        (void)sx_elf_function(&cut, 0x1234, &name, &offset);
        free(exact);
        if (len > 4096 && len < whole.len - 65536)
            len += whole.len / 64;
    }
    free(copy);
    assert_false(sx_elf_function(&whole, UINT64_MAX, &name, &offset));
    sx_elf_close(&whole);
    assert_false(sx_elf_open(&whole, "/nowhere"));
    assert_false(sx_elf_open(&whole, "/"));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(test_a_bad_pointer_is_reported_with_its_request),
        CASE(test_text_is_for_people),
        CASE(test_each_signal_is_named),
        CASE(test_an_overflow_of_the_stack_is_reported),
        CASE(test_also_in_a_thread_that_has_joined),
        CASE(test_a_call_of_null_names_its_caller),
        CASE(test_a_spoilt_stack_costs_only_the_backtrace),
        CASE(test_a_bad_context_costs_only_itself),
        CASE(test_what_the_log_holds_is_written_before),
        CASE(test_a_stuck_log_does_not_keep_the_program_alive),
        CASE(test_the_first_of_several_crashes_is_reported_once),
        CASE(test_a_handler_that_is_there_stays),
        CASE(test_a_file_that_cannot_be_opened_is_named),
        CASE(test_symbols_of_a_cut_file_never_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
