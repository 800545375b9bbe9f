/* profile_ticks.c - see profile_ticks.h.
 *
 * The ring is the bounded queue with a turn in each slot: slot i is free for the position p (p % SIZE
 * == i) while its turn is p, and holds a record while it is p + 1; taking it makes it p + SIZE. A
 * handler that is held up between claiming a slot and filling it only makes the reader wait.
 *
 * The handler may meet a thread anywhere: in the first instruction of a function, in code without frame
 * pointers, on a foreign stack. So no word of a stack is read directly: the kernel copies what lies
 * around a frame, up to the end of its page, and says so if there is nothing. Two or three such copies
 * reach most stacks' ends.
 *
 * Why SIGPROF: it is the signal for this, its default action is never wanted, and debuggers and
 * profilers know it. Sanitizers: ThreadSanitizer holds signals back until a thread calls into its run
 * time, so shares are wrong under it; stacks and names are right. */
#include "telemetry/profile_ticks.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#include <sextant/mem.h>

#include "base/frames.h"
#include "telemetry/modules.h"

typedef struct ring {
    uint32_t head; /* the reader's: next to take */
    uint32_t tail; /* atomic: next to claim */
    uint64_t lost; /* atomic */
    int mark;
    bool flat;
    uintptr_t code_start, code_end; /* of the file that this is in: code with frame pointers */
    sx_tick slots[SX_TICKS];
} ring;

/* Process-wide, as signal handlers are. */
static struct {
    ring *ring;    /* atomic; NULL: no profile */
    int inside;    /* atomic: handlers at work */
    int taken;     /* atomic: 1 from open to close */
    int last_mark; /* of the profile that has the ring, or had it */
} ticks;

/* ---- the stack ---- */

enum { WINDOW_BYTES = 2048, PAGE_BYTES = 4096, WORD = sizeof(uintptr_t) };

/* A copy of a piece of the stack. */
typedef struct window {
    uintptr_t at, end;
    uintptr_t words[WINDOW_BYTES / WORD];
} window;

static bool copy_out(uintptr_t from, void *to, size_t len)
{
    struct iovec local = {to, len}, remote = {(void *)from, len};
    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)len;
}

/* The two words at `at`, which is a multiple of WORD; false if they are not there. */
static bool read_frame(window *w, uintptr_t at, uintptr_t out[2])
{
    if (at >= w->at && at < w->end && w->end - at >= 2 * WORD) {
        memcpy(out, &w->words[(at - w->at) / WORD], 2 * WORD);
        return true;
    }
    uintptr_t page_end = (at | (PAGE_BYTES - 1)) + 1;
    size_t len = page_end - at < WINDOW_BYTES ? page_end - at : WINDOW_BYTES;
    if (len < 2 * WORD) /* across a page's end */
        return copy_out(at, out, 2 * WORD);
    if (!copy_out(at, w->words, len))
        return false;
    w->at = at;
    w->end = at + len;
    memcpy(out, w->words, 2 * WORD);
    return true;
}

typedef struct registers {
    uintptr_t pc, stack, frame, link;
} registers;

static registers read_registers(const ucontext_t *c)
{
    registers r = {0};
#if defined(__x86_64__)
    r.pc = (uintptr_t)c->uc_mcontext.gregs[REG_RIP];
    r.stack = (uintptr_t)c->uc_mcontext.gregs[REG_RSP];
    r.frame = (uintptr_t)c->uc_mcontext.gregs[REG_RBP];
#elif defined(__aarch64__)
    r.pc = c->uc_mcontext.pc;
    r.stack = c->uc_mcontext.sp;
    r.frame = c->uc_mcontext.regs[29];
    r.link = c->uc_mcontext.regs[30];
#else
    (void)c;
#endif
    return r;
}

static bool is_ours(const ring *r, uintptr_t pc)
{
    return pc >= r->code_start && pc < r->code_end;
}

#if defined(__x86_64__)
/* Whether `back`, in our code, follows a call: a direct one of the function that `pc` is in, as far as
 * one can tell, or an indirect one (opcode FF /2, with 2 to 7 bytes). Our code is there to be read. */
