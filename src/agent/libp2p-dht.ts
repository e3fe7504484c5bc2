import type { Clock, Crypto, Logger, Random } from '../base/index.ts';
import type { DiscoverySource } from '../discovery/index.ts';
import { type DhtSourceOptions, Libp2pDhtSource } from '../discovery/libp2p-dht-source.ts';
import { addressRecordName, meshRecordName, signAddressRecord, verifyAddressRecord } from '../mesh/index.ts';
import type { MemberProtocol } from '../mesh/libp2p-member-streams.ts';
import { Libp2pTransport } from '../mesh/libp2p-transport.ts';
import type { DiscoveryRequest } from './platform.ts';

export interface DhtParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly crypto: Crypto;
  readonly log: Logger;
}

/** A question holds a record of addresses at most; an answer that, or eight members and their addresses. */
const BYTES_LIMIT = { request: 6 * 2 ** 10, answer: 32 * 2 ** 10 };
/** Of one member; a search of its own takes about ten questions, of all members together. */
const BUDGET = { attemptsPerPeer: 60, windowMs: 10_000, concurrentLimit: 32 };

/** @returns the mesh's table of addresses; none where the owner wants none, or where nodes are not linked by libp2p. */
export function createDht(
  { clock, random, crypto, log }: DhtParts,
  request: DiscoveryRequest,
  { dht, ...timing }: { readonly dht: 'auto' | 'on' | 'off' } & Omit<DhtSourceOptions, 'self'>,
): readonly DiscoverySource[] {
  const { meshId, identity, gate, transport, introduce } = request;
  if (dht === 'off' || !(transport instanceof Libp2pTransport)) return [];
  const { memberStreams } = transport;
  const protocol: MemberProtocol = {
    name: `/aspen/${meshId}/table/1`,
    requestBytesLimit: BYTES_LIMIT.request,
    answerBytesLimit: BYTES_LIMIT.answer,
    budget: BUDGET,
  };
  const verifier = { crypto, meshId };
  return [
    new Libp2pDhtSource(
      {
        clock,
        random,
        log,
        links: () => transport.links(),
        onLink: (callback) => transport.onLink(callback),
        memberCount: () => gate.members().length - 1,
        isMember: (peerId) => gate.standingOf(peerId) === 'member',
        serve: (handler) => memberStreams.serve(protocol, handler),
        open: (peerId, addresses, signal) => memberStreams.open(protocol, peerId, addresses, signal),
        introduce: (peerId, addresses, signal) => introduce({ peerId, addresses }, signal),
        addressesOf: request.addressesOf,
        ownAddresses: request.ownAddresses,
        isReachable: () => dht === 'on' || request.isReachable(),
        records: {
          meshName: meshRecordName(verifier),
          nameOf: (peerId) => addressRecordName(verifier, peerId),
          sign: (addresses, issuedAtMs) =>
            signAddressRecord({ ...verifier, identity }, { addresses, issuedAtMs }),
          verify: (record) => verifyAddressRecord(verifier, record),
        },
      },
      { self: transport.self, ...timing },
    ),
  ];
}
