import type { Clock, Crypto, Logger, MeshId, PeerId, Random } from '../base/index.ts';
import { ClaimKeeper } from './claim-keeper.ts';
import { expire, KEYS, LEASES } from './expirer.ts';
import { serveGroupCare } from './group-care.ts';
import type { LeadingPart } from './group-node.ts';
import type { GroupView } from './group-view.ts';
import type { LeaderTerm } from './leader-term.ts';
import type { PeerMemory } from './peer-memory.ts';
import { serveReadmissions } from './readmission.ts';
import { serveRegistrar } from './registrar.ts';
import type { Replica } from './replica/index.ts';
import { keepRoles } from './role-keeper.ts';
import type { RolesOptions } from './roles.ts';
import type { RootCustody } from './root-custody.ts';
import { RootKeeper } from './root-keeper.ts';
import { SessionKeeper, type SessionKeeperOptions } from './session-keeper.ts';
import { keepVersion } from './version-keeper.ts';

export interface LeaderPartsComponents {
  readonly self: PeerId;
  readonly meshId: MeshId;
  readonly crypto: Crypto;
  readonly random: Random;
  readonly clock: Clock;
  readonly log: Logger;
  readonly replica: Replica;
  readonly custody: RootCustody;
  readonly memory: PeerMemory;
  readonly view: GroupView;
}

export interface LeaderPartsOptions {
  readonly roles: RolesOptions;
  readonly sessions: SessionKeeperOptions | undefined;
}

/** What acts for the group as long as this node leads it: the group's own parts, and those that others add. */
export class LeaderParts {
  readonly #components: LeaderPartsComponents;
  readonly #options: LeaderPartsOptions;
  readonly #added = new Set<LeadingPart>();
  /** Of the present leadership, or of the last one. */
  #sessions: SessionKeeper | undefined;

  constructor(components: LeaderPartsComponents, options: LeaderPartsOptions) {
    this.#components = components;
    this.#options = options;
  }

  /** Calls `part` at the beginning of each leadership, now too if this node leads. */
  add(part: LeadingPart): Disposable {
    this.#added.add(part);
    const leading = this.#components.replica.leading;
    if (leading !== undefined) this.#beginAdded(part, leading);
    return { [Symbol.dispose]: () => void this.#added.delete(part) };
  }

  begin(leading: LeaderTerm): void {
    this.#keepTime(leading);
    this.#keepMembers(leading);
    for (const part of this.#added) this.#beginAdded(part, leading);
  }

  /** Sessions, keys, leases and claims end when their time is over. */
  #keepTime(leading: LeaderTerm): void {
    const { random, clock, log } = this.#components;
    this.#sessions = new SessionKeeper(
      { leadership: leading, clock, random, log: log.child({ part: 'sessions' }) },
      this.#options.sessions,
    );
    leading.hold(this.#sessions);
    leading.hold(expire(KEYS, leading, { clock, log }));
    leading.hold(expire(LEASES, leading, { clock, log }));
    leading.hold(new ClaimKeeper(leading, { clock, log: log.child({ part: 'claims' }) }));
  }

  /** Who belongs, who comes back, who votes, and the root key that vouches for all of them. */
  #keepMembers(leading: LeaderTerm): void {
    const { self, meshId, crypto, random, clock, log, replica, custody, memory, view } = this.#components;
    const readmissions = serveReadmissions(leading, () => replica.raftState);
    const root = { meshId, crypto, random, clock, replica, custody };
    const rootKeeper = new RootKeeper(leading, { ...root, log: log.child({ part: 'root' }) });
    leading.hold(rootKeeper);
    const observe = () => view.members();
    serveRegistrar(leading, { ...root, self, rootKeeper, observe });
    const roleParts = {
      self,
      replica,
      custody,
      clock,
      log: log.child({ part: 'roles' }),
      observe,
      forgetful: () => readmissions.waiting,
    };
    leading.hold(keepRoles(leading, roleParts, this.#options.roles));
    leading.hold(keepVersion(leading, { replica, clock, log: log.child({ part: 'version' }) }));
    const report = () => view.reportAsLeader(new Map([...memory.distrusted, ...readmissions.reasons]));
    serveGroupCare(leading, { self, replica, report });
  }

  #beginAdded(part: LeadingPart, leading: LeaderTerm): void {
    const sessions = this.#sessions as SessionKeeper;
    const held = part(leading, { sessions });
    if (held !== undefined) leading.hold(held);
  }
}