static bool follows_call(const ring *r, uintptr_t back, uintptr_t pc)
{
    static const uint8_t LENGTHS[] = {2, 3, 4, 6, 7};
    enum { FUNCTION_BYTES_MOST = 65536 };
    const uint8_t *end = (const uint8_t *)back;
    if (back - r->code_start < 8)
        return false;
    if (end[-5] == 0xe8) {
        int32_t relative;
        memcpy(&relative, end - 4, sizeof(relative));
        uintptr_t target = back + (uintptr_t)(intptr_t)relative;
        if (!is_ours(r, pc) || (pc >= target && pc - target < FUNCTION_BYTES_MOST))
            return true;
    }
    for (size_t i = 0; i < SX_COUNT_OF(LENGTHS); i++)
        if (end[-LENGTHS[i]] == 0xff && (end[1 - LENGTHS[i]] >> 3 & 7) == 2)
            return true;
    return false;
}
#endif

/* Where a function without a frame returns to; 0: it seems to have one. Compilers give none to a
 * function that calls no other and needs no stack, frame pointers or not, and the C library has none in
 * memcpy or a system call; the chain of frames begins with the caller's then, and the caller itself
 * would be left out. */
static uintptr_t without_frame(const ring *r, const registers *at, window *w)
{
#if defined(__x86_64__)
    uintptr_t words[2];
    if (at->stack % WORD == 0 && read_frame(w, at->stack, words) && is_ours(r, words[0]) &&
        follows_call(r, words[0], at->pc))
        return words[0];
#else
    (void)w;
    if (!is_ours(r, at->pc) &&
        is_ours(r, at->link)) /* in our own it may be of a call that is over */
        return at->link;
#endif
    return 0;
}

static void walk(const ring *r, const registers *at, sx_tick *tick)
{
    window w = {0};
    uintptr_t words[2] = {0}, frame = at->frame;
    tick->pcs[0] = at->pc;
    tick->depth = 1;
    if (!SX_FRAME_POINTERS || r->flat)
        return;
    uintptr_t back = without_frame(r, at, &w);
    if (back)
        tick->pcs[tick->depth++] = back;
    while (tick->depth < SX_TICK_FRAMES && frame >= at->stack && frame % WORD == 0 &&
           read_frame(&w, frame, words) && words[1] >= PAGE_BYTES) {
        if (words[1] != back) /* the frame is set up, and at the same time on top: a prologue */
            tick->pcs[tick->depth++] = words[1];
        back = 0;
        if (words[0] <= frame) /* stacks grow down: a caller's frame lies above */
            break;
        frame = words[0];
    }
}

/* ---- the ring ---- */

/* A free slot, claimed; NULL: the ring is full. */
static sx_tick *claim(ring *r, uint32_t *position)
{
    uint32_t at = __atomic_load_n(&r->tail, __ATOMIC_RELAXED);
    for (;;) {
        sx_tick *slot = &r->slots[at % SX_TICKS];
        int32_t turn = (int32_t)(__atomic_load_n(&slot->turn, __ATOMIC_ACQUIRE) - at);
        if (turn < 0)
            return NULL;
        if (turn == 0 && __atomic_compare_exchange_n(&r->tail, &at, at + 1, true, __ATOMIC_RELAXED,
                                                     __ATOMIC_RELAXED)) {
            *position = at;
            return slot;
        }
        if (turn > 0)
            at = __atomic_load_n(&r->tail, __ATOMIC_RELAXED);
    }
}

static void on_tick(int number, siginfo_t *info, void *context)
{
    (void)number;
    int saved_errno = errno;
    __atomic_add_fetch(&ticks.inside, 1, __ATOMIC_SEQ_CST);
    ring *r = __atomic_load_n(&ticks.ring, __ATOMIC_SEQ_CST);
    if (r && info->si_code == SI_TIMER && info->si_value.sival_int == r->mark) {
        uint32_t position;
        uint32_t weight = 1 + (info->si_overrun > 0 ? (uint32_t)info->si_overrun : 0);
        sx_tick *slot = claim(r, &position);
        if (slot) {
            registers at = read_registers((const ucontext_t *)context);
            slot->tid = (pid_t)syscall(SYS_gettid);
            slot->weight = weight;
            walk(r, &at, slot);
            __atomic_store_n(&slot->turn, position + 1, __ATOMIC_RELEASE);
        } else {
            __atomic_add_fetch(&r->lost, weight, __ATOMIC_RELAXED);
        }
    }
    __atomic_sub_fetch(&ticks.inside, 1, __ATOMIC_SEQ_CST);
    errno = saved_errno;
}

