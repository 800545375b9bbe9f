/* crash.c - the signal handler: who may run it, what guards it, how the process ends after it.
 *
 * The first thread that crashes makes the report; others that crash meanwhile wait for it. Each step
 * (crash_report.c) runs under a jump point: a fault inside it comes back here and the next step goes
 * on. At the end the signal's default action is put back and the signal sent again, which is
 * delivered as the handler returns: with the registers of the crash, as a core dump wants them. */
#include <sextant/crash.h>

#include <errno.h>
#include <execinfo.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <sextant/mem.h>

#include "telemetry/crash_report.h"
#include "telemetry/log_lane.h"

static const int SIGNALS[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

enum { STACK_BYTES = 65536, OTHERS_WAIT_MS = 5000, WRITE_WAIT_MS = 1000 };

/* Process-wide on purpose, as signal handlers are. Written by install and uninstall; read by the
 * handler, which `installed` (atomic) tells that it is whole. */
static struct {
    int installed; /* atomic */
    bool ours[SX_COUNT_OF(SIGNALS)];
    int fd;
    bool owns_fd, text;
    uint32_t flush_ms;
    sx_log *log;
    sx_crash_report *report;
    pid_t owner; /* atomic: the thread that makes the report; 0: none */
    sigjmp_buf rescue;
    volatile sig_atomic_t guarded; /* a fault of the owner goes to `rescue` */
} crash;

/* The thread's alternate stack: mapped, with a page below that faults. NULL: none of ours. */
static __thread char *thread_stack;

/* ---- the end ---- */

static pid_t own_tid(void)
{
    return (pid_t)syscall(SYS_gettid);
}

static void die_as_usual(int number)
{
    struct sigaction usual = {.sa_handler = SIG_DFL};
    sigaction(number, &usual, NULL);
    syscall(SYS_tgkill, getpid(), own_tid(), number);
}

/* ---- the report ---- */

/* In pieces that a pipe takes whole once it is ready, so that a reader that has stopped reading cannot
 * keep a dead program alive. */
static void write_whole(int fd, sx_str s)
{
    while (s.len > 0) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        if (poll(&p, 1, WRITE_WAIT_MS) <= 0)
            return;
        ssize_t done = write(fd, s.data, s.len < PIPE_BUF ? s.len : PIPE_BUF);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return;
        s = sx_str_from(s, (size_t)done);
    }
}

static void write_report(sx_crash_report *r)
{
    write_whole(crash.fd, crash.text ? sx_crash_text(r) : sx_crash_json(r));
    int log_fd = crash.log ? sx_log_crash_fd(crash.log) : -1;
    if (log_fd >= 0 && log_fd != crash.fd)
        write_whole(log_fd, crash.log->console ? sx_crash_text(r) : sx_crash_json(r));
}

static void flush_log(sx_crash_report *r)
{
    (void)r;
    if (crash.log)
        sx_log_crash_flush(crash.log, crash.flush_ms);
}

/* Runs a step; a fault in it ends only the step. */
static void guard(void (*step)(sx_crash_report *r), sx_crash_report *r)
{
    if (sigsetjmp(crash.rescue, 0) == 0) {
        crash.guarded = 1;
        step(r);
    }
    crash.guarded = 0;
}

