r"""LaTeX in bibliographies to text: accents and symbols by pylatexenc, which bibtexparser brings.

Formulas stay as they are written, between dollars. A command that is not known has no text: it is counted, so that
somebody can be told. Nothing is read from files, whatever `\input` says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pylatexenc.latex2text import (  # type: ignore[import-untyped]
    LatexNodes2Text,
    MacroTextSpec,
    get_default_latex_context_db,
)

if TYPE_CHECKING:
    from collections import Counter

_WORDS = {"TeX": "TeX", "LaTeX": "LaTeX", "LaTeXe": "LaTeX2e", "BibTeX": "BibTeX", "url": "%s"}


def decoder(unknown: Counter[str]) -> Any:  # noqa: ANN401 - pylatexenc has no types
    """What makes text of LaTeX. `unknown`: counts the commands that it does not know."""

    def counted(node: Any) -> str:  # noqa: ANN401 - as above
        unknown[node.macroname] += 1
        return ""

    known = get_default_latex_context_db()
    macros = [MacroTextSpec(name, simplify_repl=text) for name, text in _WORDS.items()]
    macros += [MacroTextSpec(name, simplify_repl=counted) for name in ("input", "include", "href")]
    known.add_context_category("dkg", prepend=True, macros=macros)
    known.set_unknown_macro_spec(MacroTextSpec("", simplify_repl=counted))
    return LatexNodes2Text(latex_context=known, keep_braced_groups=False, math_mode="verbatim")
