// SPDX-License-Identifier: BSD-3-Clause
#include "pair_mdkern.h"

#include <algorithm>
#include <cstring>

#include "atom.h"
#include "comm.h"
#include "domain.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "update.h"
#include "utils.h"

using namespace LAMMPS_NS;

namespace {

// Values of an atom that are sent in one message at most, for the sake of LAMMPS's buffers; wider exchanges
// take several.
constexpr int kMostColumns = 1024;

}  // namespace

PairMdkern::PairMdkern(LAMMPS* lammps) : Pair(lammps) {
    one_coeff = 1;
    manybody_flag = 1;
    single_enable = 0;
    restartinfo = 0;
    // mdkern sums the virial itself: pairs with ghosts leave no forces on them.
    no_virial_fdotr_compute = 1;
    // Of a many-body potential these are other numbers than those of stress/atom.
    centroidstressflag = CENTROID_NOTAVAIL;
}

PairMdkern::~PairMdkern() {
    close();
    if (!allocated) return;
    memory->destroy(setflag);
    memory->destroy(cutsq);
}

void PairMdkern::close() {
    mdkern_workspace_destroy(workspace_);
    mdkern_model_close(model_);
    workspace_ = nullptr;
    model_ = nullptr;
}

// pair_style mdkern [threads N]
void PairMdkern::settings(int n, char** words) {
    if (strcmp(update->unit_style, "metal") != 0)
        error->all(FLERR, "Pair style mdkern: units {}; expected units metal (Angstrom, eV)",
                   update->unit_style);
    threads_ = 0;
    for (int k = 0; k < n; k += 2) {
        if (strcmp(words[k], "threads") != 0)
            error->all(FLERR, "Pair style mdkern: keyword {}; expected threads N", words[k]);
        if (k + 1 == n) error->all(FLERR, "Pair style mdkern: threads without a number");
        threads_ = utils::inumeric(FLERR, words[k + 1], false, lmp);
        if (threads_ < 1)
            error->all(FLERR, "Pair style mdkern: threads {}; expected 1 or more", threads_);
    }
}

// pair_coeff * * model.mdk Cu Ni NULL
void PairMdkern::coeff(int n, char** words) {
    const int n_types = atom->ntypes;
    if (n != 3 + n_types)
        error->all(
            FLERR,
            "Pair style mdkern: pair_coeff has {} arguments; expected * *, a model file, and an "
            "element or NULL for each of the {} atom types",
            n, n_types);
    if (strcmp(words[0], "*") != 0 || strcmp(words[1], "*") != 0)
        error->all(FLERR, "Pair style mdkern: pair_coeff {} {}; expected * *", words[0], words[1]);
    close();
    const std::string found = utils::get_potential_file_path(words[2]);
    if (found.empty())
        error->all(FLERR, "Pair style mdkern: {}: no such file, here or in LAMMPS_POTENTIALS",
                   words[2]);
    const int status = mdkern_model_open(found.c_str(), &model_);
    if (status == MDKERN_FORMAT)
        error->all(
            FLERR,
            "Pair style mdkern: {}\n  A model of another format is converted by: mdkern export "
            "{} -o model.mdk",
            mdkern_error_message(), words[2]);
    if (status != MDKERN_OK) error->all(FLERR, "Pair style mdkern: {}", mdkern_error_message());
    if (mdkern_workspace_create(model_, &workspace_) != MDKERN_OK)
        error->all(FLERR, "Pair style mdkern: {}", mdkern_error_message());
    builds_ = -1;

    // Without names the model takes any element, all alike.
    const bool any = mdkern_model_species(model_, 0) == nullptr;
    species_.assign(std::size_t(n_types) + 1, -1);
    for (int t = 1; t <= n_types; ++t) {
        const char* element = words[2 + t];
        if (strcmp(element, "NULL") == 0) continue;
        int& species = species_[std::size_t(t)];
        if (any) species = 0;
        std::string known;
        for (int s = 0; !any && s < mdkern_model_n_species(model_); ++s) {
            known += std::string(s ? " " : "") + mdkern_model_species(model_, s);
            if (strcmp(element, mdkern_model_species(model_, s)) == 0) species = s;
        }
        if (species < 0)
            error->all(FLERR,
                       "Pair style mdkern: atom type {} is {}; {} has {}, or NULL is expected", t,
                       element, words[2], known);
    }

    if (!allocated) {
        allocated = 1;
        memory->create(setflag, n_types + 1, n_types + 1, "pair:setflag");
        memory->create(cutsq, n_types + 1, n_types + 1, "pair:cutsq");
    }
    for (int i = 1; i <= n_types; ++i)
        for (int j = 1; j <= n_types; ++j) {
            setflag[i][j] = species_[std::size_t(i)] >= 0 && species_[std::size_t(j)] >= 0;
            cutsq[i][j] = 0.0;
        }
}

