"""Cases of benchmarks, one file for neighbor lists and one for each potential, which `mdkern.registry` names."""