const sx_tick *sx_ticks_peek(void)
{
    const ring *r = ticks.ring;
    const sx_tick *slot = &r->slots[r->head % SX_TICKS];
    return __atomic_load_n(&slot->turn, __ATOMIC_ACQUIRE) == r->head + 1 ? slot : NULL;
}

void sx_ticks_drop(void)
{
    ring *r = ticks.ring;
    __atomic_store_n(&r->slots[r->head % SX_TICKS].turn, r->head + SX_TICKS, __ATOMIC_RELEASE);
    r->head++;
}

uint64_t sx_ticks_lost(void)
{
    return __atomic_load_n(&ticks.ring->lost, __ATOMIC_RELAXED);
}

bool sx_ticks_flat(void)
{
    return ticks.ring->flat;
}

int sx_ticks_mark(void)
{
    return ticks.last_mark;
}

/* ---- open and close ---- */

/* Our handler once installed stays: a signal may be on its way for longer than any profile. */
static sx_status install(sx_error *err)
{
    struct sigaction now, ours = {.sa_sigaction = on_tick, .sa_flags = SA_SIGINFO | SA_RESTART};
    if (sigaction(SIGPROF, NULL, &now) != 0)
        return sx_fail_os(err, errno, "SIGPROF");
    if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_tick)
        return SX_OK;
    if ((now.sa_flags & SA_SIGINFO) || (now.sa_handler != SIG_DFL && now.sa_handler != SIG_IGN))
        return sx_fail(err, SX_REFUSED,
                       "SIGPROF has a handler already, of another profiler; remove that one");
    sigfillset(&ours.sa_mask); /* the handler is short: let nothing else in */
    if (sigaction(SIGPROF, &ours, NULL) != 0)
        return sx_fail_os(err, errno, "SIGPROF");
    return SX_OK;
}

/* Where code of ours lies, and whether a stack can be read at all: some sandboxes forbid it. */
static void look_around(ring *r, const sx_module *modules, size_t count)
{
    uintptr_t word[2], here = (uintptr_t)word & ~(uintptr_t)(WORD - 1);
    const sx_module *m = sx_module_find(modules, count, (uintptr_t)&on_tick);
    if (m) {
        r->code_start = m->code_start;
        r->code_end = m->code_end;
    }
    word[0] = word[1] = 0;
    r->flat = !copy_out(here, word, WORD);
}

sx_status sx_ticks_open(sx_error *err)
{
    if (__atomic_exchange_n(&ticks.taken, 1, __ATOMIC_ACQUIRE))
        return sx_fail(
            err, SX_REFUSED,
            "a CPU profile is running already; wait for its end, there is one at a time");
    ring *r = (ring *)sx_calloc(1, sizeof(*r));
    sx_module *modules = (sx_module *)sx_calloc(SX_MODULES_MOST, sizeof(*modules));
    sx_status status = r && modules ? install(err) : sx_fail_memory(err, "the profile");
    if (status == SX_OK) {
        for (uint32_t i = 0; i < SX_TICKS; i++)
            r->slots[i].turn = i;
        r->mark = ++ticks.last_mark;
        look_around(r, modules, sx_modules_list(modules, SX_MODULES_MOST));
        __atomic_store_n(&ticks.ring, r, __ATOMIC_SEQ_CST);
    } else {
        sx_free(r);
        __atomic_store_n(&ticks.taken, 0, __ATOMIC_RELEASE);
    }
    sx_free(modules);
    return status;
}

void sx_ticks_close(void)
{
    ring *r = __atomic_exchange_n(&ticks.ring, NULL, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&ticks.inside, __ATOMIC_SEQ_CST) > 0)
        sched_yield(); /* some microseconds: a handler waits for nothing */
    sx_free(r);
    __atomic_store_n(&ticks.taken, 0, __ATOMIC_RELEASE);
}
