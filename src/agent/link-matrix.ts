import type { PeerId } from '../base/index.ts';
import { markOfPeer, type ToldLink, type ToldLinkRow } from '../crdt/index.ts';

/** Who reaches whom, as far as this node was told. */
export interface LinkMatrix {
  readonly nodes: readonly MatrixNode[];
  readonly links: readonly MatrixLink[];
}

export interface MatrixNode {
  readonly peerId: PeerId;
  readonly name: string | null;
  readonly isAlive: boolean;
  /** Wall time at which it told of its links, by its own clock; null when it has told nothing yet. */
  readonly toldAt: number | null;
  /** All its links, also those to peers that are not listed. */
  readonly linkCount: number | null;
}

export interface MatrixLink {
  readonly from: PeerId;
  readonly to: PeerId;
  readonly path: ToldLink['path'];
  /** Rounded up to a power of two. */
  readonly rttMs: number | null;
  /** The other end tells of it too. One that does not was told at another moment, or lies. */
  readonly isMutual: boolean;
}

export interface MatrixInput extends Pick<MatrixNode, 'peerId' | 'name' | 'isAlive'> {
  readonly row: ToldLinkRow | undefined;
}

/** Pure. A link to somebody who is not among `nodes` counts in `linkCount` alone: what a peer tells names nobody who is not there. */
export function matrixOf(nodes: readonly MatrixInput[]): LinkMatrix {
  const byMark = new Map(nodes.map(({ peerId }) => [markOfPeer(peerId), peerId]));
  const told = nodes.flatMap(({ peerId: from, row }) =>
    (row?.links ?? []).flatMap(({ mark, path, rttMs }) => {
      const to = byMark.get(mark);
      return to === undefined || to === from ? [] : [{ from, to, path, rttMs }];
    }),
  );
  const pairs = new Set(told.map(({ from, to }) => `${from} ${to}`));
  return {
    nodes: nodes.map(({ peerId, name, isAlive, row }) => ({
      peerId,
      name,
      isAlive,
      toldAt: row?.toldAtMs ?? null,
      linkCount: row?.linkCount ?? null,
    })),
    links: told.map((link) => ({ ...link, isMutual: pairs.has(`${link.to} ${link.from}`) })),
  };
}
