/**
 * The shape of a store file as lmdb 3.5.6 writes it on 64-bit little-endian machines, as far as one must know it to tell a whole file from
 * a damaged one: the engine itself has no checksums, follows whatever a page says, and ends the process with a signal over a wrong offset.
 */

export const PAGE_HEADER_BYTES = 24;
export const META_PAGES = 2;
export const META_BYTES = 168;
/** What a root holds when its tree is empty. */
export const NO_PAGE = 0xffff_ffff_ffff_ffffn;

const PAGE_KINDS = { branch: 1, leaf: 2, overflow: 4, meta: 8 } as const;
export type PageKind = keyof typeof PAGE_KINDS;
const MAGIC = 0xbeefc0de;
const DATA_VERSION = 2;
const FREE_TREE_AT = 48;
const MAIN_TREE_AT = 96;
const NODE_HEADER_BYTES = 8;
const BIG_VALUE = 1;

/** One tree as its root record tells it; counts are what a walk must find. */
export interface TreeFacts {
  readonly depth: number;
  readonly branchPages: number;
  readonly leafPages: number;
  readonly overflowPages: number;
  readonly entries: number;
  /** undefined when the tree is empty. */
  readonly root: number | undefined;
}

export interface MetaFacts {
  readonly pageBytes: number;
  readonly free: TreeFacts;
  readonly main: TreeFacts;
  readonly lastPage: number;
  readonly transaction: number;
}

export interface NodeFacts {
  readonly key: Buffer;
  /** Of a branch. */
  readonly child: number;
  /** Of a leaf; undefined when it lies on pages of its own. */
  readonly value: Buffer | undefined;
  readonly big:
    | { readonly page: number; readonly transaction: number; readonly pages: number; readonly bytes: number }
    | undefined;
}

/** @returns undefined when the bytes are not a meta page. */
export function readMeta(bytes: Buffer): MetaFacts | undefined {
  if (
    bytes.length < META_BYTES ||
    bytes.readUInt32LE(24) !== MAGIC ||
    bytes.readUInt32LE(28) !== DATA_VERSION
  )
    return undefined;
  return {
    pageBytes: bytes.readUInt32LE(FREE_TREE_AT),
    free: readTree(bytes, FREE_TREE_AT),
    main: readTree(bytes, MAIN_TREE_AT),
    lastPage: numberAt(bytes, 144),
    transaction: numberAt(bytes, 152),
  };
}

function readTree(bytes: Buffer, at: number): TreeFacts {
  const root = bytes.readBigUInt64LE(at + 40);
  return {
    depth: bytes.readUInt16LE(at + 6),
    branchPages: numberAt(bytes, at + 8),
    leafPages: numberAt(bytes, at + 16),
    overflowPages: numberAt(bytes, at + 24),
    entries: numberAt(bytes, at + 32),
    root: root === NO_PAGE ? undefined : Number(root),
  };
}

/** @returns undefined when the header names no kind, or more than one. */
export function pageKind(page: Buffer): PageKind | undefined {
  const flags = page.readUInt16LE(18);
  for (const [kind, flag] of Object.entries(PAGE_KINDS)) if (flags === flag) return kind as PageKind;
  return undefined;
}

export function pageNumber(page: Buffer): number {
  return numberAt(page, 0);
}

/** The transaction that wrote the page. */
export function pageTransaction(page: Buffer): number {
  return numberAt(page, 8);
}

export function overflowLength(page: Buffer): number {
  return page.readUInt32LE(20);
}

/** @returns the nodes of a branch or leaf page in order; undefined when one lies outside of it. */
export function readNodes(page: Buffer, kind: 'branch' | 'leaf'): NodeFacts[] | undefined {
  const lower = page.readUInt16LE(20);
  const upper = page.readUInt16LE(22);
  const end = page.length - PAGE_HEADER_BYTES;
  if (lower % 2 !== 0 || lower > upper || upper > end) return undefined;
  const nodes: NodeFacts[] = [];
  for (let at = 0; at < lower; at += 2) {
    const offset = page.readUInt16LE(PAGE_HEADER_BYTES + at);
    if (offset < upper || offset + NODE_HEADER_BYTES > end) return undefined;
    const node = readNode(page, PAGE_HEADER_BYTES + offset, kind);
    if (node === undefined) return undefined;
    nodes.push(node);
  }
  return nodes;
}

function readNode(page: Buffer, at: number, kind: 'branch' | 'leaf'): NodeFacts | undefined {
  const low = page.readUInt16LE(at) + page.readUInt16LE(at + 2) * 2 ** 16;
  const flags = page.readUInt16LE(at + 4);
  const keyAt = at + NODE_HEADER_BYTES;
  const valueAt = keyAt + page.readUInt16LE(at + 6);
  if (valueAt > page.length) return undefined;
  const key = page.subarray(keyAt, valueAt);
  if (kind === 'branch') return { key, child: low + flags * 2 ** 32, value: undefined, big: undefined };
  if (flags === BIG_VALUE) {
    if (valueAt + 24 > page.length) return undefined;
    const [pageAt, transactionAt, pagesAt] = [valueAt, valueAt + 8, valueAt + 16];
    const big = {
      page: numberAt(page, pageAt),
      transaction: numberAt(page, transactionAt),
      pages: numberAt(page, pagesAt),
      bytes: low,
    };
    return { key, child: 0, value: undefined, big };
  }
  if (flags !== 0 || valueAt + low > page.length) return undefined;
  return { key, child: 0, value: page.subarray(valueAt, valueAt + low), big: undefined };
}

/** Numbers beyond 2^53 come out inexact, and too large for any page or count to be. */
function numberAt(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
}
