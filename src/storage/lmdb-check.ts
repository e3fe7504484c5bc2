import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import {
  META_BYTES,
  META_PAGES,
  type MetaFacts,
  type NodeFacts,
  overflowLength,
  PAGE_HEADER_BYTES,
  pageKind,
  pageNumber,
  pageTransaction,
  readMeta,
  readNodes,
  type TreeFacts,
} from './lmdb-pages.ts';
import { type Key, StorageFault } from './store.ts';

const PAGE_BYTES_KNOWN = [4_096, 8_192, 16_384, 32_768];
/** Deeper trees than this hold more than any disk. */
const DEPTH_LIMIT = 32;
/** Files with more pages in use have only their branches looked at, so that a start stays short. 256 MiB of 4 KiB pages. */
const WHOLE_CHECK_PAGES_LIMIT = 65_536;

export interface StoreCheck {
  /** Pages that belong to trees. */
  readonly pages: number;
  readonly entries: number;
  /** False for a file too large to be read whole: its values are then checked when they are read. */
  readonly isWhole: boolean;
}

export interface StoreCheckOptions {
  /** Whether a value is what was written under its key. @default every value is */
  readonly isGenuine?: (key: Key, stored: Uint8Array) => boolean;
  /** @default 65_536 */
  readonly wholePagesLimit?: number;
}

/**
 * Walks a closed store file from its root to every value, before the engine may follow a damaged page.
 *
 * - K1: every page is where and what its parent says, belongs to one tree only, and is no younger than the transaction that stands.
 * - K2: keys are in order, and trees have as many entries and pages as their roots tell: no row is lost or doubled.
 * - K3: the two meta pages name consecutive transactions, and each has a root that its own transaction wrote: an old state that stands in for
 *   the newest is noticed.
 *
 * @returns undefined for a file that is not there or empty.
 * @throws StorageFault `damaged`, naming the page.
 */
export function checkStoreFile(path: string, options: StoreCheckOptions = {}): StoreCheck | undefined {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { size } = fstatSync(file);
    return size === 0 ? undefined : new FileWalk(file, { path, size }, options).check();
  } finally {
    closeSync(file);
  }
}

class FileWalk {
  readonly #file: number;
  readonly #path: string;
  readonly #size: number;
  readonly #options: StoreCheckOptions;
  #meta!: MetaFacts;
  #isWhole = true;
  /** One bit a page: those that belong to a tree or are free. */
  #seen = new Uint8Array(0);
  #seenPages = 0;

  constructor(file: number, { path, size }: { path: string; size: number }, options: StoreCheckOptions) {
    this.#file = file;
    this.#path = path;
    this.#size = size;
    this.#options = options;
  }

