import { AspenError, type Random, randomPick } from '../../../src/base/index.ts';
import type { MembershipChange } from '../ground/index.ts';
import type { SimNode } from './sim-node.ts';
import type { World } from './world.ts';

/** Members that are left in any case, so that a majority can be found again when faults stop. */
const FEWEST_MEMBERS = 3;
const RETRY_MS = 500;
const LEAVE_TIMEOUT_MS = 20_000;

/** Somebody who changes who belongs to the mesh while it works: one change after the other, each repeated until it is certain. */
export class Operator {
  readonly #world: World;
  readonly #random: Random;
  readonly #canSpareAny: boolean;
  #last: Promise<void> = Promise.resolve();

  /** @param canSpareAny false where a disk is damaged in this run: an expelled voter besides would leave less than a majority of the data. */
  constructor(
    components: { readonly world: World; readonly random: Random },
    { canSpareAny }: { readonly canSpareAny: boolean },
  ) {
    this.#world = components.world;
    this.#random = components.random;
    this.#canSpareAny = canSpareAny;
  }

  /** @param draw from 0 to 1, says whom. */
  change(change: MembershipChange, draw: number): Promise<void> {
    this.#last = this.#last.then(() => this.#perform(change, draw));
    return this.#last;
  }

  async #perform(change: MembershipChange, draw: number): Promise<void> {
    const world = this.#world;
    if (change === 'join') return this.#join(chosen(world.strangers, draw));
    const member = chosen(world.members, draw);
    if (member === undefined) return;
    if (change === 'transfer') return this.#transfer(member);
    if (world.members.length <= FEWEST_MEMBERS || !this.#canSpareAny) return;
    world.note(`${member.name} is to go: ${change}`);
    world.expectMember(member.name, false);
    if (change === 'leave' && (await this.#leave(member))) {
      world.noteLeaver(member.name);
      return;
    }
    world.observe({ type: 'expelled', node: member.name });
    await this.#revoke(member);
  }

  async #join(joiner: SimNode | undefined): Promise<void> {
    if (joiner === undefined) return;
    const world = this.#world;
    world.note(`${joiner.name} is to join`);
    await this.#invite(joiner);
    while (!joiner.isReady) {
      if (joiner.refusal !== undefined && !isSuperseded(joiner.refusal)) throw joiner.refusal;
      if (joiner.refusal !== undefined) await this.#invite(joiner);
      await world.pause(RETRY_MS);
    }
    world.expectMember(joiner.name, true);
  }

  async #invite(joiner: SimNode): Promise<void> {
    const { ticket } = await this.#untilDone(() => this.#asked().call('mesh.ticket', { uses: 1 }));
    joiner.start(ticket);
  }

  /** @returns whether it is certain that it has left. */
  async #leave(member: SimNode): Promise<boolean> {
    try {
      await member.call('mesh.leave', { timeoutMs: LEAVE_TIMEOUT_MS });
      return true;
    } catch (error) {
      this.#world.expectRefusal(error);
      this.#world.note(`${member.name} did not leave: ${String(error)}`);
      return false;
    }
  }

  async #revoke({ name, peerId }: SimNode): Promise<void> {
    await this.#untilDone(async () => {
      try {
        await this.#asked(name).call('node.revoke', { peerId });
      } catch (error) {
        if (!(error instanceof AspenError) || error.code !== 'NOT_FOUND') throw error;
      }
    });
    this.#world.note(`${name} was revoked`);
  }

  async #transfer({ isReady, name }: SimNode): Promise<void> {
    if (!isReady) return;
    try {
      await this.#asked().call('group.transfer', { to: this.#world.node(name).peerId });
    } catch (error) {
      this.#world.expectRefusal(error);
    }
  }

  #asked(except?: string): SimNode {
    const { members } = this.#world;
    const able = members.filter(({ isReady, name }) => isReady && name !== except);
    return randomPick(this.#random, able.length > 0 ? able : members) as SimNode;
  }

  async #untilDone<T>(ask: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        this.#world.expectRefusal(error);
        await this.#world.pause(RETRY_MS);
      }
    }
  }
}

function chosen(nodes: readonly SimNode[], draw: number): SimNode | undefined {
  return nodes[Math.floor(draw * nodes.length)];
}

/** A ticket ends with the root key that signed it, and that is replaced when the one who was revoked before had it. */
function isSuperseded(refusal: AspenError): boolean {
  return refusal.message.includes('before the mesh replaced its root key');
}
