/* Streams, events, graphs: queues of closures.
 *
 * By default an operation runs when it is issued. With EMU_STREAMS=lazy nothing runs before something waits
 * for it, and then in a random order that streams and events allow: a missing event, or a host buffer used
 * too early, gives a wrong result here and not only on the user's GPU. */
#include "cuda/emu/internal.h"
#include <algorithm>
#include <chrono>
#include <deque>
#include <functional>
#include <random>
#include <string>
#include <vector>

using namespace emu;
typedef std::vector<size_t> Deps; /* numbers of nodes of a graph */

struct emu_graph_node {
    std::string label;
    std::function<void()> work;
    Deps after;
};
struct Capture {
    std::vector<emu_graph_node> nodes;
    cudaStream_t origin = nullptr;
    cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
    bool active = true, invalid = false;
};
struct EventState {
    uint64_t issued = 0, done = 0; /* the event is complete when both are equal */
    double time = 0;
    std::shared_ptr<Capture> capture; /* of the last record, when that was captured */
    Deps after;
};
struct Operation {
    std::function<void()> work;
    std::shared_ptr<EventState> record, wait;
    uint64_t generation = 0; /* of the event */
};
struct emu_event {
    std::shared_ptr<EventState> state = std::make_shared<EventState>();
};
struct emu_stream {
    bool blocking = true; /* ordered against the default stream */
    std::deque<Operation> queue;
    std::shared_ptr<Capture> capture;
    Deps tail; /* the next captured node comes after these */
};
struct emu_graph {
    std::vector<emu_graph_node> nodes;
};
struct emu_graph_exec {
    std::vector<emu_graph_node> nodes;
};

static auto &streams = *new std::vector<cudaStream_t>; /* never destroyed */
static emu_stream default_stream;
static std::mt19937 &dice() {
    static std::mt19937 d(options.seed + 1);
    return d;
}

static double seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
static bool known(cudaStream_t s) {
    return !s || std::find(streams.begin(), streams.end(), s) != streams.end();
}

/* ---- running what was issued
 * -------------------------------------------------------------------------------- */
static void complete(const Operation &o) {
    if (o.record) o.record->done = std::max(o.record->done, o.generation), o.record->time = seconds();
    if (o.work && stuck() == cudaSuccess) o.work();
}
static bool runnable(cudaStream_t s) {
    if (s->queue.empty()) return false;
    const Operation &o = s->queue.front();
    return !o.wait || o.wait->done >= o.generation;
}
/* One operation of any stream that has one; false: nothing is left. */
static bool step() {
    std::vector<cudaStream_t> can;
    for (cudaStream_t s : streams)
        if (runnable(s)) can.push_back(s);
    if (can.empty()) return false;
    cudaStream_t s = can[options.lazy_streams ? dice()() % can.size() : 0];
    Operation o = std::move(s->queue.front());
    s->queue.pop_front();
    complete(o);
    return true;
}
static void run_until(const std::function<bool()> &satisfied) {
    while (!satisfied() && step()) {}
}
static void run_all() {
    while (step()) {}
}
static void run_blocking_streams() {
    run_until([] {
        return std::all_of(streams.begin(), streams.end(),
                           [](cudaStream_t s) { return !s->blocking || s->queue.empty(); });
    });
}

/* ---- issuing
 * -------------------------------------------------------------------------------------------------- */
static cudaError_t invalidate(Capture &c, cudaError_t e) {
    c.invalid = true;
    return fail(e);
}
/* Calls that wait or allocate are not allowed while a stream captures in the global mode. */
static cudaError_t capture_forbids(cudaError_t e, bool blocking_only) {
    for (cudaStream_t s : streams)
        if (s->capture && s->capture->mode != cudaStreamCaptureModeRelaxed && (s->blocking || !blocking_only))
            return invalidate(*s->capture, e);
    return cudaSuccess;
}
cudaError_t emu::capture_forbids_allocation() {
    return capture_forbids(cudaErrorStreamCaptureUnsupported, false);
}

