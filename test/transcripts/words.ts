/** How transcripts write what cores say: `3/1` is the entry with index 3 of term 1. */
import { unreachable } from '../../src/base/assert.ts';
import type { Configuration, Entry, Message, Persist, RaftState } from '../../src/lease/raft/index.ts';

const text = new TextDecoder();

export function entryWords({ index, term, kind, payload, configuration }: Entry): string {
  const place = `${index}/${term}`;
  if (configuration !== undefined) return `${place} {${configurationWords(configuration)}}`;
  return kind === 'empty' ? `${place} empty` : `${place} "${text.decode(payload)}"`;
}

export function configurationWords({ voters, outgoing, learners }: Configuration): string {
  const parts = [
    `voters ${voters.join(' ')}`,
    outgoing.length > 0 ? `outgoing ${outgoing.join(' ')}` : '',
    learners.length > 0 ? `learners ${learners.join(' ')}` : '',
  ];
  return parts.filter((part) => part !== '').join(', ');
}

export function messageWords(message: Message): string {
  return `[term ${message.term}] ${bodyWords(message)}`;
}

function bodyWords(message: Message): string {
  switch (message.type) {
    case 'preVote':
    case 'vote': {
      const leave = message.isTransfer ? ', the leader hands over' : '';
      return `${message.type}? my log ends at ${message.lastIndex}/${message.lastTerm}${leave}`;
    }
    case 'preVoteReply':
    case 'voteReply':
      return `${message.type} ${message.isGranted ? 'yes' : 'no'}`;
    case 'append': {
      const entries = message.entries.map(entryWords).join(', ') || 'nothing';
      return `append after ${message.previousIndex}/${message.previousTerm}: ${entries}; commit ${message.commitIndex}`;
    }
    case 'appendAccepted':
      return `accepted up to ${message.matchIndex}`;
    case 'appendRejected':
      return `rejected ${message.rejectedIndex}, try ${message.hintIndex}/${message.hintTerm}`;
    case 'heartbeat':
      return `heartbeat round ${message.round}; commit ${message.commitIndex}`;
    case 'heartbeatReply':
      return `heartbeatReply round ${message.round}`;
    case 'timeoutNow':
      return 'timeoutNow';
    default:
      return unreachable(message);
  }
}

export function persistWords({ hardState, truncateFrom, entries }: Persist): string {
  const parts: string[] = [];
  if (hardState !== null) {
    const { term, votedFor, commitIndex } = hardState;
    parts.push(`term ${term}, vote ${votedFor ?? 'none'}, commit ${commitIndex}`);
  }
  if (truncateFrom !== null) parts.push(`cut from ${truncateFrom} on`);
  if (entries.length > 0) parts.push(entries.map(entryWords).join(', '));
  return parts.join('; ');
}

export function roleWords({ role, term, leader }: RaftState): string {
  if (role === 'follower') return `follows ${leader ?? 'nobody'} in term ${term}`;
  return `is ${role} in term ${term}`;
}
