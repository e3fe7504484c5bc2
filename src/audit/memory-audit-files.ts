import { type AuditFiles, isFileName } from './audit-files.ts';

/** Files in memory, which tests may damage. */
export class MemoryAuditFiles implements AuditFiles {
  readonly files = new Map<string, Uint8Array>();
  head: string | undefined;
  /** Thrown by the next writes while it is set. */
  fault: Error | undefined;
  /** As `fault`, for the head alone. */
  headFault: Error | undefined;

  async names(): Promise<readonly string[]> {
    return [...this.files.keys()].filter(isFileName).sort();
  }

  async read(name: string): Promise<Uint8Array> {
    return this.files.get(name) ?? new Uint8Array(0);
  }

  async write(name: string, offset: number, bytes: Uint8Array): Promise<void> {
    if (this.fault !== undefined) throw this.fault;
    const before = offset === 0 ? new Uint8Array(0) : await this.read(name);
    const after = new Uint8Array(Math.max(before.length, offset + bytes.length));
    after.set(before);
    after.set(bytes, offset);
    this.files.set(name, after);
  }

  async truncate(name: string, length: number): Promise<void> {
    this.files.set(name, (await this.read(name)).slice(0, length));
  }

  async remove(name: string): Promise<void> {
    this.files.delete(name);
  }

  async setAside(name: string): Promise<void> {
    this.files.set(`${name}.unverified`, await this.read(name));
    this.files.delete(name);
  }

  async readHead(): Promise<string | undefined> {
    return this.head;
  }

  async writeHead(text: string): Promise<void> {
    const fault = this.headFault ?? this.fault;
    if (fault !== undefined) throw fault;
    this.head = text;
  }
}
