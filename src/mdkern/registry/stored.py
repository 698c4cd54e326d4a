"""Model files of mdkern, of whatever potential."""

from mdkern.registry import Entry, Files

ENTRY = Entry(
    name="stored",
    title="Model files of mdkern",
    calculator="StoredModel",
    potential="mdkern.potentials.stored:StoredModel",
    ase_name="mdkern-stored",
    citation="the papers of the potential in the file",
    files=Files(
        formats="model files of mdkern (.mdk)",
        recognise="mdkern.io.mdk:is_model_file",
        rank=5,
        describe="mdkern.io.mdk:describe_model_file",
    ),
    page="c-interface.md",
    order=90,
)
