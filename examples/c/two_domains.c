/* A periodic system with a model file of mdkern, first whole, then cut into two domains that exchange
 * ghosts, as a parallel code does it. Here the domains are two threads.
 *
 *   mdkern export MODEL -o model.mdk
 *   cc -O2 two_domains.c -I"$(python -c 'import mdkern; print(mdkern.get_include())')" \
 *      "$(python -c 'import mdkern; print(mdkern.get_library())')" -lm -lpthread -o two_domains
 *   ./two_domains model.mdk system.txt
 *
 * system.txt: number of atoms; the three vectors of the cell; type and position of each atom. Printed is,
 * for "whole" and "domains", the energy, and then energy and force of each atom, in hexadecimal digits. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mdkern.h"

#define SKIN 0.3

typedef struct {
    int n;
    double cell[9];
    int32_t* type;
    double* x;
} System;

/* The rows of a domain: own atoms, then ghosts. atom[r] is the atom of the system that row r stands for. */
typedef struct {
    int n_own, n_all;
    int* atom;
    int32_t* type;
    double* x;
    int64_t* first;
    int32_t* index;
    double *energies, *forces;
    mdkern_results results;
    int status;
    char message[512];
} Domain;

typedef struct {
    const mdkern_model* model;
    Domain domain[2];
    double* shared; /* (n, width): values by atom of the system, while domains exchange them */
    double* summed[2]; /* what each domain has to be added up */
    const double* cell;
    pthread_barrier_t barrier;
} Run;

typedef struct {
    Run* run;
    int number;
} Rank;

static void fail(const char* what) {
    fprintf(stderr, "two_domains: %s\n", what);
    exit(1);
}

static void* take(size_t bytes) {
    void* memory = calloc(bytes ? bytes : 1, 1);
    if (!memory) fail("no memory");
    return memory;
}

static System read_system(const char* path) {
    System s;
    FILE* file = fopen(path, "r");
    if (!file) fail("the system's file cannot be read");
    if (fscanf(file, "%d", &s.n) != 1 || s.n < 1) fail("system: expected the number of atoms");
    for (int k = 0; k < 9; ++k)
        if (fscanf(file, "%lf", &s.cell[k]) != 1) fail("system: expected nine numbers of the cell");
    s.type = take(sizeof(int32_t) * (size_t)s.n);
    s.x = take(sizeof(double) * 3 * (size_t)s.n);
    for (int i = 0; i < s.n; ++i) {
        int type;
        double* x = s.x + 3 * i;
        if (fscanf(file, "%d %lf %lf %lf", &type, x, x + 1, x + 2) != 4)
            fail("system: expected a type and a position of each atom");
        s.type[i] = type;
    }
    fclose(file);
    return s;
}

static double distance2(const double* a, const double* b) {
    double sum = 0.0;
    for (int c = 0; c < 3; ++c) sum += (a[c] - b[c]) * (a[c] - b[c]);
    return sum;
}

/* Images of the cell that reach into it from `radius` around it, along each vector. */
static void images(const System* s, double radius, int* most) {
    for (int k = 0; k < 3; ++k) {
        const double *u = s->cell + 3 * ((k + 1) % 3), *v = s->cell + 3 * ((k + 2) % 3);
        const double normal[3] = {u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2],
                                  u[0] * v[1] - u[1] * v[0]};
        double length = 0.0, volume = 0.0;
        for (int c = 0; c < 3; ++c) {
            length += normal[c] * normal[c];
            volume += normal[c] * s->cell[3 * k + c];
        }
        /* Atoms may lie a cell outside. */
        most[k] = (int)ceil(radius * sqrt(length) / fabs(volume)) + 1;
    }
}

static void add_row(Domain* d, const System* s, int atom, const double* x) {
    if (d->n_all % 1024 == 0) {
        const size_t room = (size_t)d->n_all + 1024;
        d->atom = realloc(d->atom, room * sizeof(int));
        d->type = realloc(d->type, room * sizeof(int32_t));
        d->x = realloc(d->x, room * 3 * sizeof(double));
        if (!d->atom || !d->type || !d->x) fail("no memory");
    }
    d->atom[d->n_all] = atom;
    d->type[d->n_all] = s->type[atom];
    memcpy(d->x + 3 * d->n_all, x, 3 * sizeof(double));
    ++d->n_all;
}

