/* mdkern's potentials for programs in C, C++, Fortran: no Python is needed at run time.
 *
 * A model file comes from `mdkern export MODEL -o model.mdk`. Units: Angstrom, eV. Arrays are in C
 * order. Virials are -dE/d(strain) in Voigt order xx, yy, zz, yz, xz, xy.
 *
 * A model never changes: threads share it. A workspace has everything that an evaluation changes; it
 * belongs to one model, and to one thread at a time. Functions that return an int return MDKERN_OK or
 * another mdkern_status; what went wrong then stands in mdkern_error_message(). No exception of C++
 * leaves this library, and nothing is written to standard output.
 *
 * mdkern.get_include() and mdkern.get_library() say in Python where this file and the library are. */
#ifndef MDKERN_H
#define MDKERN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Grows when a struct or a function below changes; mdkern_api_version() is that of the library. */
#define MDKERN_API_VERSION 3

#if defined(__GNUC__) && !defined(_WIN32)
#define MDKERN_API __attribute__((visibility("default")))
#else
#define MDKERN_API
#endif

typedef enum {
    MDKERN_OK = 0,
    MDKERN_INVALID = 1,    /* an argument, or atoms that the model cannot treat */
    MDKERN_READ = 2,       /* the file cannot be read */
    MDKERN_FORMAT = 3,     /* the file is no model file, or does not make a model */
    MDKERN_MEMORY = 4,     /* memory that is not there */
    MDKERN_NOT_FINITE = 5, /* the energy or a force is not finite: atoms lie on top of each other */
    MDKERN_EXCHANGE = 6,   /* a callback returned something else than 0 */
    MDKERN_INTERNAL = 7,   /* an error of mdkern */
    MDKERN_IN_USE = 8      /* another call is using the workspace */
} mdkern_status;

typedef struct mdkern_model mdkern_model;
typedef struct mdkern_workspace mdkern_workspace;

MDKERN_API int mdkern_api_version(void);
MDKERN_API const char* mdkern_version(void);
/* Of the last function that failed in this thread; "" before. Valid until the next one fails. */
MDKERN_API const char* mdkern_error_message(void);

MDKERN_API int mdkern_model_open(const char* path, mdkern_model** model);
MDKERN_API void mdkern_model_close(mdkern_model* model); /* NULL: nothing happens */
/* The largest distance of two atoms that interact. */
MDKERN_API double mdkern_model_cutoff(const mdkern_model* model);
/* Types of atoms are numbers from 0 to n_species - 1. */
MDKERN_API int mdkern_model_n_species(const mdkern_model* model);
/* Chemical symbol of a type; NULL where the model takes any element, all alike, as type 0. */
MDKERN_API const char* mdkern_model_species(const mdkern_model* model, int type);
/* How often an evaluation calls mdkern_exchange.forward and .reverse, both together; how often .reverse
 * alone; and the largest width of these calls. */
MDKERN_API int mdkern_model_exchanges(const mdkern_model* model);
MDKERN_API int mdkern_model_reverses(const mdkern_model* model);
MDKERN_API int mdkern_model_exchange_width(const mdkern_model* model);
/* 1: a half list is enough (mdkern_list.half), and takes less time to make. */
MDKERN_API int mdkern_model_half(const mdkern_model* model);
/* 1: a model with charges, which needs mdkern_atoms.cell and .pbc, and mdkern_exchange.sum. */
MDKERN_API int mdkern_model_long_range(const mdkern_model* model);

MDKERN_API int mdkern_workspace_create(const mdkern_model* model, mdkern_workspace** workspace);
MDKERN_API void mdkern_workspace_destroy(mdkern_workspace* workspace);

/* The rows of a process: own atoms first, then ghosts, which stand for atoms of other processes or for
 * periodic images, one for each that is within the list's radius of an own atom. */
typedef struct {
    int64_t n_own, n_all;
    const double* x;     /* (n_all, 3) */
    const int32_t* type; /* (n_all) */
    /* Where mdkern_model_long_range() is 1; else NULL. cell: (3, 3), rows are the vectors; pbc: (3). */
    const double* cell;
    const int* pbc;
} mdkern_atoms;

