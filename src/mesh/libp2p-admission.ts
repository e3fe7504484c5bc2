import type { Connection, Stream } from '@libp2p/interface';
import { AspenError, type Clock, type Logger, type PeerId, type Tasks, withDeadline } from '../base/index.ts';
import type { Libp2pConnections } from './libp2p-connections.ts';
import { readExchange, writeExchange } from './libp2p-exchange.ts';
import { asUnreachable, notAdmitted } from './libp2p-transport-errors.ts';
import {
  ADMISSION_ANSWER_MS,
  ADMISSION_REQUEST_MS,
  type AdmissionResponder,
  type Gate,
  type Transport,
} from './transport.ts';

export interface AdmissionStreamsComponents {
  readonly self: PeerId;
  readonly connections: Libp2pConnections;
  readonly gate: Gate;
  readonly markBusy: (connection: Connection) => Disposable | undefined;
  readonly tasks: Tasks;
  readonly clock: Clock;
  readonly log: Logger;
}

type Ask = Transport['admission']['ask'];

/** The one exchange that strangers may have: a request and an answer on a stream of its own; whom the gate refuses is dismissed in it (T2). */
export class Libp2pAdmission {
  readonly #components: AdmissionStreamsComponents;
  readonly #meshId: string;
  #responder: AdmissionResponder | undefined;
  #dismiss: AdmissionResponder | undefined;

  constructor(components: AdmissionStreamsComponents, { meshId }: { readonly meshId: string }) {
    this.#components = components;
    this.#meshId = meshId;
  }

  get protocol(): string {
    return `/aspen/${this.#meshId}/admission/1`;
  }

  readonly ask: Ask = (peerId, addresses, request, signal) => {
    const { self, gate, clock, connections } = this.#components;
    if (gate.standingOf(peerId) === 'refused') return Promise.reject(notAdmitted(self, peerId)); // T2
    const what = `admission at ${peerId}`;
    const deadline = { clock, timeoutMs: ADMISSION_ANSWER_MS, what, ...(signal && { signal }) };
    return withDeadline(deadline, async (over) => {
      try {
        return await connections.use(peerId, addresses, over, async (connection) => {
          const stream = await connection.newStream(this.protocol, { signal: over });
          writeExchange(stream, request);
          const answer = await readExchange(stream, over);
          await stream.close({ signal: over });
          return answer;
        });
      } catch (error) {
        throw speaksOtherMesh(error)
          ? new AspenError('DENIED', `${peerId} answers, but not for mesh ${this.#meshId}`, { cause: error })
          : asUnreachable(peerId, error);
      }
    });
  };

  /** Asks `responder` from now on, until disposed; `dismiss` for those whom the gate refuses. */
  answer(responder: AdmissionResponder, dismiss?: AdmissionResponder): Disposable {
    this.#responder = responder;
    this.#dismiss = dismiss;
    return {
      [Symbol.dispose]: () => {
        if (this.#responder !== responder) return;
        this.#responder = undefined;
        this.#dismiss = undefined;
      },
    };
  }

  /** Somebody asks. */
  onAsk(stream: Stream, connection: Connection): void {
    const { gate, tasks } = this.#components;
    const from = connection.remotePeer.toString() as PeerId;
    const responder = gate.standingOf(from) === 'refused' ? this.#dismiss : this.#responder; // T2
    if (responder === undefined) {
      stream.abort(new Error('no admission'));
      return;
    }
    tasks.run((signal) => this.#exchange({ from, stream, connection, responder }, signal));
  }

  async #exchange({ from, stream, connection, responder }: Asked, signal: AbortSignal): Promise<void> {
    const { markBusy, clock, log } = this.#components;
    using _busy = markBusy(connection);
    try {
      const request = await withDeadline(
        { clock, timeoutMs: ADMISSION_REQUEST_MS, what: 'admission request', signal },
        (over) => readExchange(stream, over),
      );
      const answer = await withDeadline(
        { clock, timeoutMs: ADMISSION_ANSWER_MS, what: 'admission', signal },
        () => responder(from, request),
      );
      writeExchange(stream, answer);
      await stream.close({ signal });
    } catch (err) {
      stream.abort(err instanceof Error ? err : new Error(String(err)));
      log.debug({ err, from }, 'admission exchange failed');
    }
  }
}

interface Asked {
  readonly from: PeerId;
  readonly stream: Stream;
  readonly connection: Connection;
  readonly responder: AdmissionResponder;
}

/** Every member of a mesh serves admission under the name of that mesh. */
function speaksOtherMesh(error: unknown): boolean {
  return error instanceof Error && error.name === 'UnsupportedProtocolError';
}
