import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { AspenError, decodeForeign, encode, fromWireError } from '../../../src/base/index.ts';
import { readManifest } from '../../../src/blobs/manifest.ts';
import { readChunkAsk, readHolding, readId, readKeepAsk } from '../../../src/blobs/wire.ts';
import { fromWire } from '../../../src/crdt/entry.ts';
import { decodeLinkRow } from '../../../src/crdt/link-row.ts';
import { decodeHeartbeat, decodeProfile, decodeProgress } from '../../../src/crdt/profile.ts';
import {
  decodeGossip,
  encodeGossip,
  readAnswer,
  readComparison,
  readDigest,
  readExchange,
  readParts,
  readSelection,
  readSummary,
} from '../../../src/crdt/wire.ts';
import { epochFromWire } from '../../../src/lease/epoch.ts';
import { parseConfiguration, parseMessage } from '../../../src/lease/raft/index.ts';
import { parsePosition, parseSnapshotMeta, parseSnapshotRequest } from '../../../src/lease/snapshot-wire.ts';
import {
  decodeAdmissionAnswer,
  decodeAdmissionRequest,
  encodeAdmissionAnswer,
  encodeAdmissionRequest,
} from '../../../src/mesh/admission-messages.ts';
import {
  decodeAnswer,
  decodeOpening,
  encodeAnswer,
  encodeOpening,
} from '../../../src/mesh/circuit-messages.ts';
import { FrameDecoder, signalSegment } from '../../../src/mesh/frame-codec.ts';
import { HttpHeadReader } from '../../../src/mesh/http-head.ts';
import {
  decodeTicket,
  encodeRevocation,
  signAddressRecord,
  signDeparture,
  signRevocation,
  verifyAddressRecord,
  verifyCertificate,
  verifyDeparture,
  verifyRevocation,
} from '../../../src/mesh/index.ts';
import {
  decodeMessage,
  encodeFailure,
  encodeOneWay,
  encodeReply,
  encodeRequest,
} from '../../../src/mesh/message.ts';
import { decodeRootEntry } from '../../../src/mesh/root-book.ts';
import { decodeRootList, readProof } from '../../../src/mesh/root-list.ts';
import { decodeSuccession, readVouches } from '../../../src/mesh/succession.ts';
import { encodeWsFrame, WsFrameReader } from '../../../src/mesh/ws-frames.ts';
import { fromRpcError, LineSplitter } from '../../../src/rpc/index.ts';
import { classifyMessage } from '../../../src/rpc/message.ts';
import { checkCommand, checkReport, encodeFrame, FrameReader } from '../../../src/supervisor/frames.ts';
import { certificateFor, crypto, identityOf, meshId, rootSeed, seedOf, ticketFor } from '../mesh/support.ts';
import { foreignBytes, foreignValue } from './fuzz-inputs.ts';

/** A border at which bytes or values of somebody else come in. */
interface Border {
  /** The names of the functions that it is made of. */
  readonly of: readonly string[];
  readonly valid?: readonly unknown[];
  readonly take: (input: never) => unknown;
  /** What it may throw. @default AspenError */
  readonly throws?: 'TypeError';
}
interface BytesBorder extends Border {
  readonly valid?: readonly Uint8Array[];
  readonly take: (input: Uint8Array) => unknown;
}
interface ValueBorder extends Border {
  readonly take: (input: unknown) => unknown;
}

const self = identityOf(1);
const certificate = certificateFor(self);
const verifier = { crypto, meshId, keys: [crypto.signingPublicKey(rootSeed)] };
const revocation = encodeRevocation(
  signRevocation({ crypto, rootSeed }, { peerId: self.peerId, issuedAtMs: 1_000 }),
);
const entry = [self.peerId, 'life', 'profile', Buffer.from('x'), 1_000, 0, Buffer.alloc(64)];
const profile = {
  name: 'a',
  labels: { zone: 'eu' },
  version: '1.0.0',
  role: 'voter',
  addresses: ['/ip4/10.0.0.1/tcp/1'],
  types: ['echo'],
  slots: 1,
  groupRole: 'spare',
};
const configuration = { voters: ['a'], outgoing: [], learners: ['b'] };
const meta = { index: 3, term: 2, configuration };
const blobId = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';