static void add_node(cudaStream_t s, const char *label, std::function<void()> work) {
    s->capture->nodes.push_back({label, std::move(work), s->tail});
    s->tail = {s->capture->nodes.size() - 1};
}
static cudaError_t issue(cudaStream_t s, const char *label, std::function<void()> work) {
    if (cudaError_t e = stuck()) return fail(e);
    if (!known(s)) return fail(cudaErrorInvalidResourceHandle);
    if (!s) {
        if (cudaError_t e = capture_forbids(cudaErrorStreamCaptureImplicit, true)) return e;
        run_blocking_streams();
        complete({std::move(work), nullptr, nullptr, 0});
    } else if (s->capture)
        add_node(s, label, std::move(work));
    else {
        s->queue.push_back({std::move(work), nullptr, nullptr, 0});
        if (!options.lazy_streams) run_all();
    }
    return cudaSuccess;
}
cudaError_t emu::enqueue_launch(const Launch &l, cudaStream_t s) {
    return issue(s, l.name, [l] { run_grid(l); });
}

/* ---- copies
 * ---------------------------------------------------------------------------------------------------- */
static bool inside_a_buffer(const void *p, size_t n, const char *what, emu_site at) {
    if (!on_device(p)) return true;
    const Buffer *f = buffer_near(p);
    if (f && f->live && p >= f->base && (char *)p + n <= f->base + f->size) return true;
    char text[200];
    if (!f)
        snprintf(text, sizeof text, "%zu bytes at %p, where no buffer is", n, p);
    else
        snprintf(text, sizeof text, "%zu bytes from byte %ld of a%s buffer of %zu bytes", n,
                 (long)((char *)p - f->base), f->live ? "" : " freed", f->size);
    fault(what, text, at);
    return false;
}
static cudaError_t check_copy(void *dst, const void *src, size_t n, cudaMemcpyKind kind, emu_site at) {
    bool to = on_device(dst), from = on_device(src);
    static const bool wants_to[] = {false, true, false, true}, wants_from[] = {false, false, true, true};
    if (kind < cudaMemcpyHostToHost || kind > cudaMemcpyDefault) return cudaErrorInvalidMemcpyDirection;
    if (kind != cudaMemcpyDefault && (to != wants_to[kind] || from != wants_from[kind])) {
        char text[120];
        snprintf(text, sizeof text, "from the %s to the %s", from ? "device" : "host",
                 to ? "device" : "host");
        fault("cudaMemcpy whose kind does not fit its addresses", text, at);
        return cudaErrorInvalidValue;
    }
    if (!inside_a_buffer(dst, n, "copy to memory out of bounds", at)) return cudaErrorInvalidValue;
    if (!inside_a_buffer(src, n, "copy from memory out of bounds", at)) return cudaErrorInvalidValue;
    return cudaSuccess;
}
static void carry_out(void *dst, const void *src, size_t n, emu_site at) {
    size_t first;
    memmove(dst, src, n);
    if (on_device(dst) && on_device(src))
        check_copy_marks(dst, src, n);
    else if (on_device(dst))
        check_mark_written(dst, n);
    else if (on_device(src) && !check_all_written(src, n, &first)) {
        char text[100];
        snprintf(text, sizeof text, "the first is byte %zu of %zu", first, n);
        fault("copy to the host of memory nobody wrote", text, at);
    }
}
static uint64_t fingerprint(const void *p, size_t n) { /* FNV-1a */
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) h = (h ^ ((const unsigned char *)p)[i]) * 0x100000001b3u;
    return h;
}

