/* Where the maps of a compiled model lie. Steps are cut into runs: steps with heavy weights stand alone and take all
 * images at once; what is between them goes image by image through all of its steps, so that its maps stay in the cache. */
#include "layers/compile.h"

static void cut_runs(struct mn__plan *p) {
    p->n_runs = 0;
    for (int i = 0; i < p->n_steps; i++) {
        if (i > 0 && (p->step[i].heavy || p->step[i - 1].heavy)) p->n_runs++;
        p->step[i].run = p->n_runs;
    }
    p->n_runs++;
}

static void touch(struct mn__plan *p, int slot, int step) {
    if (slot < 0) return;
    mn__slot *s = &p->slot[slot];
    if (s->first < 0) s->first = step;
    if (p->step[s->first].run != p->step[step].run) s->shared = true;
    s->last = step;
}

/* A map that exists for every image is in use for whole runs: image 0 may be at the end of one when image 1 begins it. */
static void widen(const struct mn__plan *p, mn__slot *s) {
    while (s->first > 0 && p->step[s->first - 1].run == p->step[s->first].run) s->first--;
    while (s->last + 1 < p->n_steps && p->step[s->last + 1].run == p->step[s->last].run) s->last++;
}

/* The lowest place where a slot meets none of the ones before it that live at the same time. */
static void place(struct mn__plan *p, int i) {
    mn__slot *s = &p->slot[i];
    int64_t *size = s->shared ? &p->shared_size : &p->local_size;
    bool moved = true;
    for (s->at = 0; moved;) {
        moved = false;
        for (int k = 0; k < i; k++) {
            const mn__slot *o = &p->slot[k];
            bool meets = o->tensor < 0 && o->shared == s->shared && o->first <= s->last && s->first <= o->last &&
                         o->at < s->at + s->map.size && s->at < o->at + o->map.size;
            if (meets) s->at = o->at + o->map.size, moved = true;
        }
    }
    if (s->at + s->map.size > *size) *size = s->at + s->map.size;
}

void mn__plan_memory(struct mn__plan *p) {
    cut_runs(p);
    for (int i = 0; i < p->n_slots; i++) p->slot[i].first = p->slot[i].last = -1, p->slot[i].shared = false;
    for (int i = 0; i < p->n_steps; i++) {
        touch(p, p->step[i].x, i), touch(p, p->step[i].plus, i), touch(p, p->step[i].y, i);
        if (!p->step[i].heavy) continue;
        p->slot[p->step[i].x].shared = p->slot[p->step[i].y].shared = true;
        if (p->step[i].plus >= 0) p->slot[p->step[i].plus].shared = true;
    }
    p->shared_size = p->local_size = 0;
    for (int i = 0; i < p->n_slots; i++) {
        if (p->slot[i].tensor >= 0) continue;
        if (p->slot[i].shared) widen(p, &p->slot[i]);
        place(p, i);
    }
}
