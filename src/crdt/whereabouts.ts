import {
  type Clock,
  type Coordinate,
  estimateRttMs,
  type PeerId,
  type Random,
  randomPick,
} from '../base/index.ts';
import type { PeerLink } from '../mesh/index.ts';
import { moved, ORIGIN } from './coordinates.ts';
import {
  decodeLinkRow,
  encodeLinkRow,
  type LinkRow,
  linkRowOf,
  ROW_PAUSE_MS,
  ROW_PAUSE_MS_PER_NODE,
} from './link-row.ts';
import type { LwwMap } from './lww-map.ts';
import type { NodeBook } from './node-book.ts';
import { LINKS_KEY, type OwnEntries } from './own-entries.ts';

/** `toldAtMs`: wall time, by the clock of the node. */
export type ToldLinkRow = LinkRow & { readonly toldAtMs: number };

export interface WhereaboutsComponents {
  readonly clock: Clock;
  readonly random: Random;
  readonly nodes: LwwMap;
  readonly book: NodeBook;
  readonly own: OwnEntries;
  /** Measured round trips. Without it, the own coordinate stays at the origin, and no links are told. */
  readonly links: (() => readonly PeerLink[]) | undefined;
}

/** Where this node stands among the others: its links, its coordinate, and the round trips that follow from the two. */
export class Whereabouts {
  readonly #components: WhereaboutsComponents;
  #coordinate: Coordinate = ORIGIN;
  #toldLinksAtMs = Number.NEGATIVE_INFINITY;

  constructor(components: WhereaboutsComponents) {
    this.#components = components;
  }

  get coordinate(): Coordinate {
    return this.#coordinate;
  }

  /** @returns the round trip to a node in ms: as measured where there is a link, else as the coordinates promise; undefined when neither is known. */
  rttTo(peerId: PeerId): number | undefined {
    const link = this.#components.links?.().find((candidate) => candidate.peerId === peerId);
    if (link?.rttMs !== undefined) return link.rttMs;
    const remote = this.#components.book.coordinateOf(peerId);
    return remote === undefined ? undefined : estimateRttMs(this.#coordinate, remote);
  }

  linksOf(peerId: PeerId): ToldLinkRow | undefined {
    const entry = this.#components.nodes.get(peerId, LINKS_KEY);
    const row = entry?.value === undefined ? undefined : decodeLinkRow(entry.value);
    return row === undefined || entry === undefined ? undefined : { ...row, toldAtMs: entry.wallMs };
  }

  ownLinks(): ToldLinkRow {
    const { links, clock } = this.#components;
    return { ...linkRowOf(links?.() ?? []), toldAtMs: clock.wallMs() };
  }

  /** Moves the coordinate by the round trip of one link, drawn by chance. */
  measure(): void {
    const { links, random, book } = this.#components;
    const measured = (links?.() ?? []).flatMap(({ peerId, rttMs }) => {
      const remote = book.coordinateOf(peerId);
      return rttMs === undefined || remote === undefined ? [] : [{ remote, rttMs }];
    });
    const measurement = randomPick(random, measured);
    if (measurement !== undefined) this.#coordinate = moved(this.#coordinate, measurement, random);
  }

  /** C10 */
  tellLinks(): void {
    const { links, clock, nodes, own } = this.#components;
    const nowMs = clock.monotonicMs();
    const pauseMs = ROW_PAUSE_MS + ROW_PAUSE_MS_PER_NODE * nodes.ownerCount;
    if (links === undefined || this.#toldLinksAtMs + pauseMs > nowMs) return;
    const row = linkRowOf(links());
    if (row.linkCount === 0 && own.get(LINKS_KEY) === undefined) return;
    if (own.keepTold(LINKS_KEY, encodeLinkRow(row))) this.#toldLinksAtMs = nowMs;
  }
}