cudaError_t cudaMemcpyAsync(void *dst, const void *src, size_t n, cudaMemcpyKind kind, cudaStream_t s,
                            emu_site at) {
    Lock lock(api_lock());
    if (cudaError_t e = stuck()) return fail(e);
    if (cudaError_t e = check_copy(dst, src, n, kind, at)) return fail(e);
    auto simple = [=] { carry_out(dst, src, n, at); };
    if (!s || (s && s->capture) || !options.lazy_streams) return issue(s, "memcpy", simple);
    /* The CUDA manual, "API synchronization behavior": from pageable memory the source is read before the
     * call returns, to pageable memory the copy is complete when it returns. Pinned memory has to stay
     * untouched. */
    if (!on_device(src) && !is_pinned(src)) {
        auto staged = std::make_shared<std::vector<char>>((const char *)src, (const char *)src + n);
        return issue(s, "memcpy", [=] { carry_out(dst, staged->data(), n, at); });
    }
    if (!on_device(src)) {
        uint64_t before = fingerprint(src, n);
        return issue(s, "memcpy", [=] {
            if (fingerprint(src, n) != before)
                fault("host buffer changed before its copy was carried out", "wait for an event first", at);
            carry_out(dst, src, n, at);
        });
    }
    cudaError_t e = issue(s, "memcpy", simple);
    if (!on_device(dst) && !is_pinned(dst)) run_until([s] { return s->queue.empty(); });
    return e;
}
cudaError_t cudaMemcpy(void *dst, const void *src, size_t n, cudaMemcpyKind kind, emu_site at) {
    return cudaMemcpyAsync(dst, src, n, kind, nullptr, at);
}
cudaError_t cudaMemsetAsync(void *p, int value, size_t n, cudaStream_t s, emu_site at) {
    Lock lock(api_lock());
    if (cudaError_t e = stuck()) return fail(e);
    if (!on_device(p) || !inside_a_buffer(p, n, "memset out of bounds", at))
        return fail(cudaErrorInvalidValue);
    return issue(s, "memset", [=] { memset(p, value, n), check_mark_written(p, n); });
}
cudaError_t cudaMemset(void *p, int value, size_t n, emu_site at) {
    return cudaMemsetAsync(p, value, n, nullptr, at);
}

/* ---- streams
 * --------------------------------------------------------------------------------------------------- */
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned flags) {
    Lock lock(api_lock());
    if (cudaError_t e = stuck()) return fail(e);
    *s = new emu_stream;
    (*s)->blocking = !(flags & cudaStreamNonBlocking);
    streams.push_back(*s);
    return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t *s) { return cudaStreamCreateWithFlags(s, cudaStreamDefault); }
cudaError_t cudaStreamCreateWithPriority(cudaStream_t *s, unsigned flags, int) {
    return cudaStreamCreateWithFlags(s, flags);
}
cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest) {
    *least = *greatest = 0;
    return stuck();
}
cudaError_t cudaStreamDestroy(cudaStream_t s) {
    Lock lock(api_lock());
    if (!s || !known(s)) return fail(cudaErrorInvalidResourceHandle);
    run_until([s] { return s->queue.empty(); });
    streams.erase(std::find(streams.begin(), streams.end(), s));
    delete s;
    return stuck();
}
cudaError_t cudaStreamSynchronize(cudaStream_t s) {
    Lock lock(api_lock());
    if (cudaError_t e = stuck()) return fail(e);
    if (!known(s)) return fail(cudaErrorInvalidResourceHandle);
    if (!s)
        run_blocking_streams();
    else if (s->capture)
        return invalidate(*s->capture, cudaErrorStreamCaptureUnsupported);
    else
        run_until([s] { return s->queue.empty(); });
    return fail(stuck());
}
cudaError_t cudaStreamQuery(cudaStream_t s) {
    Lock lock(api_lock());
    if (cudaError_t e = stuck()) return fail(e);
    if (!known(s)) return fail(cudaErrorInvalidResourceHandle);
    if (!s) s = &default_stream;
    if (s->capture) return invalidate(*s->capture, cudaErrorStreamCaptureUnsupported);
    if (s->queue.empty()) return cudaSuccess;
    step(); /* a loop that polls makes progress */
    return cudaErrorNotReady;
}
cudaError_t cudaDeviceSynchronize() {
    Lock lock(api_lock());
    if (cudaError_t e = stuck()) return fail(e);
    if (cudaError_t e = capture_forbids(cudaErrorStreamCaptureUnsupported, false)) return e;
    run_all();
    return fail(stuck());
}
cudaError_t cudaLaunchHostFunc(cudaStream_t s, cudaHostFn_t f, void *user) {
    Lock lock(api_lock());
    return issue(s, "host function", [=] { f(user); });
}

