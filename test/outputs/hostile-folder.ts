import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** A job's folder on a real disk, with a secret beside it that must never be served. */
export class JobFolder {
  readonly base = mkdtempSync(join(tmpdir(), 'jr-outputs-'));
  readonly results = join(this.base, 'results');
  readonly root: string;
  readonly secret = 'SECRET of somebody else';

  constructor() {
    this.root = join(this.results, '1');
    mkdirSync(this.root, { recursive: true });
    mkdirSync(join(this.base, 'outside'));
    writeFileSync(join(this.base, 'outside', 'secret.pth'), this.secret);
  }

  /**
   * Lists this process's descriptors of present or removed files in the folder or beside it. The
   * test runner opens and closes others.
   */
  get openDescriptors(): number {
    return readdirSync('/proc/self/fd').filter((fd) => {
      try {
        const target = readlinkSync(`/proc/self/fd/${fd}`);
        return target.startsWith(this.results) || target.startsWith(dirname(this.outside));
      } catch (error) {
        // The descriptor for this listing has been closed.
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
        return false;
      }
    }).length;
  }

  get outside(): string {
    return join(this.base, 'outside', 'secret.pth');
  }

  file(path: string, content: string | Buffer = path): string {
    const full = join(this.root, path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, content);
    return full;
  }

  /** Writes into another job's folder beside this one. */
  fileOfJob(jobId: number, path: string, content: string | Buffer): string {
    return this.file(join('..', String(jobId), path), content);
  }

  link(path: string, target: string): void {
    const full = join(this.root, path);
    mkdirSync(dirname(full), { recursive: true });
    symlinkSync(target, full);
  }

  fifo(path: string): void {
    execFileSync('mkfifo', [join(this.root, path)]);
  }

  bytesNamed(name: Buffer, content = 'x'): void {
    writeFileSync(Buffer.concat([Buffer.from(`${this.root}/`), name]), content);
  }

  manifest(value: unknown): void {
    this.file('manifest.json', typeof value === 'string' ? value : JSON.stringify(value));
  }

  clear(path: string): void {
    rmSync(join(this.root, path), { recursive: true });
  }

  remove(): void {
    rmSync(this.base, { recursive: true, force: true });
  }
}
