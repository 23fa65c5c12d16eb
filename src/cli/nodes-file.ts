import { randomBytes } from 'node:crypto';
import { readFileSync, renameSync, statSync, writeFileSync, chownSync } from 'node:fs';
import { Document, isMap, isSeq, parseDocument } from 'yaml';
import type { Config } from '../config/config.js';
import { errnoOf } from '../errors.js';
import { examine, judgeHost, type Verdict } from '../machines/ssh-hosts/admin/examine.js';
import { pinKeys, type ShownKey } from '../machines/ssh-hosts/admin/pin.js';
import { Visit } from '../machines/ssh-hosts/admin/visit.js';
import { HostsFileError, parseHosts, type SshHost } from '../cluster/ssh-hosts/hosts.js';
import { CredentialError } from '../machines/ssh-hosts/identity-file.js';
import { SshError } from '../machines/ssh-hosts/ssh/errors.js';
import { CliError } from './cli-error.js';
import { confirm } from './confirm.js';
import { note, say, table } from './terminal.js';

type Ssh = Pick<Config['ssh'], 'nodesFile' | 'passwords'>;

export interface AddOptions {
  identity?: string;
  passwordVariable?: string;
  jump?: string[];
  gpus?: number;
  gpuMemory?: number;
  gpuType?: string;
  cpus?: number;
  memory?: number;
  workdir?: string;
  label?: string[];
  fingerprint?: string[];
  yes?: boolean;
}

/**
 * Reads an SSH host's keys and resources, and writes the host to the file. A running service reads
 * the file again by itself.
 * @returns whether jobs can run there
 */
export async function addNode(
  name: string,
  where: string,
  options: AddOptions,
  ssh: Ssh,
): Promise<boolean> {
  const text = readOrEmpty(ssh.nodesFile);
  const present = checked(text, ssh.nodesFile);
  if (present.some((host) => host.name === name))
    throw new CliError(`${ssh.nodesFile} has a host ${name} already; remove it first`);
  const own = entryOf(name, where, options);
  const [host] = checked(withHost(text, own), ssh.nodesFile).slice(-1);
  if (host === undefined) throw new CliError(`${name} could not be read back`);

  const visit = new Visit(knownHostsOf([...present, host]), ssh.passwords);
  try {
    const lines = await pinKeys(host, visit, (key) => believe(key, options));
    const found = await examine(host, visit);
    if (found instanceof Error) throw found;
    const { gpus, gpuFault } = found;
    const [gpu] = gpus;
    // Without its GPUs the host would take jobs that need none, and keep its GPUs from the others.
    if (options.gpus === undefined && gpu === undefined && gpuFault !== null)
      throw new CliError(
        `${name}: its GPUs are unusable (${gpuFault}); mend the driver there, or give --gpus 0`,
      );
    const full = {
      ...own,
      cpus: options.cpus ?? found.cpus,
      memory_gb: options.memory ?? Math.floor(found.memoryMb / 1024),
      ...(options.gpus === undefined &&
        gpu !== undefined && {
          gpus: {
            count: gpus.length,
            type: gpu.model,
            memory_gb: Math.floor(Math.min(...gpus.map((one) => one.memoryMb)) / 1024),
          },
        }),
      known_hosts: `${lines.join('\n')}\n`,
    };
    const next = withHost(text, full);
    const [added] = checked(next, ssh.nodesFile).slice(-1);
    if (added === undefined) throw new CliError(`${name} could not be read back`);
    if (readOrEmpty(ssh.nodesFile) !== text)
      throw new CliError(`${ssh.nodesFile} was edited meanwhile: try again`);
    replace(ssh.nodesFile, next);
    const verdicts = judgeHost(added, found);
    say(verdictTable([added], [verdicts]));
    const isUsable = hasNoFailure(verdicts);
    say(
      isUsable
        ? `${name} is in ${ssh.nodesFile}; a running JobRunner uses it within seconds`
        : `${name} is in ${ssh.nodesFile}, but jobs cannot run there yet: correct what fails, then run jobrunner node test ${name}`,
    );
    return isUsable;
  } catch (error) {
    if (error instanceof SshError) throw new CliError(error.message, { cause: error });
    if (error instanceof CredentialError)
      throw new CliError(`${name}: ${error.message}`, { cause: error });
    throw error;
  } finally {
    visit.close();
  }
}

/** Removes a host from the file; its jobs end first. */
export function removeNode(name: string, ssh: Ssh): void {
  const text = readOrEmpty(ssh.nodesFile);
  checked(text, ssh.nodesFile);
  const document = parseDocument(text);
  const hosts = document.get('hosts');
  const index = isSeq(hosts)
    ? hosts.items.findIndex((item) => isMap(item) && item.get('name') === name)
    : -1;
  if (!isSeq(hosts) || index === -1)
    throw new CliError(`${ssh.nodesFile} has no host ${name}; it has ${namesIn(text)}`);
  hosts.delete(index);
  replace(ssh.nodesFile, document.toString({ lineWidth: 0 }));
  say(
    `${name} is removed from ${ssh.nodesFile}: it takes no more jobs, and leaves when its last job has ended`,
  );
}