const BYTES: Readonly<Record<string, BytesBorder>> = {
  'MessagePack of a peer': {
    of: ['decodeForeign'],
    valid: [encode({ a: [1, { b: null }] })],
    take: decodeForeign,
  },
  'frames of a channel': {
    of: ['FrameDecoder'],
    valid: [
      Buffer.concat([signalSegment('hello', Buffer.alloc(9, 1)), signalSegment('ping', Buffer.alloc(8))]),
    ],
    take: (bytes) => new FrameDecoder({ frame: () => undefined, signal: () => undefined }).push(bytes),
  },
  'frames of a WebSocket': {
    of: ['WsFrameReader'],
    valid: [
      encodeWsFrame('binary', [Buffer.from('some bytes')]),
      encodeWsFrame('ping', [Buffer.from('p')], Buffer.alloc(4, 7)),
      encodeWsFrame('close', []),
    ],
    take: (bytes) =>
      [true, false].map((isMasked) =>
        refusalOf(() =>
          new WsFrameReader(isMasked, {
            data: () => undefined,
            ping: () => undefined,
            close: () => undefined,
          }).push(Uint8Array.from(bytes)),
        ),
      ),
  },
  'the answer of a proxy': {
    of: ['HttpHeadReader'],
    valid: [
      Buffer.from('HTTP/1.1 200 Connection established\r\n\r\n'),
      Buffer.from('HTTP/1.1 407 Proxy Authentication Required\r\nA: b\r\n\r\nx'),
    ],
    take: (bytes) => new HttpHeadReader().push(bytes),
  },
  'records of addresses': {
    of: ['verifyAddressRecord'],
    valid: [
      signAddressRecord(
        { crypto, meshId, identity: self },
        { addresses: ['/ip4/10.0.0.1/tcp/1'], issuedAtMs: 1_000 },
      ),
    ],
    take: (bytes) => verifyAddressRecord({ crypto, meshId }, bytes),
  },
  'messages of the messenger': {
    of: ['decodeMessage'],
    valid: [
      encodeRequest(1, 'a/b', { c: 1 }),
      encodeReply(1, [2]),
      encodeFailure(1, new Error('x')),
      encodeOneWay('a', 1),
    ],
    take: decodeMessage,
  },
  'what a stranger asks': {
    of: ['decodeAdmissionRequest'],
    valid: [
      encodeAdmissionRequest({ type: 'hello', meshId }),
      encodeAdmissionRequest({ type: 'certificate', meshId, certificate }),
      encodeAdmissionRequest({ type: 'roots', meshId, from: 1, entries: [Buffer.alloc(9)] }),
      encodeAdmissionRequest({
        type: 'ticket',
        meshId,
        ticketId: 'tkt_1',
        secret: Buffer.alloc(16),
        sealingKey: Buffer.alloc(32),
      }),
    ],
    take: decodeAdmissionRequest,
  },
  'what a stranger is answered': {
    of: ['decodeAdmissionAnswer'],
    valid: [
      encodeAdmissionAnswer({ type: 'hello', certificate }),
      encodeAdmissionAnswer({ type: 'admitted', certificate, issued: certificate }),
      encodeAdmissionAnswer({ type: 'refused', error: new AspenError('DENIED', 'no') }),
    ],
    take: decodeAdmissionAnswer,
  },
  'a certificate': {
    of: ['verifyCertificate', 'readCertificate'],
    valid: [certificate],
    take: (bytes) => verifyCertificate(verifier, bytes),
  },
  'a revocation': {
    of: ['verifyRevocation'],
    valid: [revocation],
    take: (bytes) => verifyRevocation(verifier, bytes),
  },
  'a departure': {
    of: ['verifyDeparture'],
    valid: [
      signDeparture(
        { crypto, seed: seedOf(1) },
        { meshId, peerId: self.peerId, certificateSignature: new Uint8Array(64) },
      ),
    ],
    take: (bytes) => verifyDeparture({ crypto, meshId }, bytes),
  },
  'a ticket': {
    of: ['decodeTicket'],
    valid: [Buffer.from(ticketFor([{ peerId: self.peerId, addresses: ['/ip4/10.0.0.1/tcp/1'] }]).text)],
    take: (bytes) => decodeTicket(crypto, Buffer.from(bytes).toString('utf8')),
  },
  'a root key that follows': { of: ['decodeRootEntry'], take: decodeRootEntry },
  'a list of root certificates': {
    of: ['decodeRootList'],
    valid: [Buffer.alloc(128, 1)],
    take: decodeRootList,
  },
  'the opening of a circuit': {
    of: ['decodeOpening', 'decodeAnswer'],
    valid: [
      encodeOpening({ kind: 'to', peerId: self.peerId }),
      encodeAnswer({ isOk: false, reason: 'full' }),
    ],
    take: (bytes) => [refusalOf(() => decodeOpening(bytes)), refusalOf(() => decodeAnswer(bytes))],
  },
  gossip: { of: ['decodeGossip'], valid: encodeGossip([['node', entry]]), take: decodeGossip },
  'a profile': { of: ['decodeProfile'], valid: [encode(profile)], take: decodeProfile },
  'a heartbeat': { of: ['decodeHeartbeat'], valid: [encode([2_000, 1, 2, 3, 0.5])], take: decodeHeartbeat },
  progress: {
    of: ['decodeProgress'],
    valid: [encode([1, { percent: 5, message: 'x', counters: { a: 1 } }])],
    take: decodeProgress,
  },
  'a row of links': {
    of: ['decodeLinkRow'],
    valid: [encode([1, [['A'.repeat(12), 0, 0.5]]])],
    take: decodeLinkRow,
  },
  'the manifest of a blob': {
    of: ['readManifest'],
    valid: [encode([10, Buffer.alloc(32)])],
    take: (bytes) => readManifest(crypto, blobId as never, bytes),
  },
  'lines of the socket': {
    of: ['LineSplitter', 'classifyMessage'],
    valid: [Buffer.from('{"jsonrpc":"2.0","id":1,"method":"kv.get","params":{"key":"a"}}\n[1,2]\n')],
    take: (bytes) => {
      for (const event of new LineSplitter(100).push(Buffer.from(bytes)))
        if (event.type === 'line') classifyMessage(parsedOrNothing(event.text));
    },
  },
  'frames of a supervisor': {
    of: ['FrameReader', 'checkCommand', 'checkReport'],
    valid: [
      encodeFrame({ type: 'hello', protocol: 1, secret: 'x' }),
      encodeFrame({ type: 'stop', name: 'a', graceMs: 5 }),
      encodeFrame({ type: 'output', sizes: [['a', 1]] }),
    ],
    throws: 'TypeError',
    take: (bytes) => {
      for (const value of new FrameReader().push(Buffer.from(bytes))) {
        checkCommand(value);
        checkReport(value);
      }
    },
  },
};