void PairMdkern::init_style() {
    if (!model_) error->all(FLERR, "Pair style mdkern: no pair_coeff");
    if (!force->newton_pair)
        error->all(FLERR, "Pair style mdkern: newton off; expected newton on for pairs");
    // Bonded neighbors that LAMMPS leaves out of its lists would be missing from environments.
    for (int k = 1; atom->molecular != Atom::ATOMIC && k <= 3; ++k)
        if (force->special_lj[k] == 0.0 && force->special_coul[k] == 0.0 &&
            (atom->nbonds > 0 || atom->nangles > 0))
            error->all(FLERR,
                       "Pair style mdkern: special_bonds 0 takes bonded neighbors out of the list; "
                       "expected special_bonds lj/coul 1 1 1");
    if (mdkern_model_half(model_))
        neighbor->add_request(this, NeighConst::REQ_NEWTON_OFF);
    else
        neighbor->add_request(this, NeighConst::REQ_FULL);
    // LAMMPS makes its buffers after this, and asks the outermost style: a hybrid one has looked at its parts
    // when they were made, before a model was known.
    comm_forward = std::min(mdkern_model_exchange_width(model_), kMostColumns);
    comm_reverse = mdkern_model_reverses(model_) ? comm_forward : 0;
    force->pair->comm_forward = std::max(force->pair->comm_forward, comm_forward);
    force->pair->comm_reverse = std::max(force->pair->comm_reverse, comm_reverse);
    builds_ = -1;
}

double PairMdkern::init_one(int i, int j) {
    return setflag[i][j] || setflag[j][i] ? mdkern_model_cutoff(model_) : 0.0;
}

// Rows of atoms: all, or where some have no element, or the list of a hybrid style leaves some out, those
// that take part. Says whether types are others than before.
bool PairMdkern::choose_rows(bool new_list) {
    const int n_local = atom->nlocal, n_atoms = n_local + atom->nghost;
    if (new_list) {
        whole_ = list->inum == n_local &&
                 std::none_of(species_.begin() + 1, species_.end(), [](int s) { return s < 0; });
        if (!whole_) {
            row_of_.assign(std::size_t(n_atoms), -1);
            atom_of_.clear();
            for (int k = 0; k < list->inum; ++k) {
                const int i = list->ilist[k];
                if (species_[std::size_t(atom->type[i])] >= 0) row_of_[std::size_t(i)] = 0;
            }
            // In the order of LAMMPS, so that later rows stay later.
            for (int i = 0; i < n_atoms; ++i) {
                const bool takes_part = i < n_local ? row_of_[std::size_t(i)] == 0
                                                    : species_[std::size_t(atom->type[i])] >= 0;
                if (!takes_part) continue;
                row_of_[std::size_t(i)] = int(atom_of_.size());
                atom_of_.push_back(i);
                if (i < n_local) n_own_ = int(atom_of_.size());
            }
            if (atom_of_.empty() || atom_of_[0] >= n_local) n_own_ = 0;
            n_all_ = int(atom_of_.size());
        } else {
            n_own_ = n_local;
            n_all_ = n_atoms;
        }
        type_.assign(std::size_t(n_all_), -1);
    }
    bool changed = new_list;
    for (int r = 0; r < n_all_; ++r) {
        const int i = whole_ ? r : atom_of_[std::size_t(r)];
        const int species = species_[std::size_t(atom->type[i])];
        changed = changed || type_[std::size_t(r)] != species;
        type_[std::size_t(r)] = species;
    }
    if (whole_) return changed;
    x_.resize(std::size_t(3 * n_all_));
    for (int r = 0; r < n_all_; ++r)
        std::copy_n(atom->x[atom_of_[std::size_t(r)]], 3, &x_[std::size_t(3 * r)]);
    return changed;
}

