/* supervisor.c - starting, watching, restarting and stopping children.
 *
 * One thread, one poll(2): a signalfd for everything that happens to us or to a child, and each
 * child's stderr. A child is STOPPED (waiting for its restart), RUNNING, or ENDING (told to stop). */
#include "service/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINE_BYTES_MAX = 4096, STEADY_MS = 60000 };

typedef struct child {
    const sx_child_def *def;
    pid_t pid;      /* 0 while stopped */
    int stderr_fd;  /* -1 while closed */
    bool was_ready; /* since its last start */
    int64_t started_ms;
    int64_t start_at_ms; /* when to start again; only while stopped */
    uint32_t failures;   /* ends in a row that came too soon */
    size_t line_len;
    char line[LINE_BYTES_MAX];
    char last_line[256]; /* what it said last, for the message when we give up */
} child;

typedef struct supervisor {
    sx_supervisor_options o;
    int signal_fd;
    sigset_t old_mask;
    bool stopping;
    int64_t kill_at_ms;
    child children[SX_CHILDREN_MAX];
} supervisor;

int64_t sx_restart_wait_ms(uint32_t failures, uint32_t least, uint32_t most)
{
    int64_t wait = least;
    for (uint32_t i = 1; i < failures && wait < most; i++)
        wait *= 2;
    return wait < most ? wait : most;
}

static int64_t now_ms(const supervisor *s)
{
    return sx_clock_mono_ms(s->o.clock);
}

/* In the child, between fork and exec: only calls that are safe there. */
static void become_child(const supervisor *s, const child *c, int stderr_fd, pid_t parent)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) /* it died before the line above: nobody would tell us */
        _exit(1);
    sigprocmask(SIG_SETMASK, &s->old_mask, NULL);
    dup2(stderr_fd, STDERR_FILENO);
    execv(c->def->argv[0], c->def->argv);
    static const char WORDS[] = "cannot be executed\n";
    ssize_t ignored = write(STDERR_FILENO, WORDS, sizeof(WORDS) - 1);
    (void)ignored; /* stderr is all there is to say it with */
    _exit(127);
}

static sx_status start_child(supervisor *s, child *c, sx_error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return sx_fail_os(err, errno, "cannot make a pipe for %s", c->def->name);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0) {
        int why = errno;
        close(ends[0]);
        close(ends[1]);
        return sx_fail_os(err, why, "cannot start %s", c->def->name);
    }
    if (pid == 0)
        become_child(s, c, ends[1], parent);
    close(ends[1]);
    c->pid = pid;
    c->stderr_fd = ends[0];
    c->was_ready = false;
    c->line_len = 0;
    c->started_ms = now_ms(s);
    return SX_OK;
}

static void take_line(supervisor *s, child *c, sx_str line)
{
    snprintf(c->last_line, sizeof(c->last_line), "%.*s", SX_ARG(line));
    sx_str word, rest;
    if (sx_str_cut(line, ' ', &word, &rest) && sx_str_eq(word, SX_STR("ready")) && !c->was_ready) {
        sx_str name, addresses;
        sx_str_cut(rest, ' ', &name, &addresses);
        c->was_ready = true;
        if (s->o.ready)
            s->o.ready(s->o.ctx, c->def, addresses);
    } else if (s->o.line) {
        s->o.line(s->o.ctx, c->def, line);
    }
}

/* Passes on whole lines; a line longer than the buffer is passed on in pieces. */
static void split_lines(supervisor *s, child *c)
{
    sx_str rest = sx_str_of(c->line, c->line_len), line, after;
    while (sx_str_cut(rest, '\n', &line, &after)) {
        take_line(s, c, line);
        rest = after;
    }
    if (rest.len == sizeof(c->line)) {
        take_line(s, c, rest);
        rest.len = 0;
    }
    memmove(c->line, rest.data, rest.len);
    c->line_len = rest.len;
}

static void read_stderr(supervisor *s, child *c)
{
    for (;;) {
        ssize_t n = read(c->stderr_fd, c->line + c->line_len, sizeof(c->line) - c->line_len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            close(c->stderr_fd);
            c->stderr_fd = -1;
            return;
        }
        c->line_len += (size_t)n;
        split_lines(s, c);
    }
}