const VALUES: Readonly<Record<string, ValueBorder>> = {
  'an error of a peer': {
    of: ['fromWireError'],
    valid: [{ code: 'DENIED', message: 'x', details: {}, outcome: 'unknown' }],
    take: fromWireError,
  },
  'an error of the socket': {
    of: ['fromRpcError'],
    valid: [{ code: -32004, message: 'x', data: { code: 'DENIED' } }],
    take: fromRpcError,
  },
  'a message of raft': {
    of: ['parseMessage'],
    valid: [
      { type: 'heartbeat', from: 'a', to: 'b', term: 3, commitIndex: 2, round: 1 },
      { type: 'vote', from: 'a', to: 'b', term: 3, lastIndex: 2, lastTerm: 1, isTransfer: false },
      {
        type: 'append',
        from: 'a',
        to: 'b',
        term: 3,
        previousIndex: 1,
        previousTerm: 1,
        entries: [{ index: 2, term: 2, type: 'command', payload: Buffer.from('x') }],
        commitIndex: 1,
      },
    ],
    take: parseMessage,
  },
  'a configuration of the group': {
    of: ['parseConfiguration'],
    valid: [configuration],
    take: parseConfiguration,
  },
  'a part of a snapshot': {
    of: ['parseSnapshotRequest', 'parseSnapshotMeta', 'parsePosition'],
    valid: [
      {
        type: 'chunk',
        transfer: 1,
        number: 0,
        meta,
        records: [['k', Buffer.from('v')]],
        isLast: false,
        crc: 1,
      },
      { type: 'inquiry', transfer: 1 },
      { next: 1 },
      meta,
    ],
    take: (value) => [parseSnapshotRequest(value), parseSnapshotMeta(value), parsePosition(value)],
  },
  'an epoch': { of: ['epochFromWire'], valid: [[1, 'a']], take: epochFromWire },
  'an entry of the registry': { of: ['fromWire'], valid: [entry], take: fromWire },
  'anti-entropy': {
    of: [
      ...['readDigest', 'readComparison', 'readExchange', 'readAnswer'],
      ...['readSummary', 'readSelection', 'readParts'],
    ],
    valid: [
      [['node', [['a', 1]]]],
      { differences: [['node', 'a', [['k', 1, 2, 3]]]], isMore: false },
      { wants: [['node', 'a', 'k']], items: [['node', entry]] },
      { items: [], isCut: true },
      [1, 7, [['node', [1, 2]]]],
      [['node', 2, [0, 1]]],
      [1, [['node', 2, [0], [['a', 1]]]]],
    ],
    take: (value) =>
      [
        ...[readDigest, readComparison, readExchange, readAnswer],
        ...[readSummary, readSelection, readParts],
      ].map((read) => refusalOf(() => read(value))),
  },
  'what is asked of blobs': {
    of: ['readHolding', 'readId', 'readChunkAsk', 'readKeepAsk'],
    valid: [[10, true], [10, Buffer.from([1])], [blobId], [blobId, 0], [blobId, 'job_1']],
    take: (value) =>
      [readHolding, readId, readChunkAsk, readKeepAsk].map((read) => refusalOf(() => read(value))),
  },
  'root keys and their witnesses': {
    of: ['decodeSuccession', 'readVouches', 'readProof'],
    valid: [{ index: 1, path: [Buffer.alloc(32)] }, [[Buffer.alloc(32), Buffer.alloc(64)]]],
    take: (value) => [decodeSuccession, readVouches, readProof].map((read) => refusalOf(() => read(value))),
  },
};

