"""DFT-D3 dispersion."""

from mdkern.registry import NUMBER, SWITCH, WORD, Entry, Form

ENTRY = Entry(
    name="d3",
    title="D3",
    calculator="D3",
    potential="mdkern.potentials.d3:D3",
    ase_name="mdkern-d3",
    papers={
        "D3": "S. Grimme, J. Antony, S. Ehrlich and H. Krieg, J. Chem. Phys. 132, 154104 (2010)",
        "D3, Becke-Johnson damping": "S. Grimme, S. Ehrlich and L. Goerigk, J. Comput. Chem. 32, 1456 (2011)",
        "D3, modified damping": "D. G. A. Smith, L. A. Burns, K. Patkowski and C. D. Sherrill, J. Phys. Chem. Lett. 7, 2197 (2016)",
    },
    form=Form(
        name="d3",
        parameters={
            **dict.fromkeys(("method", "damping"), WORD),
            "abc": SWITCH,
            **dict.fromkeys(("cutoff", "cn_cutoff", "abc_cutoff"), NUMBER),
            **dict.fromkeys(("width", "cn_width", "abc_width"), NUMBER),
            "params": NUMBER,
            "precision": WORD,
        },
        example="d3:method=pbe",
        help=("DFT-D3 dispersion of a functional (damping=bj, zero, bjm or zerom; abc, cutoff)",),
    ),
    benchmarks="mdkern.bench.cases.d3:KERNELS",
    reference=("mdkern.reference.d3:d3", "mdkern.reference.d3:d3_coordination"),
    page="potentials/d3.md",
    order=60,
)
