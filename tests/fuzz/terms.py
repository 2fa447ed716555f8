"""The terms and triple patterns of a random query, mostly taken from the data so that there are answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fuzz.vocabulary import GRAPHS, MISSING, NODES, PREDICATES, PREFIX, QUERY_LITERALS

if TYPE_CHECKING:
    import random
    from collections.abc import Collection, Sequence

    from tests.oracle import Quad, Term

VARIABLES = ("?a", "?b", "?c", "?x", "?y", "?g")
UNKNOWN = b""
_LIKELY_VARIABLE = (0.75, 0.15, 0.65)


class Terms:
    """Random terms as text.

    `witness` gives variables a value on first use; patterns taken from the data agree with it, so that
    a conjunction of them has at least this one solution. UNKNOWN is the value of a computed variable.
    `prefixed` writes names as `e:a` and not as `<http://e/a>`. `graph` is the GRAPH around, if known.
    """

    def __init__(self, rng: random.Random, quads: Sequence[Quad]) -> None:
        self.rng, self.quads = rng, quads
        self.prefixed = rng.random() < 0.5
        self.witness: dict[str, Term] = {}
        self.graph: Term | None = None
        self._labels = 0

    # --- terms as text -------------------------------------------------------------------------------------

    def iri(self, name: str) -> str:
        """Return a name of the vocabulary as text."""
        return f"e:{name}" if self.prefixed else f"<{PREFIX}{name}>"

    def text(self, term: Term) -> str:
        """Return a term of the data as a query writes it."""
        name = term.decode()
        if name.startswith(f"<{PREFIX}"):
            return self.iri(name[len(PREFIX) + 1 : -1])
        return name

    def node(self) -> str:
        """Return an IRI that data may have as subject or object."""
        roll = self.rng.random()
        if roll < 0.04:
            return self.iri(MISSING)
        return self.iri(self.rng.choice(GRAPHS if roll < 0.10 else NODES[:4]))

    def predicate(self) -> str:
        """Return an IRI that data may have as predicate."""
        return self.iri(MISSING if self.rng.random() < 0.03 else self.rng.choice(PREDICATES[:2] + PREDICATES))

    def graph_name(self) -> str:
        """Return an IRI that data may have as graph name."""
        return self.iri(MISSING if self.rng.random() < 0.06 else self.rng.choice(GRAPHS))

    def literal(self) -> str:
        """Return a literal, in normal form or not."""
        return self.rng.choice(QUERY_LITERALS)

    def constant(self) -> str:
        """Return a literal or an IRI."""
        return self.literal() if self.rng.random() < 0.5 else self.node()

    def constant_for(self, variable: str) -> str:
        """Return a constant to compare a variable with: half the time its witness."""
        term = self.witness.get(variable, UNKNOWN)
        return self.text(term) if term and self.rng.random() < 0.5 else self.constant()

    def variable(self, available: Collection[str] = ()) -> str:
        """Return a variable: mostly one of those at hand, else any."""
        if available and self.rng.random() < 0.8:
            return self.rng.choice(sorted(available))
        return self.rng.choice(VARIABLES)

    def blank(self) -> str:
        """Return a new blank node."""
        self._labels += 1
        return f"_:n{self._labels}"

    # --- triples ----------------------------------------------------------------------------------------------

    def triple(self, available: Collection[str]) -> tuple[str, str, str]:
        """Return a pattern: four in five taken from the data and joined to the variables at hand."""
        found = self.matching(available) if self.rng.random() < 0.8 else None
        if found is None:
            return self._blind(available)
        s, p, o = (self._generalised(term, place, available) for place, term in enumerate(found[:3]))
        return s, p, o

    def matching(self, available: Collection[str]) -> Quad | None:
        """Return a quad of the GRAPH around, mostly one that shares a term with the witnesses at hand."""
        quads = [quad for quad in self.quads if self.graph in (None, quad[3])]
        known = {self.witness[v] for v in available if v in self.witness}
        joined = [quad for quad in quads if not known.isdisjoint(quad[:3])]
        if joined and self.rng.random() < 0.85:
            return self.rng.choice(joined)
        return self.rng.choice(quads) if quads else None

    def _generalised(self, term: Term, place: int, available: Collection[str]) -> str:
        """Return a variable whose witness is the term, or the term."""
        same = [v for v in sorted(available) if self.witness.get(v) == term]
        if same and self.rng.random() < 0.8:
            return self.rng.choice(same)
        if self.rng.random() < _LIKELY_VARIABLE[place]:
            free = [v for v in VARIABLES if self.witness.get(v, term) == term and v not in available]
            if free:
                variable = self.rng.choice(free)
                self.witness[variable] = term
                return variable
            if self.rng.random() < 0.3 and place != 1:
                return self.blank()
        return self.text(term)

    def _blind(self, available: Collection[str]) -> tuple[str, str, str]:
        s, p, o = self.subject(available), self.predicate(), self.object(available)
        roll = self.rng.random()
        if roll < 0.2:
            p = self.variable(available)
        elif roll < 0.4:
            v = self.variable(available)
            return self.rng.choice(((v, p, v), (v, p, v), (v, v, o), (s, v, v), (v, v, v)))
        return s, p, o

    def subject(self, available: Collection[str]) -> str:
        """Return a variable, now and then a constant or a blank node."""
        roll = self.rng.random()
        if roll < 0.68:
            return self.variable(available)
        if roll < 0.72:
            return self.blank()
        return self.literal() if roll < 0.74 else self.node()

    def object(self, available: Collection[str]) -> str:
        """Return a variable, now and then a constant or a blank node."""
        roll = self.rng.random()
        if roll < 0.68:
            return self.variable(available)
        if roll < 0.72:
            return self.blank()
        return self.literal() if roll < 0.85 else self.node()