/** What the catalogue leaves out, and why nobody else's bytes get there. */
const NOT_AT_A_BORDER: Readonly<Record<string, string>> = {
  readExchange: 'of libp2p: counts bytes and decodes nothing',
};

const DECODERS =
  /^export (?:const|function|class) ((?:decode|parse|check|verify|read)[A-Z]\w*|fromWire\w*|\w+FromWire|FrameDecoder|FrameReader|WsFrameReader|HttpHeadReader|LineSplitter|classifyMessage)/gm;
/** Where everything that comes in comes from somebody else. */
const BORDER_FILES: readonly string[] = [
  'src/mesh/address-record.ts',
  'src/mesh/admission-messages.ts',
  'src/mesh/certificate.ts',
  'src/mesh/circuit-messages.ts',
  'src/mesh/departure.ts',
  'src/mesh/frame-codec.ts',
  'src/mesh/http-head.ts',
  'src/mesh/libp2p-exchange.ts',
  'src/mesh/message.ts',
  'src/mesh/revocation.ts',
  'src/mesh/root-list.ts',
  'src/mesh/succession.ts',
  'src/mesh/ticket.ts',
  'src/mesh/ws-frames.ts',
  'src/crdt/entry.ts',
  'src/crdt/link-row.ts',
  'src/crdt/profile.ts',
  'src/crdt/wire.ts',
  'src/blobs/manifest.ts',
  'src/blobs/wire.ts',
  'src/lease/snapshot-wire.ts',
  'src/lease/raft/message-schema.ts',
  'src/rpc/framing.ts',
  'src/rpc/message.ts',
  'src/supervisor/frames.ts',
];

