import type { PeerId } from '../base/index.ts';

/**
 * Whom a node believes about the root key: its witnesses, the voters of the group as it last knew them. Pure.
 *
 * - W1 Nothing that less than a majority of the present witnesses says changes who the witnesses are, or what the root key is.
 * - W2 Revoked witnesses still count in the majority: else whoever can name the revoked could choose the majority.
 * - W3 Plain revocations of witnesses are honoured only while they leave a majority of the witnesses: a thief of the root key could else cut a
 *   node off from everybody who could tell it of the next key.
 */
export interface Vouching {
  readonly witnesses: readonly PeerId[];
  /** Revoked by the very statement that is vouched for. */
  readonly revoked: readonly PeerId[];
  readonly said: readonly PeerId[];
}

/** W1, W2. Nobody convinces a node that has no witnesses. */
export function isVouchedFor({ witnesses, revoked, said }: Vouching): boolean {
  const saying = witnesses.filter((witness) => said.includes(witness) && !revoked.includes(witness));
  return isMajority(saying.length, witnesses.length);
}

/**
 * W1.
 * @param told by whom, and whom that one counts on.
 * @returns the next witnesses: what a majority of the present ones tells alike, or, where there are none yet, what anybody tells.
 */
export function nextWitnesses(
  witnesses: readonly PeerId[],
  told: ReadonlyMap<PeerId, readonly PeerId[]>,
): readonly PeerId[] {
  const votes = new Map<string, { readonly roster: readonly PeerId[]; count: number }>();
  for (const [peer, roster] of told) {
    if (roster.length === 0 || (witnesses.length > 0 && !witnesses.includes(peer))) continue;
    const key = [...new Set(roster)].sort().join();
    const vote = votes.get(key) ?? { roster: key.split(',') as PeerId[], count: 0 };
    votes.set(key, vote);
    vote.count += 1;
    if (witnesses.length === 0 || isMajority(vote.count, witnesses.length)) return vote.roster;
  }
  return witnesses;
}

/** W3. @param revoked by plain revocations of the present root key. @returns which of them are honoured. */
export function honouredRevocations(
  witnesses: readonly PeerId[],
  revoked: ReadonlySet<PeerId>,
): (peerId: PeerId) => boolean {
  const left = witnesses.filter((witness) => !revoked.has(witness)).length;
  const isWitness = new Set(witnesses);
  const isTooMany = !isMajority(left, witnesses.length);
  return (peerId) => revoked.has(peerId) && !(isTooMany && isWitness.has(peerId));
}

function isMajority(count: number, of: number): boolean {
  return count * 2 > of;
}
