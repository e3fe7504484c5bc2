import type { CID } from 'multiformats/cid';

/** Links of one node of the tree. */
export const LINKS_LIMIT = 174;

/** A part of a file: what is below it, and how much that is. */
export interface TreeLink {
  readonly cid: CID;
  /** Bytes of the file below. */
  readonly fileBytes: number;
  /** Bytes of all nodes below, this one included. */
  readonly treeBytes: number;
}

const FILE_TYPE = 2;

/** Field numbers and wire types of protobuf, as DAG-PB and UnixFS fix them. */
const TAG = {
  linkHash: 0x0a,
  linkName: 0x12,
  linkTreeBytes: 0x18,
  nodeLink: 0x12,
  nodeData: 0x0a,
  fileType: 0x08,
  fileBytes: 0x18,
  partBytes: 0x20,
} as const;

/** @returns a node of the tree in its one canonical form: the links first, then what they are parts of. */
export function encodeFileNode(links: readonly TreeLink[]): Uint8Array {
  const fileBytes = links.reduce((sum, link) => sum + link.fileBytes, 0);
  const file = [TAG.fileType, FILE_TYPE, TAG.fileBytes, ...varint(fileBytes)];
  for (const link of links) file.push(TAG.partBytes, ...varint(link.fileBytes));
  const node: number[] = [];
  for (const link of links) {
    const body = encodeLink(link);
    node.push(TAG.nodeLink, ...varint(body.length), ...body);
  }
  node.push(TAG.nodeData, ...varint(file.length), ...file);
  return Uint8Array.from(node);
}

/** A part of a file has no name, which is written as an empty one. */
function encodeLink({ cid, treeBytes }: TreeLink): number[] {
  const hash = cid.bytes;
  return [
    TAG.linkHash,
    ...varint(hash.length),
    ...hash,
    TAG.linkName,
    0,
    TAG.linkTreeBytes,
    ...varint(treeBytes),
  ];
}

/** @param value a whole number up to 2^53. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
  return bytes;
}