/** One file for each input that once came through where it should not, or broke what it came to: `<border>.<case>.hex`. */
const CORPUS = join(import.meta.dirname, 'corpus');

describe('what somebody else has written', () => {
  for (const [name, border] of Object.entries(BYTES)) {
    it(`is refused or taken, and nothing worse: ${name}`, () => {
      for (const bytes of corpusOf(name)) takeOrRefuse(border, bytes);
      fc.assert(
        fc.property(foreignBytes(border.valid ?? []), (bytes) => takeOrRefuse(border, bytes)),
        { numRuns: 600 },
      );
    });
  }

  for (const [name, border] of Object.entries(VALUES)) {
    it(`is refused or taken, and nothing worse: ${name}`, () => {
      for (const bytes of corpusOf(name)) takeOrRefuse(border, decodeForeign(bytes));
      fc.assert(
        fc.property(foreignValue(border.valid ?? []), (value) => takeOrRefuse(border, value)),
        { numRuns: 600 },
      );
    });
  }

  it('comes in by decoders that are all in this catalogue', () => {
    const known = new Set([...Object.values(BYTES), ...Object.values(VALUES)].flatMap(({ of }) => of));
    const found = BORDER_FILES.flatMap((file) =>
      [...readFileSync(file, 'utf8').matchAll(DECODERS)].map(([, decoder = '']) => `${file}: ${decoder}`),
    );
    const missing = found.filter((each) => {
      const decoder = each.split(': ')[1] as string;
      return !known.has(decoder) && NOT_AT_A_BORDER[decoder] === undefined;
    });
    assert.deepEqual(missing, []);
    assert.ok(found.length > 25, `${found.length} decoders found`);
  });

  it('is read by strict decoders in every file of a border', () => {
    for (const file of BORDER_FILES) assert.doesNotMatch(readFileSync(file, 'utf8'), /\bdecode\(/, file);
  });

  it('F2 is no mirror for long texts: a ping of a channel stays small', () => {
    const source = readFileSync('src/mesh/libp2p-channel.ts', 'utf8');
    assert.match(source, /payload\.length > PING_BYTES_LIMIT\) throw/);
  });
});

function takeOrRefuse(border: BytesBorder | ValueBorder, input: unknown): void {
  try {
    (border.take as (input: unknown) => unknown)(input);
  } catch (error) {
    if (border.throws === 'TypeError' && error instanceof TypeError) return;
    assert.ok(error instanceof AspenError, `threw ${error instanceof Error ? error.stack : String(error)}`);
  }
}

/** @returns undefined when it is taken. */
function refusalOf(read: () => unknown): AspenError | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    if (error instanceof AspenError) return error;
    throw error;
  }
}

function parsedOrNothing(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the peer of the socket answers with a parse error
  }
}

function corpusOf(name: string): Uint8Array[] {
  const prefix = `${name.replaceAll(' ', '-')}.`;
  return readdirSync(CORPUS)
    .filter((file) => file.startsWith(prefix))
    .map((file) => Buffer.from(readFileSync(join(CORPUS, file), 'utf8').trim(), 'hex'));
}