/* ---- events
 * ---------------------------------------------------------------------------------------------------- */
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned) {
    Lock lock(api_lock());
    if (cudaError_t r = stuck()) return fail(r);
    *e = new emu_event;
    return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t *e) { return cudaEventCreateWithFlags(e, cudaEventDefault); }
cudaError_t cudaEventDestroy(cudaEvent_t e) {
    if (!e) return fail(cudaErrorInvalidResourceHandle);
    delete e;
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s) {
    Lock lock(api_lock());
    if (cudaError_t r = stuck()) return fail(r);
    if (!known(s) || !e) return fail(cudaErrorInvalidResourceHandle);
    EventState &v = *e->state;
    if (s && s->capture) {
        v.capture = s->capture, v.after = s->tail;
        return cudaSuccess;
    }
    v.capture = nullptr;
    Operation o{nullptr, e->state, nullptr, ++v.issued};
    if (!s) {
        run_blocking_streams();
        complete(o);
    } else
        s->queue.push_back(o);
    if (!options.lazy_streams) run_all();
    return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned) {
    Lock lock(api_lock());
    if (cudaError_t r = stuck()) return fail(r);
    if (!known(s) || !e) return fail(cudaErrorInvalidResourceHandle);
    EventState &v = *e->state;
    if (!s) {
        run_until([&v] { return v.done >= v.issued; });
        return fail(stuck());
    }
    if (v.capture) { /* the stream joins the capture the event belongs to */
        if (!v.capture->active || (s->capture && s->capture != v.capture))
            return fail(cudaErrorCapturedEvent);
        s->capture = v.capture;
        s->tail.insert(s->tail.end(), v.after.begin(), v.after.end());
        return cudaSuccess;
    }
    if (s->capture) return v.issued ? invalidate(*s->capture, cudaErrorStreamCaptureIsolation) : cudaSuccess;
    s->queue.push_back({nullptr, nullptr, e->state, v.issued});
    if (!options.lazy_streams) run_all();
    return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t e) {
    Lock lock(api_lock());
    if (cudaError_t r = stuck()) return fail(r);
    if (e->state->capture) return fail(cudaErrorCapturedEvent);
    run_until([e] { return e->state->done >= e->state->issued; });
    return fail(stuck());
}
cudaError_t cudaEventQuery(cudaEvent_t e) {
    Lock lock(api_lock());
    if (cudaError_t r = stuck()) return fail(r);
    if (e->state->capture) return fail(cudaErrorCapturedEvent);
    if (e->state->done >= e->state->issued) return cudaSuccess;
    step();
    return cudaErrorNotReady;
}
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t start, cudaEvent_t stop) {
    Lock lock(api_lock());
    if (cudaError_t r = stuck()) return fail(r);
    const EventState &a = *start->state, &z = *stop->state;
    if (!a.issued || !z.issued) return fail(cudaErrorInvalidResourceHandle);
    if (a.done < a.issued || z.done < z.issued) return cudaErrorNotReady;
    *ms = (float)((z.time - a.time) * 1e3);
    return cudaSuccess;
}

/* ---- graphs
 * ---------------------------------------------------------------------------------------------------- */
cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode mode) {
    Lock lock(api_lock());
    if (cudaError_t e = stuck()) return fail(e);
    if (!s) return fail(cudaErrorStreamCaptureUnsupported); /* the default stream cannot be captured */
    if (!known(s)) return fail(cudaErrorInvalidResourceHandle);
    if (s->capture) return fail(cudaErrorInvalidValue);
    s->capture = std::make_shared<Capture>();
    s->capture->origin = s, s->capture->mode = mode;
    s->tail.clear();
    return cudaSuccess;
}
/* Every node must lead to the end of the stream that began the capture. */
static bool joined(const Capture &c) {
    std::vector<bool> reached(c.nodes.size());
    Deps open = c.origin->tail;
    while (!open.empty()) {
        size_t i = open.back();
        open.pop_back();
        if (reached[i]) continue;
        reached[i] = true;
        open.insert(open.end(), c.nodes[i].after.begin(), c.nodes[i].after.end());
    }
    return std::find(reached.begin(), reached.end(), false) == reached.end();
}
cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *g) {
    Lock lock(api_lock());
    *g = nullptr;
    if (cudaError_t e = stuck()) return fail(e);
    if (!s || !known(s)) return fail(cudaErrorInvalidResourceHandle);
    std::shared_ptr<Capture> c = s->capture;
    if (!c) return fail(cudaErrorIllegalState);
    if (c->origin != s) return invalidate(*c, cudaErrorStreamCaptureUnmatched);
    bool complete_graph = joined(*c);
    c->active = false;
    for (cudaStream_t t : streams)
        if (t->capture == c) t->capture = nullptr, t->tail.clear();
    if (c->invalid) return fail(cudaErrorStreamCaptureInvalidated);
    if (!complete_graph) return fail(cudaErrorStreamCaptureUnjoined);
    *g = new emu_graph{c->nodes};
    return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t s, cudaStreamCaptureStatus *status) {
    Lock lock(api_lock());
    if (!known(s)) return fail(cudaErrorInvalidResourceHandle);
    *status = !s || !s->capture     ? cudaStreamCaptureStatusNone
              : s->capture->invalid ? cudaStreamCaptureStatusInvalidated
                                    : cudaStreamCaptureStatusActive;
    return cudaSuccess;
}
cudaError_t cudaGraphGetNodes(cudaGraph_t g, cudaGraphNode_t *nodes, size_t *count) {
    if (!g) return fail(cudaErrorInvalidValue);
    for (size_t i = 0; nodes && i < std::min(*count, g->nodes.size()); i++) nodes[i] = &g->nodes[i];
    *count = nodes ? std::min(*count, g->nodes.size()) : g->nodes.size();
    return cudaSuccess;
}
cudaError_t cudaGraphDebugDotPrint(cudaGraph_t g, const char *path, unsigned) {
    if (!g) return fail(cudaErrorInvalidValue);
    FILE *f = fopen(path, "w");
    if (!f) return fail(cudaErrorUnknown);
    fprintf(f, "digraph captured {\n    node [shape=box];\n");
    for (size_t i = 0; i < g->nodes.size(); i++) {
        fprintf(f, "    n%zu [label=\"%s\"];\n", i, g->nodes[i].label.c_str());
        for (size_t d : g->nodes[i].after) fprintf(f, "    n%zu -> n%zu;\n", d, i);
    }
    fprintf(f, "}\n");
    return fclose(f) ? fail(cudaErrorUnknown) : cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *x, cudaGraph_t g, unsigned long long) {
    if (cudaError_t e = stuck()) return fail(e);
    if (!g) return fail(cudaErrorInvalidValue);
    *x = new emu_graph_exec{g->nodes};
    return cudaSuccess;
}
cudaError_t cudaGraphUpload(cudaGraphExec_t x, cudaStream_t) {
    return fail(x ? stuck() : cudaErrorInvalidValue);
}

/* In the order of the capture, or with lazy streams in any other that the edges allow. */
static void replay(const std::vector<emu_graph_node> &nodes) {
    std::vector<bool> done(nodes.size());
    for (size_t left = nodes.size(); left > 0; left--) {
        Deps can;
        for (size_t i = 0; i < nodes.size() && (can.empty() || options.lazy_streams); i++) {
            const Deps &after = nodes[i].after;
            if (!done[i] && std::all_of(after.begin(), after.end(), [&](size_t d) { return done[d]; }))
                can.push_back(i);
        }
        size_t i = can[can.size() > 1 ? dice()() % can.size() : 0];
        if (stuck() == cudaSuccess) nodes[i].work();
        done[i] = true;
    }
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t x, cudaStream_t s) {
    Lock lock(api_lock());
    if (!x) return fail(cudaErrorInvalidValue);
    auto nodes =
        std::make_shared<std::vector<emu_graph_node>>(x->nodes); /* the graph may be destroyed meanwhile */
    return issue(s, "graph", [nodes] { replay(*nodes); });
}
cudaError_t cudaGraphDestroy(cudaGraph_t g) {
    delete g;
    return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t x) {
    delete x;
    return cudaSuccess;
}
