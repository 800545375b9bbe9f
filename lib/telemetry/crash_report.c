/* crash_report.c - finding out and writing down: see crash_report.h. */
#include "telemetry/crash_report.h"

#include <execinfo.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

#include <sextant/clock.h>
#include <sextant/context.h>

#include "telemetry/elf_symbols.h"
#include "telemetry/log_lane.h"
#include "telemetry/text.h"

/* ---- modules ---- */

static void copy_cut(char *out, size_t size, sx_str s)
{
    s = sx_str_first(s, size - 1);
    if (s.len)
        memcpy(out, s.data, s.len);
    out[s.len] = '\0';
}

void sx_crash_modules(sx_crash_report *r)
{
    r->module_count = sx_modules_list(r->modules, SX_COUNT_OF(r->modules));
}

static const sx_module *find_module(const sx_crash_report *r, uintptr_t pc)
{
    return sx_module_find(r->modules, r->module_count, pc);
}

/* ---- the cause ---- */

static const struct {
    int number;
    const char *name;
    bool has_address; /* si_addr is the address that could not be used, or the instruction's */
} SIGNALS[] = {
    {SIGSEGV, "SIGSEGV", true}, {SIGBUS, "SIGBUS", true},    {SIGFPE, "SIGFPE", true},
    {SIGILL, "SIGILL", true},   {SIGABRT, "SIGABRT", false},
};

static const struct {
    int number, code;
    const char *words;
} CODES[] = {
    {SIGSEGV, SEGV_MAPERR, "address not mapped"}, {SIGSEGV, SEGV_ACCERR, "access not permitted"},
    {SIGBUS, BUS_ADRALN, "address not aligned"},  {SIGBUS, BUS_ADRERR, "beyond the end of a file"},
    {SIGBUS, BUS_OBJERR, "hardware error"},       {SIGFPE, FPE_INTDIV, "integer divided by zero"},
    {SIGFPE, FPE_INTOVF, "integer overflow"},     {SIGFPE, FPE_FLTDIV, "float divided by zero"},
    {SIGILL, ILL_ILLOPC, "illegal opcode"},       {SIGILL, ILL_ILLOPN, "illegal operand"},
    {SIGILL, ILL_PRVOPC, "privileged opcode"},
};

const char *sx_crash_signal_name(int signal_number)
{
    for (size_t i = 0; i < SX_COUNT_OF(SIGNALS); i++)
        if (SIGNALS[i].number == signal_number)
            return SIGNALS[i].name;
    return "signal";
}

static void read_registers(sx_crash_report *r, const void *context)
{
    const ucontext_t *c = (const ucontext_t *)context;
#if defined(__x86_64__)
    r->pc = (uintptr_t)c->uc_mcontext.gregs[REG_RIP];
    r->stack = (uintptr_t)c->uc_mcontext.gregs[REG_RSP];
    r->frame_pointer = (uintptr_t)c->uc_mcontext.gregs[REG_RBP];
#elif defined(__aarch64__)
    r->pc = c->uc_mcontext.pc;
    r->stack = c->uc_mcontext.sp;
    r->frame_pointer = c->uc_mcontext.regs[29];
#else
    (void)c; /* backtrace(3) alone then */
#endif
}

void sx_crash_find_cause(sx_crash_report *r, int number, const siginfo_t *info, const void *context)
{
    r->signal_number = number;
    r->code = info->si_code;
    r->address = 0;
    r->sender = 0;
    if (info->si_code <= 0)
        r->sender = info->si_pid;
    else
        r->address = (uintptr_t)info->si_addr;
    r->pid = getpid();
    r->tid = (pid_t)syscall(SYS_gettid);
    r->wall_ns = sx_clock_ns(sx_clock_system());
    if (prctl(PR_GET_NAME, r->thread) != 0)
        r->thread[0] = '\0';
    read_registers(r, context);
}

void sx_crash_find_context(sx_crash_report *r)
{
    const sx_context *c = sx_context_current();
    if (sx_span_context_valid(&c->span)) {
        sx_trace_id_hex(&c->span, r->trace_id);
        sx_span_id_hex(&c->span, r->span_id);
    }
    copy_cut(r->request_id, sizeof(r->request_id), c->request_id);
}

/* ---- frames ---- */

/* Copies two words that may not be there: the kernel says so instead of faulting. */
static bool read_words(uintptr_t at, uintptr_t out[2])
{
    struct iovec to = {out, 2 * sizeof(*out)}, from = {(void *)at, 2 * sizeof(*out)};
    return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == (ssize_t)(2 * sizeof(*out));
}

static void add_frame(sx_crash_report *r, uintptr_t pc, bool exact)
{
    if (r->frame_count < SX_CRASH_FRAMES)
        r->frames[r->frame_count++] = (sx_crash_frame){.pc = pc, .exact = exact};
}

