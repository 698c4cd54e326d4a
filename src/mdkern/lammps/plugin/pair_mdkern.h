// SPDX-License-Identifier: BSD-3-Clause
//
// pair_style mdkern: mdkern's potentials inside LAMMPS, over mdkern's C interface (mdkern.h).
//
// This adapter derives from a class of LAMMPS. Its own text is under the licence of mdkern, which the
// GNU General Public License 2 is compatible with; what a compiler makes of it together with LAMMPS's
// headers is under LAMMPS's licence, GPL-2. Nothing else of mdkern includes a header of LAMMPS.
#ifndef LMP_PAIR_MDKERN_H
#define LMP_PAIR_MDKERN_H

#include <string>
#include <vector>

#include "mdkern.h"
#include "pair.h"

namespace LAMMPS_NS {

class PairMdkern : public Pair {
public:
    explicit PairMdkern(class LAMMPS* lammps);
    ~PairMdkern() override;

    void settings(int n, char** words) override;
    void coeff(int n, char** words) override;
    void init_style() override;
    double init_one(int i, int j) override;
    void compute(int eflag, int vflag) override;
    int pack_forward_comm(int n, int* atoms, double* buffer, int pbc_flag, int* pbc) override;
    void unpack_forward_comm(int n, int first, double* buffer) override;
    int pack_reverse_comm(int n, int first, double* buffer) override;
    void unpack_reverse_comm(int n, int* atoms, double* buffer) override;
    double memory_usage() override;
    void* extract_peratom(const char* name, int& columns) override;

private:
    void close();
    bool choose_rows(bool new_list);
    void copy_list();
    int exchange(double* values, int width, int stride, bool reverse);
    double* columns_of(int atom);
    void pack(int atom, double*& buffer);
    int sum(double* values, std::int64_t n);
    int row_of(int atom) const { return whole_ ? atom : row_of_[std::size_t(atom)]; }

    mdkern_model* model_ = nullptr;
    mdkern_workspace* workspace_ = nullptr;
    int threads_ = 0;           // 0: what LAMMPS has
    std::vector<int> species_;  // species of the model by type of LAMMPS, -1 for NULL
    bool whole_ = true;         // all atoms have rows, in LAMMPS's order
    bool said_overflow_ = false;
    bigint builds_ = -1;  // Neighbor::ncalls when the list was taken

    int n_own_ = 0, n_all_ = 0;  // rows
    std::vector<int> atom_of_, row_of_;
    std::vector<std::int32_t> type_;
    std::vector<double> x_, energies_, forces_, virials_, charges_, atom_charges_;
    std::vector<std::int64_t> first_;
    std::vector<std::int32_t> index_;

    // What is communicated at the moment.
    double* values_ = nullptr;
    int stride_ = 0, column_ = 0, columns_ = 0;
};

}  // namespace LAMMPS_NS

#endif