  check(): StoreCheck {
    this.#meta = this.#newestMeta();
    const { main, free, lastPage } = this.#meta;
    this.#seen = new Uint8Array((lastPage >> 3) + 1);
    const { wholePagesLimit = WHOLE_CHECK_PAGES_LIMIT } = this.#options;
    this.#isWhole = main.leafPages + main.overflowPages + main.branchPages <= wholePagesLimit;
    const { isGenuine = () => true } = this.#options;
    this.#walkTree(main, (key, stored) => {
      const text = key.toString('latin1');
      if (!isGenuine(text, stored))
        this.#damaged(`the value of key ${JSON.stringify(text.slice(0, 80))} does not match its checksum`);
    });
    const pages = this.#seenPages;
    this.#walkTree(free, (_, stored) => this.#takeFreePages(stored));
    return { pages, entries: main.entries, isWhole: this.#isWhole };
  }

  /** K3 */
  #newestMeta(): MetaFacts {
    const first = this.#readMetaAt(0, 0);
    const second = this.#readMetaAt(1, first.pageBytes);
    const [older, newer] = first.transaction < second.transaction ? [first, second] : [second, first];
    if (first.pageBytes !== second.pageBytes) this.#damaged('its meta pages disagree');
    this.#meta = newer;
    if (newer.transaction === 0) return newer;
    const isInPlace = newer === second ? newer.transaction % 2 === 1 : newer.transaction % 2 === 0;
    if (!isInPlace || newer.transaction - older.transaction !== 1) {
      this.#damaged(`its meta pages name the transactions ${first.transaction} and ${second.transaction}`);
    }
    for (const meta of [older, newer]) this.#checkRoots(meta);
    if (newer.lastPage < older.lastPage) this.#damaged('it has fewer pages than one transaction before');
    return newer;
  }

  #readMetaAt(number: number, pageBytes: number): MetaFacts {
    const bytes = Buffer.alloc(META_BYTES);
    const length = readSync(this.#file, bytes, 0, META_BYTES, number * pageBytes);
    const meta = readMeta(bytes.subarray(0, length));
    if (meta === undefined || !PAGE_BYTES_KNOWN.includes(meta.pageBytes))
      return this.#damaged(`meta page ${number} is not one`);
    const isPlausible =
      pageNumber(bytes) === number &&
      pageKind(bytes) === 'meta' &&
      meta.lastPage <= this.#size / meta.pageBytes + 2 ** 20;
    if (!isPlausible) this.#damaged(`meta page ${number} is not plausible`);
    return meta;
  }

  #checkRoots(meta: MetaFacts): void {
    if (meta.transaction === 0) return;
    const roots = [meta.main.root, meta.free.root].filter((root) => root !== undefined);
    const transactions = roots.map((root) => pageTransaction(this.#readPage(root, meta)));
    if (roots.length > 0 && Math.max(...transactions) !== meta.transaction) {
      this.#damaged(`nothing in it was written by its transaction ${meta.transaction}`);
    }
  }

  /** K1, K2 */
  #walkTree(tree: TreeFacts, onEntry: (key: Buffer, stored: Uint8Array) => void): void {
    const found = { branchPages: 0, leafPages: 0, overflowPages: 0, entries: 0 };
    if (tree.depth > DEPTH_LIMIT) this.#damaged(`a tree is ${tree.depth} levels deep`);
    let lastKey: Buffer | undefined;
    const visitLeaf = (nodes: readonly NodeFacts[]) => {
      found.leafPages += 1;
      for (const { key, value, big } of nodes) {
        if (lastKey !== undefined && tree === this.#meta.main && Buffer.compare(lastKey, key) >= 0) {
          this.#damaged(`the key ${JSON.stringify(key.toString('latin1').slice(0, 80))} is out of order`);
        }
        lastKey = Buffer.from(key);
        found.entries += 1;
        found.overflowPages += big?.pages ?? 0;
        onEntry(key, value ?? this.#readBig(big as NonNullable<typeof big>));
      }
    };
    const visit = (number: number, level: number): void => {
      if (!this.#isWhole && level === tree.depth && tree === this.#meta.main) {
        this.#claim(number, 1);
        return;
      }
      const page = this.#readPage(number, this.#meta);
      this.#claim(number, 1);
      const kind = level === tree.depth ? 'leaf' : 'branch';
      const nodes = pageKind(page) === kind ? readNodes(page, kind) : undefined;
      if (nodes === undefined || nodes.length === 0) this.#damaged(`page ${number} is not a ${kind}`);
      if (kind === 'leaf') visitLeaf(nodes);
      else {
        found.branchPages += 1;
        for (const { child } of nodes) visit(child, level + 1);
      }
    };
    if (tree.root !== undefined) visit(tree.root, 1);
    if (this.#isWhole || tree !== this.#meta.main) this.#compare(tree, found);
  }

  #compare(tree: TreeFacts, found: Omit<TreeFacts, 'depth' | 'root'>): void {
    for (const name of ['entries', 'leafPages', 'branchPages', 'overflowPages'] as const) {
      if (tree[name] !== found[name])
        this.#damaged(`it should have ${tree[name]} ${name} and has ${found[name]}`);
    }
  }

  #readPage(number: number, meta: MetaFacts): Buffer {
    if (number < META_PAGES || number > meta.lastPage) this.#damaged(`page ${number} is beyond its end`);
    const page = this.#read(number, meta.pageBytes);
    if (pageNumber(page) !== number || pageTransaction(page) > meta.transaction) {
      this.#damaged(`page ${number} does not say that it is in its place`);
    }
    return page;
  }

  #readBig(big: NonNullable<NodeFacts['big']>): Buffer {
    const { pageBytes, lastPage } = this.#meta;
    const first = this.#readPage(big.page, this.#meta);
    const isWhole =
      pageKind(first) === 'overflow' &&
      overflowLength(first) === big.pages &&
      pageTransaction(first) === big.transaction &&
      big.page + big.pages - 1 <= lastPage &&
      big.pages >= Math.ceil((big.bytes + PAGE_HEADER_BYTES) / pageBytes);
    if (!isWhole) this.#damaged(`page ${big.page} is not the value it should be`);
    this.#claim(big.page, big.pages);
    return this.#read(big.page, big.pages * pageBytes).subarray(
      PAGE_HEADER_BYTES,
      PAGE_HEADER_BYTES + big.bytes,
    );
  }

  #read(number: number, bytes: number): Buffer {
    const page = Buffer.allocUnsafe(bytes);
    const length = readSync(this.#file, page, 0, bytes, number * this.#meta.pageBytes);
    if (length !== bytes) this.#damaged(`it ends before page ${number} does`);
    return page;
  }

  #claim(number: number, count: number): void {
    if (number < META_PAGES || number + count - 1 > this.#meta.lastPage)
      this.#damaged(`page ${number} is beyond its end`);
    for (let each = number; each < number + count; each += 1) {
      const bit = 1 << (each & 7);
      const octet = this.#seen[each >> 3] as number;
      if ((octet & bit) !== 0) this.#damaged(`page ${each} has two owners`);
      this.#seen[each >> 3] = octet | bit;
    }
    this.#seenPages += count;
  }

  /** A record of the free tree: how many pages, then their numbers; a negative count stands before a run of pages. */
  #takeFreePages(stored: Uint8Array): void {
    const list = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength);
    const count = list.length >= 8 ? Number(list.readBigInt64LE(0)) : -1;
    if (count < 0 || (count + 1) * 8 > list.length) this.#damaged('a list of free pages is malformed');
    for (let at = 1; at <= count; at += 1) {
      const number = Number(list.readBigInt64LE(at * 8));
      if (number > 0) this.#claim(number, 1);
      else if (number < 0) this.#claim(Number(list.readBigInt64LE(++at * 8)), -number);
    }
  }

  #damaged(what: string): never {
    throw new StorageFault('damaged', `the store ${this.#path} is damaged: ${what}`);
  }
}
