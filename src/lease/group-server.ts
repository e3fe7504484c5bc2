import { AspenError, fromWireError, type PeerId, toWireError } from '../base/index.ts';
import type { Messenger } from '../mesh/index.ts';
import { groupMethod } from './call-errors.ts';
import type { LeaderFinder } from './leader-finder.ts';
import { type Command, commandFromWire, requireRole, toWireOutcome } from './machine/index.ts';
import type { Replica } from './replica/index.ts';
import { notLeader } from './submission.ts';

/** What became of one forwarded command: an outcome of the machine (0, 1), or 2 and why it did not come that far. */
export type WireAnswer = readonly [kind: 0 | 1 | 2, value: unknown];

/** Commands that one message may carry. */
export const FORWARDED_LIMIT = 2_000;

export interface GroupServerComponents {
  readonly messenger: Messenger;
  readonly replica: Replica;
  readonly finder: LeaderFinder;
}

/** Answers what other nodes ask of this member of the group. */
export function serveGroup(components: GroupServerComponents, group: string): Disposable {
  const { messenger, replica, finder } = components;
  const handlers = [
    messenger.handle(groupMethod(group, 'leads'), () => finder.tell()),
    messenger.handle(groupMethod(group, 'propose'), ({ from, body }) => submitAll(replica, from, body)),
    messenger.handle(groupMethod(group, 'query'), ({ body }) => answerQuery(replica, body)),
    messenger.handle(groupMethod(group, 'ask'), ({ from, body }) => answerAsk(replica, from, body)),
  ];
  return {
    [Symbol.dispose]() {
      for (const handler of handlers) handler[Symbol.dispose]();
    },
  };
}

async function submitAll(replica: Replica, from: PeerId, body: unknown): Promise<WireAnswer[]> {
  const commands = readCommands(body, from);
  if (replica.leading !== undefined) {
    requireRole(replica.read('members'), from, { needed: 'submitter', deed: 'change what is agreed' });
  }
  return new Promise((resolve) => {
    const answers: WireAnswer[] = new Array(commands.length);
    let left = commands.length;
    const settle = (at: number, answer: WireAnswer) => {
      answers[at] = answer;
      left -= 1;
      if (left === 0) resolve(answers);
    };
    commands.forEach((command, at) => {
      replica.submit({
        command,
        onOutcome: (outcome) => settle(at, toWireOutcome(outcome)),
        onFailure: (error) => settle(at, [2, toWireError(error)]),
      });
    });
  });
}

/** A node speaks for its own clients only: else one could mark another's requests as done. */
function readCommands(body: unknown, from: PeerId): Command[] {
  if (!Array.isArray(body) || body.length === 0 || body.length > FORWARDED_LIMIT) {
    throw new AspenError('INVALID_REQUEST', `expected a list of 1 to ${FORWARDED_LIMIT} commands`);
  }
  return body.map((wire) => {
    const command = commandFromWire(wire);
    if (command === undefined) throw new AspenError('INVALID_REQUEST', 'a forwarded command is malformed');
    if (!command.request?.client.startsWith(`${from}/`)) {
      throw new AspenError('DENIED', `${from} may not propose for ${command.request?.client ?? 'a leader'}`);
    }
    return command;
  });
}

async function answerQuery(replica: Replica, body: unknown): Promise<unknown> {
  const { module, kind, body: question, isStale, isByLease } = (body ?? {}) as Record<string, unknown>;
  if (typeof module !== 'string' || typeof kind !== 'string') {
    throw new AspenError('INVALID_REQUEST', 'a query names its module and kind');
  }
  if (isByLease === true) await replica.confirmByLease();
  else if (isStale !== true) await replica.confirm();
  else if (!replica.isMember) throw notLeader(null);
  return replica.query(module, kind, question);
}

function answerAsk(replica: Replica, from: PeerId, body: unknown): unknown {
  const { method, body: question } = (body ?? {}) as Record<string, unknown>;
  if (typeof method !== 'string') throw new AspenError('INVALID_REQUEST', 'a question names its method');
  return askHere(replica, method, { from, body: question });
}

/** @throws AspenError NOT_LEADER, or what the leader's part says. */
export function askHere(
  replica: Replica,
  method: string,
  request: { readonly from: PeerId; readonly body: unknown },
): unknown {
  if (replica.leading === undefined) throw notLeader(replica.status().leader);
  return replica.leading.answer(method, request);
}

/** @returns the failure that a forwarded command met, as its sender should see it. */
export function failureOf(value: unknown): AspenError {
  return fromWireError(value);
}
