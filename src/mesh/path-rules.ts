import type { PeerLink } from './transport.ts';

/** What decides which of two channels to one peer is kept. */
export interface ChannelFacts extends Pick<PeerLink, 'path'> {
  /** Which run of the peer's process it leads to. */
  readonly instance: string;
}

/**
 * - P1 A direct channel to the same process takes the place of a relayed one without a break: the link goes on, frames on both are heard, and
 *   the old one ends when what it held was sent.
 */
export function doesHandOver(current: ChannelFacts, next: ChannelFacts): boolean {
  return current.instance === next.instance && current.path === 'relay' && next.path === 'direct';
}

/**
 * - P2 A circuit never takes the place of a direct channel that is alive.
 */
export function isWorsePath(current: ChannelFacts, next: ChannelFacts): boolean {
  return current.instance === next.instance && current.path === 'direct' && next.path === 'relay';
}
