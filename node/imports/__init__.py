"""Knowledge from files that are no RDF, for `dkg publish`: each item with the place that it is from (docs/imports.md).

| module               | what it has                                                                      |
|----------------------|----------------------------------------------------------------------------------|
| `run`                | which import a file is for; items to quads                                       |
| `item`               | an item, and a file that is read within bounds                                   |
| `tables`, `objects`  | CSV and TSV; JSON: by a mapping                                                  |
| `mapping`, `template`| the mapping file: a JSON-LD context, and templates of IRIs                       |
| `webpages`           | JSON-LD in web pages                                                             |
| `documents`          | JSON-LD to items, by PyLD; `schema_org`: the context that pages name             |
| `bibliographies`     | BibTeX, by bibtexparser; `bibliography_terms`: what its fields are               |
| `feeds`              | RSS, Atom and podcasts, by feedparser                                            |
| `lexical`            | which texts a datatype of XML Schema has                                         |
| `record`             | where items are from, as triples                                                 |

bibtexparser and feedparser come with the extra `imports`, and are imported where they are used.
"""
