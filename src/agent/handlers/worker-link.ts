import type { ExecuteRequest, WorkerAnswer, WorkerLink } from '../../jobs/index.ts';
import type { Connection } from '../../rpc/index.ts';

interface Waiting {
  readonly request: ExecuteRequest;
  readonly onAnswer: (answer: WorkerAnswer) => void;
}

/** The connection of an attached worker. Requests wait while the worker reads slower than they come: there are no more than its slots. */
export class ConnectionLink implements WorkerLink {
  readonly #connection: Connection;
  #waiting: Waiting[] = [];
  #isFull = false;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  execute(request: ExecuteRequest, onAnswer: (answer: WorkerAnswer) => void): void {
    if (this.#isFull) this.#waiting.push({ request, onAnswer });
    else this.#send({ request, onAnswer });
  }

  /** What was not sent yet is not sent any more. */
  cancel(order: Parameters<WorkerLink['cancel']>[0]): void {
    const at = this.#waiting.findIndex(
      ({ request }) => request.job.id === order.jobId && request.attempt === order.attempt,
    );
    if (at < 0) this.#connection.notify('worker.cancel', order);
    else this.#waiting.splice(at, 1)[0]?.onAnswer({ type: 'error', error: { message: 'never begun' } });
  }

  settled(told: Parameters<WorkerLink['settled']>[0]): void {
    this.#connection.notify('worker.settled', told);
  }

  close(): void {
    this.#connection.close();
  }

  #send({ request, onAnswer }: Waiting): void {
    if (this.#connection.ask('worker.execute', request, onAnswer) || this.#isFull) return;
    this.#isFull = true;
    void this.#connection.drained().then(() => this.#goOn());
  }

  #goOn(): void {
    this.#isFull = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const one of waiting) this.execute(one.request, one.onAnswer);
  }
}