/* The neighbors of every own atom, in any radius that is at least the cutoff. Either
 * first and index: those of row i are index[first[i]] to index[first[i + 1] - 1]; or, with first NULL,
 * LAMMPS's arrays: those of row ilist[k], k < n_own, are firstneigh[ilist[k]][0 .. numneigh[ilist[k]]).
 * Bits of a row number that are not in `mask` are dropped; 0: all count.
 * half 0: a full list, all neighbors. 1: only those in later rows, so that a pair of own atoms stands
 * once, and one with a ghost with its own atom (LAMMPS: half list, newton off); where
 * mdkern_model_half() is 1. */
typedef struct {
    const int64_t* first; /* (n_own + 1) */
    const int32_t* index;
    const int32_t* ilist;
    const int32_t* numneigh;
    const int32_t* const* firstneigh;
    int32_t mask;
    /* Whether the list, the numbers of atoms or types are others than in the last call with this
     * workspace. 0 makes the call faster; the first call takes no 0. */
    int changed;
    int half;
} mdkern_list;

/* forward gives ghosts the values of the atoms that they stand for: row r >= n_own is to have
 * values[stride * r + c], c < width, of its atom. NULL where mdkern_model_exchanges() is 0.
 *
 * reverse adds to the values of own atoms, in the same array, those of all ghosts that stand for them,
 * in this process and in others; what the ghosts' rows have afterwards does not matter. NULL where
 * mdkern_model_reverses() is 0, which it is but for models that pass messages between atoms.
 *
 * All processes call each of them together, and equally often; also those without atoms. They return 0,
 * or anything else to end the evaluation.
 *
 * sum gives n values the sums of those of all processes, for models with charges. NULL where all own atoms are
 * in one process. */
typedef struct {
    int (*forward)(void* user, double* values, int width, int stride);
    int (*reverse)(void* user, double* values, int width, int stride);
    int (*sum)(void* user, double* values, int64_t n);
    void* user;
} mdkern_exchange;

/* energy and virial are sums over own atoms: those of the processes add up to the whole. Arrays may be
 * NULL, forces not. Forces (and virials of atoms) of ghosts are what own atoms put there, to be added to
 * the atoms that the ghosts stand for: LAMMPS's reverse communication, "newton on". Pair potentials and
 * EAM leave zeros there. */
typedef struct {
    double energy;
    double virial[6];
    double* energies; /* (n_own) */
    double* forces;   /* (n_all, 3) */
    double* virials;  /* (n_all, 6) */
    double* charges;  /* (n_own) in e; 0 of a model without charges */
    /* 1: some atoms have more neighbors than the model has room for, of which the farthest were left
     * out, a density beyond the end of the model's table, or symmetry functions beyond the range of the
     * training. */
    int overflow;
    /* 1: energy and virial are not wanted, and become 0 where that takes less time. The caller sets it. */
    int forces_alone;
} mdkern_results;

/* threads: 0 for the library's setting (MDKERN_NUM_THREADS, OMP_NUM_THREADS, all CPUs). Results have
 * the same bits for every number of threads. */
MDKERN_API int mdkern_compute(const mdkern_model* model, mdkern_workspace* workspace,
                              const mdkern_atoms* atoms, const mdkern_list* list,
                              const mdkern_exchange* exchange, int threads,
                              mdkern_results* results);

/* All atoms of a periodic or free system in one process, with mdkern's own neighbor list, which is kept
 * in the workspace as long as atoms have moved less than `skin` allows. cell: (3, 3), rows are the
 * vectors; pbc: (3). Forces and virials are (n, 3) and (n, 6). The bits are those of mdkern's calculators in
 * Python with the same skin, after the same calls. */
MDKERN_API int mdkern_compute_system(const mdkern_model* model, mdkern_workspace* workspace,
                                     int64_t n, const double* x, const int32_t* type,
                                     const double* cell, const int* pbc, double skin, int threads,
                                     mdkern_results* results);

#ifdef __cplusplus
}
#endif

#endif
