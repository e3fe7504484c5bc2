import { AspenError, mayGoUnheard } from '../base/index.ts';
import type { Job } from '../rpc/index.ts';
import { AttemptStory } from './attempt-story.ts';
import type { CommandContext } from './command.ts';
import { PEER_ID } from './peer-id.ts';

/** Who has waited so long wants to know why; most jobs have ended by then, and nobody need watch them. Unit: ms. */
const PATIENCE_MS = 2_000;
/** Before watching again where that ended, mostly because the agent went away. Unit: ms. */
const WATCH_AGAIN_MS = 1_000;

/** What somebody who waits for a job is told of it meanwhile: why it does not begin, how its attempts ended, and where it runs again. */
export class JobNotes implements Disposable {
  readonly #context: CommandContext;
  readonly #id: string;
  readonly #story = new AttemptStory();
  readonly #abort = new AbortController();
  #nodes: ReadonlyMap<string, string> = new Map();
  #timer: NodeJS.Timeout;

  constructor(context: CommandContext, id: string) {
    this.#context = context;
    this.#id = id;
    this.#timer = setTimeout(() => void this.#begin(), PATIENCE_MS);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#abort.abort();
  }

  /** Looks at the job, and tells what is new. Where nobody can be asked, nothing is told: there is a next time. */
  async refresh(): Promise<void> {
    try {
      await this.tellOf(await this.#context.call('job.get', { id: this.#id }));
    } catch (error) {
      if (!(error instanceof AspenError)) throw error;
    }
  }

  async tellOf(job: Job): Promise<void> {
    await this.#learnNames(job);
    const told = this.#story.next(job, (peerId) => this.#nodes.get(peerId) ?? peerId);
    for (const note of told) this.#context.tell(`aspen-agent: ${note}`);
    if (told.length === 0 || job.state !== 'queued' || this.#abort.signal.aborted) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#explain(), PATIENCE_MS);
  }

  async #begin(): Promise<void> {
    const timer = this.#timer;
    await this.refresh();
    if (this.#timer === timer) await this.#explain();
    await this.#watch();
  }

  /** Each change is a reason to look. The watch is asked for before the first look, so that no change falls in between. */
  async #watch(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        const client = await this.#context.connect();
        const changes = client.watchJobs({ filter: { id: this.#id } }, signal);
        for (let isOver = false; !isOver; ) {
          const change = mayGoUnheard(changes.next());
          await this.refresh();
          isOver = (await change).done === true;
        }
      } catch (error) {
        if (!(error instanceof AspenError)) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, WATCH_AGAIN_MS).unref());
    }
  }

  /** Most jobs run once, and nobody has to be named. */
  async #learnNames({ node, attempt, history }: Job): Promise<void> {
    const peerIds = [node, ...history.map((past) => past['node'])];
    const isKnown = peerIds.every((peerId) => peerId === null || this.#nodes.has(String(peerId)));
    if (isKnown || (attempt <= 1 && history.length === 0)) return;
    await this.#askNames();
  }

  async #askNames(): Promise<void> {
    try {
      const { nodes } = await this.#context.call('node.list', {});
      this.#nodes = new Map(nodes.map(({ peerId, name }) => [peerId, name ?? peerId]));
    } catch (error) {
      if (!(error instanceof AspenError)) throw error;
    }
  }

  /** @returns the text with each node's name for its id, where that is known. */
  async #named(text: string): Promise<string> {
    if (!PEER_ID.test(text)) return text;
    await this.#askNames();
    return text.replaceAll(new RegExp(PEER_ID, 'g'), (peerId) => this.#nodes.get(peerId) ?? peerId);
  }

  /** Said once for each time that the job waits. */
  async #explain(): Promise<void> {
    const { call, tell } = this.#context;
    const id = this.#id;
    try {
      const { state, waitingFor } = await call('job.explain', { id });
      if (waitingFor === null || (state !== 'queued' && state !== 'blocked')) return;
      const named = await this.#named(waitingFor);
      tell(`aspen-agent: ${id} waits for ${named}; more: aspen-agent job explain ${id}`);
    } catch (error) {
      if (!(error instanceof AspenError)) throw error;
      if (!this.#abort.signal.aborted) tell(`aspen-agent: ${id} has not begun: ${error.message}`);
    }
  }
}