static void on_signal(int number, siginfo_t *info, void *context)
{
    static void (*const STEPS[])(sx_crash_report *) = {sx_crash_find_context, sx_crash_find_frames,
                                                       sx_crash_find_symbols, flush_log,
                                                       write_report};
    int saved_errno = errno;
    pid_t nobody = 0, self = own_tid();
    if (!__atomic_compare_exchange_n(&crash.owner, &nobody, self, false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
        if (nobody == self && crash.guarded)
            siglongjmp(crash.rescue, 1);
        for (int waited = 0; nobody != self && waited < OTHERS_WAIT_MS; waited += 10)
            (void)poll(NULL, 0, 10); /* the owner ends the process */
        die_as_usual(number);
        return;
    }
    sx_crash_find_cause(crash.report, number, info, context);
    for (size_t i = 0; i < SX_COUNT_OF(STEPS); i++)
        guard(STEPS[i], crash.report);
    die_as_usual(number);
    errno = saved_errno;
}

/* ---- installing ---- */

static bool is_default(int number)
{
    struct sigaction now;
    return sigaction(number, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) &&
           now.sa_handler == SIG_DFL;
}

static void install_handlers(void)
{
    struct sigaction ours = {.sa_sigaction = on_signal,
                             /* NODEFER: a fault of the handler must reach it, not kill at once. */
                             .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigemptyset(&ours.sa_mask);
    for (size_t i = 0; i < SX_COUNT_OF(SIGNALS); i++)
        crash.ours[i] = is_default(SIGNALS[i]) && sigaction(SIGNALS[i], &ours, NULL) == 0;
}

static void copy_name(char out[64], const char *name)
{
    sx_str s = sx_str_first(sx_str_z(name), 63);
    if (s.len)
        memcpy(out, s.data, s.len);
    out[s.len] = '\0';
}

sx_status sx_crash_install(const sx_crash_options *options, sx_error *err)
{
    sx_crash_uninstall();
    crash.report = (sx_crash_report *)sx_calloc(1, sizeof(*crash.report));
    if (!crash.report)
        return sx_fail_memory(err, "the crash handler");
    crash.owns_fd = options->path != NULL;
    crash.fd = options->path ? sx_log_open_file(options->path, err)
               : options->fd ? options->fd
                             : STDERR_FILENO;
    if (crash.fd < 0) {
        sx_free(crash.report);
        crash.report = NULL;
        return err ? err->status : SX_EIO;
    }
    copy_name(crash.report->service, options->service);
    copy_name(crash.report->version, options->version);
    crash.text =
        options->form == SX_LOG_CONSOLE || (options->form == SX_LOG_AUTO && isatty(crash.fd));
    crash.flush_ms = options->flush_ms ? options->flush_ms : 500;
    crash.log = options->log;
    crash.owner = 0;
    sx_crash_modules(crash.report);
    void *first[1]; /* the first call loads libgcc, which takes locks and memory */
    (void)backtrace(first, 1);
    __atomic_store_n(&crash.installed, 1, __ATOMIC_RELEASE);
    install_handlers();
    sx_status status = sx_crash_thread_enter(err);
    if (status)
        sx_crash_uninstall();
    return status;
}

void sx_crash_uninstall(void)
{
    if (!__atomic_load_n(&crash.installed, __ATOMIC_ACQUIRE))
        return;
    struct sigaction usual = {.sa_handler = SIG_DFL};
    for (size_t i = 0; i < SX_COUNT_OF(SIGNALS); i++) {
        if (crash.ours[i])
            sigaction(SIGNALS[i], &usual, NULL);
        crash.ours[i] = false;
    }
    __atomic_store_n(&crash.installed, 0, __ATOMIC_RELEASE);
    if (crash.owns_fd)
        close(crash.fd);
    sx_free(crash.report);
    crash.report = NULL;
    crash.log = NULL;
}

bool sx_crash_watches(int signal_number)
{
    for (size_t i = 0; i < SX_COUNT_OF(SIGNALS); i++)
        if (SIGNALS[i] == signal_number)
            return crash.ours[i];
    return false;
}

/* ---- alternate stacks ---- */

sx_status sx_crash_thread_enter(sx_error *err)
{
    stack_t now;
    if (!__atomic_load_n(&crash.installed, __ATOMIC_ACQUIRE) || thread_stack ||
        sigaltstack(NULL, &now) != 0 || !(now.ss_flags & SS_DISABLE))
        return SX_OK; /* a sanitizer's or the program's own serves as well */
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *memory = (char *)mmap(NULL, page + STACK_BYTES, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED)
        return sx_fail_os(err, errno, "no alternate stack for the crash handler");
    stack_t ours = {.ss_sp = memory + page, .ss_size = STACK_BYTES};
    if (mprotect(memory, page, PROT_NONE) != 0 || sigaltstack(&ours, NULL) != 0) {
        sx_fail_os(err, errno, "the crash handler's alternate stack cannot be set");
        munmap(memory, page + STACK_BYTES);
        return err ? err->status : SX_EIO;
    }
    thread_stack = memory;
    return SX_OK;
}

void sx_crash_thread_leave(void)
{
    if (!thread_stack)
        return;
    stack_t none = {.ss_flags = SS_DISABLE};
    sigaltstack(&none, NULL);
    munmap(thread_stack, (size_t)sysconf(_SC_PAGESIZE) + STACK_BYTES);
    thread_stack = NULL;
}
