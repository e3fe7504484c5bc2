import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';

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
  readonly #id = randomBytes(3).toString('hex');
  readonly #namespaces: string[] = [];
  readonly #hub: string;
  #hostCount = 0;

  constructor() {
    try {
      this.#hub = this.#namespace('hub');
      inside(this.#hub, 'link', 'add', 'br0', 'type', 'bridge');
      inside(this.#hub, 'link', 'set', 'br0', 'up');
    } catch (error) {
      this[Symbol.dispose]();
      throw new Error(
        'these tests need network namespaces: run them as root with iproute2 and nftables installed (sudo npm run e2e)',
        { cause: error },
      );
    }
  }

  /** @returns the namespace of a machine with an address of its own, and that address. */
  addPublic(): { readonly netns: string; readonly host: string } {
    const netns = this.#namespace(`pub${this.#hostCount}`);
    const host = this.#plugIn(netns);
    return { netns, host };
  }

  /** @returns the namespace of a machine behind a router. */
  addHome(translation: Translation): {
    readonly netns: string;
    readonly router: string;
    readonly routerHost: string;
  } {
    const netns = this.#namespace(`home${this.#hostCount}`);
    return { netns, ...this.#plugInBehind(translation, netns) };
  }

  /** Carries a machine from behind its router to behind another one: what it was linked with is cut without a word. */
  moveHome(netns: string, translation: Translation): void {
    inside(netns, 'link', 'del', 'eth0');
    this.#plugInBehind(translation, netns);
  }

  #plugInBehind(
    translation: Translation,
    netns: string,
  ): { readonly router: string; readonly routerHost: string } {
    const number = this.#hostCount;
    const router = this.#namespace(`nat${number}`);
    const routerHost = this.#plugIn(router);
    inside(router, 'link', 'add', 'lan0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', netns);
    inside(router, 'addr', 'add', `192.168.${number}.1/24`, 'dev', 'lan0');
    inside(router, 'link', 'set', 'lan0', 'up');
    inside(netns, 'addr', 'add', `192.168.${number}.2/24`, 'dev', 'eth0');
    inside(netns, 'link', 'set', 'eth0', 'up');
    inside(netns, 'route', 'add', 'default', 'via', `192.168.${number}.1`);
    run('ip', 'netns', 'exec', router, 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
    run('ip', 'netns', 'exec', router, 'nft', rulesOf(translation));
    return { router, routerHost };
  }

  /** From now on the router lets no datagram through, either way. */
  dropDatagrams(router: string): void {
    run(
      ...(['ip', 'netns', 'exec', router, 'nft'] as const),
      'add chain ip home datagrams { type filter hook forward priority 5; }; add rule ip home datagrams meta l4proto udp drop',
    );
  }

  /** From now on nothing passes the router from or to that address. */
  cutOff(router: string, host: string): void {
    run(
      ...(['ip', 'netns', 'exec', router, 'nft'] as const),
      `add chain ip home cut { type filter hook forward priority 6; }; add rule ip home cut ip saddr ${host} drop; add rule ip home cut ip daddr ${host} drop`,
    );
  }

  /** @returns the namespace of a machine in an office, whose router lets nothing out but TCP to one place. */
  addOffice(way: { readonly host: string; readonly port: number }): { readonly netns: string } {
    const { netns, router } = this.addHome('cone');
    run('ip', 'netns', 'exec', router, 'nft', onlyOut(way));
    return { netns };
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
    return namespace;
  }

  /** Gives it an address that counts as public: 203.0.113.0/24 is nobody's. */
  #plugIn(namespace: string): string {
    this.#hostCount += 1;
    const port = `port${this.#hostCount}`;
    const host = `203.0.113.${this.#hostCount}`;
    inside(this.#hub, 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'wan0', 'netns', namespace);
    inside(this.#hub, 'link', 'set', port, 'master', 'br0', 'up');
    inside(namespace, 'addr', 'add', `${host}/24`, 'dev', 'wan0');
    inside(namespace, 'link', 'set', 'wan0', 'up');
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

function run(program: string, ...args: string[]): void {
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function inside(namespace: string, ...args: string[]): void {
  run('ip', '-n', namespace, ...args);
}