// The list of the rows that were chosen.
void PairMdkern::copy_list() {
    first_.assign(1, 0);
    index_.clear();
    for (int r = 0; r < n_own_; ++r) {
        const int i = atom_of_[std::size_t(r)];
        for (int k = 0; k < list->numneigh[i]; ++k) {
            const int row = row_of_[std::size_t(list->firstneigh[i][k] & NEIGHMASK)];
            if (row >= 0) index_.push_back(row);
        }
        first_.push_back(std::int64_t(index_.size()));
    }
}

void PairMdkern::compute(int eflag, int vflag) {
    ev_init(eflag, vflag);
    const bool new_list = neighbor->ago == 0 || neighbor->ncalls != builds_;
    builds_ = neighbor->ncalls;
    const bool changed = choose_rows(new_list);
    if (!whole_ && changed) copy_list();

    mdkern_atoms rows;
    rows.n_own = n_own_;
    rows.n_all = n_all_;
    rows.x = whole_ ? (n_all_ ? atom->x[0] : nullptr) : x_.data();
    rows.type = type_.data();
    // Rows of LAMMPS's box are upper triangular: h is xx yy zz yz xz xy.
    const double* h = domain->h;
    const double cell[9] = {h[0], 0.0, 0.0, h[5], h[1], 0.0, h[4], h[3], h[2]};
    rows.cell = mdkern_model_long_range(model_) ? cell : nullptr;
    rows.pbc = domain->periodicity;
    mdkern_list neighbors = {};
    if (whole_) {
        neighbors.ilist = list->ilist;
        neighbors.numneigh = list->numneigh;
        neighbors.firstneigh = list->firstneigh;
        neighbors.mask = NEIGHMASK;
    } else {
        neighbors.first = first_.data();
        neighbors.index = index_.data();
    }
    neighbors.changed = changed;
    neighbors.half = mdkern_model_half(model_);
    mdkern_exchange exchange;
    exchange.user = this;
    exchange.forward = [](void* user, double* values, int width, int stride) {
        return static_cast<PairMdkern*>(user)->exchange(values, width, stride, false);
    };
    exchange.reverse = [](void* user, double* values, int width, int stride) {
        return static_cast<PairMdkern*>(user)->exchange(values, width, stride, true);
    };
    exchange.sum = [](void* user, double* values, std::int64_t n) {
        return static_cast<PairMdkern*>(user)->sum(values, n);
    };
    mdkern_results results = {};
    forces_.resize(std::size_t(3 * n_all_) + 1);
    results.forces = forces_.data();
    if (eflag_atom) {
        energies_.resize(std::size_t(n_own_) + 1);
        results.energies = energies_.data();
    }
    if (vflag_atom) {
        virials_.resize(std::size_t(6 * n_all_) + 1);
        results.virials = virials_.data();
    }
    if (rows.cell) {
        charges_.resize(std::size_t(n_own_) + 1);
        results.charges = charges_.data();
    }
    results.forces_alone = !(eflag_either || vflag_either);
    const int threads = threads_ ? threads_ : comm->nthreads;
    if (mdkern_compute(model_, workspace_, &rows, &neighbors, &exchange, threads, &results) !=
        MDKERN_OK)
        error->one(FLERR, "Pair style mdkern: {}", mdkern_error_message());
    if (results.overflow && !said_overflow_) {
        said_overflow_ = true;
        error->warning(
            FLERR,
            "Pair style mdkern: atoms with more neighbors than the model has room for, of "
            "which the farthest were left out, a density beyond the end of its table, or symmetry "
            "functions beyond the range of the training");
    }

    double* f = n_all_ ? atom->f[0] : nullptr;
    if (whole_) {
        for (int k = 0; k < 3 * n_all_; ++k) f[k] += forces_[std::size_t(k)];
    } else {
        for (int r = 0; r < n_all_; ++r)
            for (int c = 0; c < 3; ++c)
                f[3 * atom_of_[std::size_t(r)] + c] += forces_[std::size_t(3 * r + c)];
    }
    if (rows.cell) {
        atom_charges_.assign(std::size_t(atom->nmax), 0.0);
        for (int r = 0; r < n_own_; ++r)
            atom_charges_[std::size_t(whole_ ? r : atom_of_[std::size_t(r)])] =
                charges_[std::size_t(r)];
    }
    if (eflag_global) eng_vdwl += results.energy;
    // mdkern has xx yy zz yz xz xy, LAMMPS xx yy zz xy xz yz.
    const int voigt[6] = {0, 1, 2, 5, 4, 3};
    for (int c = 0; vflag_global && c < 6; ++c) virial[c] += results.virial[voigt[c]];
    for (int r = 0; eflag_atom && r < n_own_; ++r)
        eatom[whole_ ? r : atom_of_[std::size_t(r)]] += energies_[std::size_t(r)];
    for (int r = 0; vflag_atom && r < n_all_; ++r)
        for (int c = 0; c < 6; ++c)
            vatom[whole_ ? r : atom_of_[std::size_t(r)]][c] +=
                virials_[std::size_t(6 * r + voigt[c])];
}

