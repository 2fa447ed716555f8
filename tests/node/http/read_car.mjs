// What the IPFS project's own library reads of a CAR file, as JSON: run as a program on standard input, with the file
// as its argument, in the folder where npm put @ipld/car, @ipld/dag-cbor and multiformats.
import { readFileSync } from 'node:fs'
import { CarReader } from '@ipld/car'
import * as dagCbor from '@ipld/dag-cbor'
import { sha256 } from 'multiformats/hashes/sha2'
import { CID } from 'multiformats/cid'

const bytes = readFileSync(process.argv[2])
const reader = await CarReader.fromBytes(bytes)
const found = { version: reader.version, roots: [], blocks: [], bad: [], links: [] }
for (const root of await reader.getRoots()) found.roots.push(root.toString())
const links = value => {
  if (CID.asCID(value)) found.links.push(value.toString())
  else if (Array.isArray(value)) value.forEach(links)
  else if (value && typeof value === 'object' && !(value instanceof Uint8Array)) Object.values(value).forEach(links)
}
for await (const block of reader.blocks()) {
  const digest = await sha256.digest(block.bytes)
  const name = CID.create(1, dagCbor.code, digest)
  if (!name.equals(block.cid)) found.bad.push(block.cid.toString())
  const value = dagCbor.decode(block.bytes)
  const again = dagCbor.encode(value)
  if (Buffer.compare(Buffer.from(again), Buffer.from(block.bytes)) !== 0) found.bad.push(block.cid.toString())
  found.blocks.push(block.cid.toString())
  links(value)
}
console.log(JSON.stringify(found))
