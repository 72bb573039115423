/* Faults: printed with file, line, kernel, block and thread; counted; the process ends with status 97. */
#include "cuda/emu/internal.h"
#include <cstdarg>
#include <link.h>
#include <set>
#include <signal.h>
#include <string>
#include <ucontext.h>
#include <unistd.h>

namespace emu {

static int faults;
constexpr int most_printed = 20, fault_status = 97;

/* Paths as the user wrote them: without the directory the program was built or started in. */
const char *short_path(const char *path) {
    char here[1024];
    size_t n = getcwd(here, sizeof here) ? strlen(here) : 0;
    if (n && !strncmp(path, here, n) && path[n] == '/') path += n + 1;
    while (path[0] == '.' && path[1] == '/') path += 2;
    return path;
}

/* The line of the code in front of `pc`, a return address, by addr2line on the file it was loaded from. */
void place_of(const void *pc, char *text, size_t size) {
    struct Found {
        uintptr_t pc, base;
        std::string file;
        bool found;
    } f = {(uintptr_t)pc - 1, 0, "", false};
    dl_iterate_phdr(
        [](dl_phdr_info *i, size_t, void *user) {
            Found &v = *(Found *)user;
            for (int k = 0; k < i->dlpi_phnum; k++) {
                uintptr_t start = i->dlpi_addr + i->dlpi_phdr[k].p_vaddr;
                if (i->dlpi_phdr[k].p_type != PT_LOAD || v.pc < start ||
                    v.pc >= start + i->dlpi_phdr[k].p_memsz)
                    continue;
                v.base = i->dlpi_addr, v.found = true;
                v.file = i->dlpi_name && *i->dlpi_name ? i->dlpi_name
                                                       : "/proc/" + std::to_string(getpid()) + "/exe";
            }
            return (int)v.found;
        },
        &f);
    snprintf(text, size, "code at %p", pc);
    if (!f.found || f.file.find('\'') != std::string::npos) return;
    char command[1200], line[600];
    snprintf(command, sizeof command, "addr2line -e '%s' 0x%lx 2>/dev/null", f.file.c_str(),
             (unsigned long)(f.pc - f.base));
    FILE *p = popen(command, "r");
    if (!p) return;
    if (fgets(line, sizeof line, p) && line[0] != '?') {
        line[strcspn(line, " \n")] = 0; /* after a space: "(discriminator 2)" */
        snprintf(text, size, "%s", short_path(line));
    }
    pclose(p);
}

void fault(const char *kind, const char *detail, emu_site at, const void *pc) {
    static auto &seen =
        *new std::set<std::string>; /* never destroyed: faults are found while the process ends */
    char place[700], key[900];
    if (at.file)
        snprintf(place, sizeof place, "%s:%d", short_path(at.file), at.line);
    else
        snprintf(place, sizeof place, "%p", pc);
    snprintf(key, sizeof key, "%s %s", kind, place);
    faults++;
    if (!seen.insert(key).second || seen.size() > most_printed) return;
    if (!at.file && pc) place_of(pc, place, sizeof place);
    fflush(stdout);
    fprintf(stderr, "emu: %s%s%s", at.file || pc ? place : "", at.file || pc ? ": " : "", kind);
    if (detail && *detail) fprintf(stderr, "%s%s", *detail == '\n' ? "" : ": ", detail);
    if (now.launch)
        fprintf(stderr, "\n     in %s, block (%u,%u,%u), thread (%u,%u,%u)", now.launch->name, blockIdx.x,
                blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z);
    fprintf(stderr, "\n");
}

void note(const char *format, ...) {
    va_list a;
    va_start(a, format);
    fprintf(stderr, "emu: ");
    vfprintf(stderr, format, a);
    fprintf(stderr, "\n");
    va_end(a);
}

/* ---- the end of the process
 * ------------------------------------------------------------------------------------ */
static void at_exit(int status, void *) {
    if (options.leaks) memory_report_leaks();
    if (!faults) return;
    fprintf(stderr, "emu: %d fault%s\n", faults, faults == 1 ? "" : "s, each place reported once");
    if (status == 0) {
        fflush(nullptr);
        _exit(fault_status);
    }
}

/* ---- signals
 * ----------------------------------------------------------------------------------------------------- */
static void describe(const void *address, char *text, size_t n) {
    const Buffer *f = on_device(address) ? buffer_near(address) : nullptr;
    if (address >= now.stack_lo - page && address < now.stack_lo && now.launch)
        snprintf(text, n, "the stack of the thread is full (deep recursion or a large local array)");
    else if (!f)
        snprintf(text, n, "%p, where no device buffer is", address);
    else {
        long at = (long)((char *)address - f->base), size = (long)f->size;
        const char *kind = f->live ? "" : " freed";
        if (at >= size)
            snprintf(text, n, "%ld bytes past the end of a%s buffer of %ld bytes", at - size, kind, size);
        else if (at < 0)
            snprintf(text, n, "%ld bytes before a%s buffer of %ld bytes", -at, kind, size);
        else
            snprintf(text, n, "byte %ld of a%s buffer of %ld bytes", at, kind, size);
    }
}

static void illegal_address() { abandon_kernel(cudaErrorIllegalAddress); }

static void on_signal(int number, siginfo_t *info, void *context) {
    char text[200];
    describe(info->si_addr, text, sizeof text);
    if (!now.launch || !current_fiber) {
        if (on_device(info->si_addr)) fault("the host touches device memory", text, {nullptr, 0});
        signal(number, SIG_DFL); /* the access is repeated and ends the process */
        return;
    }
    ucontext_t *c = (ucontext_t *)context;
#if defined(__x86_64__)
    const void *pc = (const void *)(c->uc_mcontext.gregs[REG_RIP] + 1);
#elif defined(__aarch64__)
    const void *pc = (const void *)(c->uc_mcontext.pc + 1);
#else
    const void *pc = nullptr;
#endif
    fault("illegal address", text, {nullptr, 0}, pc);
    /* As on a GPU the kernel ends and the context is broken: go on in illegal_address, on an emptied stack.
     */
#if defined(__x86_64__)
    c->uc_mcontext.gregs[REG_RSP] = (greg_t)(((uintptr_t)now.stack_hi & ~15ul) - 128 - 8);
    c->uc_mcontext.gregs[REG_RIP] = (greg_t)illegal_address;
#elif defined(__aarch64__)
    c->uc_mcontext.sp = ((uintptr_t)now.stack_hi & ~15ul) - 128;
    c->uc_mcontext.pc = (uintptr_t)illegal_address;
#else
    _exit(fault_status);
#endif
}

void catch_signals() {
    static char stack[128 << 10]; /* a kernel's own stack may be what overflowed */
    stack_t s = {};
    s.ss_sp = stack, s.ss_size = sizeof stack;
    sigaltstack(&s, nullptr);
    struct sigaction a = {};
    a.sa_sigaction = on_signal;
    a.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &a, nullptr);
    sigaction(SIGBUS, &a, nullptr);
    on_exit(at_exit, nullptr);
}

} // namespace emu

int emu_faults() { return emu::faults; }
void emu_forget_faults() { emu::faults = 0; }
