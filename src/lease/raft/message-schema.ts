/**
 * The border for messages of foreign peers: what passes has the shape, the ranges and the order that the core relies on.
 * Whether the sender is who it says is for the caller to check.
 */
import type { LogIndex, PeerId, Term } from '../../base/brand.ts';
import type { Message } from './messages.ts';
import type { Configuration, Entry } from './types.ts';

/** A group has few voters and standbys; more in one list is not ours. */
const MEMBERS_LIMIT = 64;
const PEER_ID_CHARS_LIMIT = 128;

type Fields = Readonly<Record<string, unknown>>;
type Envelope = Pick<Message, 'from' | 'to' | 'term'>;
type BodyParser = (envelope: Envelope, fields: Fields) => Message | undefined;

const BODIES: Readonly<Record<Message['type'], BodyParser>> = {
  preVote: (envelope, fields) => voteRequest('preVote', envelope, fields),
  vote: (envelope, fields) => voteRequest('vote', envelope, fields),
  preVoteReply: (envelope, fields) => voteReply('preVoteReply', envelope, fields),
  voteReply: (envelope, fields) => voteReply('voteReply', envelope, fields),
  append,
  appendAccepted: (envelope, { matchIndex }) =>
    isPosition(matchIndex) ? { type: 'appendAccepted', ...envelope, matchIndex } : undefined,
  appendRejected: (envelope, { rejectedIndex, hintIndex, hintTerm }) =>
    isPosition(rejectedIndex) && isPosition(hintIndex) && isTerm(hintTerm)
      ? { type: 'appendRejected', ...envelope, rejectedIndex, hintIndex, hintTerm }
      : undefined,
  heartbeat: (envelope, { commitIndex, round }) =>
    isPosition(commitIndex) && isWhole(round)
      ? { type: 'heartbeat', ...envelope, commitIndex, round }
      : undefined,
  heartbeatReply: (envelope, { round }) =>
    isWhole(round) ? { type: 'heartbeatReply', ...envelope, round } : undefined,
  timeoutNow: (envelope) => ({ type: 'timeoutNow', ...envelope }),
};

/** @returns the message with nothing else in it; undefined for anything that is not one. */
export function parseMessage(value: unknown): Message | undefined {
  if (!isFields(value)) return undefined;
  const { type, from, to, term } = value;
  if (typeof type !== 'string' || !Object.hasOwn(BODIES, type)) return undefined;
  if (!isPeerId(from) || !isPeerId(to) || !isTerm(term) || term === 0) return undefined;
  return BODIES[type as Message['type']]({ from, to, term }, value);
}

/** @returns the configuration; undefined unless lists of distinct peer ids, with a voter, and no voter also a learner. */
export function parseConfiguration(value: unknown): Configuration | undefined {
  if (!isFields(value)) return undefined;
  const { voters, outgoing, learners } = value;
  if (!isPeerList(voters) || !isPeerList(outgoing) || !isPeerList(learners)) return undefined;
  if (voters.length === 0 || learners.some((peer) => voters.includes(peer))) return undefined;
  return { voters: [...voters], outgoing: [...outgoing], learners: [...learners] };
}

function voteRequest(type: 'preVote' | 'vote', envelope: Envelope, fields: Fields): Message | undefined {
  const { lastIndex, lastTerm, isTransfer } = fields;
  if (!isPosition(lastIndex) || !isTerm(lastTerm) || typeof isTransfer !== 'boolean') return undefined;
  if (lastTerm > envelope.term) return undefined;
  return { type, ...envelope, lastIndex, lastTerm, isTransfer };
}

function voteReply(
  type: 'preVoteReply' | 'voteReply',
  envelope: Envelope,
  { isGranted }: Fields,
): Message | undefined {
  return typeof isGranted === 'boolean' ? { type, ...envelope, isGranted } : undefined;
}

function append(envelope: Envelope, fields: Fields): Message | undefined {
  const { previousIndex, previousTerm, commitIndex } = fields;
  if (!isPosition(previousIndex) || !isTerm(previousTerm) || !isPosition(commitIndex)) return undefined;
  if (!Array.isArray(fields['entries'])) return undefined;
  const entries: Entry[] = [];
  let beforeTerm: Term = previousTerm;
  for (const value of fields['entries'] as readonly unknown[]) {
    const entry = parseEntry(value);
    if (entry === undefined || entry.index !== previousIndex + 1 + entries.length) return undefined;
    if (entry.term < beforeTerm) return undefined;
    beforeTerm = entry.term;
    entries.push(entry);
  }
  if (beforeTerm > envelope.term) return undefined;
  return { type: 'append', ...envelope, previousIndex, previousTerm, entries, commitIndex };
}

function parseEntry(value: unknown): Entry | undefined {
  if (!isFields(value)) return undefined;
  const { term, index, kind, payload } = value;
  if (!isTerm(term) || term === 0 || !isPosition(index) || !(payload instanceof Uint8Array)) return undefined;
  if (kind === 'command' || kind === 'empty') return { term, index, kind, payload };
  if (kind !== 'configuration') return undefined;
  const configuration = parseConfiguration(value['configuration']);
  return configuration && { term, index, kind, payload, configuration };
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isPosition(value: unknown): value is LogIndex {
  return isWhole(value);
}

function isTerm(value: unknown): value is Term {
  return isWhole(value);
}

function isPeerId(value: unknown): value is PeerId {
  return typeof value === 'string' && value.length > 0 && value.length <= PEER_ID_CHARS_LIMIT;
}

function isPeerList(value: unknown): value is readonly PeerId[] {
  if (!Array.isArray(value) || value.length > MEMBERS_LIMIT || !value.every(isPeerId)) return false;
  return new Set(value).size === value.length;
}