/* The first half of the atoms goes to domain 0, wherever they are. */
static Domain make_domain(const System* s, int number, double radius) {
    Domain d;
    int most[3];
    memset(&d, 0, sizeof d);
    const int begin = number == 0 ? 0 : s->n / 2, end = number == 0 ? s->n / 2 : s->n;
    for (int i = begin; i < end; ++i) add_row(&d, s, i, s->x + 3 * i);
    d.n_own = d.n_all;
    images(s, radius, most);
    for (int a = -most[0]; a <= most[0]; ++a)
        for (int b = -most[1]; b <= most[1]; ++b)
            for (int c = -most[2]; c <= most[2]; ++c)
                for (int j = 0; j < s->n; ++j) {
                    double x[3];
                    if (!a && !b && !c && j >= begin && j < end) continue;
                    for (int k = 0; k < 3; ++k)
                        x[k] = s->x[3 * j + k] + a * s->cell[k] + b * s->cell[3 + k] +
                               c * s->cell[6 + k];
                    for (int i = 0; i < d.n_own; ++i)
                        if (distance2(x, d.x + 3 * i) < radius * radius) {
                            add_row(&d, s, j, x);
                            break;
                        }
                }
    d.first = take(sizeof(int64_t) * (size_t)(d.n_own + 1));
    size_t room = 0;
    for (int i = 0; i < d.n_own; ++i) {
        d.first[i + 1] = d.first[i];
        for (int j = 0; j < d.n_all; ++j) {
            if (j == i || distance2(d.x + 3 * i, d.x + 3 * j) >= radius * radius) continue;
            if ((size_t)d.first[i + 1] == room) {
                room = 2 * room + 1024;
                d.index = realloc(d.index, room * sizeof(int32_t));
                if (!d.index) fail("no memory");
            }
            d.index[d.first[i + 1]++] = j;
        }
    }
    d.energies = take(sizeof(double) * (size_t)d.n_own);
    d.forces = take(sizeof(double) * 3 * (size_t)d.n_all);
    d.results.energies = d.energies;
    d.results.forces = d.forces;
    return d;
}

/* Own rows to the shared array, a barrier, ghosts from it, a barrier: where others send messages. */
static int forward(void* user, double* values, int width, int stride) {
    const Rank* rank = user;
    Run* run = rank->run;
    const Domain* d = &run->domain[rank->number];
    for (int r = 0; r < d->n_own; ++r)
        for (int c = 0; c < width; ++c)
            run->shared[d->atom[r] * width + c] = values[(int64_t)stride * r + c];
    pthread_barrier_wait(&run->barrier);
    for (int r = d->n_own; r < d->n_all; ++r)
        for (int c = 0; c < width; ++c)
            values[(int64_t)stride * r + c] = run->shared[d->atom[r] * width + c];
    pthread_barrier_wait(&run->barrier);
    return 0;
}

/* The other way: ghosts' rows are added to the shared array, domain after domain, and go from there to own
 * rows. */
static int reverse(void* user, double* values, int width, int stride) {
    const Rank* rank = user;
    Run* run = rank->run;
    const Domain* d = &run->domain[rank->number];
    for (int r = 0; r < d->n_own; ++r)
        for (int c = 0; c < width; ++c)
            run->shared[d->atom[r] * width + c] = values[(int64_t)stride * r + c];
    for (int turn = 0; turn < 2; ++turn) {
        pthread_barrier_wait(&run->barrier);
        for (int r = d->n_own; turn == rank->number && r < d->n_all; ++r)
            for (int c = 0; c < width; ++c)
                run->shared[d->atom[r] * width + c] += values[(int64_t)stride * r + c];
    }
    pthread_barrier_wait(&run->barrier);
    for (int r = 0; r < d->n_own; ++r)
        for (int c = 0; c < width; ++c)
            values[(int64_t)stride * r + c] = run->shared[d->atom[r] * width + c];
    pthread_barrier_wait(&run->barrier);
    return 0;
}