// Columns of `values` to the ghosts' rows, or in reverse from these to what own rows have. What LAMMPS throws
// meanwhile becomes the message of mdkern_compute.
int PairMdkern::exchange(double* values, int width, int stride, bool reverse) {
    values_ = values;
    stride_ = stride;
    const int most = reverse ? comm_reverse : comm_forward;
    for (column_ = 0; column_ < width; column_ += most) {
        columns_ = std::min(most, width - column_);
        if (reverse)
            comm->reverse_comm(this, columns_);
        else
            comm->forward_comm(this, columns_);
    }
    return 0;
}

int PairMdkern::sum(double* values, std::int64_t n) {
    constexpr std::int64_t kMost = std::int64_t(1) << 24;
    for (std::int64_t k = 0; k < n; k += kMost)
        MPI_Allreduce(MPI_IN_PLACE, values + k, int(std::min(kMost, n - k)), MPI_DOUBLE, MPI_SUM,
                      world);
    return 0;
}

// fix pair: the charges that a model gives its atoms.
void* PairMdkern::extract_peratom(const char* name, int& columns) {
    if (strcmp(name, "charges") != 0 || !model_ || !mdkern_model_long_range(model_)) return nullptr;
    columns = 0;
    atom_charges_.resize(std::size_t(atom->nmax), 0.0);
    return atom_charges_.data();
}

// The columns of an atom of LAMMPS that are sent; null of one that takes no part.
double* PairMdkern::columns_of(int atom) {
    const int row = row_of(atom);
    return row < 0 ? nullptr : values_ + std::ptrdiff_t(stride_) * row + column_;
}

void PairMdkern::pack(int atom, double*& buffer) {
    const double* from = columns_of(atom);
    for (int c = 0; c < columns_; ++c) *buffer++ = from ? from[c] : 0.0;
}

int PairMdkern::pack_forward_comm(int n, int* atoms, double* buffer, int, int*) {
    for (int k = 0; k < n; ++k) pack(atoms[k], buffer);
    return n * columns_;
}

void PairMdkern::unpack_forward_comm(int n, int first, double* buffer) {
    for (int k = 0; k < n; ++k)
        if (double* to = columns_of(first + k))
            std::copy_n(buffer + std::ptrdiff_t(columns_) * k, columns_, to);
}

int PairMdkern::pack_reverse_comm(int n, int first, double* buffer) {
    for (int k = 0; k < n; ++k) pack(first + k, buffer);
    return n * columns_;
}

// Of atoms here, or of ghosts that are sent on.
void PairMdkern::unpack_reverse_comm(int n, int* atoms, double* buffer) {
    for (int k = 0; k < n; ++k) {
        double* to = columns_of(atoms[k]);
        for (int c = 0; to && c < columns_; ++c) to[c] += buffer[std::ptrdiff_t(columns_) * k + c];
    }
}

double PairMdkern::memory_usage() {
    return Pair::memory_usage() +
           double(sizeof(double)) * double(x_.capacity() + energies_.capacity() +
                                           forces_.capacity() + virials_.capacity()) +
           double(sizeof(int)) *
               double(type_.capacity() + index_.capacity() + 2 * atom_of_.capacity());
}
