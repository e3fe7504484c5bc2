import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';

/**
 * Network namespaces of one test: nothing is left on the machine's network, and nothing leaves it. Their names begin alike and are nobody
 * else's, so that tests run beside each other.
 */
export class Namespaces implements Disposable {
  readonly #id = randomBytes(3).toString('hex');
  readonly #names: string[] = [];

  /** @returns what `assemble` does. Where it fails nothing stays, and it is said what these tests need. */
  build<T>(assemble: () => T): T {
    try {
      return assemble();
    } catch (cause) {
      this[Symbol.dispose]();
      const needs = 'run them as root with iproute2 and nftables installed (sudo npm run e2e)';
      throw new Error(`these tests need network namespaces: ${needs}`, { cause });
    }
  }

  /** @returns its whole name, for `ip netns exec`; its loopback is up. */
  add(name: string): string {
    const namespace = `asp-${this.#id}-${name}`;
    run('ip', 'netns', 'add', namespace);
    this.#names.push(namespace);
    this.ip(namespace, 'link', 'set', 'lo', 'up');
    return namespace;
  }

  /** `ip` as it is inside. */
  ip(namespace: string, ...args: readonly string[]): void {
    run('ip', '-n', namespace, ...args);
  }

  /** Any other program inside. */
  exec(namespace: string, program: string, ...args: readonly string[]): void {
    run('ip', 'netns', 'exec', namespace, program, ...args);
  }

  /** Two interfaces, each the other end of the other. */
  join(one: { readonly netns: string; readonly device: string }, other: typeof one): void {
    const peer = ['peer', 'name', other.device, 'netns', other.netns];
    this.ip(one.netns, 'link', 'add', one.device, 'type', 'veth', ...peer);
  }

  [Symbol.dispose](): void {
    for (const namespace of this.#names.splice(0).reverse()) {
      try {
        run('ip', 'netns', 'del', namespace);
      } catch (error) {
        process.stderr.write(`could not remove the network namespace ${namespace}: ${String(error)}\n`);
      }
    }
  }
}

function run(program: string, ...args: readonly string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
