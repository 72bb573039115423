/* EMU_COUNT=1: what the memory accesses of each source line would cost on a GPU. The k-th time that the lanes
 * of a warp run an instruction is one request of the warp. A global request costs as many sectors of 32 bytes
 * as it touches; a shared request as many passes as its most wanted bank has different words (32 banks of 4
 * bytes). Beside it stands the least that this many bytes could cost. */
#include "cuda/emu/internal.h"
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace emu {

struct Request {
    uintptr_t address[warp_lanes];
    unsigned lanes, bytes;
    bool global;
};
struct Sum {
    uint64_t requests, cost, least;
    bool global;
};
struct Key {
    const void *pc;
    uint32_t who, turn; /* warp (or thread), how often it was here in this block */
    bool operator==(const Key &o) const { return pc == o.pc && who == o.who && turn == o.turn; }
};
struct Hash {
    size_t operator()(const Key &k) const {
        return ((uintptr_t)k.pc * 31 + k.who) * 0x9e3779b97f4a7c15u ^ k.turn * 0xff51afd7ed558ccdu;
    }
};
/* Never destroyed: the report is written while the process ends. */
static auto &requests = *new std::unordered_map<Key, Request, Hash>;
static auto &turns = *new std::unordered_map<Key, uint32_t, Hash>;
static auto &sums = *new std::map<const void *, Sum>;

static unsigned sectors(const Request &r) {
    std::set<uintptr_t> touched;
    for (int l = 0; l < warp_lanes; l++)
        if (r.lanes >> l & 1)
            for (uintptr_t s = r.address[l] / 32; s <= (r.address[l] + r.bytes - 1) / 32; s++)
                touched.insert(s);
    return (unsigned)touched.size();
}
static unsigned passes(const Request &r, unsigned *words) {
    std::set<uintptr_t> wanted; /* lanes that want one word get it together */
    for (int l = 0; l < warp_lanes; l++)
        if (r.lanes >> l & 1)
            for (uintptr_t w = r.address[l] / 4; w <= (r.address[l] + r.bytes - 1) / 4; w++) wanted.insert(w);
    unsigned in_bank[32] = {}, most = 0;
    for (uintptr_t w : wanted) most = std::max(most, ++in_bank[w % 32]);
    *words = (unsigned)wanted.size();
    return most;
}

static void add_up() {
    for (auto &k : requests) {
        const Request &r = k.second;
        Sum &s = sums[k.first.pc];
        unsigned words, lanes = (unsigned)__builtin_popcount(r.lanes);
        s.global = r.global;
        s.requests++;
        if (r.global)
            s.cost += sectors(r), s.least += (lanes * r.bytes + 31) / 32;
        else
            s.cost += passes(r, &words), s.least += (words + 31) / 32;
    }
    requests.clear(), turns.clear();
}

static void report() {
    add_up();
    std::map<std::string, Sum> by_line; /* a line may be several instructions */
    for (auto &p : sums) {
        char place[700];
        place_of(p.first, place, sizeof place);
        Sum &s = by_line[std::string(place) + (p.second.global ? " global" : " shared")];
        s.requests += p.second.requests, s.cost += p.second.cost, s.least += p.second.least,
            s.global = p.second.global;
    }
    for (auto &p : by_line) {
        const Sum &s = p.second;
        double n = (double)s.requests;
        fprintf(stderr, "count: %-40s %9lu requests, %6.2f %s each, least %5.2f%s\n", p.first.c_str(),
                (unsigned long)s.requests, (double)s.cost / n, s.global ? "sectors" : "passes ",
                (double)s.least / n, s.cost > s.least + s.least / 2 ? "  <--" : "");
    }
}

void count_access(const void *p, size_t n, const void *pc, bool global) {
    static uint32_t block;
    if (!block) atexit(report);
    if (block != now.block_start) add_up(), block = now.block_start;
    uint32_t turn = turns[{pc, now.tid, 0}]++;
    Request &r = requests[{pc, now.tid / warp_lanes, turn}];
    unsigned lane = now.tid % warp_lanes;
    r.address[lane] = (uintptr_t)p, r.lanes |= 1u << lane, r.bytes = (unsigned)n, r.global = global;
}

} // namespace emu
