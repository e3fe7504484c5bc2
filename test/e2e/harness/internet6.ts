import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';

/**
 * An internet of IPv6 alone, of network namespaces: machines, each in a network of its own, some behind a router that translates nothing and lets in
 * only what answers those inside. Nothing is left on the machine's network, and nothing leaves it.
 */
export class Internet6 implements Disposable {
  readonly #id = randomBytes(3).toString('hex');
  readonly #namespaces: string[] = [];
  readonly #hub: string;
  #hostCount = 0;

  constructor() {
    try {
      this.#hub = this.#namespace('hub');
    } catch (error) {
      this[Symbol.dispose]();
      throw new Error(
        'these tests need network namespaces: run them as root with iproute2 and nftables installed (sudo npm run e2e)',
        { cause: error },
      );
    }
  }

  /** @returns the namespace of a machine that anybody reaches, and its address. */
  addPublic(): { readonly netns: string; readonly host: string } {
    const netns = this.#namespace(`pub${this.#hostCount}`);
    return { netns, host: this.#plugIn(netns) };
  }

  /** @returns the namespace of a machine with an address of its own that nobody may speak to first. */
  addGuarded(): { readonly netns: string; readonly host: string; readonly router: string } {
    const number = this.#hostCount + 1;
    const netns = this.#namespace(`in${number}`);
    const router = this.#namespace(`fw${number}`);
    const outside = this.#plugIn(router);
    const network = `3fff:${number}:1`;
    inside(router, 'link', 'add', 'lan0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', netns);
    address(router, 'lan0', `${network}::1`);
    address(netns, 'eth0', `${network}::2`);
    inside(netns, '-6', 'route', 'add', 'default', 'via', `${network}::1`);
    inside(this.#hub, '-6', 'route', 'add', `${network}::/64`, 'via', outside);
    run('ip', 'netns', 'exec', router, 'nft', GUARD);
    return { netns, host: `${network}::2`, router };
  }

  [Symbol.dispose](): void {
    for (const namespace of this.#namespaces.reverse()) {
      try {
        run('ip', 'netns', 'del', namespace);
      } catch (error) {
        process.stderr.write(`could not remove the network namespace ${namespace}: ${String(error)}\n`);
      }
    }
  }

  #namespace(name: string): string {
    const namespace = `asp-${this.#id}-${name}`;
    run('ip', 'netns', 'add', namespace);
    this.#namespaces.push(namespace);
    inside(namespace, 'link', 'set', 'lo', 'up');
    run('ip', 'netns', 'exec', namespace, 'sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1');
    return namespace;
  }

  /** Gives it an address that counts as public: 3fff::/20 is nobody's. */
  #plugIn(namespace: string): string {
    this.#hostCount += 1;
    const port = `port${this.#hostCount}`;
    const network = `3fff:${this.#hostCount}`;
    inside(this.#hub, 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'wan0', 'netns', namespace);
    address(this.#hub, port, `${network}::1`);
    address(namespace, 'wan0', `${network}::2`);
    inside(namespace, '-6', 'route', 'add', 'default', 'via', `${network}::1`);
    return `${network}::2`;
  }
}

const GUARD = `table ip6 guard {
  chain in { type filter hook input priority 0; iifname "wan0" ct state new,invalid drop; }
  chain through { type filter hook forward priority 0; iifname "wan0" ct state new,invalid drop; }
}`;

/** Without the wait of a second for whoever may have the same one. */
function address(namespace: string, device: string, host: string): void {
  inside(namespace, 'link', 'set', device, 'up');
  inside(namespace, 'addr', 'add', `${host}/64`, 'dev', device, 'nodad');
}

function run(program: string, ...args: string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function inside(namespace: string, ...args: string[]): void {
  run('ip', '-n', namespace, ...args);
}
