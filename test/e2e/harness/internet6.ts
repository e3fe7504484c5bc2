import { Namespaces } from './namespaces.ts';

/**
 * An internet of IPv6 alone, of network namespaces: machines, each in a network of its own, some behind a router that translates nothing and lets in
 * only what answers those inside. Nothing is left on the machine's network, and nothing leaves it.
 */
export class Internet6 implements Disposable {
  readonly #namespaces = new Namespaces();
  readonly #hub: string;
  #hostCount = 0;

  constructor() {
    this.#hub = this.#namespaces.build(() => this.#router('hub'));
  }

  /** @returns the namespace of a machine that anybody reaches, and its address. */
  addPublic(): { readonly netns: string; readonly host: string } {
    const netns = this.#router(`pub${this.#hostCount}`);
    return { netns, host: this.#plugIn(netns) };
  }

  /** @returns the namespace of a machine with an address of its own that nobody may speak to first. */
  addGuarded(): { readonly netns: string; readonly host: string; readonly router: string } {
    const number = this.#hostCount + 1;
    const netns = this.#router(`in${number}`);
    const router = this.#router(`fw${number}`);
    const outside = this.#plugIn(router);
    const network = `3fff:${number}:1`;
    this.#namespaces.join({ netns: router, device: 'lan0' }, { netns, device: 'eth0' });
    this.#address(router, 'lan0', `${network}::1`);
    this.#address(netns, 'eth0', `${network}::2`);
    this.#namespaces.ip(netns, '-6', 'route', 'add', 'default', 'via', `${network}::1`);
    this.#namespaces.ip(this.#hub, '-6', 'route', 'add', `${network}::/64`, 'via', outside);
    this.#namespaces.exec(router, 'nft', GUARD);
    return { netns, host: `${network}::2`, router };
  }

  [Symbol.dispose](): void {
    this.#namespaces[Symbol.dispose]();
  }

  /** A namespace that hands on what is for others. */
  #router(name: string): string {
    const namespace = this.#namespaces.add(name);
    this.#namespaces.exec(namespace, 'sysctl', '-qw', 'net.ipv6.conf.all.forwarding=1');
    return namespace;
  }

  /** Gives it an address that counts as public: 3fff::/20 is nobody's. */
  #plugIn(namespace: string): string {
    this.#hostCount += 1;
    const port = `port${this.#hostCount}`;
    const network = `3fff:${this.#hostCount}`;
    this.#namespaces.join({ netns: this.#hub, device: port }, { netns: namespace, device: 'wan0' });
    this.#address(this.#hub, port, `${network}::1`);
    this.#address(namespace, 'wan0', `${network}::2`);
    this.#namespaces.ip(namespace, '-6', 'route', 'add', 'default', 'via', `${network}::1`);
    return `${network}::2`;
  }

  /** Without the wait of a second for whoever may have the same one. */
  #address(namespace: string, device: string, host: string): void {
    this.#namespaces.ip(namespace, 'link', 'set', device, 'up');
    this.#namespaces.ip(namespace, 'addr', 'add', `${host}/64`, 'dev', device, 'nodad');
  }
}

const GUARD = `table ip6 guard {
  chain in { type filter hook input priority 0; iifname "wan0" ct state new,invalid drop; }
  chain through { type filter hook forward priority 0; iifname "wan0" ct state new,invalid drop; }
}`;