/** Checks SSH hosts and prints the results. @returns whether jobs can run on all of them */
export async function testNodes(names: readonly string[], ssh: Ssh): Promise<boolean> {
  const all = checked(readOrEmpty(ssh.nodesFile), ssh.nodesFile);
  const unknown = names.filter((name) => !all.some((host) => host.name === name));
  if (unknown.length > 0) throw new CliError(`${ssh.nodesFile} has no host ${unknown.join(', ')}`);
  const hosts = names.length === 0 ? all : all.filter(({ name }) => names.includes(name));
  if (hosts.length === 0) {
    say(`no hosts in ${ssh.nodesFile}`);
    return true;
  }
  const visit = new Visit(knownHostsOf(all), ssh.passwords);
  try {
    const verdicts = await Promise.all(
      hosts.map(async (host) => judgeHost(host, await examine(host, visit))),
    );
    say(verdictTable(hosts, verdicts));
    return hasNoFailure(verdicts.flat());
  } finally {
    visit.close();
  }
}

function hasNoFailure(verdicts: readonly Verdict[]): boolean {
  return !verdicts.some(({ result }) => result === 'fails');
}

function verdictTable(hosts: readonly SshHost[], verdicts: readonly Verdict[][]): string {
  const rows = hosts.flatMap((host, i) =>
    (verdicts[i] ?? []).map(({ check, result, detail }) => [host.name, check, result, detail]),
  );
  return table([['HOST', 'CHECK', 'RESULT', 'DETAIL'], ...rows]);
}

/** Asks the user to confirm a key, unless options have confirmed it. */
async function believe(key: ShownKey, { fingerprint: given, yes }: AddOptions): Promise<void> {
  const shown = key.fingerprints.join(', ');
  if (given !== undefined) {
    if (key.fingerprints.some((one) => given.includes(one))) return;
    throw new CliError(`${key.machine} shows the key ${shown}, which no --fingerprint names`);
  }
  note(`${key.machine} shows the key ${shown}`);
  if (yes) return;
  await confirm(
    'Is this its key (see ssh-keygen -l on that host)?',
    `confirm the key of ${key.machine} with --fingerprint ${key.fingerprints[0] ?? ''}, or trust any key with --yes`,
  );
}

function entryOf(name: string, where: string, options: AddOptions): Record<string, unknown> {
  const [, user, host, port] =
    /^(?:([^@]+)@)?([^@:]+|\[[^\]]+\])(?::(\d{1,5}))?$/.exec(where) ?? [];
  if (host === undefined) throw new CliError(`${where}: expected user@host or user@host:port`);
  const { gpus, gpuMemory, gpuType, jump, label } = options;
  if (gpus !== undefined && gpus > 0 && gpuMemory === undefined)
    throw new CliError('--gpus needs --gpu-memory (GiB of each GPU); give both or neither');
  const labels = (label ?? []).map((text) => {
    const [, key, value] = /^([^=]+)=(.*)$/.exec(text) ?? [];
    if (key === undefined) throw new CliError(`--label ${text}: expected name=value`);
    return [key, value] as const;
  });
  const given = {
    name,
    host,
    port: port === undefined ? undefined : Number(port),
    user,
    identity_file: options.identity,
    password_variable: options.passwordVariable,
    proxy_jump: jump,
    gpus:
      gpus === undefined
        ? undefined
        : { count: gpus, ...(gpuType && { type: gpuType }), memory_gb: gpuMemory ?? 1 },
    cpus: options.cpus,
    memory_gb: options.memory,
    workdir: options.workdir,
    labels: labels.length > 0 ? Object.fromEntries(labels) : undefined,
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** Adds a host to the file's text; everything else, comments included, stays as it is. */
function withHost(text: string, entry: object): string {
  const document = text.trim() === '' ? new Document({ hosts: [] }) : parseDocument(text);
  const hosts = document.get('hosts');
  const item = document.createNode(entry);
  if (isSeq(hosts)) {
    // YAML writes an empty list as [].
    hosts.flow = false;
    hosts.add(item);
  } else document.set('hosts', document.createNode([entry]));
  return document.toString({ lineWidth: 0 });
}

function checked(text: string, path: string): SshHost[] {
  try {
    return parseHosts(text);
  } catch (error) {
    if (error instanceof HostsFileError) throw new CliError(`${path}: ${error.message}`);
    throw error;
  }
}

function knownHostsOf(hosts: readonly SshHost[]): string {
  const texts = hosts.map(({ known_hosts: given }) =>
    given?.startsWith('/') ? readOrEmpty(given) : (given ?? ''),
  );
  return [...new Set(texts)].map((text) => `${text.trim()}\n`).join('');
}

function namesIn(text: string): string {
  return (
    parseHosts(text)
      .map((host) => host.name)
      .join(', ') || 'none'
  );
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return '';
    throw new CliError(`${path} cannot be read (${errnoOf(error)}): run this as root (sudo)`);
  }
}

/** Replaces the file in one step; its owner and mode stay. */
function replace(path: string, text: string): void {
  const fresh = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    const before = statSync(path, { throwIfNoEntry: false });
    writeFileSync(fresh, text, { flag: 'wx', mode: (before?.mode ?? 0o600) & 0o777, flush: true });
    if (before !== undefined) chownSync(fresh, before.uid, before.gid);
    renameSync(fresh, path);
  } catch (error) {
    throw new CliError(`${path} cannot be written (${errnoOf(error)}): run this as root (sudo)`);
  }
}