/* By saved frame pointers: for code without unwind tables (a jump through a bad pointer). */
static void walk_frame_pointers(sx_crash_report *r)
{
    uintptr_t words[2], frame = r->frame_pointer;
#if defined(__x86_64__)
    /* A call through a bad pointer has left nothing but its return address. */
    if (!find_module(r, r->pc) && read_words(r->stack, words) && find_module(r, words[0]))
        add_frame(r, words[0], false);
#endif
    while (r->frame_count < SX_CRASH_FRAMES && frame % sizeof(uintptr_t) == 0 &&
           read_words(frame, words) && find_module(r, words[1])) {
        add_frame(r, words[1], false);
        if (words[0] <= frame) /* stacks grow down: a caller's frame lies above */
            break;
        frame = words[0];
    }
}

void sx_crash_find_frames(sx_crash_report *r)
{
    void *pcs[SX_CRASH_FRAMES + 16];
    r->frame_count = 0;
    add_frame(r, r->pc, true); /* is kept even if the unwinder faults */
    int count = backtrace(pcs, (int)SX_COUNT_OF(pcs)), first = 0;
    while (first < count && (uintptr_t)pcs[first] != r->pc)
        first++; /* the handler's own */
    for (int i = first + 1; i < count; i++)
        add_frame(r, (uintptr_t)pcs[i], false);
    if (r->frame_count < 2)
        walk_frame_pointers(r);
}

void sx_crash_find_symbols(sx_crash_report *r)
{
    const sx_module *open_module = NULL;
    sx_elf elf = {0};
    for (size_t i = 0; i < r->frame_count; i++) {
        sx_crash_frame *f = &r->frames[i];
        f->module = find_module(r, f->pc);
        if (!f->module)
            continue;
        if (f->module != open_module) {
            sx_elf_close(&elf);
            open_module = f->module;
            if (!sx_elf_open(&elf, f->module->path))
                continue;
            sx_str id = sx_str_first(sx_elf_build_id(&elf), SX_MODULE_BUILD_ID_BYTES);
            if (!sx_str_eq(id, sx_str_of(f->module->build_id, f->module->build_id_len)))
                sx_elf_close(&elf); /* another program lies there by now */
        }
        sx_str name;
        /* A call that never returns may be the last instruction of its function. */
        uint64_t vaddr = f->pc - f->module->bias - (f->exact ? 0 : 1);
        if (elf.data && sx_elf_function(&elf, vaddr, &name, &f->symbol_offset))
            copy_cut(f->symbol, sizeof(f->symbol), name);
    }
    sx_elf_close(&elf);
}

/* ---- writing ---- */

typedef struct cursor {
    char *at, *end;
} cursor;

static void put(cursor *c, sx_str s)
{
    s = sx_str_first(s, (size_t)(c->end - c->at));
    if (s.len)
        memcpy(c->at, s.data, s.len);
    c->at += s.len;
}

static void put_z(cursor *c, const char *z)
{
    put(c, sx_str_z(z));
}

static void put_u64(cursor *c, uint64_t value)
{
    char digits[SX_TEXT_U64_BYTES];
    put(c, sx_str_of(digits, (size_t)(sx_text_u64(digits, value) - digits)));
}

static void put_hex(cursor *c, uint64_t value)
{
    char digits[18];
    size_t at = sizeof(digits);
    do
        digits[--at] = "0123456789abcdef"[value & 15];
    while ((value >>= 4) != 0);
    digits[--at] = 'x';
    digits[--at] = '0';
    put(c, sx_str_of(digits + at, sizeof(digits) - at));
}

static void put_escaped(cursor *c, const char *z)
{
    sx_str s = sx_str_z(z);
    if ((size_t)(c->end - c->at) >= s.len * 6 + 8)
        c->at = sx_log_escape(c->at, s);
}

static void put_member(cursor *c, const char *before, const char *value)
{
    if (!*value)
        return;
    put_z(c, before);
    put_escaped(c, value);
    put_z(c, "\"");
}

/* "SIGSEGV: address not mapped at 0x10", "SIGABRT: sent by process 7". */
static void put_message(cursor *c, const sx_crash_report *r)
{
    put_z(c, sx_crash_signal_name(r->signal_number));
    if (r->code <= 0) {
        put_z(c, r->sender == r->pid ? ": raised by the program" : ": sent by process ");
        if (r->sender != r->pid)
            put_u64(c, (uint64_t)r->sender);
        return;
    }
    for (size_t i = 0; i < SX_COUNT_OF(CODES); i++)
        if (CODES[i].number == r->signal_number && CODES[i].code == r->code) {
            put_z(c, ": ");
            put_z(c, CODES[i].words);
        }
    put_z(c, " at ");
    put_hex(c, r->address);
    /* A push or call below the lowest page of the stack; large frames skip up to some pages. */
    uintptr_t below = r->stack > r->address ? r->stack - r->address : r->address - r->stack;
    if (r->signal_number == SIGSEGV && below < 65536)
        put_z(c, ", beside the stack pointer: the stack is full");
}