/* Each adds up both, in the same order, into memory of its own: nobody may write before all have read. */
static int sum(void* user, double* values, int64_t n) {
    const Rank* rank = user;
    Run* run = rank->run;
    double* total = take(sizeof(double) * (size_t)n);
    run->summed[rank->number] = values;
    pthread_barrier_wait(&run->barrier);
    for (int64_t k = 0; k < n; ++k) total[k] = run->summed[0][k] + run->summed[1][k];
    pthread_barrier_wait(&run->barrier);
    memcpy(values, total, sizeof(double) * (size_t)n);
    free(total);
    return 0;
}

static void* work(void* argument) {
    Rank* rank = argument;
    Domain* d = &rank->run->domain[rank->number];
    mdkern_workspace* workspace = NULL;
    const int pbc[3] = {1, 1, 1};
    mdkern_atoms atoms = {d->n_own, d->n_all, d->x, d->type, rank->run->cell, pbc};
    mdkern_list list;
    mdkern_exchange exchange = {forward, reverse, sum, rank};
    memset(&list, 0, sizeof list);
    list.first = d->first;
    list.index = d->index;
    d->status = mdkern_workspace_create(rank->run->model, &workspace);
    for (int step = 0; step < 2 && d->status == MDKERN_OK; ++step) {
        list.changed = step == 0; /* the second time with the same list */
        d->status = mdkern_compute(rank->run->model, workspace, &atoms, &list, &exchange, 1,
                                   &d->results);
    }
    if (d->status != MDKERN_OK)
        snprintf(d->message, sizeof d->message, "%s", mdkern_error_message());
    mdkern_workspace_destroy(workspace);
    return NULL;
}

static void print(const char* name, int n, double energy, const double* energies,
                  const double* forces) {
    printf("%s %a\n", name, energy);
    for (int i = 0; i < n; ++i)
        printf("%a %a %a %a\n", energies[i], forces[3 * i], forces[3 * i + 1], forces[3 * i + 2]);
}

int main(int argc, char** argv) {
    mdkern_model* model = NULL;
    mdkern_workspace* workspace = NULL;
    if (argc != 3) fail("expected a model file and a system file");
    if (mdkern_api_version() != MDKERN_API_VERSION) fail("the library is of another version");
    if (mdkern_model_open(argv[1], &model) != MDKERN_OK) fail(mdkern_error_message());
    const System s = read_system(argv[2]);

    double* energies = take(sizeof(double) * (size_t)s.n);
    double* forces = take(sizeof(double) * 3 * (size_t)s.n);
    mdkern_results whole = {0.0, {0}, energies, forces, NULL, NULL, 0, 0};
    const int pbc[3] = {1, 1, 1};
    if (mdkern_workspace_create(model, &workspace) != MDKERN_OK ||
        mdkern_compute_system(model, workspace, s.n, s.x, s.type, s.cell, pbc, SKIN, 0, &whole) !=
            MDKERN_OK)
        fail(mdkern_error_message());
    mdkern_workspace_destroy(workspace);
    print("whole", s.n, whole.energy, energies, forces);

    Run run;
    Rank rank[2] = {{&run, 0}, {&run, 1}};
    pthread_t thread[2];
    run.model = model;
    run.cell = s.cell;
    run.shared = take(sizeof(double) * (size_t)mdkern_model_exchange_width(model) * (size_t)s.n);
    pthread_barrier_init(&run.barrier, NULL, 2);
    for (int k = 0; k < 2; ++k)
        run.domain[k] = make_domain(&s, k, mdkern_model_cutoff(model) + SKIN);
    for (int k = 0; k < 2; ++k) pthread_create(&thread[k], NULL, work, &rank[k]);
    for (int k = 0; k < 2; ++k) pthread_join(thread[k], NULL);
    memset(energies, 0, sizeof(double) * (size_t)s.n);
    memset(forces, 0, sizeof(double) * 3 * (size_t)s.n);
    for (int k = 0; k < 2; ++k) {
        const Domain* d = &run.domain[k];
        if (d->status != MDKERN_OK) fail(d->message);
        for (int r = 0; r < d->n_own; ++r) energies[d->atom[r]] = d->energies[r];
        /* What own atoms put on ghosts goes to the atoms that these stand for. */
        for (int r = 0; r < d->n_all; ++r)
            for (int c = 0; c < 3; ++c) forces[3 * d->atom[r] + c] += d->forces[3 * r + c];
    }
    print("domains", s.n, run.domain[0].results.energy + run.domain[1].results.energy, energies,
          forces);
    mdkern_model_close(model);
    return 0;
}
