import { Namespaces } from './namespaces.ts';

/**
 * How a router translates: one port outside for a port inside, whoever is spoken to, or another one for each. A `strict` one is a cone that
 * lets no TCP connection begin outside, also not towards a port that has just spoken to there: it drops the first packet, or refuses it.
 */
export type Translation = 'cone' | 'symmetric' | 'strict' | 'strict-refusing';

/**
 * An internet of network namespaces: public machines on one bridge, and homes, each a router that translates addresses and lets nobody
 * in who was not spoken to, with one machine behind it. Nothing is left on the machine's network, and nothing leaves it.
 */
export class Internet implements Disposable {
  readonly #namespaces = new Namespaces();
  readonly #hub: string;
  #hostCount = 0;

  constructor() {
    this.#hub = this.#namespaces.build(() => {
      const hub = this.#namespaces.add('hub');
      this.#namespaces.ip(hub, 'link', 'add', 'br0', 'type', 'bridge');
      this.#namespaces.ip(hub, 'link', 'set', 'br0', 'up');
      return hub;
    });
  }

  /** @returns the namespace of a machine with an address of its own, and that address. */
  addPublic(): { readonly netns: string; readonly host: string } {
    const netns = this.#namespaces.add(`pub${this.#hostCount}`);
    const host = this.#plugIn(netns);
    return { netns, host };
  }

  /** @returns the namespace of a machine behind a router. */
  addHome(translation: Translation): {
    readonly netns: string;
    readonly router: string;
    readonly routerHost: string;
  } {
    const netns = this.#namespaces.add(`home${this.#hostCount}`);
    return { netns, ...this.#plugInBehind(translation, netns) };
  }

  /** Carries a machine from behind its router to behind another one: what it was linked with is cut without a word. */
  moveHome(netns: string, translation: Translation): void {
    this.#namespaces.ip(netns, 'link', 'del', 'eth0');
    this.#plugInBehind(translation, netns);
  }

  #plugInBehind(
    translation: Translation,
    netns: string,
  ): { readonly router: string; readonly routerHost: string } {
    const number = this.#hostCount;
    const router = this.#namespaces.add(`nat${number}`);
    const routerHost = this.#plugIn(router);
    this.#namespaces.join({ netns: router, device: 'lan0' }, { netns, device: 'eth0' });
    this.#namespaces.ip(router, 'addr', 'add', `192.168.${number}.1/24`, 'dev', 'lan0');
    this.#namespaces.ip(router, 'link', 'set', 'lan0', 'up');
    this.#namespaces.ip(netns, 'addr', 'add', `192.168.${number}.2/24`, 'dev', 'eth0');
    this.#namespaces.ip(netns, 'link', 'set', 'eth0', 'up');
    this.#namespaces.ip(netns, 'route', 'add', 'default', 'via', `192.168.${number}.1`);
    this.#namespaces.exec(router, 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
    this.#namespaces.exec(router, 'nft', rulesOf(translation));
    return { router, routerHost };
  }

  /** From now on the router lets no datagram through, either way. */
  dropDatagrams(router: string): void {
    this.#namespaces.exec(
      router,
      'nft',
      'add chain ip home datagrams { type filter hook forward priority 5; }; add rule ip home datagrams meta l4proto udp drop',
    );
  }

  /** From now on nothing passes the router from or to that address. */
  cutOff(router: string, host: string): void {
    this.#namespaces.exec(
      router,
      'nft',
      `add chain ip home cut { type filter hook forward priority 6; }; add rule ip home cut ip saddr ${host} drop; add rule ip home cut ip daddr ${host} drop`,
    );
  }

  /** @returns the namespace of a machine in an office, whose router lets nothing out but TCP to one place. */
  addOffice(way: { readonly host: string; readonly port: number }): { readonly netns: string } {
    const { netns, router } = this.addHome('cone');
    this.#namespaces.exec(router, 'nft', onlyOut(way));
    return { netns };
  }

  [Symbol.dispose](): void {
    this.#namespaces[Symbol.dispose]();
  }

  /** Gives it an address that counts as public: 203.0.113.0/24 is nobody's. */
  #plugIn(namespace: string): string {
    this.#hostCount += 1;
    const port = `port${this.#hostCount}`;
    const host = `203.0.113.${this.#hostCount}`;
    this.#namespaces.join({ netns: this.#hub, device: port }, { netns: namespace, device: 'wan0' });
    this.#namespaces.ip(this.#hub, 'link', 'set', port, 'master', 'br0', 'up');
    this.#namespaces.ip(namespace, 'addr', 'add', `${host}/24`, 'dev', 'wan0');
    this.#namespaces.ip(namespace, 'link', 'set', 'wan0', 'up');
    return host;
  }
}

function rulesOf(translation: Translation): string {
  const how = translation === 'symmetric' ? 'masquerade fully-random' : 'masquerade';
  const begin = `iifname "wan0" tcp flags & (syn | ack) == syn`;
  const strict = { strict: `${begin} drop;`, 'strict-refusing': `${begin} reject with tcp reset;` };
  const more = translation in strict ? strict[translation as keyof typeof strict] : '';
  return `table ip home {
    chain out { type nat hook postrouting priority 100; oifname "wan0" ${how}; }
    chain in { type filter hook input priority 0; iifname "wan0" ct state new,invalid drop; }
    chain through { type filter hook forward priority 0; ${more} iifname "wan0" ct state new,invalid drop; }
  }`;
}

/** What is not let out is dropped without a word, as firewalls do. */
function onlyOut({ host, port }: { readonly host: string; readonly port: number }): string {
  return `table ip office {
    chain out {
      type filter hook forward priority 10;
      iifname "lan0" ip daddr ${host} tcp dport ${port} accept;
      iifname "lan0" drop;
    }
  }`;
}