static void put_json_frame(cursor *c, const sx_crash_frame *f)
{
    put_z(c, "{\"pc\":\"");
    put_hex(c, f->pc);
    put_z(c, "\"");
    if (f->module) {
        put_member(c, ",\"module\":\"", f->module->path);
        put_z(c, ",\"offset\":\"");
        put_hex(c, f->pc - f->module->bias - (f->exact ? 0 : 1));
        put_z(c, "\"");
    }
    if (f->symbol[0]) {
        put_member(c, ",\"function\":\"", f->symbol);
        put_z(c, ",\"function_offset\":");
        put_u64(c, f->symbol_offset);
    }
    put_z(c, "}");
}

static void put_build_id(cursor *c, const sx_crash_report *r)
{
    const sx_module *program = &r->modules[0]; /* dl_iterate_phdr's first */
    for (size_t i = 0; r->module_count > 0 && i < program->build_id_len; i++) {
        char digits[2] = {"0123456789abcdef"[program->build_id[i] >> 4],
                          "0123456789abcdef"[program->build_id[i] & 15]};
        put(c, sx_str_of(digits, 2));
    }
}

sx_str sx_crash_json(sx_crash_report *r)
{
    /* The end is kept free, so that the line is closed whatever had to be left out. */
    cursor c = {r->text, r->text + sizeof(r->text) - 8};
    char time[SX_TIME_RFC3339_BYTES];
    sx_time_rfc3339(r->wall_ns, 3, time);
    put_member(&c, "{\"timestamp\":\"", time);
    put_z(&c, ",\"level\":\"FATAL\"");
    put_member(&c, ",\"service\":\"", r->service);
    put_member(&c, ",\"version\":\"", r->version);
    put_z(&c, ",\"logger\":\"crash\"");
    put_member(&c, ",\"trace_id\":\"", r->trace_id);
    put_member(&c, ",\"span_id\":\"", r->span_id);
    put_member(&c, ",\"request_id\":\"", r->request_id);
    put_z(&c, ",\"message\":\"");
    put_message(&c, r);
    put_member(&c, "\",\"signal\":\"", sx_crash_signal_name(r->signal_number));
    if (r->code > 0) {
        put_z(&c, ",\"address\":\"");
        put_hex(&c, r->address);
        put_z(&c, "\"");
    }
    put_member(&c, ",\"thread\":\"", r->thread);
    put_z(&c, ",\"pid\":");
    put_u64(&c, (uint64_t)r->pid);
    put_z(&c, ",\"tid\":");
    put_u64(&c, (uint64_t)r->tid);
    put_z(&c, ",\"build_id\":\"");
    put_build_id(&c, r);
    put_z(&c, "\",\"backtrace\":[");
    for (size_t i = 0; i < r->frame_count && c.end - c.at > 3 * SX_MODULE_PATH_BYTES * 6; i++) {
        put_z(&c, i ? "," : "");
        put_json_frame(&c, &r->frames[i]);
    }
    c.end += 8;
    put_z(&c, "]}\n");
    return sx_str_of(r->text, (size_t)(c.at - r->text));
}

static void put_text_frame(cursor *c, size_t number, const sx_crash_frame *f)
{
    put_z(c, "    #");
    put_u64(c, number);
    put_z(c, " ");
    put_hex(c, f->pc);
    if (f->symbol[0]) {
        put_z(c, " ");
        put_z(c, f->symbol);
        put_z(c, "+");
        put_hex(c, f->symbol_offset);
    }
    if (f->module) {
        put_z(c, " (");
        put_z(c, f->module->path);
        put_z(c, "+");
        put_hex(c, f->pc - f->module->bias - (f->exact ? 0 : 1));
        put_z(c, ")");
    }
    put_z(c, "\n");
}

sx_str sx_crash_text(sx_crash_report *r)
{
    const struct {
        const char *name, *value;
    } facts[] = {{" service=", r->service},   {" version=", r->version},
                 {" thread=", r->thread},     {" request_id=", r->request_id},
                 {" trace_id=", r->trace_id}, {" span_id=", r->span_id}};
    cursor c = {r->text, r->text + sizeof(r->text)};
    char time[SX_TIME_RFC3339_BYTES];
    sx_time_rfc3339(r->wall_ns, 3, time);
    put_z(&c, time);
    put_z(&c, " FATAL crash: ");
    put_message(&c, r);
    for (size_t i = 0; i < SX_COUNT_OF(facts); i++) {
        if (!*facts[i].value)
            continue;
        put_z(&c, facts[i].name);
        put_escaped(&c, facts[i].value); /* a terminal obeys control characters */
    }
    put_z(&c, " pid=");
    put_u64(&c, (uint64_t)r->pid);
    put_z(&c, " build_id=");
    put_build_id(&c, r);
    put_z(&c, "\n");
    for (size_t i = 0; i < r->frame_count; i++)
        put_text_frame(&c, i, &r->frames[i]);
    return sx_str_of(r->text, (size_t)(c.at - r->text));
}
