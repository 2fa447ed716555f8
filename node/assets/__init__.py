"""Assets of a publisher: what is in them, what is said about them, and what is checked before they are published.

| module       | what it has                                                                      |
|--------------|----------------------------------------------------------------------------------|
| `request`    | files and options in, a request out: what `dkg publish` and `dkg retract` call   |
| `edits`      | create, change, supersede, retract: changes to a dataset, as pure functions      |
| `provenance` | what the provenance graph says, written and read                                 |
| `graphs`     | one graph of a dataset, and what changed in it                                   |
| `history`    | the versions of an asset, from its publisher's commits                           |
| `shapes`     | SHACL shapes, checked over an asset; `report` has what they found                |
| `integrity`  | documents that carry a Data Integrity proof of their author                      |
| `jsonld`     | JSON-LD to quads, with a closed list of contexts and nothing left out            |
| `ed25519`    | keys of did:key, and signatures                                                  |

docs/assets.md says the same to those who publish and to those who ask.
"""