static void describe_end(int status, char *out, size_t room)
{
    if (WIFSIGNALED(status))
        snprintf(out, room, "killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(out, room, "exit status %d", WEXITSTATUS(status));
}

static sx_status child_ended(supervisor *s, child *c, int status, sx_error *err)
{
    char why[64];
    describe_end(status, why, sizeof(why));
    if (c->stderr_fd >= 0)
        read_stderr(s, c);
    if (c->stderr_fd >= 0) /* a grandchild holds the other end: it is not ours to wait for */
        close(c->stderr_fd);
    c->stderr_fd = -1;
    c->pid = 0;
    if (s->stopping)
        return SX_OK;
    c->failures = now_ms(s) - c->started_ms >= STEADY_MS ? 1 : c->failures + 1;
    /* Status 2 says that its command line is wrong, which no restart mends. */
    bool hopeless = WIFEXITED(status) && WEXITSTATUS(status) == 2;
    if (!c->was_ready && (hopeless || c->failures >= s->o.failures_max))
        return sx_fail(err, SX_ELIMIT, "%s ended %u time%s without becoming ready (%s): %s",
                       c->def->name, c->failures, c->failures == 1 ? "" : "s", why, c->last_line);
    int64_t wait = sx_restart_wait_ms(c->failures, s->o.restart_ms_least, s->o.restart_ms_most);
    c->start_at_ms = now_ms(s) + wait;
    if (s->o.restarting)
        s->o.restarting(s->o.ctx, c->def, why, wait);
    return SX_OK;
}

static sx_status reap(supervisor *s, sx_error *err)
{
    for (size_t i = 0; i < s->o.child_count; i++) {
        child *c = &s->children[i];
        int status;
        if (c->pid == 0 || waitpid(c->pid, &status, WNOHANG) != c->pid)
            continue;
        sx_status result = child_ended(s, c, status, err);
        if (result != SX_OK)
            return result;
    }
    return SX_OK;
}

static void signal_children(const supervisor *s, int signal)
{
    for (size_t i = 0; i < s->o.child_count; i++) {
        if (s->children[i].pid)
            kill(s->children[i].pid, signal);
    }
}

static void begin_stop(supervisor *s)
{
    /* A second request does not wait for the drain. */
    signal_children(s, s->stopping ? SIGKILL : SIGTERM);
    if (!s->stopping)
        s->kill_at_ms = now_ms(s) + s->o.stop_ms_max;
    s->stopping = true;
}

static sx_status read_signals(supervisor *s, sx_error *err)
{
    struct signalfd_siginfo info;
    while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
            begin_stop(s);
        else if (info.ssi_signo != SIGCHLD)
            signal_children(s, (int)info.ssi_signo);
    }
    return reap(s, err);
}

static bool any_running(const supervisor *s)
{
    for (size_t i = 0; i < s->o.child_count; i++) {
        if (s->children[i].pid)
            return true;
    }
    return false;
}

/* Starts what is due, kills what overstayed; returns milliseconds until there is more to do, or -1. */
static int64_t due_work(supervisor *s, sx_status *status, sx_error *err)
{
    int64_t now = now_ms(s), next = -1;
    if (s->stopping && now >= s->kill_at_ms)
        signal_children(s, SIGKILL);
    if (s->stopping)
        return now >= s->kill_at_ms ? 100 : s->kill_at_ms - now;
    for (size_t i = 0; i < s->o.child_count; i++) {
        child *c = &s->children[i];
        if (c->pid)
            continue;
        if (now >= c->start_at_ms) {
            *status = start_child(s, c, err);
            if (*status != SX_OK)
                return 0;
        } else if (next < 0 || c->start_at_ms - now < next) {
            next = c->start_at_ms - now;
        }
    }
    return next;
}

static void wait_for_events(supervisor *s, int64_t wait_ms)
{
    struct pollfd fds[SX_CHILDREN_MAX + 1];
    nfds_t count = 0;
    fds[count++] = (struct pollfd){.fd = s->signal_fd, .events = POLLIN};
    for (size_t i = 0; i < s->o.child_count; i++)
        fds[count++] = (struct pollfd){.fd = s->children[i].stderr_fd, .events = POLLIN};
    if (poll(fds, count, (int)wait_ms) <= 0)
        return;
    for (size_t i = 0; i < s->o.child_count; i++) {
        if (fds[i + 1].revents && s->children[i].stderr_fd >= 0)
            read_stderr(s, &s->children[i]);
    }
}

static sx_status run(supervisor *s, sx_error *err)
{
    sx_status status = SX_OK;
    while (status == SX_OK && (!s->stopping || any_running(s))) {
        int64_t wait = due_work(s, &status, err);
        if (status != SX_OK)
            break;
        wait_for_events(s, wait);
        status = read_signals(s, err);
    }
    if (status != SX_OK) { /* one child cannot be kept: the others are stopped, its error stays */
        begin_stop(s);
        while (any_running(s)) {
            sx_status ignored = SX_OK;
            wait_for_events(s, due_work(s, &ignored, NULL));
            read_signals(s, NULL);
        }
    }
    return status;
}

sx_status sx_supervise(const sx_supervisor_options *options, sx_error *err)
{
    supervisor s = {.o = *options};
    if (s.o.child_count > SX_CHILDREN_MAX)
        return sx_fail(err, SX_ELIMIT, "%zu children, at most %d can be run", s.o.child_count,
                       SX_CHILDREN_MAX);
    s.o.clock = s.o.clock ? s.o.clock : sx_clock_system();
    s.o.restart_ms_least = s.o.restart_ms_least ? s.o.restart_ms_least : 250;
    s.o.restart_ms_most = s.o.restart_ms_most ? s.o.restart_ms_most : 30000;
    s.o.stop_ms_max = s.o.stop_ms_max ? s.o.stop_ms_max : 15000;
    s.o.failures_max = s.o.failures_max ? s.o.failures_max : 5;
    for (size_t i = 0; i < s.o.child_count; i++)
        s.children[i] = (child){.def = &s.o.children[i], .stderr_fd = -1};

    sigset_t wanted;
    sigemptyset(&wanted);
    static const int SIGNALS[] = {SIGTERM, SIGINT, SIGCHLD, SIGHUP, SIGUSR1};
    for (size_t i = 0; i < SX_COUNT_OF(SIGNALS); i++)
        sigaddset(&wanted, SIGNALS[i]);
    sigprocmask(SIG_BLOCK, &wanted, &s.old_mask);
    s.signal_fd = signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC);
    if (s.signal_fd < 0) {
        sigprocmask(SIG_SETMASK, &s.old_mask, NULL);
        return sx_fail_os(err, errno, "cannot watch for signals");
    }
    sx_status status = run(&s, err);
    close(s.signal_fd);
    sigprocmask(SIG_SETMASK, &s.old_mask, NULL);
    return status;
}
