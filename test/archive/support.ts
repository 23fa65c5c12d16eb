import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ExtractOptions, extractArchive } from '../../src/datasets/archive/extract-archive.js';
import type { ExtractLimits, ExtractResult } from '../../src/datasets/archive/messages.js';
import { AppError } from '../../src/errors.js';
import { packageRoot } from '../../src/config/package-root.js';

export const NO_LIMITS: ExtractLimits = { maxBytes: 0, maxFiles: 0 };

requireFreshBuild();

/**
 * The extractor is a separate process that runs the build, so the build must match the sources.
 */
function requireFreshBuild(): void {
  const source = join(packageRoot, 'src/datasets/archive');
  const built = join(packageRoot, 'dist/datasets/archive');
  for (const file of readdirSync(source)) {
    const output = join(built, file.replace(/\.ts$/, '.js'));
    if (!existsSync(output) || statSync(output).mtimeMs < statSync(join(source, file)).mtimeMs)
      throw new Error(`${output} is older than its source: npm run build`);
  }
}

/** A folder for a test file's archives and trees. */
export class Workspace {
  readonly dir = mkdtempSync(join(tmpdir(), 'jr-archive-'));
  #count = 0;

  path(name: string): string {
    return join(this.dir, `${++this.#count}-${name}`);
  }

  save(content: Buffer | string): string {
    const path = this.path('archive');
    writeFileSync(path, content);
    return path;
  }

  /** Unpacks. @returns the result and the new tree's folder */
  async unpack(
    archive: string | Buffer,
    options: ExtractOptions = {},
    limits = NO_LIMITS,
  ): Promise<ExtractResult & { tree: string }> {
    const tree = this.path('tree');
    const path = typeof archive === 'string' ? archive : this.save(archive);
    return { ...(await extractArchive(path, tree, limits, options)), tree };
  }

  /** Returns the refusal's message. Fails if the archive was accepted, or if a tree is left. */
  async refusal(archive: string | Buffer, limits = NO_LIMITS): Promise<string> {
    return (await this.refused(archive, limits)).message;
  }

  /** The same, with the entry that the refusal blames; undefined if it blames the archive. */
  async refused(
    archive: string | Buffer,
    limits = NO_LIMITS,
  ): Promise<{ entry: unknown; message: string }> {
    const error = await this.failure(archive, limits);
    if (error.code !== 'archive_refused') throw error;
    return { entry: error.details?.['entry'], message: error.message };
  }

  async failure(archive: string | Buffer, limits = NO_LIMITS): Promise<AppError> {
    const tree = this.path('tree');
    const path = typeof archive === 'string' ? archive : this.save(archive);
    const error: unknown = await extractArchive(path, tree, limits).then(
      () => new Error('the archive was accepted'),
      (thrown: unknown) => thrown,
    );
    if (existsSync(tree)) throw new Error('a tree was left behind');
    if (!(error instanceof AppError)) throw error;
    return error;
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Maps every path below `dir` (raw) to a file's digest, a link's target, or `folder`. */
export function contentsOf(dir: string): Record<string, string> {
  const found: Record<string, string> = {};
  const walk = (raw: string) => {
    const path = Buffer.from(raw, 'latin1');
    const key = raw.slice(dir.length + 1);
    const stat = lstatSync(path);
    if (stat.isDirectory()) {
      if (key !== '') found[key] = 'folder';
      for (const name of readdirSync(path, { encoding: 'latin1' })) walk(`${raw}/${name}`);
    } else if (stat.isSymbolicLink()) found[key] = `link ${readlinkSync(path, 'latin1')}`;
    else found[key] = createHash('sha256').update(readFileSync(path)).digest('hex');
  };
  walk(dir);
  return Object.fromEntries(Object.entries(found).sort());
}

/** Runs a program to make an archive, in the C locale. */
export function make(program: string, args: readonly string[], cwd?: string): void {
  execFileSync(program, args, { cwd, stdio: ['ignore', 'ignore', 'pipe'] });
}

export function python(script: string, ...args: string[]): void {
  make('python3', ['-c', script, ...args]);
}

export const END = Buffer.alloc(1024);

export interface Fields {
  name: string;
  type?: string;
  size?: number;
  link?: string;
  mode?: string;
  magic?: string;
  prefix?: string;
  mtime?: string;
}

/** Makes one header block by hand. */
export function header(fields: Fields): Buffer {
  const block = Buffer.alloc(512);
  const octal = (value: number, width: number) => value.toString(8).padStart(width - 1, '0');
  block.write(fields.name, 0, 100, 'latin1');
  block.write(fields.mode ?? '0000644', 100, 'latin1');
  block.write(octal(0, 8), 108);
  block.write(octal(0, 8), 116);
  block.write(octal(fields.size ?? 0, 12), 124);
  block.write(fields.mtime ?? octal(1_600_000_000, 12), 136, 'latin1');
  block.write(fields.type ?? '0', 156, 'latin1');
  block.write(fields.link ?? '', 157, 100, 'latin1');
  block.write(fields.magic ?? 'ustar\x0000', 257, 'latin1');
  block.write(fields.prefix ?? '', 345, 155, 'latin1');
  return checksummed(block);
}

export function checksummed(block: Buffer): Buffer {
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

export function padded(content: Buffer | string): Buffer {
  const bytes = Buffer.from(content as string, 'latin1');
  return Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

export function file(name: string, content = 'x'): Buffer {
  return Buffer.concat([header({ name, size: content.length }), padded(content)]);
}

export function symlink(name: string, link: string): Buffer {
  return header({ name, type: '2', link });
}

export function hardLink(name: string, link: string): Buffer {
  return header({ name, type: '1', link });
}

export function folder(name: string): Buffer {
  return header({ name, type: '5' });
}

/** Makes an extended header; `body` overrides the records. */
export function pax(records: readonly (readonly [string, string])[], type = 'x'): Buffer {
  return extension(type, records.map(([key, value]) => paxRecord(key, value)).join(''));
}

export function extension(type: string, body: string): Buffer {
  return Buffer.concat([header({ name: 'extended', type, size: body.length }), padded(body)]);
}

function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length++;
  return `${length}${rest}`;
}

export function tar(...parts: readonly Buffer[]): Buffer {
  return Buffer.concat([...parts, END]);
}
