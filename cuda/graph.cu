/* A step as one launch: CUDA's graphs. Between begin and end the stream records what it is given instead of running it:
 * kernels with their arguments, copies on the device, and what has to be finished before what. The graph that results is
 * started by one call, and the GPU goes from one kernel to the next without the host. When a step is recorded and when it
 * is launched is decided in autograd/step.c.
 *
 * A recorded kernel gets the same arguments each time. The number of the step, which the masks of dropout depend on, is
 * therefore in device memory, and written there before each launch; so are learning rates (optim.cu). The arguments of
 * a launch are copied by it: a kernel of one thread that stores its argument needs no buffer that would have to wait. */
#include "cuda/gpu.cuh"

typedef struct recorded {
    cudaGraphExec_t exec;
    bool step_read;
} recorded;

__global__ void store_step(uint64_t step, uint64_t *to) { *to = step; }

step_number mn__cuda_step(mn_context *c) {
    gpu *g = gpu_of(c);
    if (!c->recording) return {c->step, nullptr};
    g->step_read = true;
    return {0, g->step};
}

/* ---- branches ---- */

/* Gradients of weights are computed beside the chain of gradients that leads from the loss to the picture:
 *
 *   stream   dx of layer 9 --> dx of layer 8 --> dx of layer 7 --> ... --> optimiser
 *               \                 \                 \                     /
 *   side         dw of layer 9 --> dw of layer 8 --> dw of layer 7 --> ...
 *
 * An event at each fork, one at the end of each branch. All branches run on one stream, in their order, so who has waited
 * for one has waited for those before it. What they read stays as it is: activations and weights until the step ends,
 * gradients until their buffer is taken again (mn__buffer_take waits). What they write is read after the pass.
 * A recorded wait costs nothing where the branch is done by then. */

/* The workspaces change places in every step: one that is recorded finds both large enough. */
static void change_places(mn_context *c) {
    void *workspace = c->workspace;
    const size_t bytes = c->workspace_bytes;
    c->workspace = c->side_workspace, c->workspace_bytes = c->side_bytes;
    c->side_workspace = workspace, c->side_bytes = bytes;
    gpu *g = gpu_of(c);
    if (!c->recording) return;
    cudaStream_t stream = g->stream;
    g->stream = g->side, g->side = stream;
}
static mn_status branched(mn_error *err, cudaError_t e) {
    return e == cudaSuccess ? MN_OK : mn__cuda_failed(err, e, "branching", "; hint: MIEN_GRAPH=0");
}
static cudaEvent_t end_of(const gpu *g, int branch) { return g->finished[branch % GPU_BRANCHES]; }

mn_status mn__cuda_fork(mn_context *c) {
    gpu *g = gpu_of(c);
    cudaError_t e = cudaSuccess;
    if (g->graphs && !g->wait) c->branches++; /* all steps number them, so that all use the same memory */
    if (c->recording) {
        e = cudaEventRecord(g->forked, g->stream);
        if (e == cudaSuccess) e = cudaStreamWaitEvent(g->side, g->forked, 0);
    }
    change_places(c);
    return branched(&c->error, e);
}
mn_status mn__cuda_return(mn_context *c) {
    gpu *g = gpu_of(c);
    change_places(c);
    if (!c->recording) return MN_OK;
    g->branches = c->branches;
    return branched(&c->error, cudaEventRecord(end_of(g, c->branches), g->side));
}

mn_status mn__cuda_go_on(const mn_node *n, int first) {
    mn_context *c = n->ctx;
    c->branched = c->branches > 0;
    for (int i = first; i < n->n_in; i++)
        if (mn__wants(n, i) && !mn__is_leaf(n->in[i])) c->branched = false; /* who is next may read it */
    return c->branched ? MN_OK : mn__branches_wait(c, c->branches);
}

/* The event of an old branch may have been recorded again since: then a newer one is waited for. */
static mn_status wait_for(void *state, int branch, mn_error *err) {
    const gpu *g = (const gpu *)state;
    return branched(err, branch <= g->branches ? cudaStreamWaitEvent(g->stream, end_of(g, branch), 0) : cudaSuccess);
}

/* ---- recording and launching ---- */

static bool wanted(void *state) {
    const gpu *g = (const gpu *)state;
    return g->graphs && !g->wait;
}

/* What only graphs need. */
static cudaError_t prepare(gpu *g) {
    cudaError_t e = g->step ? cudaSuccess : cudaMalloc(&g->step, sizeof *g->step);
    if (e == cudaSuccess && !g->side) e = cudaStreamCreateWithFlags(&g->side, cudaStreamNonBlocking);
    if (e == cudaSuccess && !g->forked) e = cudaEventCreateWithFlags(&g->forked, cudaEventDisableTiming);
    for (cudaEvent_t &f : g->finished)
        if (e == cudaSuccess && !f) e = cudaEventCreateWithFlags(&f, cudaEventDisableTiming);
    return e;
}

/* In the mode "thread local" other threads, with contexts of their own, may allocate meanwhile. */
static mn_status begin(void *state, mn_error *err) {
    gpu *g = (gpu *)state;
    cudaError_t e = prepare(g);
    g->step_read = false, g->branches = 0;
    if (e == cudaSuccess) e = cudaStreamBeginCapture(g->stream, cudaStreamCaptureModeThreadLocal);
    return e == cudaSuccess ? MN_OK : mn__cuda_failed(err, e, "recording a step", "; hint: MIEN_GRAPH=0");
}

static void forget(void *state, void *graph) {
    recorded *r = (recorded *)graph;
    cudaStreamSynchronize(((gpu *)state)->stream); /* it may still be running */
    cudaGraphExecDestroy(r->exec);
    cudaGetLastError();
    mn_free(r);
}

static void *end(void *state, mn_error *err) {
    gpu *g = (gpu *)state;
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t exec = nullptr;
    cudaError_t e = cudaStreamEndCapture(g->stream, &graph);
    g->branches = 0;
    if (e == cudaSuccess) e = cudaGraphInstantiate(&exec, graph, 0);
    if (graph) cudaGraphDestroy(graph);
    if (e != cudaSuccess) {
        mn__cuda_failed(err, e, "recording a step", "; hint: MIEN_GRAPH=0 runs each operation by itself");
        return nullptr;
    }
    recorded *r = (recorded *)mn_alloc(sizeof *r);
    if (r) *r = {exec, g->step_read};
    else cudaGraphExecDestroy(exec), mn_fail(err, MN_ERR_MEMORY, "out of host memory for a recorded step");
    return r;
}

static mn_status launch(void *state, void *graph, uint64_t step, mn_error *err) {
    gpu *g = (gpu *)state;
    const recorded *r = (const recorded *)graph;
    cudaError_t e = r->step_read ? MN_LAUNCH(store_step, dim3(1), dim3(1), 0, g->stream, step, g->step) : cudaSuccess;
    if (e == cudaSuccess) e = cudaGraphLaunch(r->exec, g->stream);
    return e == cudaSuccess ? MN_OK : mn__cuda_failed(err, e, "launching a step", "; hint: MIEN_SYNC=1 finds the kernel that is to blame");
}

extern "C" const mn__recorder mn__recorder_cuda = {wanted, begin, end, launch, forget, wait_for};
